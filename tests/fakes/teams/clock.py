"""The clock of Teams: the real one, which a test may push forward."""

import time
from datetime import UTC, datetime


class Clock:
    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._last_id = 0

    def now(self) -> float:
        return time.time() + self._ahead_s

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds

    def next_id(self) -> str:
        """A message's id: its time in milliseconds, and unlike every other one."""
        self._last_id = max(int(self.now() * 1_000), self._last_id + 1)
        return str(self._last_id)


def stamp(seconds: float) -> str:
    """As activities and Graph write a time."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1_000:03d}Z"
