"""The web interface over real HTTP: asking, following, stopping, rating; and everything it refuses."""

import asyncio
import json
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from adapters.web.adapter import WebOptions
from adapters.web.feed import LONGEST_OPEN
from adapters.web.guard import WebAccess, WebMode
from adapters.web.message_log import InMemoryMessageLogs, MessageLogs
from adapters.web.messages import WebMessage
from adapters.web.redis_logs import RedisMessageLogs
from bot.channel import Channel
from bot.delivery import Delivery
from bot.embedded_redis import EmbeddedRedis
from bot.errors import StateUnavailable
from bot.messages import (
    ConversationKind,
    ConversationRef,
    IncomingMessage,
    Rating,
    Reply,
    ReplyKind,
    UserRef,
)
from bot.redis_client import RedisClient, close_redis, open_redis
from retrieval.access import Acl, Level
from retrieval.errors import ShifuError, StoreUnavailable
from retrieval.types import Language
from tests.fakes.web_client import Browser, Following, Json
from tests.fakes.web_site import PEOPLE, PUBLIC_ORIGIN, TENANT, WebSite


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[WebSite]:
    async with WebSite(tmp_path).running() as site:
        yield site


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(read_bufsize=2**22) as client:
        yield client


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("r")) as server:
        yield server


@pytest.fixture
async def redis(redis_server: EmbeddedRedis) -> AsyncIterator[RedisClient]:
    client = open_redis(redis_server.url)
    yield client
    await close_redis(client)


@pytest.fixture
def carol(site: WebSite, client: aiohttp.ClientSession) -> Browser:
    return Browser(site, client, "carol.wu")


@pytest.fixture
def david(site: WebSite, client: aiohttp.ClientSession) -> Browser:
    return Browser(site, client, "david.hsu")


@pytest.fixture
def max_(site: WebSite, client: aiohttp.ClientSession) -> Browser:
    return Browser(site, client, "max.weber")


def bot_texts(messages: list[Json]) -> list[str]:
    return [m["reply"]["text"] for m in messages if m["reply"]]


class TestAsking:
    async def test_an_answer_arrives_with_band_citations_and_no_passage_text(
        self, carol: Browser
    ) -> None:
        conversation = await carol.direct()

        await carol.ask(conversation, "How do I fix an antenna violation?")
        question, answer = await carol.answered(conversation)

        assert question["text"] == "How do I fix an antenna violation?"
        assert answer["answers"] == question["id"]
        assert answer["reply"]["band"] == "answered"
        assert answer["reply"]["is_extract"]
        citation = answer["reply"]["citations"][0]
        assert citation["title"] == "Antenna rules for the 22 nm process"
        assert citation["modified_at"] == "2026-08-14T00:00:00+00:00"
        assert "text" not in citation

    async def test_the_same_question_is_answered_for_each_with_their_own_rights(
        self, carol: Browser, david: Browser
    ) -> None:
        texts = {}
        for person in (carol, david):
            conversation = await person.direct()
            await person.ask(conversation, "When is the tape-out?")
            texts[person.user] = bot_texts(await person.answered(conversation))

        assert "2027" in texts["david.hsu"][0]
        assert "2027" not in texts["carol.wu"][0]

    async def test_the_locale_follows_the_request(self, carol: Browser, site: WebSite) -> None:
        conversation = await carol.direct()

        body = {"conversation": conversation, "text": "天線", "client_id": "c1"}
        await carol.post("/api/messages", body, **{"Accept-Language": "zh-TW,en;q=0.5"})
        await carol.answered(conversation)

        assert site.conversation.heard[0].locale is Language.CHINESE

    async def test_a_question_sent_twice_is_answered_once(
        self, carol: Browser, site: WebSite
    ) -> None:
        conversation = await carol.direct()

        first = await carol.ask(conversation, "antenna", client_id="same")
        second = await carol.ask(conversation, "antenna", client_id="same")
        messages = await carol.answered(conversation)

        assert first == second
        assert len(messages) == 2
        assert len(site.conversation.heard) == 1

    async def test_in_a_channel_a_new_question_opens_a_thread_that_follow_ups_stay_in(
        self, carol: Browser, site: WebSite
    ) -> None:
        first = await carol.ask("#verification", "antenna")
        await carol.ask("#verification", "and above M6?", thread=first["thread"])
        await carol.ask("#verification", "something new")
        await carol.answered("#verification")

        threads = [m.conversation.thread for m in site.conversation.heard]
        assert threads[0] == threads[1] == first["thread"]
        assert threads[2] not in (None, threads[0])

    async def test_a_turn_that_fails_ends_with_an_apology_without_its_details(
        self, carol: Browser
    ) -> None:
        conversation = await carol.direct()

        await carol.ask(conversation, "explode")
        _, apology = await carol.answered(conversation)

        assert apology["reply"]["kind"] == "notice"
        assert "went wrong" in apology["reply"]["text"]
        assert "secret detail" not in json.dumps(apology)

    async def test_direct_conversations_are_listed_by_their_first_question(
        self, carol: Browser
    ) -> None:
        conversation = await carol.direct()
        await carol.ask(conversation, "antenna\n rules")
        await carol.ask(conversation, "and diodes?")

        _, me = await carol.get("/api/me")

        assert me["directs"] == [{"id": conversation, "title": "antenna rules"}]


