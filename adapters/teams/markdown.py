"""The Markdown of an answer taken apart: what Teams shows of it in a message, and what needs a card."""

import re
from dataclasses import dataclass
from typing import Any

from adapters.chat.inert import BREAK, inert_markdown
from adapters.teams.json_values import Json

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_AT = re.compile(r"<(?=\s*/?\s*at\b)", re.I)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)")
_HEADING = re.compile(r" {0,3}#{1,6}(?=[ \t])(.*)")
_RULE = re.compile(r" {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})")
_DELIMITER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_CELL_END = re.compile(r"(?<!\\)\|")
_BULLET = re.compile(r"([ \t]*)[-*+][ \t]+(.*)")
_QUOTE = re.compile(r"(?:[ \t]*>)+[ \t]?(.*)")
_LONGEST_WITH_EMPHASIS = 2_000
_INLINE = re.compile(
    r"(?P<code>`+)(?P<c>.+?)(?P=code)(?!`)"
    r"|(?P<bold>\*\*|__)(?=\S)(?P<b>.+?)(?<=\S)(?P=bold)"
    r"|(?<![\w*])\*(?=[^\s*])(?P<i>[^*]+?)(?<=\S)\*(?![\w*])"
    r"|(?<!\w)_(?=[^\s_])(?P<u>[^_]+?)(?<=\S)_(?!\w)"
)


@dataclass(frozen=True, slots=True)
class Block:
    """
    A heading, fenced code, a table, or prose with its lists.

    Attributes:
        raw: As it was written, with the empty lines behind it.
    """

    raw: str

    @property
    def lines(self) -> list[str]:
        return [line.rstrip("\r") for line in self.raw.rstrip().split("\n")]


class Heading(Block):
    @property
    def text(self) -> str:
        return re.sub(r"\*\*|__", "", self.raw.strip().strip("#").strip())


class Code(Block):
    @property
    def code_lines(self) -> list[str]:
        """Without the fences."""
        lines = self.lines
        is_closed = len(lines) > 1 and bool(_FENCE.fullmatch(lines[-1]))
        return lines[1 : -1 if is_closed else None]


class Table(Block):
    @property
    def rows(self) -> list[list[str]]:
        """The head first; all as long as it."""
        head, _, *rest = self.lines
        columns = _cells(head)
        rows = [_cells(line)[: len(columns)] for line in rest]
        return [columns, *([*row, *[""] * (len(columns) - len(row))] for row in rows)]


def blocks(text: str) -> list[Block]:
    """What *text* is made of, in order; together they are the whole of it."""
    lines = re.split(r"(?<=\n)", clean(text))
    if not lines[-1]:
        lines.pop()
    found: list[Block] = []
    at = 0
    while at < len(lines):
        kind, end = _block_at(lines, at)
        while end < len(lines) and not lines[end].strip():
            end += 1
        found.append(kind("".join(lines[at:end])))
        at = end
    return found


def message_markdown(several: list[Block]) -> str:
    """For a message's text: Teams shows neither headings nor tables there, and joins single lines."""
    return inert("".join(_shown(block) for block in several))


def inert(text: str) -> str:
    """Markdown in which nothing notifies anybody or leads anywhere, not even in its code."""
    return _AT.sub("<" + BREAK, inert_markdown(text))


def clean(text: str) -> str:
    """Without what JSON or Teams would not take."""
    return _CONTROL.sub("", _SURROGATE.sub("\ufffd", text))


def plain(text: str) -> str:
    """One line of a card, in which nothing is markup."""
    return code(" ".join(clean(text).split()))


def code(text: str) -> str:
    """Text of a card, exactly as it is."""
    return _AT.sub("<" + BREAK, text)


def runs(line: str, **style: Any) -> list[Json]:
    """*line* as pieces of text with their emphasis, which no client reads as markup."""
    made: list[Json] = []
    at = 0
    for found in _INLINE.finditer(line) if len(line) <= _LONGEST_WITH_EMPHASIS else ():
        made += _run(line[at : found.start()], style)
        if (literal := found.group("c")) is not None:
            made += _run(literal.strip(), {**style, "fontType": "Monospace"})
        elif (bold := found.group("b")) is not None:
            made += _run(bold, {**style, "weight": "Bolder"})
        else:
            made += _run(found.group("i") or found.group("u"), {**style, "italic": True})
        at = found.end()
    return made + _run(line[at:], style)


def prose_line(line: str) -> tuple[str, bool]:
    """A line as a card shows it, and whether it is quoted."""
    quote = _QUOTE.fullmatch(line)
    line = quote.group(1) if quote else line
    if _RULE.fullmatch(line):
        line = ""
    elif bullet := _BULLET.fullmatch(line):
        # A card drops spaces at the beginning, unless they do not break.
        line = "\u00a0" * min(len(bullet.group(1)), 8) + "• " + bullet.group(2)
    return line.rstrip(), quote is not None


def _block_at(lines: list[str], at: int) -> tuple[type[Block], int]:
    line = lines[at].rstrip("\r\n")
    if (fence := _FENCE.fullmatch(line)) and "`" not in fence.group(2):
        return Code, _end_of_code(lines, at + 1, fence.group(1))
    if _HEADING.fullmatch(line):
        return Heading, at + 1
    if _is_table(lines, at):
        return Table, _end_of_table(lines, at + 2)
    end = at + 1
    while end < len(lines) and lines[end].strip() and not _begins_anew(lines, end):
        end += 1
    return Block, end


def _begins_anew(lines: list[str], at: int) -> bool:
    line = lines[at].rstrip("\r\n")
    return bool(_FENCE.fullmatch(line) or _HEADING.fullmatch(line)) or _is_table(lines, at)


def _end_of_code(lines: list[str], at: int, opening: str) -> int:
    while at < len(lines):
        mark = lines[at].strip()
        at += 1
        if mark.startswith(opening) and not mark.strip(opening[0]):
            break
    return at


def _is_table(lines: list[str], at: int) -> bool:
    if at + 1 >= len(lines) or "|" not in lines[at] or "|" not in lines[at + 1]:
        return False
    head, delimiter = lines[at].rstrip("\r\n"), lines[at + 1].rstrip("\r\n")
    return bool(_DELIMITER.fullmatch(delimiter)) and len(_cells(head)) == len(_cells(delimiter))


def _end_of_table(lines: list[str], at: int) -> int:
    while at < len(lines) and "|" in lines[at] and lines[at].strip():
        at += 1
    return at


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _CELL_END.split(inner)]


def _shown(block: Block) -> str:
    if isinstance(block, Heading):
        end = block.raw[len(block.raw.rstrip("\r\n")) :]
        # Bold text is a heading only if a paragraph of its own.
        end += "\n" if end and end.count("\n") == 1 else ""
        return f"**{block.text}**{end}" if block.text else ""
    if isinstance(block, Code | Table):
        return block.raw
    # Two spaces keep a line from being joined with the next one.
    return re.sub(r"(?<=\S)[ \t]*(\r?\n)(?=[ \t]*\S)", r"  \1", block.raw)


def _run(text: str | None, style: Json) -> list[Json]:
    return [{"type": "TextRun", "text": code(text), **style}] if text else []
