"""AsciiDoc to Markdown: enough of the language to read large technical manuals without leftovers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from retrieval.ingest.asciidoc_inline import Inline
from retrieval.ingest.asciidoc_table import table_to_markdown

_HEADING = re.compile(r"(?:={1,6}|#{1,6})[ \t]+(\S.*)")
_ATTRIBUTE = re.compile(r":(!?[\w-]+!?):(?:[ \t]+(.*))?$")
_BLOCK_ATTRIBUTES = re.compile(r"\[(?![\[#.][^\]]*\]\S)(.*)\]$")
_ANCHORS = re.compile(r"(?:\[\[[^\]]*\]\]\s*)+$")
_DIRECTIVE = re.compile(r"(?:include|ifdef|ifndef|ifeval|endif|toc|tag|end)::?\S*\[.*\]$")
_CAPTION = re.compile(r"\.([^\s.].*)$")
_LIST_ITEM = re.compile(r"\s*(\*{1,5}|-|\.{1,5}|\d+\.|<(?:\d+|\.)>)[ \t]+(.+)$")
_TERM = re.compile(r"\s*(\S.*?)(:{2,4}|;;)(?:[ \t]+(.+))?$")
_ADMONITION = re.compile(r"(NOTE|TIP|IMPORTANT|WARNING|CAUTION):[ \t]+(.*)$", re.S)
_TABLE = re.compile(r"[|,:]={3,}$")
_DELIMITER = re.compile(r"(?:-{4,}|\.{4,}|\+{4,}|/{4,}|={4,}|\*{4,}|_{4,}|--|__|```.*)$")
_BREAK = re.compile(r"(?:<{3,}|'{3,}|-{3}|\*{3})$")
_MACRO = re.compile(r"(image|video|audio)::(\S*?)\[(.*)\]$")

_DIAGRAMS = frozenset(
    ["wavedrom", "bytefield", "ditaa", "plantuml", "graphviz", "mermaid", "vega", "svgbob"]
)
_NAMES = frozenset({"NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION"})


def asciidoc_to_markdown(text: str) -> str:
    return _Converter(text).markdown()


@dataclass(slots=True)
class _List:
    """A list that is being read: what its items begin with, and how many there were."""

    marker: str
    count: int = 0


class _Converter:
    """One pass over the lines; what a line opens (a block, a table) is taken whole."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._at = 0
        self._inline = Inline()
        self._out: list[str] = []
        self._style = ""
        self._options = ""
        self._pending_admonition: str | None = None
        self._lists: list[_List] = []

    def markdown(self) -> str:
        while self._at < len(self._lines):
            self._step(self._lines[self._at].rstrip())
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._out)).strip() + "\n"

    def _step(self, line: str) -> None:
        self._at += 1
        if not line.strip():
            # Block attributes only count for the block right below them.
            self._style = self._options = ""
            self._block("")
        elif (
            (line.startswith("//") and not _DELIMITER.match(line))
            or _DIRECTIVE.match(line)
            or _BREAK.match(line)
            or _ANCHORS.match(line)
        ):
            return
        elif attribute := _ATTRIBUTE.match(line):
            self._set_attribute(attribute[1], attribute[2] or "")
        elif heading := _HEADING.match(line):
            level = len(line) - len(line.lstrip("=#"))
            self._lists = []
            self._block(f"{'#' * min(level, 6)} {self._inline.convert(heading[1])}")
            if level == 1:
                self._skip_author_lines()
        elif block := _BLOCK_ATTRIBUTES.match(line):
            self._set_block_attributes(block[1])
        elif _TABLE.match(line):
            self._table(line)
        elif _DELIMITER.match(line):
            self._delimited(line)
        elif macro := _MACRO.match(line):
            description = macro[3].split(",")[0].strip().strip('"')
            if description and "=" not in description:
                self._block(f"*{self._inline.convert(description)}*")
        elif line == "+":
            self._block("")
        elif caption := _CAPTION.match(line):
            self._block(f"**{self._inline.convert(caption[1]).replace('**', '')}**")
        elif item := _LIST_ITEM.match(line):
            self._list_item(item[1], item[2])
        elif (term := _TERM.match(line)) and "::" not in term[1]:
            self._lists = [_List(term[2])]
            rest = term[3] or " ".join(self._paragraph_lines([]))
            self._block(
                f"- **{self._inline.convert(term[1])}**: {self._inline.convert(rest)}".rstrip(": ")
            )
        elif line.startswith(" ") and not self._lists and self._out and not self._out[-1]:
            self._literal(line)
        else:
            self._paragraph(line)

    def _block(self, text: str) -> None:
        """Emit a block; within a list it is indented, so that it stays part of its item."""
        if text and self._pending_admonition:
            text = f"**{self._pending_admonition}:** {text}"
            self._pending_admonition = None
        self._out.extend(["", text, ""] if text else [""])

    def _paragraph(self, first: str) -> None:
        text = "\n".join(self._paragraph_lines([first]))
        if admonition := _ADMONITION.match(text):
            self._block(f"**{admonition[1].capitalize()}:** {self._inline.convert(admonition[2])}")
        else:
            self._block(self._inline.convert(text))
        if not first.startswith((" ", "\t")):
            self._lists = []

    def _paragraph_lines(self, lines: list[str]) -> list[str]:
        while self._at < len(self._lines):
            line = self._lines[self._at].rstrip()
            if not line.strip() or line == "+" or _DELIMITER.match(line) or _TABLE.match(line):
                break
            if _LIST_ITEM.match(line) and (self._lists or _is_bullet(line)):
                break
            if self._lists and _TERM.match(line):
                break
            if _BLOCK_ATTRIBUTES.match(line) and (_ANCHORS.match(line) or _is_style(line)):
                break
            self._at += 1
            if not (_DIRECTIVE.match(line) or line.startswith("//")):
                lines.append(line.strip())
        return lines

    def _list_item(self, marker: str, text: str) -> None:
        marker = re.sub(r"\d+", "1", marker)
        number = self._next_number(marker)
        lines = self._paragraph_lines([] if text.strip() == "+" else [text])
        if not lines:
            return
        bullet = "-" if marker[0] in "*-" else f"{number}."
        indent = "   " * (len(self._lists) - 1)
        item = f"{indent}{bullet} {self._inline.convert(chr(10).join(lines))}"
        if self._pending_admonition:
            self._block("")
        # No blank line between the items of one list.
        while self._out and not self._out[-1] and len(self._out) > 1 and _is_item(self._out[-2]):
            self._out.pop()
        self._out.append(item)

    def _next_number(self, marker: str) -> int:
        """A marker that is open goes on with its list, a new one nests."""
        known = [n for n, open_list in enumerate(self._lists) if open_list.marker == marker]
        if known:
            del self._lists[known[0] + 1 :]
        else:
            start = re.search(r"\bstart=\"?(\d+)", self._options)
            self._lists.append(_List(marker, int(start[1]) - 1 if start else 0))
        self._style = self._options = ""
        self._lists[-1].count += 1
        return self._lists[-1].count

    def _literal(self, first: str) -> None:
        lines = [first]
        while self._at < len(self._lines) and self._lines[self._at].strip():
            lines.append(self._lines[self._at].rstrip())
            self._at += 1
        self._fence("", lines)

    def _delimited(self, delimiter: str) -> None:
        kind, style, options = delimiter[0], self._style, self._options
        self._style = self._options = ""
        is_code = style in ("source", "listing", "literal") or style in _DIAGRAMS
        if kind in "=*_" or (delimiter == "--" and not is_code):
            # A container: its content is read on as usual, its other delimiter means nothing.
            if style.upper() in _NAMES:
                self._pending_admonition = style.capitalize()
            return
        lines = list(self._until("```" if delimiter.startswith("```") else delimiter))
        if (
            kind == "/"
            or style in _DIAGRAMS
            or (kind == "+" and style not in ("stem", "latexmath"))
        ):
            return
        language = ""
        if delimiter.startswith("`"):
            language = delimiter.strip("` ")
        elif style == "source" and "," in options:
            language = options.split(",")[1].strip(" .")
        self._fence(
            language, [re.sub(r"[ \t]*(?://|#|;;)?[ \t]*<\d+>$", "", line) for line in lines]
        )

    def _fence(self, language: str, lines: list[str]) -> None:
        if any(line.strip() for line in lines):
            self._block("\n".join([f"```{language}", *lines, "```"]))

    def _table(self, delimiter: str) -> None:
        options = self._options
        self._style = self._options = ""
        lines = list(self._until(delimiter))
        self._block(table_to_markdown(lines, options, delimiter[0], self._inline.convert))

    def _until(self, delimiter: str) -> Iterator[str]:
        while self._at < len(self._lines):
            line = self._lines[self._at].rstrip()
            self._at += 1
            if line == delimiter:
                return
            if not _DIRECTIVE.match(line):
                yield line

    def _set_attribute(self, name: str, value: str) -> None:
        while value.endswith("\\") and self._at < len(self._lines):
            value = value[:-1].rstrip() + " " + self._lines[self._at].strip()
            self._at += 1
        self._inline.attributes[name.strip("!").lower()] = value

    def _set_block_attributes(self, text: str) -> None:
        if text.startswith("["):
            return
        first = text.split(",")[0].strip()
        style = re.split(r"[#.%]", first)[0]
        if style.upper() in _NAMES and not self._next_is_delimiter():
            self._pending_admonition = style.capitalize()
        else:
            self._style = style or self._style
            self._options = text

    def _next_is_delimiter(self) -> bool:
        rest = (line.strip() for line in self._lines[self._at : self._at + 4])
        following = next((line for line in rest if line and not line.startswith(("[", "."))), "")
        return bool(_DELIMITER.match(following))

    def _skip_author_lines(self) -> None:
        while self._at < len(self._lines) and self._lines[self._at].strip():
            line = self._lines[self._at]
            if not re.match(r":|//|[\w .-]+ <[^>]+>|v?\d+(?:\.\d+)*\s*(?:,|$)", line):
                return
            if attribute := _ATTRIBUTE.match(line):
                self._set_attribute(attribute[1], attribute[2] or "")
            self._at += 1


def _is_bullet(line: str) -> bool:
    return bool(re.match(r"\s*(?:\*{1,5}|\.{1,5}|-)[ \t]+\S", line))


def _is_item(line: str) -> bool:
    return bool(re.match(r"\s*(?:-|\d+\.) ", line))


def _is_style(line: str) -> bool:
    first = re.split(r"[,#.%]", line[1:-1])[0].strip()
    return (
        "=" in first
        or first.upper() in _NAMES
        or first in _DIAGRAMS | {"source", "quote", "listing", "stem"}
    )
