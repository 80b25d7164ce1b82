"""What every ledger of followed channels must do."""

from collections.abc import AsyncIterator
from itertools import count

import pytest

from adapters.teams.post_progress import (
    InMemoryPostLedger,
    PostLedger,
    PostProgress,
    RedisPostLedger,
)
from bot.errors import StateUnavailable
from bot.redis_client import close_redis, open_redis

ROOM, OTHER = "teams-channel:t/19:room@thread.tacv2", "teams-channel:t/19:other@thread.tacv2"
PROGRESS = PostProgress("https://graph/delta?$deltatoken=計", 12.5)
_tenants = count(1)


class PostLedgerContract:
    async def test_an_unknown_channel_is_at_its_beginning(self, ledger: PostLedger) -> None:
        assert await ledger.find(ROOM) == PostProgress()
        assert await ledger.channels() == []

    async def test_what_is_kept_comes_back_until_it_is_forgotten(self, ledger: PostLedger) -> None:
        await ledger.keep(ROOM, PostProgress())
        await ledger.keep(ROOM, PROGRESS)
        await ledger.keep(OTHER, PostProgress())
        found, known = await ledger.find(ROOM), await ledger.channels()

        await ledger.forget(ROOM)

        assert found == PROGRESS
        assert known == [OTHER, ROOM]
        assert await ledger.find(ROOM) == PostProgress()
        assert await ledger.channels() == [OTHER]


class TestInMemoryPostLedger(PostLedgerContract):
    @pytest.fixture
    def ledger(self) -> PostLedger:
        return InMemoryPostLedger()


class TestRedisPostLedger(PostLedgerContract):
    @pytest.fixture
    async def ledger(self, redis_url: str) -> AsyncIterator[PostLedger]:
        redis = open_redis(redis_url)
        yield RedisPostLedger(redis, tenant=f"posts{next(_tenants)}")
        await close_redis(redis)

    async def test_what_another_version_wrote_is_looked_at_anew(self, redis_url: str) -> None:
        redis = open_redis(redis_url)
        tenant = f"posts{next(_tenants)}"
        await redis.hset(f"shifu:{{{tenant}:teams-posts}}", ROOM, '{"v":0}')

        found = await RedisPostLedger(redis, tenant=tenant).find(ROOM)

        await close_redis(redis)
        assert found == PostProgress()

    async def test_a_redis_that_does_not_answer_is_said_to_be_away(self) -> None:
        redis = open_redis("redis://127.0.0.1:1/0", timeout_s=0.2)
        with pytest.raises(StateUnavailable):
            await RedisPostLedger(redis, tenant="posts").find(ROOM)
        await close_redis(redis)
