"""Approved Slack channels as documents: what people write, change and delete is what their readers find."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.slack.channel_access import NOBODY, channel_acl, source_of
from adapters.slack.client import SlackApi as Api
from adapters.slack.client import SlackClients
from adapters.slack.directory import channel_principal
from adapters.slack.ids import SlackChannelId
from adapters.slack.index_guard import ChannelIndex, GuardedStore, content_hash
from adapters.slack.index_jobs import index_handlers
from adapters.slack.index_work import IndexWork
from adapters.slack.indexing import Indexing
from adapters.slack.installations import InMemoryInstallations, Installation
from adapters.slack.thread_ledger import InMemoryThreadLedger, Visibility
from bot.inbox import InMemoryInbox
from bot.worker import Worker
from retrieval.access import PUBLIC, Level, Principal, tenant_principal
from retrieval.analysis import query_tokens
from retrieval.store import ChunkStore, InMemoryStore, SearchQuery
from retrieval.types import Document, IndexedDocument
from tests.builders import TENANT, a_document, a_scope
from tests.fakes.slack.messages import Message
from tests.fakes.slack_api import SlackApi

EMPLOYEE = {PUBLIC, tenant_principal(TENANT)}
LONG = " " + "the board is flashed through the second debug port, never through the first one" * 2
WORDS = "board flash lunch secret reset report"
LEASE_S = 3600
"""By Slack's clock, which the tests push forward."""
PATIENCE_S = 60
"""With a busy machine; nothing here is about how long anything takes."""

Event = dict[str, Any]


class Office:
    """A Slack with people in it, and everything of ours that follows its channels."""

    def __init__(
        self, api: SlackApi, *, channels: tuple[str, ...], store: ChunkStore | None = None
    ) -> None:
        self.api = api
        self.clock = api.slack.clock.now
        self.store: ChunkStore = store or InMemoryStore()
        self.ledger = InMemoryThreadLedger()
        self.inbox = InMemoryInbox(lease_s=LEASE_S, clock=self.clock)
        self.installations = InMemoryInstallations(
            *(
                Installation(
                    enterprise=api.slack.world.enterprise_of(api.slack.world.teams_of(install)[0])
                    or "",
                    team="" if install.is_enterprise_install else install.home,
                    bot_token=install.token,
                    bot_user=install.bot_user,
                )
                for install in api.slack.world.installs
            )
        )
        self._slack = Api(api.url)
        self.clients = SlackClients(self._slack, self.installations)
        self.events: list[tuple[Event, str]] = []
        self.is_deaf = False
        self.approve(*channels)

    def approve(self, *channels: str) -> None:
        """As a restart with these settings."""
        self.indexing = Indexing(self.ledger, self.inbox, channels=channels, clock=self.clock)
        self.work = IndexWork(
            self.indexing, self.clients, self.store, None, TENANT, clock=self.clock
        )

    async def hear(self, request: web.Request) -> web.Response:
        body = await request.json()
        authorization = body["authorizations"][0]
        home = authorization["enterprise_id"] or authorization["team_id"]
        self.events.append((body["event"], home))
        if not self.is_deaf:
            await self.indexing.seen(body["event"], home)
        return web.Response()

    @asynccontextmanager
    async def working(self, *, is_killed: bool = False) -> AsyncIterator[None]:
        worker = Worker(self.inbox, index_handlers(self.work), idle_wait_s=0.002)
        running = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            await worker.stop(within_s=0 if is_killed else PATIENCE_S)
            await running

    async def settle(self, until: Callable[[], bool] | None = None) -> None:
        """Do everything that there is to do, however long Slack makes us wait."""
        async with asyncio.timeout(PATIENCE_S), self.working(is_killed=until is not None):
            while (await self.inbox.state()).unfinished and not (until and until()):
                self.api.advance(2)
                await asyncio.sleep(0.003)
        assert await self.inbox.dead() == []

    async def review(self) -> None:
        await self.indexing.order_review()
        await self.settle()

    async def documents(self, channel: str = "C1", home: str = "T1") -> dict[str, Document]:
        """By `ts` of the thread's first message."""
        source = source_of(SlackChannelId(home, channel))
        found = await self.store.documents(source=source)
        return {document.id.rpartition("/")[2]: document for document in found}

    async def text(self, message: Message, home: str = "T1") -> str:
        scope = a_scope(member(message.channel, home) | EMPLOYEE)
        tokens = tuple(query_tokens(WORDS))
        passages = await self.store.search(SearchQuery(tokens), scope, top_k=50)
        id = f"slack:{home}/{message.channel}/{message.ts}"
        chunks = [p.chunk for p in passages if p.chunk.document.id == id]
        return "\n".join(c.text for c in sorted(chunks, key=lambda chunk: chunk.ordinal))

    async def finds(self, words: str, principals: set[Principal]) -> bool:
        query = SearchQuery(tuple(query_tokens(words)))
        return bool(await self.store.search(query, a_scope(principals), top_k=5))

    def asked(self, method: str) -> int:
        """How often, with success."""
        return sum(c.method == method and not c.error for c in self.api.slack.calls)

    async def close(self) -> None:
        await self.clients.close()


