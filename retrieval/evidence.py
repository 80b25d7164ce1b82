"""Is there enough in the passages to answer? Three bands, and the sentences that speak for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.analysis import is_chinese, is_content
from retrieval.ranking import (
    QuestionTerms,
    chunk_tokens,
    inverse_frequency,
    sentence_score,
    sentence_tokens,
)
from retrieval.sentences import sentences
from retrieval.types import Band, Passage, Value

_JUDGED_PASSAGES = 3

# Read off the question sets of two domains, so that at most one answerable question in ten is
# declined while more than nine in ten questions of the other domain are. See benchmarks/README.md.
_ANSWERED_WITH_VECTORS, _UNSURE_WITH_VECTORS = 0.41, 0.30
_ANSWERED_BY_WORDS, _UNSURE_BY_WORDS = 0.26, 0.13
_COVERAGE_WEIGHT = 0.4
_OTHER_SCRIPT_BONUS_BY_WORDS = 0.1


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
class Evidence(Value):
    """
    How sure the passages make us. *sentences* are those of the first passages, in reading order.

    Attributes:
        is_chosen: The sentences are the answer already, not candidates for it.
    """

    band: Band
    strength: float
    sentences: tuple[EvidenceSentence, ...]
    is_chosen: bool = False


def judge(terms: QuestionTerms, passages: Sequence[Passage]) -> Evidence:
    """
    Judge by the passages that may be read, and by nothing else: what is hidden cannot show in the verdict.

    The best cosine of the question and a sentence of the first passage, plus the share of the
    question's words that it holds, counted in its own script. Without vectors the share of words
    decides.

    Args:
        passages: Reranked, best first.
    """
    judged = passages[:_JUDGED_PASSAGES]
    if not judged:
        return Evidence(Band.NOTHING, 0.0, ())
    weights = inverse_frequency({*terms.own, *terms.other}, passages, chunk_tokens)
    strength, band = _strength(terms, judged[0], weights)
    return Evidence(
        band,
        strength,
        tuple(
            EvidenceSentence(text, index, position, score)
            for index, passage in enumerate(judged)
            for position, (text, score) in enumerate(_scored_sentences(terms, passage, weights))
        ),
    )


def _strength(terms: QuestionTerms, best: Passage, weights: dict[str, float]) -> tuple[float, Band]:
    coverage = _coverage(terms, best, weights)
    cosines = best.sentence_similarity
    if not cosines:
        strength = coverage + (_OTHER_SCRIPT_BONUS_BY_WORDS if terms.crosses(best) else 0.0)
        return strength, _band(strength, _ANSWERED_BY_WORDS, _UNSURE_BY_WORDS)
    strength = max(cosines) + _COVERAGE_WEIGHT * coverage
    return strength, _band(strength, _ANSWERED_WITH_VECTORS, _UNSURE_WITH_VECTORS)


def _band(strength: float, answered: float, unsure: float) -> Band:
    if strength >= answered:
        return Band.ANSWERED
    return Band.UNSURE if strength >= unsure else Band.NOTHING


def _coverage(terms: QuestionTerms, passage: Passage, weights: dict[str, float]) -> float:
    """
    Share of the question's content words, by weight, that the passage holds.

    English words in Chinese text count when they are there; nobody can expect that they are.
    """
    found = frozenset(chunk_tokens(passage.chunk))
    is_chinese_passage = terms.crosses(passage) != terms.is_chinese
    wanted = {
        token: weights[token]
        for token in terms.for_passage(passage)
        if is_content(token)
        and (
            token in found or not terms.crosses(passage) or is_chinese(token) is is_chinese_passage
        )
    }
    total = sum(wanted.values())
    return sum(w for token, w in wanted.items() if token in found) / total if total else 0.0


def _scored_sentences(
    terms: QuestionTerms, passage: Passage, weights: dict[str, float]
) -> list[tuple[str, float]]:
    """Words and meaning in equal parts, each neighbour lending a little: an answer often stands beside its topic."""
    texts = sentences(passage.chunk.text)
    wanted = {t: weights[t] for t in terms.for_passage(passage) if is_content(t)}
    own = [sentence_score(counts, wanted) for counts in sentence_tokens(passage.chunk.text)]
    padded = [0.0, *own, 0.0]
    by_words = [s + 0.15 * (padded[i] + padded[i + 2]) for i, s in enumerate(own)]
    highest = max(by_words, default=0.0) or 1.0
    cosines = passage.sentence_similarity
    # Vectors of another way of splitting sentences say nothing of these.
    meaning = cosines if len(cosines) == len(texts) else [0.0] * len(texts)
    return [
        (text, 0.5 * s / highest + max(cosine, 0.0))
        for text, s, cosine in zip(texts, by_words, meaning, strict=True)
    ]
