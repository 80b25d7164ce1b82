"""Moving documents: to another layout or embedder within Weaviate, and into it from a folder, while people search."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from adapters import store_admin
from adapters.settings import (
    ConfigurationError,
    EmbeddingsProvider,
    EmbeddingsSettings,
    Settings,
    WeaviateSettings,
)
from retrieval.access import AccessScope, group_principal
from retrieval.embedded.export import EmbeddedExport
from retrieval.embedded_store import EmbeddedStore
from retrieval.errors import StoreDamaged, StoreError
from retrieval.store import ChunkStore, InMemoryStore, SearchQuery
from retrieval.store_copy import CopyStep, copy_store
from retrieval.types import FloatArray
from retrieval.weaviate.address import Address
from retrieval.weaviate.connection import Connection
from retrieval.weaviate.layout import CURRENT, Kind, Layout, Names
from retrieval.weaviate.migration import MigrationReport, Pace, open_migration
from retrieval.weaviate.row_copy import Upgrade
from retrieval.weaviate.schema import prepare, read_schema
from retrieval.weaviate_store import WeaviateStore
from tests.builders import ENG, SALES, a_document, a_scope, an_acl
from tests.weaviate_server import WeaviateServer, a_tenant

EMBEDDER = "test/1"
ALONE = Pace(settle_s=0.0, grace_s=0.0, stale_s=0.04)
BESIDE_WRITERS = Pace(settle_s=2.5, grace_s=0.3)
PLAN = SearchQuery(("plan",))
BY_MEANING = SearchQuery((), np.array([1, 0], np.float32), 1.0)
AS_ENG, AS_SALES = a_scope([ENG]), a_scope([SALES])
BOTH = a_scope([ENG], [SALES])

OLDER = Layout(
    0,
    {
        kind: tuple(field for field in fields if field.name not in ("origin", "copied_at"))
        for kind, fields in CURRENT.fields.items()
    },
)
"""What might have been before: two properties were not there, and headings were not searched."""


def to_current(kind: Kind, properties: dict[str, Any]) -> dict[str, Any]:
    if kind is Kind.CHUNK:
        properties["tokens"] += " moved"
    return properties


UPGRADES: Mapping[int, Upgrade] = {0: to_current}


def unit(*values: float) -> FloatArray:
    vector = np.array(values, np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


async def found(store: ChunkStore, scope: AccessScope, query: SearchQuery = PLAN) -> dict[str, str]:
    return {p.chunk.id: p.chunk.text for p in await store.search(query, scope, top_k=100)}


@pytest.fixture
def prefix() -> str:
    """Collections that no other test sees."""
    return f"Move{uuid.uuid4().hex[:10]}"


class World:
    """One server's collections under one prefix, with processes of the old and the new version."""

    def __init__(self, server: WeaviateServer, prefix: str, stack: AsyncExitStack) -> None:
        self.server = server
        self.prefix = prefix
        self._stack = stack

    async def old(self, tenant: str, embedder_name: str | None = EMBEDDER) -> WeaviateStore:
        names = Names(self.prefix, OLDER)
        connection = await self.connection(tenant)
        await prepare(connection, names, tenant=tenant, embedder_name=embedder_name, replicas=1)
        return WeaviateStore(connection, names, tenant=tenant, embedder_name=embedder_name)

    async def new(self, tenant: str, embedder_name: str | None = EMBEDDER) -> WeaviateStore:
        store = await self.server.open_store(
            tenant=tenant, embedder_name=embedder_name, name_prefix=self.prefix
        )
        self._stack.push_async_callback(store.close)
        return store

    async def connection(self, tenant: str) -> Connection:
        address = Address.parse(self.server.url, self.server.grpc_url)
        connection = Connection(address, api_key=self.server.api_key, tenant=tenant, timeout_s=20)
        await connection.open()
        self._stack.push_async_callback(connection.close)
        return connection

    async def migrate(
        self, pace: Pace = ALONE, *, upgrades: Mapping[int, Upgrade] = UPGRADES
    ) -> MigrationReport:
        async with open_migration(
            url=self.server.url,
            grpc_url=self.server.grpc_url,
            api_key=self.server.api_key,
            name_prefix=self.prefix,
            pace=pace,
            upgrades=upgrades,
        ) as migration:
            return await migration.run(on_progress=lambda *_: None)

    async def collections(self) -> set[str]:
        live = await read_schema(await self.connection("any"))
        return {
            name.removeprefix(self.prefix)
            for name in live.collections
            if name.startswith(self.prefix)
        }


