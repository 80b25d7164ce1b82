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
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from adapters.settings import EmbeddingsProvider
from benchmarks.footprint import process_row, resync_row
from benchmarks.generate import Generator, company_questions, stores_folder
from benchmarks.readers import scope_of
from benchmarks.report import Row, ms, p50, p95, ratio, show, write_json
from retrieval import ranking
from retrieval.access import AccessScope
from retrieval.analysis import language_of, query_tokens
from retrieval.components import ALPHA, Question
from retrieval.local_embedder import LocalEmbedder
from retrieval.pipeline import RETRIEVED, AnswerPipeline
from retrieval.store import ChunkStore, SearchQuery
from retrieval.types import Answer, FloatArray

_STEPS = ("retriever", "reranker", "judge")
_GROUPS_OF_A_READER = 20


@dataclass(slots=True)
class _Samples:
    """Seconds: whole turns with their steps, and the bare query with the same words, vector and scope."""

    turns: list[float] = field(default_factory=list)
    queries: list[float] = field(default_factory=list)
    steps: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in _STEPS})

    def row(self, size: int, caches: str) -> Row:
        return {
            "chunks": size,
            "caches": caches,
            "turn p50 ms": ms(p50(self.turns)),
            "turn p95 ms": ms(p95(self.turns)),
            "query p50 ms": ms(p50(self.queries)),
            "query p95 ms": ms(p95(self.queries)),
            "p50 ratio": ratio(p50(self.turns), p50(self.queries)),
            "p95 ratio": ratio(p95(self.turns), p95(self.queries)),
            **{f"{step} p50 ms": ms(p50(taken)) for step, taken in self.steps.items()},
        }


class _Turns:
    """Asks and searches in turn, so that what else the machine does hits both alike."""

    def __init__(self, store: ChunkStore, pipeline: AnswerPipeline) -> None:
        self._store = store
        self._pipeline = pipeline
        self.cold, self.warm = _Samples(), _Samples()

    async def measure(
        self, text: str, vector: FloatArray, repeats: int, rng: random.Random
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
        self, samples: _Samples, text: str, vector: FloatArray, scope: AccessScope
    ) -> None:
        query = SearchQuery(tuple(query_tokens(text)), vector, ALPHA)
        started = time.perf_counter()
        await self._store.search(query, scope, top_k=RETRIEVED)
        samples.queries.append(time.perf_counter() - started)


def _forget_texts() -> None:
    """Empty the caches of analysed passages, whichever they are."""
    for value in vars(ranking).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


async def turns(
    generator: Generator, folder: Path, size: int, *, limit: int, repeats: int, profile: bool
) -> list[Row]:
    store = await generator.open(folder, size)
    # An embedder of its own: in a cold turn the question's vector is computed too.
    own = LocalEmbedder()
    await own.load()
    pipeline = AnswerPipeline(store, embedder=own, model=None)
    measured = _Turns(store, pipeline)
    texts = company_questions()
    asked = random.Random(1).sample(texts, min(limit, len(texts)))
    assert generator.embedder is not None
    vectors = await generator.embedder.embed(asked)
    rng = random.Random(2)
    await _Turns(store, pipeline).measure("warm up", vectors[0], 1, rng)
    gc.collect()
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    for text, vector in zip(asked, vectors, strict=True):
        await measured.measure(text, vector, repeats, rng)
    if profile:
        profiler.disable()
        pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(20)
    await store.close()
    return [measured.cold.row(size, "cold"), measured.warm.row(size, "warm")]


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
    given = parser.parse_args()
    # Figures without a model, whatever this shell is set up for.
    os.environ.pop("OPENAI_API_KEY", None)
    with stores_folder(given.stores) as folder:
        results = asyncio.run(_run(given, folder))
        results["process"] = _processes(given.sizes, folder)
    for name, rows in results.items():
        if rows:
            show(name.capitalize(), rows)
    write_json(given.out, results)


async def _run(given: argparse.Namespace, folder: Path) -> dict[str, list[Row]]:
    generator = await Generator.load(LocalEmbedder())
    turn_rows: list[Row] = []
    for size in given.sizes:
        turn_rows += await turns(
            generator,
            folder / str(size),
            size,
            limit=given.limit,
            repeats=given.repeats,
            profile=given.profile,
        )
    resync_rows = [await resync_row(generator, size) for size in given.sync_sizes]
    return {"turns": turn_rows, "re-sync": resync_rows}


def _processes(sizes: list[int], folder: Path) -> list[Row]:
    rows = []
    for size in sizes:
        for provider in (EmbeddingsProvider.LOCAL, EmbeddingsProvider.NONE):
            # A fresh interpreter each: memory that was once used is never given back whole.
            spawn = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=spawn) as pool:
                rows.append(pool.submit(process_row, folder / str(size), size, provider).result())
    return rows


if __name__ == "__main__":
    main()
