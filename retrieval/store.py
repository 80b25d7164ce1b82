"""The chunk store port, what every engine shares, and the in-memory twin that defines the behaviour readably."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np

from retrieval.access import AccessScope, Acl
from retrieval.analysis import index_tokens
from retrieval.types import Chunk, Document, FloatArray, IndexedDocument, Passage

CANDIDATES = 100
"""How many chunks each ranking (lexical, vectors) brings to the fusion."""

BM25_K1, BM25_B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """
    What to look for.

    Attributes:
        tokens: Of the question or of its translation; a repeated token counts as often as it occurs.
        vector: Unit-length embedding of the question, shape `(dim,)`; None searches by words alone.
        alpha: Weight of the vector score in [0, 1]; at 0 vectors rank nothing, and *vector* is
            compared only with the sentences of what the words find.
    """

    tokens: tuple[str, ...]
    vector: FloatArray | None = None
    alpha: float = 0.0


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """What an administrator may know of a store's size."""

    documents: int
    chunks: int
    chunks_without_vector: int


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """
    One source, as far as somebody may read it.

    Attributes:
        documents: How many of its documents are in scope; at least one.
        newest_at: When the latest of them was changed; None where that is not known of any.
    """

    source: str
    documents: int
    newest_at: datetime | None

    @property
    def name(self) -> str:
        """For people to read: where on which machine a folder lies is not their business."""
        return re.split(r"[:/\\]", self.source.rstrip(":/\\"))[-1] or self.source


class ChunkStore(Protocol):
    """
    One tenant's chunks. The access filter is built in here, from an `AccessScope`, and nowhere else.

    `search`, `fetch` and `sources` are for readers; everything else is for ingestion and administration.
    Every method raises `StoreUnavailable` when the engine does not answer in time.
    """

    async def search(self, query: SearchQuery, scope: AccessScope, *, top_k: int) -> list[Passage]:
        """
        The best chunks that *scope* allows, best first, ranked by `relative_score_fusion`.

        An empty scope finds nothing and reaches no driver.
        """
        ...

    async def fetch(self, chunk_ids: Sequence[str], scope: AccessScope) -> list[Chunk]:
        """Those of the chunks that exist and that *scope* allows now, in the order asked."""
        ...

    async def sources(self, scope: AccessScope) -> list[SourceSummary]:
        """What *scope* allows, by source and in the order of their names; of the rest not even that it exists."""
        ...

    async def write(self, documents: Sequence[IndexedDocument]) -> None:
        """Insert or replace whole documents, all or none of them. Chunks keep a vector only if id and text stay."""
        ...

    async def change_acl(self, document_id: str, acl: Acl) -> None:
        """Replace a document's access list; in force for every search that begins after the return."""
        ...

    async def delete(self, document_ids: Sequence[str]) -> int:
        """Remove documents with their chunks; how many existed."""
        ...

    async def documents(self, *, source: str | None = None) -> list[Document]:
        """All documents, or those of one source, by id. For synchronising; not for readers."""
        ...

    async def chunks_without_vector(self, *, limit: int) -> list[Chunk]: ...

    async def write_vectors(
        self,
        vectors: Mapping[str, FloatArray],
        *,
        sentences: Mapping[str, FloatArray] | None = None,
    ) -> None:
        """
        Unit-length vectors by chunk id; ids that are gone by now are ignored.

        Args:
            sentences: Unit-length rows by chunk id, shape `(number of sentences, dim)`. An engine may
                keep them at a precision of about two decimals.
        """
        ...

    async def counts(self) -> StoreCounts: ...

    async def close(self) -> None: ...


def relative_score_fusion(
    lexical: Mapping[str, float], similarity: Mapping[str, float], *, alpha: float
) -> dict[str, float]:
    """
    Fuse two rankings by their scores, each scaled to [0, 1] between its own worst and best.

    Args:
        lexical: BM25 scores by chunk id, the best `CANDIDATES`.
        similarity: Cosines by chunk id, the best `CANDIDATES`.
        alpha: Weight of *similarity* in [0, 1].

    Source:
        Weaviate's relativeScoreFusion. Rank fusion loses here: a few noise hits on words
        that do not matter would weigh as much as the vectors' best.
    """
    if not similarity:
        return dict(lexical)
    fused: dict[str, float] = {}
    for scores, weight in ((lexical, 1 - alpha), (similarity, alpha)):
        if not scores:
            continue
        low, high = min(scores.values()), max(scores.values())
        for chunk_id, score in scores.items():
            scaled = (score - low) / (high - low) if high > low else 1.0
            fused[chunk_id] = fused.get(chunk_id, 0.0) + weight * scaled
    return fused


def summed_up(documents: Iterable[tuple[str, datetime | None]]) -> list[SourceSummary]:
    """*documents*, each by its source and its time of change, all of which may be read."""
    times: dict[str, list[datetime | None]] = {}
    for source, modified_at in documents:
        times.setdefault(source, []).append(modified_at)
    return [
        SourceSummary(source, len(found), max((at for at in found if at), default=None))
        for source, found in sorted(times.items())
    ]


