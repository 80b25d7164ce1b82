"""With a file beside it: is a question about the file, about all of it, or about something else?"""

import pytest

from bot.asked_of_file import asked_of_file


@pytest.mark.parametrize(
    "question",
    [
        "這份文件在說什麼？",
        "這份試算表的重點是什麼？",
        "幫我摘要這份 Excel",
        "請幫我摘要",
        "幫我翻譯這份報告成英文",
        "整理這份會議記錄的重點",
        "這裡面的重點是什麼？",
        "這是什麼",
        "Summarise this.",
        "Summarize the attached PDF in Chinese, please.",
        "tl;dr",
        "What are the key points?",
        "What's in the file?",
        "Explain this document to me in two sentences",
        "Can you read it?",
    ],
)
def test_a_question_about_nothing_but_the_file_is_about_all_of_it(question: str) -> None:
    assert asked_of_file(question).is_whole_subject


@pytest.mark.parametrize(
    ("question", "rest"),
    [
        ("What is the notice period in this contract?", "What is the notice period ?"),
        ("這份合約的解約期限是幾天？", "解約期限是幾天？"),
        ("附件裡的保固期是多久", "保固期是多久"),
        ("What does this say about the notice period?", "What say about the notice period?"),
    ],
)
def test_what_is_asked_of_the_file_is_what_is_left_without_its_name(
    question: str, rest: str
) -> None:
    asked = asked_of_file(question)

    assert asked.is_subject
    assert not asked.is_whole_subject
    assert asked.rest == rest


@pytest.mark.parametrize(
    "question",
    [
        "How many days of annual leave do I have?",
        "我有幾天特休？",
        "What travel budget do we have this year?",
        "VPN 連不上怎麼辦？",
    ],
)
def test_a_question_of_its_own_is_not_about_the_file(question: str) -> None:
    asked = asked_of_file(question)

    assert not asked.is_subject
    assert asked.rest == question
