"""Ports to models, each with its scripted twin."""

import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from retrieval.analysis import query_tokens
from retrieval.types import FloatArray, Usage


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class ModelMessage:
    role: Role
    content: str


class LanguageModel(Protocol):
    """A chat model. Raises `ModelUnavailable` or `ModelMisconfigured`, never a driver's error."""

    @property
    def name(self) -> str: ...

    def stream(
        self, messages: Sequence[ModelMessage], *, max_tokens: int
    ) -> AsyncIterator[str | Usage]:
        """
        Text as it is generated, then one `Usage`.

        Closing the iterator stops the generation on the server.
        """
        ...


class Embedder(Protocol):
    """Texts to unit-length vectors. Raises `ModelUnavailable` or `ModelMisconfigured`."""

    @property
    def name(self) -> str:
        """Identifies the vector space: vectors of equal names can be compared."""
        ...

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Unit-length rows, shape `(len(texts), dim)`."""
        ...


class ScriptedModel:
    """Answers with the given replies in turn, word by word, and keeps what it was asked."""

    def __init__(self, *replies: str) -> None:
        self._replies = list(replies)
        self.asked: list[Sequence[ModelMessage]] = []

    @property
    def name(self) -> str:
        return "scripted"

    async def stream(
        self, messages: Sequence[ModelMessage], *, max_tokens: int
    ) -> AsyncIterator[str | Usage]:
        self.asked.append(messages)
        reply = self._replies.pop(0)
        for start in range(0, len(reply), 7):
            yield reply[start : start + 7]
        yield Usage(model=self.name, prompt_tokens=1, completion_tokens=len(reply))


class HashingEmbedder:
    """Feature hashing over search tokens: texts with common words are near each other, and nothing is to be loaded."""

    def __init__(self, dim: int = 64) -> None:
        self._dim = dim

    @property
    def name(self) -> str:
        return f"hashing-{self._dim}"

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        vectors = np.zeros((len(texts), self._dim), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for token in query_tokens(text):
                code = zlib.crc32(token.encode())
                row[code % self._dim] += 1 if code & 0x10000 else -1
            row /= max(float(np.linalg.norm(row)), 1e-9)
        return vectors
