"""The port to what stands in the page's conversations, with the in-memory twin that defines its behaviour."""

import asyncio
import secrets
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from adapters.web.messages import (
    EVERYONE,
    Change,
    Cursor,
    DirectConversation,
    Reading,
    WebMessage,
    person_key,
    place_key,
)
from adapters.web.watchers import Watchers
from bot.messages import ConversationKind, ConversationRef, Rating, ReplyKind, UserRef

MAX_MESSAGES = 300
"""Kept of a conversation for everyone, and as many for each one person."""


class MessageLogs(Protocol):
    """
    The messages of all conversations. What they forget costs people their scrollback only.

    What one person alone sees takes no number, wakes no stream, and pushes out no message of
    anybody else: from what others receive nobody can tell whether it happened. Everything may be
    done again, by whoever does not know whether it was done. Whether somebody may read a
    conversation at all is for the caller to check.

    The methods raise `StateUnavailable` when the server does not answer.
    """

    async def say(self, question: WebMessage) -> None:
        """Show what somebody asks, as open; a question that stands unanswered is opened again."""
        ...

    async def retract(self, conversation: ConversationRef, id: str) -> None:
        """The question will not be answered: it stays, and is open no more."""
        ...

    async def post(self, message: WebMessage) -> None:
        """
        Show a reply; one that stands under the same id gets the new content, except by a status.

        A reply that everyone sees keeps the question it answers open until it is final.
        """
        ...

    async def update(self, message: WebMessage) -> None:
        """Replace the reply of the message with that id and audience; nothing if it is gone."""
        ...

    async def rate(self, message: WebMessage, user: UserRef, rating: Rating) -> None: ...

    async def find(
        self, conversation: ConversationRef, id: str, viewer: UserRef
    ) -> WebMessage | None:
        """The message, whatever thread of the conversation it is in, if *viewer* sees it."""
        ...

    async def read(
        self, conversation: ConversationRef, viewer: UserRef, after: Cursor | None = None
    ) -> Reading:
        """What *viewer* sees, or what of it has changed *after* an earlier reading."""
        ...

    async def directs(self, user: UserRef) -> list[DirectConversation]:
        """Latest first."""
        ...

    def watching(
        self, conversation: ConversationRef, viewer: UserRef
    ) -> AbstractContextManager[asyncio.Event]:
        """
        An event that every change sets that *viewer* sees; the watcher clears it, then reads.

        One may be lost with a connection, so watchers look now and then by themselves.
        """
        ...

    def wake_all(self) -> None:
        """Let every watcher in this process look."""
        ...

    async def close(self) -> None: ...


class InMemoryMessageLogs:
    """Lives and dies with the process, and forgets the conversations longest unused."""

    def __init__(self, *, max_messages: int = MAX_MESSAGES, max_conversations: int = 2_000) -> None:
        self._max_messages = max_messages
        self._max_conversations = max_conversations
        self._watchers = Watchers()
        self._logs: dict[str, _Log] = {}
        self._directs: dict[str, tuple[UserRef, DirectConversation]] = {}

    async def say(self, question: WebMessage) -> None:
        self._used(question.conversation).say(question)
        if question.conversation.kind is ConversationKind.DIRECT and question.author:
            direct = DirectConversation(question.conversation.channel, question.text, question.at)
            place = place_key(question.conversation)
            self._directs.setdefault(place, (question.author, direct))

    async def retract(self, conversation: ConversationRef, id: str) -> None:
        if log := self._logs.get(place_key(conversation)):
            log.retract(id)

    async def post(self, message: WebMessage) -> None:
        # What one person sees alone must not make the conversation outlive another.
        is_shared = message.private_to is None
        find = self._used if is_shared else self._log
        find(message.conversation).post(message)

    async def update(self, message: WebMessage) -> None:
        if log := self._logs.get(place_key(message.conversation)):
            log.update(message)

    async def rate(self, message: WebMessage, user: UserRef, rating: Rating) -> None:
        if log := self._logs.get(place_key(message.conversation)):
            log.rate(message.id, person_key(user), rating)

    async def find(
        self, conversation: ConversationRef, id: str, viewer: UserRef
    ) -> WebMessage | None:
        log = self._logs.get(place_key(conversation))
        return log.find(id, person_key(viewer)) if log else None

    async def read(
        self, conversation: ConversationRef, viewer: UserRef, after: Cursor | None = None
    ) -> Reading:
        return self._log(conversation).read(person_key(viewer)).since(after)

    async def directs(self, user: UserRef) -> list[DirectConversation]:
        mine = [direct for owner, direct in self._directs.values() if owner == user]
        return sorted(mine, key=lambda direct: direct.at, reverse=True)

    def watching(
        self, conversation: ConversationRef, viewer: UserRef
    ) -> AbstractContextManager[asyncio.Event]:
        return self._watchers.watching(place_key(conversation), person_key(viewer))

    def wake_all(self) -> None:
        self._watchers.wake_all()

    async def close(self) -> None:
        return None

    def _log(self, conversation: ConversationRef) -> "_Log":
        place = place_key(conversation)
        if place not in self._logs:
            self._logs[place] = _Log(place, self._watchers, self._max_messages)
            self._forget_the_idlest(but=place)
        return self._logs[place]

    def _used(self, conversation: ConversationRef) -> "_Log":
        """The conversation's log, now the most recently used one."""
        log = self._log(conversation)
        self._logs[log.place] = self._logs.pop(log.place)
        return log

    def _forget_the_idlest(self, *, but: str) -> None:
        if len(self._logs) > self._max_conversations:
            idle = (p for p in self._logs if p != but and not self._watchers.is_watched(p))
            if (oldest := next(idle, None)) is not None:
                del self._logs[oldest]
                self._directs.pop(oldest, None)


