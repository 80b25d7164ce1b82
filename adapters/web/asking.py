"""A question on its way: shown to all who read along, then accepted for good."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from adapters.web.channel import event_id
from adapters.web.message_log import MessageLogs
from adapters.web.messages import WebMessage
from bot.errors import StateUnavailable
from bot.messages import ConversationRef, IncomingMessage
from retrieval.types import Language

log = structlog.get_logger()

Accept = Callable[[IncomingMessage], Awaitable[None]]
"""Keeps a message until it is answered, the same event once; `StateUnavailable` when it cannot."""

Stop = Callable[[str, ConversationRef, Language], Awaitable[None]]
"""Ends the answering of the event called so, in its conversation, and says so."""

_PAUSE_S = 1.0


class Asking:
    """No question waits for an answer that nobody has promised."""

    def __init__(self, logs: MessageLogs, accept: Accept, stop: Stop) -> None:
        self._logs = logs
        self._accept = accept
        self._stop = stop
        self._retracting: dict[str, asyncio.Task[None]] = {}

    async def ask(self, question: WebMessage, locale: Language) -> None:
        """
        Once again does no harm, and mends what failed before.

        Raises:
            StateUnavailable: If the question could not be kept; asked again, it is answered.
        """
        if question.author is None:
            raise ValueError("nobody asks")
        if pending := self._retracting.pop(question.id, None):
            pending.cancel()
        is_accepted = False
        try:
            await self._logs.say(question)
            await self._accept(
                IncomingMessage(
                    event_id=event_id(question.id),
                    user=question.author,
                    conversation=question.conversation,
                    text=question.text,
                    sent_at=question.at,
                    locale=locale,
                )
            )
            is_accepted = True
        finally:
            if not is_accepted:
                self._retracting[question.id] = asyncio.create_task(self._retract(question))

    async def stop(self, question: WebMessage, locale: Language) -> None:
        await self._stop(event_id(question.id), question.conversation, locale)

    async def close(self) -> None:
        pending = list(self._retracting.values())
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=_PAUSE_S)

    async def _retract(self, question: WebMessage) -> None:
        """What could not be kept can often not be marked so either: until it can."""
        try:
            while True:
                try:
                    await self._logs.retract(question.conversation, question.id)
                    return
                except StateUnavailable:
                    log.warning("web.question_not_retracted", question=question.id)
                    await asyncio.sleep(_PAUSE_S)
        finally:
            if self._retracting.get(question.id) is asyncio.current_task():
                del self._retracting[question.id]
