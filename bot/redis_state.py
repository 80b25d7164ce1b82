"""State on Redis 6.2 or newer: what conversations remember outlives the process."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, cast
from uuid import uuid4

from bot.messages import Feedback, Preferences, Session, UserRef
from bot.redis_client import RedisClient, answered, close_redis, run_script
from bot.state_json import (
    decode_feedback,
    decode_preferences,
    decode_session,
    encode_feedback,
    encode_preferences,
    encode_session,
)

T = TypeVar("T")

FEEDBACK_TTL_S = 400 * 86_400
"""Counted from the last feedback: long enough to compare a quarter with that of a year ago."""

PREFERENCES_TTL_S = 400 * 86_400
"""Counted from the last change: somebody who has left is forgotten some day."""

_CHECK_TTL_S = 60

# A little longer than the sessions that it lists.
_NOTE_SESSION = """
local now = tonumber(redis.call('TIME')[1])
local kept_s = tonumber(ARGV[2]) + 60
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - kept_s)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('EXPIRE', KEYS[1], kept_s)
"""

# It bears being sent twice, which the client does when a reply is lost: the token tells a
# repetition from another use.
# Refused uses do not count: whoever goes on at a steady rate still gets what is allowed of it.
_ALLOW = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, per_ms = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms - per_ms)
redis.call('ZREM', KEYS[1], ARGV[1])
local used = redis.call('ZCARD', KEYS[1])
if used >= limit then return 0 end
redis.call('ZADD', KEYS[1], now_ms, ARGV[1])
redis.call('PEXPIRE', KEYS[1], per_ms)
return 1
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
        # First the lists that it is found by: nothing is kept that its asker could not have forgotten.
        askers = {turn.asker for turn in session.turns if turn.asker is not None}
        await asyncio.gather(*(self._note_session(asker, key) for asker in askers))
        name = self._key("session", key)
        await self._ask(self._redis.set(name, encode_session(session), ex=self._session_ttl_s))

    async def forget_session(self, key: str) -> None:
        await self._ask(self._redis.delete(self._key("session", key)))

    async def sessions_of(self, user: UserRef) -> list[str]:
        listed = self._redis.zrange(self._key("sessions-of", user.key), 0, -1)
        return [str(key) for key in await self._ask(listed)]

    async def preferences(self, user: UserRef) -> Preferences:
        text = await self._ask(self._redis.get(self._key("preferences", user.key)))
        return decode_preferences(str(text)) if text else Preferences()

    async def save_preferences(self, user: UserRef, preferences: Preferences) -> None:
        name = self._key("preferences", user.key)
        if preferences == Preferences():
            await self._ask(self._redis.delete(name))
        else:
            text = encode_preferences(preferences)
            await self._ask(self._redis.set(name, text, ex=PREFERENCES_TTL_S))

    async def allow(self, key: str, *, limit: int, per_s: int) -> bool:
        args = (uuid4().hex, limit, per_s * 1000)
        is_within: int = await run_script(
            self._redis, _ALLOW, [self._key("uses", key)], *args, timeout_s=self._timeout_s
        )
        return is_within == 1

    async def save_feedback(self, feedback: Feedback) -> None:
        name = self._key("feedback")
        saved = self._redis.hset(name, _field(feedback), encode_feedback(feedback))
        await self._ask(saved)
        await self._ask(self._redis.expire(name, FEEDBACK_TTL_S))

    async def feedback(self) -> list[Feedback]:
        listed = self._redis.hvals(self._key("feedback"))
        texts = await self._ask(cast(Awaitable[list[str]], listed))
        kept = [feedback for text in texts if (feedback := decode_feedback(text))]
        return sorted(kept, key=lambda feedback: feedback.at)

    async def forget_feedback(self, user: UserRef) -> None:
        fields = [_field(feedback) for feedback in await self.feedback() if feedback.user == user]
        if fields:
            await self._ask(self._redis.hdel(self._key("feedback"), *fields))

    async def check(self) -> None:
        # A plain write: a full Redis, or one without its replicas, answers and takes nothing, but lets a
        # script write that began by removing something.
        await self._ask(self._redis.set(self._key("check"), "1", ex=_CHECK_TTL_S))

    async def close(self) -> None:
        await close_redis(self._redis)

    async def _note_session(self, asker: UserRef, key: str) -> None:
        await run_script(
            self._redis,
            _NOTE_SESSION,
            [self._key("sessions-of", asker.key)],
            key,
            self._session_ttl_s,
            timeout_s=self._timeout_s,
        )

    def _key(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)

    async def _ask(self, command: Awaitable[T]) -> T:
        return await answered(command, timeout_s=self._timeout_s)


def _field(feedback: Feedback) -> str:
    return "\x1f".join([feedback.feedback_id, feedback.user.tenant, feedback.user.id])
