"""Jobs at set times: every replica puts what is due under the same id, so that it is done once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from cronsim import CronSim

from bot.errors import StateUnavailable
from bot.inbox import Inbox

log = structlog.get_logger()

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    A job that is due again and again.

    Attributes:
        kind: Which handler of the inbox does it; one at a time.
        cron: Five fields, in UTC, so that all replicas agree.
    """

    kind: str
    cron: str

    def next_after(self, moment: datetime) -> datetime:
        return next(CronSim(self.cron, moment.astimezone(UTC)))


class Scheduler:
    """Puts what is due into the inbox. A time at which no process ran, or Redis was away, is left out."""

    def __init__(
        self,
        inbox: Inbox,
        schedules: Sequence[Schedule],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._inbox = inbox
        self._schedules = schedules
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled; outlives any failure of Redis."""
        if self._schedules:
            last = self._clock()
            while True:
                due = min(schedule.next_after(last) for schedule in self._schedules)
                await asyncio.sleep(max(0.0, (due - self._clock()).total_seconds()))
                try:
                    await self.put_due(due)
                except StateUnavailable:
                    log.warning("schedule.inbox_unavailable")
                last = max(due, self._clock() - _MINUTE)

    async def put_due(self, due: datetime) -> None:
        """Everything that is due at that minute."""
        for schedule in self._schedules:
            if schedule.next_after(due - _MINUTE) == due:
                # The conversation is the kind: a job that still runs is not overtaken by the next.
                id = f"{schedule.kind}@{due:%Y-%m-%dT%H:%MZ}"
                line = f"job:{schedule.kind}"
                put = await self._inbox.put(id, line, schedule.kind, "", is_awaited=False)
                if put.is_new and put.ahead > 1:
                    # One runs and one waits: a third would do what the second does.
                    await self._inbox.stop(id, line)
                    log.warning("schedule.left_out", kind=schedule.kind)
                elif put.is_new:
                    log.info("schedule.due", kind=schedule.kind)
