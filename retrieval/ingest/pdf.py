"""PDF files to Markdown: pages keep the places of words, from which tables, lists and headings are read."""

import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

from retrieval.errors import IngestError, IsLocked
from retrieval.ingest.clean import visible

_CELL = re.compile(r"\S+(?: \S+)*")
_NUMBERED = re.compile(r"\s*(?:(\d{1,2})[.)]?|[•·▪●‣-])\s+(\S.*)$")
_HEADING = re.compile(
    r"(?P<number>\d{1,2}(?:\.\d{1,2}){0,3})\.? +[^\W\d_].{1,70}(?<![.。,，;；:：!?])$"
)
_SENTENCE_END = re.compile(r"[.。！？!?:：;；|]$")
# Fonts of PDF writers map Chinese characters to the look-alike radicals, and letters to ligatures.
_LOOKALIKE = re.compile("[\u2e80-\u2fdf\ufb00-\ufb06]")

Cell = tuple[int, str]


def pdf_to_markdown(raw: bytes) -> tuple[str | None, str]:
    """The title in the file's properties, if any, and its text."""
    # Haystack takes seconds to import, which a sync without PDF files need not spend.
    from haystack.components.converters import PyPDFToDocument
    from haystack.dataclasses import ByteStream
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(raw))
        if reader.is_encrypted:
            raise IsLocked("is protected with a password; save a copy without one")
        title = str(reader.metadata.title or "") if reader.metadata else ""
    except (PyPdfError, ValueError, OSError) as error:
        raise IngestError("is damaged or no PDF; print it to a new PDF") from error
    pages: list[list[str]] = []
    for mode in ("layout", "plain"):
        # The component logs what it cannot read and leaves it out, so an empty list is its error.
        found = PyPDFToDocument(extraction_mode=mode).run(sources=[ByteStream(data=raw)])[
            "documents"
        ]
        if not found:
            raise IngestError("is damaged or no PDF; print it to a new PDF")
        pages.append(_LOOKALIKE.sub(_character, visible_pages(found[0].content or "")).split("\f"))
    layout, plain = pages
    if len(layout) == len(plain):
        plain = [b if _has_columns(a) else a for a, b in zip(layout, plain, strict=True)]
    return title.strip() or None, _joined(
        page_to_markdown(page) for page in _without_margins(plain)
    )


def visible_pages(text: str) -> str:
    """`visible` for each page: it would remove the form feeds between them."""
    return "\f".join(visible(page) for page in text.split("\f"))


def _joined(pages: Iterable[str]) -> str:
    """Pages in a row; a sentence that a page break cuts is whole again."""
    text = ""
    for page in filter(None, pages):
        last = text.rsplit("\n", 1)[-1]
        is_cut = (
            last
            and not _SENTENCE_END.search(last)
            and not re.match(r"[#|\d-]", page)
            and last[0] not in "#|"
        )
        text += (" " if is_cut else "\n\n") + page
    return text.strip()


def page_to_markdown(page: str) -> str:
    """Markdown of one page whose blanks stand where they are on paper."""
    lines = [line.rstrip() for line in page.split("\n")]
    parts: list[str] = []
    prose: list[str] = []
    at = 0
    while at < len(lines):
        rows, end = _table(lines, at)
        if rows:
            parts += [unwrapped(prose), _markdown_table(rows)]
            prose, at = [], end
        else:
            prose.append(lines[at])
            at += 1
    return "\n\n".join(part for part in [*parts, unwrapped(prose)] if part)


def unwrapped(lines: list[str]) -> str:
    """Paragraphs of wrapped lines: one that ends near the right edge goes on in the next."""
    lines = [re.sub(r" {2,}", _gap, line.strip()) for line in lines]
    text, before = "", ""
    for n, line in enumerate(lines):
        widest = _edge(lines, n)
        item = _NUMBERED.match(line)
        if heading := _is_heading(line, before):
            text += f"\n\n{'#' * min(2 + heading['number'].count('.'), 6)} {line}\n"
        elif item and not _goes_on(before, widest):
            text += f"\n{item[1] + '.' if item[1] else '-'} {item[2]}"
        elif line and _goes_on(before, widest):
            if re.search(r"[a-z]-$", text) and line[0].islower():
                text = text[:-1] + line
            else:
                text += ("" if ord(text[-1]) > 0x2E80 and ord(line[0]) > 0x2E80 else " ") + line
        else:
            text += f"\n{line}" if not before or _SENTENCE_END.search(before) else f"\n\n{line}"
        before = "" if heading else line
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _edge(lines: list[str], at: int) -> int:
    """Where lines end around here: at the page's edge, or in a narrow column of prose at its own."""
    widths = [_width(line) for line in lines]
    near = max(widths[max(0, at - 3) : at + 4])
    return near if near > 40 else max(widths)


