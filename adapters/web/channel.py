"""The channel port for the web page: messages in memory, for pages to follow and catch up on."""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from types import MappingProxyType
from typing import Any

from bot.channel import ChannelLimits, shortened
from bot.messages import (
    ConversationKind,
    ConversationRef,
    IncomingMessage,
    MessageRef,
    Rating,
    Reply,
    ReplyKind,
    UserRef,
)
from retrieval.types import Language

LIMITS = ChannelLimits(
    max_characters=40_000,
    # A reader cannot tell faster updates apart, and each one carries the whole text.
    min_update_interval_s=0.05,
    has_private_replies=True,
)


@dataclass(frozen=True, slots=True)
class WebMessage:
    """
    A message as the page shows it: somebody's words, or the bot's *reply*.

    Attributes:
        order: Where it stands among the conversation's messages; never changes.
        seq: Of the last change; grows over all conversations of this process.
        private_to: The one person who sees it; None for everyone in the conversation.
        answers: Id of the question that a reply belongs to.
        is_open: Somebody's question that is still being worked on.
        client_id: What the asker's page calls it.
    """

    id: str
    conversation: ConversationRef
    at: datetime
    order: int
    seq: int
    author: UserRef | None = None
    author_name: str = ""
    text: str = ""
    reply: Reply | None = None
    private_to: UserRef | None = None
    answers: str | None = None
    is_open: bool = False
    client_id: str | None = None
    ratings: Mapping[UserRef, Rating] = field(default_factory=lambda: MappingProxyType({}))

    def is_shown_to(self, user: UserRef) -> bool:
        return self.private_to is None or self.private_to == user


@dataclass(slots=True)
class _Log:
    messages: dict[str, WebMessage] = field(default_factory=dict)
    watchers: set[asyncio.Event] = field(default_factory=set)

    def wake(self) -> None:
        for watcher in self.watchers:
            watcher.set()


