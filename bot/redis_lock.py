"""A lock on Redis that is renewed while it is held and frees itself soon after its holder died."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import structlog
from redis.asyncio import Redis

from bot.errors import StateUnavailable
from bot.redis_client import run_script

log = structlog.get_logger()

# The client repeats a command whose reply was lost, and nobody knows whether the first one ran:
# with the holder's token each script gives the same result when it is sent twice.
_ACQUIRE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

_FIRST_POLL_S, _LONGEST_POLL_S = 0.01, 0.2


class RedisLocks:
    """
    Named locks, one holder each.

    Within a process the first to come is the first served. Between processes, waiters ask again
    at random short intervals.

    Args:
        ttl_s: A lock is free this long after its holder died.
    """

    def __init__(self, redis: Redis, *, wait_s: float, ttl_s: float, timeout_s: float) -> None:
        self._redis = redis
        self._wait_s = wait_s
        self._ttl_s = ttl_s
        self._timeout_s = timeout_s
        self._queues: dict[str, _Queue] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """
        Hold *key* for as long as the body runs.

        Raises:
            TimeoutError: If it cannot be had in time.
            StateUnavailable: If Redis does not answer, or if the lock was lost meanwhile; the body
                is then cancelled, because somebody else may be at work.
        """
        token = uuid4().hex
        async with AsyncExitStack() as held:
            async with asyncio.timeout(self._wait_s):
                await held.enter_async_context(self._first_in_this_process(key))
                # Also when acquiring is cut short: the server may have granted it all the same.
                held.push_async_callback(self._release, key, token)
                await self._acquire(key, token)
            async with self._kept_alive(key, token):
                yield

    @asynccontextmanager
    async def _first_in_this_process(self, key: str) -> AsyncIterator[None]:
        queue = self._queues.setdefault(key, _Queue())
        queue.users += 1
        try:
            async with queue.lock:
                yield
        finally:
            queue.users -= 1
            if not queue.users:
                del self._queues[key]

    async def _acquire(self, key: str, token: str) -> None:
        poll_s = _FIRST_POLL_S
        while not await self._run(_ACQUIRE, key, token, self._ttl_ms):
            await asyncio.sleep(poll_s * random.uniform(0.5, 1.5))
            poll_s = min(poll_s * 1.5, _LONGEST_POLL_S)

    @asynccontextmanager
    async def _kept_alive(self, key: str, token: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(None) as holding:
                renewing = asyncio.create_task(self._renew(key, token, holding))
                try:
                    yield
                finally:
                    renewing.cancel()
                    await asyncio.gather(renewing, return_exceptions=True)
        except TimeoutError as error:
            if not holding.expired():
                raise
            log.warning("lock.lost", key=key)
            raise StateUnavailable("The lock on this conversation was lost; try again.") from error

    async def _renew(self, key: str, token: str, holding: asyncio.Timeout) -> None:
        """Keep the lock from expiring; end the holder's body once it may have."""
        now = asyncio.get_running_loop().time
        safe_until = now() + self._ttl_s
        while now() < safe_until:
            await asyncio.sleep(self._ttl_s / 3)
            asked_at = now()
            try:
                async with asyncio.timeout_at(safe_until):
                    if not await self._run(_RENEW, key, token, self._ttl_ms):
                        break
                safe_until = asked_at + self._ttl_s
            except (StateUnavailable, TimeoutError):
                continue
        holding.reschedule(now())

    async def _release(self, key: str, token: str) -> None:
        try:
            await self._run(_RELEASE, key, token)
        except StateUnavailable:
            # What the holder did is done; the lock expires by itself.
            log.warning("lock.not_released", key=key)

    @property
    def _ttl_ms(self) -> int:
        return max(1, round(self._ttl_s * 1000))

    async def _run(self, script: str, key: str, *args: str | int) -> int:
        return await run_script(self._redis, script, key, *args, timeout_s=self._timeout_s)


class _Queue:
    """Who waits for one lock in this process; forgotten with its last user."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
