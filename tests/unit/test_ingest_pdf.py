"""Pages of a PDF, laid out with blanks as the text extraction leaves them."""

from retrieval.ingest.pdf import page_to_markdown


def test_wrapped_lines_are_joined() -> None:
    page = """
 The chamber shows the temperature of the air and not of your part, so put the thermo-
 couple on the package when it matters.
 Short line
 這份文件說明如何申請實驗室的溫箱，適用於全體同仁。每次使用最多七十二小時，超過時間請    重新登
 記。"""

    assert page_to_markdown(page).split("\n") == [
        "The chamber shows the temperature of the air and not of your part, so put the thermocouple on the package "
        "when it matters.",
        "Short line",
        "",
        "這份文件說明如何申請實驗室的溫箱，適用於全體同仁。每次使用最多七十二小時，超過時間請重新登記。",
    ]


def test_columns_of_words_are_a_table() -> None:
    page = """ Limits:

   Property                      Value
   Fastest change with a full    4 °C per minute up,
   rack                          2.5 °C per minute down
   Inner size                    340 litres

 The display shows the temperature."""

    assert page_to_markdown(page) == (
        "Limits:\n\n| Property | Value |\n| --- | --- |\n"
        "| Fastest change with a full | 4 °C per minute up, |\n| rack | 2.5 °C per minute down |\n"
        "| Inner size | 340 litres |\n\nThe display shows the temperature."
    )


def test_centred_columns_are_a_table_too_and_rests_of_cells_find_their_column() -> None:
    page = """
    項目           標準          誰做
  桌墊電阻      1 MΩ 到 1 GΩ     值日
  離子風扇      ±35 V 以內       羅建國
                 或更低
"""

    assert page_to_markdown(page) == (
        "| 項目 | 標準 | 誰做 |\n| --- | --- | --- |\n"
        "| 桌墊電阻 | 1 MΩ 到 1 GΩ | 值日 |\n| 離子風扇 | ±35 V 以內 或更低 | 羅建國 |"
    )


def test_numbered_lines_are_headings_or_items() -> None:
    page = """ All parts need it.
 2.1 Starting a run
 1    Check the calendar.
 2    Open the valve.
 •    Wear gloves."""

    assert page_to_markdown(page) == (
        "All parts need it.\n\n### 2.1 Starting a run\n\n1. Check the calendar.\n2. Open the valve.\n- Wear gloves."
    )


def test_gaps_within_prose_make_no_table() -> None:
    page = """ 這份文件說明如何   申請實驗室的溫箱，適用於全體同仁，
 每次使用最多七十二小時，超過時間請    重新登記，並通知值日人員。"""

    assert "|" not in page_to_markdown(page)
