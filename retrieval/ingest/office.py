"""Office files as they are stored: a zip of XML parts, opened within limits, and nothing in them is believed."""

import io
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from retrieval.errors import IngestError, IsLocked, TooMuch

MAX_UNPACKED_BYTES = 256 * 2**20
"""Of all parts that are read together; pictures and films are none of them."""

_MAX_ELEMENTS = 300_000
"""Of a part that is held as a tree: some hundred megabytes at worst."""

LONGEST_HEADER = 100
"""Characters of a cell in a table's header."""

_BLOCK_BYTES = 2**16
_OLE = b"\xd0\xcf\x11\xe0"
_ENCRYPTED = 0x1
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    ValueError,
    ElementTree.ParseError,
)


@dataclass(frozen=True, slots=True)
class OfficeKind:
    """How a kind of file is spoken of when it cannot be read."""

    noun: str
    program: str
    ending: str
    old_ending: str


@dataclass(frozen=True, slots=True)
class Relation:
    """
    Attributes:
        kind: The last word of its type, such as `worksheet`.
        part: Name of the part that it leads to.
    """

    kind: str
    part: str


class XmlTarget:
    """Receives a part element by element. Office never writes a document type; whoever does means to swell it."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise IngestError("declares XML entities, as no Office program does")

    def start(self, tag: str, attributes: dict[str, str]) -> None: ...

    def end(self, tag: str) -> None: ...

    def data(self, text: str) -> None: ...

    def close(self) -> None: ...


class Package:
    """The parts of one file by name, as it spells them or not."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._entries = {_key(entry.filename): entry for entry in archive.infolist()}
        self._left_bytes = MAX_UNPACKED_BYTES

    def main_part(self) -> str:
        """Where the workbook or the presentation itself is."""
        return self.related("", "officeDocument")[0]

    def title(self) -> str | None:
        """What the file's properties say."""
        for part in self.related("", "core-properties"):
            return " ".join((self.tree(part).findtext("title") or "").split()) or None
        return None

    def related(self, part: str, kind: str) -> list[str]:
        """Names of the parts of that kind that *part* leads to; the file itself is the part ``""``."""
        return [found.part for found in self.relations(part).values() if found.kind == kind]

    def relations(self, part: str) -> dict[str, Relation]:
        """By id; none that leads out of the file or to nothing."""
        folder, name = posixpath.split(part)
        listed = posixpath.join(folder, "_rels", f"{name}.rels")
        if _key(listed) not in self._entries:
            return {}
        relations = {}
        for item in self.tree(listed):
            target = posixpath.normpath(
                posixpath.join("/", folder, unquote(item.get("Target", "")))
            )
            if item.get("TargetMode") != "External" and _key(target) in self._entries:
                kind = item.get("Type", "").rpartition("/")[2]
                relations[item.get("Id", "")] = Relation(kind, target.lstrip("/"))
        return relations

    def tree(self, part: str) -> Element:
        """A part as a tree whose tags bear no namespace: their names differ enough."""
        parser = ElementTree.XMLParser(target=_Tree())
        self._feed(part, parser)
        root = parser.close()
        assert isinstance(root, Element)
        return root

    def stream(self, part: str, target: XmlTarget) -> None:
        """A part of any length, which is never held as a whole."""
        parser = ElementTree.XMLParser(target=target)
        self._feed(part, parser)
        parser.close()

    def _feed(self, part: str, parser: ElementTree.XMLParser) -> None:
        entry = self._entries[_key(part)]
        # The zip module never unpacks more than an entry declares.
        self._left_bytes -= entry.file_size
        if self._left_bytes < 0:
            raise TooMuch("unpacks to far too much; split it")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile("a compression that no Office program uses")
        with self._archive.open(entry) as content:
            while block := content.read(_BLOCK_BYTES):
                parser.feed(block)


class _Tree(ElementTree.TreeBuilder):
    def __init__(self) -> None:
        super().__init__()
        self._left = _MAX_ELEMENTS

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        XmlTarget().doctype(name, pubid, system)

    def start(self, tag: str, attributes: dict[str, str]) -> Element:
        self._left -= 1
        if self._left < 0:
            raise TooMuch("has a part with far too much in it; split it")
        return super().start(local_name(tag), attributes)

    def end(self, tag: str) -> Element:
        return super().end(local_name(tag))


@contextmanager
def opened(raw: bytes, kind: OfficeKind) -> Iterator[Package]:
    """
    The file's parts, for reading all that is wanted of them.

    Raises:
        IsLocked: It is encrypted, or of the time before these formats.
        TooMuch: It is far larger inside than any file that people write.
        IngestError: It is damaged or something else; so is what fails while it is being read.
    """
    if raw.startswith(_OLE):
        raise IsLocked(
            f"is protected with a password or an old {kind.old_ending}; "
            f"save it as {kind.ending} without a password"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if any(entry.flag_bits & _ENCRYPTED for entry in archive.infolist()):
                raise IsLocked("is protected with a password; save a copy without one")
            yield Package(archive)
    except _BROKEN as error:
        raise IngestError(
            f"is damaged or no {kind.noun}; open it in {kind.program} and save it again"
        ) from error


@lru_cache(maxsize=256)
def local_name(tag: str) -> str:
    return tag.rpartition("}")[2]


def relation_id(element: Element, name: str = "id") -> str:
    """The attribute that names a relation; its namespace depends on who wrote the file."""
    return next((v for key, v in element.items() if key.endswith(f"}}{name}")), "")


def is_true(value: str | None) -> bool:
    return value in ("1", "true", "on")


def prose(text: str) -> str:
    """A cell's or shape's text as a Markdown paragraph: nothing in it begins a heading or code."""
    return re.sub(r"^(?=[ \t]*(?:#{1,6}\s|`{3}|~{3}|[-=]{2,}[ \t]*$))", r"\\", text, flags=re.M)


def markdown_table(rows: list[list[str]]) -> str:
    """
    A table whose first row is its header; each row has as many cells.

    Every part of a table that is cut repeats the header, so a long text in it stands before the table.
    """
    long = [prose(text) for text in dict.fromkeys(rows[0]) if len(text) > LONGEST_HEADER]
    header = [_shortened(text) for text in rows[0]]
    shown = [f"| {' | '.join(_cell(text) for text in row)} |" for row in [header, *rows[1:]]]
    table = "\n".join([shown[0], "|" + " --- |" * len(header), *shown[1:]])
    return "\n\n".join([*long, table])


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_HEADER else f"{text[: LONGEST_HEADER - 1]}…"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "; ")


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
