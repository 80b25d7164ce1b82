"""Assembles the Haystack pipeline, once, and runs it: a question within a scope becomes an answer."""

import asyncio
import time
from dataclasses import replace
from typing import Any

from haystack import Pipeline
from haystack.core.errors import PipelineRuntimeError

from retrieval.access import AccessScope
from retrieval.beside import gist
from retrieval.components import (
    AnswerWriter,
    BesideJoiner,
    EvidenceJudge,
    Found,
    PassageReranker,
    QueryEncoder,
    Question,
    ScopedRetriever,
)
from retrieval.glossary import Glossary
from retrieval.grounding import GroundedWriter, ProgressCallback
from retrieval.models import Embedder, LanguageModel
from retrieval.store import ChunkStore
from retrieval.types import Answer, Passage

RETRIEVED = 100
"""Passages that each search brings: the reranker sees those of the question and of its translation."""

KEPT = 10
"""Passages that remain for judging and writing."""


class AnswerPipeline:
    """
    Finds and answers within a scope. Safe for concurrent runs: no component keeps state of a run.
    """

    def __init__(
        self,
        store: ChunkStore,
        *,
        embedder: Embedder | None,
        model: LanguageModel | None,
        glossary: Glossary | None = None,
        model_timeout_s: float = 60,
    ) -> None:
        glossary = glossary or Glossary.shipped()
        self._searching = _search_pipeline(store, embedder, glossary)
        self._writer = GroundedWriter(model, embedder, timeout_s=model_timeout_s)
        self._answering = _search_pipeline(store, embedder, glossary)
        self._answering.add_component("judge", EvidenceJudge())
        self._answering.add_component("writer", AnswerWriter(self._writer))
        self._answering.connect("encoder.terms", "judge.terms")
        self._answering.connect("reranker.found", "judge.found")
        self._answering.connect("reranker.found", "writer.found")
        self._answering.connect("judge.evidence", "writer.evidence")

    async def ask(
        self,
        question: Question,
        scope: AccessScope,
        *,
        on_progress: ProgressCallback | None = None,
    ) -> Answer:
        """
        The answer that every reader in *scope* may see.

        Raises:
            StoreUnavailable: If the store does not answer.
            ModelUnavailable: If the embedder does not answer.
        """
        started = time.perf_counter()
        if question.beside.is_whole_subject:
            # No search could find better than what lies before us.
            answer = await self._tell(question, on_progress)
            return replace(answer, timings_s={"total": time.perf_counter() - started})
        asked, beside = {"question": question}, {"beside": question.beside}
        output = await _run(
            self._answering,
            {
                "encoder": asked,
                "retriever": {"scope": scope, "top_k": RETRIEVED},
                "beside": beside,
                "reranker": {"keep": KEPT, **beside},
                "judge": beside,
                "writer": {**asked, "on_progress": on_progress},
            },
            steps={"retriever", "reranker", "judge"},
        )
        written: Answer = output["writer"]["answer"]
        found: Found = output["reranker"]["found"]
        timings = {step: out["took_s"] for step, out in output.items() if "took_s" in out}
        return replace(
            written,
            timings_s={**timings, "total": time.perf_counter() - started},
            considered=tuple(p.chunk.id for p in found.passages if not p.chunk.is_transient),
        )

    async def search(self, question: Question, scope: AccessScope, *, top_k: int) -> list[Passage]:
        """The best passages without an answer; raises as `ask` does."""
        output = await _run(
            self._searching,
            {
                "encoder": {"question": question},
                "retriever": {"scope": scope, "top_k": max(RETRIEVED, top_k)},
                "reranker": {"keep": top_k},
            },
            steps=set(),
        )
        found: Found = output["reranker"]["found"]
        return list(found.passages)

    async def _tell(self, question: Question, on_progress: ProgressCallback | None) -> Answer:
        """What came with the question, as a whole."""
        # A long text takes a good part of a second.
        passages, evidence = await asyncio.to_thread(gist, question.beside.chunks)
        return await self._writer.write(
            question.text,
            passages,
            evidence,
            language=question.language,
            history=question.history,
            on_progress=on_progress,
        )

    def drawn(self) -> str:
        """The answering pipeline as Mermaid text, for the documentation."""
        lines = [
            f"  {sender} -->|{data['from_socket'].name}| {receiver}"
            for sender, receiver, data in self._answering.graph.edges(data=True)
        ]
        return "\n".join(["flowchart LR", *sorted(lines)])


def _search_pipeline(store: ChunkStore, embedder: Embedder | None, glossary: Glossary) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("encoder", QueryEncoder(embedder, glossary))
    pipeline.add_component("retriever", ScopedRetriever(store))
    pipeline.add_component("beside", BesideJoiner(embedder))
    pipeline.add_component("reranker", PassageReranker())
    pipeline.connect("encoder.queries", "retriever.queries")
    pipeline.connect("encoder.queries", "beside.queries")
    pipeline.connect("encoder.terms", "retriever.terms")
    pipeline.connect("encoder.terms", "beside.terms")
    pipeline.connect("encoder.terms", "reranker.terms")
    pipeline.connect("retriever.found", "beside.found")
    pipeline.connect("beside.found", "reranker.found")
    return pipeline


async def _run(
    pipeline: Pipeline, data: dict[str, dict[str, Any]], *, steps: set[str]
) -> dict[str, dict[str, Any]]:
    try:
        return await pipeline.run_async(data, include_outputs_from=steps)
    except PipelineRuntimeError as error:
        # Haystack wraps what a component raises, or who watches its progress; the cause says more.
        if error.__cause__ is not None:
            raise error.__cause__ from error
        raise