def member(channel: str = "C1", home: str = "T1") -> set[Principal]:
    """What somebody who is in the channel, and employed nowhere, may read."""
    return {PUBLIC, channel_principal(TENANT, SlackChannelId(home, channel))}


@asynccontextmanager
async def an_office(
    kind: str = "public", *, channels: tuple[str, ...] = ("C1",), store: ChunkStore | None = None
) -> AsyncIterator[Office]:
    async with SlackApi() as api:
        api.workspace("T1")
        api.install("T1")
        api.sends_channel_messages = True
        for id, name in (("U1", "Amy Chen"), ("U2", "Ben Lin")):
            api.user(id, name)
        api.channel("C1", "lab", kind, ["U1", "U2"])
        async with open_office(api, channels=channels, store=store) as office:
            yield office


@asynccontextmanager
async def open_office(
    api: SlackApi, *, channels: tuple[str, ...], store: ChunkStore | None = None
) -> AsyncIterator[Office]:
    office = Office(api, channels=channels, store=store)
    app = web.Application()
    app.router.add_post("/", office.hear)
    server = TestServer(app)
    await server.start_server()
    api.request_url = str(server.make_url("/"))
    try:
        yield office
    finally:
        await api.slack.deliveries.close()
        await office.close()
        await server.close()


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with an_office() as office:
        await office.review()
        yield office


async def test_a_thread_is_one_document_with_its_messages_in_order(office: Office) -> None:
    root = await office.api.message("U1", "C1", "How do I flash the board?\nIt does not answer.")
    await office.api.message("U2", "C1", "Ask <@U1> &amp; hold reset.", thread_ts=root.ts)
    await office.settle()

    [document] = (await office.documents()).values()
    text = await office.text(root)

    assert document.id == f"slack:T1/C1/{root.ts}"
    assert document.title == "How do I flash the board?"
    assert document.owner == "slack:T1/U1"
    assert document.link == (f"https://t1.slack.example/archives/C1/p{root.ts.replace('.', '')}")
    assert document.acl.level is Level.INTERNAL
    assert document.modified_at is not None
    assert document.modified_at.timestamp() > float(root.ts)
    assert text.index("**Amy Chen** (20") < text.index("It does not answer.")
    assert text.index("It does not answer.") < text.index("**Ben Lin** (20")
    assert "UTC): Ask @Amy Chen & hold reset." in text


async def test_small_talk_is_no_document_until_somebody_replies(office: Office) -> None:
    small = await office.api.message("U1", "C1", "lunch?")
    long = await office.api.message("U1", "C1", "About the board:" + LONG)
    await office.settle()
    assert set(await office.documents()) == {long.ts}
    assert office.asked("conversations.replies") == 1

    reply = await office.api.message("U2", "C1", "noon, lunch room", thread_ts=small.ts)
    await office.settle()
    assert set(await office.documents()) == {small.ts, long.ts}

    await office.api.delete(reply)
    await office.settle()
    assert set(await office.documents()) == {long.ts}


async def test_bots_joins_and_other_system_messages_are_no_documents(office: Office) -> None:
    await office.api.bot_message("C1", "The build is broken:" + LONG)
    await office.api.bot_message("C1", "An old robot reports:" + LONG, classic=True)
    await office.api.message("U2", "C1", "has joined" + LONG, subtype="channel_join")
    asked = await office.api.message("U1", "C1", "which board?")
    await office.api.bot_message("C1", "A robot's answer" + LONG, thread_ts=asked.ts)
    await office.settle()

    assert await office.documents() == {}
    await office.review()
    assert await office.documents() == {}


