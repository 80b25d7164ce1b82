"""Slack's clock: the real one, which a test may push forward."""

import time


class Clock:
    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._last_ts = 0

    def now(self) -> float:
        return time.time() + self._ahead_s

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds

    def next_ts(self) -> str:
        """A message's `ts`: its time, and unlike every other one."""
        micros = max(int(self.now() * 1_000_000), self._last_ts + 1)
        self._last_ts = micros
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"
