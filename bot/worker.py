"""Takes entries from the inbox and has them handled: loans kept alive, failures tried again, poison buried."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Protocol

import structlog
from structlog.contextvars import bound_contextvars

from bot.errors import (
    ChannelUnavailable,
    LoanLost,
    StateUnavailable,
    TryLater,
    WrittenByAnotherVersion,
)
from bot.inbox import Entry, Hold, Inbox, Taken
from retrieval.errors import ShifuError

log = structlog.get_logger()

_RENEWALS_PER_LEASE = 6
_LONGEST_PAUSE_S = 30.0
_NO_SLOT_PAUSE_S = 0.5
_OUTAGE_S, _OUTAGE_PAUSE_S = 600.0, 1.0
"""Within this time a platform or a Redis that is away is no failure of the entry."""
_OTHER_VERSION_S, _OTHER_VERSION_PAUSE_S = 3600.0, 5.0
"""How long what only another version can read is left to its workers, as in a rolling restart."""


class Job:
    """
    An entry on loan, as its handler sees it.

    Attributes:
        is_stopped: Somebody wants no more of it; the handler is being cancelled for that reason.
    """

    def __init__(self, inbox: Inbox, taken: Taken) -> None:
        self._inbox = inbox
        self.taken = taken
        self.is_stopped = False
        self.is_lost = False

    @property
    def entry(self) -> Entry:
        return self.taken.entry

    async def record(self, posted: str) -> None:
        """
        Raises:
            LoanLost: If the entry is no longer ours.
        """
        if not await self._inbox.record(self.taken, posted):
            raise LoanLost


class Handler(Protocol):
    """
    Does one kind of entries. It may be called again for the same entry after a crash.

    `handle` may raise `TryLater`, `WrittenByAnotherVersion`, and for a while that something is
    unavailable; anything else it raises counts as a failed try. It is cancelled when the loan is
    lost, when the worker stops, and when the work is no longer wanted.
    """

    async def handle(self, job: Job) -> None: ...

    async def give_up(self, job: Job) -> None:
        """Tell whoever waits for it; the entry goes to the dead letters."""
        ...


class Worker:
    """
    Any number of workers share an inbox, in one process or in many.

    Args:
        slots: Entries at work at once in this worker that somebody waits for. The others have a
            quarter as many of their own: how long a private answer takes must not show in
            anybody else's.
        max_tries: After so many failed tries, or deaths of a worker, an entry is given up.
    """

    def __init__(
        self,
        inbox: Inbox,
        handlers: Mapping[str, Handler],
        *,
        slots: int = 100,
        max_tries: int = 5,
        idle_wait_s: float = 1.0,
    ) -> None:
        self._inbox = inbox
        self._handlers = handlers
        self._slots = asyncio.Semaphore(slots)
        self._background_slots = asyncio.Semaphore(max(1, slots // 4))
        self._max_tries = max_tries
        self._idle_wait_s = idle_wait_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self._has_ended = asyncio.Event()
        self._has_ended.set()

    async def run(self) -> None:
        """Until `stop`; outlives any failure of Redis."""
        self._has_ended.clear()
        try:
            while not self._is_stopping:
                await self._slots.acquire()
                taken = None if self._is_stopping else await self._take()
                if taken is None:
                    self._slots.release()
                elif taken.entry.is_awaited and not self._is_stopping:
                    self._begin(taken, self._slots)
                else:
                    self._slots.release()
                    await self._take_on_beside(taken)
        finally:
            self._has_ended.set()

    async def stop(self, *, within_s: float) -> None:
        """Take nothing more; let what is at work finish, and put back what does not in time."""
        self._is_stopping = True
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=within_s)
            for task in late:
                task.cancel()
            if late:
                log.info("worker.put_back", entries=len(late))
                await asyncio.wait(late, timeout=self._inbox.lease_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._inbox.lease_s):
                await self._has_ended.wait()

    async def _take_on_beside(self, taken: Taken) -> None:
        """What nobody waits for, if there is a slot for it."""
        if self._is_stopping or self._background_slots.locked():
            await self._put_back(taken, after_s=0 if self._is_stopping else _NO_SLOT_PAUSE_S)
        else:
            await self._background_slots.acquire()
            self._begin(taken, self._background_slots)

    def _begin(self, taken: Taken, slots: asyncio.Semaphore) -> None:
        def end(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            slots.release()

        task = asyncio.create_task(self._work(taken))
        self._tasks.add(task)
        task.add_done_callback(end)

    async def _take(self) -> Taken | None:
        try:
            return await self._inbox.take(wait_s=self._idle_wait_s)
        except StateUnavailable:
            log.warning("worker.inbox_unavailable")
            await asyncio.sleep(self._idle_wait_s / 2)
            return None

    async def _work(self, taken: Taken) -> None:
        entry = taken.entry
        with bound_contextvars(
            kind=entry.kind, conversation=entry.conversation, entry=entry.id, tries=entry.tries
        ):
            handler = self._handlers.get(entry.kind)
            if handler is None:
                await self._leave_to_another_version(taken)
            elif entry.tries > self._max_tries:
                await self._give_up(handler, taken, "its worker died each time")
            else:
                await self._try(handler, taken)

    async def _try(self, handler: Handler, taken: Taken) -> None:
        job = Job(self._inbox, taken)
        failure = await self._outcome(handler.handle(job), job)
        if failure is None:
            await self._settle(lambda: self._inbox.done(taken))
        elif job.is_lost or isinstance(failure, LoanLost):
            log.warning("worker.loan_lost")
        elif isinstance(failure, WrittenByAnotherVersion):
            await self._leave_to_another_version(taken)
        elif isinstance(failure, TryLater):
            await self._put_back(taken, after_s=failure.after_s)
        elif isinstance(failure, asyncio.CancelledError):
            await self._put_back(taken, after_s=0)
        elif isinstance(failure, StateUnavailable) and _age_s(taken) < _OUTAGE_S:
            log.warning("worker.waits", **_told(failure))
            await self._put_back(taken, after_s=_OUTAGE_PAUSE_S)
        elif isinstance(failure, ChannelUnavailable) and _age_s(taken) < _OUTAGE_S:
            pause_s = _channel_pause_s(failure, _age_s(taken))
            log.warning("worker.waits", after_s=round(pause_s, 1), **_told(failure))
            await self._put_back(taken, after_s=pause_s)
        elif taken.entry.tries >= self._max_tries:
            log.error("worker.failed", **_told(failure))
            await self._give_up(handler, taken, type(failure).__name__)
        else:
            log.warning("worker.failed", **_told(failure))
            pause_s = min(2.0 ** (taken.entry.tries - 1), _LONGEST_PAUSE_S)
            await self._settle(lambda: self._inbox.put_back(taken, after_s=pause_s))

    async def _leave_to_another_version(self, taken: Taken) -> None:
        if _age_s(taken) < _OTHER_VERSION_S:
            log.warning("worker.written_by_another_version")
            await self._put_back(taken, after_s=_OTHER_VERSION_PAUSE_S)
        else:
            reason = "written by another version of Shifu, of which none runs"
            log.error("worker.buried", reason=reason)
            await self._settle(lambda: self._inbox.bury(taken, reason))

    async def _put_back(self, taken: Taken, *, after_s: float) -> None:
        """In peace: this try is not counted."""
        await self._settle(lambda: self._inbox.put_back(taken, after_s=after_s, counts=False))

    async def _give_up(self, handler: Handler, taken: Taken, reason: str) -> None:
        log.error("worker.buried", reason=reason)
        job = Job(self._inbox, taken)
        failure = await self._outcome(handler.give_up(job), job)
        if isinstance(failure, asyncio.CancelledError):
            await self._put_back(taken, after_s=0)
            return
        if failure is not None:
            log.warning("worker.could_not_tell", **_told(failure))
        await self._settle(lambda: self._inbox.bury(taken, reason))

    async def _outcome(self, work: Awaitable[None], job: Job) -> BaseException | None:
        """What *work* failed of, with the loan kept alive meanwhile."""
        working = asyncio.ensure_future(work)
        keeping = asyncio.create_task(self._keep(job, working))
        try:
            await working
        except (Exception, asyncio.CancelledError) as failure:
            return failure
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        return None

    async def _keep(self, job: Job, working: "asyncio.Future[None]") -> None:
        """Renew the loan; end the work once it may be over, or is not wanted."""
        now = asyncio.get_running_loop().time
        lease_s = self._inbox.lease_s
        safe_until = now() + lease_s
        while now() < safe_until:
            await asyncio.sleep(lease_s / _RENEWALS_PER_LEASE)
            asked_at = now()
            try:
                async with asyncio.timeout_at(safe_until):
                    hold = await self._inbox.renew(job.taken)
            except (StateUnavailable, TimeoutError):
                continue
            if hold is Hold.LOST:
                break
            safe_until = asked_at + lease_s
            if hold is Hold.STOPPED and not job.is_stopped:
                job.is_stopped = True
                working.cancel()
        job.is_lost = True
        working.cancel()

    async def _settle(self, settle: Callable[[], Awaitable[bool]]) -> None:
        """Redis may be restarting: ask until the loan is over anyway, and somebody else takes over."""
        deadline = asyncio.get_running_loop().time() + self._inbox.lease_s
        while True:
            try:
                if not await settle():
                    log.warning("worker.loan_lost")
                return
            except StateUnavailable:
                if asyncio.get_running_loop().time() > deadline:
                    log.warning("worker.not_settled")
                    return
                await asyncio.sleep(0.2)


def _channel_pause_s(failure: ChannelUnavailable, age_s: float) -> float:
    """Longer each time, since each costs a whole answer; never past the time for an outage."""
    pause_s = max(_OUTAGE_PAUSE_S, age_s / 2, failure.after_s or 0.0)
    return min(pause_s, _LONGEST_PAUSE_S if failure.after_s is None else _OUTAGE_S)


def _age_s(taken: Taken) -> float:
    return time.time() - taken.entry.accepted_at


def _told(failure: BaseException) -> dict[str, object]:
    """For the log: what is foreseen by its name, what is not with its traceback."""
    if isinstance(failure, ShifuError):
        return {"error": type(failure).__name__}
    return {"exc_info": failure}