class TestStopping:
    async def test_a_stopped_answer_keeps_what_was_shown_and_says_so(self, carol: Browser) -> None:
        conversation = await carol.direct()
        asked = await carol.ask(conversation, "slow")
        async with carol.following(conversation) as feed:
            await feed.until(lambda ms: "The first sentence." in bot_texts(ms))

        status, body = await carol.stop(conversation, asked)
        _, answer = await carol.answered(conversation)

        assert (status, body) == (200, {"stopped": True})
        assert answer["reply"]["kind"] == "answer"
        assert answer["reply"]["text"] == "The first sentence."
        assert answer["reply"]["notice"] == "Stopped."

    async def test_nobody_stops_the_answer_to_another_person(
        self, carol: Browser, david: Browser
    ) -> None:
        asked = await carol.ask("#verification", "slow")

        _, body = await david.stop("#verification", asked)

        assert body == {"stopped": False}
        assert (await carol.seen("#verification"))[0]["is_open"]

    async def test_what_has_ended_is_not_stopped(self, carol: Browser) -> None:
        conversation = await carol.direct()
        asked = await carol.ask(conversation, "antenna")
        before = await carol.answered(conversation)

        status, body = await carol.stop(conversation, asked)

        assert (status, body) == (200, {"stopped": False})
        assert await carol.seen(conversation) == before


class TestWhatCannotBeAccepted:
    async def test_it_is_said_and_does_not_stay_open(self, carol: Browser, site: WebSite) -> None:
        conversation = await carol.direct()
        site.worker.failure = StateUnavailable("down")

        status, body = await carol.post("/api/messages", a_question(conversation))
        seen = await carol.answered(conversation)

        assert (status, body["error"]["code"]) == (503, "no_messages")
        assert [m["text"] for m in seen] == ["antenna"]

    async def test_sent_once_more_it_is_opened_again_and_answered(
        self, carol: Browser, site: WebSite
    ) -> None:
        conversation = await carol.direct()
        site.worker.failure = StateUnavailable("down")
        await carol.post("/api/messages", a_question(conversation))
        await carol.answered(conversation)
        site.worker.failure = None

        status, _ = await carol.post("/api/messages", a_question(conversation))
        async with carol.following(conversation) as feed:
            seen = await feed.until(lambda ms: len(ms) == 2 and not ms[0]["is_open"])

        assert status == 202
        assert seen[1]["reply"]["band"] == "answered"
        assert len(site.conversation.heard) == 1

    async def test_tries_to_send_one_question_count_as_one(
        self, tmp_path: Path, client: aiohttp.ClientSession
    ) -> None:
        options = WebOptions(questions_per_minute=1)
        async with WebSite(tmp_path, options=options).running() as site:
            carol = Browser(site, client, "carol.wu")
            body = a_question(await carol.direct())
            site.worker.failure = StateUnavailable("down")
            statuses = [(await carol.post("/api/messages", body))[0] for _ in range(3)]
            site.worker.failure = None

            statuses.append((await carol.post("/api/messages", body))[0])

        assert statuses == [503, 503, 503, 202]

    async def test_a_failure_of_another_kind_leaves_nothing_open_either(
        self, carol: Browser, site: WebSite
    ) -> None:
        conversation = await carol.direct()
        site.worker.failure = ValueError("secret detail")

        status, body = await carol.post("/api/messages", a_question(conversation))

        assert (status, body["error"]["code"]) == (500, "failed")
        assert len(await carol.answered(conversation)) == 1

    async def test_a_question_that_nobody_promised_to_answer_is_not_open_for_ever(
        self, carol: Browser, site: WebSite
    ) -> None:
        conversation = await carol.direct()
        me = UserRef(TENANT, "carol.wu")
        where = ConversationRef("web", TENANT, conversation, ConversationKind.DIRECT)
        asked_at = datetime.now(UTC) - LONGEST_OPEN
        await site.logs.say(WebMessage("q-1", where, asked_at, author=me, text="lost"))

        assert not (await carol.seen(conversation))[0]["is_open"]


def a_question(conversation: str) -> Json:
    return {"conversation": conversation, "text": "antenna", "client_id": "c1"}


