"""What the page's messages must be wherever they are kept, and what only Redis can get wrong."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.web.message_log import InMemoryMessageLogs, MessageLogs
from adapters.web.messages import Cited, Cursor, WebMessage
from adapters.web.redis_logs import RedisMessageLogs
from bot.embedded_redis import EmbeddedRedis
from bot.errors import StateUnavailable
from bot.messages import ConversationKind, ConversationRef, Rating, Reply, ReplyKind, UserRef
from bot.redis_client import close_redis, open_redis
from retrieval.types import Band, Citation, Language
from tests.builders import TENANT, a_document

ANN, BEN = UserRef(TENANT, "ann"), UserRef(TENANT, "ben|*")
ROOM = ConversationRef("web", TENANT, "#room", ConversationKind.PRIVATE, thread="t1")
DIRECT = ConversationRef("web", TENANT, "dm:ann:1", ConversationKind.DIRECT)
AT = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
SOON_S = 10

_tenants = count(1)


def a_question(
    id: str = "q", *, where: ConversationRef = ROOM, text: str = "為什麼？"
) -> WebMessage:
    return WebMessage(
        id, where, AT, author=ANN, author_name="Ann", text=text, is_open=True, client_id="c1"
    )


def a_reply(
    text: str = "because",
    kind: ReplyKind = ReplyKind.ANSWER,
    *,
    id: str = "r",
    answers: str | None = "q",
    private_to: UserRef | None = None,
) -> WebMessage:
    message = WebMessage(id, ROOM, AT, private_to=private_to, answers=answers)
    return message.with_reply(Reply(kind, text, Language.ENGLISH))


async def texts(logs: MessageLogs, viewer: UserRef) -> list[str]:
    messages = (await logs.read(ROOM, viewer)).messages
    return [m.reply.text if m.reply else m.text for m in messages]


async def is_open(logs: MessageLogs, viewer: UserRef = BEN) -> bool:
    question = await logs.find(ROOM, "q", viewer)
    assert question
    return question.is_open


class MessageLogsContract:
    async def test_a_message_comes_back_as_it_was_said(self, logs: MessageLogs) -> None:
        chunk = a_document("the secret passage", title="The title").chunks[0]
        reply = Reply(
            ReplyKind.ANSWER,
            "繁體中文 [1]\n\u2028'\"\\",
            Language.CHINESE,
            citations=(Citation(1, chunk),),
            band=Band.UNSURE,
            is_extract=True,
            notice="careful",
            suggestions=("more?", "less?"),
            feedback_id="f1",
        )
        question = a_question()
        answer = WebMessage("r", ROOM, AT, answers="q").with_reply(reply)
        await logs.say(question)
        await logs.post(answer)

        asked, answered = (await logs.read(ROOM, BEN)).messages

        assert asked == replace(question, order=asked.order, is_open=False)
        assert answered == replace(answer, order=answered.order)
        assert answered.cited == (Cited(1, chunk.id),)
        assert asked.order < answered.order
        assert await logs.find(ROOM, "r", BEN) == answered

    async def test_what_does_not_stand_there_is_not_found(self, logs: MessageLogs) -> None:
        await logs.retract(ROOM, "q")
        await logs.update(a_reply())
        await logs.rate(a_reply(), ANN, Rating.HELPFUL)

        assert await logs.find(ROOM, "r", ANN) is None
        assert (await logs.read(ROOM, ANN)).messages == []

    async def test_all_threads_of_a_place_stand_together_and_places_apart(
        self, logs: MessageLogs
    ) -> None:
        await logs.say(a_question())
        await logs.say(a_question("q2", where=replace(ROOM, thread="t2"), text="two"))
        await logs.say(a_question("q3", where=replace(ROOM, channel="#other"), text="three"))

        assert await texts(logs, BEN) == ["為什麼？", "two"]

    async def test_posted_again_it_is_the_same_message_with_the_new_content(
        self, logs: MessageLogs
    ) -> None:
        await logs.say(a_question())
        await logs.post(a_reply("half", ReplyKind.PARTIAL))
        before = await logs.find(ROOM, "r", BEN)

        await logs.post(replace(a_reply("whole"), at=AT + timedelta(hours=1)))

        assert await texts(logs, BEN) == ["為什麼？", "whole"]
        after = await logs.find(ROOM, "r", BEN)
        assert before
        assert after
        assert (after.order, after.at) == (before.order, before.at)

    async def test_a_status_posted_again_replaces_nothing(self, logs: MessageLogs) -> None:
        await logs.say(a_question())
        await logs.post(a_reply("the answer"))

        await logs.post(a_reply("looking", ReplyKind.STATUS))

        assert await texts(logs, BEN) == ["為什麼？", "the answer"]
        assert not await is_open(logs)

    async def test_a_question_is_open_until_the_shared_reply_is_final(
        self, logs: MessageLogs
    ) -> None:
        seen = []
        await logs.say(a_question())
        seen.append(await is_open(logs))
        await logs.post(a_reply("looking", ReplyKind.STATUS))
        seen.append(await is_open(logs))
        await logs.update(a_reply("half", ReplyKind.PARTIAL))
        seen.append(await is_open(logs))
        await logs.update(a_reply("whole"))
        seen.append(await is_open(logs))

        assert seen == [True, True, True, False]

    async def test_a_private_reply_neither_closes_nor_opens_a_question(
        self, logs: MessageLogs
    ) -> None:
        await logs.say(a_question())
        await logs.post(a_reply("all of it", id="p", private_to=ANN))
        meanwhile = await is_open(logs)
        await logs.post(a_reply())
        await logs.update(a_reply("more", ReplyKind.PARTIAL, id="p", private_to=ANN))

        assert meanwhile
        assert not await is_open(logs, ANN)

    async def test_a_question_said_again_changes_nothing(self, logs: MessageLogs) -> None:
        await logs.say(a_question())
        before = await logs.read(ROOM, BEN)

        await logs.say(a_question(text="another text"))

        assert await logs.read(ROOM, BEN) == before

    async def test_a_retracted_question_stays_and_is_opened_by_saying_it_again(
        self, logs: MessageLogs
    ) -> None:
        await logs.say(a_question())
        await logs.retract(ROOM, "q")
        retracted = await is_open(logs)
        await logs.say(a_question())

        assert not retracted
        assert await is_open(logs)

    async def test_a_retracted_question_that_is_being_answered_after_all_is_open(
        self, logs: MessageLogs
    ) -> None:
        await logs.say(a_question())
        await logs.retract(ROOM, "q")

        await logs.post(a_reply("half", ReplyKind.PARTIAL))

        assert await is_open(logs)

    async def test_an_answered_question_said_again_stays_closed(self, logs: MessageLogs) -> None:
        await logs.say(a_question())
        await logs.post(a_reply())

        await logs.say(a_question())

        assert not await is_open(logs)

    async def test_only_what_changed_is_read_again(self, logs: MessageLogs) -> None:
        await logs.say(a_question())
        await logs.post(a_reply("half", ReplyKind.PARTIAL))
        read = await logs.read(ROOM, BEN)

        await logs.update(a_reply("more", ReplyKind.PARTIAL))
        later = await logs.read(ROOM, BEN, read.position)
        nothing = await logs.read(ROOM, BEN, later.position)

        assert read.is_whole
        assert not later.is_whole
        assert [m.reply.text for m in later.messages if m.reply] == ["more"]
        assert nothing.changes == ()

    async def test_the_same_content_again_is_no_change(self, logs: MessageLogs) -> None:
        await logs.say(a_question())
        await logs.post(a_reply())
        await logs.rate(a_reply(), ANN, Rating.HELPFUL)
        read = await logs.read(ROOM, ANN)

        await logs.post(a_reply())
        await logs.update(a_reply())
        await logs.rate(a_reply(), ANN, Rating.HELPFUL)

        assert await logs.read(ROOM, ANN, read.position) == replace(
            read, changes=(), is_whole=False
        )

    @pytest.mark.parametrize("epoch", ["", "another"])
    async def test_numbers_of_another_log_are_answered_with_everything(
        self, logs: MessageLogs, epoch: str
    ) -> None:
        await logs.say(a_question())

        read = await logs.read(ROOM, BEN, Cursor(epoch, 1, 0))

        assert read.is_whole
        assert len(read.messages) == 1

    async def test_numbers_that_were_lost_are_answered_with_everything(
        self, logs: MessageLogs
    ) -> None:
        await logs.say(a_question())
        position = (await logs.read(ROOM, BEN)).position

        for lost in (replace(position, shared=5), replace(position, own=1)):
            assert (await logs.read(ROOM, BEN, lost)).is_whole

    async def test_a_reader_of_an_empty_conversation_goes_on_with_the_first_message(
        self, logs: MessageLogs
    ) -> None:
        empty = await logs.read(ROOM, BEN)
        await logs.say(a_question())

        first = await logs.read(ROOM, BEN, empty.position)

        assert not first.is_whole
        assert len(first.messages) == 1

    async def test_a_rating_is_its_persons_own(self, logs: MessageLogs) -> None:
        await logs.post(a_reply())
        others = await logs.read(ROOM, BEN)

        await logs.rate(a_reply(), ANN, Rating.HELPFUL)

        assert [m.rating for m in (await logs.read(ROOM, ANN)).messages] == [Rating.HELPFUL]
        assert await logs.read(ROOM, BEN) == others

    async def test_what_changed_in_both_ways_is_sent_once_after_the_shared_rest(
        self, logs: MessageLogs
    ) -> None:
        await logs.post(a_reply("one", id="a"))
        start = (await logs.read(ROOM, ANN)).position
        await logs.rate(a_reply(id="a"), ANN, Rating.HELPFUL)
        await logs.update(a_reply("uno", id="a"))
        await logs.post(a_reply("two", id="b"))

        reading = await logs.read(ROOM, ANN, start)
        sent = reading.in_order(start)

        assert [m.id for m, _ in sent] == ["b", "a"]
        assert sent[-1][1] == reading.position

    async def test_a_private_message_is_its_persons_alone_and_takes_no_shared_number(
        self, logs: MessageLogs
    ) -> None:
        await logs.post(a_reply("one", id="a"))
        others = await logs.read(ROOM, BEN)

        await logs.post(a_reply("for Ann", id="p1", private_to=ANN))
        await logs.post(a_reply("for Ann too", id="p2", private_to=ANN))

        assert await logs.read(ROOM, BEN) == others
        assert await logs.find(ROOM, "p1", BEN) is None
        assert await texts(logs, ANN) == ["one", "for Ann", "for Ann too"]
        await logs.post(a_reply("two", id="b"))
        orders = [m.order for m in (await logs.read(ROOM, ANN)).messages]
        assert await texts(logs, ANN) == ["one", "for Ann", "for Ann too", "two"]
        assert [orders[0], orders[3]] == [1, 2]

    async def test_the_last_messages_are_kept(self, few: MessageLogs) -> None:
        for n in range(5):
            await few.post(a_reply(f"{n}", id=f"m{n}"))

        assert await texts(few, BEN) == ["3", "4"]
        assert await few.find(ROOM, "m2", BEN) is None
        assert len((await few.read(ROOM, BEN)).changes) == 2

    async def test_private_messages_push_out_none_of_anybody_else(self, few: MessageLogs) -> None:
        await few.post(a_reply("one", id="a"))
        for n in range(5):
            await few.post(a_reply(f"more {n}", id=f"p{n}", private_to=ANN))
            await few.post(a_reply(f"his {n}", id=f"b{n}", private_to=BEN))
        await few.post(a_reply("two", id="b"))

        assert await texts(few, ANN) == ["one", "more 3", "more 4", "two"]
        assert await texts(few, BEN) == ["one", "his 3", "his 4", "two"]

    async def test_private_messages_go_with_the_shared_ones_they_stood_beside(
        self, few: MessageLogs
    ) -> None:
        for n in range(4):
            await few.post(a_reply(f"shared {n}", id=f"s{n}"))
            await few.post(a_reply(f"beside {n}", id=f"p{n}", private_to=ANN))

        assert await texts(few, ANN) == ["shared 2", "beside 2", "shared 3", "beside 3"]

    async def test_what_everyone_sees_wakes_all_who_watch_the_place(
        self, logs: MessageLogs
    ) -> None:
        with logs.watching(ROOM, ANN) as hers, logs.watching(ROOM, BEN) as his:
            await logs.say(a_question())

            await woken(hers)
            await woken(his)

    async def test_what_one_person_sees_wakes_no_one_else(self, logs: MessageLogs) -> None:
        elsewhere = replace(ROOM, channel="#other")
        with logs.watching(ROOM, ANN) as changed:
            await logs.post(a_reply())
            await woken(changed)
        with (
            logs.watching(ROOM, ANN) as hers,
            logs.watching(ROOM, BEN) as his,
            logs.watching(elsewhere, ANN) as hers_elsewhere,
        ):
            await logs.post(a_reply("more", id="p", private_to=ANN))
            await woken(hers)
            hers.clear()
            await logs.update(a_reply("more still", id="p", private_to=ANN))
            await woken(hers)
            hers.clear()
            await logs.rate(a_reply(), ANN, Rating.HELPFUL)
            await woken(hers)

            assert not his.is_set()
            assert not hers_elsewhere.is_set()

    async def test_direct_conversations_are_listed_by_their_first_question(
        self, logs: MessageLogs
    ) -> None:
        later = replace(DIRECT, channel="dm:ann:2")
        await logs.say(a_question("q1", where=DIRECT, text="first"))
        await logs.say(a_question("q2", where=DIRECT, text="second"))
        await logs.say(
            replace(a_question("q3", where=later, text="other"), at=AT + timedelta(minutes=1))
        )
        await logs.say(a_question("q4"))

        found = await logs.directs(ANN)

        assert [(d.channel, d.question) for d in found] == [
            ("dm:ann:2", "other"),
            ("dm:ann:1", "first"),
        ]
        assert await logs.directs(BEN) == []


async def woken(changed: asyncio.Event) -> None:
    async with asyncio.timeout(SOON_S):
        await changed.wait()


class TestInMemoryMessageLogs(MessageLogsContract):
    @pytest.fixture
    def logs(self) -> MessageLogs:
        return InMemoryMessageLogs()

    @pytest.fixture
    def few(self) -> MessageLogs:
        return InMemoryMessageLogs(max_messages=2)

    async def test_the_conversation_longest_unused_is_forgotten_unless_somebody_watches(
        self,
    ) -> None:
        logs = InMemoryMessageLogs(max_conversations=2)
        with logs.watching(DIRECT, ANN):
            for n in range(1, 5):
                where = replace(DIRECT, channel=f"dm:ann:{n}")
                await logs.say(a_question(f"q{n}", where=where))

        assert {d.channel for d in await logs.directs(ANN)} == {"dm:ann:1", "dm:ann:4"}


Opened = Callable[..., RedisMessageLogs]


class OnRedis(MessageLogsContract):
    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    async def redis(self, url: str) -> AsyncIterator[Any]:
        client = open_redis(url)
        yield client
        await close_redis(client)

    @pytest.fixture
    async def opened(self, redis: Any) -> AsyncIterator[Opened]:
        """Further logs of one organisation: as many processes."""
        tenant = f"w{next(_tenants)}"
        opened: list[RedisMessageLogs] = []

        def open_one(**options: int) -> RedisMessageLogs:
            opened.append(RedisMessageLogs(redis, tenant=tenant, **options))
            return opened[-1]

        yield open_one
        for logs in opened:
            await logs.close()

    @pytest.fixture
    async def logs(self, opened: Opened) -> MessageLogs:
        logs = opened()
        await hearing(logs)
        return logs

    @pytest.fixture
    def few(self, opened: Opened) -> MessageLogs:
        return opened(max_messages=2)

    async def test_processes_see_and_wake_each_other(self, opened: Opened) -> None:
        here, there = opened(), opened()
        await hearing(here)
        with here.watching(ROOM, BEN) as changed:
            await there.say(a_question())
            await woken(changed)
            read = await here.read(ROOM, BEN)
            changed.clear()
            await here.post(a_reply("half", ReplyKind.PARTIAL))
            await there.update(a_reply("whole"))
            await woken(changed)

        assert await texts(here, BEN) == await texts(there, BEN) == ["為什麼？", "whole"]
        assert len((await there.read(ROOM, BEN, read.position)).changes) == 2

    async def test_direct_conversations_are_listed_in_every_process(self, opened: Opened) -> None:
        await opened().say(a_question("q1", where=DIRECT, text="first"))

        assert [d.question for d in await opened().directs(ANN)] == ["first"]

    async def test_everything_expires_and_what_is_private_keeps_nothing_alive(
        self, opened: Opened, redis: Any
    ) -> None:
        logs = opened(idle_ttl_s=1000)
        await logs.read(ROOM, BEN)
        await logs.say(a_question())
        await logs.say(a_question("q1", where=DIRECT))
        keys = [str(key) async for key in redis.scan_iter(f"{logs.prefix}*")]
        in_room = [k for k in keys if k.endswith((":log", ":index"))]
        for key in keys:
            assert 990 < await redis.ttl(key) <= 1000
            await redis.expire(key, 500)

        await logs.post(a_reply("more", id="p", private_to=ANN))
        await logs.rate(a_question(), ANN, Rating.HELPFUL)
        quiet = [await redis.ttl(key) for key in in_room]
        await logs.post(a_reply())
        loud = [await redis.ttl(key) for key in in_room]

        assert len(keys) == 6
        assert all(left_s <= 500 for left_s in quiet)
        assert sum(left_s > 990 for left_s in loud) == 2

    async def test_a_conversation_that_begins_in_private_expires_as_well(
        self, opened: Opened, redis: Any
    ) -> None:
        logs = opened(idle_ttl_s=1000)
        await logs.post(a_reply("more", id="p", private_to=ANN))

        keys = [key async for key in redis.scan_iter(f"{logs.prefix}*")]

        assert [990 < await redis.ttl(key) <= 1000 for key in keys] == [True, True]

    async def test_no_text_or_title_of_a_passage_is_kept(self, opened: Opened, redis: Any) -> None:
        logs = opened()
        chunk = a_document("the secret passage", title="The secret title").chunks[0]
        reply = Reply(ReplyKind.ANSWER, "[1]", Language.ENGLISH, citations=(Citation(1, chunk),))
        await logs.post(WebMessage("r", ROOM, AT).with_reply(reply))

        keys = [str(key) async for key in redis.scan_iter(f"{logs.prefix}*:log")]
        kept = json.dumps(await redis.hgetall(keys[0]))

        assert chunk.id in kept
        assert "secret" not in kept

    async def test_what_is_forgotten_leaves_nothing_behind(
        self, opened: Opened, redis: Any
    ) -> None:
        logs = opened(max_messages=2)
        for n in range(6):
            await logs.post(a_reply(f"{n}", id=f"s{n}"))
            await logs.rate(a_reply(id=f"s{n}"), ANN, Rating.HELPFUL)
            await logs.post(a_reply(f"{n}", id=f"p{n}", private_to=ANN))
        await logs.post(a_reply("last", id="last"))

        keys = [str(key) async for key in redis.scan_iter(f"{logs.prefix}*:log")]
        fields = await redis.hkeys(keys[0])
        kept = {f.partition(":")[2] for f in fields if f.startswith(("head:", "body:", "state:"))}
        members = await redis.zrange(keys[0].replace(":log", ":index"), 0, -1)

        assert kept == {"s5", "p5", "last"}
        assert {m.rpartition("|")[2] for m in members} == kept
        # Of each one change and its place; of the rated one another change; of the private one
        # where it stands.
        assert len(members) == 8

    async def test_every_write_bears_being_sent_twice(
        self, opened: Opened, redis: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logs, twin = opened(max_messages=3), InMemoryMessageLogs(max_messages=3)
        send = redis.evalsha

        async def send_twice(*args: str) -> object:
            with suppress(Exception):
                await send(*args)
            return await send(*args)

        # The server knows the scripts from now on.
        await play(logs, ROOM, SOME_STEPS)
        here = replace(ROOM, channel="#twice")
        monkeypatch.setattr(redis, "evalsha", send_twice)

        doubled = await play(logs, here, SOME_STEPS)

        assert doubled == await play(twin, here, SOME_STEPS)

    async def test_what_another_version_wrote_is_left_out(self, opened: Opened, redis: Any) -> None:
        logs = opened()
        await logs.say(a_question())
        await logs.post(a_reply())
        await logs.say(a_question("q1", where=DIRECT))
        await logs.say(a_question("q2", where=replace(DIRECT, channel="dm:ann:2")))
        places = [str(key) async for key in redis.scan_iter(f"{logs.prefix}*:log")]
        for place in places:
            if await redis.hexists(place, "head:r"):
                await redis.hset(place, "body:r", '{"v":99}')
        directs = [str(key) async for key in redis.scan_iter(f"{logs.prefix}*:directs")]
        await redis.hset(directs[0], "dm:ann:1", "{")

        assert await texts(logs, BEN) == ["為什麼？"]
        assert [d.channel for d in await logs.directs(ANN)] == ["dm:ann:2"]


class TestRedisMessageLogs(OnRedis):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url

    async def test_tenants_share_nothing(self, redis: Any) -> None:
        ours, theirs = (RedisMessageLogs(redis, tenant=t) for t in ("ours", "theirs"))
        await ours.say(a_question())

        assert (await theirs.read(ROOM, ANN)).messages == []

    async def test_without_a_server_each_method_says_so_in_its_own_words(self) -> None:
        client = open_redis("redis://127.0.0.1:1/0")
        logs = RedisMessageLogs(client, tenant=TENANT, timeout_s=5)
        calls = [
            logs.say(a_question()),
            logs.post(a_reply()),
            logs.read(ROOM, ANN),
            logs.find(ROOM, "q", ANN),
            logs.directs(ANN),
        ]

        for call in calls:
            with pytest.raises(StateUnavailable):
                await call
        await close_redis(client)

    async def test_a_server_that_comes_back_is_heard_again_and_has_lost_nothing(
        self, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        folder = tmp_path_factory.mktemp("r")
        server = EmbeddedRedis(folder)
        server.start()
        client = open_redis(server.url)
        logs = RedisMessageLogs(client, tenant=TENANT)
        try:
            await hearing(logs)
            await logs.say(a_question())
            position = (await logs.read(ROOM, BEN)).position
            with logs.watching(ROOM, BEN) as changed:
                server.stop()
                with pytest.raises(StateUnavailable):
                    await logs.read(ROOM, BEN)
                server.start()
                # All are woken when wake-ups are heard again.
                await woken(changed)
                changed.clear()
                await logs.post(a_reply())
                await woken(changed)
            later = await logs.read(ROOM, BEN, position)
        finally:
            await logs.close()
            await close_redis(client)
            server.stop()

        assert not later.is_whole
        assert len(later.messages) == 2


class TestRedisClusterMessageLogs(OnRedis):
    @pytest.fixture
    def url(self, cluster_url: str) -> str:
        return cluster_url


async def hearing(logs: MessageLogs) -> None:
    """Until wake-ups are heard, of which all who watch are told."""
    with logs.watching(ROOM, ANN) as changed:
        await woken(changed)


Step = tuple[str, str, str]
"""What is done, to which message, with which words."""

SHARED = st.tuples(
    st.sampled_from(["say", "retract", "status", "partial", "final", "update", "rated by ben"]),
    st.sampled_from("abc"),
    st.sampled_from(["x", "y"]),
)
PRIVATE = st.tuples(
    st.sampled_from(["tell", "tell more", "rated by ann", "private rated"]),
    st.sampled_from("abc"),
    st.sampled_from(["x", "y"]),
)
SOME_STEPS: list[Step] = [
    (what, which, text)
    for text in "xy"
    for which in "abcd"
    for what in (
        *("say", "status", "tell", "partial", "rated by ben", "retract", "final", "say"),
        *("tell more", "update", "rated by ann", "private rated"),
    )
]


async def play(logs: MessageLogs, where: ConversationRef, steps: list[Step]) -> list[object]:
    """What Ben, then Ann read after each step that Ben may notice, as far as it can be compared."""
    read: list[object] = []
    cursors: dict[UserRef, Cursor | None] = {BEN: None, ANN: None}
    for what, which, text in steps:
        await _do(logs, where, what, which, text)
        if what in PRIVATE_STEPS:
            continue
        for viewer in (BEN, ANN):
            reading = await logs.read(where, viewer, cursors[viewer])
            before = cursors[viewer] or replace(reading.position, shared=0, own=0)
            shown = [
                (replace(m, order=round(m.order, 9)), c.shared, c.own)
                for m, c in reading.in_order(before)
            ]
            position = reading.position
            read.append((viewer, reading.is_whole, position.shared, position.own, shown))
            cursors[viewer] = position
    return read


PRIVATE_STEPS = ("tell", "tell more", "rated by ann", "private rated")


async def _do(logs: MessageLogs, where: ConversationRef, what: str, which: str, text: str) -> None:
    reply = replace(a_reply(text, id=f"r{which}", answers=which), conversation=where)
    more = replace(a_reply(text, id=f"p{which}", answers=which, private_to=ANN), conversation=where)
    match what:
        case "say":
            await logs.say(a_question(which, where=where, text=text))
        case "retract":
            await logs.retract(where, which)
        case "status" | "partial" | "final":
            kind = ReplyKind.ANSWER if what == "final" else ReplyKind(what)
            said = a_reply(text, kind, id=f"r{which}", answers=which)
            await logs.post(replace(said, conversation=where))
        case "update":
            await logs.update(reply)
        case "rated by ben":
            await logs.rate(reply, BEN, Rating.HELPFUL)
        case "tell":
            await logs.post(more)
        case "tell more":
            await logs.update(more)
        case "rated by ann":
            await logs.rate(reply, ANN, Rating.UNHELPFUL)
        case "private rated":
            await logs.rate(more, ANN, Rating.HELPFUL)


class TestNumbering:
    """Generated steps in a conversation that keeps two messages."""

    @pytest.fixture
    def runner(self) -> Iterator[asyncio.Runner]:
        with asyncio.Runner() as runner:
            yield runner

    def test_nobody_can_tell_from_what_they_read_whether_another_was_told_more(
        self, runner: asyncio.Runner
    ) -> None:
        @settings(max_examples=150, deadline=None, database=None)
        @given(st.lists(SHARED | PRIVATE, max_size=25))
        def check(steps: list[Step]) -> None:
            shared = [step for step in steps if step[0] not in PRIVATE_STEPS]

            with_private, without = (
                runner.run(play(InMemoryMessageLogs(max_messages=2), ROOM, taken))
                for taken in (steps, shared)
            )

            # Ann's own readings are every second.
            assert with_private[::2] == without[::2]

        check()

    def test_redis_counts_as_the_twin_does(self, runner: asyncio.Runner, redis_url: str) -> None:
        client = open_redis(redis_url)
        logs = RedisMessageLogs(client, tenant="numbering", max_messages=2)
        places = count(1)

        @settings(
            max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(st.lists(SHARED | PRIVATE, max_size=25))
        def check(steps: list[Step]) -> None:
            place = replace(ROOM, channel=f"#{next(places)}")

            twins = runner.run(play(InMemoryMessageLogs(max_messages=2), place, steps))

            assert runner.run(play(logs, place, steps)) == twins

        check()
        runner.run(close_redis(client))
