"""Installations in Redis, encrypted: who reads Redis or a copy of it gets no token."""

from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar, cast

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from adapters.slack.installations import Installation, chosen
from bot.redis_client import RedisClient, answered, run_script
from bot.versioned_json import VersionedJson

T = TypeVar("T")
log = structlog.get_logger()

_JSON = VersionedJson(1)

# Unless it was changed or removed meanwhile.
_RENEW = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
"""


class RedisInstallations:
    """
    `Installations` under one key, without expiry: they hold until somebody uninstalls the app.

    Args:
        keys: Fernet keys, the newest first. It encrypts; the others are still understood, and what
            they encrypted is encrypted anew when it is read.
    """

    def __init__(
        self, redis: RedisClient, *, tenant: str, keys: Sequence[str], timeout_s: float = 8
    ) -> None:
        self._redis = redis
        self._tenant = tenant
        self._name = f"shifu:{tenant}:slack:installations"
        self._newest = Fernet(keys[0])
        self._any = MultiFernet([Fernet(key) for key in keys])
        self._timeout_s = timeout_s

    async def find(self, enterprise: str, team: str) -> Installation | None:
        if not team:
            return chosen(await self.all(), enterprise, team)
        fields = [key for key in (team, enterprise) if key]
        texts = await self._ask(
            cast(Awaitable[list[str | None]], self._redis.hmget(self._name, fields))
        )
        for key, text in zip(fields, texts, strict=True):
            if text and (found := await self._opened(key, text)):
                return found
        return None

    async def all(self) -> Sequence[Installation]:
        texts = await self._ask(cast(Awaitable[dict[str, str]], self._redis.hgetall(self._name)))
        opened = [await self._opened(key, texts[key]) for key in sorted(texts)]
        return [installation for installation in opened if installation]

    async def save(self, installation: Installation) -> None:
        text = self._sealed(installation)
        await self._ask(self._redis.hset(self._name, installation.key, text))

    async def remove(self, enterprise: str, team: str) -> None:
        if key := team or enterprise:
            await self._ask(self._redis.hdel(self._name, key))

    async def unreadable(self) -> list[str]:
        """Workspaces and organisations whose tokens none of our keys opens."""
        texts = await self._ask(cast(Awaitable[dict[str, str]], self._redis.hgetall(self._name)))
        return [key for key in sorted(texts) if self._decrypted(key, texts[key]) is None]

    async def _opened(self, key: str, text: str) -> Installation | None:
        installation = self._decrypted(key, text)
        if installation is None:
            log.error("slack.installation_unreadable", workspace=key)
        elif not self._is_newest(text):
            await run_script(
                self._redis,
                _RENEW,
                [self._name],
                key,
                text,
                self._sealed(installation),
                timeout_s=self._timeout_s,
            )
        return installation

    def _decrypted(self, key: str, text: str) -> Installation | None:
        try:
            values: dict[str, Any] = _JSON.decode(self._any.decrypt(text).decode())
            # Where it belongs is encrypted with it: it means nothing in another place.
            if (values.pop("tenant"), values.pop("key")) != (self._tenant, key):
                return None
            values.pop("v")
            return Installation(**values | {"scopes": tuple(values["scopes"])})
        except (InvalidToken, ValueError, KeyError, TypeError):
            return None

    def _is_newest(self, text: str) -> bool:
        try:
            self._newest.extract_timestamp(text)
        except InvalidToken:
            return False
        return True

    def _sealed(self, installation: Installation) -> str:
        values = {
            "tenant": self._tenant,
            "key": installation.key,
            "enterprise": installation.enterprise,
            "team": installation.team,
            "bot_token": installation.bot_token,
            "bot_user": installation.bot_user,
            "bot_id": installation.bot_id,
            "scopes": list(installation.scopes),
            "name": installation.name,
            "installed_at": installation.installed_at,
        }
        return self._any.encrypt(_JSON.encode(values).encode()).decode()

    async def _ask(self, command: Awaitable[T]) -> T:
        return await answered(command, timeout_s=self._timeout_s)
