"""The stores that are measured: generated ones, embedded in this process or on a Weaviate server."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr

from adapters.app import open_store
from adapters.settings import EmbeddingsProvider, EmbeddingsSettings, Settings, WeaviateSettings
from benchmarks.generate import Generator
from benchmarks.report import Row
from benchmarks.weaviate_server import WeaviateServer, weaviate_server
from retrieval.store import ChunkStore

# Writing a large store waits for the server's disk, however long a search may take.
_TIMEOUT_S = 60.0


class Engine(StrEnum):
    EMBEDDED = "embedded"
    WEAVIATE = "weaviate"


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a store lies; can be handed to another process.

    Attributes:
        server: None for the embedded engine.
    """

    folder: Path
    tenant: str
    server: WeaviateServer | None

    def settings(self, provider: EmbeddingsProvider) -> Settings:
        embeddings = EmbeddingsSettings(provider=provider)
        if self.server is None:
            return Settings(tenant=self.tenant, embeddings=embeddings)
        return Settings(
            tenant=self.tenant,
            embeddings=embeddings,
            weaviate=WeaviateSettings(
                url=self.server.url,
                grpc_url=self.server.grpc_url,
                api_key=SecretStr(self.server.api_key),
                timeout_s=_TIMEOUT_S,
            ),
        )

    @property
    def store_folder(self) -> Path | None:
        return None if self.server else self.folder

    async def open(self, embedder_name: str | None) -> ChunkStore:
        settings = self.settings(EmbeddingsProvider.NONE)
        return await open_store(settings, embedder_name, folder=self.store_folder)


@contextmanager
def place_for(engine: Engine, folder: Path, chunks: int, *, vectors: bool) -> Iterator[Place]:
    """The place of the store of *chunks* chunks below *folder*, its server running."""
    name = f"{chunks}" if vectors else f"{chunks}-words"
    if engine is Engine.EMBEDDED:
        yield Place(folder / name, "generated", None)
        return
    with weaviate_server(folder / f"weaviate-{name}") as server:
        yield Place(folder, f"generated-{name}", server)


@asynccontextmanager
async def filled_store(
    place: Place, generator: Generator, chunks: int
) -> AsyncIterator[tuple[ChunkStore, Row]]:
    """The store at *place* with *chunks* generated chunks, and what it took to write those that were missing."""
    store = await place.open(generator.embedder.name if generator.embedder else None)
    try:
        if not await generator.has_filled(store, chunks):
            await generator.prepare()
        began = time.perf_counter()
        written = await generator.fill(store, chunks)
        took = time.perf_counter() - began
        if written:
            await asyncio.sleep(5)  # Until the server has settled.
        yield (
            store,
            {
                "chunks": chunks,
                "vectors": "yes" if generator.embedder else "no",
                "written": written,
                "write s": round(took, 1) if written else None,
                "chunks per s": round(written / took) if written else None,
                "server MB": place.server.memory_mb if place.server else None,
            },
        )
    finally:
        await store.close()
