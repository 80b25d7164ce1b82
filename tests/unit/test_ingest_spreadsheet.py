"""Workbooks as their readers see them: tables with headers, numbers as shown, nothing hidden, nothing endless."""

from xml.etree import ElementTree

import pytest

from retrieval.errors import HoldsNoText, IngestError, IsLocked, TooMuch
from retrieval.ingest.cell_format import formatter
from retrieval.ingest.convert import convert
from retrieval.ingest.sheet_cells import Budget, Formats, SheetCells
from retrieval.ingest.split import split
from tests.builders import a_document
from tests.office_files import Value, a_sheet, a_workbook, a_zip, encrypted, relations, with_part

PARTS: list[list[Value]] = [["料號", "品名", "數量"], ["R-12", "電阻", 40], ["C-7", "電容", 5]]


def markdown_of(raw: bytes) -> str:
    return convert("parts.xlsx", raw).markdown.rstrip("\n")


def test_a_sheet_is_a_table_below_its_name() -> None:
    raw = a_workbook({"庫存": a_sheet(PARTS), "Notes": a_sheet([["Ask Ann before ordering."]])})

    assert markdown_of(raw) == (
        "## 庫存\n\n| 料號 | 品名 | 數量 |\n| --- | --- | --- |\n| R-12 | 電阻 | 40 |\n| C-7 | 電容 | 5 |\n\n"
        "## Notes\n\nAsk Ann before ordering."
    )


def test_the_title_is_the_files_own_or_its_name_and_never_that_of_a_sheet() -> None:
    assert convert("stock-list.xlsx", a_workbook(PARTS)).title == "Stock list"
    assert convert("a.xlsm", a_workbook(PARTS, title="庫存表")).title == "庫存表"
    assert convert("a.xlsx", a_workbook(PARTS), b"title: Stated").title == "Stated"


def test_titles_and_remarks_around_a_table_are_sentences() -> None:
    rows: list[list[Value]] = [
        ["Stock of May"],
        [],
        *PARTS,
        ["This list holds what lies in the warehouse in Tainan."],
    ]

    markdown = markdown_of(a_workbook(rows))

    assert markdown.startswith("Stock of May\n\n| 料號 |")
    assert markdown.endswith("| 5 |\n\nThis list holds what lies in the warehouse in Tainan.")


def test_an_empty_row_parts_tables_with_headers_of_their_own() -> None:
    rows: list[list[Value]] = [*PARTS, [], ["Person", "Phone"], ["Ann", "7012"]]

    assert "| 5 |\n\n| Person | Phone |\n| --- | --- |\n| Ann | 7012 |" in markdown_of(
        a_workbook(rows)
    )


def test_rows_after_an_empty_one_belong_to_the_same_header_if_they_have_none() -> None:
    assert markdown_of(a_workbook([*PARTS, [], ["L-3", "電感", 9]])).endswith(
        "| C-7 | 電容 | 5 |\n| L-3 | 電感 | 9 |"
    )


def test_empty_columns_and_line_breaks_do_not_break_the_table() -> None:
    rows: list[list[Value]] = [["Item", None, "Note"], ["A|B", None, "two\nlines\n"]]

    assert markdown_of(a_workbook(rows)) == "| Item | Note |\n| --- | --- |\n| A\\|B | two; lines |"


def test_merged_cells_stand_in_each_row_and_column_that_they_cover() -> None:
    rows: list[list[Value]] = [
        ["部門", "上半年", None, "下半年", None],
        [None, "Q1", "Q2", "Q3", "Q4"],
        ["研發", 1, 2, 3, 4],
        [None, 5, 6, 7, 8],
    ]
    sheet = a_sheet(rows, merged=["A1:A2", "B1:C1", "D1:E1", "A3:A4"])

    assert markdown_of(a_workbook({"Sheet1": sheet})) == (
        "| 部門 | 上半年 Q1 | 上半年 Q2 | 下半年 Q3 | 下半年 Q4 |\n| --- | --- | --- | --- | --- |\n"
        "| 研發 | 1 | 2 | 3 | 4 |\n| 研發 | 5 | 6 | 7 | 8 |"
    )


def test_every_chunk_of_a_long_table_has_its_header() -> None:
    rows: list[list[Value]] = [PARTS[0]]
    rows += ([f"R-{n}", "電阻", n] for n in range(500))

    chunks = split(a_document("x").document, markdown_of(a_workbook(rows))).chunks

    assert len(chunks) > 5
    assert all(chunk.text.startswith("| 料號 | 品名 | 數量 |\n| --- ") for chunk in chunks)


