"""Text to search tokens, the same for every engine; English and Chinese; which language a text is in."""

import re
import unicodedata
from functools import cache, lru_cache

import opencc
import Stemmer

from retrieval.types import Chunk, Language

_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_CJK_CHARACTER = re.compile(rf"[{_CJK}]")
_LETTER = re.compile(r"[^\W\d_]")
_DIGITS = {character: value for value, character in enumerate("〇一二三四五六七八九")} | {"兩": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
# Only before what is counted: 一般 and 十分 are no numbers.
_COUNTED_NUMERAL = re.compile(
    r"([〇一二三四五六七八九兩十百千]+)(?=[年月日天週小個人次元%層級歲位組]|分鐘)"
)


def index_tokens(chunk: Chunk) -> list[str]:
    return analyse(searchable_text(chunk))


def searchable_text(chunk: Chunk) -> str:
    """What a chunk can be found by: its document's title, its heading path and its text."""
    return "\n".join([chunk.document.title, *chunk.heading_path, chunk.text])


def embedding_text(chunk: Chunk) -> str:
    """What stands for a chunk as a vector: its text under its title and headings."""
    return " > ".join([chunk.document.title, *chunk.heading_path]) + "\n" + chunk.text


def query_tokens(question: str) -> list[str]:
    """
    What to search for: the question's tokens without function words, counted Chinese numerals as digits too.

    A question of function words alone keeps them.
    """
    counted = _COUNTED_NUMERAL.findall(unicodedata.normalize("NFKC", question))
    tokens = [*analyse(question), *(str(number) for number in map(_number, counted) if number)]
    return [token for token in tokens if not is_function_word(token)] or tokens


def _number(numeral: str) -> int:
    """The value of a Chinese numeral below ten thousand; 0 for what is none."""
    total = digit = 0
    for character in numeral:
        if character in _UNITS:
            total += (digit or 1) * _UNITS[character]
            digit = 0
        else:
            digit = _DIGITS[character]
    return total + digit


def analyse(text: str) -> list[str]:
    """
    Search tokens of *text*: Chinese characters and their bigrams, stems of Latin words.

    Traditional and Simplified meet by folding to Simplified; full and half width, and case, by
    NFKC and lower case. Characters with bigrams beat every word segmentation that was measured on
    Chinese questions, and need no dictionary.
    """
    tokens: list[str] = []
    for match in _RUN.finditer(fold(text)):
        run = match.group()
        if _CJK_CHARACTER.match(run):
            tokens.extend(run)
            tokens.extend(run[i : i + 2] for i in range(len(run) - 1))
        else:
            tokens.append(stem(run))
    return tokens


def words(text: str) -> list[str]:
    """Chinese characters and stemmed Latin words in the order of the text: what distances are counted in."""
    found: list[str] = []
    for match in _RUN.finditer(fold(text)):
        run = match.group()
        found.extend(run if _CJK_CHARACTER.match(run) else [stem(run)])
    return found


def content_tokens(text: str) -> list[str]:
    """The distinct tokens that carry meaning: no function words, no single Chinese characters."""
    return list(dict.fromkeys(token for token in analyse(text) if is_content(token)))


def is_chinese(token: str) -> bool:
    return bool(_CJK_CHARACTER.match(token))


def is_function_word(token: str) -> bool:
    """A token that stands in most texts of its language whatever they are about."""
    if is_chinese(token):
        return _chinese_function_characters().issuperset(token)
    return token in _english_function_stems()


def is_content(token: str) -> bool:
    """A token that carries meaning: no function word, no single Chinese character or Latin letter."""
    is_long_enough = len(token) == 2 if is_chinese(token) else len(token) > 1 or token.isdigit()
    return is_long_enough and not is_function_word(token)


def fold(text: str) -> str:
    """*text* in one width, lower case and Simplified characters, to compare; never to show."""
    return simplified(unicodedata.normalize("NFKC", text).lower())


def simplified(text: str) -> str:
    return str(_traditional_to_simplified().convert(text))


def stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


def cjk_share(text: str) -> float:
    """Share of Chinese characters among the letters of *text*, in [0, 1]."""
    letters = len(_LETTER.findall(text))
    return len(_CJK_CHARACTER.findall(text)) / letters if letters else 0.0


@lru_cache(maxsize=10_000)
def is_chinese_text(text: str) -> bool:
    """Whether Chinese words are what *text* is made of, and so what can be found in it."""
    return cjk_share(text) > 0.2


@lru_cache(maxsize=10_000)
def language_of(text: str) -> Language:
    """Chinese as soon as a good part is: a Taiwanese engineer's sentence is full of English terms."""
    return Language.CHINESE if cjk_share(text) > 0.12 else Language.ENGLISH


@cache
def _traditional_to_simplified() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


@cache
def _stemmer() -> Stemmer.Stemmer:
    return Stemmer.Stemmer("english", 50_000)


_ENGLISH_FUNCTION_WORDS = """
a an the of to in on for and or is are was were be been being do does did can could may might must
should would will shall how what which who whom whose when where why i me my we us our you your it
its they them their this that these those there here with without from by at as if then than so not
no any some all each every have has had about into over under up out get got need use used using
many much long often tell please am while after before between during only also just same other
more most
"""
_CHINESE_FUNCTION_CHARACTERS = (
    "的了是在和與或有沒不嗎呢吧我你您他她它們這那哪什麼怎樣如何為請問要能可以會應該需多少幾個從到被把對於就也都還而及其之"
    "誰時候嘛啊跟給讓用由向做想知道告訴一"
)


@cache
def _english_function_stems() -> frozenset[str]:
    listed = _ENGLISH_FUNCTION_WORDS.split()
    return frozenset(listed) | {stem(word) for word in listed}


@cache
def _chinese_function_characters() -> frozenset[str]:
    return frozenset(fold(_CHINESE_FUNCTION_CHARACTERS))