class WebChannel:
    """
    Lives in one process, like the connections it feeds. What it forgets costs people their
    scrollback only; sessions are kept in `State`.

    Whether somebody may read a conversation at all is for the caller to check; private messages
    are kept from everybody else here.
    """

    def __init__(
        self,
        *,
        max_messages: int = 300,
        max_conversations: int = 2_000,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._max_messages = max_messages
        self._max_conversations = max_conversations
        self._clock = clock
        self._seq = count(1)
        self._logs: dict[tuple[str, str], _Log] = {}
        self.is_closed = False
        # Tells a page that comes back after a restart that its numbers mean nothing any more.
        self.epoch = secrets.token_hex(4)

    @property
    def limits(self) -> ChannelLimits:
        return LIMITS

    async def post(self, reply: Reply, to: ConversationRef) -> MessageRef:
        return self.add_reply(reply, to)

    async def post_private(self, reply: Reply, to: ConversationRef, user: UserRef) -> MessageRef:
        return self.add_reply(reply, to, private_to=user)

    async def update(self, message: MessageRef, reply: Reply) -> None:
        self._change(
            message.conversation, message.id, reply=shortened(reply, LIMITS.max_characters)
        )

    def add_reply(
        self,
        reply: Reply,
        to: ConversationRef,
        *,
        private_to: UserRef | None = None,
        answers: str | None = None,
    ) -> MessageRef:
        seq = next(self._seq)
        message = WebMessage(
            id=f"m{seq}-{secrets.token_hex(4)}",
            conversation=to,
            at=self._clock(),
            order=seq,
            seq=seq,
            reply=shortened(reply, LIMITS.max_characters),
            private_to=private_to,
            answers=answers,
        )
        self._add(message)
        return MessageRef(to, message.id, private_to)

    def say(
        self, message: IncomingMessage, *, message_id: str, client_id: str, author_name: str
    ) -> bool:
        """Show what somebody asked, as open. False when it stands there already."""
        if message_id in self._log(message.conversation).messages:
            return False
        seq = next(self._seq)
        self._add(
            WebMessage(
                id=message_id,
                conversation=message.conversation,
                at=message.sent_at,
                order=seq,
                seq=seq,
                author=message.user,
                author_name=author_name,
                text=message.text,
                is_open=True,
                client_id=client_id,
            )
        )
        return True

    def close_question(self, conversation: ConversationRef, message_id: str) -> None:
        self._change(conversation, message_id, is_open=False)

    def rate(self, message: WebMessage, user: UserRef, rating: Rating) -> None:
        ratings = MappingProxyType({**message.ratings, user: rating})
        self._change(message.conversation, message.id, ratings=ratings)

    def find(self, conversation: ConversationRef, id: str, viewer: UserRef) -> WebMessage | None:
        """The message, whatever thread of the conversation it is in, if *viewer* sees it."""
        log = self._logs.get(_place(conversation))
        message = log.messages.get(id) if log else None
        return message if message and message.is_shown_to(viewer) else None

    def messages(
        self, conversation: ConversationRef, viewer: UserRef, *, after: int = 0
    ) -> list[WebMessage]:
        """What *viewer* sees, oldest first; only what changed after a sequence number."""
        log = self._logs.get(_place(conversation))
        if log is None:
            return []
        return [m for m in log.messages.values() if m.seq > after and m.is_shown_to(viewer)]

    def direct_conversations(self, user: UserRef) -> list[WebMessage]:
        """The first question of each of somebody's direct conversations, latest conversation first."""
        firsts = [next(iter(log.messages.values()), None) for log in self._logs.values()]
        mine = [
            m
            for m in firsts
            if m and m.author == user and m.conversation.kind is ConversationKind.DIRECT
        ]
        return sorted(mine, key=lambda m: -m.order)

    @contextmanager
    def watching(self, conversation: ConversationRef) -> Iterator[asyncio.Event]:
        """An event that every change sets; the watcher clears it. Meanwhile all is kept."""
        log, changed = self._log(conversation), asyncio.Event()
        log.watchers.add(changed)
        try:
            yield changed
        finally:
            log.watchers.discard(changed)

    def close(self) -> None:
        """Let all streams end."""
        self.is_closed = True
        for log in self._logs.values():
            log.wake()

    def _add(self, message: WebMessage) -> None:
        log = self._log(message.conversation)
        log.messages[message.id] = message
        while len(log.messages) > self._max_messages:
            del log.messages[next(iter(log.messages))]
        log.wake()

    def _change(self, conversation: ConversationRef, message_id: str, **fields: Any) -> None:
        log = self._logs.get(_place(conversation))
        message = log.messages.get(message_id) if log else None
        if log is None or message is None:
            return
        log.messages[message_id] = replace(message, seq=next(self._seq), **fields)
        log.wake()

    def _log(self, conversation: ConversationRef) -> _Log:
        """The conversation's log, now the most recently used one."""
        place = _place(conversation)
        log = self._logs.pop(place, None) or _Log()
        self._logs[place] = log
        if len(self._logs) > self._max_conversations:
            idle = (p for p, log in self._logs.items() if not log.watchers and p != place)
            if (oldest := next(idle, None)) is not None:
                del self._logs[oldest]
        return log


class WebTurn:
    """The channel as one turn uses it: knows what was posted, so that nothing stays half said."""

    def __init__(self, channel: WebChannel, answers: str) -> None:
        self._channel = channel
        self._answers = answers
        self._posted: dict[str, tuple[MessageRef, Reply]] = {}

    @property
    def limits(self) -> ChannelLimits:
        return self._channel.limits

    async def post(self, reply: Reply, to: ConversationRef) -> MessageRef:
        return self._add(reply, to, None)

    async def post_private(self, reply: Reply, to: ConversationRef, user: UserRef) -> MessageRef:
        return self._add(reply, to, user)

    async def update(self, message: MessageRef, reply: Reply) -> None:
        if message.id in self._posted:
            self._posted[message.id] = (message, reply)
        await self._channel.update(message, reply)

    async def settle(self, language: Language, *, instead: str, notice: str) -> None:
        """A status becomes *instead*; half an answer keeps its text and gets the *notice*."""
        for ref, reply in list(self._posted.values()):
            if reply.kind is ReplyKind.PARTIAL:
                await self.update(ref, replace(reply, kind=ReplyKind.ANSWER, notice=notice))
            elif not reply.is_final:
                await self.update(ref, Reply(ReplyKind.NOTICE, instead, language))

    def _add(self, reply: Reply, to: ConversationRef, user: UserRef | None) -> MessageRef:
        ref = self._channel.add_reply(reply, to, private_to=user, answers=self._answers)
        self._posted[ref.id] = (ref, reply)
        return ref

    @property
    def has_posted(self) -> bool:
        return bool(self._posted)


def _place(conversation: ConversationRef) -> tuple[str, str]:
    """All threads of a channel are shown, and followed, together."""
    return conversation.tenant, conversation.channel
