"""The cells of one sheet, gathered while its XML goes by: what they show, and what is hidden or merged."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from retrieval.errors import TooMuch
from retrieval.ingest.cell_format import formatter, general
from retrieval.ingest.office import XmlTarget, is_true, local_name
from retrieval.ingest.sheet_tables import Cell, Merge, Sheet

MAX_CELLS = 500_000
"""Filled ones, of all sheets of a workbook."""

_MAX_CHARACTERS = 20_000_000
_MAX_ELEMENTS = 2_500_000
"""Of XML, filled or not: some seconds at worst."""

_MAX_COLUMN, _MAX_ROW = 16_384, 1_048_576
_MAX_MERGES = 100_000
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_HIDES_ALL = re.compile(r";;;+$")


@dataclass(slots=True)
class Budget:
    """What is left of the limits on a workbook."""

    cells: int = MAX_CELLS
    characters: int = _MAX_CHARACTERS
    raw_characters: int = 2 * _MAX_CHARACTERS
    elements: int = _MAX_ELEMENTS

    def show(self, text: str) -> None:
        self.cells -= 1
        self.characters -= len(text)
        self._check()

    def hold(self, text: str) -> None:
        """*text* of a cell that has not ended yet."""
        self.raw_characters -= len(text)
        self._check()

    def _check(self) -> None:
        if min(self.cells, self.characters, self.raw_characters) < 0:
            raise TooMuch(
                f"has more than {MAX_CELLS:,} filled cells, or far too much text; split it"
            )

    def pass_by(self) -> None:
        self.elements -= 1
        if self.elements < 0:
            raise TooMuch("has millions of cells; remove empty rows and columns, or split it")


class Formats:
    """
    How the cells of a workbook show what they hold, by the number of their style.

    Attributes:
        hiding: Styles that show nothing at all.
    """

    def __init__(self, codes: Sequence[str], *, since_1904: bool) -> None:
        self.hiding = {n for n, code in enumerate(codes) if _HIDES_ALL.match(code)}
        self._shown = [formatter(code, since_1904=since_1904) for code in codes]

    def shown(self, style: int, number: str) -> str:
        value = float(number)
        return self._shown[style](value) if 0 <= style < len(self._shown) else general(value)


class SharedTexts(XmlTarget):
    """The texts that cells name by number."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._budget = Budget()
        self._parts: list[str] = []
        self._takes = False
        self._in_reading_aid = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._budget.pass_by()
        name = local_name(tag)
        if name == "si":
            self._parts = []
        elif name == "rPh":
            self._in_reading_aid = True
        self._takes = name == "t" and not self._in_reading_aid

    def end(self, tag: str) -> None:
        name = local_name(tag)
        if name == "si":
            self.found.append(_clean("".join(self._parts)))
            self._budget.show(self.found[-1])
        elif name == "rPh":
            self._in_reading_aid = False
        self._takes = False

    def data(self, text: str) -> None:
        if self._takes:
            self._budget.hold(text)
            self._parts.append(text)


class SheetCells(XmlTarget):
    """What a sheet shows, gathered while its XML goes by."""

    def __init__(self, texts: list[str], formats: Formats, budget: Budget) -> None:
        self.sheet = Sheet()
        self._texts, self._formats, self._budget = texts, formats, budget
        self._row = self._column = 0
        self._is_hidden = False
        # Of the cell being read; most cells of a large sheet are empty, and should cost next to nothing.
        self._kind, self._style = "n", 0
        self._parts: list[str] = []
        self._in_cell = self._takes = False
        self._in_reading_aid = False
        self._starts: dict[str, Callable[[dict[str, str]], None]] = {
            "row": self._start_row,
            "c": self._start_cell,
            "col": self._hide_columns,
            "mergeCell": self._merge,
        }

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._budget.pass_by()
        name = local_name(tag)
        if name in self._starts:
            self._starts[name](attributes)
        elif name == "rPh":
            self._in_reading_aid = True
        self._takes = name in ("v", "t") and self._in_cell and not self._in_reading_aid

    def end(self, tag: str) -> None:
        name = local_name(tag)
        if name == "c":
            if self._parts:
                self._finish("".join(self._parts))
            self._in_cell = False
        elif name == "rPh":
            self._in_reading_aid = False
        self._takes = False

    def data(self, text: str) -> None:
        if self._takes:
            self._budget.hold(text)
            self._parts.append(text)

    def _start_row(self, attributes: dict[str, str]) -> None:
        self._row = _within(int(attributes.get("r") or self._row + 1), _MAX_ROW)
        self._column = 0
        self._is_hidden = is_true(attributes.get("hidden")) or attributes.get("ht") == "0"
        if self._is_hidden:
            self.sheet.hidden_rows.add(self._row)

    def _start_cell(self, attributes: dict[str, str]) -> None:
        letters = attributes.get("r", "").rstrip("0123456789")
        self._column = _column(letters) if letters else _within(self._column + 1, _MAX_COLUMN)
        self._in_cell = not self._is_hidden and self._column not in self.sheet.hidden_columns
        self._kind, self._style = attributes.get("t", "n"), int(attributes.get("s") or 0)
        self._parts.clear()

    def _hide_columns(self, attributes: dict[str, str]) -> None:
        if is_true(attributes.get("hidden")) or attributes.get("width") == "0":
            first, last = int(attributes.get("min", 1)), int(attributes.get("max", 1))
            self.sheet.hidden_columns.update(range(max(first, 1), min(last, _MAX_COLUMN) + 1))

    def _merge(self, attributes: dict[str, str]) -> None:
        found = re.fullmatch(r"([A-Za-z]+)(\d+):([A-Za-z]+)(\d+)", attributes.get("ref", ""))
        if found and len(self.sheet.merges) < _MAX_MERGES:
            left, top, right, bottom = found.groups()
            self.sheet.merges.append(Merge(int(top), _column(left), int(bottom), _column(right)))

    def _finish(self, raw: str) -> None:
        self._parts.clear()
        if not raw.strip() or self._style in self._formats.hiding:
            return
        if self._kind == "s":
            text = self._texts[int(raw)]
        elif self._kind == "n":
            text = self._formats.shown(self._style, raw)
        elif self._kind == "b":
            text = "TRUE" if is_true(raw.strip()) else "FALSE"
        else:
            text = _clean(raw.removesuffix("T00:00:00") if self._kind == "d" else raw)
        if text:
            self._budget.show(text)
            row = self.sheet.rows.setdefault(self._row, {})
            row[self._column] = Cell(text, is_number=self._kind in ("n", "d"))


@lru_cache(maxsize=_MAX_COLUMN)
def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return _within(number, _MAX_COLUMN)


def _within(number: int, limit: int) -> int:
    if not 1 <= number <= limit:
        raise ValueError("a cell outside of any sheet")
    return number


def _clean(text: str) -> str:
    """Lines without outer and double blanks; characters that XML cannot hold are written `_xHHHH_`."""
    if "_x" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    if "\n" not in text and "\r" not in text:
        return " ".join(text.split())
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))
