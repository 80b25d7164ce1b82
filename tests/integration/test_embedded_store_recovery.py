"""The embedded store after a kill, a damaged disk, and beside other processes."""

import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from retrieval.analysis import query_tokens
from retrieval.embedded import database as database_module
from retrieval.embedded_store import EmbeddedStore
from retrieval.errors import StoreDamaged, StoreError, StoreUnavailable
from retrieval.store import SearchQuery, StoreCounts
from tests.builders import ENG, SALES, a_document, a_scope, an_acl
from tests.integration.embedded_child import CHUNKS, a_version

ROOT = Path(__file__).parents[2]
HALF = np.full(4, 0.5, np.float32)


@asynccontextmanager
async def opened(folder: Path, embedder_name: str | None = "test") -> AsyncIterator[EmbeddedStore]:
    store = await EmbeddedStore.open(folder, embedder_name=embedder_name)
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def a_child(command: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.embedded_child", command, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


async def found(store: EmbeddedStore, text: str, vector: bool = False) -> list[str]:
    query = SearchQuery(tuple(query_tokens(text)), HALF if vector else None, 0.5)
    return sorted(p.chunk.id for p in await store.search(query, a_scope([ENG]), top_k=50))


def assert_rows_are_whole(folder: Path) -> None:
    connection = sqlite3.connect(folder / "store.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        pieces = connection.execute(
            "SELECT count(*), count(DISTINCT substr(c.text, 1, instr(c.text, 'piece')))"
            " FROM chunks c GROUP BY c.document"
        ).fetchall()
        assert set(pieces) <= {(CHUNKS, 1)}
    finally:
        connection.close()


async def test_after_kills_in_the_middle_of_writes_everything_confirmed_is_there_and_whole(
    tmp_path: Path,
) -> None:
    rng = random.Random(5)
    confirmed: dict[int, int] = {}

    for _ in range(6):
        with a_child("write", tmp_path) as child:
            assert child.stdout is not None
            for _ in range(rng.randint(1, 12)):
                said = json.loads(child.stdout.readline())
                confirmed[said["number"]] = said.get("version", 2)
                confirmed.pop(said.get("deleted"), None)
            await asyncio.sleep(rng.random() * 0.1)
            child.send_signal(signal.SIGKILL)
            child.wait()

        async with opened(tmp_path) as store:
            assert_rows_are_whole(tmp_path)
            documents = await store.documents()
            versions = {document.id: int(document.content_hash) for document in documents}
            for number, version in confirmed.items():
                assert versions[f"document{number}"] >= version
            for document in documents:
                chunk_ids = [f"{document.id}#{n}" for n in range(CHUNKS)]
                version_word = f"version{document.content_hash}"
                text = document.id.replace("document", "text")
                assert await found(store, text) == chunk_ids
                assert set(chunk_ids) <= set(await found(store, f"{text} {version_word}"))
            await assert_index_equals_rows(tmp_path, store)


async def assert_index_equals_rows(folder: Path, store: EmbeddedStore) -> None:
    """As many entries as rows; that each row is found is asserted by searching for it."""
    import tantivy

    searcher = tantivy.Index.open(str(folder / "index")).searcher()
    counts = await store.counts()
    assert searcher.num_docs == counts.chunks + 1  # the marker


def _remove_all(index: Path) -> None:
    shutil.rmtree(index)


def _empty_meta(index: Path) -> None:
    (index / "meta.json").write_text("")


def _remove_meta(index: Path) -> None:
    (index / "meta.json").unlink()


def _remove_a_segment_file(index: Path) -> None:
    next(index.glob("*.term")).unlink()


def _truncate_segments(index: Path) -> None:
    for file in index.glob("*.*"):
        os.truncate(file, file.stat().st_size // 2)


def _overwrite_everything(index: Path) -> None:
    for file in index.iterdir():
        file.write_bytes(random.Random(1).randbytes(file.stat().st_size))


DAMAGES = [
    _remove_all,
    _empty_meta,
    _remove_meta,
    _remove_a_segment_file,
    _truncate_segments,
    _overwrite_everything,
]


class TestLostIndex:
    @pytest.mark.parametrize("damage", DAMAGES)
    async def test_it_is_built_anew_when_the_store_opens(
        self, tmp_path: Path, damage: Callable[[Path], None]
    ) -> None:
        async with opened(tmp_path) as store:
            await store.write([a_version(n, 1) for n in range(20)])

        damage(tmp_path / "index")

        async with opened(tmp_path) as store:
            assert await found(store, "text7") == [f"document7#{n}" for n in range(CHUNKS)]
            await store.write([a_version(7, 2)])
            assert len(await found(store, "version2")) == CHUNKS
            await assert_index_equals_rows(tmp_path, store)

    @pytest.mark.parametrize("damage", [_remove_all, _empty_meta, _remove_a_segment_file])
    async def test_a_running_store_goes_on_and_the_next_one_builds_it_anew(
        self, tmp_path: Path, damage: Callable[[Path], None]
    ) -> None:
        async with opened(tmp_path) as store:
            await store.write([a_version(n, 1) for n in range(20)])

            damage(tmp_path / "index")
            await store.write([a_version(20, 1)])

            assert len(await found(store, "text20")) == len(await found(store, "text7")) == CHUNKS

        async with opened(tmp_path) as store:
            assert len(await found(store, "text20")) == len(await found(store, "text7")) == CHUNKS
            await assert_index_equals_rows(tmp_path, store)

    async def test_a_file_of_somebody_else_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "index").write_text("mine")

        with pytest.raises(StoreUnavailable, match="cannot be written"):
            await EmbeddedStore.open(tmp_path, embedder_name=None)

        assert (tmp_path / "index").read_text() == "mine"

    async def test_an_index_of_another_store_is_not_used(self, tmp_path: Path) -> None:
        for name, text in (("one", "alpha"), ("two", "beta")):
            async with opened(tmp_path / name) as store:
                await store.write([a_document(text, id=name, acl=an_acl(ENG))])
        shutil.rmtree(tmp_path / "one/index")
        shutil.copytree(tmp_path / "two/index", tmp_path / "one/index")

        async with opened(tmp_path / "one") as store:
            assert await found(store, "alpha beta") == ["one#0"]

    async def test_an_index_ahead_of_a_database_that_was_put_back_is_not_used(
        self, tmp_path: Path
    ) -> None:
        async with opened(tmp_path) as store:
            await store.write([a_document("alpha", id="a", acl=an_acl(ENG))])
        shutil.copy(tmp_path / "store.db", tmp_path / "backup.db")
        async with opened(tmp_path) as store:
            await store.delete(["a"])
            await store.write([a_document("beta", id="b", acl=an_acl(ENG))])
        shutil.copy(tmp_path / "backup.db", tmp_path / "store.db")

        async with opened(tmp_path) as store:
            assert await found(store, "alpha beta") == ["a#0"]

    async def test_whoever_is_behind_the_change_log_starts_anew(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("retrieval.embedded.changes.KEPT_CHANGES", 10)
        async with opened(tmp_path) as behind, opened(tmp_path) as store:
            await store.write([a_version(0, 1)])
            await store.write_vectors({"document0#0": HALF})
            assert await found(behind, "text0", vector=True)

            for number in range(1, 8):
                await store.write([a_version(number, 1)])
                await store.write_vectors({f"document{number}#{n}": HALF for n in range(CHUNKS)})
            await store.delete(["document0"])

            for one in (behind, store):
                assert len(await found(one, "text1 text7", vector=True)) == 7 * CHUNKS
                assert await found(one, "text0") == []


class TestStaleIndex:
    async def test_a_revoked_right_holds_although_the_index_is_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with opened(tmp_path) as store:
            await store.write(
                [
                    a_document(*["plan plan"] * 150, id="a", acl=an_acl(ENG)),
                    a_document("the plan of somebody else", id="b", acl=an_acl(ENG)),
                ]
            )
            # What a process sees that was killed between the commit and the index.
            monkeypatch.setattr(store._index, "catch_up", lambda **_: None)

            await store.change_acl("a", an_acl(SALES))

            # The first hundred hits are all stale: more are asked for.
            assert await found(store, "plan") == ["b#0"]


class TestSeveralProcesses:
    async def test_a_reader_sees_at_once_what_a_writer_did(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            with a_child("serve", tmp_path) as child:
                assert _line(child) == "ready"

                await store.write([a_document("plan", id="a", acl=an_acl(ENG))])
                assert _ask(child, "words plan") == ["a#0"]
                await store.write_vectors({"a#0": HALF})
                assert _ask(child, "vector other") == ["a#0"]
                await store.change_acl("a", an_acl(SALES))
                assert _ask(child, "vector plan") == []
                await store.change_acl("a", an_acl(SALES, ENG))
                assert _ask(child, "vector plan") == _ask(child, "words plan") == ["a#0"]
                await store.delete(["a"])
                assert _ask(child, "vector plan") == []

    async def test_two_writers_take_turns(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            with a_child("serve", tmp_path) as child:
                assert _line(child) == "ready"

                async def write_here() -> None:
                    for n in range(15):
                        await store.write(
                            [a_document(f"plan here{n}", id=f"here{n}", acl=an_acl(ENG))]
                        )

                def write_there() -> None:
                    for n in range(15):
                        _ask(child, f"write there{n} plan")

                await asyncio.gather(write_here(), asyncio.to_thread(write_there))

                assert len(await found(store, "plan")) == len(_ask(child, "words plan")) == 30
                await assert_index_equals_rows(tmp_path, store)

    async def test_several_processes_can_make_the_same_store(self, tmp_path: Path) -> None:
        stores = await asyncio.gather(
            *(EmbeddedStore.open(tmp_path / "new", embedder_name="test") for _ in range(6))
        )

        await stores[0].write([a_document("plan", id="a", acl=an_acl(ENG))])

        for store in stores:
            assert await found(store, "plan") == ["a#0"]
            await store.close()

    async def test_searches_go_on_while_another_process_writes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.1)
        async with opened(tmp_path) as store:
            await store.write([a_document("plan", id="a", acl=an_acl(ENG))])
            other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")

            assert await found(store, "plan") == ["a#0"]
            with pytest.raises(StoreUnavailable, match="locked"):
                await store.delete(["a"])

            other.execute("ROLLBACK")
            other.close()
            assert await store.delete(["a"]) == 1

    async def test_many_searches_and_writes_at_once(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.write([a_version(n, 1) for n in range(20)])
            await store.write_vectors({f"document{n}#0": HALF for n in range(20)})

            async def read(n: int) -> None:
                assert set(await found(store, f"text{n % 20}", vector=True)) >= {
                    f"document{n % 20}#{i}" for i in range(1, CHUNKS)
                }

            async def rewrite(n: int) -> None:
                await store.change_acl(f"document{n % 20}", an_acl(ENG, SALES))

            await asyncio.gather(*(read(n) for n in range(100)), *(rewrite(n) for n in range(20)))


class TestEmbedder:
    async def test_vectors_of_another_embedder_are_dropped_not_mixed(self, tmp_path: Path) -> None:
        async with opened(tmp_path, "first") as store:
            await store.write([a_document("plan", id="a", acl=an_acl(ENG))])
            await store.write_vectors({"a#0": HALF})

        async with opened(tmp_path, "second") as store:
            assert await store.counts() == StoreCounts(1, 1, chunks_without_vector=1)
            await store.write_vectors({"a#0": np.array([0.6, 0.8], np.float32)})

        async with opened(tmp_path, "second") as store:
            assert await store.counts() == StoreCounts(1, 1, chunks_without_vector=0)

    async def test_who_still_has_the_old_embedder_searches_by_words_and_writes_no_vectors(
        self, tmp_path: Path
    ) -> None:
        async with opened(tmp_path, "first") as old:
            await old.write([a_document("plan", id="a", acl=an_acl(ENG))])
            await old.write_vectors({"a#0": HALF})
            assert await found(old, "other", vector=True) == ["a#0"]

            async with opened(tmp_path, "second") as new:
                await new.write_vectors({"a#0": HALF})

                assert await found(old, "plan", vector=True) == ["a#0"]
                assert await found(old, "other", vector=True) == []
                with pytest.raises(StoreError, match="second"):
                    await old.write_vectors({"a#0": HALF})

    async def test_opening_without_a_name_keeps_the_vectors(self, tmp_path: Path) -> None:
        async with opened(tmp_path, "first") as store:
            await store.write([a_document("plan", id="a", acl=an_acl(ENG))])
            await store.write_vectors({"a#0": HALF})

        async with opened(tmp_path, None) as store:
            assert await found(store, "other", vector=True) == ["a#0"]
            assert await store.counts() == StoreCounts(1, 1, chunks_without_vector=0)


class TestDamagedDatabase:
    @pytest.fixture
    async def folder(self, tmp_path: Path) -> Path:
        async with opened(tmp_path) as store:
            await store.write([a_version(n, 1) for n in range(60)])
        return tmp_path

    @pytest.mark.parametrize("start", [0, 20, 100])
    async def test_a_garbled_file_is_reported_with_a_remedy_and_left_alone(
        self, folder: Path, start: int
    ) -> None:
        file = folder / "store.db"
        garbled = file.read_bytes()[:start] + random.Random(1).randbytes(20_000)
        file.write_bytes(garbled)

        with pytest.raises(StoreDamaged, match="backup"):
            await EmbeddedStore.open(folder, embedder_name="test")

        assert file.read_bytes() == garbled

    async def test_a_garbled_page_is_reported_when_it_is_read(self, folder: Path) -> None:
        file = folder / "store.db"
        content = bytearray(file.read_bytes())
        for page in range(4096, len(content), 4096):
            content[page : page + 64] = random.Random(page).randbytes(64)
        file.write_bytes(content)

        with pytest.raises(StoreDamaged, match="backup"):
            async with opened(folder) as store:
                await store.documents()

        assert file.stat().st_size == len(content)

    async def test_a_truncated_file_is_reported(self, folder: Path) -> None:
        os.truncate(folder / "store.db", 10_000)

        with pytest.raises(StoreDamaged, match="backup"):
            async with opened(folder) as store:
                await store.documents()

    async def test_unreadable_rows_are_reported(self, folder: Path) -> None:
        with sqlite3.connect(folder / "store.db") as connection:
            connection.execute("UPDATE acl_sets SET principals = '{'")

        async with opened(folder) as store:
            with pytest.raises(StoreDamaged, match="access list"):
                await found(store, "text1")

    async def test_a_lost_table_is_reported(self, folder: Path) -> None:
        with sqlite3.connect(folder / "store.db") as connection:
            connection.execute("DROP TABLE vectors")

        async with opened(folder) as store:
            with pytest.raises(StoreDamaged, match="backup"):
                await store.counts()

    async def test_a_database_of_something_else_is_not_touched(self, tmp_path: Path) -> None:
        with sqlite3.connect(tmp_path / "store.db") as connection:
            connection.execute("CREATE TABLE theirs(x)")

        with pytest.raises(StoreDamaged, match="not a Shifu store"):
            await EmbeddedStore.open(tmp_path, embedder_name=None)

    async def test_a_newer_store_is_not_touched(self, folder: Path) -> None:
        with sqlite3.connect(folder / "store.db") as connection:
            connection.execute("PRAGMA user_version = 99")

        with pytest.raises(StoreDamaged, match="newer"):
            await EmbeddedStore.open(folder, embedder_name=None)

    async def test_a_file_in_the_place_of_the_folder_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "store").write_text("mine")

        with pytest.raises(StoreDamaged, match="needs a folder"):
            await EmbeddedStore.open(tmp_path / "store", embedder_name=None)

    async def test_a_closed_store_says_so(self, folder: Path) -> None:
        async with opened(folder) as store:
            pass

        with pytest.raises(StoreUnavailable, match="closed"):
            await found(store, "text1")


def _line(child: "subprocess.Popen[str]") -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def _ask(child: "subprocess.Popen[str]", line: str) -> list[str]:
    assert child.stdin is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()
    answer: list[str] = json.loads(_line(child))
    return answer
