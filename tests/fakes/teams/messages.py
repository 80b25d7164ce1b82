"""Messages: what was posted where, who sees it, and how it looked before."""

from dataclasses import dataclass, field
from typing import Any

from tests.fakes.teams.world import Json

CARD = "application/vnd.microsoft.card.adaptive"
AI_ENTITY = "https://schema.org/Message"


@dataclass(slots=True)
class Stream:
    """The state of a message that is, or was, written piece by piece."""

    started_at: float
    last_at: float
    sequence: int = 1
    state: str = "in_progress"
    """Then `completed`, `cancelled` (by its reader) or `expired`."""
    status: str = ""
    """What the blue bar says until there is text."""
    steps: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class Message:
    """One message as it stands now; `versions` holds how it looked after every change."""

    id: str
    conversation: str
    """Without `;messageid=`."""
    author: str
    """A person's object id, or the app's `28:` id."""
    is_from_app: bool
    created_at: float
    body: Json
    """The activity that was sent."""
    thread: str | None = None
    """In a channel, the id of the thread's first message."""
    targeted_to: str | None = None
    """The object id of the only person who sees it."""
    stream: Stream | None = None
    is_edited: bool = False
    is_deleted: bool = False
    versions: list[Json] = field(default_factory=list)
    personal: dict[str, Json] = field(default_factory=dict)
    """Cards that single people see in place of the one that all see, by object id."""
    personal_versions: dict[str, list[Json]] = field(default_factory=dict)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return str(self.body.get("text") or "")

    @property
    def attachments(self) -> list[Json]:
        return list(self.body.get("attachments") or [])

    @property
    def entities(self) -> list[Json]:
        return list(self.body.get("entities") or [])

    @property
    def channel_data(self) -> Json:
        return dict(self.body.get("channelData") or {})

    @property
    def cards(self) -> list[Json]:
        """The Adaptive Cards that everybody sees."""
        return [a["content"] for a in self.attachments if a.get("contentType") == CARD]

    @property
    def suggested_actions(self) -> list[Json]:
        return list((self.body.get("suggestedActions") or {}).get("actions") or [])

    @property
    def ai(self) -> Json | None:
        """What marks it as written by a machine, with citations."""
        return next((e for e in self.entities if e.get("type") == AI_ENTITY), None)

    @property
    def citations(self) -> list[Json]:
        return list((self.ai or {}).get("citation") or [])

    @property
    def mentions(self) -> list[str]:
        """Ids of those whom it notifies."""
        return [e["mentioned"]["id"] for e in self.entities if e.get("type") == "mention"]

    @property
    def is_streaming(self) -> bool:
        return self.stream is not None and self.stream.state == "in_progress"

    @property
    def status(self) -> str:
        """What the blue bar says, as long as no text is there."""
        return self.stream.status if self.stream and self.is_streaming and not self.text else ""

    def show(self, body: Json) -> None:
        """Everybody sees the new version, so cards that were one person's alone are gone."""
        self.body = body
        self.personal.clear()
        self.versions.append(body)

    def show_alone(self, person: str, card: Json) -> None:
        self.personal[person] = card
        self.personal_versions.setdefault(person, []).append(card)


class MessageLog:
    """Every message of every conversation, oldest first."""

    def __init__(self) -> None:
        self.all: list[Message] = []
        self._by_id: dict[tuple[str, str], Message] = {}
        self._by_place: dict[str, list[Message]] = {}

    def add(self, message: Message) -> Message:
        self.all.append(message)
        self._by_id[message.conversation, message.id] = message
        self._by_place.setdefault(message.conversation, []).append(message)
        message.versions.append(message.body)
        return message

    def find(self, conversation: str, id: str) -> Message | None:
        """Also what is deleted."""
        return self._by_id.get((conversation, id))

    def within(self, conversation: str, thread: str | None = None) -> list[Message]:
        """Without what is deleted; with *thread* its first message and the replies."""
        return [
            m
            for m in self._by_place.get(conversation, ())
            if not m.is_deleted and (thread is None or thread in (m.id, m.thread))
        ]


def split_thread(id: str) -> tuple[str, str | None]:
    """`19:…;messageid=1` is the thread `1` of the conversation `19:…`."""
    conversation, _, root = id.partition(";messageid=")
    return conversation, root or None


def any_of(entities: Any, kind: str) -> list[Json]:
    return [e for e in entities or [] if isinstance(e, dict) and e.get("type") == kind]
