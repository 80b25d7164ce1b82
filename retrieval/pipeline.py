"""Assembles the Haystack pipeline, once, and runs it: a question within a scope becomes an answer."""

import time
from dataclasses import replace
from typing import Any

from haystack import Pipeline
from haystack.core.errors import PipelineRuntimeError

from retrieval.access import AccessScope
from retrieval.components import (
    AnswerWriter,
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
        writer = GroundedWriter(model, embedder, timeout_s=model_timeout_s)
        self._answering = _search_pipeline(store, embedder, glossary)
        self._answering.add_component("judge", EvidenceJudge())
        self._answering.add_component("writer", AnswerWriter(writer))
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
        asked = {"question": question}
        output = await _run(
            self._answering,
            {
                "encoder": asked,
                "retriever": {"scope": scope, "top_k": RETRIEVED},
                "reranker": {"keep": KEPT},
                "writer": {**asked, "on_progress": on_progress},
            },
            steps={"retriever", "reranker", "judge"},
        )
        answer: Answer = output["writer"]["answer"]
        timings = {step: out["took_s"] for step, out in output.items() if "took_s" in out}
        return replace(answer, timings_s={**timings, "total": time.perf_counter() - started})

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
    pipeline.add_component("reranker", PassageReranker())
    pipeline.connect("encoder.queries", "retriever.queries")
    pipeline.connect("encoder.terms", "retriever.terms")
    pipeline.connect("encoder.terms", "reranker.terms")
    pipeline.connect("retriever.found", "reranker.found")
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
