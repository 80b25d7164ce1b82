"""The inbox port: what was accepted is handled in order, whoever dies; with the in-memory twin."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

SEEN_TTL_S = 3600
"""Platforms redeliver for minutes; an hour leaves room for a restart in between."""

DEAD_TTL_S = 30 * 86_400
"""What was given up holds what somebody wrote; who has not looked at it in a month will not."""


@dataclass(frozen=True, slots=True)
class Entry:
    """
    Something that was accepted and is not finished yet.

    Attributes:
        id: Equal for every delivery of the same event.
        conversation: What it must keep its order with.
        kind: Which handler it is for.
        accepted_at: Seconds since the epoch, by the inbox's clock.
        tries: How often it was taken, this time included and what was put back in peace left out.
        posted: Id of the message in which it is being answered, once there is one.
        is_awaited: Somebody waits for it, so it counts in the figures.
    """

    id: str
    conversation: str
    kind: str
    body: str
    accepted_at: float
    tries: int = 0
    posted: str | None = None
    is_awaited: bool = True


@dataclass(frozen=True, slots=True)
class Taken:
    """An entry on loan. Whoever takes it later gets a higher *fence*, and this loan is over."""

    entry: Entry
    fence: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """
    Attributes:
        is_new: False when the same event was put before.
        ahead: How many entries of its conversation come first.
        waiting: As in `QueueState`, this one included.
        oldest_age_s: As in `QueueState`.
    """

    is_new: bool
    ahead: int
    waiting: int
    oldest_age_s: float


@dataclass(frozen=True, slots=True)
class QueueState:
    """
    Attributes:
        waiting: Entries that somebody waits for and nobody works on.
        oldest_age_s: How long ago the first of them was accepted.
        unfinished: All entries, those at work included.
        dead: Those given up that nobody has decided about.
    """

    waiting: int
    oldest_age_s: float
    unfinished: int
    dead: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that was given up, why, and when (seconds since the epoch)."""

    entry: Entry
    reason: str
    buried_at: float


class Hold(StrEnum):
    """How a loan stands."""

    HELD = "held"
    STOPPED = "stopped"
    """Held, and somebody wants the work to end."""
    LOST = "lost"


class Inbox(Protocol):
    """
    Entries by conversation. One entry of a conversation is on loan at a time, the oldest first;
    a loan that is not renewed for *lease_s* is over, and the entry is taken anew.

    Every method raises `StateUnavailable` when the server does not answer.
    """

    @property
    def lease_s(self) -> float: ...

    async def put(
        self, id: str, conversation: str, kind: str, body: str, *, is_awaited: bool = True
    ) -> Accepted:
        """Durable on return. Putting the same id again within `SEEN_TTL_S` changes nothing."""
        ...

    async def take(self, *, wait_s: float) -> Taken | None:
        """The next entry that may be worked on; None when there is none after *wait_s*."""
        ...

    async def renew(self, taken: Taken) -> Hold: ...

    async def record(self, taken: Taken, posted: str) -> bool:
        """Note in which message the entry is answered, for whoever takes it next. False: loan over."""
        ...

    async def done(self, taken: Taken) -> bool:
        """Remove the entry; False when the loan is over, and somebody else does it again."""
        ...

    async def put_back(self, taken: Taken, *, after_s: float = 0, counts: bool = True) -> bool:
        """
        End the loan; the entry stays first in its conversation and may be taken *after_s* from now.

        Args:
            counts: False when it was not the entry's fault: this try is not counted.
        """
        ...

    async def bury(self, taken: Taken, reason: str) -> bool:
        """Move the entry to the dead letters, so that its conversation goes on without it."""
        ...

    async def stop(self, id: str, conversation: str) -> bool:
        """
        Nobody wants the entry any more: whoever works on it learns so from `renew`.

        True when nobody does: it is gone then, and the caller tells people.
        """
        ...

    async def state(self) -> QueueState: ...

    async def dead(self) -> list[DeadLetter]:
        """Latest first; none older than `DEAD_TTL_S`."""
        ...

    async def revive(self, id: str) -> bool:
        """Put a dead letter at the end of its conversation, as untried; False if there is none."""
        ...

    async def drop(self, id: str) -> bool:
        """Forget a dead letter; False if there is none."""
        ...

    async def close(self) -> None: ...


