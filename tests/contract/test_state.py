"""What every state backend must do, and what only Redis can get wrong."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from itertools import count

import pytest
from redis.asyncio import Redis

from bot.errors import StateUnavailable
from bot.messages import Feedback, Rating, Session, Turn, UserRef
from bot.redis_client import open_redis
from bot.redis_state import RedisState
from bot.state import InMemoryState, State
from retrieval.types import Language
from tests.builders import TENANT

_tenants = count(1)
SOON_S = 10
"""Patience with a busy machine; nothing here is about how long anything takes."""


def a_turn(question: str = "請假怎麼請？") -> Turn:
    return Turn(
        question=question,
        standalone=f"{question} (特休)",
        answer="三日前申請 [1]。\n\u2028'\"\\",
        chunk_ids=("hr/leave#0", "hr/leave#1"),
        language=Language.CHINESE,
        at=datetime(2026, 11, 23, 8, 30, tzinfo=UTC),
    )


def some_feedback(
    rating: Rating = Rating.HELPFUL, *, id: str = "f1", user: str = "ann", minute: int = 0
) -> Feedback:
    at = datetime(2026, 11, 23, 8, minute, tzinfo=UTC)
    return Feedback(id, UserRef(TENANT, user), rating, at, comment="好用")


class StateContract:
    async def test_an_event_is_new_once(self, state: State) -> None:
        seen = [await state.first_seen("e1"), await state.first_seen("e1")]

        assert seen == [True, False]
        assert await state.first_seen("e2")

    async def test_of_many_deliveries_at_once_one_is_the_first(self, state: State) -> None:
        seen = await asyncio.gather(*(state.first_seen("e1") for _ in range(20)))

        assert sum(seen) == 1

    async def test_an_unknown_session_is_empty(self, state: State) -> None:
        assert await state.load_session("new") == Session()

    async def test_a_session_comes_back_as_it_was_saved(self, state: State) -> None:
        session = Session().with_turn(a_turn("one")).with_turn(a_turn("two"))

        await state.save_session("s", session)

        assert await state.load_session("s") == session
        assert await state.load_session("other") == Session()

    async def test_a_forgotten_session_is_empty(self, state: State) -> None:
        await state.save_session("s", Session().with_turn(a_turn()))

        await state.forget_session("s")
        await state.forget_session("never saved")

        assert await state.load_session("s") == Session()

    async def test_uses_beyond_the_limit_are_refused(self, state: State) -> None:
        allowed = [await state.allow("ann", limit=3, per_s=60) for _ in range(6)]

        assert allowed == [True] * 3 + [False] * 3
        assert await state.allow("ben", limit=3, per_s=60)
        assert not await state.allow("cho", limit=0, per_s=60)

    async def test_a_higher_limit_counts_the_same_uses(self, state: State) -> None:
        for _ in range(3):
            await state.allow("ann", limit=2, per_s=60)

        assert not await state.allow("ann", limit=2, per_s=60)

    async def test_of_uses_at_once_no_more_than_the_limit_pass(self, state: State) -> None:
        allowed = await asyncio.gather(*(state.allow("ann", limit=5, per_s=60) for _ in range(20)))

        assert sum(allowed) == 5

    async def test_a_later_word_replaces_the_same_persons_earlier_one(self, state: State) -> None:
        later = some_feedback(Rating.UNHELPFUL, minute=5)
        others = some_feedback(user="ben", minute=3)

        for feedback in (some_feedback(), others, later):
            await state.save_feedback(feedback)

        assert await state.feedback() == [others, later]

    async def test_one_at_a_time_holds_a_lock_and_others_in_order(self, state: State) -> None:
        order: list[str] = []

        async def take(name: str) -> None:
            async with state.lock("c"):
                order.append(f"{name} in")
                await asyncio.sleep(0.01)
                order.append(f"{name} out")

        async with asyncio.timeout(SOON_S):
            await asyncio.gather(take("a"), take("b"), take("c"))

        assert order == ["a in", "a out", "b in", "b out", "c in", "c out"]

    async def test_different_locks_do_not_wait_for_each_other(self, state: State) -> None:
        async with asyncio.timeout(SOON_S), state.lock("a"), state.lock("b"):
            pass

    async def test_a_lock_is_free_after_an_error_and_after_cancelling(self, state: State) -> None:
        with pytest.raises(KeyError):
            async with state.lock("c"):
                raise KeyError
        held = asyncio.Event()

        async def hold() -> None:
            async with state.lock("c"):
                held.set()
                await asyncio.Event().wait()

        holder = asyncio.create_task(hold())
        await held.wait()
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)

        async with asyncio.timeout(SOON_S), state.lock("c"):
            pass

    async def test_a_waiter_that_gives_up_leaves_the_lock_to_the_next(self, state: State) -> None:
        async with state.lock("c"):
            waiter = asyncio.create_task(_pass_through(state))
            await asyncio.sleep(0.02)
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)

        async with asyncio.timeout(SOON_S), state.lock("c"):
            pass

    async def test_a_lock_that_is_not_had_in_time_raises(self, impatient: State) -> None:
        async with impatient.lock("c"):
            with pytest.raises(TimeoutError):
                await _pass_through(impatient)

    async def test_the_holders_own_timeout_stays_its_own(self, state: State) -> None:
        with pytest.raises(TimeoutError, match="mine"):
            async with state.lock("c"):
                raise TimeoutError("mine")


class TestInMemoryState(StateContract):
    @pytest.fixture
    def state(self) -> State:
        return InMemoryState()

    @pytest.fixture
    def impatient(self) -> State:
        return InMemoryState(lock_wait_s=0.05)


Opened = Callable[..., RedisState]


class TestRedisState(StateContract):
    @pytest.fixture
    async def opened(self, redis_url: str) -> AsyncIterator[Opened]:
        """Further states of one organisation: as many processes."""
        tenant = f"t{next(_tenants)}"
        states: list[RedisState] = []

        def open_one(*, url: str = redis_url, **options: float) -> RedisState:
            states.append(RedisState(open_redis(url), tenant=tenant, **options))  # type: ignore[arg-type]
            return states[-1]

        yield open_one
        for state in states:
            await state.close()

    @pytest.fixture
    def state(self, opened: Opened) -> State:
        return opened()

    @pytest.fixture
    def impatient(self, opened: Opened) -> State:
        return opened(lock_wait_s=0.05)

    @pytest.fixture
    async def redis(self, redis_url: str) -> AsyncIterator[Redis]:
        client = open_redis(redis_url)
        yield client
        await client.aclose()

    async def test_everything_expires_and_values_are_versioned(
        self, redis_url: str, redis: Redis
    ) -> None:
        state = RedisState(open_redis(redis_url), tenant="expiry", session_ttl_s=77)
        await state.first_seen("e" * 10_000)
        await state.save_session("s", Session().with_turn(a_turn()))
        await state.allow("ann", limit=1, per_s=60)
        await state.save_feedback(some_feedback())
        async with state.lock("c"):
            keys = [key async for key in redis.scan_iter("shifu:expiry:*")]
            lives_s = {str(key): await redis.ttl(key) for key in keys}
        await state.close()

        assert len(keys) == 5
        assert all(left_s > 0 for left_s in lives_s.values())
        assert 70 < lives_s["shifu:expiry:session:s"] <= 77
        assert json.loads(str(await redis.get("shifu:expiry:session:s")))["v"] == 1

    async def test_tenants_share_nothing(self, redis_url: str) -> None:
        ours = RedisState(open_redis(redis_url), tenant="ours")
        theirs = RedisState(open_redis(redis_url), tenant="theirs")
        await ours.save_session("s", Session().with_turn(a_turn()))
        await ours.save_feedback(some_feedback())
        await ours.first_seen("e1")

        assert await theirs.load_session("s") == Session()
        assert await theirs.feedback() == []
        assert await theirs.first_seen("e1")
        await ours.close()
        await theirs.close()

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"v":99}', '{"v":1,"turns":[{}]}'])
    async def test_what_another_version_wrote_counts_as_forgotten(
        self, redis_url: str, redis: Redis, text: str
    ) -> None:
        state = RedisState(open_redis(redis_url), tenant="version")
        await redis.set("shifu:version:session:s", text, ex=60)
        await redis.hset("shifu:version:feedback", "f", text)

        assert await state.load_session("s") == Session()
        assert await state.feedback() == []
        await state.close()

    async def test_processes_exclude_each_other(self, opened: Opened) -> None:
        inside, most = 0, 0

        async def work(state: RedisState) -> None:
            nonlocal inside, most
            for _ in range(5):
                async with state.lock("c"):
                    inside += 1
                    most = max(most, inside)
                    await asyncio.sleep(0.002)
                    inside -= 1

        async with asyncio.timeout(4 * SOON_S):
            await asyncio.gather(*(work(opened()) for _ in range(4)))

        assert most == 1

    async def test_a_lock_outlives_its_time_while_it_is_held(self, opened: Opened) -> None:
        other = opened(lock_wait_s=1.0)

        async with opened(lock_ttl_s=0.3).lock("c"):
            with pytest.raises(TimeoutError):
                await _pass_through(other)

    async def test_a_dead_holders_lock_becomes_free(self, redis_url: str, redis: Redis) -> None:
        state = RedisState(open_redis(redis_url), tenant="orphan")
        await redis.set("shifu:orphan:lock:c", "token of the dead", px=300)

        async with asyncio.timeout(SOON_S):
            await _pass_through(state)

        await state.close()

    async def test_whoever_lost_the_lock_is_stopped(self, redis_url: str, redis: Redis) -> None:
        state = RedisState(open_redis(redis_url), tenant="lost", lock_ttl_s=0.3)
        key = "shifu:lost:lock:c"

        async def lose_it() -> None:
            async with asyncio.timeout(SOON_S), state.lock("c"):
                await redis.set(key, "somebody else", ex=60)
                await asyncio.Event().wait()

        with pytest.raises(StateUnavailable, match="lost"):
            await lose_it()

        assert await redis.get(key) == "somebody else"
        await state.close()

    async def test_every_method_says_that_redis_is_unavailable(self, opened: Opened) -> None:
        state = opened(url="unix:///nowhere/redis.sock")
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: state.first_seen("e"),
            lambda: state.load_session("s"),
            lambda: state.save_session("s", Session()),
            lambda: state.forget_session("s"),
            lambda: state.allow("a", limit=1, per_s=1),
            lambda: state.save_feedback(some_feedback()),
            state.feedback,
            state.ping,
            lambda: _pass_through(state),
        ]

        for call in calls:
            with pytest.raises(StateUnavailable) as raised:
                await call()
            assert "nowhere" not in str(raised.value)

    async def test_many_at_once_wait_for_a_connection(self, redis_url: str) -> None:
        state = RedisState(open_redis(redis_url, max_connections=2), tenant="crowd")

        async with asyncio.timeout(2 * SOON_S):
            await asyncio.gather(*(state.load_session(str(n)) for n in range(200)))
        await state.close()

    def test_an_impossible_address_is_refused_without_its_password(self) -> None:
        with pytest.raises(StateUnavailable, match="redis://HOST") as raised:
            open_redis("http://user:geheim@host")

        assert "geheim" not in str(raised.value)


async def _pass_through(state: State) -> None:
    async with state.lock("c"):
        pass
