"""Our own time in a turn without a model, against the bare store query; memory, start and re-sync."""

import argparse
import asyncio
import cProfile
import gc
import multiprocessing
import os
import pstats
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from adapters.settings import EmbeddingsProvider
from benchmarks.engines import Engine, Place, filled_store, place_for
from benchmarks.footprint import process_row, resync_row
from benchmarks.generate import Generator, company_questions, stores_folder
from benchmarks.readers import scope_of
from benchmarks.report import Row, ms, p50, p95, ratio, show, write_json
from benchmarks.weaviate_server import WeaviateServer, weaviate_server
from retrieval import ranking
from retrieval.access import AccessScope
from retrieval.analysis import language_of, query_tokens
from retrieval.components import ALPHA, Question
from retrieval.local_embedder import LocalEmbedder
from retrieval.pipeline import RETRIEVED, AnswerPipeline
from retrieval.store import ChunkStore, SearchQuery
from retrieval.types import Answer, FloatArray

BareSearch = Callable[[SearchQuery, AccessScope], Awaitable[object]]

_STEPS = ("retriever", "reranker", "judge")
_GROUPS_OF_A_READER = 20


@dataclass(slots=True)
class _Samples:
    """
    Seconds: whole turns with their steps, and the store's query with the same words, vector and scope.

    Attributes:
        bare: On Weaviate, one request of the plain client instead, with the same filter.
    """

    turns: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    queries: list[float] = field(default_factory=list)
    steps: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in _STEPS})

    def row(self, size: int, engine: Engine, caches: str) -> Row:
        bare: Row = {}
        if self.bare:
            bare = {
                "bare p50 ms": ms(p50(self.bare)),
                "bare p95 ms": ms(p95(self.bare)),
                "p50 to bare": ratio(p50(self.turns), p50(self.bare)),
                "p95 to bare": ratio(p95(self.turns), p95(self.bare)),
            }
        return {
            "engine": engine.value,
            "chunks": size,
            "caches": caches,
            "turn p50 ms": ms(p50(self.turns)),
            "turn p95 ms": ms(p95(self.turns)),
            "query p50 ms": ms(p50(self.queries)),
            "query p95 ms": ms(p95(self.queries)),
            "p50 ratio": ratio(p50(self.turns), p50(self.queries)),
            "p95 ratio": ratio(p95(self.turns), p95(self.queries)),
            **bare,
            **{f"{step} p50 ms": ms(p50(taken)) for step, taken in self.steps.items()},
        }


class Given(argparse.Namespace):
    """What the command line says."""

    engine: Engine
    sizes: list[int]
    limit: int
    repeats: int
    sync_sizes: list[int]
    no_vectors: bool
    profile: bool
    stores: Path | None
    out: Path | None


