"""Whether both engines rank alike: the same questions over the same corpora, embedded and on Weaviate."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.evaluate import read_questions
from benchmarks.engines import Engine, Place
from benchmarks.report import Row, show, write_json
from benchmarks.retrieval_quality import sampled
from benchmarks.weaviate_server import weaviate_server
from retrieval.access import PUBLIC, AccessScope, Level, Reader, group_principal, tenant_principal
from retrieval.analysis import query_tokens
from retrieval.components import ALPHA
from retrieval.evaluation import RECALL_AT, EvaluationQuestion
from retrieval.ingest.connectors import read_acl_map
from retrieval.ingest.jsonl_connector import JsonlConnector
from retrieval.ingest.sync import Synchroniser
from retrieval.local_embedder import LocalEmbedder
from retrieval.store import ChunkStore, SearchQuery
from retrieval.types import Passage

TENANT = "parity"
LARGEST_DIFFERENCE = 0.01
"""In recall@5, by words: more than that is another ranking, not another order of ties."""

_EVERYONE = "everyone"
_RANKED_CHUNKS = 50
_EMBEDDED_DOCUMENTS = 300


@dataclass(frozen=True, slots=True)
class Corpus:
    """
    A set of documents with questions.

    Attributes:
        acl: The groups of each document; None: everybody may read everything.
    """

    name: str
    path: Path
    questions: Sequence[EvaluationQuestion]
    acl: Path | None

    @property
    def label(self) -> str:
        return f"{self.name}, with access lists" if self.acl else self.name

    def document_ids(self) -> list[str]:
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["doc_id"] for line in lines]

    def connector(self) -> JsonlConnector:
        # Named one by one: what a line itself says of its readers is for the other variant.
        everyone = {document_id: [_EVERYONE] for document_id in self.document_ids()}
        acl_map = read_acl_map(self.acl) if self.acl else everyone
        return JsonlConnector(
            self.path, tenant=TENANT, default_acl=None, acl_map=acl_map, source=self.label
        )

    def scope(self, question: EvaluationQuestion) -> AccessScope:
        """Of all who read the answer; only what every one of them may see."""
        groups = question.reader_groups if self.acl else ()
        return AccessScope.of(_reader(names) for names in groups or (frozenset({_EVERYONE}),))


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one engine made of one question: chunks, and their documents once each, best first."""

    question: EvaluationQuestion
    chunks: tuple[str, ...]
    documents: tuple[str, ...]
    leaks: int

    def finds(self, k: int) -> bool:
        return not self.question.gold_ids.isdisjoint(self.documents[:k])


