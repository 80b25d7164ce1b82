"""What people and the bot say to each other, and what is remembered of it. Frozen values, no platform's types."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from retrieval.types import Answer, Band, Citation, Language


@dataclass(frozen=True, slots=True)
class UserRef:
    """A person on a platform. *id* is unique within the tenant."""

    tenant: str
    id: str

    @property
    def key(self) -> str:
        """Stable text that identifies the person; safe inside a Redis key, and tells nobody who it is."""
        return _digest(self.tenant, self.id)


class ConversationKind(StrEnum):
    DIRECT = "direct"
    PRIVATE = "private"
    """Read by its members alone: a private channel or a group chat."""
    PUBLIC = "public"
    """Anyone in the tenant can join and read back."""


@dataclass(frozen=True, slots=True)
class ConversationRef:
    """Where people talk: a platform's channel or direct message, and the thread in it."""

    platform: str
    tenant: str
    channel: str
    kind: ConversationKind
    thread: str | None = None

    @property
    def key(self) -> str:
        """Stable text that identifies the conversation; safe inside a Redis key and a log line."""
        return _digest(self.platform, self.tenant, self.channel, self.thread or "")

    @property
    def place_key(self) -> str:
        """Like `key`, for the channel with all its threads."""
        return _digest(self.platform, self.tenant, self.channel)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message. Its content stays on the platform until a turn reads it."""

    id: str
    name: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """
    Something that was said to the bot. *event_id* is equal for every delivery of the same message.

    Attributes:
        locale: The person's language setting, for texts that answer no question.
        looking_at: Ids of what the person has open beside the conversation: a hint for ranking, never
            a right to read.
        is_mid_thread: It stands in a thread, in which others may have written before.
        borrowed: What somebody else had just written there, when the author only calls the bot in. It
            is answered like the author's own words, and kept nowhere.
    """

    event_id: str
    user: UserRef
    conversation: ConversationRef
    text: str
    sent_at: datetime
    locale: Language | None = None
    attachments: tuple[Attachment, ...] = ()
    looking_at: tuple[str, ...] = ()
    is_mid_thread: bool = False
    borrowed: str = ""

    @property
    def asked(self) -> str:
        """What is to be answered."""
        return self.text if self.text.strip() else self.borrowed


class ReplyKind(StrEnum):
    STATUS = "status"
    """What the bot is doing; replaced by what follows."""
    PARTIAL = "partial"
    """The checked beginning of an answer; more follows."""
    ANSWER = "answer"
    NOTICE = "notice"
    """Something other than an answer: an apology, a limit, a confirmation."""


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What the bot says, for any platform to render.

    Attributes:
        text: Markdown without links; markers such as `[1]` stand for *citations*.
        band: How sure we are; None when this answers no question.
        feedback_id: Set when people may say whether the answer helped.
    """

    kind: ReplyKind
    text: str
    language: Language
    citations: tuple[Citation, ...] = ()
    band: Band | None = None
    is_extract: bool = False
    notice: str | None = None
    suggestions: tuple[str, ...] = ()
    feedback_id: str | None = None

    @property
    def is_final(self) -> bool:
        return self.kind in (ReplyKind.ANSWER, ReplyKind.NOTICE)

    @classmethod
    def of(cls, answer: Answer, *, feedback_id: str | None = None) -> Self:
        return cls(
            kind=ReplyKind.ANSWER,
            text=answer.text,
            language=answer.language,
            citations=answer.citations,
            band=answer.band,
            is_extract=answer.is_extract,
            notice=answer.notice,
            feedback_id=feedback_id,
        )


@dataclass(frozen=True, slots=True)
class MessageRef:
    """A message that the bot posted and may still change. *private_to* is set when only that person sees it."""

    conversation: ConversationRef
    id: str
    private_to: UserRef | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """
    One question and its reply, as far as later questions need them.

    Attributes:
        event_id: Of the message; a turn that is taken up again after a crash replaces itself.
        standalone: The question as it was searched, with what earlier turns supplied.
        chunk_ids: Every passage that the reply cites, or that the turns it built upon do; the turn is
            only used while all may be read.
        asker: Who can have it forgotten; None where an older version kept it.
    """

    event_id: str
    question: str
    standalone: str
    answer: str
    chunk_ids: tuple[str, ...]
    language: Language
    at: datetime
    asker: UserRef | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What is remembered of a conversation, for one audience. Turns are oldest first."""

    turns: tuple[Turn, ...] = field(default=())

    MAX_TURNS = 12

    def with_turn(self, turn: Turn) -> Self:
        return replace(self, turns=(*self.without(turn.event_id).turns, turn)[-self.MAX_TURNS :])

    def without(self, event_id: str) -> Self:
        """What was remembered before that message."""
        return replace(self, turns=tuple(t for t in self.turns if t.event_id != event_id))

    def without_turns_of(self, user: UserRef) -> Self:
        return replace(self, turns=tuple(t for t in self.turns if t.asker != user))


@dataclass(frozen=True, slots=True)
class Preferences:
    """
    How somebody wants to be spoken to.

    Attributes:
        language: Of all that is said to them; None for the language of each question.
    """

    language: Language | None = None


class Rating(StrEnum):
    HELPFUL = "helpful"
    UNHELPFUL = "unhelpful"


@dataclass(frozen=True, slots=True)
class Feedback:
    """
    What somebody thinks of an answer, or reports.

    Attributes:
        feedback_id: Of the answer that is rated. A report has an id of its own, so that it replaces
            no rating and no other report.
        about: For a report: the answer that came last before it, if there was one.
    """

    feedback_id: str
    user: UserRef
    rating: Rating
    at: datetime
    comment: str = ""
    about: str | None = None

    _REPORT = "report:"

    @classmethod
    def report(
        cls, event_id: str, user: UserRef, at: datetime, text: str, about: str | None
    ) -> Self:
        """*event_id*: of the message that it was made with."""
        id = cls._REPORT + event_id
        return cls(id, user, Rating.UNHELPFUL, at, comment=text, about=about)

    @property
    def is_report(self) -> bool:
        return self.feedback_id.startswith(self._REPORT)
