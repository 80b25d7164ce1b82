"""Everything that can go wrong on request: errors, slowness, rate limits and outages."""

import math
from collections import defaultdict, deque
from dataclasses import dataclass

from tests.fakes.teams.clock import Clock
from tests.fakes.teams.world import Json


@dataclass(slots=True)
class Fault:
    times: int
    status: int | None = None
    code: str = ""
    message: str = ""
    raw: str | None = None
    """The whole answer, in place of Teams' own shape."""
    retry_after_s: float | None = None
    delay_s: float = 0.0
    late_s: float = 0.0
    """Teams does what it was asked at once, and the answer is on its way for so long."""
    drops_answer: bool = False
    """Teams does what it was asked, and the connection breaks before the answer."""
    after: int = 0
    """So many calls go well first."""


@dataclass(slots=True)
class _Limit:
    windows: tuple[tuple[int, float], ...]
    retry_after_s: float | None
    used: dict[str, deque[float]]


class Faults:
    """By the names that a call answers to, the most particular first; `*` is every call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queued: dict[str, deque[Fault]] = defaultdict(deque)
        self._limits: dict[str, _Limit] = {}
        self.down: set[str] = set()
        """`connector`, `graph`, `login` and `keys`, as far as they are away."""

    def queue(self, name: str, fault: Fault) -> None:
        self._queued[name].append(fault)

    def clear(self) -> None:
        self._queued.clear()
        self._limits.clear()
        self.down.clear()

    def next(self, names: tuple[str, ...]) -> Fault | None:
        for name in names:
            queue = self._queued[name]
            if not queue:
                continue
            if queue[0].after > 0:
                queue[0].after -= 1
                continue
            queue[0].times -= 1
            return queue.popleft() if queue[0].times <= 0 else queue[0]
        return None

    def limit(
        self, name: str, windows: tuple[tuple[int, float], ...], retry_after_s: float | None
    ) -> None:
        self._limits[name] = _Limit(windows, retry_after_s, defaultdict(deque))

    def retry_after_s(self, names: tuple[str, ...], key: str) -> float | None:
        """Count a call; the seconds to wait if it is one too many."""
        for name in names:
            limit = self._limits.get(name)
            if limit is None:
                continue
            now, used = self._clock.now(), limit.used[key]
            longest = max(seconds for _, seconds in limit.windows)
            while used and used[0] <= now - longest:
                used.popleft()
            for count, seconds in limit.windows:
                recent = [at for at in used if at > now - seconds]
                if len(recent) >= count:
                    wait_s = max(1, math.ceil(recent[0] + seconds - now))
                    return wait_s if limit.retry_after_s is None else limit.retry_after_s
            used.append(now)
            return None
        return None


def problem_body(fault: Fault) -> Json:
    codes = {429: "TooManyRequests", 412: "PreconditionFailed", 403: "Forbidden", 404: "NotFound"}
    code = fault.code or codes.get(fault.status or 500, "ServiceError")
    return {"error": {"code": code, "message": fault.message or code}}
