"""Answers in the documents' own words, when no model writes."""

import re
from collections.abc import Sequence

import pytest

from retrieval.analysis import query_tokens
from retrieval.evidence import Evidence, judge
from retrieval.extractive import extract, nothing_found, unsure
from retrieval.ranking import QuestionTerms
from retrieval.types import Answer, Band, Language, Passage
from tests.builders import a_document

EN, ZH = Language.ENGLISH, Language.CHINESE
LEAVE = "Parental leave is at most 24 months. It is nice. Apply 10 days before the leave begins."


def passages(*texts: str, title: str = "Leave policy") -> list[Passage]:
    return [
        Passage(a_document(text, title=f"{title} {n}").chunks[0], score=1.0 - n / 10)
        for n, text in enumerate(texts)
    ]


def answered(question: str, found: Sequence[Passage], language: Language = EN) -> Answer:
    tokens = tuple(query_tokens(question))
    evidence = judge(QuestionTerms(question, own=tokens, other=tokens), found)
    return extract(found, evidence, language=language)


def test_the_best_two_sentences_are_quoted_in_reading_order_with_their_source() -> None:
    answer = answered("How long is parental leave, when to apply?", passages(LEAVE))

    assert answer.text == (
        "From “Leave policy 0”:\n\n"
        "> Parental leave is at most 24 months. [1]\n>\n"
        "> Apply 10 days before the leave begins. [1]"
    )
    assert answer.band is Band.ANSWERED
    assert answer.is_extract
    assert [c.number for c in answer.citations] == [1]


def test_what_is_not_quoted_of_the_next_best_is_further_reading() -> None:
    found = passages(LEAVE, "The canteen.", "The gym.", "The car park.")

    answer = answered("How long is parental leave?", found)

    assert [c.chunk.id for c in answer.citations] == [p.chunk.id for p in found[:3]]
    assert "[2]" not in answer.text


def test_each_quoted_sentence_carries_the_number_of_its_own_passage() -> None:
    found = passages(LEAVE, "Parental leave is paid in part. Ask HR.", "The canteen.")

    answer = answered("How long is parental leave in months, and is leave paid in part?", found)

    quoted = re.findall(r"^> (.+) \[(\d)\]$", answer.text, re.M)
    cited = {citation.number: citation.chunk.text for citation in answer.citations}
    assert len({number for _, number in quoted}) == 2
    assert all(sentence in cited[int(number)] for sentence, number in quoted)


def test_a_document_in_the_other_language_is_said_to_be_so() -> None:
    answer = answered("What is JTAG?", passages("JTAG 是測試介面的名稱。"))
    chinese = answered("JTAG 是什麼？", passages("JTAG is a test interface."), ZH)

    assert "The document is in Chinese" in answer.text
    assert chinese.text.startswith("《Leave policy 0》寫道： （文件是英文，以下是原文。）")


def test_no_evidence_says_so_and_names_what_was_looked_at() -> None:
    answer = answered("Which oscilloscope measures jitter?", passages(LEAVE, "Canteen."))

    assert answer.band is Band.NOTHING
    assert answer.text.startswith("I found nothing")
    assert "“Leave policy 0” [1], “Leave policy 1” [2]" in answer.text
    assert [c.number for c in answer.citations] == [1, 2]


@pytest.mark.parametrize("language", [EN, ZH])
def test_without_any_passage_the_person_still_gets_a_sentence(language: Language) -> None:
    answer = nothing_found([], language=language)

    assert answer.text.strip()
    assert answer.citations == ()


def test_when_unsure_each_document_is_named_once_and_nothing_is_claimed() -> None:
    indexed = a_document("One.", "Two.", title="Leave")
    other = a_document("Three.", title="Travel")
    found = [
        *(Passage(chunk, 1.0) for chunk in indexed.chunks),
        *(Passage(chunk, 0.9) for chunk in other.chunks),
    ]

    answer = unsure(found, language=EN)

    assert answer.text.splitlines()[2:] == ["- Leave [1]", "- Travel [2]"]
    assert "One." not in answer.text


def test_evidence_without_a_sentence_is_not_quoted() -> None:
    found = passages("# Only a heading")

    answer = extract(found, Evidence(Band.ANSWERED, 0.9, ()), language=EN)

    assert answer.band is Band.UNSURE


def test_a_very_long_sentence_is_cut_and_the_cut_is_marked() -> None:
    answer = answered("parental leave", passages("Parental leave " + "and so on " * 200))

    assert answer.text.endswith("… [1]")
    assert len(answer.text) < 700


def test_brackets_of_the_document_are_not_taken_for_our_citations() -> None:
    answer = answered("parental leave", passages("Parental leave is as in [2] and [7] of the law."))

    assert answer.text.endswith("> Parental leave is as in (2) and (7) of the law. [1]")


def test_a_title_cannot_add_a_line_or_a_link_or_a_citation() -> None:
    title = "Leave\n\nIgnore this: [pay](https://evil.example) [3]"

    answer = answered("parental leave", passages(LEAVE, title=title))

    assert answer.text.splitlines()[0] == "From “Leave Ignore this: pay (3) 0”:"


def test_a_sentence_that_was_only_a_link_is_not_quoted_empty() -> None:
    answer = answered(
        "parental leave", passages("Parental leave 24 months.\n\n![parental](//evil.example/x)")
    )

    assert "evil" not in answer.text
    assert "> [1]" not in answer.text
