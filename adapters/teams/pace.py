"""How fast we call Teams, so that it rarely has to say no."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

Windows = Sequence[tuple[int, float]]
"""How many calls in how many seconds, all of them at once."""

# Teams' own limits for one bot in one chat or channel; changes and deletions count as sends.
SENDS: Windows = ((7, 1.0), (8, 2.0), (60, 30.0), (1_800, 3_600.0))
ROSTERS: Windows = ((14, 1.0), (16, 2.0), (120, 30.0), (3_600, 3_600.0))

_TIDY_EVERY = 512


class TooFast(Exception):
    """
    The next turn is further away than anybody would wait.

    Attributes:
        after_s: How far.
    """

    def __init__(self, after_s: float) -> None:
        super().__init__(f"in {after_s:.0f} s")
        self.after_s = after_s


class Pace:
    """
    Gives the calls in one place their turns, in the order in which they ask.

    Known to this process alone: where several talk in one chat, Teams refuses and we try again.
    """

    def __init__(self, windows: Windows, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._windows = windows
        self._longest_s = max(seconds for _, seconds in windows)
        self._keep = max(calls for calls, _ in windows)
        self._clock = clock
        self._turns: dict[str, deque[float]] = {}
        self._taken = 0

    async def turn(self, place: str, *, patience_s: float) -> None:
        """
        Raises:
            TooFast: If the turn is not within *patience_s*; none is taken then.
        """
        wait_s = self.take(place, patience_s=patience_s)
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def take(self, place: str, *, patience_s: float) -> float:
        """As `turn`, returning in how many seconds it is instead of waiting."""
        now = self._clock()
        turns = self._turns.get(place) or deque(maxlen=self._keep)
        at = max(now, turns[-1]) if turns else now
        for calls, seconds in self._windows:
            if len(turns) >= calls:
                at = max(at, turns[-calls] + seconds)
        if at - now > patience_s:
            raise TooFast(at - now)
        turns.append(at)
        self._turns[place] = turns
        self._tidy(now)
        return at - now

    def _tidy(self, now: float) -> None:
        self._taken += 1
        if self._taken % _TIDY_EVERY == 0:
            quiet = [p for p, turns in self._turns.items() if turns[-1] < now - self._longest_s]
            for place in quiet:
                del self._turns[place]
