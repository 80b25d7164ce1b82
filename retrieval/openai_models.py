"""Language model and embedder over any server that speaks OpenAI's chat completions."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import numpy as np
import openai
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk

from retrieval.errors import ModelError, ModelMisconfigured, ModelUnavailable
from retrieval.models import ModelMessage
from retrieval.openai_client import translated, with_retries
from retrieval.types import FloatArray, Usage

_BATCH = 64
# Inputs beyond a model's window are refused as a whole. Chinese takes about a token a character,
# and the usual window is 8 k.
_LONGEST_INPUT = 6000

# What a server that knows the shape of the protocol but not its content makes the client raise.
_UNREADABLE = (ValueError, TypeError, AttributeError)


class OpenAIModel:
    """
    `LanguageModel` over chat completions, the one interface that all compatible servers have.

    Args:
        client: From `open_client`; closed by its owner.
        temperature: None leaves it to the server; some models accept no other.
        setting: What the names of the settings begin with, for error texts.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        model: str,
        temperature: float | None = None,
        setting: str = "SHIFU_MODEL",
    ) -> None:
        self._client = client
        self._model = model
        self._setting = setting
        self._limit_option = "max_tokens"
        self._options: dict[str, Any] = {"stream_options": {"include_usage": True}}
        if temperature is not None:
            self._options["temperature"] = temperature

    @property
    def name(self) -> str:
        return self._model

    async def stream(
        self, messages: Sequence[ModelMessage], *, max_tokens: int
    ) -> AsyncIterator[str | Usage]:
        usage, has_begun, has_ended = Usage(self._model), False, False
        try:
            async with aclosing(await self._open(messages, max_tokens)) as stream:
                async for chunk in stream:
                    has_begun = True
                    if chunk.usage:
                        usage = _usage(self._model, chunk)
                    # The last chunk has no choice; some servers begin with such a one.
                    for choice in (chunk.choices or ())[:1]:
                        has_ended = has_ended or bool(choice.finish_reason)
                        if choice.delta and choice.delta.content:
                            yield choice.delta.content
        except (openai.APIError, *_UNREADABLE) as error:
            raise self._translated(error) from error
        if not has_begun:
            raise ModelMisconfigured(
                f"The model's server sent no answer. {self._setting}__BASE_URL must be the address "
                "of an OpenAI-compatible interface; it ends in /v1."
            )
        if not has_ended:
            raise ModelUnavailable("The model's answer broke off before its end.")
        yield usage

    async def _open(
        self, messages: Sequence[ModelMessage], max_tokens: int
    ) -> AsyncStream[ChatCompletionChunk]:
        sent: Any = [{"role": m.role.value, "content": _valid(m.content)} for m in messages]

        async def create() -> AsyncStream[ChatCompletionChunk]:
            options: dict[str, Any] = {**self._options, self._limit_option: max_tokens}
            opened: AsyncStream[ChatCompletionChunk] = await self._client.chat.completions.create(
                model=self._model, messages=sent, stream=True, **options
            )
            return opened

        while True:
            try:
                return await with_retries(create)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not self._did_adapt(f"{error.param} {error.message}"):
                    raise

    def _did_adapt(self, complaint: str) -> bool:
        """Servers and models differ in which options they know; leave out what this one refuses."""
        if "max_completion_tokens" in complaint and self._limit_option == "max_tokens":
            self._limit_option = "max_completion_tokens"
            return True
        refused = [option for option in self._options if option in complaint]
        for option in refused:
            del self._options[option]
        return bool(refused)

    def _translated(self, error: Exception) -> ModelError:
        address = str(self._client.base_url)
        return translated(error, model=self._model, address=address, setting=self._setting)


class OpenAIEmbedder:
    """
    `Embedder` over the embeddings interface.

    Args:
        client: From `open_client`; closed by its owner.
        dim: Length of the vectors; None takes what the server sends first, and holds it to that.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        model: str,
        dim: int | None = None,
        setting: str = "SHIFU_EMBEDDINGS",
    ) -> None:
        self._client = client
        self._model = model
        self._dim = dim
        self._setting = setting

    @property
    def name(self) -> str:
        return self._model

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        rows = [
            await self._batch(texts[start : start + _BATCH])
            for start in range(0, len(texts), _BATCH)
        ]
        return np.concatenate(rows) if rows else np.empty((0, self._dim or 0), np.float32)

    async def _batch(self, texts: Sequence[str]) -> FloatArray:
        # Nothing at all is refused as an input.
        sent = [_valid(text[:_LONGEST_INPUT]).strip() or "." for text in texts]
        try:
            response = await with_retries(
                lambda: self._client.embeddings.create(
                    # Compatible servers may not know the library's default, base64.
                    model=self._model,
                    input=sent,
                    encoding_format="float",
                )
            )
            data = sorted(response.data, key=lambda item: item.index)
            vectors = np.array([item.embedding for item in data], np.float32)
        except (openai.APIError, *_UNREADABLE) as error:
            address = str(self._client.base_url)
            raise translated(
                error, model=self._model, address=address, setting=self._setting
            ) from error
        self._check(vectors, len(texts))
        return np.asarray(
            vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32
        )

    def _check(self, vectors: FloatArray, count: int) -> None:
        if vectors.ndim != 2 or len(vectors) != count or not np.isfinite(vectors).all():
            raise ModelUnavailable("The embeddings server did not send one vector for each text.")
        self._dim = self._dim or vectors.shape[1]
        if vectors.shape[1] != self._dim:
            raise ModelMisconfigured(
                f"The embedding model {self._model!r} sends {vectors.shape[1]} numbers a text, but "
                f"{self._dim} are expected. Check {self._setting}__NAME; another model needs an index "
                "of its own."
            )


def _usage(model: str, chunk: ChatCompletionChunk) -> Usage:
    assert chunk.usage is not None
    return Usage(model, chunk.usage.prompt_tokens or 0, chunk.usage.completion_tokens or 0)


def _valid(text: str) -> str:
    """*text* without halves of surrogate pairs, which cannot be sent."""
    return text.encode("utf-8", "replace").decode()
