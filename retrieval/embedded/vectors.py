"""Vectors: kept as half floats in SQLite, searched exactly in memory under a mask of what is allowed."""

import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.embedded.access_sets import Verdict
from retrieval.embedded.changes import CHANGED, is_logged_since, last_change, log_chunk
from retrieval.embedded.database import BadRow, Database, read_meta, write_meta
from retrieval.errors import StoreError, StoreUnavailable
from retrieval.types import FloatArray

_BLOCK_ROWS = 32_768
_PRODUCT_SIZE = 8192
_THREADS = min(4, os.cpu_count() or 1)
_ROWS_AT_ONCE = 1024
_DEAD_ROWS_ALLOWED = 5000


def enter_space(database: Database, embedder_name: str) -> None:
    """Make *embedder_name* the store's vector space; vectors of another one are dropped, to be computed anew."""
    with database.connection() as connection:
        if read_meta(connection, "embedder") == embedder_name:
            return
    with database.transaction() as connection:
        connection.execute("DELETE FROM vectors")
        connection.execute("DELETE FROM sentence_vectors")
        connection.execute("DELETE FROM meta WHERE key = 'dimensions'")
        write_meta(connection, "embedder", embedder_name)
        generation = int(read_meta(connection, "vector_generation") or 0)
        write_meta(connection, "vector_generation", str(generation + 1))


def store_vectors(
    connection: sqlite3.Connection, vectors: Mapping[str, FloatArray], embedder_name: str | None
) -> None:
    """
    Raises:
        StoreError: If the store's vectors are another embedder's by now.
        ValueError: If a vector's length is not that of the others.
    """
    current = read_meta(connection, "embedder")
    if current != embedder_name:
        raise StoreError(f"the store's vectors come from {current!r}, not from {embedder_name!r}")
    for chunk_id, vector in vectors.items():
        row = connection.execute("SELECT no FROM chunks WHERE id = ?", (chunk_id,)).fetchone()
        if row is None:
            continue
        _check_dimensions(connection, vector)
        blob = np.asarray(vector, np.float16).tobytes()
        connection.execute("INSERT OR REPLACE INTO vectors VALUES(?, ?)", (row[0], blob))
        log_chunk(connection, row[0], touches_words=False)


@dataclass(frozen=True, slots=True)
class _Space:
    """Vectors of equal spaces can be compared; 0 dimensions while there is none."""

    embedder: str | None
    generation: int
    dimensions: int


@dataclass(slots=True)
class _Block:
    """Up to `_BLOCK_ROWS` rows; a row whose chunk number is 0 is dead."""

    vectors: FloatArray
    chunks: NDArray[np.int64]
    acl_sets: NDArray[np.int32]

    def first(self, rows: int) -> "_Block":
        return _Block(self.vectors[:rows], self.chunks[:rows], self.acl_sets[:rows])


