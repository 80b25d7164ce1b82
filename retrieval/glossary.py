"""Carries a question's terms into the other language, by a list of bilingual terms."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Self, TypeVar

from retrieval.analysis import (
    analyse,
    fold,
    is_chinese,
    is_chinese_text,
    is_content,
    is_function_word,
    words,
)

# Characters of a Chinese text, or words of an English one.
_Text = TypeVar("_Text", str, tuple[str, ...])


class Glossary:
    """
    Terms that mean the same in English and in Chinese.

    Args:
        terms: Pairs of variants, Chinese and English.
    """

    def __init__(self, terms: Iterable[tuple[tuple[str, ...], tuple[str, ...]]]) -> None:
        self._to_english: dict[str, tuple[str, ...]] = {}
        self._to_chinese: dict[tuple[str, ...], list[str]] = {}
        for chinese, english in terms:
            for variant in chinese:
                self._to_english.setdefault(fold(variant), english)
            for variant in english:
                stems = tuple(words(variant))
                # The stem of "aed" is "a": such a term would be found in every question.
                if not all(is_function_word(s) or len(s) < 2 for s in stems):
                    self._to_chinese.setdefault(stems, []).extend(chinese)

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Self:
        """
        From lines of `中文|變體<TAB>english|variant`; those that begin with # are comments.

        Raises:
            ValueError: Naming the first line that has not two columns.
        """
        terms = []
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            columns = [tuple(filter(None, c.strip().split("|"))) for c in line.split("\t")]
            if len(columns) != 2 or not all(columns):
                raise ValueError(f"line {number}: write Chinese, a tab, English; variants with |")
            terms.append((columns[0], columns[1]))
        return cls(terms)

    @classmethod
    def shipped(cls) -> "Glossary":
        """The list that comes with us: chip design, and what companies write rules about."""
        return _shipped()

    def other_language_tokens(self, question: str) -> list[str]:
        """
        Search tokens for passages in the language that the question is not in.

        What is translated, and the Latin words of the question itself.
        """
        if is_chinese_text(question):
            terms = _longest_matches(fold(question), self._to_english)
            kept = [token for token in analyse(question) if not is_chinese(token)]
        else:
            terms = _longest_matches(tuple(words(question)), self._to_chinese)
            # Engineers leave many an English word untranslated, and which ones is not to be foreseen.
            kept = analyse(question)
        # The first variants are the common ones; more would outweigh the rest of the question.
        translated = [token for variants in terms for v in variants[:2] for token in analyse(v)]
        # Single characters would give every translated word three times the say of a name.
        return [token for token in (*translated, *kept) if is_content(token)]


def _longest_matches(text: _Text, terms: Mapping[_Text, Sequence[str]]) -> list[Sequence[str]]:
    """What *terms* has for the parts of *text*, from left to right, the longest one at each place."""
    longest = max(map(len, terms), default=0)
    found = []
    start = 0
    while start < len(text):
        for length in range(min(longest, len(text) - start), 0, -1):
            if (variants := terms.get(text[start : start + length])) is not None:
                found.append(variants)
                start += length - 1
                break
        start += 1
    return found


@cache
def _shipped() -> Glossary:
    file = resources.files("retrieval").joinpath("data/glossary.tsv")
    return Glossary.parse(file.read_text(encoding="utf-8").splitlines())
