"""Documents and chunks as rows: writing them whole, with their change-log rows, and reading them back."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from retrieval.access import AccessScope, Acl
from retrieval.embedded.access_sets import acl_from, drop_unused_acl, intern_acl
from retrieval.embedded.changes import CHANGED_WORDS, log_chunk, log_document
from retrieval.embedded.database import BadRow
from retrieval.errors import StoreError
from retrieval.store import StoreCounts
from retrieval.types import Chunk, Document, IndexedDocument, Language

_DOCUMENT_COLUMNS = (
    "d.id, d.source, d.title, a.level, a.principals, d.content_hash, d.link, d.owner, d.language,"
    " d.version, d.modified_at, d.review_at, d.superseded_by"
)
_CHUNKS = (
    f"SELECT c.no, c.id, c.ordinal, c.text, c.heading_path, {_DOCUMENT_COLUMNS} FROM chunks c"
    " JOIN documents d ON d.no = c.document JOIN acl_sets a ON a.no = d.acl_set"
)
_NUMBERS = "(SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class ChunkToIndex:
    """A chunk as it is now, for the word index; *chunk* is None when it is gone."""

    number: int
    acl_set: int
    chunk: Chunk | None


def write_document(connection: sqlite3.Connection, indexed: IndexedDocument) -> None:
    """
    Insert or replace a document.

    Chunks always get new numbers, so that what an index says of an old number is never taken for
    the new text. A vector stays with a chunk whose id and text stay.
    """
    document = indexed.document
    acl_set = intern_acl(connection, document.acl)
    before = _document_row(connection, document.id)
    vectors: dict[str, tuple[str, bytes, bytes | None]] = {}
    if before is not None:
        number, old_acl_set = before
        vectors = {
            chunk_id: (text, vector, sentences)
            for chunk_id, text, vector, sentences in connection.execute(
                "SELECT c.id, c.text, v.vector, s.vectors FROM chunks c"
                " JOIN vectors v ON v.chunk = c.no"
                " LEFT JOIN sentence_vectors s ON s.chunk = c.no WHERE c.document = ?",
                (number,),
            ).fetchall()
        }
        _remove(connection, number, old_acl_set, kept_acl_set=acl_set)
    cursor = connection.execute(
        "INSERT INTO documents(id, source, title, acl_set, content_hash, link, owner, language,"
        " version, modified_at, review_at, superseded_by) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            document.id,
            document.source,
            document.title,
            acl_set,
            document.content_hash,
            document.link,
            document.owner,
            document.language,
            document.version,
            _time_text(document.modified_at),
            _time_text(document.review_at),
            document.superseded_by,
        ),
    )
    for chunk in indexed.chunks:
        number = _insert_chunk(connection, chunk, cursor.lastrowid)
        text, vector, sentences = vectors.get(chunk.id, ("", b"", None))
        if vector and text == chunk.text:
            connection.execute("INSERT INTO vectors VALUES(?, ?)", (number, vector))
            if sentences:
                connection.execute("INSERT INTO sentence_vectors VALUES(?, ?)", (number, sentences))
        log_chunk(connection, number, touches_words=True)


def change_acl(connection: sqlite3.Connection, document_id: str, acl: Acl) -> None:
    before = _document_row(connection, document_id)
    if before is None:
        return
    number, old_acl_set = before
    acl_set = intern_acl(connection, acl)
    if acl_set == old_acl_set:
        return
    connection.execute("UPDATE documents SET acl_set = ? WHERE no = ?", (acl_set, number))
    log_document(connection, number)
    drop_unused_acl(connection, old_acl_set)


def delete_documents(connection: sqlite3.Connection, document_ids: Iterable[str]) -> int:
    deleted = 0
    for document_id in set(document_ids):
        before = _document_row(connection, document_id)
        if before is not None:
            _remove(connection, *before)
            deleted += 1
    return deleted


def read_documents(connection: sqlite3.Connection, source: str | None) -> list[Document]:
    rows = connection.execute(
        f"SELECT {_DOCUMENT_COLUMNS} FROM documents d JOIN acl_sets a ON a.no = d.acl_set"
        " WHERE ?1 IS NULL OR d.source = ?1",
        (source,),
    ).fetchall()
    return sorted((_document(row) for row in rows), key=lambda d: d.id)


def read_sources(
    connection: sqlite3.Connection, acl_sets: Sequence[int]
) -> list[tuple[str, datetime | None]]:
    """Of each document under one of these access lists its source and its time of change."""
    rows = connection.execute(
        f"SELECT source, modified_at FROM documents WHERE acl_set IN {_NUMBERS}",
        (json.dumps(acl_sets),),
    ).fetchall()
    return [(source, _time(modified_at)) for source, modified_at in rows]


def read_indexed(
    connection: sqlite3.Connection, document_ids: Sequence[str]
) -> list[IndexedDocument]:
    """Those documents that exist, with their chunks in the order they were written in."""
    wanted = json.dumps(list(document_ids))
    documents = connection.execute(
        f"SELECT {_DOCUMENT_COLUMNS} FROM documents d JOIN acl_sets a ON a.no = d.acl_set"
        f" WHERE d.id IN {_NUMBERS}",
        (wanted,),
    ).fetchall()
    rows = connection.execute(f"{_CHUNKS} WHERE d.id IN {_NUMBERS} ORDER BY c.no", (wanted,))
    chunks: dict[str, list[Chunk]] = {}
    for chunk in _chunks_by_number(rows.fetchall()).values():
        chunks.setdefault(chunk.document.id, []).append(chunk)
    found = map(_document, documents)
    return [IndexedDocument(document, tuple(chunks.get(document.id, ()))) for document in found]


def read_counts(connection: sqlite3.Connection) -> StoreCounts:
    documents, chunks, vectors = connection.execute(
        "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks),"
        " (SELECT count(*) FROM vectors)"
    ).fetchone()
    return StoreCounts(documents, chunks, chunks - vectors)


def read_chunks_without_vector(connection: sqlite3.Connection, limit: int) -> list[Chunk]:
    rows = connection.execute(
        f"{_CHUNKS} WHERE NOT EXISTS (SELECT 1 FROM vectors v WHERE v.chunk = c.no)"
        " ORDER BY c.no LIMIT ?",
        (max(limit, 0),),
    ).fetchall()
    return list(_chunks_by_number(rows).values())


def read_acl_sets(
    connection: sqlite3.Connection, numbers: Sequence[int]
) -> dict[int, tuple[str, int]]:
    """Chunk id and number of the access list, of those chunks that exist, by number."""
    rows = connection.execute(
        "SELECT c.no, c.id, d.acl_set FROM chunks c JOIN documents d ON d.no = c.document"
        f" WHERE c.no IN {_NUMBERS}",
        (json.dumps(numbers),),
    ).fetchall()
    return {number: (chunk_id, acl_set) for number, chunk_id, acl_set in rows}


def read_allowed(
    connection: sqlite3.Connection, numbers: Sequence[int], scope: AccessScope
) -> dict[int, Chunk]:
    """Those chunks that exist and that *scope* allows by the row as it is now."""
    rows = connection.execute(
        f"{_CHUNKS} WHERE c.no IN {_NUMBERS}", (json.dumps(numbers),)
    ).fetchall()
    return {n: chunk for n, chunk in _chunks_by_number(rows).items() if scope.allows(chunk.acl)}


def read_allowed_by_id(
    connection: sqlite3.Connection, chunk_ids: Sequence[str], scope: AccessScope
) -> dict[str, Chunk]:
    rows = connection.execute(
        f"{_CHUNKS} WHERE c.id IN {_NUMBERS}", (json.dumps(list(chunk_ids)),)
    ).fetchall()
    chunks = _chunks_by_number(rows).values()
    return {chunk.id: chunk for chunk in chunks if scope.allows(chunk.acl)}


def chunks_to_index(rows: Iterable[Sequence[Any]]) -> Iterable[ChunkToIndex]:
    """From rows of `ALL_CHUNKS_TO_INDEX` or `CHANGED_CHUNKS_TO_INDEX`."""
    for number, acl_set, chunk_id, ordinal, text, heading_path, *document in rows:
        if chunk_id is None:
            yield ChunkToIndex(number, 0, None)
        else:
            chunk = Chunk(chunk_id, _document(document), ordinal, text, _heading(heading_path))
            yield ChunkToIndex(number, acl_set, chunk)


_TO_INDEX = f"d.acl_set, c.id, c.ordinal, c.text, c.heading_path, {_DOCUMENT_COLUMNS}"
ALL_CHUNKS_TO_INDEX = (
    f"SELECT c.no, {_TO_INDEX} FROM chunks c"
    " JOIN documents d ON d.no = c.document JOIN acl_sets a ON a.no = d.acl_set"
)
CHANGED_CHUNKS_TO_INDEX = (
    f"SELECT o.chunk, {_TO_INDEX} FROM {CHANGED_WORDS} o"
    " LEFT JOIN chunks c ON c.no = o.chunk LEFT JOIN documents d ON d.no = c.document"
    " LEFT JOIN acl_sets a ON a.no = d.acl_set"
)


def _document_row(connection: sqlite3.Connection, document_id: str) -> tuple[int, int] | None:
    row = connection.execute(
        "SELECT no, acl_set FROM documents WHERE id = ?", (document_id,)
    ).fetchone()
    return None if row is None else (row[0], row[1])


def _remove(
    connection: sqlite3.Connection, number: int, acl_set: int, kept_acl_set: int | None = None
) -> None:
    log_document(connection, number)
    connection.execute("DELETE FROM documents WHERE no = ?", (number,))
    if acl_set != kept_acl_set:
        drop_unused_acl(connection, acl_set)


def _insert_chunk(connection: sqlite3.Connection, chunk: Chunk, document: int | None) -> int:
    heading = json.dumps(chunk.heading_path, ensure_ascii=False)
    try:
        cursor = connection.execute(
            "INSERT INTO chunks(id, document, ordinal, text, heading_path) VALUES(?,?,?,?,?)",
            (chunk.id, document, chunk.ordinal, chunk.text, heading),
        )
    except sqlite3.IntegrityError as error:
        raise StoreError(
            f"two chunks would have the id {chunk.id!r}; nothing was written"
        ) from error
    number = cursor.lastrowid
    assert number is not None
    return number


def _chunks_by_number(rows: Iterable[Sequence[Any]]) -> dict[int, Chunk]:
    documents: dict[str, Document] = {}
    chunks: dict[int, Chunk] = {}
    for number, chunk_id, ordinal, text, heading_path, *columns in rows:
        document = documents.get(columns[0])
        if document is None:
            document = documents[columns[0]] = _document(columns)
        chunks[number] = Chunk(chunk_id, document, ordinal, text, _heading(heading_path))
    return chunks


def _document(columns: Sequence[Any]) -> Document:
    id_, source, title, level, principals, content_hash, link, owner, *rest = columns
    language, version, modified_at, review_at, superseded_by = rest
    acl = acl_from(level, principals)
    try:
        return Document(
            id=id_,
            source=source,
            title=title,
            acl=acl,
            content_hash=content_hash,
            link=link,
            owner=owner,
            language=None if language is None else Language(language),
            version=version,
            modified_at=_time(modified_at),
            review_at=_time(review_at),
            superseded_by=superseded_by,
        )
    except (TypeError, ValueError) as error:
        raise BadRow(f"document {id_!r} is unreadable: {error}") from error


def _heading(text: str) -> tuple[str, ...]:
    try:
        return tuple(json.loads(text))
    except (TypeError, ValueError) as error:
        raise BadRow(f"a heading path is unreadable: {error}") from error


def _time_text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
