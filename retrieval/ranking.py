"""Training-free reranking of what the store found: meaning, words close together, one sentence that says it all."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from retrieval.analysis import analyse, is_chinese, is_chinese_text, searchable_text, words
from retrieval.sentences import sentences
from retrieval.types import Chunk, Passage, Value

LEXICAL_WEIGHT, PROXIMITY_WEIGHT, SENTENCE_WEIGHT = 0.2, 0.2, 0.15
SIMILARITY_WEIGHT, SENTENCE_SIMILARITY_WEIGHT = 0.5, 0.7
"""Found by coordinate search over five question sets, all of which were looked at: none is held out."""

_PROXIMITY_WEIGHT_ALONE, _SENTENCE_WEIGHT_ALONE = 0.1, 0.06
"""Without vectors, when what words say of meaning is all there is: BM25 must lead."""

_LOOKED_AT_CLOSELY, _BEST_BY_WORDS = 30, 15
_CHINESE_WINDOW, _LATIN_WINDOW = 30, 15
_MEAN_SENTENCE_TOKENS = 40
_SUPERSEDED_PENALTY = 0.5
_NEAR_DUPLICATE_JACCARD = 0.85


@dataclass(frozen=True, slots=True)
class QuestionTerms(Value):
    """
    A question's search tokens, apart for the two scripts that passages are in.

    Attributes:
        own: The question's own tokens, for passages in its script.
        other: Its translation's tokens, for passages in the other script; empty when nothing is known.
    """

    text: str
    own: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def is_chinese(self) -> bool:
        return is_chinese_text(self.text)

    def for_passage(self, passage: Passage) -> tuple[str, ...]:
        return self.other if self.crosses(passage) else self.own

    def crosses(self, passage: Passage) -> bool:
        """Whether *passage* is in the other script, so that the question's own words cannot occur in it."""
        return self.is_chinese != is_chinese_text(passage.chunk.text)


def rerank(
    terms: QuestionTerms,
    passages: Sequence[Passage],
    *,
    top_k: int,
    bonus: Callable[[Passage], float] = lambda _: 0.0,
) -> list[Passage]:
    """
    Order *passages* anew: a weighted sum of words, their proximity, the best sentence, and cosines.

    What words contribute is relative to the best passage *in the same script*: a Chinese question
    always shares more tokens with Chinese text, whatever that is about. Word weights come from these
    passages alone, all of which may be read: statistics over the whole collection would let
    documents that may not be read sway what is shown. A newer version of a document goes before the
    one that it supersedes, and near-duplicates collapse into the first.

    Args:
        bonus: Added to what a passage scores, for what speaks for it beside the question.
    """
    extra = [bonus(passage) for passage in passages]
    meaning = [m + b for m, b in zip(_meaning(passages), extra, strict=True)]
    lexical = _relative_by_script(terms, passages, lambda p: p.lexical)
    order = sorted(
        range(len(passages)), key=lambda i: (-LEXICAL_WEIGHT * lexical[i] - meaning[i], i)
    )
    # Names mean nothing to an embedder: the best by words are looked at whatever vectors say.
    by_words = set(sorted(order, key=lambda i: -lexical[i])[:_BEST_BY_WORDS])
    first = [i for n, i in enumerate(order) if n < _LOOKED_AT_CLOSELY or i in by_words]
    rest = [i for n, i in enumerate(order) if n >= _LOOKED_AT_CLOSELY and i not in by_words]
    close = [passages[i] for i in first]
    tokens = inverse_frequency({*terms.own, *terms.other}, close, chunk_tokens)
    spoken = inverse_frequency(set(words(terms.text)), close, _chunk_words)
    window = _CHINESE_WINDOW if terms.is_chinese else _LATIN_WINDOW

    def proximity(passage: Passage) -> float:
        if terms.crosses(passage):
            wanted = {t: tokens[t] for t in terms.other}
            return _proximity(chunk_tokens(passage.chunk), wanted, window=_CHINESE_WINDOW)
        return _proximity(_chunk_words(passage.chunk), spoken, window=window)

    def best_sentence(passage: Passage) -> float:
        wanted = {t: tokens[t] for t in terms.for_passage(passage)}
        counts = sentence_tokens(passage.chunk.text)
        return max((sentence_score(sentence, wanted) for sentence in counts), default=0.0)

    has_vectors = any(passage.similarity is not None for passage in passages)
    proximity_weight = PROXIMITY_WEIGHT if has_vectors else _PROXIMITY_WEIGHT_ALONE
    sentence_weight = SENTENCE_WEIGHT if has_vectors else _SENTENCE_WEIGHT_ALONE
    near = _relative_by_script(terms, close, proximity)
    stated = _relative_by_script(terms, close, best_sentence)
    scored = [
        replace(
            passage,
            score=(
                LEXICAL_WEIGHT * lexical[i]
                + proximity_weight * near[n]
                + sentence_weight * stated[n]
                + meaning[i]
            )
            * (_SUPERSEDED_PENALTY if passage.chunk.document.superseded_by else 1.0),
        )
        for n, (i, passage) in enumerate(zip(first, close, strict=True))
    ]
    scored.sort(key=lambda p: (-p.score, p.chunk.id))
    lowest = min((passage.score for passage in scored), default=0.0)
    scored += [replace(passages[i], score=lowest) for i in rest]
    return _without_near_duplicates(scored, top_k=top_k)


