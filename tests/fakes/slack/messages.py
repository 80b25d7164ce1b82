"""Messages: what was posted where, who sees it, and how it looked before."""

from dataclasses import dataclass, field
from typing import Any

from tests.fakes.slack.world import Channel, Json, Refused

# Measured by others on the live service; Slack documents no number.
STREAM_LIFE_S = 306.0


@dataclass(slots=True)
class Stream:
    """The state of a message that is, or was, written piece by piece."""

    started_at: float
    mode: str | None = None
    """`text` or `chunks`; the first content decides, for good."""
    state: str = "in_progress"
    """Then `completed`, `stopped` (by its reader) or `expired`."""
    recipient_user: str | None = None
    recipient_team: str | None = None
    display: str = "timeline"
    chunks: list[Json] = field(default_factory=list)
    blocks_in_chunks: int = 0


@dataclass(slots=True)
class Message:
    """One message as it stands now; `versions` holds how it looked after every change."""

    ts: str
    channel: str
    team: str
    """The channel's own, also when somebody of another one wrote it."""
    user: str
    user_team: str = ""
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    ephemeral_to: str | None = None
    is_unseen: bool = False
    """Ephemeral, in a thread that had no reply yet: Slack takes it and shows it to nobody."""
    bot_id: str | None = None
    subtype: str | None = None
    files: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    metadata: Json | None = None
    unfurls: Json = field(default_factory=dict)
    unfurl_links: bool = True
    unfurl_media: bool = True
    is_broadcast: bool = False
    is_edited: bool = False
    is_deleted: bool = False
    stream: Stream | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    versions: list[tuple[str, list[Json]]] = field(default_factory=list)
    client_msg_id: str = ""
    app_context: Json | None = None

    @property
    def is_streaming(self) -> bool:
        return self.stream is not None and self.stream.state == "in_progress"

    def show(self, text: str, blocks: list[Json]) -> None:
        self.text, self.blocks = text, blocks
        self.versions.append((text, blocks))

    def json(self) -> Json:
        """As `conversations.history` and events give it."""
        body: Json = {"type": "message", "user": self.user, "text": self.text, "ts": self.ts}
        body["team"] = self.user_team or self.team
        optional: dict[str, Any] = {
            "client_msg_id": self.client_msg_id,
            "bot_id": self.bot_id,
            "subtype": self.subtype,
            "thread_ts": self.thread_ts,
            "blocks": self.blocks,
            "files": self.files,
            "attachments": self.attachments,
            "metadata": self.metadata,
        }
        body |= {key: value for key, value in optional.items() if value}
        if self.is_edited:
            body["edited"] = {"user": self.user, "ts": self.ts}
        if self.reactions:
            body["reactions"] = [
                {"name": name, "users": users, "count": len(users)}
                for name, users in self.reactions.items()
            ]
        if self.stream is not None:
            is_open = self.stream.state == "in_progress"
            body["streaming_state"] = "in_progress" if is_open else "completed"
        return body


class MessageLog:
    """Every message of every channel, oldest first."""

    def __init__(self) -> None:
        self.all: list[Message] = []
        self._by_channel: dict[tuple[str, str], dict[str, Message]] = {}

    def add(self, message: Message) -> Message:
        self.all.append(message)
        self._by_channel.setdefault((message.team, message.channel), {})[message.ts] = message
        message.versions.append((message.text, message.blocks))
        return message

    def in_channel(self, channel: Channel) -> list[Message]:
        """Without what is deleted."""
        known = self._by_channel.get((channel.team, channel.id), {})
        return [message for message in known.values() if not message.is_deleted]

    def find(self, channel: Channel, ts: str | None) -> Message | None:
        message = self._by_channel.get((channel.team, channel.id), {}).get(ts or "")
        return None if message is None or message.is_deleted else message

    def get(self, channel: Channel, ts: str | None, error: str = "message_not_found") -> Message:
        """A message that everybody can see: an ephemeral one does not exist for Slack."""
        message = self.find(channel, ts)
        if message is None or message.ephemeral_to is not None:
            raise Refused(error)
        return message

    def thread(self, channel: Channel, root_ts: str) -> list[Message]:
        return [m for m in self.in_channel(channel) if root_ts in (m.ts, m.thread_ts)]

    def is_active_thread(self, channel: Channel, root_ts: str) -> bool:
        """With a reply that everybody sees."""
        thread = self.thread(channel, root_ts)
        return any(m.ts != root_ts and m.ephemeral_to is None for m in thread)
