"""Ties the end of an installation to its beginning: each value counts once, for ten minutes."""

import logging
import secrets

from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore

from bot.redis_client import RedisClient, answered

LOGIN_TTL_S = 600


class RedisLoginStates(AsyncOAuthStateStore):
    """Both methods raise `StateUnavailable`."""

    def __init__(self, redis: RedisClient, *, tenant: str, timeout_s: float = 8) -> None:
        self._redis = redis
        self._prefix = f"shifu:{tenant}:slack:login:"
        self._timeout_s = timeout_s

    @property
    def logger(self) -> logging.Logger:
        return logging.getLogger(__name__)

    async def async_issue(self, *_args: object, **_kwargs: object) -> str:
        value = secrets.token_urlsafe(32)
        await answered(
            self._redis.set(self._prefix + value, "1", ex=LOGIN_TTL_S), timeout_s=self._timeout_s
        )
        return value

    async def async_consume(self, state: str) -> bool:
        # Whoever deletes it has it: of two at once, one.
        deleted = self._redis.delete(self._prefix + state)
        return await answered(deleted, timeout_s=self._timeout_s) == 1
