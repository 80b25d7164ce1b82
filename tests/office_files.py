"""Excel and PowerPoint files of a test's own, written part by part as the programs write them."""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from html import escape
from itertools import count

_MAIN = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SLIDE = "http://schemas.openxmlformats.org/presentationml/2006/main"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"

Value = str | float | bool | None | tuple[float, str]
"""What a cell holds; a number with the format in which it is shown."""


def a_zip(parts: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def relations(*targets: tuple[str, str]) -> str:
    """Kind and target of each; their ids are r1, r2, …"""
    items = "".join(
        f'<Relationship Id="r{n}" Type="{_MAIN}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets, start=1)
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{items}</Relationships>'


def _root(main: str, title: str) -> dict[str, str | bytes]:
    targets = [("officeDocument", main)]
    if not title:
        return {"_rels/.rels": relations(*targets)}
    return {
        "_rels/.rels": relations(*targets, ("core-properties", "docProps/core.xml")),
        "docProps/core.xml": f'<cp:coreProperties xmlns:cp="{_PACKAGE}/metadata/core-properties" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></cp:coreProperties>',
    }


def a_sheet(
    rows: Sequence[Sequence[Value]] = (),
    *,
    merged: Sequence[str] = (),
    hidden_rows: Sequence[int] = (),
    columns: str = "",
    data: str = "",
) -> str:
    """
    The XML of a sheet: *rows* from A1 on, numbers with a format as style 0, 1, … of `a_workbook`.

    Args:
        columns: `<col …/>` elements.
        data: Rows as XML, in place of *rows*.
    """
    styles = count()
    for number, row in enumerate(rows, start=1):
        hidden = ' hidden="1"' if number in hidden_rows else ""
        cells = "".join(
            _cell(f"{_letters(n)}{number}", value, styles) for n, value in enumerate(row)
        )
        data += f'<row r="{number}"{hidden}>{cells}</row>' if cells else ""
    merges = "".join(f'<mergeCell ref="{ref}"/>' for ref in merged)
    return (
        f'<worksheet xmlns="{_SHEET}"><cols>{columns}</cols><sheetData>{data}</sheetData>'
        f"<mergeCells>{merges}</mergeCells></worksheet>"
    )


def _cell(ref: str, value: Value, styles: "count[int]") -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return f'<c r="{ref}" s="{next(styles)}"><v>{value[0]!r}</v></c>'
    if isinstance(value, bool):
        return f'<c r="{ref}" t="b"><v>{value:d}</v></c>'
    if isinstance(value, str):
        return f'<c r="{ref}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{ref}" s="9999"><v>{value!r}</v></c>'


def _letters(column: int) -> str:
    return (chr(64 + column // 26) if column >= 26 else "") + chr(65 + column % 26)


def a_workbook(
    sheets: Mapping[str, str] | Sequence[Sequence[Value]],
    *,
    formats: Sequence[str] = (),
    title: str = "",
    states: Mapping[str, str] | None = None,
    extra: Mapping[str, str | bytes] | None = None,
) -> bytes:
    """An .xlsx of sheets by name, or of one sheet's rows; *formats* are those of styles 0, 1, …"""
    if not isinstance(sheets, Mapping):
        sheets = {"Sheet1": a_sheet(sheets)}
    states = states or {}
    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="r{n}" state="{states.get(name, "visible")}"/>'
        for n, name in enumerate(sheets, start=1)
    )
    targets = [("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
    own = "".join(
        f'<numFmt numFmtId="{200 + n}" formatCode="{escape(code)}"/>'
        for n, code in enumerate(formats)
    )
    used = "".join(f'<xf numFmtId="{200 + n}"/>' for n in range(len(formats)))
    return a_zip(
        {
            **_root("xl/workbook.xml", title),
            "xl/workbook.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_MAIN}"><sheets>{listed}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(
                *targets, ("styles", "styles.xml"), ("sharedStrings", "sharedStrings.xml")
            ),
            "xl/styles.xml": f'<styleSheet xmlns="{_SHEET}"><numFmts>{own}</numFmts>'
            f'<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs>{used}</cellXfs></styleSheet>',
            **{
                f"xl/worksheets/sheet{n}.xml": sheet
                for n, sheet in enumerate(sheets.values(), start=1)
            },
            **(extra or {}),
        }
    )


def a_shape(
    *paragraphs: str,
    role: str | None = None,
    at: tuple[float, float] | None = None,
    is_hidden: bool = False,
) -> str:
    """
    A text frame.

    Args:
        role: What the layout has it for, such as ``title``.
        at: Centimetres from the left and from the top.
    """
    holder = "" if role is None else f'<p:ph type="{role}"/>' if role else '<p:ph idx="1"/>'
    place = (
        f'<a:xfrm><a:off x="{int(at[0] * 360_000)}" y="{int(at[1] * 360_000)}"/>'
        '<a:ext cx="720000" cy="360000"/></a:xfrm>'
        if at
        else ""
    )
    text = "".join(
        paragraph
        if paragraph.startswith("<a:p>")
        else f"<a:p><a:r><a:t>{paragraph}</a:t></a:r></a:p>"
        for paragraph in paragraphs
    )
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="1" name="n" hidden="{is_hidden:d}"/><p:cNvSpPr/>'
        f"<p:nvPr>{holder}</p:nvPr></p:nvSpPr><p:spPr>{place}</p:spPr><p:txBody>{text}</p:txBody></p:sp>"
    )


def a_slide(*shapes: str, notes: str = "", is_hidden: bool = False) -> tuple[str, str]:
    """The XML of a slide, and of its notes."""
    tree = "<p:{0} xmlns:p='{1}' xmlns:a='{2}'{3}><p:cSld><p:spTree>{4}</p:spTree></p:cSld></p:{0}>"
    hidden = ' show="0"' if is_hidden else ""
    page = a_shape("12", role="sldNum") + a_shape(notes, role="body")
    return (
        tree.format("sld", _SLIDE, _DRAWING, hidden, "".join(shapes)),
        tree.format("notes", _SLIDE, _DRAWING, "", page) if notes else "",
    )


def a_presentation(*slides: tuple[str, str], title: str = "") -> bytes:
    """A .pptx; its parts are numbered the other way round than its slides."""
    numbers = range(len(slides), 0, -1)
    listed = "".join(f'<p:sldId id="{255 + n}" r:id="r{n}"/>' for n, _ in enumerate(slides, 1))
    parts: dict[str, str | bytes] = {
        **_root("ppt/presentation.xml", title),
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{_SLIDE}" xmlns:r="{_MAIN}">'
        f'<p:sldIdLst>{listed}</p:sldIdLst><p:sldSz cx="12192000" cy="6858000"/></p:presentation>',
        "ppt/_rels/presentation.xml.rels": relations(
            *(("slide", f"slides/slide{n}.xml") for n in numbers)
        ),
    }
    for number, (slide, notes) in zip(numbers, slides, strict=True):
        parts[f"ppt/slides/slide{number}.xml"] = slide
        if notes:
            parts[f"ppt/slides/_rels/slide{number}.xml.rels"] = relations(
                ("notesSlide", f"../notesSlides/notesSlide{number}.xml")
            )
            parts[f"ppt/notesSlides/notesSlide{number}.xml"] = notes
    return a_zip(parts)


def with_part(raw: bytes, name: str, content: str | bytes) -> bytes:
    """The file with one part replaced or added."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        parts: dict[str, str | bytes] = {entry: archive.read(entry) for entry in archive.namelist()}
    return a_zip({**parts, name: content})


def encrypted(raw: bytes) -> bytes:
    """The same with the marks of encryption on its entries."""
    return re.sub(
        rb"(PK\x03\x04..|PK\x01\x02....)..",
        lambda match: match[1] + b"\x01\x00",
        raw,
        flags=re.DOTALL,
    )
