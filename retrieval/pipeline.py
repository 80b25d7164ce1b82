"""Assembles the Haystack pipeline, once, and runs it: a question within a scope becomes an answer."""

import os
import time
from dataclasses import replace
from typing import Any

# Haystack reports usage to its makers unless told before it is imported.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack import Pipeline
from haystack.core.errors import PipelineRuntimeError

from retrieval.access import AccessScope
from retrieval.components import (
    AnswerWriter,
    EvidenceJudge,
    PassageReranker,
    QueryEncoder,
    Question,
    ScopedRetriever,
)
from retrieval.errors import ShifuError
from retrieval.grounding import GroundedWriter, ProgressCallback
from retrieval.models import Embedder, LanguageModel
from retrieval.store import ChunkStore
from retrieval.types import Answer, Passage

RETRIEVED = 50
"""Passages that the reranker sees."""

KEPT = 10
"""Passages that remain for judging and writing."""

_MAX_CLAUSES = 200
"""A room of more distinct readers is searched by what all of them have in common: fewer passages, never more."""


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
        model_timeout_s: float = 60,
    ) -> None:
        self._pipeline = _search_pipeline(store, embedder)
        writer = GroundedWriter(model, embedder, timeout_s=model_timeout_s)
        self._answering = _search_pipeline(store, embedder)
        self._answering.add_component("judge", EvidenceJudge(embedder))
        self._answering.add_component("writer", AnswerWriter(writer))
        self._answering.connect("encoder.queries", "judge.queries")
        self._answering.connect("reranker.passages", "judge.passages")
        self._answering.connect("reranker.passages", "writer.passages")
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
                "retriever": _retrieval(scope),
                "reranker": {**asked, "keep": KEPT},
                "judge": asked,
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
            self._pipeline,
            {
                "encoder": {"question": question},
                "retriever": _retrieval(scope, top_k=max(RETRIEVED, top_k)),
                "reranker": {"question": question, "keep": top_k},
            },
            steps=set(),
        )
        passages: list[Passage] = output["reranker"]["passages"]
        return passages

    def drawn(self) -> str:
        """The answering pipeline as Mermaid text, for the documentation."""
        lines = [
            f"  {sender} -->|{data['conn_type'] and data['from_socket'].name}| {receiver}"
            for sender, receiver, data in self._answering.graph.edges(data=True)
        ]
        return "\n".join(["flowchart LR", *sorted(lines)])


def _search_pipeline(store: ChunkStore, embedder: Embedder | None) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("encoder", QueryEncoder(embedder))
    pipeline.add_component("retriever", ScopedRetriever(store))
    pipeline.add_component("reranker", PassageReranker())
    pipeline.connect("encoder.queries", "retriever.queries")
    pipeline.connect("retriever.passages", "reranker.passages")
    return pipeline


def _retrieval(scope: AccessScope, *, top_k: int = RETRIEVED) -> dict[str, Any]:
    return {"scope": scope.narrowed(max_clauses=_MAX_CLAUSES), "top_k": top_k}


async def _run(
    pipeline: Pipeline, data: dict[str, dict[str, Any]], *, steps: set[str]
) -> dict[str, dict[str, Any]]:
    try:
        return await pipeline.run_async(data, include_outputs_from=steps)
    except PipelineRuntimeError as error:
        # Haystack wraps what a component raises; our own errors say more.
        cause = error.__cause__
        if isinstance(cause, ShifuError):
            raise cause from error
        raise