def sentence_score(sentence: Counter[str], weights: Mapping[str, float]) -> float:
    """BM25 of a sentence with k1 1.2, b 0.4 and counts cut at 2: a short sentence says a thing once."""
    length = 0.6 + 0.4 * sum(sentence.values()) / _MEAN_SENTENCE_TOKENS
    return sum(
        weight * min(sentence[token], 2) * 2.2 / (sentence[token] + 1.2 * length)
        for token, weight in weights.items()
        if token in sentence
    )


def inverse_frequency(
    tokens: set[str], passages: Sequence[Passage], tokens_of: Callable[[Chunk], Sequence[str]]
) -> dict[str, float]:
    """How rare each token is among *passages*, as BM25 weighs it."""
    sets = [frozenset(tokens_of(passage.chunk)) for passage in passages]
    frequency = {token: sum(token in s for s in sets) for token in tokens}
    return {t: math.log(1 + (len(sets) - n + 0.5) / (n + 0.5)) for t, n in frequency.items()}


def _meaning(passages: Sequence[Passage]) -> list[float]:
    """Weighted cosines of question and chunk, and question and best sentence; 0 without vectors."""
    known = [p.similarity for p in passages if p.similarity is not None]
    # What no ranking by vectors brought is less similar than everything that one did.
    lowest = min(known, default=0.0)
    similarity = [lowest if p.similarity is None else p.similarity for p in passages]
    return [
        SIMILARITY_WEIGHT * s
        + SENTENCE_SIMILARITY_WEIGHT * max(passage.sentence_similarity, default=s)
        for passage, s in zip(passages, similarity, strict=True)
    ]


def _relative_by_script(
    terms: QuestionTerms, passages: Sequence[Passage], score: Callable[[Passage], float]
) -> list[float]:
    """Each score as a share of the highest among the passages in the same script."""
    scores = [score(passage) for passage in passages]
    crossing = [terms.crosses(passage) for passage in passages]
    highest = {
        side: max((s for s, c in zip(scores, crossing, strict=True) if c is side), default=0.0)
        for side in (False, True)
    }
    return [
        s / highest[c] if highest[c] > 0 else 0.0 for s, c in zip(scores, crossing, strict=True)
    ]


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
    """`index_tokens`, remembered."""
    return _analysed(searchable_text(chunk))


def _chunk_words(chunk: Chunk) -> tuple[str, ...]:
    return _in_order(searchable_text(chunk))


@lru_cache(maxsize=4_000)
def _analysed(text: str) -> tuple[str, ...]:
    return tuple(analyse(text))


@lru_cache(maxsize=4_000)
def _in_order(text: str) -> tuple[str, ...]:
    # What `words` would find, without analysing the text a second time: all tokens but the bigrams.
    return tuple(t for t in _analysed(text) if len(t) != 2 or not is_chinese(t))


@lru_cache(maxsize=4_000)
def sentence_tokens(text: str) -> tuple[Counter[str], ...]:
    """Search tokens of each sentence of *text*, in the order of `sentences`."""
    return tuple(Counter(analyse(sentence)) for sentence in sentences(text))