async def test_what_robots_say_in_a_thread_is_left_out(office: Office) -> None:
    root = await office.api.message("U1", "C1", "The board and its reset:" + LONG)
    await office.api.bot_message("C1", "robots say lunch", thread_ts=root.ts)
    await office.settle()

    assert "lunch" not in await office.text(root)


async def test_files_are_named_and_not_read(office: Office) -> None:
    office.api.file("F1", "reset plan.pdf", b"secret content")
    root = await office.api.message("U1", "C1", "The board:" + LONG, files=["F1"])
    await office.settle()

    text = await office.text(root)
    assert "📎 reset plan.pdf" in text
    assert "secret" not in text


async def test_names_of_private_channels_are_not_told(office: Office) -> None:
    office.api.channel("C8", "help-desk", "public", ["U1"])
    office.api.channel("C9", "layoffs", "private", ["U1"])
    root = await office.api.message(
        "U1", "C1", "The board, see <#C8|help-desk> or <#C9|layoffs>." + LONG
    )
    await office.settle()

    text = await office.text(root)
    assert "#help-desk" in text
    assert "layoffs" not in text


async def test_chat_text_makes_no_headings_and_leaves_no_code_open(office: Office) -> None:
    root = await office.api.message("U1", "C1", "# board\n```\n# flash --all\n```" + LONG)
    await office.api.message("U2", "C1", "thanks ```\n\nlunch\n---\n- reset", thread_ts=root.ts)
    await office.settle()

    scope = a_scope(member())
    chunks = [
        passage.chunk
        for passage in await office.store.search(
            SearchQuery(tuple(query_tokens("board flash lunch reset"))), scope, top_k=9
        )
    ]
    assert {chunk.heading_path for chunk in chunks} == {()}
    text = await office.text(root)
    assert text.count("```") == 2
    assert "```\n# flash --all\n```" in text


async def test_edits_and_deletions_are_followed(office: Office) -> None:
    root = await office.api.message("U1", "C1", "How to reset the board?" + LONG)
    first = await office.api.message("U2", "C1", "The secret report says so.", thread_ts=root.ts)
    await office.api.message("U2", "C1", "Hold the button for lunch.", thread_ts=root.ts)
    await office.settle()

    await office.api.edit(root, "How to flash the board?" + LONG)
    await office.settle()
    [document] = (await office.documents()).values()
    assert document.title.startswith("How to flash the board?")
    assert not await office.finds("how to reset", EMPLOYEE)

    await office.api.delete(first)
    await office.settle()
    assert not await office.finds("secret report", EMPLOYEE | member())
    assert await office.finds("lunch", EMPLOYEE)

    await office.api.delete(root)
    await office.settle()
    assert await office.documents() == {}


async def test_what_is_deleted_is_not_found_even_while_slack_is_down(office: Office) -> None:
    root = await office.api.message("U1", "C1", "How to reset the board?" + LONG)
    reply = await office.api.message("U2", "C1", "the secret report", thread_ts=root.ts)
    whole = await office.api.message("U2", "C1", "All about lunch:" + LONG)
    await office.settle()
    office.api.fail("*", times=10**6, status=503)

    await office.api.delete(reply)
    await office.api.delete(whole)
    async with asyncio.timeout(PATIENCE_S), office.working():
        while await office.finds("secret report", member()) or await office.finds(
            "lunch", member()
        ):
            await asyncio.sleep(0.003)

    office.api.heal()
    await office.settle()
    assert set(await office.documents()) == {root.ts}
    assert await office.finds("reset", EMPLOYEE)
    assert not await office.finds("secret report", member())


async def test_an_old_event_that_comes_after_the_deletion_brings_nothing_back(
    office: Office,
) -> None:
    root = await office.api.message("U1", "C1", "The board:" + LONG)
    await office.settle()
    await office.api.delete(root)
    for event, home in office.events[:-1]:
        await office.indexing.seen(event, home)
    await office.settle()

    assert await office.documents() == {}


