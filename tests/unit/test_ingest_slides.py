"""Presentations slide by slide: titles, lists, tables and notes in reading order; nothing that is out of sight."""

import pytest

from retrieval.errors import HoldsNoText, IngestError, IsLocked, TooMuch
from retrieval.ingest.convert import convert
from tests.office_files import a_presentation, a_shape, a_slide, a_workbook, with_part

TITLE = a_shape("待機電流", role="title")


def markdown_of(*slides: tuple[str, str]) -> str:
    return convert("deck.pptx", a_presentation(*slides)).markdown.rstrip("\n")


def test_each_slide_stands_below_its_title() -> None:
    first = a_slide(a_shape("測試報告", role="ctrTitle"), a_shape("研發部", role="subTitle"))
    second = a_slide(a_shape("高溫下超過規格兩成", "調整偏壓", role=""), TITLE)

    assert markdown_of(first, second) == (
        "## 測試報告\n\n研發部\n\n## 待機電流\n\n- 高溫下超過規格兩成\n- 調整偏壓"
    )


def test_a_slide_without_a_title_is_named_by_its_number() -> None:
    assert markdown_of(a_slide(TITLE), a_slide(a_shape("在台南測試"))).endswith(
        "## 投影片 2\n\n在台南測試"
    )
    assert markdown_of(a_slide(a_shape("Tested in Tainan."))) == "## Slide 1\n\nTested in Tainan."


def test_the_title_is_the_files_own_or_that_of_the_first_slide_or_the_files_name() -> None:
    def title(stated: str, *shapes: str) -> str:
        return convert("may-plan.pptx", a_presentation(a_slide(*shapes), title=stated)).title

    assert title("Roadmap", TITLE) == "Roadmap"
    assert title("PowerPoint 簡報", TITLE) == "待機電流"
    assert title("", a_shape("text")) == "May plan"


def test_shapes_are_read_downwards_and_side_by_side_from_the_left() -> None:
    slide = a_slide(
        a_shape("below", at=(2, 12)),
        a_shape("right", at=(12, 5)),
        a_shape("left", at=(2, 5.2)),
        TITLE,
        a_shape("first", role=""),
    )

    assert markdown_of(slide).split("\n\n")[1:] == ["first", "left", "right", "below"]


def test_grouped_shapes_are_read_together() -> None:
    group = (
        '<p:grpSp><p:nvGrpSpPr/><p:grpSpPr><a:xfrm><a:off x="0" y="1000000"/></a:xfrm></p:grpSpPr>'
        f"{a_shape('second', at=(1, 90))}{a_shape('first', at=(1, 80))}</p:grpSp>"
    )

    slide = a_slide(a_shape("last", at=(1, 10)), group)

    assert markdown_of(slide).split("\n\n")[1:] == ["first", "second", "last"]


def test_lists_keep_their_levels_and_marks() -> None:
    def item(text: str, properties: str) -> str:
        return f"<a:p>{properties}<a:r><a:t>{text}</a:t></a:r></a:p>"

    box = a_shape(
        "Before a run:",
        item("check", "<a:pPr><a:buAutoNum type='arabicPeriod'/></a:pPr>"),
        item("open", "<a:pPr lvl='1'><a:buChar char='•'/></a:pPr>"),
        "<a:p><a:r><a:t>two</a:t></a:r><a:br/><a:fld><a:t># lines</a:t></a:fld></a:p>",
    )

    assert markdown_of(a_slide(TITLE, box)).split("\n\n", 1)[1] == (
        "Before a run:\n\n1. check\n  - open\n\ntwo\n\\# lines"
    )


def test_tables_have_merged_cells_in_each_place() -> None:
    def cell(text: str, attributes: str = "") -> str:
        return f"<a:tc {attributes}><a:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></a:txBody></a:tc>"

    rows = [
        cell("項目") + cell("限制", 'gridSpan="2"') + cell("", 'hMerge="1"'),
        cell("桌墊", 'rowSpan="2"') + cell("1 MΩ") + cell("a|b"),
        cell("", 'vMerge="1"') + cell("2 MΩ") + cell("c"),
    ]
    table = "".join(f"<a:tr>{row}</a:tr>" for row in rows)
    frame = (
        "<p:graphicFrame><p:nvGraphicFramePr/><a:graphic><a:graphicData>"
        f"<a:tbl>{table}</a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
    )

    assert markdown_of(a_slide(TITLE, frame)).endswith(
        "| 項目 | 限制 | 限制 |\n| --- | --- | --- |\n| 桌墊 | 1 MΩ | a\\|b |\n| 桌墊 | 2 MΩ | c |"
    )


