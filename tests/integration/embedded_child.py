"""Another process at the same embedded store: `python -m tests.integration.embedded_child write|serve FOLDER`."""

import asyncio
import itertools
import json
import sys
from pathlib import Path

import numpy as np

from retrieval.analysis import query_tokens
from retrieval.embedded_store import EmbeddedStore
from retrieval.store import SearchQuery
from retrieval.types import IndexedDocument
from tests.builders import ENG, a_document, a_scope, an_acl

CHUNKS = 5


def a_version(number: int, version: int) -> IndexedDocument:
    return a_document(
        *(f"document{number} version{version} piece{n} text{number}" for n in range(CHUNKS)),
        id=f"document{number}",
        acl=an_acl(ENG),
        content_hash=str(version),
    )


async def write(folder: Path) -> None:
    """Write, rewrite and delete documents until killed; say what is done, as soon as it is."""
    store = await EmbeddedStore.open(folder, embedder_name="test")
    start = len(await store.documents())
    for number in itertools.count(start):
        await store.write([a_version(number, 1), a_version(number + 1000, 1)])
        print(json.dumps({"number": number, "version": 1}), flush=True)
        await store.write_vectors(
            {f"document{number}#{n}": np.full(4, 0.5, np.float32) for n in range(CHUNKS)}
        )
        await store.write([a_version(number, 2)])
        print(json.dumps({"number": number, "version": 2}), flush=True)
        await store.delete([f"document{number + 1000}"])
        print(json.dumps({"number": number, "deleted": number + 1000}), flush=True)


async def serve(folder: Path) -> None:
    """Answer each line of words with the ids of the chunks that are found."""
    store = await EmbeddedStore.open(folder, embedder_name="test")
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, _, rest = line.strip().partition(" ")
        if command == "write":
            await store.write([a_document(rest, id=rest.split()[0], acl=an_acl(ENG))])
            print("[]", flush=True)
            continue
        vector = np.full(4, 0.5, np.float32) if command == "vector" else None
        query = SearchQuery(tuple(query_tokens(rest)), vector, 0.5)
        passages = await store.search(query, a_scope([ENG]), top_k=50)
        print(json.dumps(sorted(p.chunk.id for p in passages)), flush=True)
    await store.close()


if __name__ == "__main__":
    work = {"write": write, "serve": serve}[sys.argv[1]]
    asyncio.run(work(Path(sys.argv[2])))
