"""Sentences of a model's answer against the passages they claim to rest on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from retrieval.analysis import content_tokens, fold, is_chinese_text, searchable_text
from retrieval.links import without_links
from retrieval.models import Embedder
from retrieval.ranking import chunk_tokens
from retrieval.sentences import sentences
from retrieval.types import Passage

_BRACKETED_NUMBERS = re.compile(r"[\[【［](\d{1,2}(?:\s*[,，、]\s*\d{1,2})*)[\]】］]")
_MARKER = re.compile(r"\s*" + _BRACKETED_NUMBERS.pattern)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_THOUSANDS_SEPARATOR = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_LIST_NUMBER = re.compile(r"^\s*\d{1,3}[.)]\s+")
_SENTENCE_END = re.compile(
    r"(?:[。！？；]|[.!?](?=\s|[\[【［]))[」』”\"）)]*(?:\s*[\[【［][\d\s,，、]+[\]】］])*\s*|\n+"
)
_UNFINISHED_MARKER = re.compile(r"[\[【［][\d\s,，、]*")
_NO_SENTENCE_END = re.compile(
    r"(?:(?:^|\n)[\s*>-]*\d{1,3}|\b(?:e\.g|i\.e|etc|vs|cf|no|fig|approx|dr|mr|ms))\.$", re.I
)

_SUPPORTING_COVERAGE = 0.5
_SUPPORTING_COSINE = 0.5
_SUPPORTING_COSINE_OTHER_SCRIPT = 0.4

_NUMBER_WORDS = {
    "1": ("one", "一", "首"), "2": ("two", "twice", "二", "兩", "雙"), "3": ("three", "三"),
    "4": ("four", "四"), "5": ("five", "五"), "6": ("six", "六"), "7": ("seven", "七"),
    "8": ("eight", "八"), "9": ("nine", "九"), "10": ("ten", "十"), "11": ("eleven", "十一"),
    "12": ("twelve", "十二"), "13": ("thirteen", "十三"), "14": ("fourteen", "十四"),
    "15": ("fifteen", "十五"), "20": ("twenty", "二十"), "30": ("thirty", "三十"),
    "60": ("sixty", "六十"), "90": ("ninety", "九十"), "100": ("hundred", "一百", "百"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence that may be shown. *passages* are indices (from 0) of those it rests on, at least one."""

    text: str
    passages: tuple[int, ...]


class SentenceBuffer:
    """Collects streamed text and gives it back in whole sentences, each with the markers that follow it."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, text: str) -> list[str]:
        """The sentences that are finished now: something after their end has been seen."""
        self._text += text
        finished = []
        while end := _first_end(self._text):
            finished.append(self._text[:end])
            self._text = self._text[end:]
        return finished

    def flush(self) -> list[str]:
        rest, self._text = self._text, ""
        return [rest] if rest.strip() else []


def without_markers(text: str) -> str:
    """*text* whose own bracketed numbers cannot be taken for citations of ours."""
    return _BRACKETED_NUMBERS.sub(r"(\1)", text)


async def check_sentence(
    sentence: str, passages: Sequence[Passage], embedder: Embedder | None
) -> CheckedSentence | None:
    """
    The sentence with the passages that support it, or None when no passage does.

    A cited passage that supports it counts; else any other that does. Support means: every number
    of the sentence occurs in the passage, and most of its words do or its meaning does.

    Raises:
        ModelUnavailable: If the embedder does not answer.
    """
    cited = cited_numbers(sentence)
    text = without_links(_MARKER.sub("", sentence))
    if not any(c.isalnum() for c in text):
        return None
    claimed = list(dict.fromkeys(n - 1 for n in cited if 1 <= n <= len(passages)))
    supporting = [i for i in claimed if await _supports(passages[i], text, embedder, is_cited=True)]
    if supporting:
        return CheckedSentence(text, tuple(supporting))
    for i, passage in enumerate(passages):
        if i not in claimed and await _supports(passage, text, embedder, is_cited=False):
            return CheckedSentence(text, (i,))
    return None


def cited_numbers(sentence: str) -> list[int]:
    return [int(n) for group in _MARKER.findall(sentence) for n in re.findall(r"\d+", group)]


def _first_end(text: str) -> int | None:
    """Where the first sentence ends, its markers included; None while more may belong to it."""
    for match in _SENTENCE_END.finditer(text):
        rest = text[match.end() :]
        if not rest or _UNFINISHED_MARKER.fullmatch(rest):
            return None
        if not _NO_SENTENCE_END.search(text[: match.start() + 1]):
            return match.end()
    return None


async def _supports(
    passage: Passage, sentence: str, embedder: Embedder | None, *, is_cited: bool
) -> bool:
    chunk = passage.chunk
    claim = _LIST_NUMBER.sub("", sentence)
    if not _numbers_occur(claim, searchable_text(chunk)):
        return False
    wanted = content_tokens(claim)
    if not wanted:
        return is_cited
    found = frozenset(chunk_tokens(chunk))
    if sum(token in found for token in wanted) / len(wanted) >= _SUPPORTING_COVERAGE:
        return True
    crosses = is_chinese_text(sentence) != is_chinese_text(chunk.text)
    if embedder is None:
        # Words of another script cannot meet; the numbers and the model's own citation must do.
        return crosses and is_cited
    vectors = await embedder.embed([sentence, *(sentences(chunk.text) or [chunk.text])])
    needed = _SUPPORTING_COSINE_OTHER_SCRIPT if crosses else _SUPPORTING_COSINE
    return bool((vectors[1:] @ vectors[0]).max() >= needed)


def _numbers_occur(sentence: str, text: str) -> bool:
    folded = _THOUSANDS_SEPARATOR.sub("", fold(text))
    present = set(_NUMBER.findall(folded))
    return all(
        number in present or (number in _NUMBER_WORDS and _in_words(number).search(folded))
        for number in _NUMBER.findall(_THOUSANDS_SEPARATOR.sub("", fold(sentence)))
    )


@cache
def _in_words(number: str) -> re.Pattern[str]:
    """The number's words standing alone: no "ten" in "often", no 十 in 二十, no "four" in "twenty-four"."""
    chinese = "〇零一二三四五六七八九十百千万两"
    return re.compile(
        "|".join(
            rf"(?<!ty-)\b{word}\b(?!-(?:one|two|three|four|five|six|seven|eight|nine)\b)"
            if word.isascii()
            else rf"(?<![{chinese}]){fold(word)}(?![{chinese}])"
            for word in _NUMBER_WORDS[number]
        )
    )
