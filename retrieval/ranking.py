"""Training-free reranking of what the store found: words close together, one sentence that says it all."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from retrieval.analysis import analyse, cjk_share, words
from retrieval.sentences import sentences
from retrieval.types import Chunk, Passage

PROXIMITY_WEIGHT, SENTENCE_WEIGHT = 0.5, 0.3
"""Chosen on one half of a question set in each language and confirmed on the other half."""

_CHINESE_WINDOW, _LATIN_WINDOW = 30, 15
_MEAN_SENTENCE_TOKENS = 40
_SUPERSEDED_PENALTY = 0.5
_NEAR_DUPLICATE_JACCARD = 0.85


def rerank(question: str, passages: Sequence[Passage], *, top_k: int) -> list[Passage]:
    """
    Order *passages* anew by their fused score plus proximity and best-sentence evidence.

    Word weights come from these passages alone, all of which may be read: statistics over the whole
    collection would let documents that may not be read sway what is shown. A newer version of a
    document goes before the one that it supersedes, and near-duplicates collapse into the first.
    """
    if not passages:
        return []
    token_weights = _inverse_frequency(analyse(question), passages, chunk_tokens)
    word_weights = _inverse_frequency(words(question), passages, _words)
    window = _CHINESE_WINDOW if cjk_share(question) > 0.2 else _LATIN_WINDOW
    fused = [passage.score for passage in passages]
    near = [_proximity(_words(p.chunk), word_weights, window=window) for p in passages]
    stated = [
        max((sentence_score(s, token_weights) for s in sentence_tokens(p.chunk.text)), default=0.0)
        for p in passages
    ]
    scored = [
        replace(
            passage,
            score=(f + PROXIMITY_WEIGHT * n + SENTENCE_WEIGHT * s)
            * (_SUPERSEDED_PENALTY if passage.chunk.document.superseded_by else 1.0),
        )
        for passage, f, n, s in zip(
            passages, _relative(fused), _relative(near), _relative(stated), strict=True
        )
    ]
    scored.sort(key=lambda p: (-p.score, p.chunk.id))
    return _without_near_duplicates(scored, top_k=top_k)


def sentence_score(sentence: Counter[str], weights: Mapping[str, float]) -> float:
    """BM25 of a sentence with k1 1.2, b 0.4 and counts cut at 2: a short sentence says a thing once."""
    length = 0.6 + 0.4 * sum(sentence.values()) / _MEAN_SENTENCE_TOKENS
    return sum(
        weight * min(sentence[token], 2) * 2.2 / (sentence[token] + 1.2 * length)
        for token, weight in weights.items()
        if token in sentence
    )


def _inverse_frequency(
    tokens: Sequence[str], passages: Sequence[Passage], tokens_of: Callable[[Chunk], Sequence[str]]
) -> dict[str, float]:
    sets = [frozenset(tokens_of(passage.chunk)) for passage in passages]
    frequency = {token: sum(token in s for s in sets) for token in tokens}
    return {t: math.log(1 + (len(sets) - n + 0.5) / (n + 0.5)) for t, n in frequency.items()}


def _proximity(text: Sequence[str], weights: Mapping[str, float], *, window: int) -> float:
    """The largest weight of distinct question words that stand within *window* words of each other."""
    hits = [(position, word) for position, word in enumerate(text) if word in weights]
    inside: Counter[str] = Counter()
    mass = best = 0.0
    first = 0
    for position, word in hits:
        if not inside[word]:
            mass += weights[word]
        inside[word] += 1
        while position - hits[first][0] > window:
            left = hits[first][1]
            inside[left] -= 1
            if not inside[left]:
                mass -= weights[left]
            first += 1
        best = max(best, mass)
    return best


def _relative(scores: Sequence[float]) -> list[float]:
    highest = max(scores)
    return [score / highest if highest > 0 else 0.0 for score in scores]


def _without_near_duplicates(passages: Sequence[Passage], *, top_k: int) -> list[Passage]:
    kept: list[Passage] = []
    for passage in passages:
        if len(kept) == top_k:
            break
        tokens = frozenset(chunk_tokens(passage.chunk))
        if not any(
            _jaccard(tokens, frozenset(chunk_tokens(k.chunk))) > _NEAR_DUPLICATE_JACCARD
            for k in kept
        ):
            kept.append(passage)
    return kept


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a or b else 1.0


# The same passages are found again and again; splitting them anew costs more than the ranking.


def chunk_tokens(chunk: Chunk) -> tuple[str, ...]:
    """Search tokens of a chunk's title, heading path and text."""
    return _analysed("\n".join([chunk.document.title, *chunk.heading_path, chunk.text]))


def _words(chunk: Chunk) -> tuple[str, ...]:
    return _in_order("\n".join([chunk.document.title, *chunk.heading_path, chunk.text]))


@lru_cache(maxsize=4_000)
def _analysed(text: str) -> tuple[str, ...]:
    return tuple(analyse(text))


@lru_cache(maxsize=4_000)
def _in_order(text: str) -> tuple[str, ...]:
    return tuple(words(text))


@lru_cache(maxsize=4_000)
def sentence_tokens(text: str) -> tuple[Counter[str], ...]:
    """Search tokens of each sentence of *text*, in the order of `sentences`."""
    return tuple(Counter(analyse(sentence)) for sentence in sentences(text))
