"""The cells of a sheet to Markdown: which of them are tables, with which headers, and which are sentences."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from retrieval.errors import TooMuch
from retrieval.ingest.office import LONGEST_HEADER, markdown_table, prose

_WIDEST = 24
"""Columns of a table that can still be read; what has more becomes a list with the header beside each cell."""

_LONGEST_REPEATED = 80
_MOST_HEADER_ROWS = 4
_MOST_REPEATED = 500_000
_A_SENTENCE = 30


class Cell(NamedTuple):
    text: str
    is_number: bool = False
    """Or a date."""


Row = dict[int, Cell]
"""By column."""


class Merge(NamedTuple):
    """The first and last row and column of cells that are one."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(slots=True)
class Sheet:
    """What is shown of a sheet, and which rows and columns are not."""

    rows: dict[int, Row] = field(default_factory=dict)
    merges: list[Merge] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Table:
    header: list[Row]
    rows: list[Row]
    columns: set[int]


def sheet_to_markdown(sheet: Sheet) -> str:
    """
    Tables and the sentences around them.

    An empty row parts tables. What is merged stands in each of its rows and columns, so that a part
    of a table says to what it belongs.
    """
    texts = (part if isinstance(part, str) else _shown(part) for part in _Layout(sheet).parts())
    return "\n\n".join(filter(None, texts))


class _Layout:
    """Where on a sheet something begins and ends."""

    def __init__(self, sheet: Sheet) -> None:
        self._rows = sheet.rows
        self._numbers = sorted(sheet.rows)
        self._hidden = sorted(sheet.hidden_rows)
        self._merges: defaultdict[int, list[Merge]] = defaultdict(list)
        for merge in sheet.merges:
            if merge.left in sheet.rows.get(merge.top, {}):
                self._merges[merge.top].append(merge)
        self._lone = self._lone_rows()
        self._repeat_merged()

    def parts(self) -> list[str | _Table]:
        parts: list[str | _Table] = []
        for block in self._blocks():
            start, end = 0, len(block)
            while start < end and block[start] in self._lone:
                start += 1
            while end > start and self._is_remark(block[end - 1]):
                end -= 1
            parts += [_sentences(self._rows[number]) for number in block[:start]]
            if start < end:
                self._add_table(parts, block[start:end])
            parts += [_sentences(self._rows[number]) for number in block[end:]]
        return parts

    def _lone_rows(self) -> set[int]:
        """Those with a single cell, and nothing that reaches down into them: titles, remarks, section names."""
        lone = {number for number in self._numbers if len(self._rows[number]) == 1}
        last = 0
        for top in sorted(self._merges):
            bottom = max(merge.bottom for merge in self._merges[top])
            first = bisect_right(self._numbers, max(top, last))
            lone.difference_update(self._numbers[first : bisect_right(self._numbers, bottom)])
            last = max(last, bottom)
        return lone

    def _repeat_merged(self) -> None:
        columns = sorted(set().union(*self._rows.values()))
        left = _MOST_REPEATED
        for merge in (merge for merges in self._merges.values() for merge in merges):
            cell = self._rows[merge.top][merge.left]
            if len(cell.text) > _LONGEST_REPEATED:
                continue
            across = columns[bisect_left(columns, merge.left) : bisect_right(columns, merge.right)]
            first = bisect_left(self._numbers, merge.top)
            for number in self._numbers[first : bisect_right(self._numbers, merge.bottom)]:
                left -= len(across)
                if left < 0:
                    raise TooMuch("has far too many merged cells; split it")
                if number not in self._lone:
                    for column in across:
                        self._rows[number].setdefault(column, cell)

    def _blocks(self) -> list[list[int]]:
        """Runs of rows without an empty one between them; a hidden one is none at all."""
        blocks = [self._numbers[:1]]
        for above, below in pairwise(self._numbers):
            hidden = bisect_left(self._hidden, below) - bisect_right(self._hidden, above)
            if below - above - 1 > hidden:
                blocks.append([])
            blocks[-1].append(below)
        return blocks

    def _is_remark(self, number: int) -> bool:
        """A sentence below a table, and not a row of it with one cell filled in."""
        if number not in self._lone:
            return False
        (cell,) = self._rows[number].values()
        is_wide = any(merge.right > merge.left for merge in self._merges.get(number, ()))
        return is_wide or len(cell.text) > _A_SENTENCE

    def _add_table(self, parts: list[str | _Table], numbers: list[int]) -> None:
        rows = [self._rows[number] for number in numbers]
        columns: set[int] = set().union(*rows)
        above = parts[-1] if parts else None
        has_numbers = any(cell.is_number for cell in rows[0].values())
        if isinstance(above, _Table) and has_numbers and columns <= above.columns:
            # No header: the empty row above parted a table only for the eye.
            above.rows += rows
        else:
            depth = self._header_depth(numbers, rows)
            parts.append(_Table(rows[:depth], rows[depth:], columns))

    def _header_depth(self, numbers: list[int], rows: list[Row]) -> int:
        """How many rows say what the columns are: more than one where some are merged."""
        top = numbers[0]
        merges = self._merges.get(top, ())
        bottom = max((merge.bottom for merge in merges), default=top)
        if bottom == top and any(merge.right > merge.left for merge in merges):
            bottom = numbers[min(1, len(numbers) - 1)]
        depth = bisect_right(numbers, bottom)
        is_header = not any(cell.is_number for row in rows[1:depth] for cell in row.values())
        return depth if depth <= _MOST_HEADER_ROWS and depth < len(rows) and is_header else 1


def _sentences(row: Row) -> str:
    return prose("\n".join(cell.text for cell in row.values()))


def _shown(table: _Table) -> str:
    columns = sorted(table.columns)
    if len(columns) == 1:
        return "\n\n".join(_sentences(row) for row in [*table.header, *table.rows])
    header = [
        _joined(row[column].text for row in table.header if column in row) for column in columns
    ]
    if len(columns) > _WIDEST and table.rows:
        names = {n: text[:LONGEST_HEADER] for n, text in zip(columns, header, strict=True)}
        return "\n".join(_listed(row, names) for row in table.rows)
    nothing = Cell("")
    rows = [[row.get(column, nothing).text for column in columns] for row in table.rows]
    return markdown_table([header, *rows])


def _joined(texts: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(texts))


def _listed(row: Row, names: dict[int, str]) -> str:
    """One row as an item: each cell after the name of its column."""
    cells = (
        f"{names[column]}: {row[column].text}" if names[column] else row[column].text
        for column in sorted(row)
    )
    return f"- {'; '.join(cells)}".replace("\n", "; ")