@pytest.fixture
async def world(weaviate_server: WeaviateServer, prefix: str) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield World(weaviate_server, prefix, stack)


class TestAnotherLayout:
    async def test_rows_move_while_people_search_and_rights_shrink(self, world: World) -> None:
        tenant = a_tenant()
        writer, reader = await world.old(tenant), await world.old(tenant)
        mirror = InMemoryStore()
        corpus = [
            a_document(f"plan {n}", f"more {n}", id=f"d{n}", acl=an_acl(ENG, SALES))
            for n in range(45)
        ]
        for store in (writer, mirror):
            await store.write(corpus)
            await store.write_vectors(
                {c.id: unit(n + 1, 50) for n, i in enumerate(corpus) for c in i.chunks}
            )
        gone_for_sales: set[str] = set()
        gone: set[str] = set()
        is_over = asyncio.Event()
        searches = itertools.count()

        async def search() -> None:
            for query, scope in itertools.cycle(
                itertools.product((PLAN, BY_MEANING), (AS_ENG, AS_SALES, BOTH))
            ):
                hidden = gone | (set() if scope == AS_ENG else gone_for_sales)
                hits = {i.partition("#")[0] for i in await found(reader, scope, query)}
                assert not hits & hidden
                if scope == AS_ENG:
                    assert hits >= {i.document.id for i in corpus[30:]}
                next(searches)
                if is_over.is_set():
                    return

        async def change_one(store: ChunkStore, n: int) -> None:
            which, step = divmod(n, 3)
            if step == 0:
                await store.change_acl(f"d{which}", an_acl(ENG))
            elif step == 1:
                await store.delete([f"d{29 - which}"])
            else:
                await store.write([a_document(f"plan new {n}", id=f"n{n}", acl=an_acl(SALES))])

        async def change() -> tuple[int, str]:
            """Until the new version has taken over; which change was refused then, and in which words."""
            for n in itertools.count():
                which, step = divmod(n, 3)
                try:
                    await change_one(writer, n)
                except StoreError as refusal:
                    return n, str(refusal)
                await change_one(mirror, n)
                if step == 0:
                    gone_for_sales.add(f"d{which}")
                elif step == 1:
                    gone.add(f"d{29 - which}")
                # Not all thirty documents that change at all before the switch.
                await asyncio.sleep(0.01 if which < 8 else 0.2)
            raise AssertionError

        searching, changing = asyncio.create_task(search()), asyncio.create_task(change())
        await asyncio.sleep(0.1)
        report = await world.migrate(BESIDE_WRITERS)
        refused, refusal = await changing
        await asyncio.sleep(0.1)
        is_over.set()
        await searching

        assert next(searches) > 20
        assert "replace it by the newer one" in refusal
        assert report.tenants == 1
        assert set(report.dropped) >= {f"{world.prefix}Chunk_v0"}
        assert not {
            name for name in await world.collections() if "_v0" in name or "Migration" in name
        }
        assert len(gone) > 3
        assert len(gone_for_sales) > 3
        new = await world.new(tenant)
        # That change may have been broken off half way; as a sync would, we make it good.
        for store in (new, mirror):
            await change_one(store, refused)
            if refused % 3 == 0:
                n = refused // 3
                whole = a_document(f"plan {n}", f"more {n}", id=f"d{n}", acl=an_acl(ENG))
                await store.write([whole])
        assert await new.documents() == await mirror.documents()
        assert await new.counts() == await mirror.counts()
        for scope in (AS_ENG, AS_SALES, BOTH):
            for query in (PLAN, BY_MEANING):
                assert await found(new, scope, query) == await found(mirror, scope, query)
        # All that was moved went through the upgrade; what was written after it did not have to.
        moved = (await found(new, AS_ENG, SearchQuery(("moved",)))).keys()
        after = {f"d{refused // 3}", f"d{29 - refused // 3}", f"n{refused}"}
        everything = await found(mirror, AS_ENG, SearchQuery(("plan", "more")))
        assert moved >= {i for i in everything if i.partition("#")[0] not in after}
        # The process of the version before still finds, the new one changes.
        await new.change_acl("d40", an_acl(SALES))
        assert "d40#0" not in await found(reader, AS_ENG)
        assert "d40#0" in await found(reader, AS_SALES, BY_MEANING)

    async def test_broken_off_anywhere_the_next_run_goes_on(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tenant = a_tenant()
        old, mirror = await world.old(tenant), InMemoryStore()
        corpus = [a_document(f"plan {n}", id=f"d{n}", acl=an_acl(ENG, SALES)) for n in range(12)]
        for store in (old, mirror):
            await store.write(corpus)
            await store.write_vectors({f"d{n}#0": unit(n + 1, 20) for n in range(12)})
        shrunk = 0

        for requests in range(1, 1000, 5):
            with monkeypatch.context() as patch:
                _break_off_after(patch, requests)
                try:
                    await world.migrate()
                    break
                except BaseException as error:
                    _raise_unless_broken_off(error)
            for query in (PLAN, BY_MEANING):
                assert await found(old, AS_SALES, query) == await found(mirror, AS_SALES, query)
            live = await read_schema(await world.connection(tenant))
            is_open = f"{world.prefix}Closed" not in live.aliases
            if is_open and live.aliases[f"{world.prefix}Chunk"].endswith("_v0") and shrunk < 10:
                await old.change_acl(f"d{shrunk}", an_acl(ENG))
                await mirror.change_acl(f"d{shrunk}", an_acl(ENG))
                shrunk += 1

        assert requests > 20, requests
        assert shrunk > 3
        new = await world.new(tenant)
        assert await new.documents() == await mirror.documents()
        assert await new.counts() == await mirror.counts()
        for query in (PLAN, BY_MEANING):
            assert await found(new, AS_SALES, query) == await found(mirror, AS_SALES, query)
        assert (await world.migrate()).is_empty
        assert not {n for n in await world.collections() if "_v0" in n or "Migration" in n}

    async def test_a_new_process_names_the_command_which_moves_all_tenants(
        self, world: World
    ) -> None:
        one, other = a_tenant(), a_tenant()
        for tenant in (one, other):
            await (await world.old(tenant)).write([a_document(f"plan of {tenant}", id="d")])
        with pytest.raises(StoreDamaged, match="run `shifu store migrate`"):
            await world.new(one)
        with pytest.raises(StoreDamaged, match="knows no way"):
            await world.migrate(upgrades={})

        report = await world.migrate()

        assert report.tenants == 2
        for tenant in (one, other):
            texts = await found(await world.new(tenant), a_scope([]))
            assert texts == {"d#0": f"plan of {tenant}"}
        with pytest.raises(StoreDamaged, match="newer Shifu"):
            await world.old(one)

    async def test_what_is_current_is_left_as_it_is(self, world: World) -> None:
        await world.new(a_tenant())
        before = await world.collections()

        report = await world.migrate()

        assert report.is_empty
        assert await world.collections() == before

    async def test_what_is_not_as_it_must_be_is_built_anew(self, world: World) -> None:
        tenant = a_tenant()
        names = Names(world.prefix, Layout(CURRENT.version, OLDER.fields))
        connection = await world.connection(tenant)
        await prepare(connection, names, tenant=tenant, embedder_name=EMBEDDER, replicas=1)
        store = WeaviateStore(connection, names, tenant=tenant, embedder_name=EMBEDDER)
        await store.write([a_document("plan", id="d", acl=an_acl(ENG))])
        await store.write_vectors({"d#0": unit(1, 0)})
        with pytest.raises(StoreDamaged, match=r"copied_at is missing.*shifu store migrate"):
            await world.new(tenant)

        await world.migrate()

        new = await world.new(tenant)
        for each in (store, new):
            assert await found(each, AS_ENG, BY_MEANING) == {"d#0": "plan"}
            assert await found(each, AS_SALES) == {}
        # The old process, whose layout has the same version, follows with its writes too.
        await store.change_acl("d", an_acl(SALES))
        assert await found(new, AS_SALES, BY_MEANING) == {"d#0": "plan"}

    async def test_one_migration_at_a_time(self, world: World) -> None:
        await world.old(a_tenant())

        outcomes = await asyncio.gather(
            world.migrate(BESIDE_WRITERS), world.migrate(BESIDE_WRITERS), return_exceptions=True
        )

        (refused,) = [o for o in outcomes if isinstance(o, StoreError)]
        assert "another `shifu store migrate`" in str(refused)
        (done,) = [o for o in outcomes if isinstance(o, MigrationReport)]
        assert not done.is_empty

    async def test_writers_wait_while_it_is_closed_and_searches_do_not(self, world: World) -> None:
        store = await world.new(a_tenant())
        await store.write([a_document("plan", id="d", acl=an_acl(ENG))])
        await asyncio.sleep(1.1)

        await _close(world)
        writing = asyncio.create_task(store.change_acl("d", an_acl(SALES)))
        await asyncio.sleep(0.7)

        assert not writing.done()
        assert await found(store, AS_ENG) == {"d#0": "plan"}
        # Such as a killed migration leaves it; the next one opens it again.
        await world.migrate()
        await writing
        assert await found(store, AS_SALES) == {"d#0": "plan"}


class TestAnotherEmbedder:
    async def test_old_vectors_go_for_one_tenant_alone(self, world: World) -> None:
        one, other = a_tenant(), a_tenant()
        for tenant in (one, other):
            store = await world.new(tenant, "old/1")
            await store.write([a_document("plan", id="d", acl=an_acl(ENG))])
            await store.write_vectors({"d#0": unit(1, 0)})
        new = await world.new(one, "new/2")
        await new.write_vectors({"d#0": unit(1, 0, 0)})
        (space,) = await new.other_vectors()
        assert space.embedder_name == "old/1"

        await new.drop_vectors(space, on_rows=lambda _: None)

        assert await new.other_vectors() == []
        assert (await new.counts()).chunks_without_vector == 0
        # It has just looked which vectors there are, and goes on without those that are gone.
        await new.change_acl("d", an_acl(SALES))
        query = SearchQuery((), unit(1, 0, 0), 1.0)
        assert await found(new, AS_SALES, query) == {"d#0": "plan"}
        assert await found(await world.new(other, "old/1"), AS_ENG, BY_MEANING) == {"d#0": "plan"}
        # Who comes back to the old embedder computes anew, and does not believe in what is gone.
        assert (await (await world.new(one, "old/1")).counts()).chunks_without_vector == 1

    async def test_the_last_tenant_takes_the_collection_with_it(self, world: World) -> None:
        tenant = a_tenant()
        await world.new(tenant, "old/1")
        new = await world.new(tenant, "new/2")
        (space,) = await new.other_vectors()

        await new.drop_vectors(space, on_rows=lambda _: None)

        assert len([n for n in await world.collections() if n.startswith("Vector")]) == 1

    async def test_the_command_computes_what_is_missing_and_drops_when_told(
        self, weaviate_server: WeaviateServer, tmp_path: Path
    ) -> None:
        settings = _settings(weaviate_server, tmp_path, EmbeddingsProvider.LOCAL)
        old = await weaviate_server.open_store(
            tenant=settings.tenant, embedder_name="old/1", name_prefix="Shifu"
        )
        await old.write([a_document("plan", id="d", acl=an_acl(ENG))])
        await old.write_vectors({"d#0": unit(1, 0)})

        first = await store_admin.migrate(settings, on_step=_quietly)
        by_meaning = await found(old, AS_ENG, BY_MEANING)
        dropped = await store_admin.drop_other_vectors(settings, on_step=_quietly)
        second = await store_admin.migrate(settings, on_step=_quietly)

        assert first.vectors_computed == 1
        assert first.other_vectors == ("old/1",)
        assert by_meaning == {"d#0": "plan"}
        assert dropped == ["old/1"]
        assert second.other_vectors == ()
        assert second.summary.startswith("nothing to do")
        await old.close()


class TestFromAFolder:
    @pytest.fixture
    async def folder(self, tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
        store = await EmbeddedStore.open(tmp_path / "store", embedder_name=EMBEDDER)
        yield store
        await store.close()

    @pytest.fixture
    async def export(self, folder: EmbeddedStore, tmp_path: Path) -> AsyncIterator[EmbeddedExport]:
        export = await EmbeddedExport.open(tmp_path / "store")
        yield export
        await export.close()

    @pytest.fixture
    async def store(self, weaviate_server: WeaviateServer) -> AsyncIterator[WeaviateStore]:
        store = await weaviate_server.open_store(embedder_name=EMBEDDER)
        yield store
        await store.close()

    async def test_everything_arrives_and_nothing_is_computed(
        self, folder: EmbeddedStore, export: EmbeddedExport, store: WeaviateStore
    ) -> None:
        corpus = [
            a_document(f"plan {n}", f"more {n}", id=f"d{n}", acl=an_acl(*acl))
            for n, acl in enumerate([[ENG], [SALES], [ENG, SALES]] * 10)
        ]
        await folder.write(corpus)
        vectors = {c.id: unit(n + 1, 20) for n, i in enumerate(corpus) for c in i.chunks}
        sentences = {i: np.stack([v, unit(1, 1)]) for i, v in vectors.items()}
        await folder.write_vectors(vectors, sentences=sentences)

        report = await copy_store(export, store, with_vectors=True, on_progress=_unseen)

        assert (report.copied, report.chunks, report.vectors) == (30, 60, 60)
        assert await store.documents() == await folder.documents()
        assert await store.counts() == await folder.counts()
        query = SearchQuery(("plan",), unit(1, 0), 0.5)
        for scope in (AS_ENG, AS_SALES, BOTH):
            ours = await store.search(query, scope, top_k=9)
            theirs = await folder.search(query, scope, top_k=9)
            assert [p.chunk for p in ours] == [p.chunk for p in theirs]
            for one, other in zip(ours, theirs, strict=True):
                assert one.similarity == pytest.approx(other.similarity, abs=1e-3)
                assert one.sentence_similarity == pytest.approx(other.sentence_similarity, abs=1e-6)
        again = await copy_store(export, store, with_vectors=True, on_progress=_unseen)
        assert (again.copied, again.unchanged, again.vectors) == (0, 30, 0)

    async def test_broken_off_anywhere_it_goes_on_and_withdraws_rights_first(
        self,
        folder: EmbeddedStore,
        export: EmbeddedExport,
        store: WeaviateStore,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await folder.write(
            [a_document("plan", id=id, acl=an_acl(ENG, SALES)) for id in ("a", "b", "c", "e")]
        )
        await copy_store(export, store, with_vectors=True, on_progress=_unseen)
        await folder.change_acl("a", an_acl(ENG))
        await folder.delete(["b"])
        await folder.write(
            [
                a_document("plan changed", id="c", acl=an_acl(ENG)),
                a_document("plan added", id="n", acl=an_acl(SALES)),
            ]
        )
        await folder.change_acl("e", an_acl(ENG, SALES, group_principal("acme", "more")))
        await folder.write_vectors({f"{i}#0": unit(1, 1) for i in "acen"})

        for requests in range(1, 1000):
            with monkeypatch.context() as patch:
                _break_off_after(patch, requests)
                try:
                    await copy_store(export, store, with_vectors=True, on_progress=_unseen)
                    break
                except BaseException as error:
                    _raise_unless_broken_off(error)
            visible = await found(store, AS_SALES)
            if "n#0" in visible:
                assert not visible.keys() & {"a#0", "b#0", "c#0"}

        assert requests > 10
        assert await store.documents() == await folder.documents()
        assert await store.counts() == await folder.counts()
        for scope in (AS_ENG, AS_SALES, BOTH):
            assert await found(store, scope) == await found(folder, scope)
            assert await found(store, scope, BY_MEANING) == await found(folder, scope, BY_MEANING)

    async def test_what_others_have_written_is_left_as_it_is(
        self, folder: EmbeddedStore, export: EmbeddedExport, store: WeaviateStore
    ) -> None:
        await folder.write([a_document("plan", id=id, acl=an_acl(ENG, SALES)) for id in "abc"])
        await copy_store(export, store, with_vectors=False, on_progress=_unseen)
        await store.write([a_document("plan", id="z", acl=an_acl(ENG))])
        await store.change_acl("a", an_acl(ENG))
        await store.delete(["b"])
        await store.write([a_document("plan newer", id="c", acl=an_acl(ENG))])

        report = await copy_store(export, store, with_vectors=False, on_progress=_unseen)

        assert report.left_alone == ("a", "c")
        # What is not there is not known to have been deleted by somebody.
        assert await found(store, AS_SALES) == {"b#0": "plan"}
        assert (await found(store, AS_ENG)).keys() == {"a#0", "b#0", "c#0", "z#0"}

    async def test_the_command_goes_on_after_it_was_stopped(
        self, weaviate_server: WeaviateServer, folder: EmbeddedStore, tmp_path: Path
    ) -> None:
        await folder.write(
            [a_document(f"plan {n}", id=f"d{n}", acl=an_acl(ENG)) for n in range(600)]
        )
        settings = _settings(weaviate_server, tmp_path, EmbeddingsProvider.NONE)
        environment = {
            **os.environ,
            "SHIFU_HOME": str(tmp_path / "home"),
            "SHIFU_TENANT": settings.tenant,
            "SHIFU_EMBEDDINGS__PROVIDER": "none",
            "SHIFU_WEAVIATE__URL": weaviate_server.url,
            "SHIFU_WEAVIATE__GRPC_URL": weaviate_server.grpc_url,
            "SHIFU_WEAVIATE__API_KEY": weaviate_server.api_key or "",
        }
        command: list[str | Path] = [
            Path(sys.executable).with_name("shifu"),
            *("store", "copy", "--json", "--from", tmp_path / "store"),
        ]
        store = await weaviate_server.open_store(
            tenant=settings.tenant, embedder_name=None, name_prefix="Shifu"
        )

        first = subprocess.Popen(  # noqa: ASYNC220 - a child to be stopped, not waited for
            command, env=environment, stderr=subprocess.PIPE
        )
        while (await store.counts()).documents < 200:
            assert first.poll() is None
            await asyncio.sleep(0.02)
        first.send_signal(signal.SIGTERM)
        said = (await asyncio.to_thread(first.communicate))[1]
        copied_before = (await store.counts()).documents
        second = await asyncio.to_thread(
            lambda: subprocess.run(command, env=environment, capture_output=True, check=True)
        )

        assert first.returncode == 130, said
        assert b"the same command goes on" in said
        assert copied_before < 600
        result = json.loads(second.stdout)
        assert result["unchanged"] > 0
        assert result["copied"] + result["unchanged"] == 600
        assert (await store.counts()).documents == 600
        await store.close()

    async def test_without_weaviate_or_a_folder_it_says_so(
        self, weaviate_server: WeaviateServer, tmp_path: Path
    ) -> None:
        settings = _settings(weaviate_server, tmp_path, EmbeddingsProvider.NONE)

        with pytest.raises(ConfigurationError, match="SHIFU_WEAVIATE__URL"):
            await store_admin.copy(Settings(home=tmp_path), None, on_step=_quietly)
        with pytest.raises(StoreError, match="there are no documents there"):
            await store_admin.copy(settings, None, on_step=_quietly)


class _BreaksOff(BaseException):
    """As a kill: nothing that the process would do about it is done."""


def _break_off_after(patch: pytest.MonkeyPatch, requests: int) -> None:
    left = requests

    def limited(original: Any) -> Any:
        async def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise _BreaksOff
            return await original(*arguments, **options)

        return call

    for name in ("ask", "administer"):
        patch.setattr(Connection, name, limited(getattr(Connection, name)))


def _raise_unless_broken_off(error: BaseException) -> None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, _BreaksOff):
        raise error


async def _close(world: World) -> None:
    connection = await world.connection("any")
    await connection.administer(
        lambda client: client.alias.create(
            alias_name=f"{world.prefix}Closed", target_collection=f"{world.prefix}Chunk_v1"
        ),
        "closing",
    )


def _settings(server: WeaviateServer, folder: Path, provider: EmbeddingsProvider) -> Settings:
    return Settings(
        home=folder / "home",
        tenant=a_tenant(),
        embeddings=EmbeddingsSettings(provider=provider),
        weaviate=WeaviateSettings(
            url=server.url, grpc_url=server.grpc_url, api_key=SecretStr(server.api_key or "")
        ),
    )


def _quietly(step: str, done: int, total: int) -> None:
    """As `OnStep`."""


def _unseen(step: CopyStep, done: int, total: int) -> None:
    """As `OnCopyProgress`."""