async def test_public_channels_are_for_employees_and_private_ones_for_members(
    office: Office,
) -> None:
    office.api.channel("C2", "board", "private", ["U1"])
    office.api.channel("C3", "mpdm", "mpim", ["U1", "U2"])
    office.approve("C1", "C2", "C3")
    for channel, word in (("C1", "lunch"), ("C2", "secret"), ("C3", "report")):
        await office.api.message("U1", channel, word + LONG)
    await office.review()

    assert await office.finds("lunch", EMPLOYEE)
    assert await office.finds("lunch", member("C1"))
    assert not await office.finds("lunch", {PUBLIC})
    for channel, word in (("C2", "secret"), ("C3", "report")):
        assert await office.finds(word, member(channel))
        assert not await office.finds(word, EMPLOYEE)
        assert not await office.finds(word, member("C1"))


@pytest.mark.parametrize("change", ["convert_to_private", "connect", "message in private"])
async def test_rights_that_shrink_hold_before_slack_is_asked(office: Office, change: str) -> None:
    root = await office.api.message("U1", "C1", "The board:" + LONG)
    await office.settle()
    assert await office.finds("board", EMPLOYEE)
    office.api.fail("*", times=10**6, status=503)

    if change == "convert_to_private":
        await office.api.convert_to_private("C1")
    elif change == "connect":
        await office.api.connect("C1", "T9")
    else:
        # Slack has more ways to do it than events that tell of it.
        await office.api.convert_to_private("C1", event=False)
        await office.api.message("U1", "C1", "ok")
    async with asyncio.timeout(PATIENCE_S), office.working():
        while await office.finds("board", EMPLOYEE):
            await asyncio.sleep(0.003)

    assert await office.finds("board", member())
    office.api.heal()
    await office.settle()
    assert not await office.finds("board", EMPLOYEE)
    assert await office.finds("board", member())
    assert set(await office.documents()) == {root.ts}


async def test_a_channel_that_became_public_is_for_employees_once_slack_says_so() -> None:
    async with an_office("private") as office:
        await office.review()
        await office.api.message("U1", "C1", "The board:" + LONG)
        await office.settle()
        assert not await office.finds("board", EMPLOYEE)

        await office.api.convert_to_public("C1")
        await office.settle()

        assert await office.finds("board", EMPLOYEE)


class Interrupted(InMemoryStore):
    """Something happens while documents are being written: just before, or just after."""

    def __init__(self, *, is_before: bool) -> None:
        super().__init__()
        self._is_before = is_before
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def write(self, documents: Sequence[IndexedDocument]) -> None:
        if self._is_before:
            await self._happen()
        await super().write(documents)
        if not self._is_before:
            await self._happen()

    async def _happen(self) -> None:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()


@pytest.mark.parametrize("is_before", [True, False])
async def test_a_sync_under_way_brings_no_old_rights_and_no_deleted_words_back(
    is_before: bool,
) -> None:
    store = Interrupted(is_before=is_before)
    async with an_office(store=store) as office:
        await office.review()
        kept = await office.api.message("U1", "C1", "The board:" + LONG)
        reply = await office.api.message("U2", "C1", "the secret report", thread_ts=kept.ts)
        gone = await office.api.message("U1", "C1", "All about lunch:" + LONG)

        async def change() -> None:
            await office.api.convert_to_private("C1")
            await office.api.delete(reply)
            await office.api.delete(gone)
            # From here on every question to Slack fails: what is decided is decided without it.
            office.api.fail("*", times=10**6, status=503)

        async def is_found() -> bool:
            return (
                await office.finds("board", EMPLOYEE)
                or await office.finds("lunch", member())
                or await office.finds("secret report", member())
            )

        store.meanwhile = change
        async with asyncio.timeout(PATIENCE_S), office.working():
            while store.meanwhile is not None or not await office.documents() or await is_found():
                office.api.advance(2)
                await asyncio.sleep(0.003)
        assert not await is_found()
        office.api.heal()
        await office.settle()

        assert not await is_found()
        assert await office.finds("board", member())
        assert set(await office.documents()) == {kept.ts}