class _Turns:
    """Asks and searches in turn, so that what else the machine does hits both alike."""

    def __init__(
        self, store: ChunkStore, pipeline: AnswerPipeline, bare: BareSearch | None
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        self._bare = bare
        self.cold, self.warm = _Samples(), _Samples()

    async def measure(
        self, text: str, vector: FloatArray | None, repeats: int, rng: random.Random
    ) -> None:
        scope = scope_of(rng, readers=1, groups=_GROUPS_OF_A_READER)
        _forget_texts()
        # Whoever comes first finds the scope and the pages of the store cold; each does half the time.
        if rng.random() < 0.5:
            await self._search(self.cold, text, vector, scope)
            await self._ask(self.cold, text, scope)
        else:
            await self._ask(self.cold, text, scope)
            await self._search(self.cold, text, vector, scope)
        for _ in range(repeats):
            await self._ask(self.warm, text, scope)
            await self._search(self.warm, text, vector, scope)

    async def _ask(self, samples: _Samples, text: str, scope: AccessScope) -> Answer:
        started = time.perf_counter()
        answer = await self._pipeline.ask(Question(text, language_of(text), (text,)), scope)
        samples.turns.append(time.perf_counter() - started)
        for step, taken in samples.steps.items():
            taken.append(answer.timings_s[step])
        return answer

    async def _search(
        self, samples: _Samples, text: str, vector: FloatArray | None, scope: AccessScope
    ) -> None:
        alpha = 0.0 if vector is None else ALPHA
        query = SearchQuery(tuple(query_tokens(text)), vector, alpha)
        started = time.perf_counter()
        await self._store.search(query, scope, top_k=RETRIEVED)
        samples.queries.append(time.perf_counter() - started)
        if self._bare is not None:
            started = time.perf_counter()
            await self._bare(query, scope)
            samples.bare.append(time.perf_counter() - started)


def _forget_texts() -> None:
    """Empty the caches of analysed passages, whichever they are."""
    for value in vars(ranking).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


async def turns(
    generator: Generator, place: Place, size: int, bare_server: WeaviateServer | None, given: Given
) -> tuple[list[Row], Row]:
    async with AsyncExitStack() as opened:
        store, written = await opened.enter_async_context(filled_store(place, generator, size))
        bare: BareSearch | None = None
        if bare_server is not None:
            # Only here: the driver takes a second to import.
            from benchmarks.bare_weaviate import bare_search

            bare = await opened.enter_async_context(
                bare_search(bare_server, generator, size, store)
            )
        # An embedder of its own: in a cold turn the question's vector is computed too.
        own = LocalEmbedder() if generator.embedder else None
        if own is not None:
            await own.load()
        pipeline = AnswerPipeline(store, embedder=own, model=None)
        measured = _Turns(store, pipeline, bare)
        texts = company_questions()
        asked = random.Random(1).sample(texts, min(given.limit, len(texts)))
        vectors: Sequence[FloatArray | None] = [None] * len(asked)
        if generator.embedder is not None:
            vectors = list(await generator.embedder.embed(asked))
        rng = random.Random(2)
        await _Turns(store, pipeline, bare).measure("warm up", vectors[0], 1, rng)
        gc.collect()
        profiler = cProfile.Profile()
        if given.profile:
            profiler.enable()
        for text, vector in zip(asked, vectors, strict=True):
            await measured.measure(text, vector, given.repeats, rng)
        if given.profile:
            profiler.disable()
            pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(20)
    return [
        measured.cold.row(size, given.engine, "cold"),
        measured.warm.row(size, given.engine, "warm"),
    ], written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--limit", type=int, default=100, help="how many questions")
    parser.add_argument("--repeats", type=int, default=3, help="warm turns per question")
    parser.add_argument(
        "--sync-sizes",
        type=int,
        nargs="*",
        default=[1_000, 10_000],
        help="chunks in the folders that are synchronised twice",
    )
    parser.add_argument("--profile", action="store_true", help="print where the turns spend time")
    parser.add_argument("--stores", type=Path, help="keep generated stores here and use them again")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    parser.add_argument(
        "--engine", type=Engine, choices=list(Engine), default=Engine.EMBEDDED, help="which store"
    )
    parser.add_argument("--no-vectors", action="store_true", help="write and search words alone")
    given = parser.parse_args(namespace=Given())
    # Figures without a model, whatever this shell is set up for.
    os.environ.pop("OPENAI_API_KEY", None)
    results: dict[str, list[Row]] = {"turns": [], "stores": [], "process": []}
    with stores_folder(given.stores) as folder:
        for size in given.sizes:
            _measure(given, folder, size, results)
        results["re-sync"] = asyncio.run(_resync(given.sync_sizes))
    for name, rows in results.items():
        if rows:
            show(name.capitalize(), rows)
    write_json(given.out, results)


def _measure(given: Given, folder: Path, size: int, results: dict[str, list[Row]]) -> None:
    has_vectors = not given.no_vectors
    with ExitStack() as servers:
        bare_server = None
        if given.engine is Engine.WEAVIATE:
            # In a server of its own, so that the memory of ours can be told.
            plain = folder / f"weaviate-{size}{'' if has_vectors else '-words'}-plain"
            bare_server = servers.enter_context(weaviate_server(plain))
        place = servers.enter_context(place_for(given.engine, folder, size, vectors=has_vectors))
        turn_rows, written = asyncio.run(_turns(place, size, bare_server, given))
        results["turns"] += turn_rows
        results["stores"].append(written)
        results["process"] += _processes(place, size, has_vectors=has_vectors)


async def _turns(
    place: Place, size: int, bare_server: WeaviateServer | None, given: Given
) -> tuple[list[Row], Row]:
    generator = await Generator.load(None if given.no_vectors else LocalEmbedder())
    return await turns(generator, place, size, bare_server, given)


async def _resync(sizes: Sequence[int]) -> list[Row]:
    generator = await Generator.load(None)
    return [await resync_row(generator, size) for size in sizes]


def _processes(place: Place, size: int, *, has_vectors: bool) -> list[Row]:
    rows = []
    providers = [EmbeddingsProvider.LOCAL] if has_vectors else []
    for provider in (*providers, EmbeddingsProvider.NONE):
        # A fresh interpreter each: memory that was once used is never given back whole.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            rows.append(pool.submit(process_row, place, size, provider).result())
    return rows


if __name__ == "__main__":
    main()