class TestTwoProcesses:
    """Two sites on one Redis; the worker is in the first."""

    @pytest.fixture
    async def sites(
        self, tmp_path: Path, redis: RedisClient
    ) -> AsyncIterator[tuple[WebSite, WebSite]]:
        tenant = secrets.token_hex(4)
        here, there = (RedisMessageLogs(redis, tenant=tenant) for _ in range(2))
        options = WebOptions(heartbeat_s=60)
        async with (
            WebSite(tmp_path, logs=here, options=options).running() as first,
            WebSite(tmp_path, logs=there, options=options, worker=first.worker).running() as second,
        ):
            yield first, second

    async def test_what_is_asked_and_answered_in_one_is_followed_in_the_other(
        self, sites: tuple[WebSite, WebSite], client: aiohttp.ClientSession
    ) -> None:
        first, second = sites
        carol, david = Browser(first, client, "carol.wu"), Browser(second, client, "david.hsu")
        async with (
            carol.following("#verification") as hers,
            david.following("#verification") as his,
        ):
            await hers.until(lambda _: True)
            await his.until(lambda _: True)
            await carol.ask("#verification", "antenna")
            followed = [
                await feed.until(lambda ms: len(ms) == 2 and not ms[0]["is_open"])
                for feed in (hers, his)
            ]
            await david.ask("#verification", "and above M6?", thread=followed[1][0]["thread"])
            seen = await hers.until(lambda ms: len(ms) == 4 and not ms[2]["is_open"])

        assert bot_texts(followed[0]) == bot_texts(followed[1])
        assert seen[2]["author"]["id"] == "david.hsu"

    async def test_an_answer_is_stopped_and_rated_from_the_other(
        self, sites: tuple[WebSite, WebSite], client: aiohttp.ClientSession
    ) -> None:
        first, second = (Browser(site, client, "carol.wu") for site in sites)
        conversation = await first.direct()
        asked = await first.ask(conversation, "slow")
        async with second.following(conversation) as feed:
            await feed.until(lambda ms: "The first sentence." in bot_texts(ms))
        _, stopped = await second.stop(conversation, asked)
        await first.answered(conversation)
        await second.ask(conversation, "antenna", client_id="another")
        answer = (await second.answered(conversation))[3]
        body = {"conversation": conversation, "message": answer["id"], "rating": "helpful"}
        await second.post("/api/feedback", body)

        assert stopped == {"stopped": True}
        assert (await first.seen(conversation))[3]["rating"] == "helpful"

    async def test_direct_conversations_are_listed_in_both(
        self, sites: tuple[WebSite, WebSite], client: aiohttp.ClientSession
    ) -> None:
        first, second = (Browser(site, client, "carol.wu") for site in sites)
        conversation = await first.direct()
        await first.ask(conversation, "antenna")

        _, me = await second.get("/api/me")

        assert me["directs"] == [{"id": conversation, "title": "antenna"}]

    async def test_a_page_goes_on_in_the_other_where_it_was(
        self, sites: tuple[WebSite, WebSite], client: aiohttp.ClientSession
    ) -> None:
        first, second = (Browser(site, client, "carol.wu") for site in sites)
        conversation = await first.direct()
        await first.ask(conversation, "antenna")
        async with first.following(conversation) as feed:
            await feed.until(lambda ms: bool(ms) and not ms[0]["is_open"])
            last = feed.last_id
        await first.ask(conversation, "and diodes?")

        async with second.following(conversation, last) as feed:
            missed = await feed.until(lambda ms: len(ms) == 2 and not ms[0]["is_open"])

        assert "snapshot" not in feed.names
        assert [m["text"] for m in missed if m["author"]] == ["and diodes?"]


