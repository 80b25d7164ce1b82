"""Our side of the comparison, in a process of its own: the same questions over the same corpora, as JSON lines."""

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any

from adapters.app import open_knowledge
from adapters.settings import EmbeddingsProvider
from benchmarks.engines import Place
from benchmarks.footprint import resident_mb
from benchmarks.parity import Corpus, corpora_in
from benchmarks.weaviate_server import WeaviateServer
from retrieval.analysis import language_of, query_tokens
from retrieval.components import Question
from retrieval.store import SearchQuery

_RANKED_CHUNKS = 50


async def ask(
    corpus: Corpus, place: Place, provider: EmbeddingsProvider, *, store_alone: bool
) -> list[dict[str, Any]]:
    """
    Rankings as the pipeline makes them, up to what would be judged and answered from.

    Args:
        store_alone: One search of the store by words instead: no translation, nothing reranked.
    """
    results: list[dict[str, Any]] = []
    async with open_knowledge(place.settings(provider)) as knowledge:
        await knowledge.ingest(corpus.connector(), on_progress=lambda _: None)
        for question in corpus.questions:
            search = Question(question.text, language_of(question.text), (question.text,))
            scope = corpus.scope(question)
            began = time.perf_counter()
            if store_alone:
                query = SearchQuery(tuple(query_tokens(question.text)))
                found = await knowledge.store.search(query, scope, top_k=_RANKED_CHUNKS)
            else:
                found = await knowledge.pipeline.search(search, scope, top_k=_RANKED_CHUNKS)
            results.append(
                {
                    "set": corpus.name,
                    "query_id": question.id,
                    "ranked": list(dict.fromkeys(p.chunk.document.id for p in found)),
                    "seconds": time.perf_counter() - began,
                }
            )
    return results


async def run(given: argparse.Namespace) -> list[dict[str, Any]]:
    provider = EmbeddingsProvider(given.embeddings)
    server = WeaviateServer(given.url, given.grpc_url, given.api_key)
    results: list[dict[str, Any]] = []
    for corpus in corpora_in(given.sets, None):
        if corpus.acl is None and (corpus.path.parent / "acl.json").exists():
            continue
        if given.only and corpus.name not in given.only:
            continue
        name = "".join(character for character in corpus.name if character.isalnum())
        place = Place(given.sets, f"beside-{provider}-{name}", server)
        results += await ask(corpus, place, provider, store_alone=given.store_alone)
    return [*results, {"memory_mb": resident_mb()}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--grpc-url", required=True)
    parser.add_argument("--api-key", required=True)
    parser.add_argument("--embeddings", required=True)
    parser.add_argument("--store-alone", action="store_true")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    lines = [json.dumps(row) + "\n" for row in asyncio.run(run(given))]
    given.out.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
