"""What is kept of answers, on the twin and on real Redis."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from redis.asyncio import Redis

from bot.errors import StateUnavailable
from bot.messages import ConversationKind, ConversationRef, UserRef
from bot.records import MAX_UNANSWERED, RECORD_TTL_S, AnswerRecord, InMemoryRecords, Records
from bot.redis_client import close_redis, open_redis
from bot.redis_records import RedisRecords
from retrieval.types import Band, Language
from tests.builders import TENANT, a_conversation

_tenants = count(1)
_START = datetime.now(UTC)
ANN, BEN = UserRef(TENANT, "ann"), UserRef(TENANT, "slack:T1/U\x1f2")


def a_record(
    id: str = "r1",
    *,
    user: UserRef = ANN,
    minute: int = 0,
    band: Band = Band.ANSWERED,
    conversation: ConversationRef | None = None,
) -> AnswerRecord:
    return AnswerRecord(
        id=id,
        event_id=f"event of {id}",
        conversation=conversation or a_conversation(),
        user=user,
        is_private=True,
        question="育嬰假可以請多久？ \ud83d",
        at=_START + timedelta(minutes=minute),
        band=band,
        language=Language.CHINESE,
        considered=("hr/leave#1", "hr/leave#0"),
        cited=("hr/leave#0",),
        readers=14,
        is_checked=False,
        is_open=True,
        is_extract=False,
        model="qwen3",
        prompt_tokens=1200,
        completion_tokens=34,
        took_s=1.25,
    )


def ids(records: list[AnswerRecord]) -> list[str]:
    return [record.id for record in records]


class RecordsContract:
    async def test_a_record_comes_back_as_it_was_saved(self, records: Records) -> None:
        thread = a_conversation("#eng", ConversationKind.PRIVATE, thread="t1")
        record = a_record(conversation=thread)

        await records.save(record)

        assert await records.find("r1") == record
        assert await records.of_user(ANN, limit=1) == [record]
        assert await records.find("r2") is None

    async def test_the_same_answer_once_more_replaces_what_was_kept(self, records: Records) -> None:
        await records.save(a_record(band=Band.NOTHING))

        await records.save(a_record(minute=1))

        assert await records.of_user(ANN, limit=5) == [a_record(minute=1)]
        assert await records.unanswered(limit=5) == []

    async def test_a_persons_records_come_newest_first_and_nobody_elses(
        self, records: Records
    ) -> None:
        for id, user, minute in [("b", ANN, 2), ("x", BEN, 3), ("a", ANN, 1), ("c", ANN, 4)]:
            await records.save(a_record(id, user=user, minute=minute))

        assert ids(await records.of_user(ANN, limit=2)) == ["c", "b"]
        assert ids(await records.of_user(ANN, limit=9)) == ["c", "b", "a"]
        assert await records.of_user(ANN, limit=0) == []

    async def test_a_place_is_a_channel_with_all_its_threads(self, records: Records) -> None:
        for n, (channel, thread) in enumerate([("#a", "t1"), ("#b", "t2"), ("#a", None)]):
            where = a_conversation(channel, ConversationKind.PRIVATE, thread)
            await records.save(a_record(f"r{n}", conversation=where, minute=n))
        elsewhere = replace(a_conversation("#a"), platform="other")

        place = a_conversation("#a", ConversationKind.PUBLIC, "t9")
        assert ids(await records.of_user(ANN, limit=9, place=place)) == ["r2", "r0"]
        assert await records.of_user(BEN, limit=9, place=place) == []
        assert await records.of_user(ANN, limit=9, place=elsewhere) == []

    async def test_questions_without_a_sure_answer_are_found(self, records: Records) -> None:
        bands = [Band.NOTHING, Band.ANSWERED, Band.UNSURE]
        for n, band in enumerate(bands):
            await records.save(a_record(f"r{n}", band=band, minute=n, user=BEN))

        assert ids(await records.unanswered(limit=9)) == ["r2", "r0"]
        assert ids(await records.unanswered(limit=1)) == ["r2"]

    async def test_somebody_who_is_forgotten_leaves_nothing(self, records: Records) -> None:
        await records.save(a_record("mine", band=Band.NOTHING))
        await records.save(a_record("other", user=BEN, band=Band.NOTHING))

        await records.forget(ANN)
        await records.forget(ANN)

        assert await records.find("mine") is None
        assert await records.of_user(ANN, limit=9) == []
        assert await records.of_user(ANN, limit=9, place=a_conversation()) == []
        assert ids(await records.unanswered(limit=9)) == ["other"]

    async def test_one_conversation_is_forgotten_and_the_others_stay(
        self, records: Records
    ) -> None:
        first, second = (a_conversation("#a", ConversationKind.PRIVATE, t) for t in ("t1", "t2"))
        await records.save(a_record("r1", conversation=first))
        await records.save(a_record("r2", conversation=second))
        await records.save(a_record("r3", conversation=first, user=BEN))

        # The directory, not the platform, may have said of which kind the channel is.
        await records.forget(ANN, conversation=replace(first, kind=ConversationKind.PUBLIC))

        assert ids(await records.of_user(ANN, limit=9)) == ["r2"]
        assert await records.find("r1") is None
        assert await records.find("r3") is not None


class TestInMemoryRecords(RecordsContract):
    @pytest.fixture
    def records(self) -> Records:
        return InMemoryRecords()

    async def test_a_month_later_it_is_gone(self) -> None:
        now = 0.0
        records = InMemoryRecords(clock=lambda: now)
        await records.save(a_record(band=Band.NOTHING))

        now = float(RECORD_TTL_S)

        assert await records.find("r1") is None
        assert await records.of_user(ANN, limit=9) == await records.unanswered(limit=9) == []


class RedisRecordsContract(RecordsContract):
    @pytest.fixture
    async def records(self, url: str) -> AsyncIterator[Records]:
        redis = open_redis(url)
        yield RedisRecords(redis, tenant=f"r{next(_tenants)}")
        await close_redis(redis)


class TestRedisRecordsOnACluster(RedisRecordsContract):
    @pytest.fixture
    def url(self, cluster_url: str) -> str:
        return cluster_url


class TestRedisRecords(RedisRecordsContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url

    @pytest.fixture
    async def redis(self, redis_url: str) -> AsyncIterator[Redis]:
        client = open_redis(redis_url)
        assert isinstance(client, Redis)
        yield client
        await client.aclose()

    async def test_everything_expires_and_no_key_names_a_person(self, redis: Redis) -> None:
        records = RedisRecords(redis, tenant="r-expiry")

        await records.save(a_record(band=Band.NOTHING))

        keys = [str(key) async for key in redis.scan_iter("shifu:r-expiry:*")]
        assert len(keys) == 4
        assert all([0 < await redis.ttl(key) <= RECORD_TTL_S for key in keys])
        assert not any("ann" in key for key in keys)
        assert json.loads(str(await redis.get("shifu:r-expiry:record:r1")))["v"] == 1

    async def test_nothing_at_all_is_left_of_somebody_who_is_forgotten(self, redis: Redis) -> None:
        records = RedisRecords(redis, tenant="r-gone")
        for n in range(120):
            where = a_conversation(f"#{n % 7}", ConversationKind.PRIVATE, str(n))
            band = Band.NOTHING if n % 2 else Band.ANSWERED
            await records.save(a_record(f"r{n}", conversation=where, band=band))
        await redis.set("shifu:r-gone:record:r1", '{"v":99}')

        await records.forget(ANN)

        assert [key async for key in redis.scan_iter("shifu:r-gone:*")] == []

    async def test_a_list_that_names_what_is_gone_still_gives_as_many_as_there_are(
        self, redis: Redis
    ) -> None:
        records = RedisRecords(redis, tenant="r-holes")
        for n in range(6):
            await records.save(a_record(f"r{n}", minute=n))
        await redis.delete("shifu:r-holes:record:r5", "shifu:r-holes:record:r3")

        assert ids(await records.of_user(ANN, limit=3)) == ["r4", "r2", "r1"]

    async def test_what_expired_leaves_the_lists_and_the_unanswered_are_bounded(
        self, redis: Redis
    ) -> None:
        records = RedisRecords(redis, tenant="r-old")
        name = "shifu:r-old:records-unanswered"
        month_ago = (_START - timedelta(seconds=RECORD_TTL_S + 60)).timestamp()
        await redis.zadd(name, {"old": month_ago})
        recent = _START.timestamp() - 60
        await redis.zadd(name, {str(n): recent + n / 1e3 for n in range(MAX_UNANSWERED)})

        await records.save(a_record(band=Band.UNSURE))

        assert await redis.zscore(name, "old") is None
        assert await redis.zcard(name) == MAX_UNANSWERED
        assert ids(await records.unanswered(limit=1)) == ["r1"]

    @pytest.mark.parametrize("text", ["{", "[]", '{"v":99}', '{"v":1,"id":"r1"}'])
    async def test_what_another_version_wrote_counts_as_expired(
        self, redis: Redis, text: str
    ) -> None:
        records = RedisRecords(redis, tenant="r-version")
        await records.save(a_record())
        await redis.set("shifu:r-version:record:r1", text, ex=60)

        assert await records.find("r1") is None
        assert await records.of_user(ANN, limit=9) == []

    async def test_every_method_says_that_redis_is_unavailable(self) -> None:
        redis = open_redis("unix:///nowhere/redis.sock")
        records = RedisRecords(redis, tenant="nowhere")
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: records.save(a_record()),
            lambda: records.find("r1"),
            lambda: records.of_user(ANN, limit=1),
            lambda: records.unanswered(limit=1),
            lambda: records.forget(ANN),
        ]

        for call in calls:
            with pytest.raises(StateUnavailable):
                await call()
        await close_redis(redis)
