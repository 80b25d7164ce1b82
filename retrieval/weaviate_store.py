"""The store for production: one tenant of a Weaviate server, ranked as the embedded engine ranks."""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from weaviate.classes.query import Filter, MetadataQuery
from weaviate.collections.classes.filters import FilterReturn

from retrieval.access import AccessScope, Acl
from retrieval.errors import StoreError, StoreUnavailable
from retrieval.packed_vectors import cosines
from retrieval.store import (
    BM25_K1,
    CANDIDATES,
    SearchQuery,
    SourceSummary,
    StoreCounts,
    relative_score_fusion,
    summed_up,
)
from retrieval.types import Chunk, Document, FloatArray, IndexedDocument, Passage
from retrieval.weaviate.access_sets import AccessSets
from retrieval.weaviate.address import Address
from retrieval.weaviate.batches import PAGE_ROWS, is_about_dimensions, read_all, read_rows
from retrieval.weaviate.connection import Connection
from retrieval.weaviate.copies import Copies
from retrieval.weaviate.gate import Gate
from retrieval.weaviate.layout import Kind, Names, space_of
from retrieval.weaviate.rows import (
    CHUNK_PROPERTIES,
    DOCUMENT_PROPERTIES,
    SHOWN_PROPERTIES,
    ChunkRow,
    chunk_from,
    document_from,
    row_id,
    sentences_in,
)
from retrieval.weaviate.schema import prepare
from retrieval.weaviate.spaces import VectorSpace, drop_space, spaces_of
from retrieval.weaviate.writer import Writer


@dataclass(frozen=True, slots=True)
class _Hit:
    score: float
    row: ChunkRow


