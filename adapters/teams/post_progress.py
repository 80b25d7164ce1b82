"""How far the posts of channels have been followed: port, in-memory twin, and Redis 6.2 or newer."""

from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from typing import Any, Protocol, cast

from bot.redis_client import RedisClient, answered
from bot.versioned_json import VersionedJson

_json = VersionedJson(1)


@dataclass(frozen=True, slots=True)
class PostProgress:
    """
    Attributes:
        link: Of the next page, or of later changes; empty: at the beginning.
        swept_at: When the latest look at all threads began, in seconds since the epoch; 0: there was none.
    """

    link: str = ""
    swept_at: float = 0.0


class PostLedger(Protocol):
    """
    By name of the channel. It can be lost: then all threads are looked at anew.

    Every method raises `StateUnavailable` when the server does not answer.
    """

    async def find(self, channel: str) -> PostProgress:
        """Of a channel that is not known: the beginning."""
        ...

    async def keep(self, channel: str, progress: PostProgress) -> None: ...

    async def forget(self, channel: str) -> None: ...

    async def channels(self) -> list[str]: ...


class InMemoryPostLedger:
    """Lives and dies with the process."""

    def __init__(self) -> None:
        self._progress: dict[str, PostProgress] = {}

    async def find(self, channel: str) -> PostProgress:
        return self._progress.get(channel, PostProgress())

    async def keep(self, channel: str, progress: PostProgress) -> None:
        self._progress[channel] = progress

    async def forget(self, channel: str) -> None:
        self._progress.pop(channel, None)

    async def channels(self) -> list[str]:
        return sorted(self._progress)


class RedisPostLedger:
    """
    `PostLedger` in the hash `shifu:{<tenant>:teams-posts}`.

    Args:
        redis: From `open_redis`; whoever opened it closes it.
    """

    def __init__(self, redis: RedisClient, *, tenant: str, timeout_s: float = 8) -> None:
        self._redis = redis
        self._timeout_s = timeout_s
        self._key = f"shifu:{{{tenant}:teams-posts}}"

    async def find(self, channel: str) -> PostProgress:
        text = await self._ask(self._redis.hget(self._key, channel))
        return _decoded(str(text)) if text else PostProgress()

    async def keep(self, channel: str, progress: PostProgress) -> None:
        encoded = _json.encode(asdict(progress))
        await self._ask(self._redis.hset(self._key, channel, encoded))

    async def forget(self, channel: str) -> None:
        await self._ask(self._redis.hdel(self._key, channel))

    async def channels(self) -> list[str]:
        return sorted(map(str, await self._ask(self._redis.hkeys(self._key))))

    async def _ask(self, command: Any) -> Any:
        return await answered(cast(Awaitable[Any], command), timeout_s=self._timeout_s)


def _decoded(text: str) -> PostProgress:
    try:
        values = _json.decode(text)
        return PostProgress(str(values["link"]), float(values["swept_at"]))
    except (ValueError, KeyError, TypeError):
        # What another version wrote is looked at anew.
        return PostProgress()
