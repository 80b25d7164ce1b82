"""What every inbox must do, and what only Redis can get wrong."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.errors import StateUnavailable
from bot.inbox import Hold, Inbox, InMemoryInbox, QueueState, Taken
from bot.redis_client import close_redis, open_redis
from bot.redis_inbox import RedisInbox
from tests.redis_servers import Server, running

_tenants = count(1)
SOON_S = 10
"""Patience with a busy machine; nothing here is about how long anything takes."""
LONG_S, BRIEF_S = 600, 0.15
"""A lease that is not over before the test is; one that is."""

OpenInbox = Callable[..., Inbox]


async def put(inbox: Inbox, *ids: str, conversation: str = "c") -> None:
    for id in ids:
        await inbox.put(id, conversation, "turn", f"body of {id}")


async def take(inbox: Inbox, id: str | None = None) -> Taken:
    """What there is to take, now or soon."""
    async with asyncio.timeout(SOON_S):
        while (taken := await inbox.take(wait_s=SOON_S)) is None:
            pass
    assert id in (None, taken.entry.id)
    return taken


async def nothing_to_take(inbox: Inbox) -> bool:
    return await inbox.take(wait_s=0) is None


class InboxContract:
    @pytest.fixture
    def inbox(self, open_inbox: OpenInbox) -> Inbox:
        return open_inbox(lease_s=LONG_S)

    @pytest.fixture
    def brief(self, open_inbox: OpenInbox) -> Inbox:
        """An inbox whose loans are soon over."""
        return open_inbox(lease_s=BRIEF_S)

    async def test_an_entry_is_taken_as_it_was_put(self, inbox: Inbox) -> None:
        body = '{"text":"請假？\\n\u2028\\"","half":"\ud83d"}'
        await inbox.put("e" * 5000, "slack/C1:資料", "turn", body)

        entry = (await take(inbox)).entry

        assert (entry.id, entry.conversation) == ("e" * 5000, "slack/C1:資料")
        assert (entry.kind, entry.body) == ("turn", body)
        assert (entry.tries, entry.posted) == (1, None)
        assert entry.accepted_at > 1_600_000_000

    async def test_a_conversation_is_taken_in_order_one_at_a_time(self, inbox: Inbox) -> None:
        await put(inbox, "a", "b", "c")

        for id in ("a", "b", "c"):
            taken = await take(inbox, id)
            assert await nothing_to_take(inbox)
            assert await inbox.done(taken)

        assert await nothing_to_take(inbox)

    async def test_other_conversations_do_not_wait(self, inbox: Inbox) -> None:
        for n in range(6):
            await put(inbox, f"a{n}", f"b{n}", conversation=f"c{n}")

        taken = [await take(inbox) for _ in range(6)]

        assert {t.entry.id for t in taken} == {f"a{n}" for n in range(6)}
        assert await nothing_to_take(inbox)

    async def test_putting_twice_changes_nothing(self, inbox: Inbox) -> None:
        first = await inbox.put("e", "c", "turn", "first")
        again = await inbox.put("e", "c", "turn", "again")
        taken = await take(inbox, "e")
        await inbox.done(taken)
        late = await inbox.put("e", "c", "turn", "late")

        assert (first.is_new, again.is_new, late.is_new) == (True, False, False)
        assert taken.entry.body == "first"
        assert await nothing_to_take(inbox)

    async def test_of_many_deliveries_at_once_one_is_the_first(self, inbox: Inbox) -> None:
        accepted = await asyncio.gather(*(inbox.put("e", "c", "turn", "") for _ in range(20)))

        assert sum(a.is_new for a in accepted) == 1
        assert (await inbox.state()).unfinished == 1

    async def test_who_puts_is_told_how_much_is_ahead(self, inbox: Inbox) -> None:
        await put(inbox, "a", "b")
        await put(inbox, "x", conversation="d")
        await put(inbox, "y", conversation="e")

        third = await inbox.put("c", "c", "turn", "")
        again = await inbox.put("c", "c", "turn", "")

        assert (third.ahead, third.waiting) == (2, 5)
        assert third.oldest_age_s >= 0
        assert (again.ahead, again.waiting) == (0, 5)

    async def test_a_loan_that_is_not_renewed_passes_to_the_next(self, brief: Inbox) -> None:
        await put(brief, "a", "b")
        first = await take(brief, "a")

        second = await take(brief, "a")

        assert second.fence > first.fence
        assert (first.entry.tries, second.entry.tries) == (1, 2)

    async def test_who_lost_the_loan_changes_nothing(self, open_inbox: OpenInbox) -> None:
        inbox = open_inbox(lease_s=1)
        await put(inbox, "a", "b")
        lost = await take(inbox, "a")
        taken = await take(inbox, "a")

        assert await inbox.renew(lost) is Hold.LOST
        assert not await inbox.record(lost, "theirs")
        assert not await inbox.done(lost)
        assert not await inbox.put_back(lost, after_s=LONG_S)
        assert not await inbox.bury(lost, "theirs")

        assert await inbox.put_back(taken)
        again = await take(inbox, "a")
        assert (again.entry.tries, again.entry.posted) == (3, None)
        assert await inbox.dead() == []

    async def test_a_loan_ends_once(self, inbox: Inbox) -> None:
        await put(inbox, "a", "b", "c", "d")

        for end in (inbox.done, inbox.put_back, lambda t: inbox.bury(t, "broken")):
            taken = await take(inbox)
            assert await end(taken)
            assert not await inbox.done(taken)
            assert not await inbox.put_back(taken)
            assert not await inbox.bury(taken, "again")
            assert not await inbox.record(taken, "late")
            assert await inbox.renew(taken) is Hold.LOST

        assert (await take(inbox, "c")).entry.tries == 1

    async def test_a_loan_outlives_its_lease_until_somebody_else_takes(self, brief: Inbox) -> None:
        await put(brief, "a")
        taken = await take(brief, "a")
        await asyncio.sleep(2 * BRIEF_S)

        assert await brief.renew(taken) is Hold.HELD
        assert await brief.done(taken)

    async def test_where_it_is_answered_is_known_to_the_next(self, inbox: Inbox) -> None:
        await put(inbox, "a")
        taken = await take(inbox)

        assert await inbox.record(taken, "m1")
        assert await inbox.record(taken, "m2")
        await inbox.put_back(taken)

        assert (await take(inbox)).entry.posted == "m2"

    async def test_what_is_put_back_stays_first_and_counts_unless_told(self, inbox: Inbox) -> None:
        await put(inbox, "a", "b")

        await inbox.put_back(await take(inbox, "a"))
        await inbox.put_back(await take(inbox, "a"), counts=False)

        assert (await take(inbox, "a")).entry.tries == 2

    async def test_a_pause_is_the_conversations_alone(self, inbox: Inbox) -> None:
        await put(inbox, "a", "b")
        await put(inbox, "x", conversation="other")
        paused = {}
        for _ in range(2):
            taken = await take(inbox)
            paused[taken.entry.id] = taken

        await inbox.put_back(paused["a"], after_s=LONG_S)
        await inbox.done(paused["x"])
        await put(inbox, "y", conversation="other")

        await take(inbox, "y")
        assert await nothing_to_take(inbox)

    async def test_a_pause_ends(self, inbox: Inbox) -> None:
        await put(inbox, "a")

        await inbox.put_back(await take(inbox), after_s=BRIEF_S)

        await take(inbox, "a")

    async def test_what_is_buried_frees_its_conversation(self, inbox: Inbox) -> None:
        await put(inbox, "a", "b")
        taken = await take(inbox, "a")

        assert await inbox.bury(taken, "five tries")

        assert (await take(inbox)).entry.id == "b"
        [letter] = await inbox.dead()
        assert letter.entry == taken.entry
        assert letter.reason == "five tries"
        assert letter.buried_at >= letter.entry.accepted_at

    async def test_dead_letters_come_latest_first(self, inbox: Inbox) -> None:
        for n in range(4):
            await put(inbox, f"e{n}", conversation=f"c{n}")
            await inbox.bury(await take(inbox), "")
            await asyncio.sleep(0.005)

        assert [letter.entry.id for letter in await inbox.dead()] == ["e3", "e2", "e1", "e0"]

    async def test_a_dead_letter_comes_back_untried_at_the_end(self, inbox: Inbox) -> None:
        await put(inbox, "a", "b")
        taken = await take(inbox)
        await inbox.record(taken, "m1")
        await inbox.stop("a", "c")
        await inbox.bury(taken, "")

        assert await inbox.revive("a")

        assert not await inbox.revive("a")
        assert await inbox.dead() == []
        await inbox.done(await take(inbox, "b"))
        again = await take(inbox, "a")
        assert (again.entry.tries, again.entry.posted) == (1, "m1")
        assert again.entry.accepted_at >= taken.entry.accepted_at
        assert await inbox.renew(again) is Hold.HELD

    async def test_a_dropped_letter_is_gone(self, inbox: Inbox) -> None:
        await put(inbox, "a")
        await inbox.bury(await take(inbox), "")

        assert await inbox.drop("a")

        assert not await inbox.drop("a")
        assert not await inbox.revive("a")
        assert await inbox.state() == QueueState(0, 0.0, 0, 0)

    async def test_who_works_on_what_is_stopped_learns_of_it_and_so_do_later_ones(
        self, inbox: Inbox
    ) -> None:
        await put(inbox, "a", "b")
        taken = await take(inbox, "a")
        assert await inbox.renew(taken) is Hold.HELD

        assert not await inbox.stop("a", "c")

        assert await inbox.renew(taken) is Hold.STOPPED
        await inbox.put_back(taken)
        # Nobody has it now: it need not be taken once more.
        assert await inbox.stop("a", "c")
        await take(inbox, "b")

    async def test_what_nobody_works_on_is_gone_once_it_is_stopped(self, inbox: Inbox) -> None:
        await put(inbox, "a", "b", "c")
        taken = await take(inbox, "a")

        assert await inbox.stop("b", "c")

        assert not await inbox.stop("b", "c")
        assert (await inbox.state()).unfinished == 2
        assert not (await inbox.put("b", "c", "turn", "")).is_new
        await inbox.done(taken)
        await inbox.done(await take(inbox, "c"))
        assert (await inbox.state()).unfinished == 0

    async def test_the_last_of_a_conversation_can_be_stopped(self, inbox: Inbox) -> None:
        await put(inbox, "a")

        assert await inbox.stop("a", "c")

        assert await inbox.take(wait_s=0) is None
        await put(inbox, "b")
        await take(inbox, "b")

    async def test_a_stop_for_something_else_changes_nothing(self, inbox: Inbox) -> None:
        await put(inbox, "a", "b")
        taken = await take(inbox, "a")

        assert not await inbox.stop("unknown", "c")
        assert not await inbox.stop("a", "unknown")

        assert await inbox.renew(taken) is Hold.HELD
        assert (await inbox.state()).unfinished == 2

    async def test_the_state_counts_what_is_unfinished_and_what_is_dead(self, inbox: Inbox) -> None:
        assert await inbox.state() == QueueState(0, 0.0, 0, 0)
        await put(inbox, "a", "b")
        await put(inbox, "x", conversation="other")
        await asyncio.sleep(0.01)

        first = await take(inbox)
        held = await inbox.state()
        await inbox.bury(first, "")
        await inbox.done(await take(inbox))
        left = await inbox.state()

        assert (held.waiting, held.unfinished, held.dead) == (2, 3, 0)
        assert 0 < held.oldest_age_s < SOON_S
        assert (left.waiting, left.unfinished, left.dead) == (1, 1, 1)

    async def test_only_what_somebody_waits_for_and_nobody_works_on_is_said_to_wait(
        self, inbox: Inbox
    ) -> None:
        await inbox.put("job", "jobs", "sync", "", is_awaited=False)
        await asyncio.sleep(0.01)
        await put(inbox, "a")
        job = await take(inbox, "job")
        await inbox.put_back(job, after_s=LONG_S)
        before = await inbox.state()

        taken = await take(inbox, "a")
        at_work = await inbox.state()
        await inbox.put_back(taken)
        after = await inbox.state()
        late = await inbox.put("b", "d", "turn", "")

        assert (before.waiting, before.unfinished) == (1, 2)
        assert (at_work.waiting, at_work.oldest_age_s, at_work.unfinished) == (0, 0.0, 2)
        assert (after.waiting, after.unfinished) == (1, 2)
        assert after.oldest_age_s > 0
        assert late.waiting == 2

    async def test_takers_at_once_share_nothing_and_miss_nothing(self, inbox: Inbox) -> None:
        ids = {f"{c}-{n}" for c in range(8) for n in range(5)}
        for n in range(5):
            for c in range(8):
                await put(inbox, f"{c}-{n}", conversation=str(c))
        done: list[str] = []
        at_work: Counter[str] = Counter()

        async def work() -> None:
            while len(done) < len(ids):
                taken = await inbox.take(wait_s=0.05)
                if taken is None:
                    continue
                conversation = taken.entry.conversation
                at_work[conversation] += 1
                assert at_work[conversation] == 1
                await asyncio.sleep(0.001)
                at_work[conversation] -= 1
                done.append(taken.entry.id)
                assert await inbox.done(taken)

        async with asyncio.timeout(3 * SOON_S):
            await asyncio.gather(*(work() for _ in range(12)))

        assert len(done) == len(ids)
        assert set(done) == ids
        for c in range(8):
            assert [id for id in done if id.startswith(f"{c}-")] == [f"{c}-{n}" for n in range(5)]

    async def test_who_waits_is_woken_by_whatever_can_be_taken(self, inbox: Inbox) -> None:
        waiting = asyncio.create_task(take(inbox, "a"))
        await asyncio.sleep(0.05)
        await put(inbox, "a", "b")
        taken = await waiting

        waiting = asyncio.create_task(take(inbox, "b"))
        await asyncio.sleep(0.05)
        await inbox.done(taken)
        taken = await waiting

        waiting = asyncio.create_task(take(inbox, "b"))
        await asyncio.sleep(0.05)
        await inbox.put_back(taken)
        await inbox.bury(await waiting, "")

        waiting = asyncio.create_task(take(inbox, "b"))
        await asyncio.sleep(0.05)
        await inbox.revive("b")
        await inbox.done(await waiting)

    async def test_many_may_wait_at_once(self, inbox: Inbox) -> None:
        waiting = [asyncio.create_task(take(inbox)) for _ in range(10)]
        await asyncio.sleep(0.05)

        for n in range(10):
            await put(inbox, f"e{n}", conversation=f"c{n}")

        taken = await asyncio.gather(*waiting)
        assert {t.entry.id for t in taken} == {f"e{n}" for n in range(10)}

    async def test_who_stops_waiting_takes_nothing_along(self, inbox: Inbox) -> None:
        waiting = [asyncio.create_task(inbox.take(wait_s=SOON_S)) for _ in range(5)]
        await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await put(inbox, "a")

        await take(inbox, "a")


class TestInMemoryInbox(InboxContract):
    @pytest.fixture
    def open_inbox(self) -> OpenInbox:
        return InMemoryInbox


class RedisInboxContract(InboxContract):
    partitions = 1

    @pytest.fixture
    def tenant(self) -> str:
        return f"inbox{next(_tenants)}"

    @pytest.fixture
    async def open_inbox(self, url: str, tenant: str) -> AsyncIterator[OpenInbox]:
        """Inboxes of one organisation: as many processes."""
        opened: list[RedisInbox] = []

        def open_one(*, lease_s: float = LONG_S) -> RedisInbox:
            redis = open_redis(url)
            opened.append(
                RedisInbox(redis, tenant=tenant, lease_s=lease_s, partitions=self.partitions)
            )
            return opened[-1]

        yield open_one
        for inbox in opened:
            await inbox.close()

    async def test_a_call_that_is_sent_twice_has_one_effect_and_one_reply(
        self, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The client sends a call again, token and all, when its reply is lost.
        tokens: list[str] = []

        def next_call(name: str) -> None:
            tokens.append(name)

        monkeypatch.setattr("bot.redis_inbox._token", lambda: tokens[-1])

        next_call("put")
        assert (await inbox.put("a", "c", "turn", "")).is_new
        assert (await inbox.put("a", "c", "turn", "")).is_new
        assert (await inbox.state()).unfinished == 1
        next_call("put b")
        await put(inbox, "b")
        next_call("take")
        taken = await take(inbox, "a")
        assert await take(inbox) == taken
        next_call("put back")
        assert await inbox.put_back(taken, counts=False)
        assert await inbox.put_back(taken, counts=False)
        next_call("take again")
        taken = await take(inbox, "a")
        assert taken.entry.tries == 1
        next_call("bury")
        assert await inbox.bury(taken, "")
        assert await inbox.bury(taken, "")
        assert (await inbox.state()).unfinished == 1
        next_call("revive")
        assert await inbox.revive("a")
        assert await inbox.revive("a")
        assert (await inbox.state()).unfinished == 2
        next_call("take b")
        taken = await take(inbox, "b")
        next_call("done")
        assert await inbox.done(taken)
        assert await inbox.done(taken)
        next_call("take a once more")
        taken = await take(inbox, "a")
        next_call("bury again")
        await inbox.bury(taken, "")
        next_call("drop")
        assert await inbox.drop("a")
        assert await inbox.drop("a")

    async def test_processes_share_no_entry(self, open_inbox: OpenInbox) -> None:
        inboxes = [open_inbox() for _ in range(3)]
        for n in range(30):
            await put(inboxes[0], f"e{n}", conversation=f"c{n}")

        taken = await asyncio.gather(*(take(inboxes[n % 3]) for n in range(30)))

        assert len({t.entry.id for t in taken}) == 30

    async def test_a_process_hears_of_what_another_puts(self, open_inbox: OpenInbox) -> None:
        here, there = open_inbox(), open_inbox()
        waiting = asyncio.create_task(take(here))
        await asyncio.sleep(0.05)

        await put(there, "a")

        assert (await waiting).entry.id == "a"


class TestRedisInboxOnACluster(RedisInboxContract):
    partitions = 8

    @pytest.fixture
    def url(self, cluster_url: str) -> str:
        return cluster_url


class TestRedisInboxThroughSentinel(RedisInboxContract):
    @pytest.fixture
    def url(self, sentinel_url: str) -> str:
        return sentinel_url


class TestRedisInboxInPartitions(RedisInboxContract):
    partitions = 4

    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url


class TestRedisInbox(RedisInboxContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url

    @pytest.fixture
    async def redis(self, url: str) -> AsyncIterator[Redis]:
        client = open_redis(url)
        assert isinstance(client, Redis)
        yield client
        await close_redis(client)

    async def test_only_what_may_be_forgotten_expires(
        self, inbox: Inbox, redis: Redis, tenant: str
    ) -> None:
        await put(inbox, "a", "b", "c")
        await inbox.bury(await take(inbox), "")
        await inbox.record(await take(inbox), "m1")
        keys = [str(key) async for key in redis.scan_iter(f"shifu:{{{tenant}:q0}}:*")]
        kinds = {
            "dead letter" if ":dead:" in key else key.split(":")[3]: await redis.ttl(key)
            for key in keys
        }

        expiring = {kind for kind, ttl_s in kinds.items() if ttl_s >= 0}
        assert expiring == {"seen", "did", "dead letter"}
        assert {"ready", "line", "entry", "unfinished", "waiting", "dead"} < set(kinds)

    async def test_finished_work_leaves_next_to_nothing(
        self, inbox: Inbox, redis: Redis, tenant: str
    ) -> None:
        for n in range(20):
            await put(inbox, f"e{n}", conversation=f"c{n % 3}")
        for _ in range(20):
            await inbox.done(await take(inbox))

        keys = [str(key) async for key in redis.scan_iter(f"shifu:{{{tenant}:q0}}:*")]
        kinds = {key.split(":")[3] for key in keys}
        assert kinds <= {"seen", "did", "last", "fence", "hints"}

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"v":99}', '{"v":1}'])
    async def test_what_another_version_wrote_is_of_no_known_kind(
        self, inbox: Inbox, redis: Redis, tenant: str, content: str
    ) -> None:
        await put(inbox, "a", "b")
        await redis.hset(f"shifu:{{{tenant}:q0}}:entry:1", "content", content)

        taken = await take(inbox, "a")

        assert taken.entry.kind == ""
        assert await inbox.put_back(taken, counts=False)

    async def test_an_entry_that_somebody_deleted_blocks_nobody(
        self, inbox: Inbox, redis: Redis, tenant: str
    ) -> None:
        await put(inbox, "a", "b")
        await put(inbox, "x", conversation="other")
        await redis.delete(f"shifu:{{{tenant}:q0}}:entry:1", f"shifu:{{{tenant}:q0}}:line:other")

        await inbox.done(await take(inbox, "b"))

        assert await nothing_to_take(inbox)

    async def test_one_connection_waits_however_many_do(self, inbox: Inbox, redis: Redis) -> None:
        waiting = [asyncio.create_task(inbox.take(wait_s=SOON_S)) for _ in range(10)]
        await asyncio.sleep(0.1)

        blocked = (await redis.info("clients"))["blocked_clients"]

        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert blocked <= 1

    async def test_who_stopped_waiting_leaves_a_usable_connection(self, url: str) -> None:
        inbox = RedisInbox(open_redis(url, max_connections=1), tenant="single")
        for n in range(5):
            waiting = asyncio.create_task(inbox.take(wait_s=SOON_S))
            await asyncio.sleep(0.02)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await put(inbox, f"e{n}")
            await inbox.done(await take(inbox, f"e{n}"))
        await inbox.close()

    async def test_tenants_share_nothing(self, url: str) -> None:
        ours = RedisInbox(open_redis(url), tenant="our-inbox")
        theirs = RedisInbox(open_redis(url), tenant="their-inbox")
        await put(ours, "a")

        assert await nothing_to_take(theirs)
        assert (await theirs.put("a", "c", "turn", "")).is_new
        await ours.close()
        await theirs.close()

    async def test_every_method_says_that_redis_is_unavailable(self, inbox: Inbox) -> None:
        await put(inbox, "a")
        taken = await take(inbox)
        gone = RedisInbox(open_redis("unix:///nowhere/redis.sock"), tenant="t")
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: gone.put("a", "c", "turn", ""),
            lambda: gone.take(wait_s=1),
            lambda: gone.renew(taken),
            lambda: gone.record(taken, "m"),
            lambda: gone.done(taken),
            lambda: gone.put_back(taken),
            lambda: gone.bury(taken, ""),
            lambda: gone.stop("a", "c"),
            gone.state,
            gone.dead,
            lambda: gone.revive("a"),
            lambda: gone.drop("a"),
        ]

        for call in calls:
            with pytest.raises(StateUnavailable):
                await call()

    async def test_a_full_redis_takes_nothing_new_and_works_off_what_it_has(
        self, tmp_path: Path
    ) -> None:
        with running(Server(tmp_path)) as server:
            inbox = RedisInbox(open_redis(server.url), tenant="t")
            await put(inbox, "a", "b", "c", "d")
            with server.client() as client:
                client.config_set("maxmemory", 1)

            with pytest.raises(StateUnavailable, match="memory"):
                await put(inbox, "e")

            taken = await take(inbox, "a")
            assert await inbox.renew(taken) is Hold.HELD
            assert await inbox.record(taken, "m1")
            await inbox.stop("a", "c")
            assert await inbox.put_back(taken)
            assert await inbox.done(await take(inbox, "a"))
            assert await inbox.bury(await take(inbox, "b"), "")
            assert await inbox.drop("b")
            assert await inbox.done(await take(inbox, "c"))
            await inbox.close()

    async def test_after_a_crash_of_redis_everything_is_there(self, tmp_path: Path) -> None:
        with running(Server(tmp_path, "--appendonly", "yes")) as server:
            inbox = RedisInbox(open_redis(server.url), tenant="t", lease_s=LONG_S)
            await put(inbox, "a", "b")
            await put(inbox, "x", conversation="other")
            await inbox.bury(await take(inbox, "a"), "why")
            taken = await take(inbox, "x")
            await inbox.record(taken, "m1")

            server.kill()
            with pytest.raises(StateUnavailable):
                await inbox.state()
            server.start()

            assert (await inbox.state()).unfinished == 2
            assert [letter.reason for letter in await inbox.dead()] == ["why"]
            assert not (await inbox.put("x", "other", "turn", "")).is_new
            assert await inbox.renew(taken) is Hold.HELD
            assert await inbox.put_back(taken)
            left = [(await take(inbox)).entry for _ in range(2)]
            assert {(entry.id, entry.posted) for entry in left} == {("b", None), ("x", "m1")}
            await inbox.close()
