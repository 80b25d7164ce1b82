"""What the access filter costs embedded: the same questions unfiltered, for one reader, and for rooms of many."""

import argparse
import asyncio
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engines import Engine, filled_store, place_for
from benchmarks.generate import Generator, company_questions, stores_folder
from benchmarks.readers import everything, scope_of
from benchmarks.report import Row, ms, p50, p95, ratio, show, write_json
from retrieval.access import AccessScope
from retrieval.analysis import query_tokens
from retrieval.components import ALPHA
from retrieval.local_embedder import LocalEmbedder
from retrieval.pipeline import RETRIEVED
from retrieval.store import ChunkStore, SearchQuery
from retrieval.types import FloatArray

UNFILTERED = "everything"
READERS = {
    "1 reader, 1 group": (1, 1),
    "1 reader, 20 groups": (1, 20),
    "1 reader, 200 groups": (1, 200),
    "5 readers, 120 groups each": (5, 120),
    "20 readers, 120 groups each": (20, 120),
    "50 readers, 120 groups each": (50, 120),
}


@dataclass(slots=True)
class _Samples:
    """
    Seconds per search for one kind of scope.

    Attributes:
        new: The first search with a scope that the store has not met, so that it is evaluated.
        known: Searches with the same scope afterwards.
        found: Passages per search.
    """

    new: list[float] = field(default_factory=list)
    known: list[float] = field(default_factory=list)
    found: list[int] = field(default_factory=list)


async def measure(
    store: ChunkStore, questions: list[tuple[str, FloatArray]], *, hybrid: bool, rounds: int
) -> dict[str, _Samples]:
    """Every question with every kind of scope, in changing order, so that what else runs here hits all alike."""
    rng = random.Random(7)
    kinds = [UNFILTERED, *READERS]
    samples = {kind: _Samples() for kind in kinds}
    for _ in range(rounds):
        for text, vector in rng.sample(questions, len(questions)):
            tokens = tuple(query_tokens(text))
            query = SearchQuery(tokens, vector, ALPHA) if hybrid else SearchQuery(tokens)
            # The first look at a question reads its postings from disk, for whoever comes first.
            await store.search(query, everything(), top_k=RETRIEVED)
            for kind in rng.sample(kinds, len(kinds)):
                taken = samples[kind]
                scope = scope_of_kind(kind, rng)
                first, _ = await _timed(store, query, scope)
                again, found = await _timed(store, query, scope)
                taken.new.append(first)
                taken.known.append(again)
                taken.found.append(found)
    return samples


async def run(sizes: list[int], folder: Path, rounds: int, limit: int) -> list[Row]:
    embedder = LocalEmbedder()
    generator = await Generator.load(embedder)
    texts = company_questions()[:limit]
    questions = list(zip(texts, await embedder.embed(texts), strict=True))
    rows: list[Row] = []
    for size in sizes:
        with place_for(Engine.EMBEDDED, folder, size, vectors=True) as place:
            async with filled_store(place, generator, size) as (store, _):
                for hybrid in (False, True):
                    samples = await measure(store, questions, hybrid=hybrid, rounds=rounds)
                    rows += _rows(size, "hybrid" if hybrid else "words", samples)
    return rows


async def _timed(store: ChunkStore, query: SearchQuery, scope: AccessScope) -> tuple[float, int]:
    started = time.perf_counter()
    found = await store.search(query, scope, top_k=RETRIEVED)
    return time.perf_counter() - started, len(found)


def scope_of_kind(kind: str, rng: random.Random) -> AccessScope:
    if kind == UNFILTERED:
        return everything()
    readers, groups = READERS[kind]
    return scope_of(rng, readers=readers, groups=groups)


def _rows(size: int, search: str, samples: dict[str, _Samples]) -> list[Row]:
    base = samples[UNFILTERED].known
    return [
        {
            "chunks": size,
            "search": search,
            "scope": kind,
            "found": round(sum(taken.found) / len(taken.found)),
            "p50 ms": ms(p50(taken.known)),
            "p95 ms": ms(p95(taken.known)),
            "p50 ratio": ratio(p50(taken.known), p50(base)),
            "p95 ratio": ratio(p95(taken.known), p95(base)),
            "new scope p50 ms": ms(p50(taken.new)),
            "new scope ratio": ratio(p50(taken.new), p50(base)),
        }
        for kind, taken in samples.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=2, help="how often each question is asked")
    parser.add_argument("--limit", type=int, default=100, help="how many questions")
    parser.add_argument(
        "--stores", type=Path, help="keep the generated stores here, and use them again"
    )
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args()
    with stores_folder(given.stores) as folder:
        rows = asyncio.run(run(given.sizes, folder, given.rounds, given.limit))
    show("Access filter", rows)
    write_json(given.out, {"access_filter": rows})


if __name__ == "__main__":
    main()
