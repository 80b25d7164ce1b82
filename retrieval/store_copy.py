"""Takes everything from an embedded store into Weaviate; broken off anywhere, the next run goes on from there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from retrieval.access import Acl
from retrieval.embedded.export import EmbeddedExport
from retrieval.types import Document, IndexedDocument
from retrieval.weaviate.copies import CopiedDocument
from retrieval.weaviate_store import WeaviateStore

_DOCUMENTS_AT_ONCE = 64
_WRITE_BATCH_CHUNKS = 512
_VECTORS_AT_ONCE = 500


class CopyStep(StrEnum):
    RIGHTS = "rights"
    DOCUMENTS = "documents"
    VECTORS = "vectors"


OnCopyProgress = Callable[[CopyStep, int, int], None]
"""The step, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class CopyReport:
    """
    Numbers of documents, of chunks and of vectors.

    Attributes:
        unchanged: Were there already, with the same content and access.
        acl_changed: Were there, with another access list.
        deleted: Had been copied before, and are gone from the folder.
        left_alone: Ids that both have, but not the same: somebody else has written them to Weaviate.
    """

    copied: int
    chunks: int
    unchanged: int
    acl_changed: int
    deleted: int
    vectors: int
    left_alone: tuple[str, ...]


async def copy_store(
    source: EmbeddedExport,
    target: WeaviateStore,
    *,
    with_vectors: bool,
    on_progress: OnCopyProgress,
) -> CopyReport:
    """
    Make *target* hold what *source* holds, beside what it holds of others.

    What takes access away comes first. Of a document that somebody else has written to *target*
    nothing is changed: its rights there may be newer than ours.

    Args:
        with_vectors: The vectors too; their embedder must be the one *target* was opened with.

    Raises:
        StoreError: If one of the two does not do its part; what was copied so far stays.
    """
    copies = target.copies(source.origin)
    here = {document.id: document for document in await source.documents()}
    there = await copies.documents()
    plan = _Plan.of(here, there)

    shrinking = [
        i for i in plan.changed if (acl := _shrunk(here[i], there[i].document)) is not None
    ]
    total = len(shrinking) + bool(plan.gone)
    for done, document_id in enumerate(shrinking, start=1):
        acl = _shrunk(here[document_id], there[document_id].document)
        assert acl is not None
        await copies.change_acl(document_id, acl)
        on_progress(CopyStep.RIGHTS, done, total)
    if plan.gone:
        await copies.delete(plan.gone)
        on_progress(CopyStep.RIGHTS, total, total)

    done = chunks = copied = 0
    only_acl = [i for i in plan.changed if _has_same_content(here[i], there[i].document)]
    for document_id in only_acl:
        await copies.change_acl(document_id, here[document_id].acl)
    to_write = [*plan.missing, *(i for i in plan.changed if i not in set(only_acl))]
    for start in range(0, len(to_write), _DOCUMENTS_AT_ONCE):
        ids = to_write[start : start + _DOCUMENTS_AT_ONCE]
        for batch in _batches(await source.read(ids)):
            await copies.write(batch)
            copied += len(batch)
            chunks += sum(len(indexed.chunks) for indexed in batch)
        done += len(ids)
        on_progress(CopyStep.DOCUMENTS, done, len(to_write))

    vectors = await _copy_vectors(source, target, on_progress) if with_vectors else 0
    return CopyReport(
        copied=copied,
        chunks=chunks,
        unchanged=len(plan.unchanged),
        acl_changed=len(set(only_acl) | set(shrinking)),
        deleted=len(plan.gone),
        vectors=vectors,
        left_alone=tuple(plan.foreign),
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """Document ids; see `CopyReport`."""

    missing: list[str]
    changed: list[str]
    unchanged: list[str]
    foreign: list[str]
    gone: list[str]

    @classmethod
    def of(cls, here: Mapping[str, Document], there: Mapping[str, CopiedDocument]) -> "_Plan":
        both = [i for i in here if i in there]
        different = [i for i in both if here[i] != there[i].document]
        return cls(
            missing=[i for i in here if i not in there],
            changed=[i for i in different if there[i].is_ours],
            unchanged=[i for i in both if here[i] == there[i].document],
            foreign=[i for i in different if not there[i].is_ours],
            gone=[i for i, copied in there.items() if copied.is_ours and i not in here],
        )


async def _copy_vectors(
    source: EmbeddedExport, target: WeaviateStore, on_progress: OnCopyProgress
) -> int:
    total = (await target.counts()).chunks_without_vector
    done = 0
    while chunks := await target.chunks_without_vector(limit=_VECTORS_AT_ONCE):
        found = await source.vectors(chunks)
        if not found:
            # What has none here either stays first in line; it is computed afterwards.
            return done
        await target.write_vectors(
            {chunk_id: v.vector for chunk_id, v in found.items()},
            sentences={i: v.sentences for i, v in found.items() if v.sentences is not None},
        )
        done += len(found)
        on_progress(CopyStep.VECTORS, done, max(total, done))
    return done


def _shrunk(here: Document, there: Document) -> Acl | None:
    """The access list for the time being, if what is there grants more than it should."""
    acl = here.acl
    if not _has_same_content(here, there):
        acl = acl.narrowed_to(there.acl)
    return None if there.acl.is_stricter_than(acl) else acl


def _has_same_content(here: Document, there: Document) -> bool:
    return here == replace(there, acl=here.acl)


def _batches(documents: Sequence[IndexedDocument]) -> Iterator[list[IndexedDocument]]:
    batch: list[IndexedDocument] = []
    for indexed in documents:
        batch.append(indexed)
        if sum(len(i.chunks) for i in batch) >= _WRITE_BATCH_CHUNKS:
            yield batch
            batch = []
    if batch:
        yield batch
