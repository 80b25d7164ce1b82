"""What every ledger of indexed threads must do."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

import pytest

from adapters.slack.redis_thread_ledger import RedisThreadLedger
from adapters.slack.thread_ledger import (
    DROPPED_KEPT_US,
    Backfill,
    InMemoryThreadLedger,
    Standing,
    ThreadLedger,
    Touched,
    Visibility,
)
from bot.errors import StateUnavailable
from bot.redis_client import RedisClient, close_redis, open_redis

C, OTHER = "T1/C1", "T1/C2"
ROOT = "1700000000.000100"
AT = 1_700_000_000_000_100
_tenants = count(1)


class ThreadLedgerContract:
    async def test_a_new_thread_is_listed_with_the_moment_of_its_change(
        self, ledger: ThreadLedger
    ) -> None:
        assert await ledger.threads(C) == {}

        touched = await ledger.touch(C, ROOT, AT, is_new=True)

        assert touched == Touched(is_listed=True, visibility=None)
        assert await ledger.threads(C) == {ROOT: AT}
        assert await ledger.threads(OTHER) == {}

    async def test_a_change_of_a_thread_that_is_not_listed_lists_nothing(
        self, ledger: ThreadLedger
    ) -> None:
        touched = await ledger.touch(C, ROOT, AT, is_new=False, is_shorter=True)

        assert not touched.is_listed
        assert await ledger.threads(C) == await ledger.shortened(C) == {}

    async def test_moments_only_grow_to_the_microsecond(self, ledger: ThreadLedger) -> None:
        for at in (AT, AT + 1, AT - 5, AT + 1):
            await ledger.touch(C, ROOT, at, is_new=at == AT)

        assert await ledger.threads(C) == {ROOT: AT + 1}

    async def test_many_are_found_at_once_and_none_is_set_back(self, ledger: ThreadLedger) -> None:
        await ledger.touch(C, ROOT, AT + 9, is_new=True)

        await ledger.found(C, {})
        await ledger.found(C, {ROOT: AT} | {f"{n}.000000": n for n in range(500)})

        threads = await ledger.threads(C)
        assert threads[ROOT] == AT + 9
        assert len(threads) == 501
        assert threads["7.000000"] == 7

    async def test_the_latest_deletion_is_remembered_while_the_thread_is_listed(
        self, ledger: ThreadLedger
    ) -> None:
        await ledger.touch(C, ROOT, AT, is_new=True)
        await ledger.touch(C, ROOT, AT + 2, is_new=False, is_shorter=True)
        await ledger.touch(C, ROOT, AT + 1, is_new=False, is_shorter=True)
        await ledger.touch(C, ROOT, AT + 3, is_new=False)

        assert await ledger.threads(C) == {ROOT: AT + 3}
        assert await ledger.shortened(C) == {ROOT: AT + 2}

        await ledger.drop(C, ROOT, by=AT + 3, for_good=False)

        assert await ledger.shortened(C) == {}

    async def test_a_thread_that_changed_later_is_not_dropped(self, ledger: ThreadLedger) -> None:
        await ledger.touch(C, ROOT, AT, is_new=True)

        await ledger.drop(C, ROOT, by=AT - 1, for_good=True)
        await ledger.drop(C, "1.000000", by=AT, for_good=False)
        assert await ledger.threads(C) == {ROOT: AT}

        await ledger.drop(C, ROOT, by=AT, for_good=False)
        assert await ledger.threads(C) == {}

    async def test_what_is_dropped_for_good_comes_back_by_later_changes_alone(
        self, ledger: ThreadLedger
    ) -> None:
        await ledger.touch(C, ROOT, AT, is_new=True)
        await ledger.drop(C, ROOT, by=AT + 5, for_good=True)
        await ledger.drop(C, ROOT, by=AT + 4, for_good=True)

        assert not (await ledger.touch(C, ROOT, AT + 5, is_new=True)).is_listed
        await ledger.found(C, {ROOT: AT + 5, "1.000000": 1})
        assert await ledger.threads(C) == {"1.000000": 1}

        assert (await ledger.touch(C, ROOT, AT + 6, is_new=True)).is_listed
        await ledger.touch(C, ROOT, AT + 1, is_new=True)
        assert (await ledger.threads(C))[ROOT] == AT + 6

    async def test_what_is_dropped_for_now_is_listed_when_it_is_told_again(
        self, ledger: ThreadLedger
    ) -> None:
        for tell in ("touch", "found"):
            await ledger.touch(C, ROOT, AT, is_new=True)
            await ledger.drop(C, ROOT, by=AT, for_good=False)
            if tell == "touch":
                await ledger.touch(C, ROOT, AT, is_new=True)
            else:
                await ledger.found(C, {ROOT: AT})

            assert await ledger.threads(C) == {ROOT: AT}

    async def test_what_was_dropped_long_ago_is_not_kept(self, ledger: ThreadLedger) -> None:
        await ledger.drop(C, ROOT, by=AT, for_good=True)
        await ledger.drop(C, "2.000000", by=AT + DROPPED_KEPT_US, for_good=True)

        assert (await ledger.touch(C, ROOT, AT, is_new=True)).is_listed

    async def test_a_channel_is_not_indexed_until_somebody_finds_out_who_reads_it(
        self, ledger: ThreadLedger
    ) -> None:
        assert await ledger.standing(C) == Standing(None, 0)
        assert await ledger.channels() == []

        assert await ledger.set_visibility(C, Visibility.PUBLIC, epoch=0)

        assert await ledger.standing(C) == Standing(Visibility.PUBLIC, 0)
        touched = await ledger.touch(C, ROOT, AT, is_new=False)
        assert touched.visibility is Visibility.PUBLIC
        assert await ledger.channels() == [C]

    async def test_what_was_found_out_before_rights_shrank_does_not_count(
        self, ledger: ThreadLedger
    ) -> None:
        await ledger.set_visibility(C, Visibility.PUBLIC, epoch=0)
        before = await ledger.standing(C)
        await ledger.narrow(C)

        assert not await ledger.set_visibility(C, Visibility.PUBLIC, epoch=before.epoch)

        standing = await ledger.standing(C)
        assert standing.visibility is Visibility.MEMBERS
        assert await ledger.set_visibility(C, Visibility.PUBLIC, epoch=standing.epoch)

    async def test_narrowing_a_channel_that_is_not_indexed_does_not_index_it(
        self, ledger: ThreadLedger
    ) -> None:
        await ledger.narrow(C)

        assert (await ledger.standing(C)).visibility is None
        assert not await ledger.set_visibility(C, Visibility.PUBLIC, epoch=0)

    async def test_progress_of_a_backfill_comes_back_as_it_was_saved(
        self, ledger: ThreadLedger
    ) -> None:
        assert await ledger.backfill(C) is None
        backfill = Backfill(AT, "1699999999.000200", pages=3, threads=41, is_done=True, at=12.5)

        await ledger.save_backfill(C, Backfill())
        await ledger.save_backfill(C, backfill)

        assert await ledger.backfill(C) == backfill
        assert await ledger.backfill(OTHER) is None

    async def test_nothing_of_a_forgotten_channel_stays(self, ledger: ThreadLedger) -> None:
        for channel in (C, OTHER):
            await ledger.set_visibility(channel, Visibility.MEMBERS, epoch=0)
            await ledger.touch(channel, ROOT, AT, is_new=True, is_shorter=True)
            await ledger.save_backfill(channel, Backfill(pages=1))

        await ledger.forget(C)

        assert (await ledger.standing(C)).visibility is None
        assert not await ledger.set_visibility(C, Visibility.PUBLIC, epoch=0)
        assert await ledger.threads(C) == await ledger.shortened(C) == {}
        assert await ledger.backfill(C) is None
        assert await ledger.channels() == [OTHER]
        assert await ledger.threads(OTHER) == await ledger.shortened(OTHER) == {ROOT: AT}

    async def test_touches_at_once_leave_the_latest_moment(self, ledger: ThreadLedger) -> None:
        await asyncio.gather(
            *(ledger.touch(C, ROOT, AT + n % 7, is_new=n == 3) for n in range(20)),
            ledger.touch(C, ROOT, AT + 9, is_new=True),
        )

        assert await ledger.threads(C) == {ROOT: AT + 9}


class TestInMemoryThreadLedger(ThreadLedgerContract):
    @pytest.fixture
    def ledger(self) -> ThreadLedger:
        return InMemoryThreadLedger()


class TestRedisThreadLedger(ThreadLedgerContract):
    @pytest.fixture
    async def redis(self, redis_url: str) -> AsyncIterator[RedisClient]:
        redis = open_redis(redis_url)
        yield redis
        await close_redis(redis)

    @pytest.fixture
    def ledger(self, redis: RedisClient) -> ThreadLedger:
        return RedisThreadLedger(redis, tenant=f"ledger{next(_tenants)}")

    async def test_tenants_do_not_meet(self, redis: RedisClient, ledger: ThreadLedger) -> None:
        other = RedisThreadLedger(redis, tenant="other")
        await ledger.touch(C, ROOT, AT, is_new=True)
        await ledger.set_visibility(C, Visibility.PUBLIC, epoch=0)

        assert await other.threads(C) == {}
        assert await other.channels() == []

    async def test_progress_that_another_version_wrote_is_no_progress(
        self, redis: RedisClient
    ) -> None:
        tenant = f"ledger{next(_tenants)}"
        ledger = RedisThreadLedger(redis, tenant=tenant)
        await ledger.save_backfill(C, Backfill(pages=1))
        for text in ('{"v":0}', '{"v":1}', "no json", '{"v":1,"known_by":"x","before":1}'):
            await redis.hset(f"shifu:{{{tenant}:slack-index}}:backfills", C, text)

            assert await ledger.backfill(C) is None


class TestClusterThreadLedger(ThreadLedgerContract):
    @pytest.fixture
    async def ledger(self, cluster_url: str) -> AsyncIterator[ThreadLedger]:
        redis = open_redis(cluster_url)
        yield RedisThreadLedger(redis, tenant=f"ledger{next(_tenants)}")
        await close_redis(redis)


async def test_a_redis_that_is_away_is_told_as_such() -> None:
    redis = open_redis("redis://127.0.0.1:1/0", timeout_s=0.2)
    ledger = RedisThreadLedger(redis, tenant="t")

    with pytest.raises(StateUnavailable):
        await ledger.touch(C, ROOT, AT, is_new=True)
    with pytest.raises(StateUnavailable):
        await ledger.threads(C)
    await close_redis(redis)
