"""The figures, worked out by hand."""

import math
from typing import Any

import pytest

from retrieval.evaluation import EvaluationQuestion, EvaluationResult, by_group, measure


def a_question(**values: Any) -> EvaluationQuestion:
    return EvaluationQuestion.parse({"query_id": "q", "query": "How long?"} | values)


def a_result(*ranked_ids: str, question: EvaluationQuestion, **values: Any) -> EvaluationResult:
    return EvaluationResult(question, ranked_ids, **values)


def test_recall_and_rank_of_three_questions() -> None:
    question = a_question(gold_doc_ids=["gold"])
    results = [
        a_result("gold", "b", question=question),
        a_result("a", "b", "c", "gold", question=question),
        a_result("a", "b", question=question),
    ]

    rates = measure(results).rates

    assert rates["recall@1"] == pytest.approx(1 / 3)
    assert rates["recall@5"] == pytest.approx(2 / 3)
    assert rates["recall@10"] == pytest.approx(2 / 3)
    assert rates["MRR@10"] == pytest.approx((1 + 1 / 4 + 0) / 3)
    assert rates["nDCG@10"] == pytest.approx((1 + 1 / math.log2(5) + 0) / 3)


def test_of_two_gold_documents_any_is_a_hit_and_both_are_the_ideal() -> None:
    question = a_question(gold_doc_ids=["g1", "g2"])

    rates = measure([a_result("x", "g2", "g1", question=question)]).rates

    assert rates["recall@1"] == 0
    assert rates["recall@5"] == 1
    assert rates["MRR@10"] == 0.5
    assert rates["nDCG@10"] == pytest.approx(
        (1 / math.log2(3) + 1 / math.log2(4)) / (1 + 1 / math.log2(3))
    )


def test_a_document_beyond_the_tenth_place_counts_for_nothing() -> None:
    question = a_question(gold_doc_ids=["gold"])

    rates = measure([a_result(*"abcdefghij", "gold", question=question)]).rates

    assert (rates["recall@10"], rates["MRR@10"], rates["nDCG@10"]) == (0, 0, 0)


def test_abstention_is_counted_by_what_was_expected() -> None:
    results = [
        a_result(question=a_question(answerable=False), abstained=True),
        a_result(question=a_question(answerable=False), abstained=False),
        a_result(question=a_question(expect="refuse"), abstained=True),
        a_result(question=a_question(gold_doc_ids=["g"]), abstained=True),
        a_result(question=a_question(gold_doc_ids=["g"]), abstained=False),
        a_result(question=a_question(gold_doc_ids=["g"]), abstained=False),
        a_result(question=a_question(gold_doc_ids=["g"]), abstained=None),
    ]

    rates = measure(results).rates

    assert rates["abstention"] == 0.5
    assert rates["refusal"] == 1
    assert rates["false abstention"] == pytest.approx(1 / 3)


def test_a_rate_on_which_no_question_bears_is_none() -> None:
    metrics = measure([])

    assert metrics.questions == metrics.ranked == metrics.leaks == 0
    assert set(metrics.rates.values()) == {None}


@pytest.mark.parametrize(
    ("wanted", "answer", "holds"),
    [
        ("5", "You have 5 days.", True),
        ("5", "You have 15 days.", False),
        ("5", "It is 1.5 days.", False),
        ("5", "It costs 5,000.", False),
        ("5", "It is 5.", True),
        ("5", "共3天，5人。", True),
        ("5", "共５天。", True),
        ("5", "5 天", True),
        ("14", "a 14nm process", True),
        ("1,200", "at most 1,200 dollars", True),
        ("24 months", "At most 24 Months.", True),
        ("NT$1,200", "at most NT$ 1,200", True),
        ("育嬰留職停薪", "可申請「育嬰留職停薪」。", True),
        ("ten days", "eleven days", False),
    ],
)
def test_an_answer_is_compared_by_letters_and_a_bare_number_stands_alone(
    wanted: str, answer: str, holds: bool
) -> None:
    result = a_result(question=a_question(answers=[wanted]), answer=answer)

    assert result.holds_answer is holds


def test_one_of_the_accepted_answers_and_all_of_the_required_must_occur() -> None:
    question = a_question(answers=["two years", "24 months"], answers_all=["HR", "form"])

    assert a_result(question=question, answer="24 months; send the form to HR.").holds_answer
    assert not a_result(question=question, answer="24 months; send it to HR.").holds_answer
    assert not a_result(question=question, answer="Send the form to HR.").holds_answer


def test_nothing_to_compare_is_neither_right_nor_wrong() -> None:
    assert a_result(question=a_question(), answer="24 months").holds_answer is None
    assert a_result(question=a_question(answers=["24"])).holds_answer is None


def test_a_document_a_citation_or_a_phrase_that_may_not_be_shown_is_a_leak() -> None:
    question = a_question(forbidden_doc_ids=["f1", "f2"], leak_strings=["Falcon", "42"])

    assert a_result("f1", "a", question=question).leaks == ["f1"]
    assert a_result("a", question=question, cited_ids=("f2",)).leaks == ["f2"]
    assert a_result("b", question=question, unreadable_ids=frozenset({"b"})).leaks == ["b"]
    assert a_result(question=question, answer="Project FALCON, room 42").leaks == ["Falcon", "42"]
    assert a_result("a", question=question, answer="Room 142").leaks == []


def test_a_right_answer_that_leaks_is_not_correct() -> None:
    question = a_question(answers=["24 months"], leak_strings=["Falcon"], gold_doc_ids=["g"])
    results = [
        a_result("g", question=question, answer="24 months", abstained=False),
        a_result("g", question=question, answer="24 months on Falcon", abstained=False),
    ]

    metrics = measure(results)

    assert metrics.rates["correct"] == 0.5
    assert metrics.leaks == 1


def test_a_snippet_is_looked_for_in_the_first_five_passages() -> None:
    question = a_question(gold_doc_ids=["g"], gold_snippet="at most **24** months")
    near = a_result("g", question=question, chunk_texts=("a", "Leave: at most 24 months."))
    far = a_result("g", question=question, chunk_texts=(*"abcde", "at most 24 months"))

    assert measure([near, far]).rates["snippet@5"] == 0.5


def test_groups_are_measured_by_themselves() -> None:
    results = [
        a_result("g", question=a_question(gold_doc_ids=["g"], lang="en")),
        a_result("x", question=a_question(gold_doc_ids=["g"], lang="zh")),
        a_result("x", question=a_question(gold_doc_ids=["g"])),
    ]

    groups = by_group(results, lambda question: question.language)

    assert {name: metrics.rates["recall@1"] for name, metrics in groups.items()} == {
        "en": 1,
        "zh": 0,
    }


@pytest.mark.parametrize("values", [{}, {"query_id": "q"}, {"query": "How?"}])
def test_a_line_without_id_or_text_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="needs"):
        EvaluationQuestion.parse(values)