class VectorMatrix:
    """
    All vectors of one space, in blocks, so that growing copies nothing.

    A changed chunk gets a new row and its old one dies, so a search under way never sees half
    of one vector and half of another.
    """

    def __init__(self, space: _Space, seq: int, pool: ThreadPoolExecutor) -> None:
        self.space = space
        self.seq = seq
        self.rows = 0
        self.row_of: dict[int, int] = {}
        self._blocks: list[_Block] = []
        self._pool = pool

    def search(
        self, query: FloatArray, verdict: Verdict, *, limit: int, embedder_name: str | None
    ) -> list[tuple[int, float]]:
        """
        Chunk numbers with cosines, best first, of what *verdict* allows; the scan is exact.

        Nothing when the vectors are another embedder's than *embedder_name*.
        """
        if not self.rows or not len(verdict.allowed):
            return []
        if not self.compares(embedder_name):
            return []
        query = np.asarray(query, np.float32)
        if query.shape != (self.space.dimensions,):
            raise ValueError(
                f"the vectors have {self.space.dimensions} dimensions, the query {query.shape}"
            )
        blocks = [
            self._blocks[start // _BLOCK_ROWS].first(self.rows - start)
            for start in range(0, self.rows, _BLOCK_ROWS)
        ]
        try:
            parts = list(self._pool.map(lambda block: _similarity(block, verdict, query), blocks))
        except RuntimeError as error:
            raise StoreUnavailable("the store has been closed") from error
        numbers = np.concatenate([chunks for chunks, _ in parts])
        similarity = np.concatenate([scores for _, scores in parts])
        best = np.arange(len(numbers))
        if len(best) > limit:
            best = np.argpartition(-similarity, limit - 1)[:limit]
        best = best[np.argsort(-similarity[best], kind="stable")]
        return [(int(numbers[i]), float(similarity[i])) for i in best]

    def compares(self, embedder_name: str | None) -> bool:
        """Whether queries of *embedder_name* live in this space; None stands for whatever is there."""
        return self.space.embedder == (embedder_name or self.space.embedder)

    def append(self, chunks: Sequence[int], acl_sets: Sequence[int], vectors: FloatArray) -> None:
        done = 0
        while done < len(chunks):
            block_no, start = divmod(self.rows, _BLOCK_ROWS)
            if block_no == len(self._blocks):
                self._blocks.append(self._new_block())
            block = self._blocks[block_no]
            n = min(len(chunks) - done, _BLOCK_ROWS - start)
            block.vectors[start : start + n] = vectors[done : done + n]
            block.acl_sets[start : start + n] = acl_sets[done : done + n]
            # Last, since a search may be reading: a row lives once it has a number.
            block.chunks[start : start + n] = chunks[done : done + n]
            for i in range(n):
                self.row_of[chunks[done + i]] = self.rows + i
            self.rows += n
            done += n

    def kill(self, chunk: int) -> None:
        row = self.row_of.pop(chunk, None)
        if row is not None:
            self._blocks[row // _BLOCK_ROWS].chunks[row % _BLOCK_ROWS] = 0

    def change_acl_set(self, chunk: int, acl_set: int) -> None:
        row = self.row_of[chunk]
        self._blocks[row // _BLOCK_ROWS].acl_sets[row % _BLOCK_ROWS] = acl_set

    def _new_block(self) -> _Block:
        return _Block(
            np.empty((_BLOCK_ROWS, self.space.dimensions), np.float32),
            np.zeros(_BLOCK_ROWS, np.int64),
            np.zeros(_BLOCK_ROWS, np.int32),
        )


class VectorIndex:
    """The matrix of the vectors as they are now: loaded at the first use, then kept up to the change log."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._matrix: VectorMatrix | None = None
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="vectors")

    def current(self) -> VectorMatrix:
        """The matrix, brought up to everything that is committed now."""
        with self._database.connection() as connection:
            matrix = self._matrix
            if matrix is not None and _is_current(connection, matrix):
                return matrix
        with self._lock, self._database.snapshot() as connection:
            matrix = self._matrix
            if matrix is None or _is_worn(connection, matrix):
                self._matrix = matrix = None  # freed before the next one grows
                self._matrix = matrix = _load(connection, self._pool)
            elif not _is_current(connection, matrix):
                _apply(connection, matrix)
            return matrix

    def close(self) -> None:
        self._matrix = None
        self._pool.shutdown()


def _is_current(connection: sqlite3.Connection, matrix: VectorMatrix) -> bool:
    return matrix.seq == last_change(connection) and matrix.space == _space(connection)


def _is_worn(connection: sqlite3.Connection, matrix: VectorMatrix) -> bool:
    """Whether loading anew is the only way, or the better one."""
    return (
        matrix.space != _space(connection)
        or matrix.rows > 2 * len(matrix.row_of) + _DEAD_ROWS_ALLOWED
        or not is_logged_since(connection, matrix.seq, words=False)
    )


def _space(connection: sqlite3.Connection) -> _Space:
    meta = dict(
        connection.execute(
            "SELECT key, value FROM meta WHERE key IN ('embedder', 'vector_generation', 'dimensions')"
        ).fetchall()
    )
    return _Space(
        meta.get("embedder"),
        int(meta.get("vector_generation", 0)),
        int(meta.get("dimensions", 0)),
    )


def _check_dimensions(connection: sqlite3.Connection, vector: FloatArray) -> None:
    dimensions = _space(connection).dimensions
    if not dimensions:
        write_meta(connection, "dimensions", str(len(vector)))
    elif vector.shape != (dimensions,):
        raise ValueError(f"the vectors have {dimensions} dimensions, this one {vector.shape}")


def _load(connection: sqlite3.Connection, pool: ThreadPoolExecutor) -> VectorMatrix:
    matrix = VectorMatrix(_space(connection), last_change(connection), pool)
    rows = connection.execute(
        "SELECT v.chunk, d.acl_set, v.vector FROM vectors v JOIN chunks c ON c.no = v.chunk"
        " JOIN documents d ON d.no = c.document ORDER BY v.chunk"
    )
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        _append(matrix, batch)
    return matrix


def _apply(connection: sqlite3.Connection, matrix: VectorMatrix) -> None:
    seq = last_change(connection)
    rows = connection.execute(
        f"SELECT o.chunk, d.acl_set, v.vector, o.is_new_vector FROM {CHANGED} o"
        " LEFT JOIN vectors v ON v.chunk = o.chunk LEFT JOIN chunks c ON c.no = v.chunk"
        " LEFT JOIN documents d ON d.no = c.document",
        (matrix.seq,),
    ).fetchall()
    fresh = []
    for chunk, acl_set, vector, is_new_vector in rows:
        if vector is not None and not is_new_vector and chunk in matrix.row_of:
            matrix.change_acl_set(chunk, acl_set)
            continue
        matrix.kill(chunk)
        if vector is not None:
            fresh.append((chunk, acl_set, vector))
    _append(matrix, fresh)
    matrix.seq = seq


def _append(matrix: VectorMatrix, rows: Sequence[tuple[int, int, bytes]]) -> None:
    if not rows:
        return
    flat = np.frombuffer(b"".join(vector for _, _, vector in rows), np.float16)
    if flat.size != len(rows) * matrix.space.dimensions:
        raise BadRow("a vector has another length than the others")
    matrix.append(
        [chunk for chunk, _, _ in rows],
        [acl_set for _, acl_set, _ in rows],
        flat.reshape(len(rows), -1).astype(np.float32),
    )


def _similarity(
    block: _Block, verdict: Verdict, query: FloatArray
) -> tuple[NDArray[np.int64], FloatArray]:
    """The allowed chunks of *block*, each with its cosine."""
    rows = np.flatnonzero(_is_allowed(block, verdict))
    # Gathering a row costs about four times what passing over it does.
    if len(rows) * 4 < len(block.chunks):
        return block.chunks[rows], _products(block.vectors[rows], query)
    return block.chunks[rows], _products(block.vectors, query)[rows]


def _products(vectors: FloatArray, query: FloatArray) -> FloatArray:
    # In pieces too small for the linear algebra library to share out among threads of its own:
    # those wait for each other in a loop, and searches side by side got four times slower.
    step = max(1, _PRODUCT_SIZE // len(query))
    whole = len(vectors) // step * step
    pieces = vectors[:whole].reshape(-1, step, len(query)) @ query
    return np.concatenate([pieces.reshape(-1), vectors[whole:] @ query])


def _is_allowed(block: _Block, verdict: Verdict) -> NDArray[np.bool_]:
    is_known = block.acl_sets < len(verdict.is_allowed)
    is_allowed = verdict.is_allowed[np.where(is_known, block.acl_sets, 0)]
    return is_allowed & is_known & (block.chunks > 0)
