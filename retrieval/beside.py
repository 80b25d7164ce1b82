"""Text that comes with a question: ranked beside what the store finds, or told as a whole. It is kept nowhere."""

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from retrieval.analysis import embedding_text, is_content
from retrieval.evidence import Evidence, EvidenceSentence
from retrieval.models import Embedder
from retrieval.ranking import QuestionTerms, chunk_tokens, sentence_tokens
from retrieval.sentences import sentences
from retrieval.store import BM25_B, BM25_K1
from retrieval.types import Band, Chunk, FloatArray, Passage, Value

_COMPARED = 16
"""Chunks that are embedded while somebody waits, with all their sentences: about a second's work."""

_SUBJECT_BONUS, _BESIDE_BONUS, _HINT_BONUS = 0.3, 0.1, 0.05
_GIST_PASSAGES, _GIST_SENTENCES = 12, 3
_SHORTEST_TELLING, _LONGEST_TELLING = 4, 60
_FIRST_SENTENCES_WEIGHT = 1.3


@dataclass(frozen=True, slots=True)
class Beside(Value):
    """
    What comes with a question beside its words.

    Attributes:
        chunks: Transient ones, each document's in their order.
        is_subject: The question says that it is about them.
        is_whole_subject: It asks about nothing else: what do they say?
        hints: What the asker has open, as ids that documents or their sources begin with: ranked a
            little higher when they are found, and never a reason to find them.
    """

    chunks: tuple[Chunk, ...] = ()
    is_subject: bool = False
    is_whole_subject: bool = False
    hints: tuple[str, ...] = ()

    def bonus(self, passage: Passage, *, crosses: bool) -> float:
        """
        What speaks for a passage beside the question: it was put before us on purpose.

        Args:
            crosses: The passage is in the other script than the question. Without vectors the best of
                each script scores alike, so that of what is merely at hand proves nothing.
        """
        if passage.chunk.is_transient:
            if self.is_subject:
                return _SUBJECT_BONUS
            return -_BESIDE_BONUS if crosses and passage.similarity is None else _BESIDE_BONUS
        document = passage.chunk.document
        is_open = any(
            _begins(name, h) for h in self.hints for name in (document.id, document.source)
        )
        return _HINT_BONUS if is_open else 0.0


async def join_beside(
    terms: QuestionTerms,
    vector: FloatArray | None,
    found: Sequence[Passage],
    chunks: Sequence[Chunk],
    embedder: Embedder | None,
) -> list[Passage]:
    """
    *found* and the best of *chunks*, all with word scores of the same measure.

    The store counts its words over a collection that *chunks* are no part of; both are counted anew
    here over what lies before us, all of which may be read.

    Args:
        vector: Of the question; None compares no meaning.
    """
    # In a thread: to count the words of a long text takes a while.
    near = await asyncio.to_thread(_nearest, terms, chunks)
    passages = [Passage(chunk, 0.0) for chunk in near]
    if embedder is not None and vector is not None:
        passages = await _compared(passages, vector, embedder)
    return _with_word_scores(terms, [*found, *passages])


def gist(chunks: Sequence[Chunk]) -> tuple[list[Passage], Evidence]:
    """
    What *chunks* say as a whole: the passages that tell most of it, in reading order, and the best sentences.

    Source:
        Nenkova & Vanderwende, "The impact of frequency on summarization", 2005 (SumBasic): a sentence
        tells as much as its words are frequent, and words that were told count less from then on. A
        document's first sentences get a little more.
    """
    told = [
        _Telling(
            n, position, text, words, is_first=n == 0 or chunks[n - 1].document != chunk.document
        )
        for n, chunk in enumerate(chunks)
        for position, (text, words) in enumerate(_sentences(chunk))
    ]
    telling = [s for s in told if _SHORTEST_TELLING <= len(s.words) <= _LONGEST_TELLING]
    chosen = _most_telling(telling, limit=_GIST_SENTENCES) or told[:_GIST_SENTENCES]
    kept = list(dict.fromkeys(sentence.chunk for sentence in chosen))
    kept += [n for n in _spread(len(chunks), _GIST_PASSAGES) if n not in kept]
    kept = sorted(kept[:_GIST_PASSAGES])
    evidence = Evidence(
        Band.ANSWERED,
        1.0,
        tuple(
            EvidenceSentence(s.text, kept.index(s.chunk), s.position, 1.0)
            for s in sorted(chosen, key=lambda s: (s.chunk, s.position))
        ),
        is_chosen=True,
    )
    return [Passage(chunks[n], 1.0) for n in kept], evidence


