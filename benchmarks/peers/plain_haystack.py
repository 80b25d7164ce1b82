"""
The peer: a search with access groups as one writes it with Haystack and weaviate-haystack, by their defaults.

It needs neither Shifu nor its packages, and is no part of them. In an environment of its own:

    uv venv /tmp/peer && uv pip install --python /tmp/peer/bin/python weaviate-haystack haystack-ai
    .venv/bin/python -m benchmarks.peers.beside --sets FOLDER --peer-python /tmp/peer/bin/python

`beside` starts a server, runs this file, runs ours on the same server and prints both.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from haystack import Document, Pipeline
from haystack.components.preprocessors import DocumentSplitter
from haystack.utils import Secret
from haystack_integrations.components.retrievers.weaviate import (  # type: ignore[import-not-found]
    WeaviateBM25Retriever,
)
from haystack_integrations.document_stores.weaviate import (  # type: ignore[import-not-found]
    AuthApiKey,
    WeaviateDocumentStore,
)

TOP_K = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--grpc-url", required=True)
    parser.add_argument("--api-key", required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    results = []
    for place in sorted(given.sets.iterdir()):
        store = WeaviateDocumentStore(
            url=given.url,
            grpc_port=urlsplit(given.grpc_url).port,
            auth_client_secret=AuthApiKey(Secret.from_token(given.api_key)),
        )
        results += ask(store, place)
        store.client.collections.delete("Default")
        store.client.close()
    results.append({"memory_mb": resident_mb()})
    given.out.write_text("".join(json.dumps(row) + "\n" for row in results), encoding="utf-8")


def ask(store: WeaviateDocumentStore, place: Path) -> list[dict[str, Any]]:
    acl = None
    if (place / "acl.json").exists():
        acl = json.loads((place / "acl.json").read_text(encoding="utf-8"))["documents"]
    documents = []
    for row in read(place / "corpus.jsonl"):
        meta = {"doc_id": row["doc_id"], "title": row.get("title", "")}
        if acl is not None:
            meta["groups"] = acl[row["doc_id"]]
        documents.append(Document(content=row["text"], meta=meta))
    store.write_documents(DocumentSplitter().run(documents)["documents"])
    pipeline = Pipeline()
    pipeline.add_component("retriever", WeaviateBM25Retriever(document_store=store, top_k=TOP_K))
    results = []
    for question in read(place / "queries.jsonl"):
        filters = None
        if acl is not None:
            filters = readable_by([question["groups"], *(question.get("reader_groups") or [])])
        began = time.perf_counter()
        found = []
        if acl is None or filters is not None:
            asked = {"query": question["query"], "filters": filters}
            found = pipeline.run({"retriever": asked})["retriever"]["documents"]
        results.append(
            {
                "set": place.name,
                "query_id": question["query_id"],
                "ranked": list(dict.fromkeys(document.meta["doc_id"] for document in found)),
                "seconds": time.perf_counter() - began,
            }
        )
    return results


def readable_by(readers: list[list[str]]) -> dict[str, Any] | None:
    """What every reader shares a group with; None if one of them has no group, so that nothing is asked."""
    if not all(readers):
        return None
    conditions = [{"field": "meta.groups", "operator": "in", "value": groups} for groups in readers]
    return {"operator": "AND", "conditions": conditions}


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def resident_mb() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1000)


if __name__ == "__main__":
    main()