def test_the_words_of_a_diagram_are_a_list() -> None:
    frame = (
        "<p:graphicFrame><p:nvGraphicFramePr/><a:graphic><a:graphicData><x:relIds xmlns:x='d' "
        "xmlns:r='r' r:dm='r1'/></a:graphicData></a:graphic></p:graphicFrame>"
    )
    points = "".join(f"<pt><t><p><r><t>{text}</t></r></p></t></pt>" for text in ("Plan", "", "Do"))
    relations = (
        '<Relationships><Relationship Id="r1" Type="x/diagramData" Target="/ppt/diagrams/data1.xml"/>'
        "</Relationships>"
    )
    raw = a_presentation(a_slide(frame))
    raw = with_part(raw, "ppt/slides/_rels/slide1.xml.rels", relations)
    raw = with_part(
        raw, "ppt/diagrams/data1.xml", f"<dataModel><ptLst>{points}</ptLst></dataModel>"
    )

    assert convert("a.pptx", raw).markdown == "## Slide 1\n\n- Plan\n- Do\n"


@pytest.mark.parametrize(
    ("text", "heading"), [("先講結論", "### 備忘稿"), ("Pause here.", "### Speaker notes")]
)
def test_speaker_notes_are_marked_as_such(text: str, heading: str) -> None:
    assert markdown_of(a_slide(a_shape(text), notes=text)).endswith(
        f"\n\n{text}\n\n{heading}\n\n{text}"
    )


def test_what_is_out_of_sight_is_not_read() -> None:
    slide = a_slide(
        TITLE,
        a_shape("shown"),
        a_shape("secret beside the slide", at=(40, 5)),
        a_shape("secret left of it", at=(-10, 5)),
        a_shape("secret shape", is_hidden=True),
        a_shape("12", role="sldNum"),
        a_shape("footer", role="ftr"),
    )
    hidden = a_slide(a_shape("secret slide"), notes="secret notes", is_hidden=True)

    assert markdown_of(slide, hidden) == "## 待機電流\n\nshown"


def test_of_a_shape_in_two_versions_one_is_read() -> None:
    both = (
        "<mc:AlternateContent xmlns:mc='mc'><mc:Choice>{}</mc:Choice>"
        "<mc:Fallback>{}</mc:Fallback></mc:AlternateContent>"
    )

    slide = a_slide(both.format(a_shape("today"), a_shape("formerly")))

    assert markdown_of(slide) == "## Slide 1\n\ntoday"


@pytest.mark.parametrize(
    ("raw", "error", "complaint"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", IsLocked, "protected with a password or an old .ppt"),
        (b"no zip", IngestError, "is damaged or no PowerPoint presentation"),
        (a_workbook([["a"]]), IngestError, "is damaged or no PowerPoint presentation"),
        (a_presentation(a_slide(a_shape(""))), HoldsNoText, "holds no text"),
        (
            with_part(a_presentation(a_slide(TITLE)), "ppt/slides/slide1.xml", "<sld>"),
            IngestError,
            "is damaged or no PowerPoint presentation",
        ),
        (
            with_part(a_presentation(a_slide(TITLE)), "ppt/slides/slide1.xml", "<!DOCTYPE x><x/>"),
            IngestError,
            "declares XML entities",
        ),
        (
            with_part(
                a_presentation(a_slide(TITLE)),
                "ppt/slides/slide1.xml",
                f"<sld>{'<a/>' * 400_000}</sld>",
            ),
            TooMuch,
            "far too much in it",
        ),
        (a_presentation(*[a_slide(TITLE)] * 2_001), TooMuch, "more than 2,000 slides"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_read_says_why(
    raw: bytes, error: type[IngestError], complaint: str
) -> None:
    with pytest.raises(error, match=r"^a\.pptm: ") as raised:
        convert("a.pptm", raw)

    assert complaint in str(raised.value)


def test_groups_within_groups_without_end_are_left_at_some_point() -> None:
    deep = "<p:grpSp>" * 5_000 + "</p:grpSp>" * 5_000

    assert markdown_of(a_slide(TITLE, deep)) == "## 待機電流\n\n待機電流"
