"""Brings a store in line with a source: rights first, then text, vectors behind."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from retrieval.access import Acl
from retrieval.analysis import embedding_text
from retrieval.errors import IngestError
from retrieval.ingest.connectors import (
    Connector,
    FailedDocument,
    FoundDocument,
    LoadedDocument,
    SkippedFile,
)
from retrieval.ingest.near_duplicates import Sketch, alike, sketch
from retrieval.ingest.redact import redact
from retrieval.ingest.split import split
from retrieval.ingest.sync_report import OnProgress, SyncProgress, SyncReport, SyncStep
from retrieval.models import Embedder
from retrieval.sentences import sentences
from retrieval.store import ChunkStore
from retrieval.types import Chunk, Document, FloatArray, IndexedDocument

WRITE_BATCH_CHUNKS = 512
EMBED_BATCH_CHUNKS = 64


class Synchroniser:
    """
    Writes what connectors find into one tenant's store.

    At most one sync of a source at a time: the caller sees to it.
    """

    def __init__(self, store: ChunkStore, embedder: Embedder | None) -> None:
        self._store = store
        self._embedder = embedder

    async def sync(self, connector: Connector, *, on_progress: OnProgress) -> SyncReport:
        """
        Make the store hold what the source holds now, as text; `embed_missing` adds the vectors.

        Documents whose content and rights are as before cost a look-up. May be cancelled at any
        await: each write is whole documents, and the next sync goes on from there.

        Raises:
            IngestError: The source cannot be listed; the store is unchanged.
            StoreUnavailable: The store does not answer; what was written so far stays.
        """
        run = _Run(self._store, connector, on_progress)
        await run.list_source()
        await run.shrink()
        await run.write_changed()
        return run.report()

    async def embed_missing(self, *, on_progress: OnProgress) -> int:
        """Write vectors for all chunks that have none, in batches; how many there were."""
        if self._embedder is None:
            return 0
        total = (await self._store.counts()).chunks_without_vector
        done = 0
        while chunks := await self._store.chunks_without_vector(limit=EMBED_BATCH_CHUNKS):
            vectors = await self._embedder.embed([embedding_text(chunk) for chunk in chunks])
            await self._store.write_vectors(
                {chunk.id: vector for chunk, vector in zip(chunks, vectors, strict=True)},
                sentences=await self._sentence_vectors(self._embedder, chunks),
            )
            done += len(chunks)
            on_progress(SyncProgress(SyncStep.EMBEDDING, done, max(total, done)))
        return done

    async def _sentence_vectors(
        self, embedder: Embedder, chunks: Sequence[Chunk]
    ) -> dict[str, FloatArray]:
        """Rows per chunk in the order of its sentences; embedded together, which is several times faster."""
        texts = [sentences(chunk.text) for chunk in chunks]
        rows = await embedder.embed([text for listed in texts for text in listed])
        ends = list(accumulate(len(listed) for listed in texts))
        return {
            chunk.id: rows[end - len(listed) : end]
            for chunk, listed, end in zip(chunks, texts, ends, strict=True)
        }


class _Run:
    """One sync, step by step."""

    def __init__(self, store: ChunkStore, connector: Connector, on_progress: OnProgress) -> None:
        self._store = store
        self._connector = connector
        self._on_progress = on_progress
        self._before: dict[str, Document] = {}
        self._found: dict[str, FoundDocument] = {}
        self._superseded_by: dict[str, str] = {}
        self._added: list[str] = []
        self._updated: list[str] = []
        self._acl_changed: list[str] = []
        self._deleted: list[str] = []
        self._failed: dict[str, str] = {}
        self._skipped: list[tuple[str, str]] = []
        self._redactions: Counter[str] = Counter()
        self._sketches: dict[str, Sketch] = {}
        self._chunks = 0

    async def list_source(self) -> None:
        """Look at everything before anything is changed: a source that cannot be listed deletes nothing."""
        source = self._connector.source
        taken: dict[str, str] = {}
        for document in await self._store.documents():
            if document.source == source:
                self._before[document.id] = document
            else:
                taken[document.id] = document.source
        count = 0
        async for item in self._connector.listing():
            if isinstance(item, SkippedFile):
                self._skipped.append((item.name, item.reason))
            elif isinstance(item, FailedDocument):
                self._failed[item.id] = item.reason
            elif item.id in taken:
                self._failed[item.id] = (
                    f"{item.id}: this id belongs to {taken[item.id]} already; rename the file, "
                    f"or remove that source: shifu remove '{taken[item.id]}'"
                )
            else:
                self._found[item.id] = item
            count += 1
            self._on_progress(SyncProgress(SyncStep.LISTING, count))
        self._superseded_by = {
            found.supersedes: found.id
            for found in self._found.values()
            if found.supersedes and found.supersedes != found.id
        }

    async def shrink(self) -> None:
        """
        All that takes access away, before anything else.

        Content that changes together with its rights is, until it is written, readable only by who
        may read both the old and the new.
        """
        for document_id, before in self._before.items():
            found = self._found.get(document_id)
            if found is None:
                if self._is_failing(document_id):
                    await self._change_acl(before, Acl(frozenset(), before.acl.level))
                continue
            acl = found.acl
            if found.content_hash != before.content_hash:
                acl = acl.narrowed_to(before.acl)
            if not before.acl.is_stricter_than(acl):
                await self._change_acl(before, acl)
        gone = [i for i in self._before if i not in self._found and not self._is_failing(i)]
        if gone:
            await self._store.delete(gone)
            self._deleted = gone

    async def write_changed(self) -> None:
        changed = [found for found in self._found.values() if not self._is_unchanged(found)]
        batch: list[IndexedDocument] = []
        for done, found in enumerate(changed, start=1):
            before = self._before.get(found.id)
            if before is not None and self._has_same_text(found, before):
                await self._change_acl(before, found.acl)
            elif (indexed := await self._indexed(found)) is not None:
                batch.append(indexed)
            if sum(len(indexed.chunks) for indexed in batch) >= WRITE_BATCH_CHUNKS:
                await self._write(batch)
                batch = []
            self._on_progress(SyncProgress(SyncStep.WRITING, done, len(changed)))
        await self._write(batch)

    def report(self) -> SyncReport:
        touched = {*self._added, *self._updated, *self._acl_changed, *self._failed}
        return SyncReport(
            source=self._connector.source,
            added=tuple(self._added),
            updated=tuple(self._updated),
            acl_changed=tuple(
                i for i in dict.fromkeys(self._acl_changed) if i not in self._updated
            ),
            unchanged=sum(document_id not in touched for document_id in self._found),
            deleted=tuple(self._deleted),
            failed=tuple(self._failed.items()),
            skipped=tuple(self._skipped),
            redactions=dict(self._redactions),
            near_duplicates=tuple(alike(self._sketches)),
            chunks=self._chunks,
        )

    async def _indexed(self, found: FoundDocument) -> IndexedDocument | None:
        """The document cut into chunks; None, and the reason on record, when it cannot be read."""
        try:
            loaded = await self._connector.load(found.id)
            return await asyncio.to_thread(self._prepare, loaded)
        except IngestError as error:
            self._failed[found.id] = str(error)
            return None
        except Exception as error:
            # One document must never stop a sync; a converter met with something it does not know.
            self._failed[found.id] = (
                f"{found.id}: cannot be read ({type(error).__name__}); convert it to another format"
            )
            return None

    def _prepare(self, loaded: LoadedDocument) -> IndexedDocument:
        markdown, redactions = redact(loaded.markdown)
        title, in_title = redact(loaded.document.title)
        document = replace(
            loaded.document,
            title=title,
            superseded_by=self._superseded_by.get(loaded.document.id),
        )
        indexed = split(document, markdown)
        if not indexed.chunks:
            raise IngestError(f"{document.id}: holds no text below its headings; write some")
        self._redactions.update(redactions + in_title)
        self._sketches[document.id] = sketch(markdown)
        return indexed

    async def _write(self, batch: list[IndexedDocument]) -> None:
        if not batch:
            return
        await self._store.write(batch)
        for indexed in batch:
            document_id = indexed.document.id
            (self._updated if document_id in self._before else self._added).append(document_id)
            self._chunks += len(indexed.chunks)

    async def _change_acl(self, before: Document, acl: Acl) -> None:
        current = self._before[before.id]
        if acl == current.acl:
            return
        await self._store.change_acl(before.id, acl)
        self._before[before.id] = replace(current, acl=acl)
        self._acl_changed.append(before.id)
        self._on_progress(SyncProgress(SyncStep.RIGHTS, len(self._acl_changed)))

    def _is_unchanged(self, found: FoundDocument) -> bool:
        before = self._before.get(found.id)
        return before is not None and before.acl == found.acl and self._has_same_text(found, before)

    def _has_same_text(self, found: FoundDocument, before: Document) -> bool:
        return (
            found.content_hash == before.content_hash
            and self._superseded_by.get(found.id) == before.superseded_by
        )

    def _is_failing(self, document_id: str) -> bool:
        """A folder that cannot be listed fails as `folder/`, and with it all that is below."""
        return document_id in self._failed or any(
            document_id.startswith(failed) for failed in self._failed if failed.endswith("/")
        )
