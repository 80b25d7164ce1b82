"""A file of any supported type to Markdown with a title and metadata."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from retrieval.errors import HoldsNoText, IngestError
from retrieval.ingest.asciidoc import asciidoc_to_markdown
from retrieval.ingest.clean import decode, outside_code, visible
from retrieval.ingest.html import html_to_markdown
from retrieval.ingest.markdown import shown_line, shown_markdown
from retrieval.ingest.metadata import (
    ACCESS_FIELDS,
    FIELDS,
    Metadata,
    html_meta,
    parse_metadata,
    parse_yaml,
    split_asciidoc_header,
    split_front_matter,
)
from retrieval.ingest.pdf import pdf_to_markdown
from retrieval.ingest.slides import pptx_to_markdown
from retrieval.ingest.spreadsheet import xlsx_to_markdown
from retrieval.ingest.word import docx_to_markdown

MAX_SIZE_BYTES = 50 * 1024 * 1024
SIDECAR_ENDING = ".meta.yaml"

CONVERSION_VERSION = 1
"""Part of every content hash: raise it when the same file would give other chunks, and all are read again."""

_BINARY = frozenset([".pdf", ".docx", ".xlsx", ".xlsm", ".pptx", ".pptm"])
# Sheets are called Sheet1, and slides may have no title: the file's name says more.
_HEADED_BY_PARTS = frozenset([".xlsx", ".xlsm", ".pptx", ".pptm"])

_ACCESS_META = re.compile(r"<meta\b[^>]*?shifu:(?:acl|level)[^>]*>", re.I)


@dataclass(frozen=True, slots=True)
class Converted:
    """A document as it will be split and shown."""

    title: str
    markdown: str
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself, read without converting it, and the hash of all that is not about access."""

    metadata: Metadata
    content_hash: str


def supported_endings() -> frozenset[str]:
    return frozenset(_CONVERTERS)


def read_header(name: str, raw: bytes, sidecar: bytes | None = None) -> Header:
    """
    Metadata of a file and a hash that stays the same when only its access list or level changes.

    Raises:
        IngestError: See `convert`.
    """
    with _naming(name):
        ending = _ending(name)
        _check_size(len(raw))
        own_fields, body = _fields(ending, raw)
        fields = _merged(own_fields, sidecar)
        told = {k: v for k, v in fields.items() if k in FIELDS - ACCESS_FIELDS}
        digest = hashlib.sha256(f"{CONVERSION_VERSION} {ending} {json.dumps(told)}\n".encode())
        digest.update(body if isinstance(body, bytes) else body.encode())
        return Header(parse_metadata(fields), digest.hexdigest())


def convert(name: str, raw: bytes, sidecar: bytes | None = None) -> Converted:
    """
    Convert a file's content.

    Args:
        name: File name or path; its ending says the type, and error texts begin with it.
        sidecar: Content of `NAME.ext.meta.yaml`, whose keys win over the file's own.

    Raises:
        IngestError: The file cannot be read; the text names it, what is wrong and how to mend it.
    """
    with _naming(name):
        ending = _ending(name)
        _check_size(len(raw))
        fields, body = _fields(ending, raw)
        metadata = parse_metadata(_merged(fields, sidecar))
        title, markdown = _to_markdown(ending, body)
        if ending not in _HEADED_BY_PARTS:
            title = title or _first_heading(markdown)
        title = metadata.title or title or _spoken(name)
        title = shown_line(visible(title)) or _spoken(name)
        return Converted(title, markdown, replace(metadata, title=title))


def text_of(name: str, raw: bytes) -> str:
    """
    A file's content as Markdown alone: whatever it says of itself counts for nothing, and mistakes in that
    do not matter.

    Raises:
        IngestError: See `convert`.
    """
    with _naming(name):
        ending = _ending(name)
        _check_size(len(raw))
        try:
            _, body = _fields(ending, raw)
        except IngestError:
            # A text that only looks as if it began with metadata.
            body = decode(raw)
        return _to_markdown(ending, body)[1]


