"""One conversation's messages, numbered for each viewer as if only they looked on."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bot.messages import ConversationRef, Rating, Reply, UserRef


@dataclass(frozen=True, slots=True)
class WebMessage:
    """
    A message as the page shows it: somebody's words, or the bot's *reply*.

    Attributes:
        order: Where it stands among the conversation's messages; never changes.
        seq: Of the last change that everyone sees; 0 for a private message.
        private_to: The one person who sees it; None for everyone in the conversation.
        answers: Id of the question that a reply belongs to.
        is_open: Somebody's question that has no final reply yet.
        is_running: Its turn goes on, perhaps to a private reply: for the asker alone to know.
        client_id: What the asker's page calls it.
    """

    id: str
    conversation: ConversationRef
    at: datetime
    order: float = 0
    seq: int = 0
    author: UserRef | None = None
    author_name: str = ""
    text: str = ""
    reply: Reply | None = None
    private_to: UserRef | None = None
    answers: str | None = None
    is_open: bool = False
    is_running: bool = False
    client_id: str | None = None
    ratings: Mapping[UserRef, Rating] = field(default_factory=lambda: MappingProxyType({}))

    def is_shown_to(self, user: UserRef) -> bool:
        return self.private_to is None or self.private_to == user

    def is_open_for(self, user: UserRef) -> bool:
        return self.is_open or (self.is_running and self.author == user)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a viewer has read: of the changes that everyone sees, and of their own."""

    shared: int = 0
    own: int = 0


@dataclass(slots=True)
class _Own:
    """The changes that one person alone sees: how many, and each message's last one."""

    count: int = 0
    last: dict[str, int] = field(default_factory=dict)


class MessageLog:
    """
    What one person alone sees takes no number, wakes no stream, and pushes out no message of
    anybody else: from what others receive nobody can tell whether it happened.
    """

    def __init__(self) -> None:
        self.messages: dict[str, WebMessage] = {}
        # Numbers of a log that was forgotten, or of an earlier process, mean nothing in this one.
        self.epoch = secrets.token_hex(4)
        self._shared = 0
        self._order = 0
        self._own: dict[UserRef, _Own] = {}
        self._watchers: dict[asyncio.Event, UserRef] = {}

    @property
    def is_watched(self) -> bool:
        return bool(self._watchers)

    def add(self, message: WebMessage, *, limit: int) -> None:
        """Keeps the last *limit* messages for everyone, and as many for each one person."""
        user = message.private_to
        if user is None:
            self._order += 1
            self.messages[message.id] = replace(message, order=self._order)
        else:
            self.messages[message.id] = replace(message, order=self._order_beside(user))
        self._note_change(message.id, seen_by=user)
        alike = [m.id for m in self.messages.values() if m.private_to == user]
        for id in alike[:-limit]:
            self._forget(id)
        if user is None and len(alike) > limit:
            self._forget_private_ones_at_the_start()

    def change(self, id: str, *, seen_by: UserRef | None, **fields: Any) -> None:
        """*seen_by*: the one person for whom the message looks different; None for all its readers."""
        message = self.messages.get(id)
        if message is not None:
            self.messages[id] = replace(message, **fields)
            self._note_change(id, seen_by=seen_by or message.private_to)

    def seen_by(self, viewer: UserRef) -> list[WebMessage]:
        """Oldest first."""
        return [m for m in self.messages.values() if m.is_shown_to(viewer)]

    def position(self, viewer: UserRef) -> Cursor:
        own = self._own.get(viewer)
        return Cursor(self._shared, own.count if own else 0)

    def changes(self, viewer: UserRef, after: Cursor) -> list[tuple[WebMessage, Cursor]]:
        """What looks different to *viewer* now, each with how far they have read with it."""
        own = self._own.get(viewer, _Own()).last
        seen = self.seen_by(viewer)
        mine = sorted((m for m in seen if own.get(m.id, 0) > after.own), key=lambda m: own[m.id])
        shared = sorted((m for m in seen if m.seq > after.shared), key=lambda m: m.seq)
        read = shared[-1].seq if shared else after.shared
        # What changed in both ways is sent once, when all the rest of the shared ones has been.
        once = [m for m in shared if own.get(m.id, 0) <= after.own]
        return [(m, Cursor(m.seq, after.own)) for m in once] + [
            (m, Cursor(read, own[m.id])) for m in mine
        ]

    @contextmanager
    def watching(self, viewer: UserRef) -> Iterator[asyncio.Event]:
        """An event that every change sets that *viewer* sees; the watcher clears it."""
        changed = asyncio.Event()
        self._watchers[changed] = viewer
        try:
            yield changed
        finally:
            del self._watchers[changed]

    def wake(self, user: UserRef | None = None) -> None:
        """One person's watchers, or all. A needless wake would shift the heartbeat, and tell."""
        for watcher, viewer in self._watchers.items():
            if user in (None, viewer):
                watcher.set()

    def _note_change(self, id: str, *, seen_by: UserRef | None) -> None:
        if seen_by is None:
            self._shared += 1
            self.messages[id] = replace(self.messages[id], seq=self._shared)
        else:
            own = self._own.setdefault(seen_by, _Own())
            own.count += 1
            own.last[id] = own.count
        self.wake(seen_by)

    def _order_beside(self, user: UserRef) -> float:
        """Between the last shared message and the next one."""
        earlier = sum(
            m.private_to == user and m.order > self._order for m in self.messages.values()
        )
        return self._order + (earlier + 1) / (earlier + 2)

    def _forget(self, id: str) -> None:
        del self.messages[id]
        for own in self._own.values():
            own.last.pop(id, None)

    def _forget_private_ones_at_the_start(self) -> None:
        """They stood beside messages that are gone."""
        for message in list(self.messages.values()):
            if message.private_to is None:
                return
            self._forget(message.id)
