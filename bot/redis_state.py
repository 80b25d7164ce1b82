"""State on Redis 6.2 or newer: what conversations remember outlives the process."""

import hashlib
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, cast
from uuid import uuid4

from redis.asyncio import Redis

from bot.messages import Feedback, Session
from bot.redis_client import answered, run_script
from bot.redis_lock import RedisLocks
from bot.state import EVENT_TTL_S
from bot.state_json import decode_feedback, decode_session, encode_feedback, encode_session

T = TypeVar("T")

FEEDBACK_TTL_S = 400 * 86_400
"""Counted from the last feedback: long enough to compare a quarter with that of a year ago."""

# Both scripts bear being sent twice, which the client does when a reply is lost: the token tells
# a repetition from another event or another use.
_FIRST_SEEN = """
local by = redis.call('GET', KEYS[1])
if by then return by == ARGV[1] and 1 or 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""
# Refused uses count too, so only the latest *limit* can matter: the set stays small in a flood.
_ALLOW = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, per_ms = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms - per_ms)
redis.call('ZREM', KEYS[1], ARGV[1])
local used = redis.call('ZCARD', KEYS[1])
redis.call('ZADD', KEYS[1], now_ms, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -math.max(limit, 1) - 1)
redis.call('PEXPIRE', KEYS[1], per_ms)
return used < limit and 1 or 0
"""


class RedisState:
    """
    `State` under the keys `shifu:<tenant>:`.

    Args:
        redis: From `open_redis`; closed with this state.
        lock_ttl_s: A lock is free this long after its holder died.
        timeout_s: Longest time one operation may take, its repetitions included.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        tenant: str,
        session_ttl_s: int = 86_400,
        lock_wait_s: float = 120,
        lock_ttl_s: float = 10,
        timeout_s: float = 8,
    ) -> None:
        self._redis = redis
        self._prefix = f"shifu:{tenant}:"
        self._session_ttl_s = session_ttl_s
        self._timeout_s = timeout_s
        self._locks = RedisLocks(redis, wait_s=lock_wait_s, ttl_s=lock_ttl_s, timeout_s=timeout_s)

    async def first_seen(self, event_id: str) -> bool:
        # Platforms choose the ids; a digest keeps the key short whatever they send.
        key = self._key("seen", hashlib.sha256(event_id.encode()).hexdigest()[:32])
        return await self._run(_FIRST_SEEN, key, uuid4().hex, EVENT_TTL_S) == 1

    def lock(self, key: str) -> AbstractAsyncContextManager[None]:
        return self._locks.hold(self._key("lock", key))

    async def load_session(self, key: str) -> Session:
        text = await self._ask(self._redis.get(self._key("session", key)))
        return decode_session(str(text)) if text else Session()

    async def save_session(self, key: str, session: Session) -> None:
        name = self._key("session", key)
        await self._ask(self._redis.set(name, encode_session(session), ex=self._session_ttl_s))

    async def forget_session(self, key: str) -> None:
        await self._ask(self._redis.delete(self._key("session", key)))

    async def allow(self, key: str, *, limit: int, per_s: int) -> bool:
        name = self._key("uses", key)
        return await self._run(_ALLOW, name, uuid4().hex, limit, per_s * 1000) == 1

    async def save_feedback(self, feedback: Feedback) -> None:
        name, user = self._key("feedback"), feedback.user
        field = "\x1f".join([feedback.feedback_id, user.tenant, user.id])
        saved = self._redis.hset(name, field, encode_feedback(feedback))
        await self._ask(saved)
        await self._ask(self._redis.expire(name, FEEDBACK_TTL_S))

    async def feedback(self) -> list[Feedback]:
        listed = self._redis.hvals(self._key("feedback"))
        texts = await self._ask(cast(Awaitable[list[str]], listed))
        kept = [feedback for text in texts if (feedback := decode_feedback(text))]
        return sorted(kept, key=lambda feedback: feedback.at)

    async def ping(self) -> None:
        """Nothing, or `StateUnavailable`."""
        await self._ask(self._redis.ping())

    async def close(self) -> None:
        await self._redis.aclose()

    def _key(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)

    async def _ask(self, command: Awaitable[T]) -> T:
        return await answered(command, timeout_s=self._timeout_s)

    async def _run(self, script: str, key: str, *args: str | int) -> int:
        return await run_script(self._redis, script, key, *args, timeout_s=self._timeout_s)
