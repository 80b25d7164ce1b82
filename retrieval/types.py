"""The values that retrieval speaks of. Frozen; no I/O, no framework types."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.access import Acl

FloatArray = NDArray[np.float32]


class Language(StrEnum):
    ENGLISH = "en"
    CHINESE = "zh-TW"


class Value:
    """An immutable value is its own copy: Haystack deep-copies what it hands from component to component."""

    __slots__ = ()

    def __deepcopy__(self, memo: object) -> Self:
        return self


@dataclass(frozen=True, slots=True)
class Document(Value):
    """What a source holds under one id. Access is granted per document; all its chunks share it."""

    id: str
    source: str
    title: str
    acl: Acl
    content_hash: str
    link: str | None = None
    owner: str | None = None
    language: Language | None = None
    version: str | None = None
    modified_at: datetime | None = None
    review_at: datetime | None = None
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk(Value):
    """A piece of a document that is found and cited as a whole. *text* is the original's, in Markdown."""

    id: str
    document: Document
    ordinal: int
    text: str
    heading_path: tuple[str, ...] = ()

    @property
    def acl(self) -> Acl:
        return self.document.acl

    @property
    def is_transient(self) -> bool:
        """
        Granted to nobody, so no store has found it: it came with a question, is there for the
        readers of that one answer, and is kept nowhere.
        """
        return not self.document.acl.principals


@dataclass(frozen=True, slots=True)
class IndexedDocument(Value):
    """A document with all of its chunks: the unit in which a store is written."""

    document: Document
    chunks: tuple[Chunk, ...]

    def __post_init__(self) -> None:
        if any(chunk.document != self.document for chunk in self.chunks):
            raise ValueError(f"every chunk of {self.document.id!r} must carry that very document")


@dataclass(frozen=True, slots=True)
class Passage(Value):
    """
    A chunk that was found, with why.

    Attributes:
        score: What the list is ordered by; comparable within one result only.
        lexical: BM25 score, 0 where no word met.
        similarity: Cosine of question and chunk in [-1, 1]; None where vectors did not rank it.
        sentence_similarity: Cosine of the question and each of the chunk's sentences, in the order
            of `sentences`; empty where that is not known.
    """

    chunk: Chunk
    score: float
    lexical: float = 0.0
    similarity: float | None = None
    sentence_similarity: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation(Value):
    """The passage a sentence rests on, under the number that the reader sees."""

    number: int
    chunk: Chunk


class Band(StrEnum):
    """How sure the evidence makes us."""

    ANSWERED = "answered"
    UNSURE = "unsure"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Usage(Value):
    """What a model call cost."""

    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 1


@dataclass(frozen=True, slots=True)
class Answer(Value):
    """
    A checked answer.

    Attributes:
        text: Markdown without links; citations are markers such as `[1]`.
        citations: What the markers stand for, in order of their numbers. Extracts add what else comes
            close, for further reading.
        is_extract: The sentences are the documents' own, not a model's.
        notice: Why the answer is less than it could be (the model failed, access unchecked), for the reader.
        removed_sentences: Sentences of the model that no passage supported.
        timings_s: Seconds by step.
        consulted: Ids of all chunks that a model was shown: its wording may owe something to each.
        considered: Ids of all chunks that were found, best first, whether or not the answer uses them;
            without those that are kept nowhere.
    """

    text: str
    band: Band
    language: Language
    citations: tuple[Citation, ...] = ()
    is_extract: bool = True
    notice: str | None = None
    removed_sentences: int = 0
    usage: Usage | None = None
    timings_s: dict[str, float] = field(default_factory=dict)
    consulted: tuple[str, ...] = ()
    considered: tuple[str, ...] = ()

    @property
    def is_abstention(self) -> bool:
        """Nothing is claimed: the passages were not enough."""
        return self.band is not Band.ANSWERED
