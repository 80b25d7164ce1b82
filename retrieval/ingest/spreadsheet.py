"""Excel workbooks to Markdown: the cells that people see, as they see them."""

import re
from collections.abc import Iterator

from retrieval.errors import TooMuch
from retrieval.ingest.cell_format import BUILT_IN, GENERAL
from retrieval.ingest.office import (
    OfficeKind,
    Package,
    XmlTarget,
    is_true,
    local_name,
    opened,
    relation_id,
)
from retrieval.ingest.sheet_cells import Budget, Formats, SharedTexts, SheetCells
from retrieval.ingest.sheet_tables import Sheet, sheet_to_markdown

_KIND = OfficeKind("Excel workbook", "Excel", ".xlsx", ".xls")
_MAX_SHEETS = 1_000
_MAX_STYLES = 200_000
_DEFAULT_NAME = re.compile(r"(?:Sheet|工作表) ?1$", re.IGNORECASE)

# A library was tried: while it reads bit by bit, it does not tell what is hidden or merged, and takes
# the Chinese date formats for numbers; and it does not bound what it holds otherwise.


def xlsx_to_markdown(raw: bytes) -> tuple[str | None, str]:
    """
    The title in the file's properties, if any, and each sheet below its name.

    Formulas give what they last came to, macros are left alone, and what is hidden is not read:
    sheets, rows and columns, and rows that a filter leaves out.

    Raises:
        IngestError: See `retrieval.ingest.office.opened`.
    """
    with opened(raw, _KIND) as package:
        title = package.title()
        sheets = [(name, sheet_to_markdown(sheet)) for name, sheet in _sheets(package)]
    shown = [(name, markdown) for name, markdown in sheets if markdown]
    if len(shown) == 1 and _DEFAULT_NAME.match(shown[0][0]):
        return title, shown[0][1]
    return title, "\n\n".join(f"## {name}\n\n{text}" for name, text in shown)


def _sheets(package: Package) -> Iterator[tuple[str, Sheet]]:
    """Name and cells of each that is shown; one after the other, so that only one is held."""
    main = package.main_part()
    workbook = package.tree(main)
    if workbook.tag != "workbook":
        raise ValueError("another kind of Office file")
    listed_sheets = workbook.findall("sheets/sheet")
    if len(listed_sheets) > _MAX_SHEETS:
        raise TooMuch(f"has more than {_MAX_SHEETS:,} sheets; split it")
    budget, styles, texts = Budget(), _Styles(), SharedTexts()
    for kind, target in (("styles", styles), ("sharedStrings", texts)):
        for part in package.related(main, kind):
            package.stream(part, target)
    properties = workbook.find("workbookPr")
    since_1904 = properties is not None and is_true(properties.get("date1904"))
    formats = Formats(styles.codes(), since_1904=since_1904)
    relations = package.relations(main)
    for listed in listed_sheets:
        relation = relations.get(relation_id(listed))
        is_shown = listed.get("state", "visible") == "visible"
        if is_shown and relation is not None and relation.kind == "worksheet":
            cells = SheetCells(texts.found, formats, budget)
            package.stream(relation.part, cells)
            yield " ".join(listed.get("name", "").split()) or "?", cells.sheet


class _Styles(XmlTarget):
    """Old workbooks have gathered tens of thousands of styles; of each only its number format counts."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {}
        self._ids: list[str] = []
        self._is_of_cells = False

    def codes(self) -> list[str]:
        return [self._own.get(number) or BUILT_IN.get(int(number), GENERAL) for number in self._ids]

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local_name(tag)
        if name == "cellXfs":
            self._is_of_cells = True
        elif name == "xf" and self._is_of_cells:
            self._ids.append(attributes.get("numFmtId", "0"))
        elif name == "numFmt":
            self._own[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        if len(self._ids) + len(self._own) > _MAX_STYLES:
            raise TooMuch("has far too many cell styles; copy its sheets to a new workbook")

    def end(self, tag: str) -> None:
        if local_name(tag) == "cellXfs":
            self._is_of_cells = False
