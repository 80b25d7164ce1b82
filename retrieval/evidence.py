"""Is there enough in the passages to answer? Three bands, and the sentences that speak for it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.analysis import cjk_share, content_tokens, is_chinese
from retrieval.models import Embedder
from retrieval.ranking import chunk_tokens, sentence_score, sentence_tokens
from retrieval.sentences import sentences
from retrieval.types import Band, FloatArray, Passage

_JUDGED_PASSAGES = 3

# Read off the question sets of two domains, so that at most one answerable question in ten is
# declined while more than nine in ten questions of the other domain are. See benchmarks/README.md.
_ANSWERED_WITH_VECTORS, _UNSURE_WITH_VECTORS = 0.42, 0.32
_ANSWERED_BY_WORDS, _UNSURE_BY_WORDS = 0.33, 0.18
_COVERAGE_WEIGHT = 0.25
_OTHER_SCRIPT_BONUS, _OTHER_SCRIPT_COVERAGE_WEIGHT = 0.075, 0.2


@dataclass(frozen=True, slots=True)
class EvidenceSentence:
    """
    A sentence of a passage and how well it fits the question.

    Attributes:
        passage: Index into the passages judged, 0 the best.
        position: Index of the sentence within its passage.
        score: Fit to the question in about [0, 1]; comparable within one question.
    """

    text: str
    passage: int
    position: int
    score: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """How sure the passages make us. *sentences* are those of the first passages, in reading order."""

    band: Band
    strength: float
    sentences: tuple[EvidenceSentence, ...]

    def __deepcopy__(self, memo: object) -> "Evidence":
        return self


async def judge(
    question: str,
    vector: FloatArray | None,
    passages: Sequence[Passage],
    embedder: Embedder | None,
) -> Evidence:
    """
    Judge by the passages that may be read, and by nothing else: what is hidden cannot show in the verdict.

    With vectors, the best cosine of question and sentence plus the share of the question's words in
    the first passage. Words of the passage's script alone count, since a Chinese question's words
    cannot occur in English text. Without vectors, the share of words decides.

    Args:
        vector: The question's embedding, shape `(dim,)`; None judges by words.
        passages: Reranked, best first.

    Raises:
        ModelUnavailable: If the embedder does not answer.
    """
    judged = passages[:_JUDGED_PASSAGES]
    if not judged:
        return Evidence(Band.NOTHING, 0.0, ())
    located = [
        (index, position, text)
        for index, passage in enumerate(judged)
        for position, text in enumerate(sentences(passage.chunk.text))
    ]
    similarity = (
        await embedder.embed([text for _, _, text in located]) @ vector
        if embedder is not None and vector is not None and located
        else None
    )
    weights = _weights(question, passages)
    scores = _sentence_scores(judged, weights, similarity)
    strength, band = _strength(question, judged, weights, similarity)
    return Evidence(
        band,
        strength,
        tuple(
            EvidenceSentence(text, index, position, score)
            for (index, position, text), score in zip(located, scores, strict=True)
        ),
    )


def _strength(
    question: str,
    judged: Sequence[Passage],
    weights: dict[str, float],
    similarity: FloatArray | None,
) -> tuple[float, Band]:
    crosses = (cjk_share(question) > 0.2) != (cjk_share(judged[0].chunk.text) > 0.2)
    if similarity is None:
        coverage = max(_coverage(p, weights) for p in judged)
        # Across scripts words say next to nothing, so a single common term must do.
        strength = max(coverage, _latin_coverage(judged[0], weights)) if crosses else coverage
        return strength, _band(strength, _ANSWERED_BY_WORDS, _UNSURE_BY_WORDS)
    cosine = float(similarity.max())
    if crosses:
        strength = cosine + _OTHER_SCRIPT_BONUS
        strength += _OTHER_SCRIPT_COVERAGE_WEIGHT * _latin_coverage(judged[0], weights)
    else:
        strength = cosine + _COVERAGE_WEIGHT * _coverage(judged[0], weights)
    return strength, _band(strength, _ANSWERED_WITH_VECTORS, _UNSURE_WITH_VECTORS)


def _band(strength: float, answered: float, unsure: float) -> Band:
    if strength >= answered:
        return Band.ANSWERED
    return Band.UNSURE if strength >= unsure else Band.NOTHING


def _weights(question: str, passages: Sequence[Passage]) -> dict[str, float]:
    texts = [frozenset(chunk_tokens(passage.chunk)) for passage in passages]
    frequency = {t: sum(t in text for text in texts) for t in content_tokens(question)}
    return {t: math.log(1 + (len(texts) - n + 0.5) / (n + 0.5)) for t, n in frequency.items()}


def _coverage(passage: Passage, weights: dict[str, float]) -> float:
    found = frozenset(chunk_tokens(passage.chunk))
    total = sum(weights.values())
    return sum(w for token, w in weights.items() if token in found) / total if total else 0.0


def _latin_coverage(passage: Passage, weights: dict[str, float]) -> float:
    return _coverage(passage, {t: w for t, w in weights.items() if not is_chinese(t)})


def _sentence_scores(
    judged: Sequence[Passage], weights: dict[str, float], similarity: FloatArray | None
) -> list[float]:
    """Words and meaning in equal parts, each neighbour lending a little: an answer often stands beside its topic."""
    counts: list[list[Counter[str]]] = [list(sentence_tokens(p.chunk.text)) for p in judged]
    by_words: list[float] = []
    for passage in counts:
        own = [sentence_score(sentence, weights) for sentence in passage]
        padded = [0.0, *own, 0.0]
        by_words += [score + 0.15 * (padded[i] + padded[i + 2]) for i, score in enumerate(own)]
    highest = max(by_words, default=0.0)
    relative = np.array(by_words) / highest if highest > 0 else np.zeros(len(by_words))
    if similarity is None:
        return [float(score) for score in relative]
    return [float(score) for score in 0.5 * relative + np.clip(similarity, 0, 1)]
