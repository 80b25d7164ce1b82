"""What every cache of Slack's people and channels must do, and what only Redis can get wrong."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

import pytest
from redis.asyncio import Redis

from adapters.chat.directory_cache import (
    MEMORY_OF_CHANGES_S,
    DirectoryCache,
    InMemoryDirectoryCache,
    RedisDirectoryCache,
)
from bot.errors import StateUnavailable
from bot.redis_client import open_redis

_tenants = count(1)


async def kept(cache: DirectoryCache, *keys: str) -> dict[str, str]:
    return dict((await cache.find(keys)).texts)


async def now(cache: DirectoryCache) -> int:
    return (await cache.find([])).as_of


class DirectoryCacheContract:
    async def test_what_is_kept_is_found_and_nothing_else(self, cache: DirectoryCache) -> None:
        stored = await cache.keep({"a": "安", "b": ""}, ttl_s=60, as_of=await now(cache))

        assert stored == {"a", "b"}
        assert (await kept(cache, "a", "c")) == {"a": "安"}
        assert await kept(cache) == {}

    async def test_the_later_text_replaces_the_earlier(self, cache: DirectoryCache) -> None:
        as_of = await now(cache)
        for text in ("old", "new"):
            await cache.keep({"a": text}, ttl_s=60, as_of=as_of)

        assert await kept(cache, "a") == {"a": "new"}

    async def test_what_was_dropped_is_gone(self, cache: DirectoryCache) -> None:
        await cache.keep({"a": "1", "b": "2", "c": "3"}, ttl_s=60, as_of=await now(cache))

        await cache.drop(["a", "c", "never kept"])

        assert await kept(cache, "a", "b", "c") == {"b": "2"}

    async def test_a_look_up_from_before_a_drop_is_not_kept_after_it(
        self, cache: DirectoryCache
    ) -> None:
        began = await now(cache)
        await cache.drop(["a"])

        stored = await cache.keep({"a": "stale", "b": "fresh"}, ttl_s=60, as_of=began)

        assert stored == {"b"}
        assert await kept(cache, "a", "b") == {"b": "fresh"}

    async def test_a_look_up_from_after_it_is(self, cache: DirectoryCache) -> None:
        await cache.drop(["a"])
        await cache.drop(["b"])

        stored = await cache.keep({"a": "new"}, ttl_s=60, as_of=await now(cache))

        assert stored == {"a"}

    async def test_a_claim_is_for_one_until_it_is_released(self, cache: DirectoryCache) -> None:
        claims = await asyncio.gather(*(cache.claim("T1", ttl_s=60) for _ in range(5)))

        assert sorted(claims) == [False] * 4 + [True]
        assert await cache.claim("T2", ttl_s=60)
        await cache.release("T1")
        assert await cache.claim("T1", ttl_s=60)

    async def test_thousands_at_once_are_no_trouble(self, cache: DirectoryCache) -> None:
        texts = {f"person:T1/U{n}": str(n) for n in range(1_300)}
        as_of = await now(cache)
        await cache.drop(["person:T1/U7", "person:T1/U1200"])

        stored = await cache.keep(texts, ttl_s=60, as_of=as_of)

        assert len(stored) == 1_298
        assert await kept(cache, *texts) == {key: texts[key] for key in stored}
        await cache.drop(list(texts))
        assert await kept(cache, *texts) == {}


class TestInMemoryDirectoryCache(DirectoryCacheContract):
    @pytest.fixture
    def cache(self) -> DirectoryCache:
        return InMemoryDirectoryCache()

    async def test_nothing_is_served_after_its_time(self) -> None:
        time_s = 0.0
        cache = InMemoryDirectoryCache(clock=lambda: time_s)
        await cache.keep({"a": "1"}, ttl_s=10, as_of=0)
        assert await cache.claim("T1", ttl_s=10)

        time_s = 9.9
        assert await kept(cache, "a") == {"a": "1"}
        assert not await cache.claim("T1", ttl_s=10)
        time_s = 10.0
        assert await kept(cache, "a") == {}
        assert await cache.claim("T1", ttl_s=10)


class RedisDirectoryCacheContract(DirectoryCacheContract):
    @pytest.fixture
    async def cache(self, url: str) -> AsyncIterator[DirectoryCache]:
        redis = open_redis(url)
        yield RedisDirectoryCache(redis, tenant=f"cache{next(_tenants)}", platform="slack")
        await redis.aclose()


class TestRedisDirectoryCacheOnACluster(RedisDirectoryCacheContract):
    @pytest.fixture
    def url(self, cluster_url: str) -> str:
        return cluster_url


class TestRedisDirectoryCache(RedisDirectoryCacheContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url

    @pytest.fixture
    async def redis(self, redis_url: str) -> AsyncIterator[Redis]:
        client = open_redis(redis_url)
        assert isinstance(client, Redis)
        yield client
        await client.aclose()

    async def test_everything_expires(self, redis: Redis) -> None:
        cache = RedisDirectoryCache(redis, tenant="expiry", platform="slack")
        await cache.keep({"a": "1"}, ttl_s=77, as_of=0)
        await cache.drop(["b"])
        await cache.claim("T1", ttl_s=66)
        prefix = "shifu:{expiry:slack-directory}:"
        lives_s = {
            str(key).removeprefix(prefix): await redis.ttl(key)
            async for key in redis.scan_iter("shifu:{expiry*")
        }

        assert lives_s.keys() == {"text:a", "dropped:b", "changes", "claim:T1"}
        assert 70 < lives_s["text:a"] <= 77
        assert 60 < lives_s["claim:T1"] <= 66
        # A look-up that began before the count was lost must not seem to be later than it.
        assert lives_s["changes"] > lives_s["dropped:b"] > MEMORY_OF_CHANGES_S - 10

    async def test_a_server_that_lost_its_memory_keeps_no_earlier_look_up(
        self, redis: Redis
    ) -> None:
        cache = RedisDirectoryCache(redis, tenant="lossy", platform="slack")
        await cache.drop(["a"])
        began = await now(cache)
        async for key in redis.scan_iter("shifu:{lossy*"):
            await redis.delete(key)

        assert await cache.keep({"a": "stale"}, ttl_s=60, as_of=began) == frozenset()

    async def test_tenants_share_nothing(self, redis: Redis) -> None:
        ours, theirs = (
            RedisDirectoryCache(redis, tenant=t, platform="slack") for t in ("ours", "theirs")
        )
        await ours.keep({"a": "1"}, ttl_s=60, as_of=0)

        assert await kept(theirs, "a") == {}

    async def test_every_method_says_that_redis_is_unavailable(self) -> None:
        cache = RedisDirectoryCache(
            open_redis("unix:///nowhere/redis.sock"), tenant="nowhere", platform="slack"
        )
        calls = (
            cache.find(["a"]),
            cache.keep({"a": "1"}, ttl_s=1, as_of=0),
            cache.drop(["a"]),
            cache.claim("a", ttl_s=1),
            cache.release("a"),
        )

        for call in calls:
            with pytest.raises(StateUnavailable):
                await call
