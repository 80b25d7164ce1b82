"""The BM25 index: tantivy over our own tokens, with the access lists inside the query."""

import contextlib
import hashlib
import re
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import tantivy
from tantivy import Occur, Query

from retrieval.analysis import index_tokens
from retrieval.embedded.access_sets import Verdict
from retrieval.embedded.changes import is_logged_since, last_word_change
from retrieval.embedded.database import Database, read_meta
from retrieval.embedded.ledger import (
    ALL_CHUNKS_TO_INDEX,
    CHANGED_CHUNKS_TO_INDEX,
    ChunkToIndex,
    chunks_to_index,
)
from retrieval.errors import StoreUnavailable

INDEX_FORMAT = 1
"""To be raised when the index's fields or the analyser change: every index is then built anew."""

LOCK_TIMEOUT_S = 60.0
_PATIENCE_S = 1.0
_HEAP_BYTES, _REBUILD_HEAP_BYTES = 15_000_000, 80_000_000
_ROWS_AT_ONCE = 500
_ROOM_BYTES = 100_000_000
_OUR_FILE = re.compile(r"meta\.json|\.managed\.json|\.tantivy-\w+\.lock|[0-9a-f]{32}\..+")


class IndexDamaged(Exception):
    """The index on disk cannot be read; it holds nothing that the database does not."""


