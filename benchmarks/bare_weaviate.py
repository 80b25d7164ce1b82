"""The yardstick for our store: the same chunks in one plain collection, asked by one request of the client."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import weaviate
from weaviate.classes.config import (
    Configure,
    DataType,
    Property,
    StopwordsPreset,
    Tokenization,
    VectorDistances,
)
from weaviate.classes.data import DataObject
from weaviate.classes.init import Auth
from weaviate.classes.query import MetadataQuery
from weaviate.collections import CollectionAsync
from weaviate.collections.classes.filters import FilterReturn

from benchmarks.generate import Generator
from benchmarks.weaviate_server import WeaviateServer
from retrieval.access import AccessScope
from retrieval.analysis import index_tokens
from retrieval.pipeline import RETRIEVED
from retrieval.store import BM25_B, BM25_K1, ChunkStore, SearchQuery
from retrieval.types import Chunk
from retrieval.weaviate.rows import acl_properties
from retrieval.weaviate_store import WeaviateStore

_COLLECTION = "PlainChunk"
_BATCH = 200
_SHOWN = ["chunk_id", "text", "acl", "level"]


class BareWeaviate:
    """One request, as whoever writes against the client alone would send it: best hundred with their text."""

    def __init__(self, collection: CollectionAsync[Any, Any]) -> None:
        self._collection = collection

    async def search(self, query: SearchQuery, allowed: FilterReturn | None) -> int:
        """How many were found."""
        text = " ".join(query.tokens)
        if query.vector is None:
            found = await self._collection.query.bm25(
                text,
                query_properties=["tokens"],
                filters=allowed,
                limit=RETRIEVED,
                return_properties=_SHOWN,
                return_metadata=MetadataQuery(score=True),
            )
        else:
            found = await self._collection.query.hybrid(
                text,
                vector=query.vector.tolist(),
                alpha=query.alpha,
                query_properties=["tokens"],
                filters=allowed,
                limit=RETRIEVED,
                return_properties=_SHOWN,
                return_metadata=MetadataQuery(score=True),
            )
        return len(found.objects)


@asynccontextmanager
async def bare_weaviate(
    server: WeaviateServer, generator: Generator, chunks: int
) -> AsyncIterator[BareWeaviate]:
    """The plain collection on *server*, written first unless it is there."""
    rest, grpc = urlsplit(server.url), urlsplit(server.grpc_url)
    client = weaviate.use_async_with_custom(
        str(rest.hostname),
        int(rest.port or 80),
        rest.scheme == "https",
        str(grpc.hostname),
        int(grpc.port or 50051),
        grpc.scheme == "https",
        auth_credentials=Auth.api_key(server.api_key),
        skip_init_checks=True,
    )
    async with client:
        name = f"{_COLLECTION}{chunks}{'' if generator.embedder else 'Words'}"
        if not await client.collections.exists(name):
            await _create(client, name, has_vectors=generator.embedder is not None)
        collection: CollectionAsync[Any, Any] = client.collections.use(name)
        if (await collection.aggregate.over_all(total_count=True)).total_count != chunks:
            await _write(collection, generator, chunks)
        yield BareWeaviate(collection)


@asynccontextmanager
async def bare_search(
    server: WeaviateServer, generator: Generator, chunks: int, store: ChunkStore
) -> AsyncIterator[Callable[[SearchQuery, AccessScope], Awaitable[int]]]:
    """Bare searches with the very condition on the rows that *store* would put."""
    assert isinstance(store, WeaviateStore)
    async with bare_weaviate(server, generator, chunks) as bare:

        async def search(query: SearchQuery, scope: AccessScope) -> int:
            # Nothing else of the store takes part, and nobody else is to have an unchecked search.
            allowed = await store._sets.filter(scope)
            return 0 if allowed is None else await bare.search(query, allowed)

        yield search


async def _create(client: weaviate.WeaviateAsyncClient, name: str, *, has_vectors: bool) -> None:
    await client.collections.create(
        name,
        properties=[
            _exact("chunk_id", is_filterable=False),
            _exact("text", is_filterable=False),
            Property(
                name="tokens",
                data_type=DataType.TEXT,
                tokenization=Tokenization.WHITESPACE,
                index_filterable=False,
            ),
            _exact("acl", data_type=DataType.TEXT_ARRAY),
            Property(name="level", data_type=DataType.INT),
            _exact("acl_set"),
        ],
        vector_config=Configure.Vectors.self_provided(
            vector_index_config=Configure.VectorIndex.hnsw(
                distance_metric=VectorDistances.COSINE,
                quantizer=Configure.VectorIndex.Quantizer.none(),
            )
            if has_vectors
            else Configure.VectorIndex.none()
        ),
        inverted_index_config=Configure.inverted_index(
            bm25_b=BM25_B, bm25_k1=BM25_K1, stopwords_preset=StopwordsPreset.NONE
        ),
    )


async def _write(collection: CollectionAsync[Any, Any], generator: Generator, chunks: int) -> None:
    async for documents, vectors, _ in generator.batches(chunks):
        listed = [chunk for indexed in documents for chunk in indexed.chunks]
        for start in range(0, len(listed), _BATCH):
            rows = [
                DataObject(
                    properties=_properties(chunk),
                    vector=vectors[chunk.id].tolist() if vectors else None,
                )
                for chunk in listed[start : start + _BATCH]
            ]
            result = await collection.data.insert_many(rows)
            if result.errors:
                raise SystemExit(f"Weaviate did not write: {next(iter(result.errors.values()))}")


def _exact(
    name: str, *, data_type: DataType = DataType.TEXT, is_filterable: bool = True
) -> Property:
    return Property(
        name=name,
        data_type=data_type,
        tokenization=Tokenization.FIELD,
        index_filterable=is_filterable,
        index_searchable=False,
    )


def _properties(chunk: Chunk) -> dict[str, Any]:
    return {
        "chunk_id": chunk.id,
        "text": chunk.text,
        "tokens": " ".join(index_tokens(chunk)),
        **acl_properties(chunk.acl),
    }
