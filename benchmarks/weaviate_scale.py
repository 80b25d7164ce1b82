"""Searches on Weaviate as the store grows: the access filter against none, ours against one bare request."""

import argparse
import asyncio
import random
import time
from collections.abc import Awaitable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.access_filter import READERS, scope_of_kind
from benchmarks.bare_weaviate import BareWeaviate, bare_weaviate
from benchmarks.engines import Engine, filled_store, place_for
from benchmarks.generate import Generator, company_questions, stores_folder
from benchmarks.report import Row, ms, p50, p95, ratio, show, write_json
from benchmarks.weaviate_server import weaviate_server
from retrieval.access import AccessScope
from retrieval.analysis import query_tokens
from retrieval.components import ALPHA
from retrieval.local_embedder import LocalEmbedder
from retrieval.pipeline import RETRIEVED
from retrieval.store import SearchQuery
from retrieval.weaviate_store import WeaviateStore


@dataclass(slots=True)
class _Samples:
    """
    Seconds, for one kind of scope.

    Attributes:
        new: Turning a scope that the store has not met into a condition on rows.
        found: Passages per search of ours.
    """

    new: list[float] = field(default_factory=list)
    unfiltered: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    found: list[int] = field(default_factory=list)

    def row(self, size: int, search: str, kind: str) -> Row:
        return {
            "chunks": size,
            "search": search,
            "scope": kind,
            "found": round(sum(self.found) / len(self.found)),
            "new scope p50 ms": ms(p50(self.new)),
            "unfiltered p50 ms": ms(p50(self.unfiltered)),
            "unfiltered p95 ms": ms(p95(self.unfiltered)),
            "filtered p50 ms": ms(p50(self.bare)),
            "filtered p95 ms": ms(p95(self.bare)),
            "filter p50": ratio(p50(self.bare), p50(self.unfiltered)),
            "filter p95": ratio(p95(self.bare), p95(self.unfiltered)),
            "ours p50 ms": ms(p50(self.ours)),
            "ours p95 ms": ms(p95(self.ours)),
            "ours / bare p50": ratio(p50(self.ours), p50(self.bare)),
            "ours / bare p95": ratio(p95(self.ours), p95(self.bare)),
        }


async def measure(
    store: WeaviateStore, bare: BareWeaviate, queries: list[SearchQuery], rounds: int
) -> dict[str, _Samples]:
    """Every question with every kind of scope, in changing order, so that what else runs here hits all alike."""
    rng = random.Random(7)
    samples = {kind: _Samples() for kind in READERS}
    for _ in range(rounds):
        for query in rng.sample(queries, len(queries)):
            for kind in rng.sample(list(READERS), len(READERS)):
                taken, scope = samples[kind], scope_of_kind(kind, rng)
                # The first look at a question reads its postings from disk, for whoever comes first.
                await bare.search(query, None)
                taken.new.append(await _seconds(store._sets.filter(scope)))
                taken.unfiltered.append(await _seconds(bare.search(query, None)))
                taken.bare.append(await _seconds(_filtered(store, bare, query, scope)))
                began = time.perf_counter()
                found = await store.search(query, scope, top_k=RETRIEVED)
                taken.ours.append(time.perf_counter() - began)
                taken.found.append(len(found))
    return samples


async def run(given: argparse.Namespace, folder: Path) -> dict[str, list[Row]]:
    embedder = None if given.no_vectors else LocalEmbedder()
    generator = await Generator.load(embedder)
    texts = company_questions()[: given.limit]
    tokens = [tuple(query_tokens(text)) for text in texts]
    searches = {"words": [SearchQuery(words) for words in tokens]}
    if embedder is not None:
        vectors = await embedder.embed(texts)
        searches["hybrid"] = [
            SearchQuery(words, vector, ALPHA) for words, vector in zip(tokens, vectors, strict=True)
        ]
    rows: list[Row] = []
    stores: list[Row] = []
    for size in given.sizes:
        plain = folder / f"weaviate-{size}{'' if embedder else '-words'}-plain"
        with ExitStack() as servers:
            # In a server of its own, so that the memory of ours can be told.
            bare_server = servers.enter_context(weaviate_server(plain))
            place = servers.enter_context(
                place_for(Engine.WEAVIATE, folder, size, vectors=embedder is not None)
            )
            async with (
                filled_store(place, generator, size) as (store, written),
                bare_weaviate(bare_server, generator, size) as bare,
            ):
                assert isinstance(store, WeaviateStore)
                for search, queries in searches.items():
                    samples = await measure(store, bare, queries, given.rounds)
                    rows += [taken.row(size, search, kind) for kind, taken in samples.items()]
                assert place.server is not None
                stores.append(
                    {
                        **written,
                        "after questions MB": place.server.memory_mb,
                        "with mapped files MB": place.server.resident_mb,
                    }
                )
        show("So far", rows)
    return {"searches": rows, "stores": stores}


async def _filtered(
    store: WeaviateStore, bare: BareWeaviate, query: SearchQuery, scope: AccessScope
) -> int:
    # The very condition that the store puts; no other part of it is in this figure.
    allowed = await store._sets.filter(scope)
    return 0 if allowed is None else await bare.search(query, allowed)


async def _seconds(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=1, help="how often each question is asked")
    parser.add_argument("--limit", type=int, default=100, help="how many questions")
    parser.add_argument("--no-vectors", action="store_true", help="write and search words alone")
    parser.add_argument("--stores", type=Path, help="keep generated stores here and use them again")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args()
    with stores_folder(given.stores) as folder:
        results = asyncio.run(run(given, folder))
    for name, rows in results.items():
        show(name.capitalize(), rows)
    write_json(given.out, results)


if __name__ == "__main__":
    main()
