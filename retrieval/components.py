"""Our Haystack components: the steps from a question to a checked answer. They keep no state of a run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from haystack import component

from retrieval.access import AccessScope
from retrieval.analysis import query_tokens
from retrieval.evidence import Evidence, judge
from retrieval.grounding import GroundedWriter, ProgressCallback
from retrieval.models import Embedder
from retrieval.prompts import Exchange
from retrieval.ranking import rerank
from retrieval.store import ChunkStore, SearchQuery
from retrieval.types import Answer, Language, Passage

ALPHA = 0.4
"""Weight of the vectors where question and passages share a script; measured, see benchmarks/README.md."""

_ASYNC_ONLY = "Haystack requires this method; the pipeline is only ever run asynchronously"


@dataclass(frozen=True, slots=True)
class Question:
    """
    What is asked, ready to be searched.

    Attributes:
        text: As the person wrote it.
        searches: Stand-alone forms of it, the first in the person's language; others are translations.
        history: Earlier exchanges of the conversation that its readers may still see.
    """

    text: str
    language: Language
    searches: tuple[str, ...]
    history: tuple[Exchange, ...] = ()

    @property
    def standalone(self) -> str:
        return self.searches[0]

    def __deepcopy__(self, memo: object) -> "Question":
        return self


@component
class QueryEncoder:
    """Search tokens and vectors of every form of the question."""

    def __init__(self, embedder: Embedder | None) -> None:
        self._embedder = embedder

    @component.output_types(queries=list[SearchQuery])
    async def run_async(self, question: Question) -> dict[str, Any]:
        vectors = (
            await self._embedder.embed(question.searches)
            if self._embedder is not None
            else [None] * len(question.searches)
        )
        queries = [
            SearchQuery(tuple(query_tokens(text)), vector, ALPHA if vector is not None else 0.0)
            for text, vector in zip(question.searches, vectors, strict=True)
        ]
        return {"queries": queries}

    @component.output_types(queries=list[SearchQuery])
    def run(self, question: Question) -> dict[str, Any]:
        raise NotImplementedError(_ASYNC_ONLY)


@component
class ScopedRetriever:
    """Searches within an access scope: a required input, with no default and no filter argument beside it."""

    def __init__(self, store: ChunkStore) -> None:
        self._store = store

    @component.output_types(passages=list[Passage], took_s=float)
    async def run_async(
        self, queries: list[SearchQuery], scope: AccessScope, top_k: int
    ) -> dict[str, Any]:
        started = time.perf_counter()
        found = [await self._store.search(query, scope, top_k=top_k) for query in queries]
        return {"passages": best_of(found, top_k=top_k), "took_s": time.perf_counter() - started}

    @component.output_types(passages=list[Passage], took_s=float)
    def run(self, queries: list[SearchQuery], scope: AccessScope, top_k: int) -> dict[str, Any]:
        raise NotImplementedError(_ASYNC_ONLY)


@component
class PassageReranker:
    """Proximity and best sentence on top of the fused score; near-duplicates collapse."""

    @component.output_types(passages=list[Passage], took_s=float)
    def run(self, question: Question, passages: list[Passage], keep: int) -> dict[str, Any]:
        started = time.perf_counter()
        # A translation is in the script of the passages it found; judge each by the form it shares.
        ranked = rerank(" ".join(question.searches), passages, top_k=keep)
        return {"passages": ranked, "took_s": time.perf_counter() - started}


@component
class EvidenceJudge:
    """Whether the passages suffice to answer."""

    def __init__(self, embedder: Embedder | None) -> None:
        self._embedder = embedder

    @component.output_types(evidence=Evidence, took_s=float)
    async def run_async(
        self, question: Question, queries: list[SearchQuery], passages: list[Passage]
    ) -> dict[str, Any]:
        started = time.perf_counter()
        evidence = await judge(
            " ".join(question.searches), queries[0].vector, passages, self._embedder
        )
        return {"evidence": evidence, "took_s": time.perf_counter() - started}

    @component.output_types(evidence=Evidence, took_s=float)
    def run(
        self, question: Question, queries: list[SearchQuery], passages: list[Passage]
    ) -> dict[str, Any]:
        raise NotImplementedError(_ASYNC_ONLY)


@component
class AnswerWriter:
    """The answer: the model's checked sentences, or the documents' own."""

    def __init__(self, writer: GroundedWriter) -> None:
        self._writer = writer

    @component.output_types(answer=Answer)
    async def run_async(
        self,
        question: Question,
        passages: list[Passage],
        evidence: Evidence,
        on_progress: ProgressCallback | None = None,
    ) -> dict[str, Any]:
        answer = await self._writer.write(
            question.text,
            passages,
            evidence,
            language=question.language,
            history=question.history,
            on_progress=on_progress,
        )
        return {"answer": answer}

    @component.output_types(answer=Answer)
    def run(
        self,
        question: Question,
        passages: list[Passage],
        evidence: Evidence,
        on_progress: ProgressCallback | None = None,
    ) -> dict[str, Any]:
        raise NotImplementedError(_ASYNC_ONLY)


def best_of(results: Sequence[Sequence[Passage]], *, top_k: int) -> list[Passage]:
    """Several result lists as one: each passage with its best score."""
    best: dict[str, Passage] = {}
    for passage in (passage for result in results for passage in result):
        known = best.get(passage.chunk.id)
        if known is None or passage.score > known.score:
            best[passage.chunk.id] = passage
    return sorted(best.values(), key=lambda p: (-p.score, p.chunk.id))[:top_k]
