"""Ports for what a conversation must remember, with in-memory twins that define their behaviour."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from bot.messages import Feedback, Session


class State(Protocol):
    """
    What outlives a request. Every method raises `StateUnavailable` when the server does not answer.
    """

    async def first_seen(self, event_id: str) -> bool:
        """True once per event id, for as long as platforms redeliver."""
        ...

    def lock(self, key: str) -> AbstractAsyncContextManager[None]:
        """
        Hold a conversation: one turn at a time, first come first served within a process.

        Kept alive while held, however long; freed soon after its holder dies.
        Raises `TimeoutError` when it cannot be had in time.
        """
        ...

    async def load_session(self, key: str) -> Session:
        """An empty session for a key that is new, expired or forgotten."""
        ...

    async def save_session(self, key: str, session: Session) -> None:
        """Remember until idle for the time to live."""
        ...

    async def forget_session(self, key: str) -> None: ...

    async def allow(self, key: str, *, limit: int, per_s: int) -> bool:
        """Count one use of *key*; False when it is more than *limit* within *per_s* seconds."""
        ...

    async def save_feedback(self, feedback: Feedback) -> None:
        """Keep it; a person's later word on the same answer replaces the earlier one."""
        ...

    async def feedback(self) -> list[Feedback]: ...

    async def close(self) -> None: ...


EVENT_TTL_S = 3600
"""Platforms redeliver for minutes; an hour leaves room for a restart in between."""


class InMemoryState:
    """Lives and dies with the process."""

    def __init__(
        self,
        *,
        session_ttl_s: int = 86_400,
        lock_wait_s: float = 120,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session_ttl_s = session_ttl_s
        self._lock_wait_s = lock_wait_s
        self._clock = clock
        self._seen: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._sessions: dict[str, tuple[float, Session]] = {}
        self._uses: dict[str, list[float]] = {}
        self._feedback: dict[tuple[str, str, str], Feedback] = {}

    async def first_seen(self, event_id: str) -> bool:
        now = self._clock()
        self._seen = {i: at for i, at in self._seen.items() if now - at < EVENT_TTL_S}
        if event_id in self._seen:
            return False
        self._seen[event_id] = now
        return True

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with asyncio.timeout(self._lock_wait_s):
            await lock.acquire()
        try:
            yield
        finally:
            lock.release()

    async def load_session(self, key: str) -> Session:
        expires_at, session = self._sessions.get(key, (0.0, Session()))
        return session if self._clock() < expires_at else Session()

    async def save_session(self, key: str, session: Session) -> None:
        self._sessions[key] = (self._clock() + self._session_ttl_s, session)

    async def forget_session(self, key: str) -> None:
        self._sessions.pop(key, None)

    async def allow(self, key: str, *, limit: int, per_s: int) -> bool:
        now = self._clock()
        uses = [at for at in self._uses.get(key, []) if now - at < per_s]
        self._uses[key] = [*uses, now]
        return len(uses) < limit

    async def save_feedback(self, feedback: Feedback) -> None:
        key = (feedback.feedback_id, feedback.user.tenant, feedback.user.id)
        self._feedback[key] = feedback

    async def feedback(self) -> list[Feedback]:
        return sorted(self._feedback.values(), key=lambda f: f.at)

    async def close(self) -> None:
        return None