class InMemoryStore:
    """The definition of a store's behaviour: filter by access, score every chunk left, fuse, cut."""

    def __init__(self) -> None:
        self._documents: dict[str, IndexedDocument] = {}
        self._vectors: dict[str, FloatArray] = {}
        self._sentences: dict[str, FloatArray] = {}

    async def search(self, query: SearchQuery, scope: AccessScope, *, top_k: int) -> list[Passage]:
        if scope.is_empty or top_k < 1:
            return []
        allowed = {chunk.id: chunk for chunk in self._chunks() if scope.allows(chunk.acl)}
        lexical = _best(self._bm25(query.tokens, allowed))
        similarity = (
            _best(
                {
                    chunk_id: float(vector @ query.vector)
                    for chunk_id, vector in self._vectors.items()
                    if chunk_id in allowed
                }
            )
            if query.vector is not None and query.alpha > 0
            else {}
        )
        fused = relative_score_fusion(lexical, similarity, alpha=query.alpha)
        passages = [
            Passage(
                chunk=allowed[chunk_id],
                score=score,
                lexical=lexical.get(chunk_id, 0.0),
                similarity=similarity.get(chunk_id),
                sentence_similarity=self._sentence_similarity(chunk_id, query),
            )
            for chunk_id, score in fused.items()
        ]
        return sorted(passages, key=lambda p: (-p.score, p.chunk.id))[:top_k]

    async def fetch(self, chunk_ids: Sequence[str], scope: AccessScope) -> list[Chunk]:
        if scope.is_empty:
            return []
        by_id = {chunk.id: chunk for chunk in self._chunks() if scope.allows(chunk.acl)}
        return [by_id[chunk_id] for chunk_id in chunk_ids if chunk_id in by_id]

    async def sources(self, scope: AccessScope) -> list[SourceSummary]:
        documents = [indexed.document for indexed in self._documents.values()]
        return summed_up((d.source, d.modified_at) for d in documents if scope.allows(d.acl))

    async def write(self, documents: Sequence[IndexedDocument]) -> None:
        before = {chunk.id: chunk for chunk in self._chunks()}
        self._documents |= {indexed.document.id: indexed for indexed in documents}
        after = {chunk.id: chunk for chunk in self._chunks()}
        for chunk_id in list(self._vectors):
            if chunk_id not in after or after[chunk_id].text != before[chunk_id].text:
                self._drop_vectors(chunk_id)

    async def change_acl(self, document_id: str, acl: Acl) -> None:
        indexed = self._documents.get(document_id)
        if indexed is None:
            return
        document = replace(indexed.document, acl=acl)
        chunks = tuple(replace(chunk, document=document) for chunk in indexed.chunks)
        self._documents[document_id] = IndexedDocument(document, chunks)

    async def delete(self, document_ids: Sequence[str]) -> int:
        gone = [self._documents.pop(i) for i in set(document_ids) if i in self._documents]
        for indexed in gone:
            for chunk in indexed.chunks:
                self._drop_vectors(chunk.id)
        return len(gone)

    async def documents(self, *, source: str | None = None) -> list[Document]:
        found = [indexed.document for indexed in self._documents.values()]
        return sorted((d for d in found if source in (None, d.source)), key=lambda d: d.id)

    async def chunks_without_vector(self, *, limit: int) -> list[Chunk]:
        return [chunk for chunk in self._chunks() if chunk.id not in self._vectors][:limit]

    async def write_vectors(
        self,
        vectors: Mapping[str, FloatArray],
        *,
        sentences: Mapping[str, FloatArray] | None = None,
    ) -> None:
        for chunk in self._chunks():
            if chunk.id in vectors:
                self._drop_vectors(chunk.id)
                self._vectors[chunk.id] = np.asarray(vectors[chunk.id], np.float32)
                if sentences and chunk.id in sentences:
                    self._sentences[chunk.id] = np.asarray(sentences[chunk.id], np.float32)

    async def counts(self) -> StoreCounts:
        chunks = len(self._chunks())
        return StoreCounts(len(self._documents), chunks, chunks - len(self._vectors))

    async def close(self) -> None:
        return None

    def _drop_vectors(self, chunk_id: str) -> None:
        self._vectors.pop(chunk_id, None)
        self._sentences.pop(chunk_id, None)

    def _sentence_similarity(self, chunk_id: str, query: SearchQuery) -> tuple[float, ...]:
        rows = self._sentences.get(chunk_id)
        if rows is None or query.vector is None:
            return ()
        return tuple(float(cosine) for cosine in rows @ query.vector)

    def _chunks(self) -> list[Chunk]:
        return [chunk for indexed in self._documents.values() for chunk in indexed.chunks]

    def _bm25(self, tokens: Sequence[str], allowed: Mapping[str, Chunk]) -> dict[str, float]:
        """Statistics over the whole collection, as the engines have them; scores of allowed chunks only."""
        counts = {chunk.id: Counter(index_tokens(chunk)) for chunk in self._chunks()}
        if not counts:
            return {}
        length = {chunk_id: sum(c.values()) for chunk_id, c in counts.items()}
        mean_length = sum(length.values()) / len(length) or 1.0
        scores: dict[str, float] = {}
        for token, times in Counter(tokens).items():
            df = sum(token in c for c in counts.values())
            idf = math.log(1 + (len(counts) - df + 0.5) / (df + 0.5))
            for chunk_id in allowed:
                if tf := counts[chunk_id][token]:
                    norm = BM25_K1 * (1 - BM25_B + BM25_B * length[chunk_id] / mean_length)
                    gain = times * idf * tf * (BM25_K1 + 1) / (tf + norm)
                    scores[chunk_id] = scores.get(chunk_id, 0.0) + gain
        return scores


def _best(scores: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:CANDIDATES])