class LexicalIndex:
    """
    A tantivy index that follows the database's change log.

    How far it has come is written into the index itself, as a marker that is committed together with
    the chunks it speaks of: index and marker cannot disagree after a crash, and an index that
    belongs to another database, or to an older format, is recognised.

    Tokens are computed again whenever a chunk is indexed. Keeping them would double the
    database to make rebuilding, which is rare, twice as fast; and a better analyser takes effect by
    rebuilding alone.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database
        # SQLite's file lock: held across processes and threads, freed by the system after a kill.
        self._lock_file = folder.with_suffix(".lock")
        self._schema = _schema()
        self._index: tantivy.Index | None = None
        self._position: int | None = None
        self._lagging_since: float | None = None
        self._opening = threading.Lock()
        with database.connection() as connection:
            identity = f"{read_meta(connection, 'database')}/{INDEX_FORMAT}"
        self._identity = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:7])

    def follow(self) -> None:
        """
        See what others have indexed; index what nobody does.

        For searches: a write that has returned is indexed already, so what is missing belongs to
        a write under way. Only when that stays so, its writer must have died.
        """
        with self._database.connection() as connection:
            last = last_word_change(connection)
        if self._position == last:
            self._lagging_since = None
            return
        position = self._reload()
        now = time.monotonic()
        if position is None:
            # Nothing would be found by words: better no answer than half of one.
            self.catch_up(timeout_s=_PATIENCE_S)
        elif position >= last:
            self._lagging_since = None
        elif self._lagging_since is None:
            self._lagging_since = now
        elif now - self._lagging_since > _PATIENCE_S:
            with contextlib.suppress(StoreUnavailable):
                self.catch_up(timeout_s=0.0)

    def catch_up(self, *, timeout_s: float = LOCK_TIMEOUT_S) -> None:
        """
        Index every change that is committed now, or everything if the index is lost.

        Raises:
            StoreUnavailable: If another process keeps the index locked.
        """
        with self._database.connection() as connection:
            last = last_word_change(connection)
        if self._position == last or self._reload() == last:
            return
        with self._locked(timeout_s):
            try:
                self._apply()
            except IndexDamaged:
                if shutil.disk_usage(self._folder).free < _ROOM_BYTES:
                    raise
                self._remove_files()
                self._apply()
            self._lagging_since = None

    def search(
        self, tokens: Sequence[str], verdict: Verdict, *, limit: int
    ) -> list[tuple[int, float]]:
        """Chunk numbers with BM25 scores, best first, of what *verdict* allows."""
        if not tokens or not len(verdict.allowed):
            return []
        words = [
            (Occur.Should, self._word(token, times)) for token, times in Counter(tokens).items()
        ]
        query = Query.boolean_query(
            [(Occur.Must, Query.boolean_query(words)), *_access(self._schema, verdict)]
        )
        with _driving():
            # One searcher for both calls: hits are addresses within it.
            searcher = self._opened().searcher()
            hits = searcher.search(query, limit, count=False).hits
            if not hits:
                return []
            numbers = searcher.fast_field_values("chunk", [address for _, address in hits])
        return [(int(n or 0), score) for n, (score, _) in zip(numbers, hits, strict=True)]

    def rebuild(self) -> None:
        """Throw the index away, which holds nothing that the database does not, and build it anew."""
        broken = self._index
        with self._locked(LOCK_TIMEOUT_S):
            if self._index is broken:
                self._remove_files()
                self._apply()

    def _word(self, token: str, times: int) -> Query:
        query = Query.term_query(self._schema, "tokens", token, "freq")
        return query if times == 1 else Query.boost_query(query, float(times))

    def _apply(self) -> None:
        position = self._reload()
        if position is None:
            self._remove_files()  # all of it, lest a damaged part stays
        with self._database.snapshot() as connection:
            last = last_word_change(connection)
            if position == last:
                return
            # Ahead of the database means that an older copy of that was put back.
            is_usable = (
                position is not None
                and position <= last
                and is_logged_since(connection, position, words=True)
            )
            if is_usable:
                rows = connection.execute(CHANGED_CHUNKS_TO_INDEX, (position,))
            else:
                rows = connection.execute(ALL_CHUNKS_TO_INDEX)
            with _driving(), self._writer(is_usable) as writer:
                if not is_usable:
                    writer.delete_all_documents()
                for row in chunks_to_index(_batched(rows)):
                    if is_usable:
                        writer.delete_documents_by_term("chunk", row.number)
                    if row.chunk is not None:
                        writer.add_document(_entry(row))
                writer.delete_documents_by_term("chunk", 0)
                writer.add_document(tantivy.Document(chunk=0, seq=last, identity=self._identity))
                writer.commit()
        self._reload()

    @contextlib.contextmanager
    def _writer(self, is_usable: bool) -> Iterator[tantivy.IndexWriter]:
        # One per call: keeping it would keep tantivy's lock and shut other processes out.
        heap_bytes = _HEAP_BYTES if is_usable else _REBUILD_HEAP_BYTES
        writer = self._opened().writer(heap_bytes, num_threads=1)
        try:
            yield writer
        finally:
            writer.wait_merging_threads()

    def _reload(self) -> int | None:
        """Look at the newest commit: the change it has come to; None if it cannot be used."""
        try:
            with _driving():
                index = self._opened()
                index.reload()
                self._position = self._marker(index.searcher())
        except IndexDamaged:
            self._index, self._position = None, None
        return self._position

    def _marker(self, searcher: tantivy.Searcher) -> int | None:
        hits = searcher.search(Query.term_query(self._schema, "chunk", 0), 1, count=False).hits
        if not hits:
            return None
        address = [hits[0][1]]
        if searcher.fast_field_values("identity", address) != [self._identity]:
            return None
        (seq,) = searcher.fast_field_values("seq", address)
        return None if seq is None else int(seq)

    def _opened(self) -> tantivy.Index:
        with self._opening:
            if self._index is None:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                self._index = tantivy.Index(self._schema, path=str(self._folder))
                # Without a thread that polls for commits: the change log says when to look.
                self._index.config_reader("manual")
            return self._index

    def _remove_files(self) -> None:
        self._index, self._position = None, None
        # By name: whatever else somebody keeps in that folder is not ours to delete.
        for file in self._folder.glob("*"):
            if _OUR_FILE.fullmatch(file.name):
                file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, timeout_s: float) -> Iterator[None]:
        try:
            lock = sqlite3.connect(self._lock_file, timeout=timeout_s, isolation_level=None)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self._lock_file} cannot be opened: {error}") from error
        try:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                raise StoreUnavailable(
                    f"{self._folder} is being written by another process ({error}); what was stored"
                    " will be found once that is done"
                ) from error
            try:
                yield
            except (OSError, IndexDamaged) as error:
                raise StoreUnavailable(
                    f"{self._folder} cannot be written ({error}); check its rights and the disk."
                    " The folder may be deleted: it is built anew from the database"
                ) from error
        finally:
            lock.close()


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    # Signed: with an unsigned field, tantivy-py deletes nothing by term and its writer panics.
    builder.add_integer_field("chunk", indexed=True, fast=True)
    builder.add_integer_field("acl_set", indexed=True, fast=True)
    builder.add_integer_field("seq", fast=True)
    builder.add_integer_field("identity", fast=True)
    builder.add_text_field("tokens", tokenizer_name="whitespace", index_option="freq")
    return builder.build()


def _entry(row: ChunkToIndex) -> tantivy.Document:
    assert row.chunk is not None
    return tantivy.Document(
        chunk=row.number, acl_set=row.acl_set, tokens=" ".join(index_tokens(row.chunk))
    )


def _access(schema: tantivy.Schema, verdict: Verdict) -> list[tuple[Occur, Query]]:
    # The shorter list of the two. Measured at 100k chunks, 3,000 lists, 500 groups, against no filter
    # (p50 3.6 ms): lists +0.5 (some hundred allowed) to +2.6 ms (half of them), principals and
    # level +0.5 to +4.5 ms.
    if not len(verdict.denied):
        return []
    if len(verdict.denied) < len(verdict.allowed):
        # Lists that this process has not seen yet pass here; the check of the row stops them.
        return [(Occur.MustNot, Query.term_set_query(schema, "acl_set", verdict.denied.tolist()))]
    allowed = Query.term_set_query(schema, "acl_set", verdict.allowed.tolist())
    return [(Occur.Must, Query.const_score_query(allowed, 0.0))]


def _batched(rows: sqlite3.Cursor) -> Iterator[Sequence[object]]:
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        yield from batch


@contextlib.contextmanager
def _driving() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise IndexDamaged(str(error)) from error
    except BaseException as error:
        # A panic inside the index derives from BaseException, and its class has no public name.
        if type(error).__name__ == "PanicException":
            raise IndexDamaged(str(error)) from error
        raise