class InMemoryInbox:
    """The definition of an inbox's behaviour; lives and dies with the process."""

    def __init__(self, *, lease_s: float = 6, clock: Callable[[], float] = time.time) -> None:
        self._lease_s = lease_s
        self._clock = clock
        self._seen: dict[str, float] = {}
        self._entries: dict[str, deque[Entry]] = {}
        self._free_at: dict[str, float] = {}
        """When a conversation with entries may be taken: a time to come is a loan, or a pause."""
        self._holder: dict[str, int] = {}
        self._fence = 0
        self._stopped: set[str] = set()
        self._dead: dict[str, DeadLetter] = {}
        self._changed = asyncio.Event()

    @property
    def lease_s(self) -> float:
        return self._lease_s

    async def put(
        self, id: str, conversation: str, kind: str, body: str, *, is_awaited: bool = True
    ) -> Accepted:
        now = self._clock()
        self._seen = {i: at for i, at in self._seen.items() if now - at < SEEN_TTL_S}
        is_new = id not in self._seen
        if is_new:
            self._seen[id] = now
            self._append(Entry(id, conversation, kind, body, now, is_awaited=is_awaited))
        state = await self.state()
        ahead = len(self._entries.get(conversation, ())) - 1 if is_new else 0
        return Accepted(is_new, ahead, state.waiting, state.oldest_age_s)

    async def take(self, *, wait_s: float) -> Taken | None:
        if (taken := self._take()) is not None:
            return taken
        self._changed.clear()
        try:
            async with asyncio.timeout(min([wait_s, *self._pauses()])):
                await self._changed.wait()
        except TimeoutError:
            pass
        return self._take()

    async def renew(self, taken: Taken) -> Hold:
        if not self._holds(taken):
            return Hold.LOST
        self._free_at[taken.entry.conversation] = self._clock() + self._lease_s
        return Hold.STOPPED if taken.entry.id in self._stopped else Hold.HELD

    async def record(self, taken: Taken, posted: str) -> bool:
        if self._holds(taken):
            entries = self._entries[taken.entry.conversation]
            entries[0] = replace(entries[0], posted=posted)
            return True
        return False

    async def done(self, taken: Taken) -> bool:
        if not self._holds(taken):
            return False
        self._remove(taken)
        return True

    async def put_back(self, taken: Taken, *, after_s: float = 0, counts: bool = True) -> bool:
        if not self._holds(taken):
            return False
        conversation = taken.entry.conversation
        entries = self._entries[conversation]
        entries[0] = replace(entries[0], tries=entries[0].tries - (not counts))
        self._free(conversation, after_s)
        return True

    async def bury(self, taken: Taken, reason: str) -> bool:
        if not self._holds(taken):
            return False
        entry = self._remove(taken)
        self._dead[entry.id] = DeadLetter(entry, reason, self._clock())
        return True

    async def stop(self, id: str, conversation: str) -> bool:
        entries = self._entries.get(conversation, deque())
        entry = next((entry for entry in entries if entry.id == id), None)
        if entry is None:
            return False
        is_on_loan = conversation in self._holder and self._free_at[conversation] > self._clock()
        if entry is entries[0] and is_on_loan:
            self._stopped.add(id)
            return False
        if entry is entries[0]:
            self._holder.pop(conversation, None)
        entries.remove(entry)
        if not entries:
            del self._entries[conversation], self._free_at[conversation]
        return True

    async def state(self) -> QueueState:
        entries = [entry for line in self._entries.values() for entry in line]
        at_work = [self._entries[conversation][0] for conversation in self._holder]
        waiting = [e.accepted_at for e in entries if e.is_awaited and e not in at_work]
        oldest_age_s = max(0.0, self._clock() - min(waiting)) if waiting else 0.0
        return QueueState(len(waiting), oldest_age_s, len(entries), len(self._kept_dead()))

    async def dead(self) -> list[DeadLetter]:
        return sorted(self._kept_dead().values(), key=lambda letter: -letter.buried_at)

    async def revive(self, id: str) -> bool:
        letter = self._dead.pop(id, None)
        if letter is not None:
            self._append(replace(letter.entry, tries=0, accepted_at=self._clock()))
        return letter is not None

    async def drop(self, id: str) -> bool:
        return self._dead.pop(id, None) is not None

    async def close(self) -> None:
        return None

    def _kept_dead(self) -> dict[str, DeadLetter]:
        oldest = self._clock() - DEAD_TTL_S
        self._dead = {i: letter for i, letter in self._dead.items() if letter.buried_at > oldest}
        return self._dead

    def _append(self, entry: Entry) -> None:
        self._entries.setdefault(entry.conversation, deque()).append(entry)
        self._free_at.setdefault(entry.conversation, self._clock())
        self._changed.set()

    def _take(self) -> Taken | None:
        now = self._clock()
        free = [conversation for conversation, at in self._free_at.items() if at <= now]
        if not free:
            return None
        conversation = min(free, key=self._free_at.__getitem__)
        self._free_at[conversation] = now + self._lease_s
        self._fence += 1
        self._holder[conversation] = self._fence
        entries = self._entries[conversation]
        entries[0] = replace(entries[0], tries=entries[0].tries + 1)
        return Taken(entries[0], self._fence)

    def _holds(self, taken: Taken) -> bool:
        return self._holder.get(taken.entry.conversation) == taken.fence

    def _remove(self, taken: Taken) -> Entry:
        conversation = taken.entry.conversation
        entry = self._entries[conversation].popleft()
        self._stopped.discard(entry.id)
        self._free(conversation, 0)
        if not self._entries[conversation]:
            del self._entries[conversation], self._free_at[conversation]
        return entry

    def _free(self, conversation: str, after_s: float) -> None:
        self._holder.pop(conversation, None)
        self._free_at[conversation] = self._clock() + after_s
        self._changed.set()

    def _pauses(self) -> list[float]:
        now = self._clock()
        return [max(0.0, at - now) for at in self._free_at.values()]