class WeaviateStore:
    """
    A `ChunkStore` that is one tenant of a Weaviate server.

    The server's filter only proposes: before a chunk leaves, its access list is asked again, as it
    was read in the same reply as the text. The two rankings are two requests side by side and fused
    here, since Weaviate's own hybrid search tells neither of the two scores that a passage carries.
    The one by words brings what is shown along; a third request reads what only the vectors found.
    Rankings agree with the definition's but for deletions, which go on counting in the
    word statistics until Weaviate has compacted them away, and for which of many chunks that tie
    at the last of `CANDIDATES` is cut off.

    Any number of processes may use a tenant. A write is not one transaction: broken off anywhere,
    it leaves fewer passages and never more, and the document looks changed to the next sync.
    """

    def __init__(
        self, connection: Connection, names: Names, *, tenant: str, embedder_name: str | None
    ) -> None:
        space = None if embedder_name is None else space_of(embedder_name)
        connection.admit_change = Gate(connection, names).admit
        self._connection = connection
        self._names = names
        self._tenant = tenant
        self._space = space
        self._documents = names.alias(Kind.DOCUMENT)
        self._chunks = names.alias(Kind.CHUNK)
        self._vectors = None if space is None else names.vectors(space)
        self._sets = AccessSets(connection, names.alias(Kind.ACL_SET))
        self._writer = Writer(connection, names, self._sets, tenant=tenant, space=space)

    @classmethod
    async def open(
        cls,
        *,
        url: str,
        grpc_url: str | None = None,
        api_key: str | None = None,
        tenant: str,
        embedder_name: str | None,
        timeout_s: float = 10.0,
        replicas: int = 1,
        name_prefix: str = "Shifu",
    ) -> Self:
        """
        Open the tenant, made if need be with all collections.

        Args:
            url: Where REST is served; https means TLS for gRPC too.
            grpc_url: Where gRPC is served; None is port 50051 of the same host.
            embedder_name: `Embedder.name` of whoever will write and search vectors. Each embedder has
                vectors of its own: with another name all chunks are without one, to be computed
                anew, while processes that still use the old name go on with theirs. None: words alone.
            timeout_s: Longest wait for one request of a search.
            replicas: On how many of the server's nodes collections are kept that are made now.

        Raises:
            StoreUnavailable: If no server answers.
            StoreDamaged: If a collection is not as it must be; nothing was changed.
            StoreError: If an argument or the key is wrong.
        """
        names = Names(name_prefix)
        address = Address.parse(url, grpc_url)
        connection = Connection(address, api_key=api_key, tenant=tenant, timeout_s=timeout_s)
        await connection.open()
        try:
            await prepare(
                connection, names, tenant=tenant, embedder_name=embedder_name, replicas=replicas
            )
            store = cls(connection, names, tenant=tenant, embedder_name=embedder_name)
            await _try_grpc(store._sets, address)
        except BaseException:
            await connection.close()
            raise
        return store

    async def search(self, query: SearchQuery, scope: AccessScope, *, top_k: int) -> list[Passage]:
        if scope.is_empty or top_k < 1:
            return []
        allowed = await self._sets.filter(scope)
        if allowed is None:
            return []
        properties = _properties(with_sentences=query.vector is not None)
        by_words, similarity = await asyncio.gather(
            self._rank_by_words(query, allowed, properties), self._rank_by_vector(query, allowed)
        )
        by_words = {i: hit for i, hit in by_words.items() if scope.allows(hit.row.chunk.acl)}
        lexical = {chunk_id: hit.score for chunk_id, hit in by_words.items()}
        fused = relative_score_fusion(lexical, similarity, alpha=query.alpha)
        best_first = sorted(fused, key=lambda chunk_id: (-fused[chunk_id], chunk_id))
        read = {chunk_id: hit.row for chunk_id, hit in by_words.items()}
        rows = await self._first_allowed(best_first, read, scope, top_k, properties)
        sentences = self._sentence_similarity(rows, query)
        return [
            Passage(
                chunk=row.chunk,
                score=fused[row.chunk.id],
                lexical=lexical.get(row.chunk.id, 0.0),
                similarity=similarity.get(row.chunk.id),
                sentence_similarity=sentences.get(row.chunk.id, ()),
            )
            for row in rows
        ]

    async def fetch(self, chunk_ids: Sequence[str], scope: AccessScope) -> list[Chunk]:
        if scope.is_empty or not chunk_ids:
            return []
        found = await self._read_allowed(
            list(dict.fromkeys(chunk_ids)), scope, _properties(with_sentences=False)
        )
        return [found[chunk_id].chunk for chunk_id in chunk_ids if chunk_id in found]

    async def sources(self, scope: AccessScope) -> list[SourceSummary]:
        """Reads all documents: a cursor, which alone gets beyond 10,000, takes no filter."""
        if scope.is_empty:
            return []
        rows = read_all(
            self._connection, self._documents, DOCUMENT_PROPERTIES, "summing up the sources"
        )
        return summed_up(
            [
                (document.source, document.modified_at)
                async for _, properties in rows
                # While a write is not finished, the record's list is wider than that of the chunks.
                if (document := document_from(properties)).content_hash
                and scope.allows(document.acl)
            ]
        )

    async def write(self, documents: Sequence[IndexedDocument]) -> None:
        await self._writer.write(documents)

    async def change_acl(self, document_id: str, acl: Acl) -> None:
        await self._writer.change_acl(document_id, acl)

    async def delete(self, document_ids: Sequence[str]) -> int:
        return await self._writer.delete(document_ids)

    async def documents(self, *, source: str | None = None) -> list[Document]:
        found = [
            document_from(properties)
            async for _, properties in read_all(
                self._connection, self._documents, DOCUMENT_PROPERTIES, "listing documents"
            )
        ]
        return sorted((d for d in found if source in (None, d.source)), key=lambda d: d.id)

    async def chunks_without_vector(self, *, limit: int) -> list[Chunk]:
        """At most 1,000 at once, whatever the *limit*."""
        if limit < 1:
            return []
        found = await self._connection.ask(
            self._chunks,
            lambda chunks: chunks.query.fetch_objects(
                filters=self._without_vector(),
                limit=min(limit, PAGE_ROWS),
                return_properties=CHUNK_PROPERTIES,
            ),
            "looking for chunks without a vector",
        )
        return [chunk_from(row.properties).chunk for row in found.objects]

    async def write_vectors(
        self,
        vectors: Mapping[str, FloatArray],
        *,
        sentences: Mapping[str, FloatArray] | None = None,
    ) -> None:
        await self._writer.write_vectors(vectors, sentences or {})

    async def counts(self) -> StoreCounts:
        # Not the chunks without one: Weaviate counts what was deleted as having none.
        documents, chunks, with_vector = await asyncio.gather(
            self._count(self._documents),
            self._count(self._chunks),
            self._count(self._chunks, Filter.by_property("spaces").contains_any([self._space]))
            if self._space
            else _none(),
        )
        return StoreCounts(documents, chunks, chunks - with_vector)

    def copies(self, origin: str) -> Copies:
        """For copying another store, named *origin*, into this one."""
        return Copies(self._connection, self._names, self._writer, origin)

    async def other_vectors(self) -> list[VectorSpace]:
        """The vectors of this tenant that other embedders have made, whether anybody uses them or not."""
        spaces = await spaces_of(self._connection, self._names, self._tenant)
        return [space for space in spaces if space.space != self._space]

    async def drop_vectors(self, space: VectorSpace, *, on_rows: Callable[[int], None]) -> None:
        """Give them up; processes that still search with them fail from then on."""
        await drop_space(self._connection, self._names, self._tenant, space, on_rows=on_rows)

    async def close(self) -> None:
        await self._connection.close()

    async def _rank_by_words(
        self, query: SearchQuery, allowed: FilterReturn, properties: list[str]
    ) -> dict[str, _Hit]:
        if not query.tokens:
            return {}
        found = await self._connection.ask(
            self._chunks,
            lambda chunks: chunks.query.bm25(
                " ".join(query.tokens),
                query_properties=["tokens"],
                filters=allowed,
                limit=CANDIDATES,
                # The server reads whole objects either way: a second look costs as much as this one.
                return_properties=properties,
                return_metadata=MetadataQuery(score=True),
            ),
            "a search by words",
        )
        # Weaviate leaves out BM25's constant factor.
        hits = [
            _Hit((BM25_K1 + 1) * (row.metadata.score or 0.0), chunk_from(row.properties))
            for row in found.objects
        ]
        return {hit.row.chunk.id: hit for hit in hits}

    async def _rank_by_vector(self, query: SearchQuery, allowed: FilterReturn) -> dict[str, float]:
        if self._vectors is None or query.vector is None or query.alpha <= 0:
            return {}
        vector = query.vector.tolist()
        try:
            found = await self._connection.ask(
                self._vectors,
                lambda vectors: vectors.query.near_vector(
                    vector,
                    filters=allowed,
                    limit=CANDIDATES,
                    return_properties=["chunk_id"],
                    return_metadata=MetadataQuery(distance=True),
                ),
                "a search by meaning",
            )
        except StoreError as error:
            if is_about_dimensions(error.__cause__):
                raise ValueError(f"the vectors have other dimensions than {len(vector)}") from error
            raise
        return {
            row.properties["chunk_id"]: 1.0 - (row.metadata.distance or 0.0)
            for row in found.objects
        }

    async def _first_allowed(
        self,
        best_first: Sequence[str],
        read: Mapping[str, ChunkRow],
        scope: AccessScope,
        top_k: int,
        properties: list[str],
    ) -> list[ChunkRow]:
        """The first *top_k* that exist and that *scope* allows: of those *read* already, and of the others."""
        rows = dict(read)
        found: list[ChunkRow] = []
        start = 0
        while len(found) < top_k and start < len(best_first):
            wanted = best_first[start : start + top_k - len(found)]
            unread = [chunk_id for chunk_id in wanted if chunk_id not in rows]
            rows |= await self._read_allowed(unread, scope, properties)
            found += [rows[chunk_id] for chunk_id in wanted if chunk_id in rows]
            start += len(wanted)
        return found

    async def _read_allowed(
        self, chunk_ids: Sequence[str], scope: AccessScope, properties: list[str]
    ) -> dict[str, ChunkRow]:
        ids: list[uuid.UUID] = [row_id(chunk_id) for chunk_id in chunk_ids]
        found = await read_rows(self._connection, self._chunks, ids, properties, "reading passages")
        rows = map(chunk_from, found.values())
        return {row.chunk.id: row for row in rows if scope.allows(row.chunk.acl)}

    def _sentence_similarity(
        self, rows: Sequence[ChunkRow], query: SearchQuery
    ) -> dict[str, tuple[float, ...]]:
        if query.vector is None or self._space is None:
            return {}
        packed = {
            row.chunk.id: sentences
            for row in rows
            if (sentences := sentences_in(self._space, row.sentences))
        }
        return cosines(packed, query.vector)

    def _without_vector(self) -> FilterReturn | None:
        # Without an embedder nothing has a vector that could be used.
        if self._space is None:
            return None
        return Filter.by_property("spaces").contains_none([self._space])

    async def _count(self, collection: str, where: FilterReturn | None = None) -> int:
        async def count(rows: Any) -> int:
            found = await rows.aggregate.over_all(total_count=True, filters=where)
            return int(found.total_count or 0)

        return await self._connection.ask(collection, count, "counting")


def _properties(*, with_sentences: bool) -> list[str]:
    return [*SHOWN_PROPERTIES, *(["sentences"] if with_sentences else [])]


async def _none() -> int:
    return 0


async def _try_grpc(sets: AccessSets, address: Address) -> None:
    """The first thing that goes over gRPC, whose port may be another firewall's matter."""
    try:
        await sets.refresh()
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"Weaviate answers at {address.rest}, but its gRPC port {address.grpc} does not; "
            "check SHIFU_WEAVIATE__GRPC_URL"
        ) from error
