"""How sure the passages make us, with and without vectors."""

from collections.abc import Sequence

import pytest

from retrieval.analysis import query_tokens
from retrieval.evidence import Evidence, judge
from retrieval.ranking import QuestionTerms
from retrieval.types import Band, Passage
from tests.builders import a_document

LEAVE = "Parental leave is at most 24 months. Apply 10 days before it begins."
LEAVE_ZH = "育嬰留職停薪最長二十四個月。須於十日前申請。"
CANTEEN = "The canteen serves noodles on Friday."


def judged(
    question: str,
    *texts: str,
    other: str = "",
    cosines: Sequence[Sequence[float]] = (),
) -> Evidence:
    """
    Args:
        other: The question's translation.
        cosines: Of the question and each sentence, by passage.
    """
    terms = QuestionTerms(question, tuple(query_tokens(question)), tuple(query_tokens(other)))
    similarity = [tuple(c) for c in cosines] or [()] * len(texts)
    passages = [
        Passage(a_document(text).chunks[0], score=1.0, sentence_similarity=s)
        for text, s in zip(texts, similarity, strict=True)
    ]
    return judge(terms, passages)


def test_no_passages_are_no_evidence() -> None:
    assert judged("How long?") == Evidence(Band.NOTHING, 0.0, ())


@pytest.mark.parametrize(
    ("question", "text"),
    [("How long is parental leave at most?", LEAVE), ("育嬰留職停薪最長多久？", LEAVE_ZH)],
)
def test_a_passage_that_holds_the_words_answers(question: str, text: str) -> None:
    assert judged(question, text, CANTEEN).band is Band.ANSWERED


def test_passages_about_something_else_are_nothing() -> None:
    question = "Which oscilloscope measures jitter on the serdes lanes?"

    assert judged(question, CANTEEN, LEAVE).band is Band.NOTHING


def test_a_question_of_function_words_alone_is_answered_by_nothing() -> None:
    assert judged("What is it?", LEAVE).band is Band.NOTHING


@pytest.mark.parametrize(
    ("cosine", "band"), [(0.9, Band.ANSWERED), (0.35, Band.UNSURE), (0.05, Band.NOTHING)]
)
def test_without_a_common_word_meaning_decides(cosine: float, band: Band) -> None:
    evidence = judged("May fathers stay at home?", CANTEEN, cosines=[[cosine]])

    assert evidence.band is band


def test_across_languages_the_translation_counts() -> None:
    english = "The JTAG interface resets the core when TRST is low."

    assert judged("核心要怎麼重置？", english, other="reset the core").band is Band.ANSWERED
    assert judged("核心要怎麼重置？", english).band is Band.NOTHING


def test_the_sentences_of_the_first_three_passages_come_in_reading_order() -> None:
    evidence = judged("parental leave", LEAVE, CANTEEN, LEAVE, "Fourth one.")

    assert [(s.passage, s.position) for s in evidence.sentences] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (2, 0),
        (2, 1),
    ]


def test_the_sentence_that_holds_the_words_scores_highest() -> None:
    evidence = judged("When must I apply?", LEAVE)

    assert max(evidence.sentences, key=lambda s: s.score).text.startswith("Apply 10 days")


def test_the_sentence_that_means_it_scores_highest() -> None:
    evidence = judged("How much time in advance?", LEAVE, cosines=[[0.1, 0.8]])

    assert max(evidence.sentences, key=lambda s: s.score).text.startswith("Apply 10 days")


def test_vectors_of_other_sentences_than_these_are_not_misread() -> None:
    evidence = judged("When must I apply?", LEAVE, cosines=[[0.9, 0.1, 0.1]])

    assert max(evidence.sentences, key=lambda s: s.score).text.startswith("Apply 10 days")


def test_a_passage_that_is_a_heading_alone_has_no_sentence_to_offer() -> None:
    assert judged("parental leave", "# Parental leave").sentences == ()