def test_a_header_that_is_a_whole_text_is_not_repeated_in_every_chunk() -> None:
    text = "Fill this in by Friday. " * 50
    rows: list[list[Value]] = [[text, "Phone"]]
    rows += ([f"Person {n}", n] for n in range(500))

    chunks = split(a_document("x").document, markdown_of(a_workbook(rows))).chunks

    assert chunks[0].text.startswith("Fill this in by Friday.")
    assert sum(len(chunk.text) for chunk in chunks) < 20_000


def test_a_very_wide_table_is_a_list_with_the_header_beside_each_cell() -> None:
    rows: list[list[Value]] = [[f"H{n}" for n in range(30)], [None, *range(1, 30)]]

    markdown = markdown_of(a_workbook(rows))

    assert markdown.startswith("- H1: 1; H2: 2; ")
    assert "|" not in markdown


def test_what_is_hidden_is_not_read() -> None:
    shown = a_sheet(
        [["Item", "Price", "Note"], ["secret row", 1, "x"], ["Chair", 2, "secret column"]],
        hidden_rows=[2],
        columns='<col min="3" max="3" hidden="1"/>',
    )
    sheets = {"Prices": shown, "Costs": a_sheet([["secret sheet"]])}

    markdown = markdown_of(a_workbook(sheets, states={"Costs": "veryHidden"}))

    assert markdown == "## Prices\n\n| Item | Price |\n| --- | --- |\n| Chair | 2 |"


def test_texts_kept_apart_from_their_cells_are_found() -> None:
    texts = (
        '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        "<si><t>Item_x000D_</t></si><si><r><t>漢</t></r><r><t>字</t></r><rPh><t>かんじ</t></rPh></si></sst>"
    )
    data = (
        '<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c></row>'
        '<row><c t="e"><v>#N/A</v></c><c t="b"><v>1</v></c></row>'
    )
    raw = a_workbook({"Sheet1": a_sheet(data=data)}, extra={"xl/sharedStrings.xml": texts})

    assert markdown_of(raw) == "| Item | 漢字 |\n| --- | --- |\n| #N/A | TRUE |"


def test_a_formula_gives_what_it_last_came_to() -> None:
    data = (
        '<row r="1"><c r="A1" t="str"><f>CONCAT("a","b")</f><v>Total</v></c>'
        '<c r="B1"><f>SUM(C1:C9)</f><v>42</v></c><c r="C1"><f>NOW()</f></c></row>'
    )

    assert markdown_of(a_workbook({"Sheet1": a_sheet(data=data)})).startswith("| Total | 42 |\n")


def test_numbers_and_dates_come_in_the_format_of_their_cell() -> None:
    rows: list[list[Value]] = [
        ["Day", "Amount", "Share", "Hidden"],
        [(46086, "yyyy/m/d"), (1234.5, "#,##0.00"), (0.256, "0%"), (7, ";;;")],
    ]

    raw = a_workbook(rows, formats=["yyyy/m/d", "#,##0.00", "0%", ";;;"])

    assert markdown_of(raw).endswith("| 2026-03-05 | 1,234.50 | 26% |  |")


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("General", 0.1 + 0.2, "0.3"),
        ("General", 1234567890123, "1234567890123"),
        ('General"元"', 3, "3元"),
        ("0.00", 2.345, "2.35"),
        ("0", 2.5, "3"),
        ("0.0##", 1.25, "1.25"),
        ('#,##0.0,,"M"', 12_345_678, "12.3M"),
        ("#,##0.00;[Red](#,##0.00)", -1234.5, "(1,234.50)"),
        ('_-"NT$"* #,##0_-;-"NT$"* #,##0_-;_-"NT$"* "-"??_-;_-@_-', -1234, "-NT$1,234"),
        ('_-"NT$"* #,##0_-;-"NT$"* #,##0_-;_-"NT$"* "-"??_-;_-@_-', 0, "NT$-"),
        ("[$NT$-404]#,##0", 3200, "NT$3,200"),
        ("0000-000-000", 912345678, "0912-345-678"),
        ("[<=99999999]####-####;\\(0#\\) ####-####", 223456789, "(02) 2345-6789"),
        ("0.00E+00", 123456, "1.23E+05"),
        ("# ?/?", 0.5, "0.5"),
        ("0.00", 1e300, "1e+300"),
        ("yyyy/m/d h:mm", 46086.4, "2026-03-05 09:36"),
        ("yyyy/m/d;@", 46086, "2026-03-05"),
        ('yyyy"年"m"月"', 46086, "2026-03"),
        ("m/d", 46086, "03-05"),
        ('[$-404]e"年"m"月"d"日"', 46086, "民國115年3月5日 (2026-03-05)"),
        ("h:mm AM/PM", 0.75, "18:00"),
        ("mm:ss", 0.5 / 24, "30:00"),
        ("[h]:mm", 1.5, "36:00"),
        ("yyyy-mm-dd", 1e9, "1000000000"),
        ("aaaa", 46086, "2026-03-05"),
        ("\\", 1, ""),
        ('"', 1, ""),
    ],
)
def test_a_number_is_shown_as_its_format_says(code: str, value: float, shown: str) -> None:
    assert formatter(code)(value) == shown


