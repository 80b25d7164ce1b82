"""Our Haystack components: the steps from a question to a checked answer. They keep no state of a run."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from haystack import component

from retrieval.access import AccessScope
from retrieval.analysis import is_chinese_text, query_tokens
from retrieval.beside import Beside, join_beside
from retrieval.evidence import Evidence, judge
from retrieval.glossary import Glossary
from retrieval.grounding import GroundedWriter, ProgressCallback
from retrieval.models import Embedder
from retrieval.prompts import Exchange
from retrieval.ranking import QuestionTerms, rerank
from retrieval.store import ChunkStore, SearchQuery
from retrieval.types import Answer, Band, Language, Passage, Value

ALPHA = 0.4
"""Weight of the vectors in choosing the candidates; the reranker weighs anew."""

_NOTHING_BESIDE = Beside()

_ASYNC_ONLY = "Haystack requires this method; the pipeline is only ever run asynchronously"


@dataclass(frozen=True, slots=True)
class Question(Value):
    """
    What is asked, ready to be searched.

    Attributes:
        text: As the person wrote it.
        searches: Stand-alone forms of it, the first in the person's language; others are translations.
        history: Earlier exchanges of the conversation that its readers may still see.
        beside: What comes with the question, for its answer alone.
    """

    text: str
    language: Language
    searches: tuple[str, ...]
    history: tuple[Exchange, ...] = ()
    beside: Beside = _NOTHING_BESIDE

    @property
    def standalone(self) -> str:
        return self.searches[0]


@dataclass(frozen=True, slots=True)
class Found(Value):
    """
    Passages on their way from component to component, best first.

    One value, not a list: Haystack copies whatever it hands on or out, and goes through a list
    element by element, which for a hundred passages costs more than ranking them.
    """

    passages: tuple[Passage, ...]


@component
class QueryEncoder:
    """
    What to search for: the question's own words and its vector, then its words in the other language.

    The second search ranks by words alone; it carries the vector so that sentences are compared.
    """

    def __init__(self, embedder: Embedder | None, glossary: Glossary) -> None:
        self._embedder = embedder
        self._glossary = glossary

    @component.output_types(queries=list[SearchQuery], terms=QuestionTerms)
    async def run_async(self, question: Question) -> dict[str, Any]:
        terms = self._terms(question)
        vector = (
            (await self._embedder.embed([question.standalone]))[0]
            if self._embedder is not None
            else None
        )
        queries = [SearchQuery(terms.own, vector, ALPHA if vector is not None else 0.0)]
        if terms.other:
            queries.append(SearchQuery(terms.other, vector))
        return {"queries": queries, "terms": terms}

    @component.output_types(queries=list[SearchQuery], terms=QuestionTerms)
    def run(self, question: Question) -> dict[str, Any]:
        raise NotImplementedError(_ASYNC_ONLY)

    def _terms(self, question: Question) -> QuestionTerms:
        is_chinese = is_chinese_text(question.standalone)
        own = [form for form in question.searches if is_chinese_text(form) is is_chinese]
        other = [form for form in question.searches if is_chinese_text(form) is not is_chinese]
        translated = [token for form in other for token in query_tokens(form)]
        return QuestionTerms(
            question.standalone,
            own=tuple(token for form in own for token in query_tokens(form)),
            other=(*translated, *self._glossary.other_language_tokens(question.standalone)),
        )


@component
class ScopedRetriever:
    """Searches within an access scope: a required input, with no default and no filter argument beside it."""

    def __init__(self, store: ChunkStore) -> None:
        self._store = store

    @component.output_types(found=Found, took_s=float)
    async def run_async(
        self, queries: list[SearchQuery], terms: QuestionTerms, scope: AccessScope, top_k: int
    ) -> dict[str, Any]:
        started = time.perf_counter()
        searches = [self._store.search(query, scope, top_k=top_k) for query in queries]
        own, *others = await asyncio.gather(*searches)
        passages = join_by_script(terms, own, others[0] if others else [])
        return {"found": Found(tuple(passages)), "took_s": time.perf_counter() - started}

    @component.output_types(found=Found, took_s=float)
    def run(
        self, queries: list[SearchQuery], terms: QuestionTerms, scope: AccessScope, top_k: int
    ) -> dict[str, Any]:
        raise NotImplementedError(_ASYNC_ONLY)


@component
class BesideJoiner:
    """Puts what comes with the question beside what the store found."""

    def __init__(self, embedder: Embedder | None) -> None:
        self._embedder = embedder

    @component.output_types(found=Found)
    async def run_async(
        self,
        queries: list[SearchQuery],
        terms: QuestionTerms,
        found: Found,
        beside: Beside = _NOTHING_BESIDE,
    ) -> dict[str, Any]:
        if not beside.chunks:
            return {"found": found}
        vector = queries[0].vector
        joined = await join_beside(terms, vector, found.passages, beside.chunks, self._embedder)
        return {"found": Found(tuple(joined))}

    @component.output_types(found=Found)
    def run(
        self,
        queries: list[SearchQuery],
        terms: QuestionTerms,
        found: Found,
        beside: Beside = _NOTHING_BESIDE,
    ) -> dict[str, Any]:
        raise NotImplementedError(_ASYNC_ONLY)


@component
class PassageReranker:
    """Meaning, proximity and best sentence; near-duplicates collapse."""

    @component.output_types(found=Found, took_s=float)
    def run(
        self, terms: QuestionTerms, found: Found, keep: int, beside: Beside = _NOTHING_BESIDE
    ) -> dict[str, Any]:
        started = time.perf_counter()

        def bonus(passage: Passage) -> float:
            return beside.bonus(passage, crosses=terms.crosses(passage))

        ranked = rerank(terms, found.passages, top_k=keep, bonus=bonus)
        return {"found": Found(tuple(ranked)), "took_s": time.perf_counter() - started}


@component
class EvidenceJudge:
    """Whether the passages suffice to answer."""

    @component.output_types(evidence=Evidence, took_s=float)
    def run(
        self, terms: QuestionTerms, found: Found, beside: Beside = _NOTHING_BESIDE
    ) -> dict[str, Any]:
        started = time.perf_counter()
        evidence = judge(terms, found.passages)
        if beside.is_subject and evidence.band is Band.NOTHING and found.passages:
            # What is asked about lies before us: a model may read in it what no word of it says.
            evidence = replace(evidence, band=Band.UNSURE)
        return {"evidence": evidence, "took_s": time.perf_counter() - started}


@component
class AnswerWriter:
    """The answer: the model's checked sentences, or the documents' own."""

    def __init__(self, writer: GroundedWriter) -> None:
        self._writer = writer

    @component.output_types(answer=Answer)
    async def run_async(
        self,
        question: Question,
        found: Found,
        evidence: Evidence,
        on_progress: ProgressCallback | None = None,
    ) -> dict[str, Any]:
        answer = await self._writer.write(
            question.text,
            found.passages,
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
        found: Found,
        evidence: Evidence,
        on_progress: ProgressCallback | None = None,
    ) -> dict[str, Any]:
        raise NotImplementedError(_ASYNC_ONLY)


def join_by_script(
    terms: QuestionTerms, own: Sequence[Passage], other: Sequence[Passage]
) -> list[Passage]:
    """
    What the question's own words and its translation's found, each passage once.

    Text in the other script scores by whichever of the two finds more: names and technical terms are
    the question's own, the rest must be translated. What a translation finds in text of the
    question's script says nothing that the question itself does not say better.
    """
    translated = {p.chunk.id: p for p in other if terms.crosses(p)}
    joined = [
        replace(p, lexical=max(p.lexical, translated[p.chunk.id].lexical))
        if p.chunk.id in translated
        else p
        for p in own
    ]
    known = {passage.chunk.id for passage in own}
    return joined + [p for i, p in translated.items() if i not in known]
