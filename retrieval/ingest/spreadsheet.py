"""Excel workbooks to Markdown: the cells that people see, as they see them."""

import re
from xml.etree.ElementTree import Element

from retrieval.errors import TooMuch
from retrieval.ingest.cell_format import BUILT_IN, GENERAL
from retrieval.ingest.office import OfficeKind, Package, is_true, opened, relation_id
from retrieval.ingest.sheet_cells import Budget, Formats, SharedTexts, SheetCells
from retrieval.ingest.sheet_tables import Sheet, sheet_to_markdown

_KIND = OfficeKind("Excel workbook", "Excel", ".xlsx", ".xls")
_MAX_SHEETS = 1_000
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
        sheets = [(name, sheet_to_markdown(sheet)) for name, sheet in _sheets(package)]
        shown = [(name, markdown) for name, markdown in sheets if markdown]
        if len(shown) == 1 and _DEFAULT_NAME.match(shown[0][0]):
            return package.title(), shown[0][1]
        return package.title(), "\n\n".join(f"## {name}\n\n{text}" for name, text in shown)


def _sheets(package: Package) -> list[tuple[str, Sheet]]:
    main = package.main_part()
    workbook = package.tree(main)
    relations = package.relations(main)
    properties = workbook.find("workbookPr")
    since_1904 = properties is not None and is_true(properties.get("date1904"))
    styles = [package.tree(part) for part in package.related(main, "styles")]
    formats = Formats([c for tree in styles for c in _codes(tree)], since_1904=since_1904)
    texts = SharedTexts()
    for part in package.related(main, "sharedStrings"):
        package.stream(part, texts)
    budget = Budget()
    sheets = []
    listed_sheets = workbook.findall("sheets/sheet")
    if len(listed_sheets) > _MAX_SHEETS:
        raise TooMuch(f"has more than {_MAX_SHEETS:,} sheets; split it")
    for listed in listed_sheets:
        relation = relations.get(relation_id(listed))
        if (
            relation is None
            or relation.kind != "worksheet"
            or listed.get("state", "visible") != "visible"
        ):
            continue
        cells = SheetCells(texts.found, formats, budget)
        package.stream(relation.part, cells)
        name = " ".join(listed.get("name", "").split())
        sheets.append((name or "?", cells.sheet))
    return sheets


def _codes(styles: Element) -> list[str]:
    own = {
        e.get("numFmtId"): e.get("formatCode", GENERAL) for e in styles.iterfind("numFmts/numFmt")
    }
    return [
        own.get(e.get("numFmtId")) or BUILT_IN.get(int(e.get("numFmtId") or 0), GENERAL)
        for e in styles.iterfind("cellXfs/xf")
    ]
