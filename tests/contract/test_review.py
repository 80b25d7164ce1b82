"""The review queue, on the twin and on real Redis."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest

from bot.capture.redis_review import RedisReviewQueue
from bot.capture.review import InMemoryReviewQueue, ReviewQueue, Submission
from bot.errors import StateUnavailable
from bot.messages import ConversationKind, UserRef
from bot.redis_client import close_redis, open_redis
from tests.builders import TENANT, a_conversation

_tenants = count(1)


def a_submission(id: str = "s1", *, minute: int = 0) -> Submission:
    return Submission(
        id=id,
        title="印表機",
        text="先關機再開機。\n'\"\\ \ud83d",
        audience="everyone",
        by=UserRef(TENANT, "ann"),
        at=datetime(2026, 11, 23, 8, minute, tzinfo=UTC),
        permalink="https://chat.example/p1",
        conversation=a_conversation("#eng", ConversationKind.PRIVATE, "t1"),
        author=UserRef(TENANT, "sam"),
        written_at=datetime(2026, 11, 20, 8, tzinfo=UTC),
        is_edited=True,
    )


class ReviewQueueContract:
    async def test_a_submission_comes_back_as_it_was_made(self, review: ReviewQueue) -> None:
        bare = replace(
            a_submission("s2", minute=1),
            permalink=None,
            conversation=None,
            author=None,
            written_at=None,
        )

        await review.submit(a_submission())
        await review.submit(bare)

        assert await review.waiting(limit=9) == [a_submission(), bare]
        assert await review.find("s2") == bare
        assert await review.find("s3") is None

    async def test_the_oldest_come_first(self, review: ReviewQueue) -> None:
        for id, minute in [("b", 2), ("c", 3), ("a", 1)]:
            await review.submit(a_submission(id, minute=minute))

        assert [s.id for s in await review.waiting(limit=2)] == ["a", "b"]
        assert await review.waiting(limit=0) == []
        assert await review.count() == 3

    async def test_a_redelivery_changes_nothing(self, review: ReviewQueue) -> None:
        await review.submit(a_submission())
        await review.submit(replace(a_submission(), title="another"))

        assert await review.waiting(limit=9) == [a_submission()]

    async def test_what_is_decided_waits_no_longer(self, review: ReviewQueue) -> None:
        await review.submit(a_submission())

        assert await review.remove("s1")
        assert not await review.remove("s1")
        assert await review.count() == 0


class TestInMemoryReviewQueue(ReviewQueueContract):
    @pytest.fixture
    def review(self) -> ReviewQueue:
        return InMemoryReviewQueue()


class RedisReviewQueueContract(ReviewQueueContract):
    @pytest.fixture
    async def review(self, url: str) -> AsyncIterator[ReviewQueue]:
        redis = open_redis(url)
        yield RedisReviewQueue(redis, tenant=f"q{next(_tenants)}")
        await close_redis(redis)


class TestRedisReviewQueueOnACluster(RedisReviewQueueContract):
    @pytest.fixture
    def url(self, cluster_url: str) -> str:
        return cluster_url


class TestRedisReviewQueue(RedisReviewQueueContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url

    async def test_it_waits_for_as_long_as_it_takes(self, redis_url: str) -> None:
        redis = open_redis(redis_url)
        await RedisReviewQueue(redis, tenant="patient").submit(a_submission())

        lives_s = await redis.ttl("shifu:patient:review")

        assert lives_s == -1
        await close_redis(redis)

    async def test_every_method_says_that_redis_is_unavailable(self) -> None:
        redis = open_redis("unix:///nowhere/redis.sock")
        review = RedisReviewQueue(redis, tenant="nowhere")
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: review.submit(a_submission()),
            lambda: review.waiting(limit=1),
            review.count,
            lambda: review.find("s1"),
            lambda: review.remove("s1"),
        ]

        for call in calls:
            with pytest.raises(StateUnavailable):
                await call()
        await close_redis(redis)
