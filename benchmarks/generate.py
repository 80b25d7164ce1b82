"""Generates stores of any size from the example company: texts, access lists over 500 groups, vectors."""

import json
import random
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np

from benchmarks.readers import AccessLists
from retrieval.access import Acl
from retrieval.analysis import embedding_text, is_chinese_text
from retrieval.ingest.connectors import FolderConnector, FoundDocument
from retrieval.ingest.split import split
from retrieval.models import Embedder
from retrieval.sentences import sentences
from retrieval.store import ChunkStore
from retrieval.types import Chunk, Document, FloatArray, IndexedDocument

COMPANY = Path(__file__).resolve().parent.parent / "examples" / "company"

EMBEDDED_CHUNKS, EMBEDDED_SENTENCES = 2_000, 2_000
"""How many vectors are real; all others are these, jittered."""

_JITTER = 0.5
_WRITE_BATCH_CHUNKS = 5_000
_SEED = 20_261_123
_PIECE = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+\s*|\s+")


@dataclass(frozen=True, slots=True)
class _Vectors:
    """Real ones: of whole chunks, by the position of the chunk; and of any sentences."""

    chunks: FloatArray
    sentences: FloatArray


class Generator:
    """
    The same documents, in the same order, for every size: a small store is the beginning of a large one.

    A chunk follows a real one of the examples sentence by sentence. Each sentence keeps its beginning
    and gets the end of another one in the same script, so vocabulary, word order and lengths are
    those of the examples. Words are therefore commoner than in a company's 100,000 chunks,
    which makes searching by words slower here, not faster.
    """

    def __init__(self, templates: Sequence[Sequence[Chunk]], embedder: Embedder | None) -> None:
        self.embedder = embedder
        self._templates = templates
        self._vectors: _Vectors | None = None
        self._sentences: dict[bool, list[str]] = {True: [], False: []}
        for chunk in (chunk for chunks in templates for chunk in chunks):
            for sentence in sentences(chunk.text):
                self._sentences[is_chinese_text(sentence)].append(sentence)

    @classmethod
    async def load(cls, embedder: Embedder | None) -> Self:
        docs = COMPANY / "docs"
        connector = FolderConnector([docs], root=docs, tenant="qinglan", default_acl=None)
        listed = [item async for item in connector.listing() if isinstance(item, FoundDocument)]
        loaded = [await connector.load(item.id) for item in listed]
        return cls([split(one.document, one.markdown).chunks for one in loaded], embedder)

    def documents(self, chunks: int) -> Iterator[IndexedDocument]:
        """Documents of *chunks* chunks in all."""
        rng = random.Random(_SEED)
        lists = AccessLists(rng)
        number = 0
        while chunks > 0:
            templates = rng.choice(self._templates)[:chunks]
            number += 1
            yield self._document(number, templates, lists.draw(), rng)
            chunks -= len(templates)

    async def fill(self, store: ChunkStore, chunks: int) -> int:
        """Make *store* hold *chunks* chunks, unless it does already; how many were written."""
        if await self.has_filled(store, chunks):
            return 0
        async for documents, vectors, sentence_vectors in self.batches(chunks):
            await store.write(documents)
            await store.write_vectors(vectors, sentences=sentence_vectors)
        return chunks

    async def has_filled(self, store: ChunkStore, chunks: int) -> bool:
        counts = await store.counts()
        return counts.chunks == chunks and not (self.embedder and counts.chunks_without_vector)

    async def prepare(self) -> None:
        """Compute the vectors that are real, which takes half a minute."""
        if self.embedder is not None and self._vectors is None:
            self._vectors = await self._embedded(self.embedder)

    async def batches(
        self, chunks: int
    ) -> AsyncIterator[tuple[list[IndexedDocument], dict[str, FloatArray], dict[str, FloatArray]]]:
        """Documents with the vectors of their chunks and of the sentences in these, by chunk id."""
        written = 0
        for batch in _batches(self.documents(chunks)):
            listed = [chunk for indexed in batch for chunk in indexed.chunks]
            yield batch, *await self._vectors_of(listed, first=written)
            written += len(listed)

    def _document(
        self, number: int, templates: Sequence[Chunk], acl: Acl, rng: random.Random
    ) -> IndexedDocument:
        document = Document(
            id=f"generated/{number:06}",
            source="generated",
            title=f"{templates[0].document.title} {number}",
            acl=acl,
            content_hash=str(number),
            language=templates[0].document.language,
        )
        return IndexedDocument(
            document,
            tuple(
                Chunk(
                    f"{document.id}#{n}", document, n, self._mixed(chunk, rng), chunk.heading_path
                )
                for n, chunk in enumerate(templates)
            ),
        )

    def _mixed(self, template: Chunk, rng: random.Random) -> str:
        mixed = []
        for sentence in sentences(template.text):
            begin = _PIECE.findall(sentence)
            end = _PIECE.findall(rng.choice(self._sentences[is_chinese_text(sentence)]))
            cut = rng.random()
            kept = [*begin[: round(cut * len(begin))], *end[round(cut * len(end)) :]]
            mixed.append("".join(kept))
        return "\n\n".join(mixed)

    async def _vectors_of(
        self, chunks: Sequence[Chunk], *, first: int
    ) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        await self.prepare()
        if self._vectors is None:
            return {}, {}
        known, pool = self._vectors.chunks, self._vectors.sentences
        rng = np.random.default_rng(_SEED + first)
        drawn = _jittered(known[rng.integers(len(known), size=len(chunks))], rng)
        real = known[first : first + len(chunks)]
        drawn[: len(real)] = real
        counts = [len(sentences(chunk.text)) for chunk in chunks]
        rows = _jittered(pool[rng.integers(len(pool), size=sum(counts))], rng)
        parts = np.split(rows, np.cumsum(counts)[:-1])
        return (
            {chunk.id: vector for chunk, vector in zip(chunks, drawn, strict=True)},
            {chunk.id: part for chunk, part in zip(chunks, parts, strict=True)},
        )

    async def _embedded(self, embedder: Embedder) -> _Vectors:
        documents = self.documents(EMBEDDED_CHUNKS)
        chunks = [chunk for indexed in documents for chunk in indexed.chunks]
        texts = list(islice((s for c in chunks for s in sentences(c.text)), EMBEDDED_SENTENCES))
        return _Vectors(
            await embedder.embed([embedding_text(chunk) for chunk in chunks]),
            await embedder.embed(texts),
        )


@contextmanager
def stores_folder(kept: Path | None) -> Iterator[Path]:
    """The folder *kept*, or one that is gone afterwards."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with TemporaryDirectory(prefix="shifu-benchmark-") as folder:
        yield Path(folder)


def company_questions() -> list[str]:
    """The questions of the example company, without those that follow up on another."""
    rows = [
        json.loads(line)
        for path in sorted((COMPANY / "questions").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return list(dict.fromkeys(row["query"] for row in rows if not row.get("history")))


def _batches(documents: Iterator[IndexedDocument]) -> Iterator[list[IndexedDocument]]:
    batch: list[IndexedDocument] = []
    for indexed in documents:
        batch.append(indexed)
        if sum(len(one.chunks) for one in batch) >= _WRITE_BATCH_CHUNKS:
            yield batch
            batch = []
    if batch:
        yield batch


def _jittered(vectors: FloatArray, rng: np.random.Generator) -> FloatArray:
    noise = rng.standard_normal(vectors.shape, np.float32) * (_JITTER / vectors.shape[1] ** 0.5)
    moved = vectors + noise
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), np.float32)