def test_dates_of_a_workbook_that_counts_from_1904_are_the_same_days() -> None:
    assert formatter("yyyy-mm-dd", since_1904=True)(44624) == "2026-03-05"


@pytest.mark.parametrize(
    ("raw", "error", "complaint"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", IsLocked, "protected with a password or an old .xls"),
        (encrypted(a_workbook(PARTS)), IsLocked, "protected with a password"),
        (b"no zip", IngestError, "is damaged or no Excel workbook"),
        (a_workbook(PARTS)[:-200], IngestError, "is damaged or no Excel workbook"),
        (a_zip({"a.txt": "x"}), IngestError, "is damaged or no Excel workbook"),
        (
            a_zip({"_rels/.rels": relations(("officeDocument", "a.xml")), "a.xml": "<document/>"}),
            IngestError,
            "is damaged or no Excel workbook",
        ),
        (
            with_part(a_workbook(PARTS), "xl/worksheets/sheet1.xml", "<worksheet><row"),
            IngestError,
            "is damaged or no Excel workbook",
        ),
        (
            with_part(
                a_workbook(PARTS),
                "xl/worksheets/sheet1.xml",
                '<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet>&a;</worksheet>',
            ),
            IngestError,
            "declares XML entities",
        ),
        (a_workbook({"Empty": a_sheet()}), HoldsNoText, "holds no text"),
        (
            a_workbook({"Sheet1": a_sheet(data='<row r="9999999"><c r="A1"><v>1</v></c></row>')}),
            IngestError,
            "is damaged",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_read_says_why(
    raw: bytes, error: type[IngestError], complaint: str
) -> None:
    with pytest.raises(error, match=r"^a\.xlsx: ") as raised:
        convert("a.xlsx", raw)

    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    "budget", [Budget(cells=9), Budget(characters=9), Budget(raw_characters=9), Budget(elements=9)]
)
def test_reading_ends_at_any_limit(budget: Budget) -> None:
    cells = SheetCells([], Formats([], since_1904=False), budget)
    parser = ElementTree.XMLParser(target=cells)

    with pytest.raises(TooMuch, match="split it"):
        parser.feed(a_sheet([[1.0] * 10]))


@pytest.mark.parametrize(
    "sheet",
    [
        a_sheet([[1, 1]] * 1_000, merged=["A1:XFD1048576"] * 1_000),
        a_sheet(data='<row><c t="str"><v>' + "x" * 50_000_000 + "</v></c></row>"),
        " " * (257 * 2**20),
    ],
    ids=["merges", "text", "blanks"],
)
def test_a_file_that_is_far_too_large_inside_is_refused(sheet: str) -> None:
    raw = a_workbook({"Sheet1": sheet})

    assert len(raw) < 2**20
    with pytest.raises(TooMuch, match="split it"):
        convert("a.xlsx", raw)


def test_a_text_that_thousands_of_cells_share_is_refused_when_it_grows_too_long() -> None:
    texts = f"<sst><si><t>{'x' * 32_000}</t></si></sst>"
    sheet = a_sheet(data='<row><c t="s"><v>0</v></c></row>' * 1_000)

    with pytest.raises(TooMuch):
        convert("a.xlsx", a_workbook({"A": sheet}, extra={"xl/sharedStrings.xml": texts}))
