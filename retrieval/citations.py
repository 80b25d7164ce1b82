"""Sentences of a model's answer against the passages they claim to rest on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.analysis import cjk_share, content_tokens, fold
from retrieval.models import Embedder
from retrieval.ranking import chunk_tokens
from retrieval.sentences import sentences
from retrieval.types import Passage

_MARKER = re.compile(r"\s*[\[【［](\d{1,2}(?:\s*[,，、]\s*\d{1,2})*)[\]】］]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SENTENCE_END = re.compile(
    r"(?:[。！？；]|[.!?](?=\s|[\[【［]))[」』”\"）)]*(?:\s*[\[【［][\d\s,，、]+[\]】］])*\s*|\n+"
)
_IMAGE = re.compile(r"!\[[^\]\n]*\]\s*(?:\([^)\n]*\)?|\[[^\]\n]*\])")
_LINK = re.compile(r"\[([^\]\n]*)\]\s*\((?:[^()\n]|\([^)\n]*\))*\)?")
_LINK_DEFINITION = re.compile(r"^\s*\[[^\]\n]+\]:\s*\S+.*$", re.M)
_ADDRESS = re.compile(
    r"<?(?:\b[a-z][a-z0-9+.\-]{1,20}://|\bwww\.|\b(?:javascript|data|vbscript|mailto):)[^\s<>()\[\]「」，。；、）】]+>?",
    re.I,
)
_TAG = re.compile(r"</?[a-zA-Z!][^<>\n]{0,400}>")

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
        while match := _SENTENCE_END.search(self._text):
            # At the very end a marker or a closing quote may still follow.
            if match.end() == len(self._text) and "\n" not in match.group():
                break
            finished.append(self._text[: match.end()])
            self._text = self._text[match.end() :]
        return finished

    def flush(self) -> list[str]:
        rest, self._text = self._text, ""
        return [rest] if rest.strip() else []


def without_links(text: str) -> str:
    """
    *text* with nothing in it that can be followed or fetched: no link, image, address or tag.

    Links in an answer come from the sources' own metadata alone; an address in a document or in a
    model's sentence may carry data away.
    """
    text = _IMAGE.sub("", text)
    text = _LINK_DEFINITION.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _ADDRESS.sub("…", text)
    return _TAG.sub("", text)


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
    claimed = [n - 1 for n in cited if 1 <= n <= len(passages)]
    supporting = [i for i in claimed if await _supports(passages[i], text, embedder)]
    if not supporting:
        others = [i for i in range(len(passages)) if i not in claimed]
        supporting = [i for i in others if await _supports(passages[i], text, embedder)][:1]
    return CheckedSentence(text, tuple(dict.fromkeys(supporting))) if supporting else None


def cited_numbers(sentence: str) -> list[int]:
    return [int(n) for group in _MARKER.findall(sentence) for n in re.findall(r"\d+", group)]


async def _supports(passage: Passage, sentence: str, embedder: Embedder | None) -> bool:
    chunk = passage.chunk
    if not _numbers_occur(
        sentence, "\n".join([chunk.document.title, *chunk.heading_path, chunk.text])
    ):
        return False
    wanted = content_tokens(sentence)
    if not wanted:
        return True
    found = frozenset(chunk_tokens(chunk))
    if sum(token in found for token in wanted) / len(wanted) >= _SUPPORTING_COVERAGE:
        return True
    crosses = (cjk_share(sentence) > 0.2) != (cjk_share(chunk.text) > 0.2)
    if embedder is None:
        # Words of another script cannot meet; the numbers and the model's own citation must do.
        return crosses
    vectors = await embedder.embed([sentence, *(sentences(chunk.text) or [chunk.text])])
    needed = _SUPPORTING_COSINE_OTHER_SCRIPT if crosses else _SUPPORTING_COSINE
    return bool((vectors[1:] @ vectors[0]).max() >= needed)


def _numbers_occur(sentence: str, text: str) -> bool:
    folded = fold(text)
    present = set(_NUMBER.findall(folded))
    return all(
        number in present or any(fold(word) in folded for word in _NUMBER_WORDS.get(number, ()))
        for number in _NUMBER.findall(fold(sentence))
    )
