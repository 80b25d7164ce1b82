"""What stands on the page: messages, and how far somebody has read them. Frozen values."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from bot.messages import ConversationRef, Rating, Reply, UserRef

EVERYONE = "*"
"""As an audience: all who read the conversation. Any other is one person's key."""


@dataclass(frozen=True, slots=True)
class Cited:
    """A passage by its id alone: its text and title are fetched for each viewer who may read them."""

    number: int
    chunk_id: str


@dataclass(frozen=True, slots=True)
class WebMessage:
    """
    A message as the page shows it: somebody's words, or the bot's *reply*.

    Attributes:
        order: Where it stands among the conversation's messages; never changes.
        reply: Without its citations, which are in *cited*.
        private_to: The one person who sees it; None for everyone in the conversation.
        answers: Id of the question that a reply belongs to.
        is_open: Somebody's question that everyone's reply is not yet complete to.
        client_id: What the asker's page calls it.
        rating: The viewer's own.
    """

    id: str
    conversation: ConversationRef
    at: datetime
    order: float = 0
    author: UserRef | None = None
    author_name: str = ""
    text: str = ""
    reply: Reply | None = None
    cited: tuple[Cited, ...] = ()
    private_to: UserRef | None = None
    answers: str | None = None
    is_open: bool = False
    client_id: str | None = None
    rating: Rating | None = None

    @property
    def audience(self) -> str:
        return person_key(self.private_to) if self.private_to else EVERYONE

    def with_reply(self, reply: Reply) -> Self:
        cited = tuple(Cited(c.number, c.chunk.id) for c in reply.citations)
        return replace(self, reply=replace(reply, citations=()), cited=cited)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a viewer has read: of the changes that everyone sees, and of their own."""

    epoch: str
    shared: int = 0
    own: int = 0

    def __str__(self) -> str:
        return f"{self.epoch}-{self.shared}-{self.own}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        epoch, *numbers = text.split("-")
        if len(numbers) != 2 or not (len(epoch) < 40 and epoch.isalnum()):
            return None
        if not all(n.isascii() and n.isdigit() and len(n) < 16 for n in numbers):
            return None
        return cls(epoch, *map(int, numbers))

    def continues(self, earlier: "Cursor") -> bool:
        """A log that was forgotten, or lost its last changes, has numbers of another meaning."""
        return (
            self.epoch == earlier.epoch
            and self.shared >= earlier.shared
            and self.own >= earlier.own
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A message, and the numbers of its last change: of the shared ones, of the viewer's own; 0 is none."""

    message: WebMessage
    shared: int
    own: int


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What looks different to a viewer since they last read, and how far they have read with it.

    Attributes:
        is_whole: It is everything they see, for the numbers they knew mean nothing here.
    """

    position: Cursor
    changes: tuple[Change, ...]
    is_whole: bool

    @property
    def messages(self) -> list[WebMessage]:
        return sorted((change.message for change in self.changes), key=lambda m: m.order)

    def since(self, cursor: Cursor | None) -> "Reading":
        """Of a whole reading what came after *cursor*; all of it if that is of another log."""
        if cursor is None or not self.position.continues(cursor):
            return self
        later = [c for c in self.changes if c.shared > cursor.shared or c.own > cursor.own]
        return Reading(self.position, tuple(later), is_whole=False)

    def in_order(self, after: Cursor) -> list[tuple[WebMessage, Cursor]]:
        """Each message with how far the viewer, who had read up to *after*, has read with it."""
        mine = sorted((c for c in self.changes if c.own > after.own), key=lambda c: c.own)
        # What changed in both ways is sent once, when all the rest of the shared ones has been.
        shared = sorted(
            (c for c in self.changes if c.shared > after.shared and c.own <= after.own),
            key=lambda c: c.shared,
        )
        read = max([after.shared, *(c.shared for c in self.changes)])
        return [(c.message, replace(after, shared=c.shared)) for c in shared] + [
            (c.message, replace(after, shared=read, own=c.own)) for c in mine
        ]


@dataclass(frozen=True, slots=True)
class DirectConversation:
    """Somebody's own conversation with the bot, by its first question."""

    channel: str
    question: str
    at: datetime


def place_key(conversation: ConversationRef) -> str:
    """All threads of a channel are shown, and followed, together."""
    return _digest(conversation.tenant, conversation.channel)


def person_key(user: UserRef) -> str:
    return _digest(user.tenant, user.id)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