def corpora_in(folder: Path, limit: int | None) -> list[Corpus]:
    corpora = []
    for path in sorted(folder.glob("*/corpus.jsonl")):
        place = path.parent
        lines = (place / "queries.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        kept = {row["query_id"] for row in sampled(rows, limit)}
        questions = [q for q in read_questions(place / "queries.jsonl") if q.id in kept]
        corpora.append(Corpus(place.name, path, questions, None))
        if (place / "acl.json").exists():
            corpora.append(Corpus(place.name, path, questions, place / "acl.json"))
    return corpora


async def rank(corpus: Corpus, place: Place, embedder: LocalEmbedder | None) -> list[Ranking]:
    """Every question's ranking in the store at *place*, filled first; with vectors if there is an embedder."""
    store = await place.open(embedder.name if embedder else None)
    try:
        synchroniser = Synchroniser(store, embedder)
        await synchroniser.sync(corpus.connector(), on_progress=lambda _: None)
        await synchroniser.embed_missing(on_progress=lambda _: None)
        return [await _ranking(store, corpus, q, embedder) for q in corpus.questions]
    finally:
        await store.close()


async def _ranking(
    store: ChunkStore,
    corpus: Corpus,
    question: EvaluationQuestion,
    embedder: LocalEmbedder | None,
) -> Ranking:
    query = SearchQuery(tuple(query_tokens(question.text)))
    if embedder is not None:
        query = SearchQuery(query.tokens, (await embedder.embed([question.text]))[0], ALPHA)
    scope = corpus.scope(question)
    found: list[Passage] = await store.search(query, scope, top_k=_RANKED_CHUNKS)
    return Ranking(
        question,
        chunks=tuple(p.chunk.id for p in found),
        documents=tuple(dict.fromkeys(p.chunk.document.id for p in found)),
        leaks=sum(not scope.allows(p.chunk.acl) for p in found),
    )


async def compare(folder: Path, sets: Path, limit: int | None) -> list[Row]:
    rows: list[Row] = []
    # Both engines ask for the vectors of the same sentences.
    local = LocalEmbedder(cache_size=100_000)
    corpora = corpora_in(sets, limit)
    with weaviate_server(folder / "weaviate") as server:
        for number, corpus in enumerate(corpora):
            embedders: list[LocalEmbedder | None] = [None]
            is_last = corpus.name not in {other.name for other in corpora[number + 1 :]}
            if is_last and len(corpus.document_ids()) <= _EMBEDDED_DOCUMENTS:
                embedders.append(local)
            for embedder in embedders:
                name = f"{TENANT}-{number}-{'hybrid' if embedder else 'words'}"
                places = {
                    Engine.EMBEDDED: Place(folder / name, name, None),
                    Engine.WEAVIATE: Place(folder, name, server),
                }
                rankings = {
                    engine: await rank(corpus, place, embedder) for engine, place in places.items()
                }
                rows.append(
                    _row(corpus.label, "hybrid" if embedder else "words", *rankings.values())
                )
    return rows


def _row(name: str, search: str, one: Sequence[Ranking], other: Sequence[Ranking]) -> Row:
    asked = [(a, b) for a, b in zip(one, other, strict=True) if a.question.expect == "answer"]
    recalls: dict[str, str | float] = {}
    differences = {}
    for k in RECALL_AT:
        embedded = sum(a.finds(k) for a, _ in asked) / len(asked)
        weaviate = sum(b.finds(k) for _, b in asked) / len(asked)
        recalls[f"recall@{k}"] = f"{embedded:.4f} / {weaviate:.4f}"
        differences[k] = abs(embedded - weaviate)
    pairs = list(zip(one, other, strict=True))
    return {
        "set": name,
        "search": search,
        "questions": len(pairs),
        "to answer": len(asked),
        **recalls,
        "largest difference": round(max(differences.values()), 4),
        "recall@5 difference": round(differences[5], 4),
        "same first hit": round(_share([a.chunks[:1] == b.chunks[:1] for a, b in pairs]), 4),
        "same ten": round(_share([set(a.chunks[:10]) == set(b.chunks[:10]) for a, b in pairs]), 4),
        "leaks": sum(a.leaks + b.leaks for a, b in pairs),
    }


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values)


def _reader(names: frozenset[str]) -> Reader:
    principals = {group_principal(TENANT, name) for name in names if name != _EVERYONE}
    if _EVERYONE in names:
        principals.add(tenant_principal(TENANT))
    return Reader(frozenset({PUBLIC, *principals}), Level.SECRET)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Starts a Weaviate server of its own, or uses that of SHIFU_WEAVIATE__URL, _GRPC_URL and "
        f"_API_KEY, where tenants named {TENANT}-… remain. Exit code 1 if recall@5 by words differs by more "
        f"than {LARGEST_DIFFERENCE}, or if anything leaks.",
    )
    parser.add_argument("--sets", type=Path, required=True, help="folder of question sets")
    parser.add_argument("--limit", type=int, help="at most so many questions of each set")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="shifu-parity-") as folder:
        rows = asyncio.run(compare(Path(folder), given.sets, given.limit))
    show("Embedded / Weaviate", rows)
    write_json(given.out, {"parity": rows})
    by_words = [row for row in rows if row["search"] == "words"]
    is_alike = all(float(row["recall@5 difference"] or 0) <= LARGEST_DIFFERENCE for row in by_words)
    sys.exit(0 if is_alike and not any(row["leaks"] for row in rows) else 1)


if __name__ == "__main__":
    main()