async def test_redis_going_away_is_said_and_everything_is_there_when_it_is_back(
    tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    server = EmbeddedRedis(tmp_path / "redis")
    server.start()
    redis = open_redis(server.url)
    logs = RedisMessageLogs(redis, tenant=TENANT)
    async with WebSite(tmp_path, logs=logs).running() as site:
        carol = Browser(site, client, "carol.wu")
        conversation = await carol.direct()
        await carol.ask(conversation, "antenna")
        before = await carol.answered(conversation)
        async with carol.following(conversation) as feed:
            await feed.until(lambda _: True)
            server.stop()
            rest = [name async for name, _ in feed.events()]
        refused = [
            await carol.get("/api/me"),
            await carol.get("/api/events", conversation=conversation),
            await carol.post("/api/messages", a_question(conversation)),
        ]
        server.start()
        after = await carol.seen(conversation)
        await close_redis(redis)
    server.stop()

    assert set(rest) <= {"ping"}
    assert [(status, body["error"]["code"]) for status, body in refused] == [
        (503, "no_messages")
    ] * 3
    assert after == before


async def test_streams_end_when_the_server_does(
    tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    async with WebSite(tmp_path, options=WebOptions(heartbeat_s=60)).running() as site:
        carol = Browser(site, client, "carol.wu")
        conversation = await carol.direct()
        async with carol.following(conversation) as feed:
            await feed.until(lambda _: True)
            await site.adapter.close()
            rest = [name async for name, _ in feed.events()]
            status, body = await carol.get("/api/events", conversation=conversation)

    assert rest == []
    assert (status, body["error"]["code"]) == (503, "shutting_down")


class TestFollowing:
    async def test_status_partial_and_answer_are_versions_of_one_message(
        self, tmp_path: Path, client: aiohttp.ClientSession
    ) -> None:
        async with WebSite(tmp_path, pause_s=0.2).running() as site:
            carol = Browser(site, client, "carol.wu")
            conversation = await carol.direct()
            kinds: list[str] = []
            async with carol.following(conversation) as feed:
                await carol.ask(conversation, "antenna")

                def done(messages: list[Json]) -> bool:
                    kinds.extend(m["reply"]["kind"] for m in messages if m["reply"])
                    return bool(messages) and not messages[0]["is_open"]

                messages = await feed.until(done)

        assert len(messages) == 2
        assert list(dict.fromkeys(kinds)) == ["status", "partial", "answer"]

    async def test_every_member_sees_a_channels_messages_and_their_authors(
        self, carol: Browser, david: Browser
    ) -> None:
        await carol.ask("#verification", "antenna")
        await carol.answered("#verification")

        seen = await david.seen("#verification")

        assert seen[0]["author"] == {"id": "carol.wu", "name": "吳佳蓉 Carol Wu"}
        assert not seen[0]["is_mine"]
        assert len(seen) == 2

    async def test_a_page_that_was_away_gets_only_what_changed_since(self, carol: Browser) -> None:
        conversation = await carol.direct()
        await carol.ask(conversation, "antenna")
        async with carol.following(conversation) as feed:
            await feed.until(lambda ms: bool(ms) and not ms[0]["is_open"])
            last = feed.last_id
        await carol.ask(conversation, "antenna again")

        async with carol.following(conversation, last) as feed:
            missed = await feed.until(lambda ms: len(ms) == 2 and not ms[0]["is_open"])

        assert "snapshot" not in feed.names
        assert [m["text"] for m in missed if m["author"]] == ["antenna again"]

    @pytest.mark.parametrize("last", ["another-12", "garbage", "-1", "x" * 500])
    async def test_a_page_from_before_a_restart_gets_everything(
        self, carol: Browser, last: str
    ) -> None:
        conversation = await carol.direct()

        async with carol.following(conversation, last) as feed:
            await feed.until(lambda _: True)

        assert feed.names == ["snapshot"]

    async def test_a_quiet_stream_has_heartbeats(self, carol: Browser) -> None:
        async with carol.following(await carol.direct()) as feed:
            async for name, _ in feed.events():
                if name == "ping":
                    break

    async def test_a_private_reply_reaches_no_other_member(
        self, carol: Browser, david: Browser
    ) -> None:
        await david.ask("#verification", "private: when is the tape-out?")

        async with david.following("#verification") as feed:
            mine = await feed.until(lambda ms: len(ms) == 3)
        others = await carol.seen("#verification")

        assert [m["is_private"] for m in mine] == [False, False, True]
        assert "2027" in json.dumps(mine)
        assert "2027" not in json.dumps(others)
        assert len(others) == 2

    async def test_whoever_leaves_a_channel_is_cut_off(self, carol: Browser, site: WebSite) -> None:
        async with carol.following("#verification") as feed:
            await feed.until(lambda _: True)
            people = PEOPLE.replace("members: [carol.wu, david.hsu", "members: [david.hsu")
            site.people_file.write_text(people, encoding="utf-8")
            names = [name async for name, _ in feed.events()]

        assert names[-1] == "gone"
        status, _ = await carol.get("/api/events", conversation="#verification")
        assert status == 404

    async def test_an_answer_is_withdrawn_when_its_reader_loses_the_right_to_a_passage(
        self, david: Browser, site: WebSite
    ) -> None:
        conversation = await david.direct()
        await david.ask(conversation, "tape-out")
        async with david.following(conversation) as feed:
            shown = await feed.until(lambda ms: len(ms) == 2 and not ms[0]["is_open"])
            nobody = Acl(frozenset(), Level.SECRET)
            await site.store.change_acl("projects/borealis-plan", nobody)
            withdrawn = await feed.until(lambda ms: ms[1]["withheld"] is not None)

        assert "2027" in json.dumps(shown)
        assert withdrawn[1]["withheld"] == "withdrawn"
        assert "2027" not in json.dumps(withdrawn)
        assert "Borealis" not in json.dumps(withdrawn[1])
        assert "2027" not in json.dumps(await david.seen(conversation))

    async def test_a_stored_answer_is_not_shown_while_access_cannot_be_checked(
        self, david: Browser, site: WebSite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        conversation = await david.direct()
        await david.ask(conversation, "tape-out")
        await david.answered(conversation)

        async def fetch(*_: object) -> list[object]:
            raise StoreUnavailable("down")

        monkeypatch.setattr(site.adapter, "_store_fetch", fetch)
        seen = await david.seen(conversation)

        assert seen[1]["withheld"] == "unchecked"
        assert "2027" not in json.dumps(seen)

    async def test_a_broken_directory_closes_the_stream(
        self, carol: Browser, site: WebSite
    ) -> None:
        async with carol.following("#verification") as feed:
            await feed.until(lambda _: True)
            site.people_file.write_text("users: [", encoding="utf-8")
            names = [name async for name, _ in feed.events()]

        assert "gone" not in names


class Room:
    """
    David asks in a channel that Carol follows, then Carol does; each step waits until Carol has
    seen the one before. With *is_told_more*, David gets a private answer beside each public one.
    """

    def __init__(self, site: WebSite, client: aiohttp.ClientSession, *, is_told_more: bool) -> None:
        self.site, self.client = site, client
        self.carol = Browser(site, client, "carol.wu")
        self.david = Browser(site, client, "david.hsu")
        self.is_told_more = is_told_more
        self.status_is_seen, self.end_is_seen = asyncio.Event(), asyncio.Event()
        self.end_is_told = asyncio.Event()
        self.received: list[str] = []

    async def converse(self, message: IncomingMessage, channel: Channel) -> None:
        shown = Delivery(channel, message)
        await shown.show(a_reply("Looking…", ReplyKind.STATUS))
        await self.status_is_seen.wait()
        await shown.show(a_reply("The public answer."))
        if message.user.id == "david.hsu":
            await self.end_is_seen.wait()
            if self.is_told_more:
                await self.tell_more(message, channel)
            self.end_is_told.set()

    async def tell_more(self, message: IncomingMessage, channel: Channel) -> None:
        to = message.conversation
        shown = Delivery(channel, message, private=True)
        await shown.show(a_reply("More…", ReplyKind.PARTIAL))
        await shown.show(a_reply("The fuller answer."))
        reading = await self.site.logs.read(to, message.user)
        await self.site.logs.rate(reading.messages[-1], message.user, Rating.HELPFUL)
        elsewhere = replace(to, channel="#borealis")
        await channel.post(a_reply("Of no concern here."), elsewhere, answers=message.event_id)

    async def play(self) -> str:
        """All that Carol receives, with times and random ids made alike."""
        async with self.carol.following("#verification") as feed:
            await self.hear(feed, '"messages": []')
            thread = await self.round(feed, self.david, "c1")
            last = feed.last_id
            await self.round(feed, self.carol, "c2", thread=thread)
        await self.david.answered("#verification")
        for last_id in (last, ""):
            async with self.carol.following("#verification", last_id) as feed:
                await self.hear(feed, f'"answers": "{self.asked}"')
        await self.round_unfollowed()
        return normalised("".join(self.received))

    async def round(self, feed: Following, who: Browser, client_id: str, **body: str) -> str:
        for event in (self.status_is_seen, self.end_is_seen, self.end_is_told):
            event.clear()
        asked = await who.ask("#verification", "antenna?", client_id=client_id, **body)
        self.received.append(json.dumps(asked) + "\n")
        self.asked = asked["message"]
        await self.hear(feed, "Looking…")
        self.status_is_seen.set()
        await self.hear(feed, '"is_open": false')
        self.end_is_seen.set()
        if who is self.david:
            await self.end_is_told.wait()
        return str(asked["thread"])

    async def round_unfollowed(self) -> None:
        """Asked again while Carol is away; what she finds on coming back."""
        self.end_is_told.clear()
        asked = await self.david.ask("#verification", "and diodes?", client_id="c3")
        await self.end_is_told.wait()
        async with self.carol.following("#verification") as feed:
            await self.hear(feed, f'"answers": "{asked["message"]}"')

    async def hear(self, feed: Following, words: str) -> None:
        """Takes what arrives up to the end of the event that has the *words*."""
        is_heard = False
        async for raw in feed.response.content:
            line = raw.decode()
            self.received.append(line)
            if line.startswith("id: "):
                feed.last_id = line[4:].strip()
            is_heard = is_heard or words in line
            if is_heard and line == "\n":
                return
        raise AssertionError(f"the stream ended without {words}")


def a_reply(text: str, kind: ReplyKind = ReplyKind.ANSWER) -> Reply:
    return Reply(kind, text, Language.ENGLISH, feedback_id=text)


def normalised(received: str) -> str:
    """Without times; random ids become their number in order of appearance."""
    received = re.sub(r'"at": "[^"]+"', '"at": ""', received)
    received = re.sub(r"id: [0-9a-f]{8}-", "id: epoch-", received)
    seen: dict[str, int] = {}
    return re.sub(r'"m-([0-9a-f]+)"', lambda m: f'"m-{seen.setdefault(m[1], len(seen))}"', received)


class TestPrivateRepliesLeaveNoTrace:
    @pytest.fixture
    async def quiet(self, tmp_path: Path) -> AsyncIterator[WebSite]:
        """Heartbeats come when they come; here there are none."""
        options = WebOptions(heartbeat_s=60)
        async with WebSite(tmp_path, options=options).running() as site:
            yield site

    @pytest.fixture(params=["memory", "redis"])
    async def open_logs(
        self, request: pytest.FixtureRequest, redis: RedisClient
    ) -> Callable[[], MessageLogs]:
        if request.param == "memory":
            return InMemoryMessageLogs
        return lambda: RedisMessageLogs(redis, tenant=secrets.token_hex(4))

    async def test_others_receive_the_same_whether_or_not_the_asker_is_told_more(
        self, tmp_path: Path, client: aiohttp.ClientSession, open_logs: Callable[[], MessageLogs]
    ) -> None:
        received = []
        for is_told_more in (False, True):
            options = WebOptions(heartbeat_s=60)
            async with WebSite(tmp_path, options=options, logs=open_logs()).running() as site:
                room = Room(site, client, is_told_more=is_told_more)
                site.worker.converse = room.converse
                received.append(await room.play())
                mine = bot_texts(await room.david.seen("#verification"))

            assert ("The fuller answer." in mine) is is_told_more

        assert received[0] == received[1]

    async def test_a_question_closes_before_the_private_reply_and_shows_nothing_of_it(
        self, quiet: WebSite, client: aiohttp.ClientSession
    ) -> None:
        room = Room(quiet, client, is_told_more=True)
        quiet.worker.converse = room.converse
        room.status_is_seen.set()

        asked = await room.david.ask("#verification", "antenna?")
        others = await room.carol.answered("#verification")
        mine_meanwhile = await room.david.answered("#verification")
        _, body = await room.david.stop("#verification", asked)
        room.end_is_seen.set()
        await room.end_is_told.wait()
        mine = await room.david.seen("#verification")

        assert bot_texts(others) == bot_texts(mine_meanwhile) == ["The public answer."]
        assert body == {"stopped": False}
        assert bot_texts(mine) == ["The public answer.", "The fuller answer."]
        assert mine[1]["order"] < mine[2]["order"] < mine[1]["order"] + 1
        assert await room.carol.seen("#verification") == others


class TestCitations:
    async def test_a_citation_opens_with_text_source_and_owner(self, carol: Browser) -> None:
        status, passage = await carol.get("/api/passages/physical%2Fdiodes%230")

        assert status == 200
        assert passage["text"].startswith("Keep the diode")
        assert passage["owner_name"] == "高郁文 Grace Kao"
        assert passage["heading_path"] == ["Diode cells: when and where", "Placement"]
        assert passage["version"] == "2.1"
        assert passage["superseded"] is True
        assert "diodes-2" not in json.dumps(passage)
        assert passage["link"] == "https://heron.qlm.example/physical/diodes"

    async def test_a_link_that_is_no_web_address_is_left_out(self, david: Browser) -> None:
        _, passage = await david.get("/api/passages/projects%2Fborealis-plan%230")

        assert passage["link"] is None

    async def test_a_passage_out_of_reach_looks_like_one_that_does_not_exist(
        self, carol: Browser
    ) -> None:
        closed = await carol.get("/api/passages/projects%2Fborealis-plan%230")
        missing = await carol.get("/api/passages/no%2Fsuch%230")

        assert closed == missing
        assert closed[0] == 404


class TestRating:
    async def test_nobody_rates_what_they_do_not_see(self, david: Browser, carol: Browser) -> None:
        await david.ask("#verification", "private tape-out")
        async with david.following("#verification") as feed:
            private = (await feed.until(lambda ms: len(ms) == 3))[2]

        body = {"conversation": "#verification", "message": private["id"], "rating": "helpful"}

        assert (await carol.post("/api/feedback", body))[0] == 404

    async def test_feedback_is_kept_and_shown_to_its_author_only(
        self, carol: Browser, david: Browser, site: WebSite
    ) -> None:
        await carol.ask("#verification", "antenna")
        answer = (await carol.answered("#verification"))[1]

        body = {
            "conversation": "#verification",
            "message": answer["id"],
            "rating": "unhelpful",
            "comment": " wrong layer ",
        }
        status, _ = await carol.post("/api/feedback", body)

        assert status == 200
        kept = (await site.state.feedback())[0]
        assert (kept.user, kept.rating) == (UserRef(TENANT, "carol.wu"), Rating.UNHELPFUL)
        assert kept.comment == "wrong layer"
        assert (await carol.seen("#verification"))[1]["rating"] == "unhelpful"
        assert (await david.seen("#verification"))[1]["rating"] is None

    async def test_what_is_no_answer_cannot_be_rated(self, carol: Browser) -> None:
        conversation = await carol.direct()
        asked = await carol.ask(conversation, "antenna")
        await carol.answered(conversation)
        body = {"conversation": conversation, "message": asked["message"], "rating": "helpful"}

        assert (await carol.post("/api/feedback", body))[0] == 409


class TestWhoMayDoWhat:
    async def test_people_see_their_own_channels_and_who_reads_them(self, max_: Browser) -> None:
        _, me = await max_.get("/api/me")

        assert me["me"]["kind"] == "contractor"
        assert [room["id"] for room in me["rooms"]] == ["#layout-support"]
        room = me["rooms"][0]
        assert (room["readers"], [m["id"] for m in room["members"]]) == (
            2,
            ["grace.kao", "max.weber"],
        )

    async def test_a_public_channel_is_read_by_all_employees(self, carol: Browser) -> None:
        _, me = await carol.get("/api/me")

        general = next(room for room in me["rooms"] if room["id"] == "#general")
        assert general["readers"] == 4

    @pytest.mark.parametrize(
        "conversation",
        ["#borealis", "#general", "#nowhere", "", "dm:carol.wu:abc", "dm:max.weber:", "dm:", "\0"],
    )
    async def test_a_closed_conversation_looks_like_one_that_does_not_exist(
        self, max_: Browser, conversation: str
    ) -> None:
        body = {"conversation": conversation, "text": "hello", "client_id": "c1"}

        posted = await max_.post("/api/messages", body)
        followed = await max_.get("/api/events", conversation=conversation)

        assert posted[0] == followed[0] == 404
        assert posted[1]["error"]["code"] == "unknown_conversation"
        assert posted[1] == followed[1]

    async def test_an_unknown_person_is_told_so_in_their_language(
        self, site: WebSite, client: aiohttp.ClientSession
    ) -> None:
        stranger = Browser(site, client, "no.body")

        status, body = await stranger.post(
            "/api/conversations", {}, **{"Accept-Language": "zh-Hant-TW"}
        )

        assert status == 404
        assert body["error"]["code"] == "unknown_user"
        assert "通訊錄" in body["error"]["message"]

    async def test_a_broken_directory_is_said_and_nothing_is_asked(
        self, carol: Browser, site: WebSite
    ) -> None:
        conversation = await carol.direct()
        site.people_file.write_text("users: [", encoding="utf-8")

        body = {"conversation": conversation, "text": "hello", "client_id": "c1"}
        status, answer = await carol.post("/api/messages", body)

        assert (status, answer["error"]["code"]) == (503, "unavailable")
        assert site.conversation.heard == []

    async def test_too_many_questions_are_refused_kindly(
        self, tmp_path: Path, client: aiohttp.ClientSession
    ) -> None:
        options = WebOptions(questions_per_minute=2)
        async with WebSite(tmp_path, options=options).running() as site:
            carol = Browser(site, client, "carol.wu")
            conversation = await carol.direct()
            await carol.ask(conversation, "one")
            await carol.ask(conversation, "two")
            body = {"conversation": conversation, "text": "three", "client_id": "c3"}

            status, answer = await carol.post("/api/messages", body)

        assert (status, answer["error"]["code"]) == (429, "too_many")


class TestBadInput:
    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ("{", 400, "bad_json"),
            ("[]", 400, "bad_json"),
            (b"\xff\xfe", 400, "bad_json"),
            ("[" * 100_000, 400, "bad_json"),
            ('{"text": "\\ud800", "client_id": "c", "conversation": "x"}', 400, "bad_json"),
            ({"text": 5, "client_id": "c1"}, 400, "bad_request"),
            ({"text": "hi"}, 400, "bad_request"),
            ({"text": "hi", "client_id": "../x", "conversation": "x"}, 400, "bad_request"),
            ({"text": "  \n", "client_id": "c1"}, 400, "question_empty"),
            ({"text": "x" * 8_001, "client_id": "c1"}, 422, "question_too_long"),
            ({"text": "x" * 100_000, "client_id": "c1"}, 422, "question_too_long"),
            ({"text": "x" * 300_000, "client_id": "c1"}, 413, "body_too_large"),
        ],
    )
    async def test_each_mistake_has_its_message(
        self, carol: Browser, body: Any, status: int, code: str
    ) -> None:
        answer = await carol.post("/api/messages", body)

        assert (answer[0], answer[1]["error"]["code"]) == (status, code)
        assert answer[1]["error"]["message"]

    async def test_a_question_that_is_too_long_names_both_lengths(self, carol: Browser) -> None:
        body = {"text": "字" * 9_000, "client_id": "c1", "conversation": await carol.direct()}

        _, answer = await carol.post("/api/messages", body, **{"Accept-Language": "zh-TW"})

        assert "9,000" in answer["error"]["message"]
        assert "8,000" in answer["error"]["message"]

    async def test_an_address_that_does_not_exist_is_answered_in_json(self, carol: Browser) -> None:
        status, body = await carol.get("/api/nothing")

        assert (status, body["error"]["code"]) == (404, "not_found")

    @pytest.mark.parametrize("path", ["/static/adapter.py", "/static/..%2Fadapter.py", "/static/x"])
    async def test_only_the_pages_own_files_are_served(
        self, site: WebSite, client: aiohttp.ClientSession, path: str
    ) -> None:
        async with client.get(URL(site.url + path, encoded=True)) as response:
            assert response.status == 404


class TestOtherSites:
    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1:1"])
    async def test_another_sites_page_cannot_ask_in_somebodys_name(
        self, carol: Browser, site: WebSite, origin: str
    ) -> None:
        body = {"conversation": "#verification", "text": "hello", "client_id": "c1"}

        status, answer = await carol.post("/api/messages", body, Origin=origin)

        assert (status, answer["error"]["code"]) == (403, "origin_refused")
        assert site.conversation.heard == []

    async def test_a_form_cannot_pose_as_the_page(self, carol: Browser) -> None:
        status, answer = await carol.post("/api/messages", "{}", **{"Content-Type": "text/plain"})

        assert (status, answer["error"]["code"]) == (415, "json_required")

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80"])
    @pytest.mark.parametrize("path", ["/", "/api/me", "/static/app.js"])
    async def test_a_name_pointed_at_this_machine_gets_nothing(
        self, site: WebSite, client: aiohttp.ClientSession, host: str, path: str
    ) -> None:
        async with client.get(site.url + path, headers={"Host": host}) as response:
            assert response.status == 403

    @pytest.mark.parametrize("path", ["/", "/api/me", "/api/nothing", "/static/app.js"])
    async def test_every_response_keeps_the_browser_from_running_or_embedding_anything_else(
        self, site: WebSite, client: aiohttp.ClientSession, path: str
    ) -> None:
        async with client.get(site.url + path) as response:
            policy = response.headers["Content-Security-Policy"]
            headers = response.headers

        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert (headers["Cache-Control"] == "no-store") == path.startswith("/api")

    async def test_an_unchanged_file_is_not_sent_again(
        self, site: WebSite, client: aiohttp.ClientSession
    ) -> None:
        async with client.get(site.url + "/static/app.js") as response:
            etag = response.headers["ETag"]

        async with client.get(
            site.url + "/static/app.js", headers={"If-None-Match": etag}
        ) as response:
            assert response.status == 304


class TestModes:
    @pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.168.1.5", "shifu.example"])
    def test_the_playground_listens_on_this_machine_only(self, host: str) -> None:
        with pytest.raises(ShifuError, match="only listens on this machine"):
            WebAccess(WebMode.PLAYGROUND, host)

    @pytest.mark.parametrize("ancestor", ["*", "intranet", "https://a.example; script-src *"])
    def test_who_may_embed_the_page_is_named_by_origin(self, ancestor: str) -> None:
        with pytest.raises(ShifuError, match="give an origin"):
            WebAccess(WebMode.HEADER, "0.0.0.0", frame_ancestors=(ancestor,))

    async def test_behind_a_proxy_its_header_says_who_asks(
        self, tmp_path: Path, client: aiohttp.ClientSession
    ) -> None:
        async with WebSite(tmp_path, mode=WebMode.HEADER).running() as site:
            headers = {"X-Forwarded-User": "carol.wu"}
            async with client.get(site.url + "/api/me", headers=headers) as response:
                me = await response.json()

        assert me["me"]["id"] == "carol.wu"
        assert me["people"] is None

    @pytest.mark.parametrize(
        ("headers", "query", "status", "code"),
        [
            ([], "", 401, "not_signed_in"),
            ([("X-Forwarded-User", " ")], "", 401, "not_signed_in"),
            (
                [("X-Forwarded-User", "carol.wu"), ("X-Forwarded-User", "david.hsu")],
                "",
                401,
                "not_signed_in",
            ),
            ([("X-Forwarded-User", "no.body")], "", 403, "unknown_user"),
            ([("X-Forwarded-User", "carol.wu")], "?as=david.hsu", 403, "acting_refused"),
        ],
    )
    async def test_behind_a_proxy_nobody_is_anyone_else(
        self,
        tmp_path: Path,
        client: aiohttp.ClientSession,
        headers: list[tuple[str, str]],
        query: str,
        status: int,
        code: str,
    ) -> None:
        async with (
            WebSite(tmp_path, mode=WebMode.HEADER).running() as site,
            client.get(site.url + "/api/me" + query, headers=headers) as response,
        ):
            assert response.status == status
            assert (await response.json())["error"]["code"] == code

    async def test_behind_a_proxy_the_origin_is_the_public_one(
        self, tmp_path: Path, client: aiohttp.ClientSession
    ) -> None:
        mode, origins = WebMode.HEADER, (PUBLIC_ORIGIN,)
        async with WebSite(tmp_path, mode=mode, public_origins=origins).running() as site:
            carol = Browser(site, client, "")
            carol.headers["X-Forwarded-User"] = "carol.wu"

            own = await carol.post("/api/conversations", {}, Origin=PUBLIC_ORIGIN)
            other = await carol.post("/api/conversations", {})

        assert (own[0], other[0]) == (201, 403)


async def test_a_body_that_never_ends_is_given_up(
    site: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.web.guard.BODY_TIMEOUT_S", 0.1)
    url = URL(site.url)
    reader, writer = await asyncio.open_connection(url.host, url.port, family=socket.AF_INET)
    writer.write(
        f"POST /api/conversations?as=carol.wu HTTP/1.1\r\nHost: {url.authority}\r\n"
        f"Origin: {site.url}\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{{".encode()
    )

    async with asyncio.timeout(10):
        status = await reader.readline()

    assert b"408" in status
    writer.close()
