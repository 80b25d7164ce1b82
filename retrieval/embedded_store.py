"""The embedded engine: SQLite holds the truth, tantivy ranks by words, numpy by vectors; one folder on disk."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Protocol, Self, TypeVar

from retrieval.access import AccessScope, Acl
from retrieval.embedded import ledger
from retrieval.embedded.access_sets import AccessSets, Verdict
from retrieval.embedded.changes import drop_old_changes
from retrieval.embedded.database import Database
from retrieval.embedded.lexical import IndexDamaged, LexicalIndex
from retrieval.embedded.sentence_vectors import sentence_similarity, store_sentence_vectors
from retrieval.embedded.vectors import VectorIndex, enter_space, store_vectors
from retrieval.errors import StoreUnavailable
from retrieval.store import (
    CANDIDATES,
    SearchQuery,
    SourceSummary,
    StoreCounts,
    relative_score_fusion,
    summed_up,
)
from retrieval.types import Chunk, Document, FloatArray, IndexedDocument, Passage

_T = TypeVar("_T")


class EmbeddedStore:
    """
    A `ChunkStore` in one folder.

    A write commits to SQLite and then brings the word index up to the change log; whatever dies in
    between is made up for at the next open or search. Both rankings only propose: every chunk is
    read from SQLite and its access list, as it is then, is asked again before it leaves, so a right
    that shrinks is in force with the commit, however far an index lags.

    Several processes may use the folder: readers never wait, writers take turns.
    """

    def __init__(self, database: Database, index: LexicalIndex, embedder_name: str | None) -> None:
        self._database = database
        self._index = index
        self._embedder_name = embedder_name
        self._vectors = VectorIndex(database)
        self._sets = AccessSets()

    @classmethod
    async def open(cls, folder: Path, *, embedder_name: str | None) -> Self:
        """
        Open the store in *folder*, made if need be; a lost or outdated index is built anew.

        Args:
            embedder_name: `Embedder.name` of whoever will write and search vectors. Vectors of any
                other embedder are dropped, to be computed anew. None uses what is there.

        Raises:
            StoreDamaged: If what lies in *folder* cannot be used. It is left as it is.
            StoreUnavailable: If it is locked, or may not be read or written.
        """
        return await asyncio.to_thread(cls._open, folder, embedder_name)

    async def search(self, query: SearchQuery, scope: AccessScope, *, top_k: int) -> list[Passage]:
        if scope.is_empty or top_k < 1:
            return []
        return await asyncio.to_thread(self._search, query, scope, top_k)

    async def fetch(self, chunk_ids: Sequence[str], scope: AccessScope) -> list[Chunk]:
        if scope.is_empty or not chunk_ids:
            return []

        def fetch() -> list[Chunk]:
            with self._database.connection() as connection:
                found = ledger.read_allowed_by_id(connection, chunk_ids, scope)
            return [found[chunk_id] for chunk_id in chunk_ids if chunk_id in found]

        return await asyncio.to_thread(fetch)

    async def sources(self, scope: AccessScope) -> list[SourceSummary]:
        if scope.is_empty:
            return []

        def read(connection: Connection) -> list[SourceSummary]:
            self._sets.refresh(connection)
            allowed = self._sets.verdict(scope).allowed.tolist()
            return summed_up(ledger.read_sources(connection, allowed))

        return await self._read(read)

    async def write(self, documents: Sequence[IndexedDocument]) -> None:
        def write() -> None:
            with self._database.transaction() as connection:
                for indexed in documents:
                    ledger.write_document(connection, indexed)
                drop_old_changes(connection)
            self._index.catch_up()

        await asyncio.to_thread(write)

    async def change_acl(self, document_id: str, acl: Acl) -> None:
        def change_acl() -> None:
            with self._database.transaction() as connection:
                ledger.change_acl(connection, document_id, acl)
                drop_old_changes(connection)
            self._index.catch_up()

        await asyncio.to_thread(change_acl)

    async def delete(self, document_ids: Sequence[str]) -> int:
        def delete() -> int:
            with self._database.transaction() as connection:
                deleted = ledger.delete_documents(connection, document_ids)
                drop_old_changes(connection)
            self._index.catch_up()
            return deleted

        return await asyncio.to_thread(delete)

    async def documents(self, *, source: str | None = None) -> list[Document]:
        return await self._read(lambda c: ledger.read_documents(c, source))

    async def chunks_without_vector(self, *, limit: int) -> list[Chunk]:
        return await self._read(lambda c: ledger.read_chunks_without_vector(c, limit))

    async def write_vectors(
        self,
        vectors: Mapping[str, FloatArray],
        *,
        sentences: Mapping[str, FloatArray] | None = None,
    ) -> None:
        def write_vectors() -> None:
            with self._database.transaction() as connection:
                store_vectors(connection, vectors, self._embedder_name)
                store_sentence_vectors(connection, sentences or {})
                drop_old_changes(connection)

        await asyncio.to_thread(write_vectors)

    async def counts(self) -> StoreCounts:
        return await self._read(ledger.read_counts)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    @classmethod
    def _open(cls, folder: Path, embedder_name: str | None) -> Self:
        database = Database.open(folder)
        try:
            if embedder_name is not None:
                enter_space(database, embedder_name)
            index = LexicalIndex(folder / "index", database)
            index.catch_up()
        except BaseException:
            database.close()
            raise
        return cls(database, index, embedder_name)

    def _close(self) -> None:
        self._database.close()
        self._vectors.close()

    async def _read(self, read: Callable[[Connection], _T]) -> _T:
        def in_thread() -> _T:
            with self._database.connection() as connection:
                return read(connection)

        return await asyncio.to_thread(in_thread)

    def _search(self, query: SearchQuery, scope: AccessScope, top_k: int) -> list[Passage]:
        self._index.follow()
        matrix = None if query.vector is None else self._vectors.current()
        with self._database.connection() as connection:
            self._sets.refresh(connection)
            candidates = _Candidates(connection, self._sets.verdict(scope))
            lexical = candidates.of(partial(self._rank_by_words, query.tokens))
            similarity: dict[int, float] = {}
            if matrix is not None and query.vector is not None and query.alpha > 0:
                similarity = candidates.of(
                    partial(matrix.search, query.vector, embedder_name=self._embedder_name)
                )
            ids = candidates.ids
            fused = relative_score_fusion(
                {ids[number]: score for number, score in lexical.items()},
                {ids[number]: score for number, score in similarity.items()},
                alpha=query.alpha,
            )
            best_first = sorted(ids, key=lambda number: (-fused[ids[number]], ids[number]))
            found = _read_back(connection, best_first, scope, top_k)
            sentences: dict[int, tuple[float, ...]] = {}
            if (
                matrix is not None
                and query.vector is not None
                and matrix.compares(self._embedder_name)
            ):
                numbers = [number for number, _ in found]
                sentences = sentence_similarity(connection, numbers, query.vector)
            return [
                Passage(
                    chunk=chunk,
                    score=fused[ids[number]],
                    lexical=lexical.get(number, 0.0),
                    similarity=similarity.get(number),
                    sentence_similarity=sentences.get(number, ()),
                )
                for number, chunk in found
            ]

    def _rank_by_words(
        self, tokens: Sequence[str], verdict: Verdict, *, limit: int
    ) -> list[tuple[int, float]]:
        try:
            return self._index.search(tokens, verdict, limit=limit)
        except IndexDamaged:
            self._index.rebuild()
        try:
            return self._index.search(tokens, verdict, limit=limit)
        except IndexDamaged as error:
            raise StoreUnavailable(f"the word index cannot be read: {error}") from error


class _Ranking(Protocol):
    """The best chunk numbers with scores, best first, as an index has them."""

    def __call__(self, verdict: Verdict, *, limit: int) -> list[tuple[int, float]]: ...


class _Candidates:
    """What the rankings propose and the rows confirm."""

    def __init__(self, connection: Connection, verdict: Verdict) -> None:
        self._connection = connection
        self._verdict = verdict
        self.ids: dict[int, str] = {}

    def of(self, ranking: _Ranking) -> dict[int, float]:
        """The best `CANDIDATES` that exist and are allowed now; a stale index is asked for more."""
        limit = CANDIDATES
        while True:
            hits = ranking(self._verdict, limit=limit)
            rows = ledger.read_acl_sets(self._connection, [number for number, _ in hits])
            confirmed = [
                (number, score)
                for number, score in hits
                if number in rows and self._verdict.allows(rows[number][1])
            ][:CANDIDATES]
            if len(confirmed) == CANDIDATES or len(hits) < limit:
                self.ids |= {number: rows[number][0] for number, _ in confirmed}
                return dict(confirmed)
            limit *= 4


def _read_back(
    connection: Connection, best_first: Sequence[int], scope: AccessScope, top_k: int
) -> list[tuple[int, Chunk]]:
    """The first *top_k* that exist and that *scope* allows, by their rows as they are at this moment."""
    found: list[tuple[int, Chunk]] = []
    start = 0
    while len(found) < top_k and start < len(best_first):
        wanted = best_first[start : start + top_k - len(found)]
        rows = ledger.read_allowed(connection, wanted, scope)
        found += [(number, rows[number]) for number in wanted if number in rows]
        start += len(wanted)
    return found
