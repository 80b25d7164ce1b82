"""The turns that run behind the page: started at once, stopped on request, drained at shutdown."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from adapters.web.channel import WebChannel, WebTurn
from adapters.web.texts import text
from bot.channel import Channel
from bot.messages import ConversationRef, Reply, ReplyKind, UserRef
from retrieval.types import Language

log = structlog.get_logger()

Work = Callable[[Channel], Awaitable[None]]


@dataclass(slots=True)
class _Running:
    task: asyncio.Task[None]
    user: UserRef
    is_stopped: bool = False


class Turns:
    """One turn per question; nothing that it posted stays half said, however it ends."""

    def __init__(self, channel: WebChannel, *, deadline_s: float) -> None:
        self._channel = channel
        self._deadline_s = deadline_s
        self._running: dict[str, _Running] = {}

    def start(
        self,
        message_id: str,
        user: UserRef,
        conversation: ConversationRef,
        language: Language,
        work: Work,
    ) -> None:
        """*message_id*: the message that the work answers; it is closed at the end."""
        task = asyncio.create_task(self._run(message_id, conversation, language, work))
        self._running[message_id] = _Running(task, user)
        task.add_done_callback(lambda _: self._running.pop(message_id, None))

    def stop(self, message_id: str, user: UserRef) -> bool:
        """True when *user*'s own turn was running and is being stopped."""
        running = self._running.get(message_id)
        if running is None or running.user != user:
            return False
        running.is_stopped = True
        running.task.cancel()
        return True

    async def drain(self, *, within_s: float) -> None:
        """Let turns finish; those that do not say so in their place."""
        tasks = [running.task for running in self._running.values()]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=within_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=5)

    async def _run(
        self, message_id: str, conversation: ConversationRef, language: Language, work: Work
    ) -> None:
        turn = WebTurn(self._channel, answers=message_id)
        instead, notice = text("failed", language), text("failed", language)
        try:
            async with asyncio.timeout(self._deadline_s):
                await work(turn)
        except asyncio.CancelledError:
            # By `stop` or `drain`; this is the end of the task, so nothing is swallowed.
            running = self._running.get(message_id)
            is_stopped = running is not None and running.is_stopped
            instead = text("stopped" if is_stopped else "interrupted", language)
            notice = text("stopped_early" if is_stopped else "interrupted", language)
            if not turn.has_posted:
                await turn.post(Reply(ReplyKind.NOTICE, instead, language), conversation)
        except Exception:
            log.exception("web.turn_failed", conversation=conversation.key)
            if not turn.has_posted:
                await turn.post(Reply(ReplyKind.NOTICE, instead, language), conversation)
        finally:
            await turn.settle(language, instead=instead, notice=notice)
            self._channel.end_turn(conversation, message_id)
