"""AsciiDoc tables to Markdown tables: spans are spread out, nested tables become a line of text."""

import csv
import re
from collections.abc import Callable

_CELL = re.compile(
    r"(?:^|(?<=\s))(?:(\d+)?(?:\.(\d+))?([+*]))?[<^>]?(?:\.[<^>])?([aehlmsdv])?(?<!\\)\|", re.M
)
# A cell may also follow directly on text, without any specification.
_BARE = re.compile(r"(?<!\\)\|")


def table_to_markdown(
    lines: list[str], options: str, separator: str, inline: Callable[[str], str]
) -> str:
    """
    A Markdown table, or nothing when no cell holds text.

    Args:
        options: The block attributes above the table, as written.
        separator: First character of its delimiter: `|`, or `,` and `:` for separated values.
    """
    if separator == "|":
        cells, first_row = _cells([line for line in lines if not line.startswith("//")])
    else:
        rows = list(csv.reader((line for line in lines if line.strip()), delimiter=separator))
        cells = [(cell, 1, 1) for row in rows for cell in row]
        first_row = len(rows[0]) if rows else 0
    width = _columns(options) or first_row or 1
    grid = [[_cell_text(cell, inline) for cell in row] for row in _grid(cells, width)]
    grid = [row for row in grid if any(row)]
    if not grid:
        return ""
    used = [n for n in range(width) if any(row[n] for row in grid)]
    table = [f"| {' | '.join(row[n] for n in used)} |" for row in grid]
    return "\n".join([table[0], "|" + " --- |" * len(used), *table[1:]])


def _columns(options: str) -> int:
    match = re.search(r'cols\s*=\s*(?:"([^"]*)"|([^,\]]+))', options)
    if not match:
        return 0
    specification = (match[1] or match[2] or "").strip()
    if specification.isdigit():
        return int(specification)
    count = 0
    for column in re.split("[,;]", specification):
        repeated = re.match(r"\s*(\d+)\*", column)
        count += int(repeated[1]) if repeated else 1
    return count


def _cells(lines: list[str]) -> tuple[list[tuple[str, int, int]], int]:
    """Cells as (text, columns, rows), and the columns that the first line with cells takes."""
    text = "\n".join(_flat_nested(lines))
    specs = [(m.start(), m.end(), m) for m in _CELL.finditer(text)]
    taken = {end for _, end, _ in specs}
    bare = [(m.start(), m.end(), None) for m in _BARE.finditer(text) if m.end() not in taken]
    marks = sorted([*specs, *bare], key=lambda mark: mark[0])
    cells: list[tuple[str, int, int]] = []
    first_line_end, first_row = -1, 0
    for number, (start, end, spec) in enumerate(marks):
        if first_line_end < 0:
            first_line_end = text.find("\n", start) if "\n" in text[start:] else len(text)
        until = marks[number + 1][0] if number + 1 < len(marks) else len(text)
        content = text[end:until].replace("\\|", "|").strip()
        columns = rows = copies = 1
        if spec and spec[3] == "*":
            copies = int(spec[1] or 1)
        elif spec and spec[3] == "+":
            columns, rows = int(spec[1] or 1), int(spec[2] or 1)
        cells.extend([(content, columns, rows)] * copies)
        if start < first_line_end:
            first_row += columns * copies
    return cells, first_row


def _grid(cells: list[tuple[str, int, int]], width: int) -> list[list[str]]:
    """Rows of equal width. A cell over several rows is repeated, so that each row can be read alone."""
    rows: list[list[str | None]] = []

    def row(n: int) -> list[str | None]:
        while len(rows) <= n:
            rows.append([None] * width)
        return rows[n]

    at = column = 0
    for text, columns, down in cells:
        while None not in row(at) or all(cell is not None for cell in row(at)[column:]):
            at, column = at + 1, 0
        while row(at)[column] is not None:
            column += 1
        for n in range(at, at + down):
            for m in range(column, min(column + columns, width)):
                row(n)[m] = text if m == column else ""
    return [[cell or "" for cell in cells_of_row] for cells_of_row in rows]


def _flat_nested(lines: list[str]) -> list[str]:
    """Nested tables (`!===`) and block attributes inside cells: each nested row becomes `a / b;`."""
    flat: list[str] = []
    nested = False
    for line in lines:
        if re.match(r"!={3,}$", line.strip()):
            nested = not nested
        elif nested:
            parts = [p.strip() for p in re.split(r"(?:\d+\+)?[<^>]?!", line) if p.strip()]
            flat.append(" / ".join(parts) + ";" if parts else "")
        elif not re.match(r"\[[^\[#].*\]$", line.strip()):
            flat.append(line)
    return flat


def _cell_text(text: str, inline: Callable[[str], str]) -> str:
    text = re.sub(r"(?m)^(?:-{4,}|\.{4,}|={4,}|--|\+|\[(?:source|NOTE)[^\]]*\])$", "", text)
    text = re.sub(r"(?m)^\s*(?:\*{1,3}|\.{1,3})[ \t]+", "• ", text)
    return re.sub(r"\s+", " ", inline(text)).strip().rstrip(";").replace("|", "\\|")
