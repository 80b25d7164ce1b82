"""Which questions need the conversation to be understood, told by their words alone."""

from datetime import UTC, datetime

import pytest

from bot.follow_up import is_follow_up, stand_alone
from bot.messages import Turn
from retrieval.analysis import language_of


def said(question: str) -> list[Turn]:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    return [Turn("e1", question, question, "It is so. [1]", ("c1",), language_of(question), at)]


PARENTAL = said("How long can employees in Taiwan stay at home with a child?")
PARENTAL_ZH = said("台灣員工的育嬰假可以請多久？")


@pytest.mark.parametrize(
    "question",
    [
        "And in Germany?",
        "What about contractors?",
        "why?",
        "How long?",
        "Who approves it?",
        "Does that apply to fathers as well?",
        "Can I split it into several parts?",
        "Is it paid?",
        "Which one is longer?",
        "Are they paid during this time?",
    ],
)
def test_what_points_back_is_a_follow_up(question: str) -> None:
    assert is_follow_up(question, PARENTAL)
    assert stand_alone(question, PARENTAL) == f"{PARENTAL[0].standalone} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "那約聘人員呢？",
        "父親呢",
        "為什麼？",
        "何時申請？",
        "它可以分段嗎？",
        "這段期間有薪水嗎",
        "還有其他限制嗎？",
        "如果是雙胞胎呢？",
        "誰核准？",
    ],
)
def test_the_same_in_chinese(question: str) -> None:
    assert is_follow_up(question, PARENTAL_ZH)
    assert stand_alone(question, PARENTAL_ZH).endswith(question)


@pytest.mark.parametrize(
    "question",
    [
        "How long is parental leave?",
        "How do I reset the VPN password on a new laptop?",
        "What is the reset value of the interrupt enable register?",
        "Is there a dress code for visiting customers in Japan?",
        "Which laptop does IT provide to new engineers?",
        "What is the policy that covers travel to customer sites?",
        "How are purchase orders approved in the finance department?",
    ],
)
def test_a_new_question_is_searched_as_it_was_asked(question: str) -> None:
    assert not is_follow_up(question, PARENTAL)
    assert stand_alone(question, PARENTAL) == question


@pytest.mark.parametrize(
    "question",
    [
        "特休假有幾天？",
        "公司的筆電遺失時要向哪個部門通報？",
        "中斷致能暫存器的重置值是多少？",
        "我應該怎麼報銷出差的計程車費？",
        "採購單超過十萬元由誰核准？",
        "除了年終獎金還有哪些其他獎金制度？",
    ],
)
def test_a_new_question_in_chinese_too(question: str) -> None:
    assert not is_follow_up(question, PARENTAL_ZH)
    assert stand_alone(question, PARENTAL_ZH) == question


def test_nothing_said_before_leaves_nothing_to_follow() -> None:
    assert not is_follow_up("And in Germany?", [])
    assert stand_alone("why?", []) == "why?"


def test_the_topic_comes_from_the_last_turn_and_is_carried_on() -> None:
    second = stand_alone("And in Germany?", PARENTAL)

    third = stand_alone("Is it paid?", [*PARENTAL, *said(second)])

    assert third == f"{PARENTAL[0].standalone} And in Germany? Is it paid?"


def test_over_a_long_conversation_what_is_asked_now_stays_whole() -> None:
    question = "And in Germany?"

    standalone = stand_alone(question, said("parental leave " * 100))

    assert standalone.endswith(question)
    assert len(standalone) <= 402


def test_a_follow_up_that_is_long_itself_takes_no_topic() -> None:
    question = "And what about " + "this " * 100

    assert stand_alone(question, PARENTAL) == question
