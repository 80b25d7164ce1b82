"""What our collections hold and how they are called, by schema version."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from weaviate.classes.config import DataType, Tokenization

from retrieval.errors import StoreError


class Kind(StrEnum):
    """
    What a collection holds.

    Vectors live apart from the words: a vector that is written makes Weaviate number its object
    anew, and each old number would go on counting in the word statistics until some compaction.
    """

    DOCUMENT = "Document"
    CHUNK = "Chunk"
    ACL_SET = "AclSet"
    VECTOR = "Vector"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: DataType = DataType.TEXT
    is_filterable: bool = False
    is_searchable: bool = False

    @property
    def tokenization(self) -> Tokenization | None:
        if self.type not in (DataType.TEXT, DataType.TEXT_ARRAY):
            return None
        # Ours are tokens already. Everything else compares as a whole: any other tokenization
        # would let `group:a/eng` read what is for `group:a/eng-leads`.
        return Tokenization.WHITESPACE if self.is_searchable else Tokenization.FIELD


_ACL = (
    Field("acl", DataType.TEXT_ARRAY, is_filterable=True),
    Field("level", DataType.INT, is_filterable=True),
    Field("acl_set", is_filterable=True),
)
# What the row that this one was copied from was like: when it last changed. See `migration`.
_COPIED_AT = Field("copied_at", DataType.INT)


@dataclass(frozen=True, slots=True)
class Layout:
    """
    How the collections of one schema version look.

    Processes of the version before go on searching while rows move, and for a while after that: a
    new version may add properties, but what the version before reads must stay readable.
    """

    version: int
    fields: Mapping[Kind, tuple[Field, ...]]


CURRENT = Layout(
    1,
    {
        Kind.DOCUMENT: (
            Field("document_id"),
            Field("attributes"),
            # Of which other store this is a copy, as long as nobody else has changed it.
            Field("origin"),
            *_ACL,
            _COPIED_AT,
        ),
        Kind.CHUNK: (
            Field("chunk_id"),
            Field("document_id", is_filterable=True),
            Field("attributes"),
            Field("ordinal", DataType.INT),
            Field("text"),
            Field("heading_path", DataType.TEXT_ARRAY),
            Field("tokens", is_searchable=True),
            *_ACL,
            Field("revision", is_filterable=True),
            Field("spaces", DataType.TEXT_ARRAY, is_filterable=True),
            Field("sentences", DataType.BLOB),
            _COPIED_AT,
        ),
        Kind.ACL_SET: (*_ACL, _COPIED_AT),
        Kind.VECTOR: (
            Field("chunk_id"),
            Field("document_id", is_filterable=True),
            *_ACL,
            _COPIED_AT,
        ),
    },
)


@dataclass(frozen=True, slots=True)
class Names:
    """
    How our collections are called.

    Each is addressed by an alias, so that a new version of its schema can be filled beside the old
    one. Each embedder has a collection of vectors of its own, whose name nobody else writes to: two
    vector spaces cannot mix.
    """

    prefix: str
    layout: Layout = CURRENT

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]{0,30}", self.prefix):
            raise StoreError(
                f"the name prefix must be letters and digits and begin with a capital, got {self.prefix!r}"
            )

    @property
    def closed(self) -> str:
        """An alias that exists while a migration lets nobody write."""
        return f"{self.prefix}Closed"

    @property
    def lock(self) -> str:
        """How the collections begin by which migrations exclude each other."""
        return f"{self.prefix}Migration_"

    def alias(self, kind: Kind) -> str:
        return f"{self.prefix}{kind}"

    def vectors(self, space: str) -> str:
        """The alias of a vector space."""
        return f"{self.prefix}{Kind.VECTOR}_{space}"

    def collection(self, kind: Kind, space: str | None = None, *, is_rebuilt: bool = False) -> str:
        """
        Args:
            is_rebuilt: The other of the two names that a version has: one to move from, one to move to.
        """
        suffix = "" if space is None else f"_{space}"
        return f"{self.prefix}{kind}_v{self.layout.version}{'r' if is_rebuilt else ''}{suffix}"

    def space(self, alias: str) -> str | None:
        """The vector space that *alias* stands for; None if it stands for something else."""
        prefix = self.vectors("")
        return alias[len(prefix) :] if alias.startswith(prefix) else None

    def parse(self, collection: str) -> "OwnName | None":
        """What a collection of ours is, whatever its version; None if it is none of ours."""
        kinds = "|".join(Kind)
        found = re.fullmatch(rf"{self.prefix}({kinds})_v(\d+)r?(?:_(.+))?", collection)
        if found is None:
            return None
        alias = self.alias(Kind(found[1])) if found[3] is None else self.vectors(found[3])
        return OwnName(alias, int(found[2]), found[3])


@dataclass(frozen=True, slots=True)
class OwnName:
    """
    Attributes:
        alias: Under which the collection is used, or was.
    """

    alias: str
    version: int
    space: str | None


def space_of(embedder_name: str) -> str:
    """A name for the embedder's vector space: readable, and unlike any other embedder's."""
    readable = re.sub(r"[^A-Za-z0-9]+", "_", embedder_name).strip("_")[:40]
    return f"{readable}_{hashlib.sha256(embedder_name.encode()).hexdigest()[:12]}"
