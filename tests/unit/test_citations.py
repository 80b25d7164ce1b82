"""Which sentences of a model may be shown, and with which passages beside them."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.citations import (
    CheckedSentence,
    SentenceBuffer,
    check_sentence,
    cited_numbers,
    without_markers,
)
from retrieval.models import Embedder, HashingEmbedder
from retrieval.types import Passage
from tests.builders import a_document

LEAVE = "Parental leave is at most 24 months. Apply 10 days before it begins."
TRAVEL = "A taxi is reimbursed up to 1,200 dollars with a receipt."
LEAVE_ZH = "育嬰留職停薪最長二十四個月，須於十日前申請。"


def passages(*texts: str) -> list[Passage]:
    return [Passage(a_document(text).chunks[0], score=1.0) for text in texts]


def checked(
    sentence: str, found: Sequence[Passage], embedder: Embedder | None = None
) -> CheckedSentence | None:
    return asyncio.run(check_sentence(sentence, found, embedder))


def split(*parts: str) -> list[str]:
    buffer = SentenceBuffer()
    return [sentence for part in parts for sentence in buffer.feed(part)] + buffer.flush()


def in_parts(text: str, cuts: Sequence[int]) -> list[str]:
    at = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(at)]


words = ["Yes", "3.5 V", "e.g.", "1.", "- item", "可以", "請假", "NOT_IN", " ", "\n", "\n\n"]
ends = [". ", ".", "!", "。", "；", "」", '"', ")"]
markers = ["[1]", " [2, 3]", "［4］", "[", "]", "[12", "[x]"]
fragments = st.sampled_from([*words, *ends, *markers]) | st.text(max_size=4)
streams = st.lists(fragments, max_size=25).map("".join)


class TestSentenceBuffer:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("One. [1] Two. [2]", ["One. [1] ", "Two. [2]"]),
            ("One [1]. Two [2].", ["One [1]. ", "Two [2]."]),
            ("可以。[1][2]三天。【3】", ["可以。[1][2]", "三天。【3】"]),
            ("他說「可以。」[1] 好。", ["他說「可以。」[1] ", "好。"]),
            ("- one [1]\n- two [2]\n", ["- one [1]\n", "- two [2]\n"]),
            ("1. Open it. [1]\n2. Close it. [2]", ["1. Open it. [1]\n", "2. Close it. [2]"]),
            ("Use a tool, e.g. a wrench. [1]", ["Use a tool, e.g. a wrench. [1]"]),
            ("It takes 3.5 V at v1.2 always", ["It takes 3.5 V at v1.2 always"]),
        ],
    )
    def test_text_is_cut_after_each_sentence_and_its_markers(
        self, text: str, expected: list[str]
    ) -> None:
        assert split(text) == expected

    def test_a_sentence_is_held_until_its_marker_is_complete(self) -> None:
        buffer = SentenceBuffer()

        assert [buffer.feed(part) for part in ["Yes", ".", " ", "[1", "] ", "N"]] == [
            [],
            [],
            [],
            [],
            [],
            ["Yes. [1] "],
        ]

    @settings(max_examples=200, deadline=None)
    @given(streams, st.lists(st.integers(0, 120), max_size=8))
    def test_no_text_is_lost_or_changed(self, text: str, cuts: list[int]) -> None:
        assert "".join(split(*in_parts(text, cuts))).rstrip() == text.rstrip()

    @settings(max_examples=200, deadline=None)
    @given(streams, st.lists(st.integers(0, 120), max_size=8))
    def test_how_the_stream_is_cut_does_not_change_the_sentences(
        self, text: str, cuts: list[int]
    ) -> None:
        assert split(*in_parts(text, cuts)) == split(text) == split(*text)


class TestCheckSentence:
    def test_a_sentence_that_its_passage_states_is_kept_without_its_marker(self) -> None:
        found = passages(LEAVE, TRAVEL)

        result = checked("Parental leave is at most 24 months. [1]", found)

        assert result == CheckedSentence("Parental leave is at most 24 months.", (0,))

    def test_a_wrong_number_is_not_supported_however_many_words_agree(self) -> None:
        assert checked("Parental leave is at most 36 months. [1]", passages(LEAVE)) is None

    @pytest.mark.parametrize(
        ("sentence", "text"),
        [
            ("Apply 10 days before. [1]", "Often people apply days before."),
            ("Apply 1 day before. [1]", "Phone none, apply any day before."),
            ("Apply 4 days before. [1]", "Apply twenty-four days before."),
            ("須於10日前申請。[1]", "須於二十日前申請。"),
        ],
    )
    def test_a_number_is_not_found_inside_another_word(self, sentence: str, text: str) -> None:
        assert checked(sentence, passages(text)) is None

    @pytest.mark.parametrize(
        ("sentence", "text"),
        [
            ("Apply 10 days before. [1]", "Apply ten days before."),
            ("A taxi is reimbursed up to 1200 dollars. [1]", TRAVEL),
            ("須於10日前申請。[1]", "須於十日前申請。"),
            ("每月2次。[1]", "每月兩次。"),
            ("1. Apply before the leave begins. [1]", "Apply before the leave begins."),
        ],
    )
    def test_a_number_may_be_written_in_another_way(self, sentence: str, text: str) -> None:
        assert checked(sentence, passages(text)) is not None

    def test_a_wrong_citation_is_replaced_by_the_passage_that_says_so(self) -> None:
        found = passages(TRAVEL, LEAVE)

        result = checked("Parental leave is at most 24 months. [1]", found)

        assert result is not None
        assert result.passages == (1,)

    def test_of_several_citations_those_that_support_it_remain(self) -> None:
        found = passages(LEAVE, TRAVEL, LEAVE + " Ask HR.")

        result = checked("Parental leave is at most 24 months. [1][2, 3]", found)

        assert result is not None
        assert result.passages == (0, 2)

    @pytest.mark.parametrize("marker", ["", " [9]", " [0]"])
    def test_a_missing_or_impossible_citation_is_supplied(self, marker: str) -> None:
        result = checked(f"Parental leave is at most 24 months.{marker}", passages(LEAVE))

        assert result == CheckedSentence("Parental leave is at most 24 months.", (0,))

    def test_what_no_passage_says_is_not_shown(self) -> None:
        found = passages(LEAVE, TRAVEL)

        assert checked("The canteen serves noodles every Friday. [1]", found) is None
        assert checked("The canteen serves noodles. [1]", found, HashingEmbedder()) is None

    def test_nothing_is_supported_by_no_passages(self) -> None:
        assert checked("Parental leave is at most 24 months. [1]", []) is None

    @pytest.mark.parametrize("text", ["", "  \n", "[1]", "— …", "![x](https://evil.example)"])
    def test_what_has_no_words_is_no_sentence(self, text: str) -> None:
        assert checked(text, passages(LEAVE)) is None

    def test_a_chinese_sentence_rests_on_the_english_passage_that_it_cites(self) -> None:
        found = passages(TRAVEL, LEAVE)

        result = checked("育嬰假最長 24 個月。[2]", found)

        assert result is not None
        assert result.passages == (1,)

    def test_across_languages_a_citation_is_not_guessed_without_vectors(self) -> None:
        assert checked("食堂每週五供應麵食。", passages(LEAVE, TRAVEL)) is None

    def test_across_languages_too_a_wrong_number_is_not_supported(self) -> None:
        assert checked("育嬰假最長 36 個月。[1]", passages(LEAVE)) is None

    def test_a_chinese_number_in_words_supports_digits(self) -> None:
        assert checked("Apply 10 days before it begins. [1]", passages(LEAVE_ZH)) is not None

    def test_no_link_of_the_model_is_left(self) -> None:
        result = checked(
            "Parental [leave](https://evil.example/?q=1) is at most 24 months. [1]",
            passages(LEAVE),
        )

        assert result == CheckedSentence("Parental leave is at most 24 months.", (0,))


def test_markers_of_every_width_are_read() -> None:
    assert cited_numbers("a [1] b [2, 3] c 【4】 d ［5、6］ e [x] f [123]") == [1, 2, 3, 4, 5, 6]


def test_bracketed_numbers_of_a_document_are_not_mistaken_for_citations() -> None:
    text = without_markers("As [7] and 【2】 say, see [1, 3] and PADDR[31:0].")

    assert text == "As (7) and (2) say, see (1, 3) and PADDR[31:0]."
    assert cited_numbers(text) == []
