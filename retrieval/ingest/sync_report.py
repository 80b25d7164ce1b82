"""What a sync tells while it runs and when it is done."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from retrieval.ingest.near_duplicates import NearDuplicate


class SyncStep(StrEnum):
    LISTING = "listing"
    RIGHTS = "rights"
    WRITING = "writing"
    EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How far one step is; *total* is 0 while it is not known yet."""

    step: SyncStep
    done: int
    total: int = 0


@dataclass(frozen=True, slots=True)
class SyncReport:
    """
    What a sync did, as document ids.

    Attributes:
        failed: Id and reason. What the store had of them before stays, but nobody may read a
            document whose access list cannot be read.
        skipped: File name and reason.
        redactions: Number of secrets taken out, by kind.
        near_duplicates: Among the documents written in this sync.
        chunks: Number of chunks written.
    """

    source: str
    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    acl_changed: tuple[str, ...] = ()
    unchanged: int = 0
    deleted: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    redactions: dict[str, int] = field(default_factory=dict)
    near_duplicates: tuple[NearDuplicate, ...] = ()
    chunks: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many documents it did what to; for logs."""
        names = ("added", "updated", "acl_changed", "deleted", "failed")
        return {name: len(getattr(self, name)) for name in names}


OnProgress = Callable[[SyncProgress], None]