@pytest.mark.parametrize("is_before", [True, False])
async def test_no_write_leaves_more_than_the_ledger_grants_by_then(is_before: bool) -> None:
    channel, ledger = SlackChannelId("T1", "C1"), InMemoryThreadLedger()
    store = Interrupted(is_before=is_before)
    guarded = GuardedStore(store, ChannelIndex(store, ledger, channel, tenant=TENANT))
    wide = channel_acl(TENANT, channel, Visibility.PUBLIC)
    await ledger.set_visibility(str(channel), Visibility.PUBLIC, epoch=0)
    ids = {root: f"slack:T1/C1/{root}" for root in ("1.000001", "2.000001", "3.000001")}
    for root in ids:
        await ledger.touch(str(channel), root, 5, is_new=True)
    documents = [
        a_document(
            "board", id=id, acl=wide, source=source_of(channel), content_hash=content_hash(5)
        )
        for id in ids.values()
    ]

    async def change() -> None:
        await ledger.narrow(str(channel))
        await ledger.touch(str(channel), "2.000001", 6, is_new=False, is_shorter=True)
        await ledger.drop(str(channel), "3.000001", by=7, for_good=True)

    store.meanwhile = change
    await guarded.write(documents)

    narrow = channel_acl(TENANT, channel, Visibility.MEMBERS)
    left = {document.id: document.acl for document in await store.documents()}
    assert left == {ids["1.000001"]: narrow, ids["2.000001"]: NOBODY}

    await guarded.change_acl(ids["1.000001"], wide)
    assert (await store.documents())[0].acl == narrow


@pytest.mark.parametrize("change", ["kicked", "archived", "not approved", "uninstalled"])
async def test_documents_go_when_the_channel_may_not_be_indexed_any_more(
    office: Office, change: str
) -> None:
    await office.api.message("U1", "C1", "The board:" + LONG)
    await office.settle()
    assert await office.documents()

    if change == "kicked":
        await office.api.leave("UBOT", "C1")
    elif change == "archived":
        await office.api.archive("C1")
    elif change == "not approved":
        office.approve()
        await office.indexing.order_review()
    else:
        await office.installations.remove("", "T1")
        await office.indexing.order_review()
    await office.settle()

    assert await office.documents() == {}
    assert await office.ledger.threads("T1/C1") == {}
    assert await office.indexing.backfill_status() == []


async def test_nothing_of_a_channel_that_nobody_approved_is_looked_at(office: Office) -> None:
    office.api.channel("C2", "random", "public", ["U1"])
    calls = len(office.api.slack.calls)

    await office.api.message("U1", "C2", "The board:" + LONG)
    await office.settle()

    assert len(office.api.slack.calls) == calls
    assert await office.store.documents() == []


async def test_a_channel_without_the_bot_is_not_indexed() -> None:
    async with an_office(channels=("C2",)) as office:
        office.api.channel("C2", "random", "public", ["U1"], with_app=False)
        await office.api.message("U1", "C2", "The board:" + LONG)
        await office.review()
        assert await office.documents("C2") == {}
        assert office.asked("conversations.history") == 0

        await office.api.join("UBOT", "C2")
        await office.settle()
        assert len(await office.documents("C2")) == 1


async def test_history_is_read_from_the_latest_to_the_first_and_then_followed() -> None:
    async with an_office() as office:
        office.is_deaf = True
        said = [await office.api.message("U1", "C1", f"{n} board:" + LONG) for n in range(450)]
        short = await office.api.message("U1", "C1", "lunch?")
        await office.api.message("U2", "C1", "yes, lunch", thread_ts=short.ts)
        await office.api.message("U1", "C1", "ok")
        office.is_deaf = False

        await office.review()

        assert set(await office.documents()) == {message.ts for message in (*said, short)}
        [status] = await office.indexing.backfill_status()
        assert status.backfill is not None
        assert (status.backfill.pages, status.backfill.threads) == (3, 451)
        assert status.backfill.is_done
        assert (status.visibility, status.threads) == (Visibility.PUBLIC, 451)
        asked = office.asked("conversations.replies")

        await office.review()
        assert office.asked("conversations.replies") == asked


async def test_a_backfill_survives_one_page_a_minute_and_being_killed() -> None:
    async with an_office() as office:
        office.is_deaf = True
        said = [await office.api.message("U1", "C1", f"{n} board:" + LONG) for n in range(37)]
        long_thread = said[30]
        for n in range(40):
            await office.api.message("U2", "C1", f"reset {n}", thread_ts=long_thread.ts)
        office.is_deaf = False
        office.api.limit_history()
        await office.indexing.order_review()

        await office.settle(until=lambda: office.asked("conversations.history") >= 2)
        [status] = await office.indexing.backfill_status()
        assert status.backfill is not None
        assert not status.backfill.is_done
        assert "36 board" in await office.text(said[36])
        assert said[0].ts not in await office.documents()

        # Another process takes over.
        office.approve("C1")
        await office.settle()

        assert set(await office.documents()) == {message.ts for message in said}
        [status] = await office.indexing.backfill_status()
        assert status.backfill is not None
        assert status.backfill.is_done
        assert "reset 39" in await office.text(long_thread)
        assert office.asked("conversations.history") == 3


