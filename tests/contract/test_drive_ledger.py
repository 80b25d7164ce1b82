"""What every ledger of document libraries must do."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count

import pytest

from adapters.teams.drive_ledger import DriveItem, DriveLedger, DriveState, InMemoryDriveLedger
from adapters.teams.redis_drive_ledger import RedisDriveLedger
from bot.errors import StateUnavailable
from bot.redis_client import RedisClient, close_redis, open_redis

D, OTHER = "b!one", "b!two"
FULL = DriveItem(
    id="01A",
    parent="01ROOT",
    name="計畫 plan.md",
    size_bytes=12,
    tag='"{A},1"',
    link="https://example.sharepoint.com/plan.md",
    modified_at="2026-09-21T10:13:20Z",
    owner="teams:t/amy",
    problem="malware",
    shared="abc",
    scan=3,
    is_misplaced=True,
    rights_at=12.5,
    principals=frozenset({"user:acme/amy", "tenant:acme"}),
    left_out={"SharePoint group": 2},
    refusal="refused",
    expires_at=99.25,
)
STATE = DriveState(1, "https://graph/next", True, 2, 3.5, "rules", 4.5, 5.5)
_tenants = count(1)


class DriveLedgerContract:
    async def test_an_unknown_library_has_nothing(self, ledger: DriveLedger) -> None:
        assert await ledger.state(D) is None
        assert await ledger.items(D) == {}

    async def test_items_and_how_far_they_bring_us_come_back_as_they_were_written(
        self, ledger: DriveLedger
    ) -> None:
        folder = DriveItem(id="01ROOT", is_folder=True)

        assert await ledger.turn(D, STATE, put=[FULL, folder])

        assert await ledger.state(D) == STATE
        assert await ledger.items(D) == {"01A": FULL, "01ROOT": folder}
        assert await ledger.items(OTHER) == {}

    async def test_items_are_replaced_and_dropped(self, ledger: DriveLedger) -> None:
        await ledger.turn(D, STATE, put=[FULL, DriveItem(id="01B"), DriveItem(id="01C")])
        renamed = replace(FULL, name="new")

        await ledger.turn(D, replace(STATE, turn=2), put=[renamed], drop=["01B", "01X"])

        assert await ledger.items(D) == {"01A": renamed, "01C": DriveItem(id="01C")}

    async def test_what_is_dropped_and_put_at_once_is_there(self, ledger: DriveLedger) -> None:
        await ledger.turn(D, STATE, put=[FULL], drop=[FULL.id])

        assert await ledger.items(D) == {FULL.id: FULL}

    @pytest.mark.parametrize("turn", [0, 1, 3])
    async def test_who_does_not_know_the_latest_turn_changes_nothing(
        self, ledger: DriveLedger, turn: int
    ) -> None:
        await ledger.turn(D, STATE, put=[FULL])

        assert not await ledger.turn(D, replace(STATE, turn=turn, link="x"), drop=[FULL.id])

        assert await ledger.state(D) == STATE
        assert await ledger.items(D) == {FULL.id: FULL}

    async def test_of_several_at_once_one_wins(self, ledger: DriveLedger) -> None:
        won = await asyncio.gather(
            *(ledger.turn(D, STATE, put=[DriveItem(id=f"01{n}")]) for n in range(9))
        )

        assert won.count(True) == 1
        assert list(await ledger.items(D)) == [f"01{won.index(True)}"]

    async def test_large_libraries_come_back_whole(self, ledger: DriveLedger) -> None:
        items = {f"01{n}": DriveItem(id=f"01{n}", name=f"{n}.md") for n in range(5000)}

        await ledger.turn(D, STATE, put=items.values())
        await ledger.turn(D, replace(STATE, turn=2), drop=list(items)[1:3000])

        assert len(await ledger.items(D)) == 2001

    async def test_nothing_of_a_forgotten_library_stays(self, ledger: DriveLedger) -> None:
        for drive in (D, OTHER):
            await ledger.turn(drive, STATE, put=[FULL])

        await ledger.forget(D)

        assert await ledger.state(D) is None
        assert await ledger.items(D) == {}
        assert await ledger.state(OTHER) == STATE
        assert await ledger.turn(D, STATE, put=[FULL])


class TestInMemoryDriveLedger(DriveLedgerContract):
    @pytest.fixture
    def ledger(self) -> DriveLedger:
        return InMemoryDriveLedger()


class TestRedisDriveLedger(DriveLedgerContract):
    @pytest.fixture
    async def redis(self, redis_url: str) -> AsyncIterator[RedisClient]:
        redis = open_redis(redis_url)
        yield redis
        await close_redis(redis)

    @pytest.fixture
    def ledger(self, redis: RedisClient) -> DriveLedger:
        return RedisDriveLedger(redis, tenant=f"drives{next(_tenants)}")

    async def test_tenants_do_not_meet(self, redis: RedisClient, ledger: DriveLedger) -> None:
        other = RedisDriveLedger(redis, tenant="other")

        await ledger.turn(D, STATE, put=[FULL])

        assert await other.items(D) == {}
        assert await other.state(D) is None

    @pytest.mark.parametrize(
        "text", ['{"v":0}', "no json", '{"v":1,"unknown":1}', '{"v":1,"turn":1,"more":2}']
    )
    async def test_what_another_version_wrote_is_read_through_anew(
        self, redis: RedisClient, text: str
    ) -> None:
        tenant = f"drives{next(_tenants)}"
        ledger = RedisDriveLedger(redis, tenant=tenant)
        await ledger.turn(D, STATE, put=[FULL])
        await redis.hset(f"shifu:{{{tenant}:sharepoint}}:state:{D}", "state", text)

        assert await ledger.state(D) is None

        assert await ledger.items(D) == {}
        assert await ledger.turn(D, STATE, put=[FULL])


class TestClusterDriveLedger(DriveLedgerContract):
    @pytest.fixture
    async def ledger(self, cluster_url: str) -> AsyncIterator[DriveLedger]:
        redis = open_redis(cluster_url)
        yield RedisDriveLedger(redis, tenant=f"drives{next(_tenants)}")
        await close_redis(redis)


async def test_a_redis_that_is_away_is_told_as_such() -> None:
    redis = open_redis("redis://127.0.0.1:1/0", timeout_s=0.2)
    ledger = RedisDriveLedger(redis, tenant="t")

    with pytest.raises(StateUnavailable):
        await ledger.state(D)
    with pytest.raises(StateUnavailable):
        await ledger.turn(D, STATE)
    await close_redis(redis)
