"""Sentences of a passage, in English and Chinese: the unit in which answers are quoted and checked."""

import re

from retrieval.analysis import is_chinese_text

_CHINESE_END = re.compile(r"(?<=[。！？])(?![」』”\"）)])|(?<=[。！？][」』”\"）)])")
_EMPHASIS = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")
# A full stop ends a sentence only before what can begin one: not in "e.g. this", "3.5" or "v1.2".
_ENGLISH_END = re.compile(
    r"(?:(?<=[.!?])|(?<=[.!?][\"')\]])|(?<=[.!?][\"')\]]{2}))\s+(?=[A-Z0-9\"'(\[`*])"
)
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|no|fig|approx|dr|mr|ms|inc|ltd)\.)$", re.I)
_LIST_MARKER = re.compile(r"^\s*(?:[-*+•]|\d{1,2}[.)])\s+(?:\[[ xX]\]\s+)?|^\s*>\s?")
_HEADING = re.compile(r"^\s*#{1,6}\s")
_TABLE_RULE = re.compile(r"^[\s|:\-+=]+$")
_FENCE = re.compile(r"^\s*(?:```|~~~)")


def sentences(markdown: str) -> list[str]:
    """
    The sentences of a Markdown text, in order, without list markers, headings and table rules.

    A list item's sentence and a line of code each count as one, and so does a table row, whose
    cells are given with their column's heading. Lines that a paragraph was wrapped into belong together.
    """
    found: list[str] = []
    paragraph: list[str] = []
    columns: list[str] = []
    in_code = is_below_row = False

    def flush() -> None:
        # Bold may begin in one sentence and end in the next.
        text = _EMPHASIS.sub(r"\1", _join_wrapped(paragraph))
        found.extend(_split_paragraph(text))
        paragraph.clear()

    for line in markdown.splitlines():
        if _FENCE.match(line):
            flush()
            in_code = not in_code
        elif in_code:
            found.append(line.strip())
        elif line.lstrip().startswith("|"):
            flush()
            if _TABLE_RULE.match(line):
                columns = _cells(found.pop()) if is_below_row and not columns else columns
            else:
                found.append(_table_row(line, columns))
        elif not line.strip() or _HEADING.match(line):
            flush()
        elif _LIST_MARKER.match(line):
            flush()
            paragraph.append(_LIST_MARKER.sub("", line))
        else:
            paragraph.append(line)
        is_below_row = not in_code and line.lstrip().startswith("|")
        if not is_below_row:
            columns = []
    flush()
    return [sentence for sentence in found if any(c.isalnum() for c in sentence)]


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _table_row(row: str, columns: list[str]) -> str:
    cells = _cells(row)
    if len(cells) != len(columns):
        return row.strip()
    named = [f"{name}: {cell}" if name else cell for name, cell in zip(columns, cells, strict=True)]
    return " · ".join(part for part, cell in zip(named, cells, strict=True) if cell)


def _join_wrapped(lines: list[str]) -> str:
    text = ""
    for line in (line.strip() for line in lines):
        # Chinese has no space between words, so a wrapped line must not gain one.
        gap = "" if not text or (ord(text[-1]) > 0x2E80 and line and ord(line[0]) > 0x2E80) else " "
        text += gap + line
    return text


def _split_paragraph(text: str) -> list[str]:
    if not text:
        return []
    if is_chinese_text(text):
        return [part.strip() for part in _CHINESE_END.split(text) if part.strip()]
    merged: list[str] = []
    for part in _ENGLISH_END.split(text):
        if merged and _ABBREVIATION.search(merged[-1]):
            merged[-1] += " " + part
        elif part.strip():
            merged.append(part.strip())
    return merged
