"""Turns on the inbox: accepted by an adapter, taken by any worker, answered once as people see it."""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress

import structlog

from bot import texts
from bot.channel import Channel
from bot.conversation import ConversationManager, notice
from bot.delivery import Delivery
from bot.errors import (
    ChannelUnavailable,
    LoanLost,
    StateUnavailable,
    TryLater,
    WrittenByAnotherVersion,
)
from bot.inbox import Inbox
from bot.memory import private_key
from bot.messages import ConversationRef, IncomingMessage, Reply, ReplyKind
from bot.preferences import Languages
from bot.state_json import decode_message, encode_message
from bot.worker import Job
from retrieval.errors import StoreUnavailable
from retrieval.types import Language

log = structlog.get_logger()

TURN, PRIVATE_TURN = "turn", "private-turn"

_STANDALONE = "standalone"
_OLDEST_WITHOUT_NOTICE_S = 30.0
_STOPPED_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_TELLING_S = 2.0
_PRIVATE_PATIENCE_S, _PRIVATE_PAUSE_S = 300.0, 5.0


class TurnQueue:
    """
    What adapters put messages into. Putting is all there is to accepting one: it returns within
    milliseconds, and from then on nothing is lost.

    Args:
        channels: By platform.
        languages: In which people are told to wait.
        busy_above: When more than this many wait, people are told that it takes longer.
    """

    def __init__(
        self,
        inbox: Inbox,
        channels: Mapping[str, Channel],
        languages: Languages,
        *,
        busy_above: int = 50,
    ) -> None:
        self._inbox = inbox
        self._channels = channels
        self._languages = languages
        self._busy_above = busy_above
        self._telling: set[asyncio.Task[None]] = set()

    async def accept(self, message: IncomingMessage) -> None:
        """
        Keep *message* until it is answered; the same event again changes nothing.

        Raises:
            StateUnavailable: It is not kept; the platform will deliver it again.
        """
        key = message.conversation.key
        accepted = await self._inbox.put(message.event_id, key, TURN, encode_message(message))
        if not accepted.is_new:
            return
        if accepted.waiting > self._busy_above or accepted.oldest_age_s > _OLDEST_WITHOUT_NOTICE_S:
            self._tell(message, texts.MANY_WAITING, waiting=accepted.waiting)
        elif accepted.ahead:
            self._tell(message, texts.NEXT_IN_TURN)

    async def stop(self, event_id: str, conversation: ConversationRef, language: Language) -> None:
        """
        Nobody wants the answer any more. Who works on it says so; if nobody does yet, we do.

        Raises:
            StateUnavailable: Nothing was stopped.
        """
        if await self._inbox.stop(event_id, conversation.key):
            self._begin(self._say_stopped(event_id, conversation, language))

    async def close(self) -> None:
        """Say what is still to be said, for a moment."""
        if self._telling:
            _, late = await asyncio.wait(set(self._telling), timeout=_TELLING_S)
            for telling in late:
                telling.cancel()

    async def _say_stopped(
        self, event_id: str, conversation: ConversationRef, language: Language
    ) -> None:
        """Until the platform takes it: a status stands there, and nobody else will say more."""
        stopped = notice(texts.STOPPED[language], language)
        for pause_s in _STOPPED_PAUSES_S:
            try:
                channel = self._channels[conversation.platform]
                await channel.post(stopped, conversation, answers=event_id)
                return
            except ChannelUnavailable:
                await asyncio.sleep(pause_s)
        log.warning("turn.stop_not_said")

    def _tell(
        self, message: IncomingMessage, text: Mapping[Language, str], **values: object
    ) -> None:
        """In the background: the platform waits for our acknowledgement."""
        self._begin(self._post_status(message, text, values))

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        telling = asyncio.create_task(work)
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _post_status(
        self, message: IncomingMessage, text: Mapping[Language, str], values: Mapping[str, object]
    ) -> None:
        language = await self._languages.of(message)
        # Should the answer have begun by now, it stays: a status replaces nothing.
        status = Reply(ReplyKind.STATUS, text[language].format(**values), language)
        channel = self._channels[message.conversation.platform]
        try:
            await channel.post(status, message.conversation, answers=message.event_id)
        except ChannelUnavailable:
            log.warning("turn.status_not_posted")


class TurnHandler:
    """Answers one message where everybody reads it, and has the asker's own answer looked for after that."""

    def __init__(
        self, inbox: Inbox, manager: ConversationManager, channels: Mapping[str, Channel]
    ) -> None:
        self._inbox = inbox
        self._manager = manager
        self._channels = channels

    async def handle(self, job: Job) -> None:
        message, _ = _message(job)
        reply = _delivery(job, message, self._channels)
        try:
            standalone = await self._manager.answer(message, reply)
        except asyncio.CancelledError:
            if not job.is_stopped:
                raise
            language = await self._manager.language_of(message)
            # Nobody waits for it: a platform that is away need not be waited for.
            with suppress(ChannelUnavailable):
                now = await self._manager.scope_of(message)
                await reply.end(notice(texts.STOPPED[language], language), readers=now)
            return
        if standalone is not None:
            # Of its own, so that the conversation goes on meanwhile, and the others cannot tell.
            await self._inbox.put(
                f"{message.event_id}:private",
                private_key(message.conversation, message.user),
                PRIVATE_TURN,
                encode_message(message, **{_STANDALONE: standalone}),
                is_awaited=False,
            )

    async def give_up(self, job: Job) -> None:
        message, _ = _message(job)
        language = await self._manager.language_of(message)
        text = texts.FAILED[language].format(number=job.entry.id)
        await _delivery(job, message, self._channels).show(notice(text, language))


class PrivateTurnHandler:
    """The asker's own answer beside a shared one; whatever goes wrong with it, nobody reads of it."""

    def __init__(self, manager: ConversationManager, channels: Mapping[str, Channel]) -> None:
        self._manager = manager
        self._channels = channels

    async def handle(self, job: Job) -> None:
        message, more = _message(job)
        reply = _delivery(job, message, self._channels, private=True)
        try:
            await self._manager.answer_in_private(message, more[_STANDALONE], reply)
        except (ChannelUnavailable, StateUnavailable, StoreUnavailable) as error:
            if time.time() - job.entry.accepted_at < _PRIVATE_PATIENCE_S:
                raise TryLater(_PRIVATE_PAUSE_S) from error
            log.warning("turn.private_reply_given_up", error=type(error).__name__)
        except LoanLost:
            raise
        except Exception:
            # Not tried again: nobody waits for it.
            log.exception("turn.private_reply_failed")

    async def give_up(self, job: Job) -> None:
        return None


def _message(job: Job) -> tuple[IncomingMessage, dict[str, str]]:
    try:
        return decode_message(job.entry.body)
    except ValueError as error:
        raise WrittenByAnotherVersion from error


def _delivery(
    job: Job, message: IncomingMessage, channels: Mapping[str, Channel], *, private: bool = False
) -> Delivery:
    return Delivery(
        channels[message.conversation.platform],
        message,
        private=private,
        posted=job.entry.posted,
        record=job.record,
    )
