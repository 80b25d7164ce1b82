"""Everything that can go wrong on request: errors, slowness, rate limits, outages and missing methods."""

import math
from collections import defaultdict, deque
from dataclasses import dataclass

from tests.fakes.slack.clock import Clock


@dataclass(slots=True)
class Fault:
    times: int
    status: int | None = None
    error: str | None = None
    delay_s: float = 0.0
    late_s: float = 0.0
    """Slack does what it was asked at once, and the answer is on its way for so long."""
    drops_answer: bool = False
    """Slack does what it was asked, and the connection breaks before the answer."""
    retry_after_s: int | None = None


@dataclass(slots=True)
class _Window:
    per_minute: int
    retry_after_s: int | None
    used: dict[str, deque[float]]


class Faults:
    """Per method; `*` is every method."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queued: dict[str, deque[Fault]] = defaultdict(deque)
        self._windows: dict[str, _Window] = {}
        self.missing: set[str] = set()
        self.is_down = False
        self.has_tight_history = False
        """15 messages and one call a minute for history and replies."""

    def queue(self, method: str, fault: Fault) -> None:
        self._queued[method].append(fault)

    def clear(self) -> None:
        self._queued.clear()
        self._windows.clear()
        self.missing.clear()
        self.is_down = self.has_tight_history = False

    def next(self, method: str) -> Fault | None:
        for name in (method, "*"):
            queue = self._queued[name]
            if queue:
                queue[0].times -= 1
                return queue.popleft() if queue[0].times <= 0 else queue[0]
        return None

    def limit(self, method: str, per_minute: int, retry_after_s: int | None = None) -> None:
        self._windows[method] = _Window(per_minute, retry_after_s, defaultdict(deque))

    def unlimit(self, method: str) -> None:
        self._windows.pop(method, None)

    def retry_after_s(self, method: str, workspace: str) -> int | None:
        """Count a call; the seconds to wait if it is one too many."""
        window = self._windows.get(method)
        if window is None:
            return None
        now, used = self._clock.now(), window.used[workspace]
        while used and used[0] <= now - 60:
            used.popleft()
        if len(used) < window.per_minute:
            used.append(now)
            return None
        if window.retry_after_s is not None:
            return window.retry_after_s
        return max(1, math.ceil(used[0] + 60 - now))
