"""Documents, chunks and access lists as Weaviate's objects, and back."""

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from retrieval.access import Acl, Level, Principal
from retrieval.analysis import index_tokens
from retrieval.errors import StoreDamaged
from retrieval.types import Chunk, Document, Language

_NAMESPACE = uuid.UUID("5c7d1f0a-6f1b-4b0e-9a43-3f2f6f6d7d11")

DOCUMENT_PROPERTIES = ["document_id", "attributes", "acl", "level"]
CHUNK_PROPERTIES = [
    *DOCUMENT_PROPERTIES,
    "chunk_id",
    "ordinal",
    "text",
    "heading_path",
    "acl_set",
    "spaces",
]
SHOWN_PROPERTIES = [name for name in CHUNK_PROPERTIES if name not in ("acl_set", "spaces")]
"""What a passage is made of; the rest is for those who write."""


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """
    A chunk as it is stored.

    Attributes:
        acl_set: Empty when it was not asked for.
        spaces: The vector spaces in which it has a vector; empty when they were not asked for.
        sentences: Packed rows of the space that wrote them last; None when they were not asked for.
    """

    chunk: Chunk
    acl_set: str
    spaces: tuple[str, ...]
    sentences: str | None


def row_id(key: str) -> uuid.UUID:
    """The object of a document id, chunk id or set id, each in a collection of its own."""
    return uuid.uuid5(_NAMESPACE, key)


def exact(text: str) -> str:
    """*text* as it can be compared: Weaviate trims what it indexes, and "eng " is not "eng"."""
    return f"|{text}|"


def acl_properties(acl: Acl) -> dict[str, Any]:
    return {
        "acl": [exact(principal) for principal in sorted(acl.principals)],
        "level": int(acl.level),
        "acl_set": acl.set_id,
    }


def acl_from(properties: Mapping[str, Any]) -> Acl:
    try:
        return _acl(tuple(properties.get("acl") or ()), int(properties["level"]))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamaged(f"an access list in Weaviate is unreadable: {error}") from error


def document_properties(document: Document) -> dict[str, Any]:
    return {
        "document_id": exact(document.id),
        "attributes": _attributes(document),
        **acl_properties(document.acl),
    }


def document_from(properties: Mapping[str, Any]) -> Document:
    acl = acl_from(properties)
    try:
        return _document(properties["document_id"], acl, properties["attributes"])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamaged(f"a document in Weaviate is unreadable: {error}") from error


def chunk_properties(
    chunk: Chunk, *, revision: str, spaces: tuple[str, ...], sentences: str | None
) -> dict[str, Any]:
    """Takes a moment: the text is analysed."""
    return {
        **document_properties(chunk.document),
        "chunk_id": chunk.id,
        "ordinal": chunk.ordinal,
        "text": chunk.text,
        "heading_path": list(chunk.heading_path),
        "tokens": " ".join(index_tokens(chunk)),
        "revision": revision,
        "spaces": list(spaces),
        **({"sentences": sentences} if sentences else {}),
    }


def chunk_from(properties: Mapping[str, Any]) -> ChunkRow:
    document = document_from(properties)
    try:
        chunk = Chunk(
            id=properties["chunk_id"],
            document=document,
            ordinal=int(properties["ordinal"]),
            text=properties["text"],
            heading_path=tuple(properties.get("heading_path") or ()),
        )
        return ChunkRow(
            chunk,
            acl_set=properties.get("acl_set") or "",
            spaces=tuple(properties.get("spaces") or ()),
            sentences=properties.get("sentences"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreDamaged(
            f"a chunk of {document.id!r} in Weaviate is unreadable: {error}"
        ) from error


def vector_properties(chunk: Chunk) -> dict[str, Any]:
    return {
        "chunk_id": chunk.id,
        "document_id": exact(chunk.document.id),
        **acl_properties(chunk.acl),
    }


def packed_sentences(space: str, packed: bytes) -> str:
    """Sentence vectors with the name of their space before them."""
    return base64.b64encode(space.encode() + b"\0" + packed).decode()


def sentences_in(space: str, stored: str | None) -> bytes:
    """The rows that were packed for *space*; empty if there are none, or another space's."""
    if not stored:
        return b""
    name, _, packed = base64.b64decode(stored).partition(b"\0")
    return packed if name == space.encode() else b""


# A search reads a hundred rows, of documents and with access lists that it has mostly read before:
# parsing them would take as long as reading them. What was read is the whole key.
@lru_cache(maxsize=4096)
def _acl(stored: tuple[str, ...], level: int) -> Acl:
    return Acl(frozenset(Principal(_plain(principal)) for principal in stored), Level(level))


@lru_cache(maxsize=4096)
def _document(stored_id: str, acl: Acl, stored_attributes: str) -> Document:
    attributes = json.loads(stored_attributes)
    language = attributes.pop("language", None)
    return Document(
        id=_plain(stored_id),
        acl=acl,
        language=None if language is None else Language(language),
        modified_at=_time(attributes.pop("modified_at", None)),
        review_at=_time(attributes.pop("review_at", None)),
        **attributes,
    )


def _plain(stored: str) -> str:
    if len(stored) < 2 or stored[0] + stored[-1] != "||":
        raise ValueError("a stored text lacks its ends")
    return stored[1:-1]


def _attributes(document: Document) -> str:
    """All of a document but its id and access list."""
    values = {
        "source": document.source,
        "title": document.title,
        "content_hash": document.content_hash,
        "link": document.link,
        "owner": document.owner,
        "language": document.language,
        "version": document.version,
        "modified_at": document.modified_at and document.modified_at.isoformat(),
        "review_at": document.review_at and document.review_at.isoformat(),
        "superseded_by": document.superseded_by,
    }
    return json.dumps({k: v for k, v in values.items() if v is not None}, ensure_ascii=False)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