@dataclass(frozen=True, slots=True)
class _Telling:
    """A sentence of the chunk with that index, and the words that carry its meaning."""

    chunk: int
    position: int
    text: str
    words: frozenset[str]
    is_first: bool


def _sentences(chunk: Chunk) -> Iterable[tuple[str, frozenset[str]]]:
    """Each sentence with the words that carry its meaning."""
    for text, counts in zip(sentences(chunk.text), sentence_tokens(chunk.text), strict=True):
        yield text, frozenset(token for token in counts if is_content(token))


def _most_telling(told: Sequence[_Telling], *, limit: int) -> list[_Telling]:
    counts = Counter(word for sentence in told for word in sentence.words)
    total = sum(counts.values())
    share = {word: count / total for word, count in counts.items()}
    left = list(told)
    chosen: list[_Telling] = []
    while left and len(chosen) < limit:
        best = max(left, key=lambda s: _worth(s, share))
        chosen.append(best)
        left.remove(best)
        for word in best.words:
            share[word] **= 2
    return chosen


def _worth(sentence: _Telling, share: Mapping[str, float]) -> float:
    mean = sum(share[word] for word in sentence.words) / len(sentence.words)
    is_opening = sentence.is_first and sentence.position < 2
    return mean * (_FIRST_SENTENCES_WEIGHT if is_opening else 1.0)


def _nearest(terms: QuestionTerms, chunks: Sequence[Chunk]) -> list[Chunk]:
    """Those worth a closer look: the best by words, and where few words meet, some from everywhere."""
    if len(chunks) <= _COMPARED:
        return list(chunks)
    scored = _with_word_scores(terms, [Passage(chunk, 0.0) for chunk in chunks])
    order = sorted(range(len(chunks)), key=lambda n: (-scored[n].lexical, n))
    best = [n for n in order[:_COMPARED] if scored[n].lexical > 0]
    best += [n for n in _spread(len(chunks), _COMPARED) if n not in best]
    return [chunks[n] for n in sorted(best[:_COMPARED])]


def _spread(count: int, wanted: int) -> list[int]:
    """Up to *wanted* indices below *count*, evenly from the first on."""
    return list(range(count)) if count <= wanted else [n * count // wanted for n in range(wanted)]


async def _compared(
    passages: Sequence[Passage], vector: FloatArray, embedder: Embedder
) -> list[Passage]:
    texts = [sentences(passage.chunk.text) for passage in passages]
    wholes = [embedding_text(passage.chunk) for passage in passages]
    rows = await embedder.embed([*wholes, *(text for listed in texts for text in listed)])
    cosines = [float(cosine) for cosine in rows @ vector]
    ends = list(accumulate((len(listed) for listed in texts), initial=len(wholes)))
    return [
        replace(
            passage,
            similarity=cosines[n],
            sentence_similarity=tuple(cosines[ends[n] : ends[n + 1]]),
        )
        for n, passage in enumerate(passages)
    ]


def _with_word_scores(terms: QuestionTerms, passages: Sequence[Passage]) -> list[Passage]:
    """BM25 with statistics over *passages*: by the question's own words, across scripts also by its translation's."""
    counts = [Counter(chunk_tokens(passage.chunk)) for passage in passages]
    lengths = [sum(counter.values()) for counter in counts]
    mean_length = sum(lengths) / len(lengths) if lengths else 1.0
    wanted = {*terms.own, *terms.other}
    frequency = {token: sum(token in counter for counter in counts) for token in wanted}

    def score(tokens: Sequence[str], counter: Counter[str], length: int) -> float:
        norm = BM25_K1 * (1 - BM25_B + BM25_B * length / (mean_length or 1.0))
        return sum(
            times
            * math.log(1 + (len(counts) - frequency[token] + 0.5) / (frequency[token] + 0.5))
            * counter[token]
            * (BM25_K1 + 1)
            / (counter[token] + norm)
            for token, times in Counter(tokens).items()
            if token in counter
        )

    return [
        replace(
            passage,
            lexical=max(
                score(terms.own, counter, length),
                score(terms.other, counter, length) if terms.crosses(passage) else 0.0,
            ),
        )
        for passage, counter, length in zip(passages, counts, lengths, strict=True)
    ]


def _begins(name: str, hint: str) -> bool:
    """Whether *name* is *hint*, or something below it: `slack:T1/C1` does not begin `slack:T1/C12`."""
    return bool(hint) and name.startswith(hint) and not name[len(hint) :][:1].isalnum()