@dataclass(slots=True)
class _Entry:
    """*numbers*: of its last change, by audience."""

    message: WebMessage
    numbers: dict[str, int] = field(default_factory=dict)
    ratings: dict[str, Rating] = field(default_factory=dict)
    is_answered: bool = False


class _Log:
    """Changes are counted for everyone, and apart for each one person."""

    def __init__(self, place: str, watchers: Watchers, limit: int) -> None:
        self.place = place
        self._watchers = watchers
        self._limit = limit
        # Numbers of a log that was forgotten, or of an earlier process, mean nothing in this one.
        self._epoch = secrets.token_hex(4)
        self._changes: Counter[str] = Counter()
        self._order = 0
        self._entries: dict[str, _Entry] = {}

    def say(self, question: WebMessage) -> None:
        entry = self._entries.get(question.id)
        if entry is None:
            self._add(replace(question, is_open=True))
        elif not entry.is_answered:
            self._set_open(entry, True)

    def retract(self, id: str) -> None:
        if entry := self._entries.get(id):
            self._set_open(entry, False)

    def post(self, message: WebMessage) -> None:
        is_status = message.reply is not None and message.reply.kind is ReplyKind.STATUS
        if message.id not in self._entries:
            self._add(message)
            self._settle_question(message)
        elif not is_status:
            self.update(message)

    def update(self, message: WebMessage) -> None:
        entry = self._entries.get(message.id)
        if entry is None:
            return
        changed = replace(entry.message, reply=message.reply, cited=message.cited)
        if changed != entry.message:
            entry.message = changed
            self._note_change(entry, changed.audience)
        self._settle_question(changed)

    def rate(self, id: str, person: str, rating: Rating) -> None:
        entry = self._entries.get(id)
        if entry and entry.ratings.get(person) is not rating:
            entry.ratings[person] = rating
            self._note_change(entry, person)

    def find(self, id: str, viewer: str) -> WebMessage | None:
        entry = self._entries.get(id)
        if entry is None or entry.message.audience not in (EVERYONE, viewer):
            return None
        return replace(entry.message, rating=entry.ratings.get(viewer))

    def read(self, viewer: str) -> Reading:
        position = Cursor(self._epoch, self._changes[EVERYONE], self._changes[viewer])
        changes = [
            Change(message, entry.numbers.get(EVERYONE, 0), entry.numbers.get(viewer, 0))
            for id, entry in self._entries.items()
            if (message := self.find(id, viewer))
        ]
        return Reading(position, tuple(changes), is_whole=True)

    def _add(self, message: WebMessage) -> None:
        audience = message.audience
        if audience == EVERYONE:
            self._order += 1
            order: float = self._order
        else:
            # Between the last shared message and the next one, and after that person's earlier ones.
            order = self._order + 1 - 1 / (self._changes[audience] + 2)
        entry = self._entries[message.id] = _Entry(replace(message, order=order))
        self._note_change(entry, audience)
        alike = [id for id, e in self._entries.items() if e.message.audience == audience]
        for id in alike[: -self._limit]:
            del self._entries[id]
        if audience == EVERYONE and len(alike) > self._limit:
            self._forget_private_ones_at_the_start()

    def _forget_private_ones_at_the_start(self) -> None:
        """They stood beside messages that are gone."""
        for id, entry in list(self._entries.items()):
            if entry.message.audience == EVERYONE:
                return
            del self._entries[id]

    def _settle_question(self, reply: WebMessage) -> None:
        """By when it closes, nobody shall learn whether a private reply follows."""
        question = self._entries.get(reply.answers or "")
        if question and reply.audience == EVERYONE and reply.reply:
            question.is_answered = reply.reply.is_final
            self._set_open(question, not question.is_answered)

    def _set_open(self, entry: _Entry, is_open: bool) -> None:
        if entry.message.is_open is not is_open:
            entry.message = replace(entry.message, is_open=is_open)
            self._note_change(entry, EVERYONE)

    def _note_change(self, entry: _Entry, audience: str) -> None:
        self._changes[audience] += 1
        entry.numbers[audience] = self._changes[audience]
        self._watchers.wake(self.place, audience)
