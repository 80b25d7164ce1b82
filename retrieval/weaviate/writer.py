"""Writes in an order that is safe to break off anywhere: rights shrink first, a document's own record comes last."""

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from weaviate import WeaviateAsyncClient
from weaviate.classes.config import ConsistencyLevel
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.collections.classes.filters import FilterReturn

from retrieval.access import Acl
from retrieval.errors import StoreError, StoreUnavailable
from retrieval.packed_vectors import pack_rows
from retrieval.types import Chunk, Document, FloatArray, IndexedDocument
from retrieval.weaviate.access_sets import AccessSets
from retrieval.weaviate.batches import (
    PAGE_ROWS,
    Row,
    delete,
    delete_rows,
    insert,
    pages,
    read_rows,
    update,
)
from retrieval.weaviate.connection import Connection, Gone
from retrieval.weaviate.layout import Kind, Names
from retrieval.weaviate.rows import (
    CHUNK_PROPERTIES,
    DOCUMENT_PROPERTIES,
    ChunkRow,
    acl_properties,
    chunk_from,
    chunk_properties,
    document_from,
    document_properties,
    exact,
    packed_sentences,
    row_id,
    vector_properties,
)

_SPACES_KEPT_S = 10.0


class Writer:
    """
    Everything that changes a tenant's rows.

    Weaviate has no transactions. While a document is being changed its record says so: it has no
    content hash and an access list that covers both the old and the new. Whoever breaks off leaves
    it like that, and the next sync, which finds another hash than the source's, writes it again.
    """

    def __init__(
        self,
        connection: Connection,
        names: Names,
        sets: AccessSets,
        *,
        tenant: str,
        space: str | None,
    ) -> None:
        self._connection = connection
        self._names = names
        self._tenant = tenant
        self._sets = sets
        self._space = space
        self._documents = names.alias(Kind.DOCUMENT)
        self._chunks = names.alias(Kind.CHUNK)
        self._one_at_a_time = asyncio.Lock()
        self._spaces: list[str] = []
        self._spaces_read_at = float("-inf")

    async def write(
        self, documents: Sequence[IndexedDocument], *, origin: str | None = None
    ) -> None:
        """
        Args:
            origin: Of which other store these are copies.
        """
        new = {indexed.document.id: indexed for indexed in documents}
        chunks = _distinct_chunks(new.values())
        if not new:
            return
        async with self._one_at_a_time:
            before = await self._records(new)
            old = await self._chunk_rows(chunks)
            _refuse_foreign_chunks(old.values(), new)
            await self._sets.publish(indexed.document.acl for indexed in new.values())
            await self._mark_unfinished(
                (
                    (before.get(document_id, indexed.document), indexed.document.acl)
                    for document_id, indexed in new.items()
                ),
                origin,
            )
            for document_id, document in before.items():
                await self._shrink(document, new[document_id].document.acl)
            await self._replace_chunks(new, chunks, old)
            await self._write_records((indexed.document for indexed in new.values()), origin)

    async def change_acl(self, document_id: str, acl: Acl, *, origin: str | None = None) -> None:
        async with self._one_at_a_time:
            before = (await self._records([document_id])).get(document_id)
            if before is None or (before.acl == acl and before.content_hash):
                return
            await self._sets.publish([acl])
            await self._mark_unfinished([(before, acl)], origin)
            seen = await self._align(self._chunks, [document_id], acl)
            for space in await self._all_spaces(seen):
                await self._align_vectors(space, [document_id], acl)
            await self._write_records([replace(before, acl=acl)], origin)

    async def delete(self, document_ids: Sequence[str], *, origin: str | None = None) -> int:
        ids = list(dict.fromkeys(document_ids))
        async with self._one_at_a_time:
            known = await self._records(ids)
            await self._mark_unfinished(
                ((document, document.acl) for document in known.values()), origin
            )
            for page in pages(ids, PAGE_ROWS):
                await delete(self._connection, self._chunks, _of_documents(page))
                for space in await self._all_spaces():
                    async with self._unless_dropped(space):
                        await delete(self._connection, space, _of_documents(page))
            await delete_rows(self._connection, self._documents, map(row_id, ids))
        return len(known)

    async def write_vectors(
        self, vectors: Mapping[str, FloatArray], sentences: Mapping[str, FloatArray]
    ) -> None:
        """
        Raises:
            ValueError: If a vector's length is not that of the others.
            StoreError: If the store was opened without an embedder.
        """
        if not vectors:
            return
        if self._space is None:
            raise StoreError("the store was opened without an embedder, so it takes no vectors")
        space = self._names.vectors(self._space)
        if len({vector.shape for vector in vectors.values()}) > 1:
            raise ValueError("these vectors have different dimensions")
        async with self._one_at_a_time:
            rows = await self._chunk_rows(vectors)
            await insert(
                self._connection,
                space,
                [
                    DataObject(
                        properties=vector_properties(row.chunk),
                        uuid=row_id(chunk_id),
                        vector=vectors[chunk_id].tolist(),
                    )
                    for chunk_id, row in rows.items()
                ],
                level=ConsistencyLevel.QUORUM,
            )
            await self._make_up_for_changes(space, rows)
            await update(
                self._connection,
                self._chunks,
                {
                    row_id(chunk_id): {
                        "spaces": sorted({*row.spaces, self._space}),
                        "sentences": packed_sentences(
                            self._space,
                            pack_rows(sentences[chunk_id])
                            if len(sentences.get(chunk_id, ()))
                            else b"",
                        ),
                    }
                    for chunk_id, row in rows.items()
                },
            )

    async def _replace_chunks(
        self,
        new: Mapping[str, IndexedDocument],
        chunks: Mapping[str, Chunk],
        old: Mapping[str, ChunkRow],
    ) -> None:
        revision = uuid.uuid4().hex
        kept = {i: row for i, row in old.items() if row.chunk.text == chunks[i].text}

        def rows() -> list[Row]:
            return [
                DataObject(
                    properties=chunk_properties(
                        chunk,
                        revision=revision,
                        spaces=kept[i].spaces if i in kept else (),
                        sentences=kept[i].sentences if i in kept else None,
                    ),
                    uuid=row_id(i),
                )
                for i, chunk in chunks.items()
            ]

        await insert(
            self._connection,
            self._chunks,
            await asyncio.to_thread(rows),
            level=ConsistencyLevel.ALL,
        )
        spaces = await self._all_spaces(space for row in old.values() for space in row.spaces)
        without_vector = [row_id(i) for i, row in old.items() if i not in kept and row.spaces]
        for space in spaces:
            await self._delete_vectors(space, without_vector)
        for page in pages(list(new), PAGE_ROWS):
            await self._delete_leftovers(page, revision, {row_id(i) for i in chunks}, spaces)
        documents_by_acl: defaultdict[Acl, list[str]] = defaultdict(list)
        for row in kept.values():
            if row.spaces:
                document = chunks[row.chunk.id].document
                documents_by_acl[document.acl].append(document.id)
        for acl, document_ids in documents_by_acl.items():
            for space in spaces:
                for page in pages(list(dict.fromkeys(document_ids)), PAGE_ROWS):
                    await self._align_vectors(space, page, acl)

    async def _delete_leftovers(
        self,
        document_ids: list[str],
        revision: str,
        written: set[uuid.UUID],
        spaces: Sequence[str],
    ) -> None:
        """Chunks that this write has not written, and what vectors they have."""
        leftover = _of_documents(document_ids) & Filter.by_property("revision").not_equal(revision)
        while True:
            found = await self._connection.ask(
                self._chunks,
                lambda chunks: chunks.query.fetch_objects(
                    filters=leftover, limit=PAGE_ROWS, return_properties=["spaces"]
                ),
                "looking for replaced chunks",
            )
            gone = [row for row in found.objects if row.uuid not in written]
            if not gone:
                return
            for space in spaces:
                had_vector = [row.uuid for row in gone if row.properties.get("spaces")]
                await self._delete_vectors(space, had_vector)
            await delete_rows(self._connection, self._chunks, [row.uuid for row in gone])

    async def _shrink(self, before: Document, acl: Acl) -> None:
        """Take from the chunks what the new access list does not grant."""
        if before.acl.is_stricter_than(acl):
            return
        both = acl.narrowed_to(before.acl)
        await self._sets.publish([both])
        await self._align(self._chunks, [before.id], both)

    async def _align(self, collection: str, document_ids: list[str], acl: Acl) -> set[str]:
        """Give every row of the documents that access list; the spaces in which these have vectors."""
        different = _of_documents(document_ids) & Filter.by_property("acl_set").not_equal(
            acl.set_id
        )
        properties = ["spaces"] if collection == self._chunks else []
        spaces: set[str] = set()
        done: set[uuid.UUID] = set()
        while True:
            found = await self._connection.ask(
                collection,
                lambda rows: rows.query.fetch_objects(
                    filters=different, limit=PAGE_ROWS, return_properties=properties
                ),
                "looking for rows with other rights",
            )
            rows = [row.uuid for row in found.objects]
            if not rows:
                return spaces
            if done.issuperset(rows):
                raise StoreUnavailable("Weaviate confirms a change of rights but does not make it")
            await update(self._connection, collection, dict.fromkeys(rows, acl_properties(acl)))
            spaces.update(
                space for row in found.objects for space in row.properties.get("spaces") or ()
            )
            done.update(rows)

    async def _align_vectors(self, space: str, document_ids: list[str], acl: Acl) -> None:
        async with self._unless_dropped(space):
            await self._align(space, document_ids, acl)

    async def _delete_vectors(self, space: str, rows: Sequence[uuid.UUID]) -> None:
        async with self._unless_dropped(space):
            await delete_rows(self._connection, space, rows)

    @asynccontextmanager
    async def _unless_dropped(self, space: str) -> AsyncIterator[None]:
        """A space may have been given up since we last looked which there are."""
        try:
            yield
        except Gone:
            self._spaces_read_at = float("-inf")
            if space in await self._all_spaces():
                raise

    async def _make_up_for_changes(self, space: str, read: Mapping[str, ChunkRow]) -> None:
        """What another process did to the chunks between our reading them and writing their vectors."""
        now = await self._chunk_rows(read)
        await delete_rows(self._connection, space, [row_id(i) for i in read if i not in now])
        await update(
            self._connection,
            space,
            {
                row_id(i): acl_properties(row.chunk.acl)
                for i, row in now.items()
                if row.acl_set != read[i].acl_set
            },
        )

    async def _mark_unfinished(
        self, documents: Iterable[tuple[Document, Acl]], origin: str | None
    ) -> None:
        await self._write_records(
            (
                replace(document, acl=document.acl.widened_by(acl), content_hash="")
                for document, acl in documents
            ),
            origin,
        )

    async def _write_records(self, documents: Iterable[Document], origin: str | None) -> None:
        rows: list[Row] = [
            DataObject(
                properties=document_properties(document) | ({"origin": origin} if origin else {}),
                uuid=row_id(document.id),
            )
            for document in documents
        ]
        await insert(self._connection, self._documents, rows, level=ConsistencyLevel.ALL)

    async def _records(self, document_ids: Iterable[str]) -> dict[str, Document]:
        rows = await read_rows(
            self._connection,
            self._documents,
            [row_id(i) for i in document_ids],
            DOCUMENT_PROPERTIES,
            "reading documents",
        )
        return {document.id: document for document in map(document_from, rows.values())}

    async def _chunk_rows(self, chunk_ids: Iterable[str]) -> dict[str, ChunkRow]:
        rows = await read_rows(
            self._connection,
            self._chunks,
            [row_id(i) for i in chunk_ids],
            [*CHUNK_PROPERTIES, "sentences"],
            "reading chunks",
        )
        return {row.chunk.id: row for row in map(chunk_from, rows.values())}

    async def _all_spaces(self, seen: Iterable[str] = ()) -> list[str]:
        """
        Where vectors are, those of other embedders too: their rows follow the chunks'.

        Args:
            seen: Spaces that rows name; one that we have not heard of is a reason to look again.
        """
        is_old = time.monotonic() - self._spaces_read_at > _SPACES_KEPT_S
        if is_old or not {self._names.vectors(space) for space in seen} <= set(self._spaces):

            async def read(client: WeaviateAsyncClient) -> list[str]:
                aliases = await client.alias.list_all()
                if self._names.alias(Kind.CHUNK) not in aliases:
                    raise StoreUnavailable("Weaviate does not know our collections, or not yet")
                return [
                    alias
                    for alias, target in aliases.items()
                    if self._names.space(alias)
                    and await client.collections.exists(target.collection)
                    and await client.collections.use(target.collection).tenants.exists(self._tenant)
                ]

            self._spaces = await self._connection.administer(read, "reading the schema")
            self._spaces_read_at = time.monotonic()
        return self._spaces


def _of_documents(document_ids: Iterable[str]) -> FilterReturn:
    return Filter.by_property("document_id").contains_any([exact(i) for i in document_ids])


def _distinct_chunks(documents: Iterable[IndexedDocument]) -> dict[str, Chunk]:
    chunks: dict[str, Chunk] = {}
    for indexed in documents:
        for chunk in indexed.chunks:
            if chunk.id in chunks:
                raise StoreError(f"two chunks would have the id {chunk.id!r}; nothing was written")
            chunks[chunk.id] = chunk
    return chunks


def _refuse_foreign_chunks(
    rows: Iterable[ChunkRow], documents: Mapping[str, IndexedDocument]
) -> None:
    for row in rows:
        if row.chunk.document.id not in documents:
            raise StoreError(
                f"two chunks would have the id {row.chunk.id!r}, one of them of "
                f"{row.chunk.document.id!r}; nothing was written"
            )