def _goes_on(line: str, widest: int) -> bool:
    return _width(line) > 0.7 * widest and not _SENTENCE_END.search(line)


def _is_heading(line: str, before: str) -> re.Match[str] | None:
    starts = not before or bool(_SENTENCE_END.search(before))
    return _HEADING.match(line) if starts and _width(line) < 80 else None


def _table(lines: list[str], start: int) -> tuple[list[list[str]], int]:
    """The table whose first row is line *start*, and where it ends; no rows when there is none."""
    head = _cells(lines[start])
    if len(head) < 2 or (len(head) == 2 and _NUMBERED.match(lines[start])):
        return [], start
    starts = [place for place, _ in head]
    full: list[list[Cell]] = []
    rows: list[list[str]] = []
    at = start
    for at in range(start, len(lines) + 1):
        cells = _cells(lines[at]) if at < len(lines) else []
        if not cells or (len(cells) == 1 and _is_prose(cells[0], starts)) or len(cells) > len(head):
            break
        if len(cells) == len(head):
            full.append(cells)
            rows.append([text for _, text in cells])
            continue
        columns = [_nearest(place, starts) for place, _ in cells]
        if len(cells) > 1 and columns[0] == 0:
            rows.append([""] * len(head))
        for column, (_, text) in zip(columns, cells, strict=True):
            rows[-1][column] = f"{rows[-1][column]} {text}".strip()
    # Two lines of prose may have gaps in the same places by chance, a short header will not.
    is_sure = len(full) > 2 or (len(full) == 2 and max(_width(text) for _, text in head) <= 24)
    is_table = is_sure and all(_is_aligned(column) for column in zip(*full, strict=True))
    return (rows, at) if is_table else ([], start)


def _cells(line: str) -> list[Cell]:
    return [(match.start(), match.group()) for match in _CELL.finditer(line)]


def _is_prose(cell: Cell, starts: list[int]) -> bool:
    """A line that begins left of the table, or runs on under its second column."""
    place, text = cell
    return place < starts[0] - 2 or (place < starts[1] - 2 and place + len(text) > starts[1] + 2)


def _nearest(place: int, starts: list[int]) -> int:
    return min(range(len(starts)), key=lambda n: abs(starts[n] - place))


def _is_aligned(column: tuple[Cell, ...]) -> bool:
    """Its cells line up on the left, on the right or in the middle."""
    edges = [(place, place + _width(text), place + _width(text) / 2) for place, text in column]
    return any(max(values) - min(values) <= 4 for values in zip(*edges, strict=True))


def _markdown_table(rows: list[list[str]]) -> str:
    shown = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([shown[0], "|" + " --- |" * len(rows[0]), *shown[1:]])


def _has_columns(page: str) -> bool:
    """Prose side by side, which the layout would mix line by line."""
    pairs = [cells for line in page.split("\n") if len(cells := _cells(line)) == 2]
    both_long = sum(min(len(text) for _, text in cells) > 30 for cells in pairs)
    return both_long >= 4


def _without_margins(pages: list[str]) -> Iterator[str]:
    """Pages without the lines at their top and bottom that most of them share, but for the page number."""
    edges = [_edge_lines(page) for page in pages]
    counts = Counter(key for keys in edges for key in {key for _, key in keys})
    common = {key for key, n in counts.items() if n > 1 and n > len(pages) / 2}
    for page, keys in zip(pages, edges, strict=True):
        dropped = {number for number, key in keys if key in common}
        yield "\n".join(line for n, line in enumerate(page.split("\n")) if n not in dropped)


def _edge_lines(page: str) -> list[tuple[int, str]]:
    """Number and wording, digits left out, of the first two and last two lines that are not empty."""
    lines = [
        (n, re.sub(r"[\d\s]+", "", line)) for n, line in enumerate(page.split("\n")) if line.strip()
    ]
    return lines[:2] + lines[2:][-2:]


def _width(text: str) -> int:
    return len(text) + sum(unicodedata.east_asian_width(c) in "WF" for c in text)


def _gap(match: re.Match[str]) -> str:
    """Within Chinese text, a gap is an error of measuring and not a space."""
    text, start, end = match.string, match.start(), match.end()
    around = text[start - 1 : start] + text[end : end + 1]
    return "" if len(around) == 2 and min(around) > "\u2e80" else " "


def _character(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match.group())
