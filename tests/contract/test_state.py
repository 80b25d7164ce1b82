"""What every state backend must do, and what only Redis can get wrong."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest
from redis import ResponseError
from redis.asyncio import Connection, Redis, SSLConnection

from bot.errors import StateUnavailable
from bot.messages import Feedback, Preferences, Rating, Session, Turn, UserRef
from bot.redis_client import answered, close_redis, open_redis
from bot.redis_state import RedisState
from bot.state import InMemoryState, State
from retrieval.types import Language
from tests.builders import TENANT

_tenants = count(1)
SOON_S = 10
"""Patience with a busy machine; nothing here is about how long anything takes."""


def a_turn(question: str = "請假怎麼請？") -> Turn:
    return Turn(
        event_id=f"event {question}",
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

    async def test_a_check_is_no_session(self, state: State) -> None:
        await state.check()

        assert await state.load_session("check") == Session()

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

    async def test_what_is_refused_is_not_counted(self, state: State) -> None:
        allowed = 0
        for _ in range(25):
            allowed += await state.allow("ann", limit=2, per_s=1)
            await asyncio.sleep(0.1)

        assert allowed >= 4

    async def test_a_later_word_replaces_the_same_persons_earlier_one(self, state: State) -> None:
        later = some_feedback(Rating.UNHELPFUL, minute=5)
        others = some_feedback(user="ben", minute=3)

        for feedback in (some_feedback(), others, later):
            await state.save_feedback(feedback)

        assert await state.feedback() == [others, later]

    async def test_a_report_replaces_neither_a_rating_nor_another_report(
        self, state: State
    ) -> None:
        ann, at = UserRef(TENANT, "ann"), datetime(2026, 11, 23, 9, tzinfo=UTC)
        reports = [Feedback.report(f"event {n}", ann, at, f"report {n}", "f1") for n in range(2)]

        for feedback in (some_feedback(), *reports, reports[1]):
            await state.save_feedback(feedback)

        kept = await state.feedback()
        assert kept[0] == some_feedback()
        assert sorted(kept[1:], key=lambda f: f.feedback_id) == reports
        assert [f.is_report for f in kept] == [False, True, True]

    async def test_somebody_whose_feedback_is_forgotten_has_said_nothing(
        self, state: State
    ) -> None:
        await state.save_feedback(some_feedback())
        await state.save_feedback(some_feedback(id="f2"))
        await state.save_feedback(some_feedback(user="ben"))

        await state.forget_feedback(UserRef(TENANT, "ann"))
        await state.forget_feedback(UserRef(TENANT, "nobody"))

        assert await state.feedback() == [some_feedback(user="ben")]

    async def test_a_persons_sessions_are_found(self, state: State) -> None:
        ann, ben = UserRef(TENANT, "ann"), UserRef(TENANT, "ben")
        hers, his = replace(a_turn("one"), asker=ann), replace(a_turn("two"), asker=ben)
        await state.save_session("both", Session().with_turn(hers).with_turn(his))
        await state.save_session("hers", Session().with_turn(hers))
        await state.save_session("nobody's", Session().with_turn(a_turn()))

        assert sorted(await state.sessions_of(ann)) == ["both", "hers"]
        assert await state.sessions_of(ben) == ["both"]
        assert await state.sessions_of(UserRef(TENANT, "cho")) == []
        both = await state.load_session("both")
        assert both.without_turns_of(ann).turns == (his,)

    async def test_preferences_are_each_persons_own_and_can_be_taken_back(
        self, state: State
    ) -> None:
        ann, ben = UserRef(TENANT, "ann"), UserRef(TENANT, "ben")

        await state.save_preferences(ann, Preferences(Language.CHINESE))

        assert await state.preferences(ann) == Preferences(Language.CHINESE)
        assert await state.preferences(ben) == Preferences()
        await state.save_preferences(ann, Preferences())
        assert await state.preferences(ann) == Preferences()


class TestInMemoryState(StateContract):
    @pytest.fixture
    def state(self) -> State:
        return InMemoryState()


class RedisStateContract(StateContract):
    @pytest.fixture
    async def state(self, url: str) -> AsyncIterator[State]:
        state = RedisState(open_redis(url), tenant=f"t{next(_tenants)}")
        yield state
        await state.close()


class TestRedisStateOnACluster(RedisStateContract):
    @pytest.fixture
    def url(self, cluster_url: str) -> str:
        return cluster_url


class TestRedisStateThroughSentinel(RedisStateContract):
    @pytest.fixture
    def url(self, sentinel_url: str) -> str:
        return sentinel_url


class TestRedisState(RedisStateContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url

    @pytest.fixture
    async def redis(self, redis_url: str) -> AsyncIterator[Redis]:
        client = open_redis(redis_url)
        assert isinstance(client, Redis)
        yield client
        await client.aclose()

    async def test_everything_expires_and_values_are_versioned(
        self, redis_url: str, redis: Redis
    ) -> None:
        state = RedisState(open_redis(redis_url), tenant="expiry", session_ttl_s=77)
        ann = UserRef(TENANT, "ann")
        turn = replace(a_turn(), asker=ann)
        await state.save_session("s", Session().with_turn(turn))
        await state.allow("a", limit=1, per_s=60)
        await state.save_feedback(some_feedback())
        await state.save_preferences(ann, Preferences(Language.ENGLISH))
        keys = [key async for key in redis.scan_iter("shifu:expiry:*")]
        lives_s = {str(key): await redis.ttl(key) for key in keys}
        await state.close()

        assert len(keys) == 5
        assert not any("ann" in key for key in lives_s)
        assert all(left_s > 0 for left_s in lives_s.values())
        assert 70 < lives_s["shifu:expiry:session:s"] <= 77
        assert json.loads(str(await redis.get("shifu:expiry:session:s")))["v"] == 1

    async def test_tenants_share_nothing(self, redis_url: str) -> None:
        ours = RedisState(open_redis(redis_url), tenant="ours")
        theirs = RedisState(open_redis(redis_url), tenant="theirs")
        await ours.save_session("s", Session().with_turn(a_turn()))
        await ours.save_feedback(some_feedback())

        assert await theirs.load_session("s") == Session()
        assert await theirs.feedback() == []
        await ours.close()
        await theirs.close()

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"v":99}', '{"v":1,"turns":[{}]}'])
    async def test_what_another_version_wrote_counts_as_forgotten(
        self, redis_url: str, redis: Redis, text: str
    ) -> None:
        state = RedisState(open_redis(redis_url), tenant="version")
        await redis.set("shifu:version:session:s", text, ex=60)
        await redis.hset("shifu:version:feedback", "f", text)
        ann = UserRef(TENANT, "ann")
        await redis.set(f"shifu:version:preferences:{ann.key}", text, ex=60)

        assert await state.load_session("s") == Session()
        assert await state.preferences(ann) == Preferences()
        assert await state.feedback() == []
        await state.close()

    async def test_every_method_says_that_redis_is_unavailable(self) -> None:
        state = RedisState(open_redis("unix:///nowhere/redis.sock"), tenant="nowhere")
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: state.load_session("s"),
            lambda: state.save_session("s", Session()),
            lambda: state.forget_session("s"),
            lambda: state.allow("a", limit=1, per_s=1),
            lambda: state.save_feedback(some_feedback()),
            state.feedback,
            lambda: state.forget_feedback(UserRef(TENANT, "ann")),
            lambda: state.sessions_of(UserRef(TENANT, "ann")),
            lambda: state.preferences(UserRef(TENANT, "ann")),
            lambda: state.save_preferences(UserRef(TENANT, "ann"), Preferences()),
            state.check,
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


class TestAddresses:
    @pytest.mark.parametrize(
        "url",
        [
            "http://user:geheim@host",
            "redis+sentinel://user:geheim@host:26379",
            "redis+sentinel://user:geheim@host:26379/shifu/first",
            "redis+sentinel://user:geheim@host:port/shifu",
            "redis+sentinel://user:geheim@host,,other/shifu",
            "redis+cluster://user:geheim@",
            "redis+cluster://user:geheim@host:6379/2",
            "redis+cluster://user:geheim@host:6379/?colour=blue",
            "redis+proxy://user:geheim@host:6379",
            "redis://user:geheim@host:6379/0?colour=blue",
            "redis://user:geheim@[host",
        ],
    )
    def test_an_impossible_one_is_refused_without_its_password(self, url: str) -> None:
        with pytest.raises(StateUnavailable, match="SHIFU_REDIS__URL") as raised:
            open_redis(url)

        assert "geheim" not in str(raised.value)
        assert "redis+sentinel://" in str(raised.value)

    @pytest.mark.parametrize("tls", ["", "s"])
    async def test_login_and_options_reach_every_server(self, tls: str) -> None:
        login, options = "an%40n:s%2Fecret", "?socket_timeout=3"

        for url in (
            f"redis{tls}://{login}@h1:1/5{options}",
            f"redis{tls}+sentinel://{login}@h1:1,[::1]/shifu/5{options}",
            f"redis{tls}+cluster://{login}@h1:1,h2{options}",
        ):
            redis = open_redis(url)
            used = redis.get_connection_kwargs()
            await close_redis(redis)

            assert (used["username"], used["password"]) == ("an@n", "s/ecret")
            assert used["protocol"] == 2
            assert used["socket_timeout"] == 3
            assert used.get("db", 5) == 5
            if isinstance(redis, Redis):
                made = redis.connection_pool.connection_class
                assert issubclass(made, SSLConnection) == bool(tls)
            else:
                assert used["connection_class"] is (SSLConnection if tls else Connection)


class TestAnswers:
    async def test_a_cancellation_is_not_lost_when_the_command_swallows_it(self) -> None:
        async def swallow() -> str:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "an answer"
            return "never"

        waiting = asyncio.create_task(answered(swallow(), timeout_s=SOON_S))
        await asyncio.sleep(0)
        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting

    async def test_who_is_being_cancelled_may_still_tidy_up(self) -> None:
        async def work() -> str:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return await answered(asyncio.sleep(0, "tidy"), timeout_s=SOON_S)
            return "never"

        working = asyncio.create_task(work())
        await asyncio.sleep(0)
        working.cancel()

        assert await working == "tidy"

    @pytest.mark.parametrize(
        ("reply", "meant"),
        [
            ("MISCONF Errors writing to the AOF file: No space left on device", "disk"),
            ("NOREPLICAS Not enough good replicas to write.", "min-replicas-to-write"),
            ("UNBLOCKED force unblock from blocking operation, master -> replica?", "in a moment"),
            ("Error running script: @user_script: 9: -OOM command not allowed", "maxmemory"),
            ("Error running script: @user_script: 9: -READONLY You can't write", "replica"),
            ("unknown command 'EVAL' of geheim", "version 6.2"),
        ],
    )
    async def test_a_refusal_is_put_in_words_that_help(self, reply: str, meant: str) -> None:
        async def refuse() -> None:
            raise ResponseError(reply)

        with pytest.raises(StateUnavailable, match=meant) as raised:
            await answered(refuse(), timeout_s=SOON_S)

        assert "geheim" not in str(raised.value)
        assert "script" not in str(raised.value)
