"""Markdown to chunks: along headings, then blocks, then sentences; ids that survive edits elsewhere."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from retrieval.analysis import is_chinese_text
from retrieval.types import Chunk, Document, IndexedDocument

LATIN_CHARACTERS = 900
CHINESE_CHARACTERS = 400
"""A Chinese character says as much as two Latin letters and more."""

_WHOLE = 1.6
"""Tables and code may be this much longer than a chunk before they are cut."""

_HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)(?:[ \t]+#+)?[ \t]*$")
_EMPTY_HEADING = re.compile(r"#{1,6}[ \t]*$")
_UNDERLINE = re.compile(r"(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_THEMATIC_BREAK = re.compile(r"[ \t]{0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_LEAD_IN = re.compile(r"[:：][*_]*$|^\*\*[^*\n]+\*\*$")
# Before a list item, after a sentence, a line, a clause or word: each is tried when the one before is not
# enough. Lines come late, because most texts are only wrapped.
_SEAMS = (
    re.compile(r"(?<=\n)(?=[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t])"),
    re.compile(r"(?<=[。！？；!?])(?=[^」』”）\)])|(?<=[.!?;][ \t\n])|(?<=[。！？][」』”）])"),
    re.compile(r"(?<=\n)"),
    re.compile(r"(?<=[，、,：])|(?<=[ \t])"),
)


@dataclass(frozen=True, slots=True)
class _Block:
    text: str
    kind: str = "text"


@dataclass(slots=True)
class _Section:
    path: tuple[str, ...]
    blocks: list[_Block]


def split(document: Document, markdown: str) -> IndexedDocument:
    """
    The document with its chunks.

    A chunk's id hangs on its own text and headings only: editing one section leaves the ids, and so
    the vectors, of all others as they are.
    """
    chunks: list[Chunk] = []
    seen: Counter[str] = Counter()
    for section in _sections(markdown, document.title):
        for text in _pieces(section.blocks):
            key = "\x1f".join((document.title, *section.path, text))
            digest = hashlib.sha256(key.encode()).hexdigest()[:12]
            seen[digest] += 1
            suffix = f"-{seen[digest]}" if seen[digest] > 1 else ""
            chunk_id = f"{document.id}#{digest}{suffix}"
            chunks.append(Chunk(chunk_id, document, len(chunks), text, section.path))
    return IndexedDocument(document, tuple(chunks))


def _sections(markdown: str, title: str) -> list[_Section]:
    """Sections in order, each with the headings above it; the title itself is not repeated."""
    sections = [_Section((), [])]
    open_headings: list[tuple[int, str]] = []
    for block in _blocks(markdown):
        if block.kind != "heading":
            sections[-1].blocks.append(block)
            continue
        level = len(block.text) - len(block.text.lstrip("#"))
        heading = _plain(block.text.lstrip("# \t"))
        open_headings = [(n, text) for n, text in open_headings if n < level]
        open_headings.append((level, heading))
        path = tuple(text for _, text in open_headings)
        sections.append(_Section(path[1:] if path[0] == title else path, []))
    return [section for section in sections if section.blocks]


def _blocks(markdown: str) -> Iterator[_Block]:
    lines = markdown.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip() or _EMPTY_HEADING.match(line):
            at += 1
        elif fence := _FENCE.match(line):
            end = _fence_end(lines, at, fence[1])
            if any(re.search(r"\w", code) for code in lines[at + 1 : end]):
                yield _Block("\n".join(lines[at : end + 1]), "code")
            at = end + 1
        elif heading := _HEADING.match(line):
            yield _Block(f"{heading[1]} {heading[2]}", "heading")
            at += 1
        elif _THEMATIC_BREAK.match(line):
            at += 1
        else:
            start = at
            while at < len(lines) and lines[at].strip():
                if at > start and (_HEADING.match(lines[at]) or _FENCE.match(lines[at])):
                    break
                if at > start and _begins_table(lines, at):
                    break
                at += 1
            yield from _text_blocks(lines[start:at])


def _text_blocks(lines: list[str]) -> Iterator[_Block]:
    if len(lines) == 2 and _UNDERLINE.match(lines[1]) and "|" not in lines[0]:
        yield _Block(f"{'#' if lines[1][0] == '=' else '##'} {lines[0].strip()}", "heading")
    elif _begins_table(lines, 0):
        end = next((n for n, line in enumerate(lines) if "|" not in line), len(lines))
        yield _Block("\n".join(_unpadded(line) for line in lines[:end]), "table")
        if end < len(lines):
            yield _Block("\n".join(lines[end:]).strip("\n"))
    else:
        text = "\n".join(line.rstrip() if not line.endswith("  ") else line for line in lines)
        if re.search(r"\w", text):
            yield _Block(text.rstrip())


def _begins_table(lines: list[str], at: int) -> bool:
    return (
        "|" in lines[at]
        and at + 1 < len(lines)
        and "|" in lines[at + 1]
        and bool(_TABLE_RULE.match(lines[at + 1]))
    )


def _unpadded(row: str) -> str:
    """Aligned columns may hold more blanks and dashes than words."""
    return re.sub(r"-{4,}", "---", re.sub(r"[ \t]{2,}", " ", row.strip())) if "|" in row else row


def _fence_end(lines: list[str], start: int, mark: str) -> int:
    for n in range(start + 1, len(lines)):
        stripped = lines[n].strip()
        if stripped.startswith(mark) and not stripped.strip(mark[0]):
            return n
    return len(lines) - 1


def _pieces(blocks: list[_Block]) -> list[str]:
    """Texts of about one chunk each: neighbours are joined, what is too long is cut."""
    is_chinese = is_chinese_text("\n".join(block.text for block in blocks))
    limit = CHINESE_CHARACTERS if is_chinese else LATIN_CHARACTERS
    groups: list[list[str]] = []
    size = 0
    for part in (part for block in blocks for part in _cut_block(block, limit)):
        if groups and size + len(part) <= limit:
            groups[-1].append(part)
            size += len(part)
            continue
        lead: list[str] = []
        # A caption or "as follows:" belongs to what it announces.
        if groups and len(groups[-1]) > 1 and _LEAD_IN.search(groups[-1][-1]):
            lead = [groups[-1].pop()]
        elif groups and len(groups[-1]) == 1 and _announces(groups[-1][0], limit):
            groups[-1].append(part)
            size += len(part)
            continue
        groups.append([*lead, part])
        size = sum(map(len, groups[-1]))
    if len(groups) > 1:
        last, before = (sum(map(len, group)) for group in (groups[-1], groups[-2]))
        if last < limit // 4 and last + before <= limit * 1.4:
            groups[-2:] = [[*groups[-2], *groups[-1]]]
    return ["\n\n".join(group) for group in groups]


def _announces(text: str, limit: int) -> bool:
    return len(text) < limit // 3 and bool(_LEAD_IN.search(text))


def _cut_block(block: _Block, limit: int) -> list[str]:
    whole = limit * (_WHOLE if block.kind in ("table", "code") else 1.2)
    if len(block.text) <= whole:
        return [block.text]
    lines = block.text.split("\n")
    if block.kind == "table":
        return _cut_lines(lines[2:], limit, head=lines[:2], tail=[])
    if block.kind == "code":
        mark = _FENCE.match(lines[0])
        return _cut_lines(lines[1:-1], limit, head=lines[:1], tail=[mark[1] if mark else "```"])
    return [text for text in _cut_text(block.text, limit) if text.strip()]


def _cut_lines(lines: list[str], limit: int, *, head: list[str], tail: list[str]) -> list[str]:
    """Runs of lines, each between the same first and last lines: a part of a table has its header."""
    room = max(limit - len("\n".join([*head, *tail])), limit // 3)
    runs: list[list[str]] = []
    size = 0
    for line in lines:
        # A row or line longer than everything else stays alone, but not without end.
        for part in [line] if len(line) <= 4 * limit else _cut_text(line, limit):
            if not runs or size + len(part) > room:
                runs.append([])
                size = 0
            runs[-1].append(part)
            size += len(part) + 1
    return ["\n".join([*head, *run, *tail]) for run in runs if any(line.strip() for line in run)]


def _cut_text(text: str, limit: int) -> list[str]:
    """Cut at the best seams and join again up to *limit*; every character is kept but outer white space."""
    return [part.strip("\n ") for part in _packed(text, limit, 0)]


def _packed(text: str, limit: int, seam: int) -> list[str]:
    if len(text) <= limit:
        return [text]
    if seam == len(_SEAMS):
        return [text[n : n + limit] for n in range(0, len(text), limit)]
    packed: list[str] = [""]
    for segment in _SEAMS[seam].split(text):
        for part in _packed(segment, limit, seam + 1):
            if packed[-1] and len(packed[-1]) + len(part) > limit:
                packed.append("")
            packed[-1] += part
    return [part for part in packed if part]


def _plain(heading: str) -> str:
    """A heading without markup and without the link that it may be."""
    heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    heading = re.sub(r"(\*{1,3}|`+|~~)(.+?)\1", r"\2", heading)
    return re.sub(r"\s*\{[#.][^}]*\}$", "", heading).strip()
