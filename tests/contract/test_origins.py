"""What is kept of where questions in Slack came from, and who may post the reply; both implementations."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import count

import pytest
from redis.asyncio import Redis

from adapters.chat import origins as module
from adapters.chat.origins import InMemoryOrigins, Origins, RedisOrigins
from adapters.slack.origin import Origin
from bot.errors import StateUnavailable
from bot.redis_client import close_redis, open_redis

_tenants = count(1)

EVENT = "slack:T1/C1/1700000000.000100"


def an_origin(user: str = "U1") -> Origin:
    return Origin(
        team="T1",
        user=user,
        user_team="T2",
        channel="C1",
        ts="1700000000.000100",
        thread_ts="1700000000.000001",
        response_url="https://hooks.example/1",
        is_action=True,
        action_token="token",
        question="請假「怎麼」請？\ud800",
        title="請假",
    )


class OriginsContract:
    async def test_what_is_kept_comes_back(self, origins: Origins[Origin]) -> None:
        await origins.keep(EVENT, an_origin())

        assert await origins.find(EVENT) == an_origin()
        assert await origins.find("another") is None

    async def test_what_is_answered_keeps_neither_words_nor_keys(
        self, origins: Origins[Origin]
    ) -> None:
        await origins.keep(EVENT, an_origin())

        await origins.scrub(EVENT)
        await origins.scrub("slack:T1/C1/none")

        left = await origins.find(EVENT)
        assert left is not None
        assert (left.user, left.thread_ts) == ("U1", "1700000000.000001")
        assert (left.question, left.title, left.response_url, left.action_token) == ("",) * 4
        assert await origins.find("slack:T1/C1/none") is None

    async def test_the_same_event_told_again_changes_nothing(
        self, origins: Origins[Origin]
    ) -> None:
        await origins.keep(EVENT, an_origin("U1"))

        await origins.keep(EVENT, an_origin("U2"))

        assert await origins.find(EVENT) == an_origin("U1")

    async def test_a_noted_reply_is_found_by_its_event_and_its_event_by_the_message(
        self, origins: Origins[Origin]
    ) -> None:
        await origins.note_reply(EVENT, "stream:1.2", channel="T1/C1", message="1.2")

        assert await origins.reply(EVENT) == "stream:1.2"
        assert await origins.event_at("T1/C1", "1.2") == EVENT
        assert await origins.event_at("T1/C2", "1.2") is None

    async def test_a_private_reply_is_another_one(self, origins: Origins[Origin]) -> None:
        await origins.note_reply(EVENT, "1.2", channel="T1/C1", message="1.2")
        assert await origins.reply(EVENT, is_private=True) is None

        assert await origins.begin_reply(EVENT, is_private=True)
        await origins.note_reply(EVENT, "private", channel="T1/C1", message="1.3", is_private=True)

        assert await origins.reply(EVENT, is_private=True) == "private"
        assert await origins.reply(EVENT) == "1.2"
        assert await origins.event_at("T1/C1", "1.3") == EVENT

    async def test_a_reply_of_which_slack_tells_no_ts_is_noted_all_the_same(
        self, origins: Origins[Origin]
    ) -> None:
        await origins.note_reply(EVENT, "private", channel="T1/C1", message="", is_private=True)

        assert await origins.reply(EVENT, is_private=True) == "private"
        assert await origins.event_at("T1/C1", "") is None

    async def test_of_many_at_once_one_may_post(self, origins: Origins[Origin]) -> None:
        allowed = await asyncio.gather(*(origins.begin_reply(EVENT) for _ in range(20)))

        assert sum(allowed) == 1

    async def test_who_has_posted_nothing_lets_another_try(self, origins: Origins[Origin]) -> None:
        assert await origins.begin_reply(EVENT)
        assert not await origins.begin_reply(EVENT)

        await origins.end_reply(EVENT)

        assert await origins.begin_reply(EVENT)

    async def test_what_is_posted_is_not_begun_again(self, origins: Origins[Origin]) -> None:
        await origins.begin_reply(EVENT)
        await origins.note_reply(EVENT, "1.2", channel="T1/C1", message="1.2")

        assert not await origins.begin_reply(EVENT)

    async def test_a_later_note_replaces_an_earlier_one(self, origins: Origins[Origin]) -> None:
        await origins.note_reply(EVENT, "1.2", channel="T1/C1", message="1.2")

        await origins.note_reply(EVENT, "1.3", channel="T1/C1", message="1.3")

        assert await origins.reply(EVENT) == "1.3"


class TestInMemoryOrigins(OriginsContract):
    @pytest.fixture
    def origins(self) -> Origins[Origin]:
        return InMemoryOrigins()

    async def test_nothing_is_kept_for_ever_and_a_dead_poster_blocks_nobody(self) -> None:
        now = 0.0
        origins: InMemoryOrigins[Origin] = InMemoryOrigins(clock=lambda: now)
        await origins.keep(EVENT, an_origin())
        assert await origins.begin_reply(EVENT)

        now = module.POSTING_S + 1
        assert await origins.begin_reply(EVENT)
        now = module.TTL_S + 1

        assert await origins.find(EVENT) is None


class RedisOriginsContract(OriginsContract):
    @pytest.fixture
    async def origins(self, url: str) -> AsyncIterator[Origins[Origin]]:
        redis = open_redis(url)
        yield RedisOrigins(redis, Origin, tenant=f"o{next(_tenants)}", platform="slack")
        await close_redis(redis)


class TestRedisOriginsOnACluster(RedisOriginsContract):
    @pytest.fixture
    def url(self, cluster_url: str) -> str:
        return cluster_url


class TestRedisOrigins(RedisOriginsContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url

    async def test_everything_expires_and_is_versioned(self, url: str) -> None:
        redis = open_redis(url)
        assert isinstance(redis, Redis)
        origins = RedisOrigins(redis, Origin, tenant="expiry-origins", platform="slack")
        await origins.keep(EVENT, an_origin())
        await origins.begin_reply(EVENT)
        await origins.note_reply("other", "1.2", channel="T1/C1", message="1.2")

        keys = [str(key) async for key in redis.scan_iter("shifu:expiry-origins:*")]
        lives_s = {key.split(":")[3]: await redis.ttl(key) for key in keys}
        kept = json.loads(str(await redis.get(f"shifu:expiry-origins:slack:origin:{EVENT}")))
        await close_redis(redis)

        assert lives_s.keys() == {"origin", "posting", "reply", "at"}
        assert all(0 < left_s <= module.TTL_S for left_s in lives_s.values())
        assert lives_s["posting"] <= module.POSTING_S
        assert kept["v"] == 1

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"v":99}', '{"v":1,"colour":"blue"}'])
    async def test_what_another_version_wrote_is_as_unknown(self, url: str, text: str) -> None:
        redis = open_redis(url)
        assert isinstance(redis, Redis)
        await redis.set(f"shifu:old-origins:slack:origin:{EVENT}", text, ex=60)

        found = await RedisOrigins(redis, Origin, tenant="old-origins", platform="slack").find(
            EVENT
        )

        await close_redis(redis)
        assert found is None

    async def test_every_method_says_that_redis_is_unavailable(self) -> None:
        redis = open_redis("unix:///nowhere/redis.sock")
        origins = RedisOrigins(redis, Origin, tenant="nowhere", platform="slack")

        for call in (
            lambda: origins.keep(EVENT, an_origin()),
            lambda: origins.find(EVENT),
            lambda: origins.begin_reply(EVENT),
            lambda: origins.end_reply(EVENT),
            lambda: origins.note_reply(EVENT, "1", channel="T1/C1", message="1"),
            lambda: origins.reply(EVENT),
            lambda: origins.event_at("T1/C1", "1"),
        ):
            with pytest.raises(StateUnavailable):
                await call()
        await close_redis(redis)
