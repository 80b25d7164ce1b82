"""What only a server can do wrong: refusals, outages, other processes, writes that break off, large amounts."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import weaviate
from weaviate.classes.config import Configure, DataType, Property, Tokenization

from retrieval.access import (
    AccessScope,
    Acl,
    Level,
    Principal,
    Reader,
    group_principal,
)
from retrieval.errors import StoreDamaged, StoreError, StoreUnavailable
from retrieval.store import ChunkStore, InMemoryStore, SearchQuery, StoreCounts
from retrieval.types import FloatArray, IndexedDocument
from retrieval.weaviate.access_sets import FEW_SETS
from retrieval.weaviate.connection import Connection
from retrieval.weaviate_store import WeaviateStore
from tests.builders import ENG, SALES, a_document, a_reader, a_scope, an_acl
from tests.weaviate_server import MAXIMUM_RESULTS, WeaviateServer, a_tenant

ANYBODY = a_scope([])
PLAN = SearchQuery(("plan",))


def unit(*values: float) -> FloatArray:
    vector = np.array(values, np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


async def texts(store: ChunkStore, scope: AccessScope, query: SearchQuery = PLAN) -> list[str]:
    return sorted(p.chunk.text for p in await store.search(query, scope, top_k=200))


def a_prefix() -> str:
    """Collections that no other test sees."""
    return f"Own{uuid.uuid4().hex[:10]}"


@pytest.fixture
async def store(weaviate_server: WeaviateServer) -> AsyncIterator[WeaviateStore]:
    store = await weaviate_server.open_store()
    yield store
    await store.close()


@pytest.fixture
async def client(
    weaviate_server: WeaviateServer,
) -> AsyncIterator[weaviate.WeaviateAsyncClient]:
    """The server as an operator sees it."""
    rest, grpc = (
        int(url.rpartition(":")[2]) for url in (weaviate_server.url, weaviate_server.grpc_url)
    )
    client = weaviate.use_async_with_custom(
        *("127.0.0.1", rest, False),
        *("127.0.0.1", grpc, False),
        auth_credentials=weaviate_server.api_key,
        skip_init_checks=True,
    )
    await client.connect()
    yield client
    await client.close()


class TestOpening:
    async def test_a_wrong_key_is_named(self, weaviate_server: WeaviateServer) -> None:
        with pytest.raises(StoreError, match="refuses the key; check SHIFU_WEAVIATE__API_KEY"):
            await weaviate_server.open_store(api_key="guessed")

    async def test_a_server_that_is_not_there_is_named(self) -> None:
        with pytest.raises(StoreUnavailable, match=r"Weaviate at 127.0.0.1:9 does not answer"):
            await WeaviateStore.open(url="http://127.0.0.1:9", tenant="t", embedder_name=None)

    async def test_a_grpc_port_that_does_not_answer_is_named(
        self, weaviate_server: WeaviateServer
    ) -> None:
        with pytest.raises(StoreUnavailable, match=r"gRPC port 127.0.0.1:9 does not"):
            await WeaviateStore.open(
                url=weaviate_server.url,
                grpc_url="127.0.0.1:9",
                api_key=weaviate_server.api_key,
                tenant=a_tenant(),
                embedder_name=None,
                timeout_s=1.0,
            )

    @pytest.mark.parametrize(
        "url", ["localhost:8080", "ftp://host", "http://", "http://host/path", "http://u:p@host"]
    )
    async def test_what_is_no_address_is_refused(self, url: str) -> None:
        with pytest.raises(StoreError, match="SHIFU_WEAVIATE__URL"):
            await WeaviateStore.open(url=url, tenant="t", embedder_name=None)

    async def test_a_name_that_is_no_tenant_is_refused(
        self, weaviate_server: WeaviateServer
    ) -> None:
        with pytest.raises(StoreError, match="tenant"):
            await weaviate_server.open_store(tenant="acme corp")

    async def test_a_collection_that_would_judge_access_wrongly_is_not_served(
        self, weaviate_server: WeaviateServer, client: weaviate.WeaviateAsyncClient
    ) -> None:
        prefix = a_prefix()
        await client.collections.create(
            f"{prefix}Chunk_v1",
            properties=[
                Property(name="acl", data_type=DataType.TEXT_ARRAY, tokenization=Tokenization.WORD)
            ],
            vector_config=Configure.Vectors.self_provided(),
        )

        with pytest.raises(StoreDamaged, match="shifu store migrate") as refusal:
            await weaviate_server.open_store(name_prefix=prefix)

        for wrong in ("acl has another tokenization", "multi-tenancy is off", "tokens is missing"):
            assert wrong in str(refusal.value)

    async def test_a_newer_version_is_left_alone(
        self, weaviate_server: WeaviateServer, client: weaviate.WeaviateAsyncClient
    ) -> None:
        prefix = a_prefix()
        await client.collections.create(
            f"{prefix}Chunk_v2", vector_config=Configure.Vectors.self_provided()
        )
        await client.alias.create(
            alias_name=f"{prefix}Chunk", target_collection=f"{prefix}Chunk_v2"
        )

        with pytest.raises(StoreDamaged, match="newer"):
            await weaviate_server.open_store(name_prefix=prefix)

    async def test_several_processes_may_make_the_collections_at_once(
        self, weaviate_server: WeaviateServer
    ) -> None:
        prefix, tenant = a_prefix(), a_tenant()

        stores = await asyncio.gather(
            *(weaviate_server.open_store(name_prefix=prefix, tenant=tenant) for _ in range(4))
        )

        await stores[0].write([a_document("plan")])
        assert [await texts(store, ANYBODY) for store in stores] == [["plan"]] * 4
        for store in stores:
            await store.close()

    async def test_a_tenant_that_is_gone_is_named(
        self,
        store: WeaviateStore,
        weaviate_server: WeaviateServer,
        client: weaviate.WeaviateAsyncClient,
    ) -> None:
        tenant = a_tenant()
        lost = await weaviate_server.open_store(tenant=tenant)
        await client.collections.use("ShifuTestChunk_v1").tenants.remove(tenant)

        with pytest.raises(StoreError, match="no active tenant"):
            await lost.search(PLAN, ANYBODY, top_k=5)

        await lost.close()

    async def test_tenants_see_nothing_of_each_other(self, weaviate_server: WeaviateServer) -> None:
        ours, theirs = await weaviate_server.open_store(), await weaviate_server.open_store()
        await ours.write([a_document("our plan", id="d")])

        assert await texts(theirs, ANYBODY) == []
        assert await theirs.fetch(["d#0"], ANYBODY) == []
        assert await theirs.delete(["d"]) == 0
        assert await texts(ours, ANYBODY) == ["our plan"]
        await ours.close()
        await theirs.close()


class TestOtherProcesses:
    @pytest.fixture
    async def two(
        self, weaviate_server: WeaviateServer
    ) -> AsyncIterator[tuple[WeaviateStore, WeaviateStore]]:
        tenant = a_tenant()
        one = await weaviate_server.open_store(tenant=tenant)
        other = await weaviate_server.open_store(tenant=tenant)
        yield one, other
        await one.close()
        await other.close()

    async def test_what_one_takes_away_is_gone_for_the_other_at_once(
        self, two: tuple[WeaviateStore, WeaviateStore]
    ) -> None:
        one, other = two
        shared = a_scope([ENG], [SALES])
        await one.write([a_document("plan", id="d", acl=an_acl(ENG, SALES))])
        await asyncio.sleep(1.1)
        assert await texts(other, shared) == ["plan"]

        await one.change_acl("d", an_acl(ENG))

        assert await texts(other, shared) == []
        assert await texts(other, a_scope([SALES])) == []
        assert await texts(other, a_scope([ENG])) == ["plan"]

    async def test_access_lists_that_one_has_not_met_are_read_within_a_second(
        self, two: tuple[WeaviateStore, WeaviateStore]
    ) -> None:
        one, other = two
        fresh = group_principal("acme", "fresh")
        scope = a_scope([fresh, ENG], [fresh, SALES])
        await other.search(PLAN, scope, top_k=5)

        await one.write([a_document("plan", acl=an_acl(fresh))])
        await asyncio.sleep(1.1)

        assert await texts(other, scope) == ["plan"]

    async def test_each_embedder_has_vectors_of_its_own(
        self, weaviate_server: WeaviateServer
    ) -> None:
        tenant = a_tenant()
        old = await weaviate_server.open_store(tenant=tenant, embedder_name="old/1")
        await old.write([a_document("plan", "pear", id="d", acl=an_acl(ENG))])
        await old.write_vectors({"d#0": unit(1, 0), "d#1": unit(0, 1)})
        old_query = SearchQuery((), unit(1, 0), 1.0)
        new_query = SearchQuery((), unit(1, 0, 0), 1.0)

        new = await weaviate_server.open_store(tenant=tenant, embedder_name="new 2")
        assert await new.counts() == StoreCounts(1, 2, chunks_without_vector=2)
        assert await new.search(new_query, a_scope([ENG]), top_k=5) == []
        await new.write_vectors({"d#0": unit(0, 0, 1), "d#1": unit(1, 0, 0)})

        (first, *_) = await new.search(new_query, a_scope([ENG]), top_k=5)
        assert first.chunk.text == "pear"
        (first, *_) = await old.search(old_query, a_scope([ENG]), top_k=5)
        assert first.chunk.text == "plan"
        assert (await old.counts()).chunks_without_vector == 0
        # What one writes, the vectors of the other follow.
        await old.change_acl("d", an_acl(SALES))
        assert len(await new.search(new_query, a_scope([SALES]), top_k=5)) == 2
        await new.write([a_document("plan", "apple", id="d", acl=an_acl(ENG))])
        assert [c.text for c in await old.chunks_without_vector(limit=5)] == ["apple"]
        assert await texts(old, a_scope([ENG]), old_query) == ["plan"]
        await old.close()
        await new.close()

    async def test_without_an_embedder_no_vector_is_taken(
        self, weaviate_server: WeaviateServer
    ) -> None:
        store = await weaviate_server.open_store(embedder_name=None)
        await store.write([a_document("plan", id="d")])

        with pytest.raises(StoreError, match="without an embedder"):
            await store.write_vectors({"d#0": unit(1, 0)})

        query = SearchQuery(("plan",), unit(1, 0), 0.5)
        assert await texts(store, ANYBODY, query) == ["plan"]
        assert (await store.counts()).chunks_without_vector == 1
        await store.close()


class TestOutages:
    @pytest.fixture(autouse=True)
    def _needs_our_own_server(self, weaviate_server: WeaviateServer) -> None:
        if not weaviate_server.can_be_stopped:
            pytest.skip("the server was started by somebody else")

    async def test_a_server_that_stops_is_reported_and_used_again_when_it_is_back(
        self, weaviate_server: WeaviateServer
    ) -> None:
        store = await weaviate_server.open_store(timeout_s=2.0)
        await store.write([a_document("plan", id="d", acl=an_acl(ENG))])
        await store.change_acl("d", an_acl(SALES))
        under_way = asyncio.gather(
            *(texts(store, a_scope([SALES])) for _ in range(20)), return_exceptions=True
        )
        await asyncio.sleep(0.005)

        with weaviate_server.stopped():
            for outcome in await under_way:
                assert outcome == ["plan"] or isinstance(outcome, StoreUnavailable)
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match="does not answer"):
                    await store.search(PLAN, a_scope([SALES]), top_k=5)
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await store.write([a_document("other")])
            # Were each to wait for its own deadline, it would take two minutes.
            async with asyncio.timeout(60):
                for _ in range(60):
                    with pytest.raises(StoreUnavailable, match="does not answer"):
                        await store.search(PLAN, a_scope([SALES]), top_k=5)

        assert await _soon(lambda: texts(store, a_scope([SALES]))) == ["plan"]
        assert await texts(store, a_scope([ENG])) == []  # what was confirmed has survived
        await store.write([a_document("plan two", acl=an_acl(SALES))])
        assert await texts(store, a_scope([SALES])) == ["plan", "plan two"]
        await store.close()

    async def test_a_server_that_hangs_is_reported_in_time(
        self, weaviate_server: WeaviateServer
    ) -> None:
        store = await weaviate_server.open_store(timeout_s=0.5)
        await store.write([a_document("plan", id="d")])

        with weaviate_server.paused():
            for _ in range(6):
                async with asyncio.timeout(5):
                    with pytest.raises(StoreUnavailable, match=r"took over 0.5 s|does not answer"):
                        await store.search(PLAN, ANYBODY, top_k=5)
                await asyncio.sleep(0.3)

        assert await _soon(lambda: texts(store, ANYBODY)) == ["plan"]
        assert [c.text for c in await store.fetch(["d#0"], ANYBODY)] == ["plan"]
        await store.close()

    async def test_a_closed_store_says_so(self, store: WeaviateStore) -> None:
        await store.close()

        with pytest.raises(StoreUnavailable, match="closed"):
            await store.search(PLAN, ANYBODY, top_k=5)
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.change_acl("d", an_acl())


class _BreaksOff(Exception):
    pass


class TestWritesThatBreakOff:
    """Every write is cut off before each of its requests in turn; then the next sync makes good."""

    BEFORE = a_document("plan a", "plan b", "plan c", id="d", acl=an_acl(ENG, SALES))
    STRANGERS = group_principal("acme", "strangers")

    @pytest.mark.parametrize(
        "after",
        [
            a_document("plan a", "plan B", id="d", acl=an_acl(ENG, STRANGERS)),
            a_document("plan x", "plan y", "plan z", "plan zz", id="d", acl=an_acl(STRANGERS)),
            a_document(
                "plan a", "plan b", "plan c", id="d", acl=an_acl(ENG, SALES, level=Level.SECRET)
            ),
        ],
    )
    async def test_a_replaced_document(
        self, store: WeaviateStore, monkeypatch: pytest.MonkeyPatch, after: IndexedDocument
    ) -> None:
        async def change() -> None:
            await store.write([after])

        await self._break_off_everywhere(store, monkeypatch, change, after)

    @pytest.mark.parametrize("acl", [an_acl(ENG), an_acl(STRANGERS), an_acl(ENG, SALES, STRANGERS)])
    async def test_changed_rights(
        self, store: WeaviateStore, monkeypatch: pytest.MonkeyPatch, acl: Acl
    ) -> None:
        after = a_document("plan a", "plan b", "plan c", id="d", acl=acl)

        async def change() -> None:
            await store.change_acl("d", acl)

        await self._break_off_everywhere(store, monkeypatch, change, after)

    async def test_a_deletion(self, store: WeaviateStore, monkeypatch: pytest.MonkeyPatch) -> None:
        async def change() -> None:
            await store.delete(["d"])

        await self._break_off_everywhere(store, monkeypatch, change, None)

    async def _break_off_everywhere(
        self,
        store: WeaviateStore,
        monkeypatch: pytest.MonkeyPatch,
        change: Callable[[], Awaitable[None]],
        after: IndexedDocument | None,
    ) -> None:
        scopes = [
            AccessScope.of([Reader(frozenset({principal}), clearance)])
            for principal in (ENG, SALES, self.STRANGERS)
            for clearance in (Level.INTERNAL, Level.SECRET)
        ]
        for requests in range(1000):
            await store.delete(["d"])
            await store.write([self.BEFORE])
            await store.write_vectors({f"d#{n}": unit(1, n) for n in range(3)})
            with monkeypatch.context() as patch:
                patch.setattr(Connection, "ask", _ask_only(requests))
                try:
                    await change()
                    is_done = True
                except _BreaksOff:
                    is_done = False

            record = next(iter(await store.documents()), None)
            for scope in scopes:
                allowed = _allowed(self.BEFORE, scope) | _allowed(after, scope)
                assert set(await texts(store, scope)) <= allowed
                assert allowed or not await store.sources(scope)
            if is_done:
                assert record == (after.document if after else None)
                for scope in scopes:
                    assert set(await texts(store, scope)) == _allowed(after, scope)
                return
            # Unless nothing has happened yet, a sync sees that there is something to do.
            visible = [set(await texts(store, scope)) for scope in scopes]
            is_untouched = record == self.BEFORE.document and visible == [
                _allowed(self.BEFORE, scope) for scope in scopes
            ]
            is_known_as_changed = (
                record is None
                or after is None
                or record.content_hash != after.document.content_hash
            )
            assert is_untouched or is_known_as_changed
            if after is not None:
                await store.write([after])
                assert await store.documents() == [after.document]
                for scope in scopes:
                    assert set(await texts(store, scope)) == _allowed(after, scope)
                await self._vectors_agree(store, after, scopes)
        raise AssertionError("it never got to its end")

    async def _vectors_agree(
        self, store: WeaviateStore, after: IndexedDocument, scopes: list[AccessScope]
    ) -> None:
        missing = await store.chunks_without_vector(limit=9)
        await store.write_vectors({chunk.id: unit(1, 1) for chunk in missing})
        for scope in scopes:
            found = await texts(store, scope, SearchQuery((), unit(1, 0), 1.0))
            assert set(found) == _allowed(after, scope)


class TestManyRows:
    async def test_more_chunks_than_the_server_gives_or_deletes_at_once(
        self, store: WeaviateStore
    ) -> None:
        count = MAXIMUM_RESULTS + 100
        await store.write([a_document(*(f"plan {n}" for n in range(count)), id="big")])
        assert await store.counts() == StoreCounts(1, count, count)

        await store.change_acl("big", an_acl(ENG))
        assert await texts(store, ANYBODY) == []
        assert len(await store.fetch([f"big#{n}" for n in range(count)], a_scope([ENG]))) == count

        await store.write([a_document("plan", id="big", acl=an_acl(ENG))])
        assert await store.counts() == StoreCounts(1, 1, 1)
        await store.write([a_document(*(f"plan {n}" for n in range(count)), id="big")])
        assert await store.delete(["big"]) == 1
        assert await store.counts() == StoreCounts(0, 0, 0)
        await store.write([a_document("plan", "plan b", id="small")])
        assert len(await store.chunks_without_vector(limit=1)) == 1
        assert len(await store.chunks_without_vector(limit=9)) == 2
        await store.write_vectors({"small#0": unit(1, 0)})
        assert [c.id for c in await store.chunks_without_vector(limit=1)] == ["small#1"]

    async def test_more_documents_than_the_server_gives_at_once(self, store: WeaviateStore) -> None:
        ids = [f"d{n:05}" for n in range(MAXIMUM_RESULTS + 100)]
        await store.write([a_document("plan", id=id) for id in ids])

        assert [document.id for document in await store.documents()] == ids
        assert await store.delete(ids) == len(ids)

    async def test_more_text_than_one_message_holds(self, store: WeaviateStore) -> None:
        long = "." * 1_000_000
        plans = [f"plan {n} {long}" for n in range(110)]
        await store.write([a_document(*plans, id="d", content_hash="1")])

        assert await store.counts() == StoreCounts(1, 110, 110)
        (found,) = await store.search(SearchQuery(("77",)), ANYBODY, top_k=1)
        assert found.chunk.text == f"plan 77 {long}"


class TestAccess:
    async def test_ids_that_differ_by_a_space_are_different_documents(
        self, store: WeaviateStore
    ) -> None:
        await store.write(
            [a_document(f"plan {id!r}", id=id) for id in ("d", "d ", " d", "D", "d|")]
        )

        await store.delete(["d "])
        await store.change_acl("d", an_acl(ENG))

        assert await texts(store, ANYBODY) == ["plan ' d'", "plan 'D'", "plan 'd|'"]

    @pytest.mark.parametrize("seed", range(3))
    async def test_hundreds_of_groups_and_fifty_readers_see_what_the_rules_allow(
        self, store: WeaviateStore, seed: int
    ) -> None:
        rng = random.Random(seed)
        kinds = ("eng", "eng-eu", "ENG", "工程", "工程部", "eng leads", "eng-leads ")
        groups = [group_principal("a", f"{kind}/{n}") for n in range(60) for kind in kinds]
        corpus = [
            a_document("plan", acl=an_acl(*rng.sample(groups, rng.randint(1, 60)), level=level))
            for level in Level
            for _ in range(FEW_SETS // 3)
        ]
        definition = InMemoryStore()
        for each in (store, definition):
            await each.write(corpus)
            await each.write_vectors(
                {i.chunks[0].id: unit(n + 1, 500) for n, i in enumerate(corpus)}
            )

        for count in (1, 2, 5, 50):
            for held in (1, 40, 200, len(groups)):
                scope = AccessScope.of(
                    _a_reader_of(rng.sample(groups, held), rng) for _ in range(count)
                )
                for query in (PLAN, SearchQuery((), unit(1, 1), 1.0)):
                    expected = await definition.search(query, scope, top_k=1000)
                    found = await store.search(query, scope, top_k=1000)
                    # Of many that tie, others may be among the candidates, but as many.
                    assert len(found) == len(expected)
                    assert all(scope.allows(passage.chunk.acl) for passage in found)
                    if len(expected) < 100 or query is not PLAN:
                        assert {p.chunk.id for p in found} == {p.chunk.id for p in expected}

    async def test_the_filter_alone_is_exact_and_the_check_afterwards_has_nothing_to_do(
        self, store: WeaviateStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = (
            "eng",
            "eng ",
            " eng",
            "ENG",
            "ｅｎｇ",
            "eng-eu",
            "eng|",
            "工程",
            "工程部",
            "éng",
            "e\u0301ng",
        )
        for n, name in enumerate(names):
            await store.write([a_document(f"plan {n}", acl=an_acl(group_principal("a", name)))])

        monkeypatch.setattr(AccessScope, "allows", lambda self, acl: True)

        for n, name in enumerate(names):
            assert await texts(store, a_scope([group_principal("a", name)])) == [f"plan {n}"]


def _a_reader_of(groups: list[Principal], rng: random.Random) -> Reader:
    return a_reader(*groups, clearance=rng.choice([Level.SECRET, Level.SECRET, *Level]))


def _allowed(indexed: IndexedDocument | None, scope: AccessScope) -> set[str]:
    if indexed is None or not scope.allows(indexed.document.acl):
        return set()
    return {chunk.text for chunk in indexed.chunks}


def _ask_only(times: int) -> Any:
    """`Connection.ask`, but the request after the first *times* never happens, nor any other."""
    asked = 0
    original = Connection.ask

    async def ask(self: Connection, *arguments: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked > times:
            raise _BreaksOff
        return await original(self, *arguments, **options)

    return ask


async def _soon(work: Callable[[], Awaitable[list[str]]]) -> list[str]:
    """What comes of *work* once the store has noticed that the server is back."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await work()
            except StoreUnavailable:
                await asyncio.sleep(0.1)