def _to_markdown(ending: str, body: str | bytes) -> tuple[str | None, str]:
    title, markdown = _CONVERTERS[ending](body)
    markdown = re.sub(r"\n{3,}", "\n\n", visible(markdown)).strip()
    if not re.search(r"\w", markdown):
        raise HoldsNoText("holds no text; if it is scanned, run OCR over it first")
    return title, markdown + "\n"


class _naming:
    """Puts the file's name before the reason, so that each raise need not know it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, IngestError):
            raise type(error)(f"{self._name}: {error}") from error


def _ending(name: str) -> str:
    ending = PurePath(name).suffix.lower()
    if ending not in _CONVERTERS:
        known = ", ".join(sorted(_CONVERTERS))
        raise IngestError(f"has the unsupported type {ending or 'without ending'}; use {known}")
    return ending


def _check_size(size_bytes: int) -> None:
    if size_bytes == 0:
        raise IngestError("is empty; write something into it or remove it")
    if size_bytes > MAX_SIZE_BYTES:
        raise IngestError(
            f"has {size_bytes // 2**20} MB, more than {MAX_SIZE_BYTES // 2**20} MB; split it"
        )


def _fields(ending: str, raw: bytes) -> tuple[dict[str, object], str | bytes]:
    """The file's own metadata, and its content without what says who may read it."""
    if ending in _BINARY:
        return {}, raw
    text = decode(raw)
    if ending in (".md", ".markdown"):
        return split_front_matter(text)
    if ending in (".adoc", ".asciidoc"):
        return split_asciidoc_header(text)
    if ending in (".html", ".htm"):
        return html_meta(text), _ACCESS_META.sub("", text)
    return {}, text


def _merged(fields: Mapping[str, object], sidecar: bytes | None) -> Mapping[str, object]:
    return {**fields, **parse_yaml(decode(sidecar))} if sidecar else fields


def _markdown(body: str | bytes) -> tuple[str | None, str]:
    return None, outside_code(_as_text(body), shown_markdown)


def _asciidoc(body: str | bytes) -> tuple[str | None, str]:
    return None, asciidoc_to_markdown(_as_text(body))


def _html(body: str | bytes) -> tuple[str | None, str]:
    return html_to_markdown(_as_text(body))


def _plain(body: str | bytes) -> tuple[str | None, str]:
    # A hash begins a comment in many a text file, not a heading.
    return None, re.sub(r"^(#{1,6}\s)", r"\\\1", _as_text(body), flags=re.M)


def _pdf(body: str | bytes) -> tuple[str | None, str]:
    return pdf_to_markdown(_as_bytes(body))


def _docx(body: str | bytes) -> tuple[str | None, str]:
    return docx_to_markdown(_as_bytes(body))


def _xlsx(body: str | bytes) -> tuple[str | None, str]:
    return xlsx_to_markdown(_as_bytes(body))


def _pptx(body: str | bytes) -> tuple[str | None, str]:
    return pptx_to_markdown(_as_bytes(body))


def _first_heading(markdown: str) -> str | None:
    match = re.search(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", outside_code(markdown, lambda t: t), re.M)
    return re.sub(r"[*`]|\[([^\]]*)\]\([^)]*\)", r"\1", match[1]).strip() if match else None


def _spoken(name: str) -> str:
    words = re.sub(r"[-_]+", " ", PurePath(name).stem).strip()
    return words[:1].upper() + words[1:]


def _as_text(body: str | bytes) -> str:
    return body if isinstance(body, str) else decode(body)


def _as_bytes(body: str | bytes) -> bytes:
    return body if isinstance(body, bytes) else body.encode()


_CONVERTERS: dict[str, Callable[[str | bytes], tuple[str | None, str]]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".adoc": _asciidoc,
    ".asciidoc": _asciidoc,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
    ".xlsx": _xlsx,
    ".xlsm": _xlsx,
    ".pptx": _pptx,
    ".pptm": _pptx,
    ".txt": _plain,
}
