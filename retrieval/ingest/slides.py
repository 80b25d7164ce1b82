"""PowerPoint presentations to Markdown: each slide below its title, in the order in which it is read."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from retrieval.analysis import is_chinese_text
from retrieval.errors import TooMuch
from retrieval.ingest.office import (
    OfficeKind,
    Package,
    Relation,
    is_true,
    markdown_table,
    opened,
    prose,
    relation_id,
)

_KIND = OfficeKind("PowerPoint presentation", "PowerPoint", ".pptx", ".ppt")
_MAX_SLIDES = 2_000
_MAX_DEPTH = 20
_LONGEST_REPEATED = 80
_SAME_HEIGHT = 1 / 40
"""Of the slide: shapes that begin this close to each other stand side by side."""

_USUAL_SIZE = (12_192_000, 6_858_000)
_TITLES = ("title", "ctrTitle")
_MARGINS = ("dt", "ftr", "hdr", "sldNum", "sldImg")
_LISTS = ("body", "obj", "")
# What PowerPoint itself puts into the properties.
_NO_TITLE = re.compile(
    r"PowerPoint\b.*|(?:Presentation|Slide|Title|簡報|投影片) ?\d*|無標題.*", re.IGNORECASE
)

Relations = Mapping[str, Relation]


@dataclass(frozen=True, slots=True)
class _Slide:
    number: int
    title: str
    text: str
    notes: str


@dataclass(frozen=True, slots=True)
class _Shape:
    """
    Attributes:
        place: Top and left; None where the layout says it.
        size: Height and width, likewise.
        role: What the layout has it for, such as ``title``; None for a shape of the slide's own.
    """

    element: Element
    place: tuple[int, int] | None
    size: tuple[int, int] | None
    role: str | None


def pptx_to_markdown(raw: bytes) -> tuple[str | None, str]:
    """
    The title, of the properties or of the first slide that has one, and the slides.

    Hidden slides and shapes, and what lies beside the slide, are not read; neither are pictures and charts.

    Raises:
        IngestError: See `retrieval.ingest.office.opened`.
    """
    with opened(raw, _KIND) as package:
        slides = list(_slides(package))
        title = package.title()
    if title is None or _NO_TITLE.fullmatch(title):
        title = next((slide.title for slide in slides if slide.title), None)
    is_chinese = is_chinese_text("\n".join(f"{slide.title}\n{slide.text}" for slide in slides))
    return title, "\n\n".join(_to_markdown(slide, is_chinese=is_chinese) for slide in slides)


def _to_markdown(slide: _Slide, *, is_chinese: bool) -> str:
    unnamed = f"投影片 {slide.number}" if is_chinese else f"Slide {slide.number}"
    # A heading alone would be found by nobody.
    parts = [f"## {slide.title or unnamed}", slide.text or slide.title]
    if slide.notes:
        parts += ["### 備忘稿" if is_chinese else "### Speaker notes", slide.notes]
    return "\n\n".join(filter(None, parts))


def _slides(package: Package) -> Iterator[_Slide]:
    main = package.main_part()
    presentation = package.tree(main)
    if presentation.tag != "presentation":
        raise ValueError("another kind of Office file")
    relations = package.relations(main)
    size = _pair(presentation.find("sldSz"), "cx", "cy") or _USUAL_SIZE
    listed = presentation.findall("sldIdLst/sldId")
    if len(listed) > _MAX_SLIDES:
        raise TooMuch(f"has more than {_MAX_SLIDES:,} slides; split it")
    for number, item in enumerate(listed, start=1):
        relation = relations.get(relation_id(item))
        if relation is None or relation.kind != "slide":
            continue
        slide = package.tree(relation.part)
        if is_true(slide.get("show", "1")):
            found = _Reader(package, package.relations(relation.part), size).slide(slide, number)
            if found.title or found.text or found.notes:
                yield found


class _Reader:
    """One slide, and what it leads to."""

    def __init__(self, package: Package, relations: Relations, size: tuple[int, int]) -> None:
        self._package, self._relations = package, relations
        self._width, self._height = size

    def slide(self, slide: Element, number: int) -> _Slide:
        shapes = [s for s in _shapes(slide.find("cSld/spTree")) if self._is_on_slide(s)]
        titles = [shape for shape in shapes if shape.role in _TITLES]
        others = [shape for shape in shapes if shape.role not in (*_TITLES, *_MARGINS)]
        title = " ".join(_text(paragraph) for s in titles for paragraph in s.element.iter("p"))
        return _Slide(number, " ".join(title.split()), self._all(others, 0), self._notes())

    def _notes(self) -> str:
        for relation in self._relations.values():
            if relation.kind == "notesSlide":
                shapes = _shapes(self._package.tree(relation.part).find("cSld/spTree"))
                bodies = (s.element.find("txBody") for s in shapes if s.role == "body")
                return "\n\n".join(_paragraphs(body, is_list=False) for body in bodies).strip()
        return ""

    def _all(self, shapes: Iterable[_Shape], depth: int) -> str:
        texts = (self._shape(shape, depth) for shape in self._in_order(shapes))
        return "\n\n".join(filter(None, texts))

    def _shape(self, shape: _Shape, depth: int) -> str:
        element = shape.element
        if element.tag == "grpSp":
            return self._all(_shapes(element), depth + 1) if depth < _MAX_DEPTH else ""
        if element.tag == "graphicFrame":
            table = element.find("graphic/graphicData/tbl")
            return self._diagram(element) if table is None else _table(table)
        return _paragraphs(element.find("txBody"), is_list=shape.role in _LISTS)

    def _diagram(self, frame: Element) -> str:
        """The words of a drawn list or process; its boxes are kept in a part of their own."""
        ids = frame.find("graphic/graphicData/relIds")
        relation = None if ids is None else self._relations.get(relation_id(ids, "dm"))
        if relation is None:
            return ""
        points = self._package.tree(relation.part).iterfind("ptLst/pt")
        texts = (" ".join(_text(p) for p in point.iter("p")).strip() for point in points)
        return "\n".join(f"- {' '.join(text.split())}" for text in texts if text)

    def _is_on_slide(self, shape: _Shape) -> bool:
        if shape.place is None:
            return True
        (top, left), (height, width) = shape.place, shape.size or (1, 1)
        return top < self._height and left < self._width and top + height >= 0 and left + width >= 0

    def _in_order(self, shapes: Iterable[_Shape]) -> list[_Shape]:
        """What stands where the layout puts it, then the others: downwards, side by side from the left."""
        placed: list[tuple[tuple[int, int], _Shape]] = []
        laid_out = []
        for shape in shapes:
            if shape.place is None:
                laid_out.append(shape)
            else:
                placed.append((shape.place, shape))
        placed.sort(key=lambda item: item[0])
        rows: list[list[tuple[tuple[int, int], _Shape]]] = []
        for place, shape in placed:
            if not rows or place[0] - rows[-1][0][0][0] > self._height * _SAME_HEIGHT:
                rows.append([])
            rows[-1].append((place, shape))
        by_left = (sorted(row, key=lambda item: item[0][1]) for row in rows)
        return laid_out + [shape for row in by_left for _, shape in row]


def _shapes(tree: Element | None) -> Iterator[_Shape]:
    """Those that are shown; of one in several versions, the one for today's programs."""
    for element in () if tree is None else tree:
        if element.tag == "AlternateContent":
            yield from _shapes(element.find("Choice"))
        elif element.tag in ("sp", "grpSp", "graphicFrame"):
            about = next((e for e in element if e.tag.startswith("nv")), Element("none"))
            named = about.find("cNvPr")
            if named is not None and is_true(named.get("hidden")):
                continue
            frame = element.find("xfrm")
            for properties in ("spPr", "grpSpPr"):
                frame = element.find(f"{properties}/xfrm") if frame is None else frame
            place = size = None
            if frame is not None:
                place = _pair(frame.find("off"), "y", "x")
                size = _pair(frame.find("ext"), "cy", "cx")
            holder = about.find("nvPr/ph")
            yield _Shape(element, place, size, None if holder is None else holder.get("type", ""))


