"""Work beside the answers that nobody's acknowledgement waits for: finished at the end, never lost sight of."""

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from retrieval.errors import ShifuError

log = structlog.get_logger()

_DRAIN_S = 5.0
_LIMIT_S = 30.0


class Background:
    """
    Args:
        failures: What the platform's client raises.
        what_failed: Such a failure in words, without anything that is private or secret.
    """

    def __init__(
        self,
        failures: tuple[type[Exception], ...],
        what_failed: Callable[[BaseException], str],
    ) -> None:
        self._failures = failures
        self._what_failed = what_failed
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[object, object, None], *, name: str) -> None:
        task = asyncio.create_task(self._run(work, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=_DRAIN_S)
            for task in late:
                task.cancel()

    async def _run(self, work: Coroutine[object, object, None], name: str) -> None:
        try:
            async with asyncio.timeout(_LIMIT_S):
                await work
        except self._failures as error:
            log.warning("chat.background_failed", work=name, reason=self._what_failed(error))
        except ShifuError as error:
            log.warning("chat.background_failed", work=name, error=type(error).__name__)
        except Exception:
            log.exception("chat.background_failed", work=name)
