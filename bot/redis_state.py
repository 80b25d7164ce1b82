"""State on Redis 6.2 or newer: what conversations remember outlives the process."""

from collections.abc import Awaitable
from typing import TypeVar, cast
from uuid import uuid4

from bot.messages import Feedback, Session
from bot.redis_client import RedisClient, answered, close_redis, run_script
from bot.state_json import decode_feedback, decode_session, encode_feedback, encode_session

T = TypeVar("T")

FEEDBACK_TTL_S = 400 * 86_400
"""Counted from the last feedback: long enough to compare a quarter with that of a year ago."""

# It bears being sent twice, which the client does when a reply is lost: the token tells a
# repetition from another use.
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
        timeout_s: Longest time one operation may take, its repetitions included.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        tenant: str,
        session_ttl_s: int = 86_400,
        timeout_s: float = 8,
    ) -> None:
        self._redis = redis
        self._prefix = f"shifu:{tenant}:"
        self._session_ttl_s = session_ttl_s
        self._timeout_s = timeout_s

    async def load_session(self, key: str) -> Session:
        text = await self._ask(self._redis.get(self._key("session", key)))
        return decode_session(str(text)) if text else Session()

    async def save_session(self, key: str, session: Session) -> None:
        name = self._key("session", key)
        await self._ask(self._redis.set(name, encode_session(session), ex=self._session_ttl_s))

    async def forget_session(self, key: str) -> None:
        await self._ask(self._redis.delete(self._key("session", key)))

    async def allow(self, key: str, *, limit: int, per_s: int) -> bool:
        args = (uuid4().hex, limit, per_s * 1000)
        is_within: int = await run_script(
            self._redis, _ALLOW, [self._key("uses", key)], *args, timeout_s=self._timeout_s
        )
        return is_within == 1

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
        await close_redis(self._redis)

    def _key(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)

    async def _ask(self, command: Awaitable[T]) -> T:
        return await answered(command, timeout_s=self._timeout_s)
