"""The port for what a platform told about people and channels, its in-memory twin, and Redis."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from bot.redis_client import RedisClient, run_script

MEMORY_OF_CHANGES_S = 3_600
"""Longer than any look-up takes: so long it is remembered that something was dropped."""

_KEYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Found:
    """
    Attributes:
        texts: By key, of those that are kept.
        as_of: The count of changes at that moment; whoever looks up the rest keeps it as of then.
    """

    texts: Mapping[str, str]
    as_of: int


class DirectoryCache(Protocol):
    """
    Texts by key, each for a time. Every method raises `StateUnavailable`.

    A look-up takes a while, and what it asks for may change meanwhile. So changes are counted, and
    nothing is kept that was dropped after its look-up began.
    """

    async def find(self, keys: Sequence[str]) -> Found: ...

    async def keep(self, texts: Mapping[str, str], *, ttl_s: int, as_of: int) -> frozenset[str]:
        """The keys that are kept: those that were not dropped since *as_of*."""
        ...

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget, and let nothing be kept that was looked up before now."""
        ...

    async def claim(self, key: str, *, ttl_s: int) -> bool:
        """True for the first who asks, until released; one process does what others wait for."""
        ...

    async def release(self, key: str) -> None: ...


class InMemoryDirectoryCache:
    """Lives and dies with the process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, str]] = {}
        self._dropped: dict[str, int] = {}
        self._claims: dict[str, float] = {}
        self._changes = 0

    async def find(self, keys: Sequence[str]) -> Found:
        now = self._clock()
        kept = {key: self._kept[key] for key in keys if key in self._kept}
        texts = {key: text for key, (until, text) in kept.items() if now < until}
        return Found(texts, self._changes)

    async def keep(self, texts: Mapping[str, str], *, ttl_s: int, as_of: int) -> frozenset[str]:
        kept = {key: text for key, text in texts.items() if self._dropped.get(key, 0) <= as_of}
        until = self._clock() + ttl_s
        self._kept |= {key: (until, text) for key, text in kept.items()}
        return frozenset(kept)

    async def drop(self, keys: Sequence[str]) -> None:
        self._changes += 1
        for key in keys:
            self._kept.pop(key, None)
            self._dropped[key] = self._changes

    async def claim(self, key: str, *, ttl_s: int) -> bool:
        now = self._clock()
        is_free = now >= self._claims.get(key, now)
        if is_free:
            self._claims[key] = now + ttl_s
        return is_free

    async def release(self, key: str) -> None:
        self._claims.pop(key, None)


# After the count of changes: in pairs where the text is kept, and where it stands when it was dropped.
# A count lower than what a look-up began with means that Redis has lost it, and the drops with it.
_KEEP = """
local as_of, ttl_s = tonumber(ARGV[1]), ARGV[2]
local kept = {}
if tonumber(redis.call('GET', KEYS[1]) or '0') < as_of then return kept end
for n = 1, (#KEYS - 1) / 2 do
    local dropped = tonumber(redis.call('GET', KEYS[2 * n + 1]) or '0')
    if dropped <= as_of then
        redis.call('SET', KEYS[2 * n], ARGV[n + 2], 'EX', ttl_s)
        kept[#kept + 1] = n
    end
end
return kept
"""
_DROP = """
local changes = redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], 2 * ARGV[1])
for n = 1, (#KEYS - 1) / 2 do
    redis.call('DEL', KEYS[2 * n])
    redis.call('SET', KEYS[2 * n + 1], changes, 'EX', ARGV[1])
end
"""
_FIND = "return redis.call('MGET', unpack(KEYS))"
_CLAIM = "return redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) and 1 or 0"
_RELEASE = "return redis.call('DEL', KEYS[1])"


class RedisDirectoryCache:
    """
    `DirectoryCache` under the keys `shifu:{<tenant>:<platform>-directory}:`, all in one slot of a Cluster.

    Args:
        timeout_s: Longest time one operation may take, its repetitions included.
    """

    def __init__(
        self, redis: RedisClient, *, tenant: str, platform: str, timeout_s: float = 4
    ) -> None:
        self._redis = redis
        self._prefix = f"shifu:{{{tenant}:{platform}-directory}}:"
        self._changes = f"{self._prefix}changes"
        self._timeout_s = timeout_s

    async def find(self, keys: Sequence[str]) -> Found:
        texts: dict[str, str] = {}
        counts = []
        # At least once, for the count alone.
        for some in _parts(keys) if keys else [[]]:
            names = [self._changes, *(self._text(key) for key in some)]
            changes, *values = await self._run(_FIND, names)
            counts.append(int(changes or 0))
            texts |= {key: value for key, value in zip(some, values, strict=True) if value}
        return Found(texts, min(counts))

    async def keep(self, texts: Mapping[str, str], *, ttl_s: int, as_of: int) -> frozenset[str]:
        kept: set[str] = set()
        for some in _parts(list(texts)):
            values = [texts[key] for key in some]
            places = await self._run(_KEEP, self._pairs(some), as_of, ttl_s, *values)
            kept |= {some[int(place) - 1] for place in places}
        return frozenset(kept)

    async def drop(self, keys: Sequence[str]) -> None:
        for some in _parts(keys):
            await self._run(_DROP, self._pairs(some), MEMORY_OF_CHANGES_S)

    async def claim(self, key: str, *, ttl_s: int) -> bool:
        return bool(await self._run(_CLAIM, [self._prefix + "claim:" + key], ttl_s))

    async def release(self, key: str) -> None:
        await self._run(_RELEASE, [self._prefix + "claim:" + key])

    def _text(self, key: str) -> str:
        return f"{self._prefix}text:{key}"

    def _pairs(self, keys: Sequence[str]) -> list[str]:
        pairs = [(self._text(key), f"{self._prefix}dropped:{key}") for key in keys]
        return [self._changes, *(name for pair in pairs for name in pair)]

    async def _run(self, script: str, names: Sequence[str], *args: str | int) -> list[str]:
        found: list[str] = await run_script(
            self._redis, script, names, *args, timeout_s=self._timeout_s
        )
        return found


def _parts(keys: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while some := list(islice(rest, _KEYS_AT_ONCE)):
        yield some
