"""What counts as one sentence of a passage."""

import pytest

from retrieval.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Use tools, e.g. A wrench. Then stop.", ["Use tools, e.g. A wrench.", "Then stop."]),
        ("It draws 3.5 A at v1.2. Good.", ["It draws 3.5 A at v1.2.", "Good."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("(See the form.) Then sign.", ["(See the form.)", "Then sign."]),
        ('(He said "stop.") Then he left.', ['(He said "stop.")', "Then he left."]),
        ("三天前申請。主管核准！可以嗎？", ["三天前申請。", "主管核准！", "可以嗎？"]),
        ("他說「不行。」然後離開。", ["他說「不行。」", "然後離開。"]),
        ("先備份；再升級。請小心。", ["先備份；再升級。", "請小心。"]),
        ("A line that was\nwrapped goes on.", ["A line that was wrapped goes on."]),
        ("先停機。**先備份。再升級。**", ["先停機。", "先備份。", "再升級。"]),
        ("換行的中文\n不多空格。", ["換行的中文不多空格。"]),
    ],
)
def test_a_text_splits_where_a_reader_would_stop(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_headings_rules_and_empty_lines_are_no_sentences() -> None:
    assert sentences("# Leave\n\n---\n\nAsk HR.\n\n***\n") == ["Ask HR."]


def test_each_list_item_is_a_sentence_without_its_marker() -> None:
    assert sentences("- first\n* second\n1. third\n2) fourth\n- [ ] fifth\n> quoted") == [
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "quoted",
    ]


def test_a_table_row_is_a_sentence_with_the_names_of_its_columns() -> None:
    table = "| Grade | Days |\n|---|---|\n| A | 10 |\n| B | |"

    assert sentences(table) == ["Grade: A · Days: 10", "Grade: B"]


def test_a_rule_without_a_header_row_takes_nothing_away() -> None:
    assert sentences("Ask HR first.\n|---|---|\n| A | 10 |")[0] == "Ask HR first."


def test_each_line_of_code_is_a_sentence() -> None:
    assert sentences("Run:\n```sh\nmake all\nmake test\n```\nDone.") == [
        "Run:",
        "make all",
        "make test",
        "Done.",
    ]
