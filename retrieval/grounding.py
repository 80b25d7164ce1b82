"""Writes an answer from passages: a model's sentences, each checked before it is shown, or extracts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from retrieval.citations import CheckedSentence, SentenceBuffer, check_sentence
from retrieval.errors import ModelError, ModelMisconfigured
from retrieval.evidence import Evidence
from retrieval.extractive import extract, unsure
from retrieval.models import Embedder, LanguageModel
from retrieval.prompts import NOT_IN_PASSAGES, Exchange, answer_messages
from retrieval.types import Answer, Band, Citation, Language, Passage, Usage

log = structlog.get_logger()

ProgressCallback = Callable[[str, tuple[Citation, ...]], Awaitable[None]]
"""Takes the checked beginning of an answer, from its first word on, with the citations so far."""

_MAX_TOKENS = 900
_MODEL_PASSAGES = 6

_MODEL_FAILED = {
    Language.ENGLISH: "The language model did not answer, so these are the documents' own sentences.",
    Language.CHINESE: "語言模型沒有回應，以下是文件的原文。",
}
_MODEL_BROKE_OFF = {
    Language.ENGLISH: "The language model broke off; the answer may be incomplete.",
    Language.CHINESE: "語言模型中途中斷，答案可能不完整。",
}
_NOT_SUPPORTED = {
    Language.ENGLISH: "What the language model wrote was not supported by the documents, "
    "so these are the documents' own sentences.",
    Language.CHINESE: "語言模型所寫的內容沒有文件依據，以下是文件的原文。",
}


class GroundedWriter:
    """
    Turns passages into an answer whose every sentence rests on one of them.

    Text is buffered by sentence and shown only when checked, so nothing has to be taken back. A
    model that fails, or says nothing that the passages support, is replaced by extracts.
    """

    def __init__(
        self, model: LanguageModel | None, embedder: Embedder | None, *, timeout_s: float = 60
    ) -> None:
        self._model = model
        self._embedder = embedder
        self._timeout_s = timeout_s

    async def write(
        self,
        question: str,
        passages: Sequence[Passage],
        evidence: Evidence,
        *,
        language: Language,
        history: Sequence[Exchange] = (),
        on_progress: ProgressCallback | None = None,
    ) -> Answer:
        """Never raises for the model's sake: the answer's notice says what it lacks."""
        if self._model is None or evidence.band is Band.NOTHING:
            return extract(passages, evidence, language=language)
        # To tell of a text as a whole takes more of it than to answer a question.
        passages = passages if evidence.is_chosen else passages[:_MODEL_PASSAGES]
        draft = _Draft(passages, self._embedder, on_progress)
        messages = answer_messages(question, passages, language=language, history=history)
        notice = None
        try:
            async with asyncio.timeout(self._timeout_s):
                stream = self._model.stream(messages, max_tokens=_MAX_TOKENS)
                await draft.read(stream)
        except (ModelError, TimeoutError) as error:
            # The reader gets a notice; the operator needs the reason.
            told = log.error if isinstance(error, ModelMisconfigured) else log.warning
            told("model.failed", model=self._model.name, reason=str(error) or "timed out")
            notice = (_MODEL_BROKE_OFF if draft.text else _MODEL_FAILED)[language]
        if draft.text:
            return draft.answer(language, notice)
        if draft.declined:
            return replace(unsure(passages, language=language), usage=draft.usage)
        return replace(
            extract(passages, evidence, language=language),
            notice=notice or _NOT_SUPPORTED[language],
            usage=draft.usage,
            removed_sentences=draft.removed,
        )


class _Draft:
    """An answer in the making."""

    def __init__(
        self,
        passages: Sequence[Passage],
        embedder: Embedder | None,
        on_progress: ProgressCallback | None,
    ) -> None:
        self._passages = passages
        self._embedder = embedder
        self._on_progress = on_progress
        self._numbers: dict[int, int] = {}
        self.text = ""
        self.declined = False
        self.removed = 0
        self.usage: Usage | None = None

    async def read(self, stream: AsyncIterator[str | Usage]) -> None:
        buffer = SentenceBuffer()
        # Closing the stream at once is what stops the model when the reader has left.
        async with aclosing(stream) as parts:  # type: ignore[type-var]
            async for part in parts:
                if isinstance(part, Usage):
                    self.usage = part
                    continue
                for sentence in buffer.feed(part):
                    await self._add(sentence)
        for sentence in buffer.flush():
            await self._add(sentence)

    def answer(self, language: Language, notice: str | None) -> Answer:
        return Answer(
            text=self.text.strip(),
            band=Band.ANSWERED,
            language=language,
            citations=self._citations(),
            is_extract=False,
            notice=notice,
            removed_sentences=self.removed,
            usage=self.usage,
            consulted=tuple(passage.chunk.id for passage in self._passages),
        )

    async def _add(self, sentence: str) -> None:
        if NOT_IN_PASSAGES in sentence:
            self.declined = True
            return
        checked = await check_sentence(sentence, self._passages, self._embedder)
        if checked is None:
            # A bare line break keeps the answer's paragraphs and lists apart.
            if any(c.isalnum() for c in sentence):
                self.removed += 1
            elif self.text and not sentence.strip():
                self.text += sentence
            return
        self.text += self._with_markers(checked)
        if self._on_progress is not None:
            await self._on_progress(self.text.strip(), self._citations())

    def _with_markers(self, checked: CheckedSentence) -> str:
        numbers = [self._numbers.setdefault(i, len(self._numbers) + 1) for i in checked.passages]
        markers = "".join(f"[{number}]" for number in sorted(numbers))
        body = checked.text.rstrip()
        return f"{body} {markers}{checked.text[len(body) :] or ' '}"

    def _citations(self) -> tuple[Citation, ...]:
        return tuple(
            Citation(number, self._passages[index].chunk) for index, number in self._numbers.items()
        )