async def test_a_page_that_slack_refuses_to_give_is_asked_for_again(office: Office) -> None:
    await office.api.message("U1", "C1", "The board:" + LONG)
    office.api.fail("conversations.replies", status=500, times=3)
    office.api.fail("conversations.info", status=429, retry_after_s=40)
    office.api.fail("users.info", error="internal_error")
    await office.settle()

    assert len(await office.documents()) == 1


async def test_one_thread_that_cannot_be_read_does_not_hold_up_the_others(office: Office) -> None:
    office.api.fail("conversations.replies", error="some_new_error")
    for n in range(3):
        await office.api.message("U1", "C1", f"{n} board:" + LONG)
    await office.settle()
    assert len(await office.documents()) == 2

    await office.review()
    assert len(await office.documents()) == 3


async def test_what_happened_while_nobody_listened_is_found_by_the_next_pass(
    office: Office,
) -> None:
    kept = await office.api.message("U1", "C1", "The board:" + LONG)
    gone = await office.api.message("U1", "C1", "All about lunch:" + LONG)
    await office.settle()
    office.is_deaf = True
    await office.api.delete(gone)
    new = await office.api.message("U1", "C1", "A report:" + LONG)
    await office.api.message("U2", "C1", "reset", thread_ts=kept.ts)
    office.is_deaf = False

    office.api.advance(90_000)
    await office.review()

    assert set(await office.documents()) == {kept.ts, new.ts}
    assert "reset" in await office.text(kept)


async def test_a_lost_ledger_is_filled_again(office: Office) -> None:
    root = await office.api.message("U1", "C1", "The board:" + LONG)
    await office.settle()
    office.ledger = InMemoryThreadLedger()
    office.approve("C1")

    await office.review()

    assert set(await office.documents()) == {root.ts}


async def test_the_channels_of_a_whole_organisation_are_indexed_under_its_home() -> None:
    async with SlackApi() as api:
        for team in ("T1", "T2"):
            api.workspace(team, enterprise="E1")
        api.install("E1", is_enterprise_install=True)
        api.sends_channel_messages = True
        api.user("U1", "Amy Chen", team="T2", teams=["T1", "T2"])
        api.channel("C1", "lab", "public", ["U1"], team="T2", org_shared=["T1"])
        async with open_office(api, channels=("C1",)) as office:
            await office.review()
            root = await office.api.message("U1", "C1", "The board:" + LONG)
            await office.settle()

            assert set(await office.documents(home="E1")) == {root.ts}
            assert await office.finds("board", EMPLOYEE)
            assert "Amy Chen" in await office.text(root, home="E1")


async def test_each_workspace_of_an_organisation_may_have_a_token_of_its_own() -> None:
    async with SlackApi() as api:
        for team in ("T1", "T2"):
            api.workspace(team, enterprise="E1")
            api.install(team, bot_user=f"UBOT{team}")
        api.user("U1", "Amy Chen", team="T2")
        api.channel("C2", "lab", "private", ["U1"], team="T2")
        async with open_office(api, channels=("C2",)) as office:
            root = await office.api.message("U1", "C2", "The board:" + LONG)
            await office.review()

            assert set(await office.documents("C2", home="E1")) == {root.ts}
            assert await office.finds("board", member("C2", home="E1"))


