"""A circuit breaker: while a server does not answer, nobody waits for it."""

import time


class CircuitBreaker:
    """
    Opens after some failures in a row; from then on one attempt is let through per pause, until one succeeds.

    An attempt that never comes back holds up no other: the next one is due a pause later.
    """

    def __init__(self, *, failures: int, pause_s: float) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._failures = 0
        self._next_attempt = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= self._limit

    def admits(self) -> bool:
        """Whether to try now; while open, a yes is this pause's only one."""
        if not self.is_open:
            return True
        now = time.monotonic()
        if now < self._next_attempt:
            return False
        self._next_attempt = now + self._pause_s
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        self._next_attempt = time.monotonic() + self._pause_s
