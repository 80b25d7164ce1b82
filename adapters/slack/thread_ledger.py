"""What is known of the threads in indexed channels, port and in-memory twin: which there are, and when they changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol


class Visibility(StrEnum):
    """Who reads a channel that is indexed."""

    PUBLIC = "public"
    """Its members, and every employee: it can be joined and read back."""
    MEMBERS = "members"


@dataclass(frozen=True, slots=True)
class Standing:
    """
    Attributes:
        visibility: None: the channel is not indexed.
        epoch: Goes up whenever rights may have shrunk; what was found out before does not count then.
    """

    visibility: Visibility | None = None
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Touched:
    """
    Attributes:
        is_listed: The thread is in the ledger now.
    """

    is_listed: bool
    visibility: Visibility | None


@dataclass(frozen=True, slots=True)
class Backfill:
    """
    How far one pass through a channel's history has come, newest first.

    Attributes:
        known_by: The latest change that was known when the pass began.
        before: `ts` down to which all has been read; empty at the beginning.
        threads: How many were found.
        at: Seconds since the epoch of the latest progress.
    """

    known_by: int = 0
    before: str = ""
    pages: int = 0
    threads: int = 0
    is_done: bool = False
    at: float = 0.0


DROPPED_KEPT_US = 7 * 86_400 * 1_000_000
"""Slack tells of nothing that is older than some minutes; a week leaves room for a long outage of ours."""


class ThreadLedger(Protocol):
    """
    Per channel (`<home>/<C…>`) the `ts` of threads' first messages, each with the moment of the latest
    change that is known, in microseconds since the epoch by Slack's clock.

    Moments only grow, so that events may come twice and in any order: what a thread holds is read from
    Slack after its moment became known, and has every change up to then in it.

    Every method raises `StateUnavailable` when the server does not answer.
    """

    async def touch(
        self, channel: str, root: str, at: int, *, is_new: bool, is_shorter: bool = False
    ) -> Touched:
        """
        Something in the thread changed *at* that moment.

        Args:
            is_new: List the thread if it is not; else only one that is listed is touched.
            is_shorter: Something was deleted: what was read before that moment may not be shown.
        """
        ...

    async def found(self, channel: str, changed_at: Mapping[str, int]) -> None:
        """`touch` for many threads at once."""
        ...

    async def drop(self, channel: str, root: str, *, by: int, for_good: bool) -> None:
        """
        Take the thread off the list, unless it changed after *by*.

        Args:
            for_good: Whatever happened up to *by* and is told later does not list it again. The thread
                would come back with the very moment under which it was written, and so pass for unchanged.
        """
        ...

    async def threads(self, channel: str) -> dict[str, int]: ...

    async def shortened(self, channel: str) -> dict[str, int]:
        """Of the threads that something was deleted from, the moment of the latest deletion."""
        ...

    async def standing(self, channel: str) -> Standing: ...

    async def narrow(self, channel: str) -> None:
        """From now on for members alone, until somebody finds out anew."""
        ...

    async def set_visibility(self, channel: str, visibility: Visibility, *, epoch: int) -> bool:
        """False, and nothing is changed, if rights may have shrunk since *epoch*."""
        ...

    async def forget(self, channel: str) -> None:
        """It is not indexed any more: nothing of it is listed."""
        ...

    async def backfill(self, channel: str) -> Backfill | None: ...

    async def save_backfill(self, channel: str, backfill: Backfill) -> None: ...

    async def channels(self) -> list[str]:
        """Those that are indexed."""
        ...


class InMemoryThreadLedger:
    """Lives and dies with the process."""

    def __init__(self) -> None:
        self._threads: dict[str, dict[str, int]] = {}
        self._shortened: dict[str, dict[str, int]] = {}
        self._dropped: dict[str, dict[str, int]] = {}
        self._standing: dict[str, Standing] = {}
        self._backfill: dict[str, Backfill] = {}

    async def touch(
        self, channel: str, root: str, at: int, *, is_new: bool, is_shorter: bool = False
    ) -> Touched:
        threads = self._threads.setdefault(channel, {})
        is_over = at <= self._dropped.get(channel, {}).get(root, -1)
        if (is_new and not is_over) or root in threads:
            threads[root] = max(at, threads.get(root, at))
            if is_shorter:
                shortened = self._shortened.setdefault(channel, {})
                shortened[root] = max(at, shortened.get(root, at))
        return Touched(root in threads, (await self.standing(channel)).visibility)

    async def found(self, channel: str, changed_at: Mapping[str, int]) -> None:
        for root, at in changed_at.items():
            await self.touch(channel, root, at, is_new=True)

    async def drop(self, channel: str, root: str, *, by: int, for_good: bool) -> None:
        threads = self._threads.get(channel, {})
        if for_good:
            dropped = self._dropped.setdefault(channel, {})
            dropped[root] = max(by, dropped.get(root, by))
            self._dropped[channel] = {
                one: at for one, at in dropped.items() if at > by - DROPPED_KEPT_US
            }
        if root in threads and threads[root] <= by:
            del threads[root]
            self._shortened.get(channel, {}).pop(root, None)

    async def threads(self, channel: str) -> dict[str, int]:
        return dict(self._threads.get(channel, {}))

    async def shortened(self, channel: str) -> dict[str, int]:
        return dict(self._shortened.get(channel, {}))

    async def standing(self, channel: str) -> Standing:
        return self._standing.get(channel, Standing())

    async def narrow(self, channel: str) -> None:
        before = await self.standing(channel)
        narrowed = before.visibility and Visibility.MEMBERS
        self._standing[channel] = Standing(narrowed, before.epoch + 1)

    async def set_visibility(self, channel: str, visibility: Visibility, *, epoch: int) -> bool:
        before = await self.standing(channel)
        if before.epoch != epoch:
            return False
        self._standing[channel] = replace(before, visibility=visibility)
        return True

    async def forget(self, channel: str) -> None:
        self._standing[channel] = Standing(None, (await self.standing(channel)).epoch + 1)
        self._threads.pop(channel, None)
        self._shortened.pop(channel, None)
        self._dropped.pop(channel, None)
        self._backfill.pop(channel, None)

    async def backfill(self, channel: str) -> Backfill | None:
        return self._backfill.get(channel)

    async def save_backfill(self, channel: str, backfill: Backfill) -> None:
        self._backfill[channel] = backfill

    async def channels(self) -> list[str]:
        return sorted(channel for channel, s in self._standing.items() if s.visibility)