async def test_a_thread_that_is_renewed_at_every_event_is_synced_once_for_all(
    office: Office,
) -> None:
    root = await office.api.message("U1", "C1", "The board:" + LONG)
    for n in range(30):
        await office.api.message("U2", "C1", f"reset {n}", thread_ts=root.ts)
    assert (await office.inbox.state()).unfinished <= 3
    await office.settle()

    assert office.asked("conversations.replies") <= 3
    assert "reset 29" in await office.text(root)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "message"},
        {"type": "message", "channel": "C1"},
        {"type": "message", "channel": "C1", "ts": "x", "user": "U1", "text": None},
        {"type": "message", "channel": "C1", "ts": 17, "user": {}, "subtype": ["a"]},
        {"type": "message", "channel": "C1", "subtype": "message_changed", "message": "x"},
        {"type": "message", "channel": "C1", "subtype": "message_deleted", "ts": "1.0"},
        {"type": "message", "channel": {"id": ["C1"]}, "ts": "1.000001"},
        {"type": "channel_rename", "channel": {"id": "C1", "name": "new"}},
        {"type": None, "channel": "C1", "files": "no", "ts": "1.000001"},
    ],
)
async def test_events_of_any_shape_are_borne(office: Office, event: Event) -> None:
    await office.indexing.seen(event, "T1")
    await office.indexing.seen(event, "")
    await office.settle()

    assert await office.documents() == {}


actions = st.lists(
    st.tuples(
        st.sampled_from(
            ["post", "small", "reply", "edit", "shorten", "delete", "robot", "narrow", "widen"]
            + ["settle"] * 2
        ),
        st.integers(0, 30),
    ),
    min_size=8,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(actions=actions, seed=st.integers(0, 2**32))
def test_in_whatever_order_and_however_often_events_come_the_documents_are_what_slack_holds(
    actions: list[tuple[str, int]], seed: int
) -> None:
    asyncio.run(_random_history(actions, random.Random(seed)))


async def _random_history(actions: list[tuple[str, int]], chance: random.Random) -> None:
    async with an_office() as office:
        await office.review()
        office.is_deaf = True
        told: list[tuple[Event, str]] = []
        past: list[tuple[Event, str]] = []
        said: list[Message] = []

        async def deliver(some: float) -> None:
            """Some of what Slack has to tell, in any order, and something once more."""
            office.events, events = [], told + office.events
            chance.shuffle(events)
            now, later = events[: int(len(events) * some)], events[int(len(events) * some) :]
            for event, home in [*now, *chance.sample(now, len(now) // 3)]:
                await office.indexing.seen(event, home)
                if past and chance.random() < 0.3:
                    await office.indexing.seen(*chance.choice(past))
            past.extend(now)
            told[:] = later

        for what, n in actions:
            alive = [message for message in said if not message.is_deleted]
            one = alive[n % len(alive)] if alive else None
            root_ts = (one.thread_ts or one.ts) if one else ""
            is_root_alive = any(m.ts == root_ts for m in alive)
            if what == "post":
                said.append(await office.api.message("U1", "C1", f"{n} board:" + LONG))
            elif what == "small":
                said.append(await office.api.message("U1", "C1", f"lunch {n}"))
            elif what == "settle":
                await deliver(chance.random())
                await office.settle()
                # Whatever is still to be told: nobody but readers of the channel finds anything.
                assert not await office.finds(WORDS, {PUBLIC})
            elif what == "narrow":
                await office.api.convert_to_private("C1")
            elif what == "widen":
                await office.api.convert_to_public("C1")
            elif one is None:
                continue
            elif what == "reply" and is_root_alive:
                text = f"reset {n}"
                said.append(await office.api.message("U2", "C1", text, thread_ts=root_ts))
            elif what == "robot" and is_root_alive:
                await office.api.bot_message("C1", f"robot {n}", thread_ts=root_ts)
            elif what == "edit":
                await office.api.edit(one, f"report {len(one.versions)}:" + LONG)
            elif what == "shorten":
                await office.api.edit(one, f"secret {len(one.versions)}")
            elif what == "delete":
                await office.api.delete(one)
        await deliver(1)
        await office.settle()

        held = [m for m in said if not m.is_deleted]
        threads = {
            root.ts: [m for m in held if root.ts in (m.ts, m.thread_ts)]
            for root in held
            if root.thread_ts is None
        }
        wanted = {ts: t for ts, t in threads.items() if len(t) > 1 or len(t[0].text) > 80}
        assert set(await office.documents()) == set(wanted)
        assert await office.finds(WORDS, member()) == bool(wanted)
        is_public = office.api.slack.world.the_channel("C1").kind == "public"
        assert await office.finds(WORDS, EMPLOYEE) == (is_public and bool(wanted))
        for thread in wanted.values():
            text = await office.text(thread[0])
            assert [text.find(message.text) >= 0 for message in thread] == [True] * len(thread)
            assert text.count("**Amy Chen**") + text.count("**Ben Lin**") == len(thread)
