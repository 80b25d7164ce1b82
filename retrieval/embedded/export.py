"""What an embedded store holds, to be taken elsewhere; questions have no use for it."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from retrieval.embedded import ledger
from retrieval.embedded.database import BadRow, Database, read_meta
from retrieval.errors import StoreError
from retrieval.packed_vectors import unpack_rows
from retrieval.types import Chunk, Document, FloatArray, IndexedDocument

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ChunkVectors:
    """
    Attributes:
        sentences: Rows, shape `(number of sentences, dim)`; None if there are none.
    """

    vector: FloatArray
    sentences: FloatArray | None


class EmbeddedExport:
    """
    Reads an embedded store, whoever uses it meanwhile, and changes nothing.

    Attributes:
        origin: Names this very store; a copy of its folder has the same name.
        embedder_name: Whose vectors there are; None if there are none.
    """

    def __init__(self, database: Database, origin: str, embedder_name: str | None) -> None:
        self._database = database
        self.origin = origin
        self.embedder_name = embedder_name

    @classmethod
    async def open(cls, folder: Path) -> Self:
        """
        Raises:
            StoreError: If there is no store in *folder*, or it cannot be read.
        """

        def open_() -> tuple[Database, str, str | None]:
            if not (folder / "store.db").is_file():
                raise StoreError(f"{folder}: there are no documents there")
            database = Database.open(folder)
            with database.connection() as connection:
                origin = read_meta(connection, "database") or str(folder)
                return database, f"embedded:{origin}", read_meta(connection, "embedder")

        return cls(*await asyncio.to_thread(open_))

    async def documents(self) -> list[Document]:
        """All of them, by id."""
        return await self._read(lambda connection: ledger.read_documents(connection, None))

    async def read(self, document_ids: Sequence[str]) -> list[IndexedDocument]:
        """Those that are still there, with their chunks, as they are at one moment."""
        return await self._read(lambda c: ledger.read_indexed(c, document_ids))

    async def vectors(self, chunks: Sequence[Chunk]) -> dict[str, ChunkVectors]:
        """By chunk id, of those chunks that have the same text here."""

        def read(connection: sqlite3.Connection) -> dict[str, ChunkVectors]:
            texts = {chunk.id: chunk.text for chunk in chunks}
            rows = connection.execute(
                "SELECT c.id, c.text, v.vector, s.vectors FROM chunks c JOIN vectors v ON v.chunk = c.no"
                " LEFT JOIN sentence_vectors s ON s.chunk = c.no"
                " WHERE c.id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(texts)),),
            ).fetchall()
            return {
                chunk_id: _unpacked(vector, sentences)
                for chunk_id, text, vector, sentences in rows
                if text == texts[chunk_id]
            }

        return await self._read(read)

    async def close(self) -> None:
        await asyncio.to_thread(self._database.close)

    async def _read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        def in_thread() -> _T:
            with self._database.snapshot() as connection:
                return read(connection)

        return await asyncio.to_thread(in_thread)


def _unpacked(vector: bytes, sentences: bytes | None) -> ChunkVectors:
    unpacked = np.frombuffer(vector, np.float16).astype(np.float32)
    # Half floats are not quite of unit length any more.
    unpacked /= max(float(np.linalg.norm(unpacked)), 1e-9)
    try:
        rows = unpack_rows(sentences, dim=len(unpacked)) if sentences else None
    except ValueError as error:
        raise BadRow(str(error)) from error
    return ChunkVectors(unpacked, rows)