def _pair(element: Element | None, first: str, second: str) -> tuple[int, int] | None:
    if element is None:
        return None
    return int(element.get(first, "0")), int(element.get(second, "0"))


def _paragraphs(body: Element | None, *, is_list: bool) -> str:
    """Paragraphs and list items; *is_list* says what a paragraph is that does not say it itself."""
    found = [] if body is None else [(p, _text(p)) for p in body.iterfind("p")]
    found = [(paragraph, text) for paragraph, text in found if text]
    markdown, was_item = "", False
    for paragraph, text in found:
        mark, level = _mark(paragraph, is_list=is_list and len(found) > 1)
        is_item = bool(mark)
        shown = f"{'  ' * level}{mark} {' '.join(text.split())}" if is_item else prose(text)
        markdown += ("\n" if is_item and was_item else "\n\n") + shown
        was_item = is_item
    return markdown.strip("\n")


def _mark(paragraph: Element, *, is_list: bool) -> tuple[str, int]:
    properties = paragraph.find("pPr")
    tags = set() if properties is None else {child.tag for child in properties}
    level = 0 if properties is None else min(max(int(properties.get("lvl", "0")), 0), 8)
    if "buAutoNum" in tags:
        return "1.", level
    if "buNone" in tags:
        return "", 0
    return ("-", level) if is_list or tags & {"buChar", "buBlip"} else ("", 0)


def _text(paragraph: Element) -> str:
    """Its runs, fields and formulas, whose letters are all in elements of the same name."""
    parts = (
        "\n" if e.tag == "br" else e.text or "" for e in paragraph.iter() if e.tag in ("t", "br")
    )
    lines = "".join(parts).replace("\v", "\n").split("\n")
    return "\n".join(filter(None, (" ".join(line.split()) for line in lines)))


def _table(table: Element) -> str:
    """With what is merged in each of its cells."""
    rows: list[list[str]] = []
    for row in table.iterfind("tr"):
        cells: list[str] = []
        for n, cell in enumerate(row.iterfind("tc")):
            text = "\n".join(filter(None, (_text(p) for p in cell.iterfind("txBody/p"))))
            if is_true(cell.get("hMerge")):
                text = _repeated(cells[-1:])
            elif is_true(cell.get("vMerge")) and rows:
                text = _repeated(rows[-1][n : n + 1])
            cells.append(text)
        rows.append(cells)
    rows = [row for row in rows if any(row)]
    width = max(map(len, rows), default=0)
    if width < 2:
        return "\n\n".join(prose(row[0]) for row in rows)
    return markdown_table([row + [""] * (width - len(row)) for row in rows])


def _repeated(cells: list[str]) -> str:
    return cells[0] if cells and len(cells[0]) <= _LONGEST_REPEATED else ""
