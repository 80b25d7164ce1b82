"""The channel port for the web page: messages in memory, for pages to follow and catch up on."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from adapters.web.message_log import MessageLog, WebMessage
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
        self._logs: dict[tuple[str, str], MessageLog] = {}
        self.is_closed = False

    @property
    def limits(self) -> ChannelLimits:
        return LIMITS

    async def post(self, reply: Reply, to: ConversationRef) -> MessageRef:
        return self.add_reply(reply, to)

    async def post_private(self, reply: Reply, to: ConversationRef, user: UserRef) -> MessageRef:
        return self.add_reply(reply, to, private_to=user)

    async def update(self, message: MessageRef, reply: Reply) -> None:
        if log := self._logs.get(_place(message.conversation)):
            shown = shortened(reply, LIMITS.max_characters)
            log.change(message.id, seen_by=message.private_to, reply=shown)

    def add_reply(
        self,
        reply: Reply,
        to: ConversationRef,
        *,
        private_to: UserRef | None = None,
        answers: str | None = None,
    ) -> MessageRef:
        message = WebMessage(
            id=f"m-{secrets.token_hex(8)}",
            conversation=to,
            at=self._clock(),
            reply=shortened(reply, LIMITS.max_characters),
            private_to=private_to,
            answers=answers,
        )
        # What one person sees alone must not make the conversation outlive another.
        log = self._logs.get(_place(to)) if private_to else None
        (log or self._log(to)).add(message, limit=self._max_messages)
        return MessageRef(to, message.id, private_to)

    def say(
        self, message: IncomingMessage, *, message_id: str, client_id: str, author_name: str
    ) -> bool:
        """Show what somebody asked, as open. False when it stands there already."""
        log = self._log(message.conversation)
        if message_id in log.messages:
            return False
        log.add(
            WebMessage(
                id=message_id,
                conversation=message.conversation,
                at=message.sent_at,
                author=message.user,
                author_name=author_name,
                text=message.text,
                is_open=True,
                is_running=True,
                client_id=client_id,
            ),
            limit=self._max_messages,
        )
        return True

    def close_question(self, conversation: ConversationRef, message_id: str) -> None:
        """Everyone has their reply; the asker may still wait for a private one."""
        log = self._logs.get(_place(conversation))
        question = log.messages.get(message_id) if log else None
        if log and question and question.is_open:
            log.change(message_id, seen_by=None, is_open=False)

    def end_turn(self, conversation: ConversationRef, message_id: str) -> None:
        self.close_question(conversation, message_id)
        log = self._logs.get(_place(conversation))
        question = log.messages.get(message_id) if log else None
        if log and question and question.is_running:
            log.change(message_id, seen_by=question.author, is_running=False)

    def rate(self, message: WebMessage, user: UserRef, rating: Rating) -> None:
        log = self._logs.get(_place(message.conversation))
        if log and (rated := log.messages.get(message.id)):
            ratings = MappingProxyType({**rated.ratings, user: rating})
            log.change(message.id, seen_by=user, ratings=ratings)

    def find(self, conversation: ConversationRef, id: str, viewer: UserRef) -> WebMessage | None:
        """The message, whatever thread of the conversation it is in, if *viewer* sees it."""
        log = self._logs.get(_place(conversation))
        message = log.messages.get(id) if log else None
        return message if message and message.is_shown_to(viewer) else None

    def messages(self, conversation: ConversationRef, viewer: UserRef) -> list[WebMessage]:
        """What *viewer* sees, oldest first."""
        log = self._logs.get(_place(conversation))
        return log.seen_by(viewer) if log else []

    def direct_conversations(self, user: UserRef) -> list[WebMessage]:
        """The first question of each of somebody's direct conversations, latest conversation first."""
        firsts = [next(iter(log.messages.values()), None) for log in self._logs.values()]
        mine = [
            m
            for m in firsts
            if m and m.author == user and m.conversation.kind is ConversationKind.DIRECT
        ]
        return sorted(mine, key=lambda m: m.at, reverse=True)

    @contextmanager
    def watching(
        self, conversation: ConversationRef, viewer: UserRef
    ) -> Iterator[tuple[MessageLog, asyncio.Event]]:
        """The log, kept meanwhile, and an event that every change sets that *viewer* sees."""
        log = self._log(conversation)
        with log.watching(viewer) as changed:
            yield log, changed

    def close(self) -> None:
        """Let all streams end."""
        self.is_closed = True
        for log in self._logs.values():
            log.wake()

    def _log(self, conversation: ConversationRef) -> MessageLog:
        """The conversation's log, now the most recently used one."""
        place = _place(conversation)
        log = self._logs.pop(place, None) or MessageLog()
        self._logs[place] = log
        if len(self._logs) > self._max_conversations:
            idle = (p for p, log in self._logs.items() if not log.is_watched and p != place)
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
        self._close_once_said(message)

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
        self._close_once_said(ref)
        return ref

    def _close_once_said(self, changed: MessageRef) -> None:
        """By when it closes, nobody shall learn whether a private reply follows."""
        shared = [reply for ref, reply in self._posted.values() if ref.private_to is None]
        if changed.private_to is None and all(reply.is_final for reply in shared):
            self._channel.close_question(changed.conversation, self._answers)

    @property
    def has_posted(self) -> bool:
        """For everyone; a private reply stands in for nothing."""
        return any(ref.private_to is None for ref, _ in self._posted.values())


def _place(conversation: ConversationRef) -> tuple[str, str]:
    """All threads of a channel are shown, and followed, together."""
    return conversation.tenant, conversation.channel
