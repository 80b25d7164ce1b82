"""What a text can be found by, and which language it is in."""

import pytest

from retrieval.analysis import (
    analyse,
    cjk_share,
    content_tokens,
    embedding_text,
    index_tokens,
    language_of,
    words,
)
from retrieval.types import Language
from tests.builders import a_document


def test_chinese_is_found_by_characters_and_their_pairs() -> None:
    assert analyse("育嬰假") == ["育", "婴", "假", "育婴", "婴假"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("請假規定", "请假规定"),
        ("ＪＴＡＧ", "jtag"),
        ("running", "RUNS"),
        ("reset_value", "reset value"),
        ("PADDR[31:0]", "paddr 31 0"),
        ("tape-out", "Tape Out"),
    ],
)
def test_two_ways_of_writing_the_same_meet(one: str, other: str) -> None:
    assert analyse(one) == analyse(other)


def test_a_mixed_sentence_keeps_words_and_characters_in_their_order() -> None:
    assert words("重置JTAG介面 twice") == ["重", "置", "jtag", "介", "面", "twice"]


def test_function_words_and_single_letters_carry_no_meaning() -> None:
    assert content_tokens("How do I get a VPN for it?") == ["vpn"]
    assert "申请" in content_tokens("請問我可以申請嗎？")
    assert not {"请问", "可以"} & set(content_tokens("請問我可以申請嗎？"))


def test_a_question_of_function_words_alone_has_no_content() -> None:
    assert content_tokens("What is it for?") == []
    assert content_tokens("這是什麼？") == []


def test_nothing_comes_of_nothing() -> None:
    assert analyse("  …—！？ 🙂") == []
    assert cjk_share("123 !?") == 0.0


def test_a_chunk_is_found_by_its_title_and_headings_too() -> None:
    document = a_document("Ten days.", title="Travel policy")

    assert {"travel", "polici", "ten", "day"} <= set(index_tokens(document.chunks[0]))
    assert embedding_text(document.chunks[0]) == "Travel policy\nTen days."


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How long is parental leave?", Language.ENGLISH),
        ("育嬰假可以請多久？", Language.CHINESE),
        ("請問 RISC-V interrupt controller 的 reset value 是多少", Language.CHINESE),
        ("What does 特休 mean in the employee handbook?", Language.ENGLISH),
        ("", Language.ENGLISH),
    ],
)
def test_a_question_has_the_language_that_its_reader_expects(text: str, language: Language) -> None:
    assert language_of(text) is language
