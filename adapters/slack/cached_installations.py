"""Remembers for a minute where the app is installed, so that not every event asks."""

import time
from collections.abc import Callable, Sequence

from adapters.slack.installations import Installation, Installations

TTL_S = 60.0
"""Another process learns of a token that was taken back after so long; Slack refuses it at once."""


class CachedInstallations:
    """
    `Installations` in front of others.

    What is not installed is not remembered: it works from the moment in which it is.
    """

    def __init__(
        self,
        installations: Installations,
        *,
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._installations = installations
        self._ttl_s = ttl_s
        self._clock = clock
        self._found: dict[tuple[str, str], tuple[float, Installation]] = {}
        self._changes = 0

    async def find(self, enterprise: str, team: str) -> Installation | None:
        until, known = self._found.get((enterprise, team), (0.0, None))
        if known and self._clock() < until:
            return known
        changes = self._changes
        found = await self._installations.find(enterprise, team)
        # What was read before a change may be what it replaced.
        if found and changes == self._changes:
            self._found[enterprise, team] = (self._clock() + self._ttl_s, found)
        return found

    async def all(self) -> Sequence[Installation]:
        return await self._installations.all()

    async def save(self, installation: Installation) -> None:
        try:
            await self._installations.save(installation)
        finally:
            self._forget()

    async def remove(self, enterprise: str, team: str) -> None:
        try:
            await self._installations.remove(enterprise, team)
        finally:
            self._forget()

    def _forget(self) -> None:
        self._changes += 1
        self._found.clear()
