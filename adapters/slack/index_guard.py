"""Sees to it that the store never grants more of a channel than the ledger does at that moment."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from adapters.slack.channel_access import NOBODY, channel_acl, document_id, source_of
from adapters.slack.ids import SlackChannelId
from adapters.slack.thread_ledger import ThreadLedger
from retrieval.access import AccessScope, Acl
from retrieval.store import ChunkStore, SearchQuery, SourceSummary, StoreCounts
from retrieval.types import Chunk, Document, FloatArray, IndexedDocument, Passage

_FORMAT = "slack-2:"
_AT_ONCE = 16


def content_hash(changed_at: int) -> str:
    """Of a thread as it was at that moment; another one when its text is written in another way."""
    return f"{_FORMAT}{changed_at}"


class ChannelIndex:
    """The documents of one channel."""

    def __init__(
        self, store: ChunkStore, ledger: ThreadLedger, channel: SlackChannelId, *, tenant: str
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._channel = channel
        self._tenant = tenant

    async def widest(self) -> Acl:
        """What the ledger grants now on any document of the channel."""
        standing = await self._ledger.standing(str(self._channel))
        return channel_acl(self._tenant, self._channel, standing.visibility)

    async def granted(self) -> Callable[[Document], Acl | None]:
        """What the ledger grants now on each document of the channel; None: it has to go."""
        name, acl = str(self._channel), await self.widest()
        listed = {document_id(self._channel, root) for root in await self._ledger.threads(name)}
        shortened = {
            document_id(self._channel, root): at
            for root, at in (await self._ledger.shortened(name)).items()
        }

        def of(document: Document) -> Acl | None:
            if acl == NOBODY or document.id not in listed:
                return None
            # It holds what somebody has deleted; the next sync writes it anew.
            is_stale = _changed_at(document) < shortened.get(document.id, 0)
            return NOBODY if is_stale else acl

        return of

    async def shrink(self) -> int:
        """Take away whatever is granted in the store and not by the ledger; of how many documents."""
        granted = await self.granted()
        wide: list[tuple[Document, Acl]] = []
        gone: list[str] = []
        for document in await self._store.documents(source=source_of(self._channel)):
            acl = granted(document)
            if acl is None:
                gone.append(document.id)
            elif not document.acl.is_stricter_than(acl):
                wide.append((document, document.acl.narrowed_to(acl)))
        for start in range(0, len(wide), _AT_ONCE):
            await asyncio.gather(
                *(
                    self._store.change_acl(document.id, acl)
                    for document, acl in wide[start : start + _AT_ONCE]
                )
            )
        if gone:
            await self._store.delete(gone)
        return len(wide) + len(gone)


class GuardedStore:
    """
    The store, for a sync of one channel.

    What the sync has read and decided may be minutes old when it is written; rights that have shrunk,
    and threads that have been deleted, meanwhile hold all the same.
    """

    def __init__(self, store: ChunkStore, index: ChannelIndex) -> None:
        self._store = store
        self._index = index

    async def write(self, documents: Sequence[IndexedDocument]) -> None:
        granted = await self._index.granted()
        await self._store.write(
            [
                _with_acl(indexed, indexed.document.acl.narrowed_to(acl))
                for indexed in documents
                if (acl := granted(indexed.document)) is not None
            ]
        )
        # What changed while that was written.
        await self._index.shrink()

    async def change_acl(self, document_id: str, acl: Acl) -> None:
        narrowed = acl.narrowed_to(await self._index.widest())
        await self._store.change_acl(document_id, narrowed)
        widest = await self._index.widest()
        if not narrowed.is_stricter_than(widest):
            await self._store.change_acl(document_id, narrowed.narrowed_to(widest))

    async def search(self, query: SearchQuery, scope: AccessScope, *, top_k: int) -> list[Passage]:
        return await self._store.search(query, scope, top_k=top_k)

    async def fetch(self, chunk_ids: Sequence[str], scope: AccessScope) -> list[Chunk]:
        return await self._store.fetch(chunk_ids, scope)

    async def sources(self, scope: AccessScope) -> list[SourceSummary]:
        return await self._store.sources(scope)

    async def delete(self, document_ids: Sequence[str]) -> int:
        return await self._store.delete(document_ids)

    async def documents(self, *, source: str | None = None) -> list[Document]:
        return await self._store.documents(source=source)

    async def chunks_without_vector(self, *, limit: int) -> list[Chunk]:
        return await self._store.chunks_without_vector(limit=limit)

    async def write_vectors(
        self,
        vectors: Mapping[str, FloatArray],
        *,
        sentences: Mapping[str, FloatArray] | None = None,
    ) -> None:
        await self._store.write_vectors(vectors, sentences=sentences)

    async def counts(self) -> StoreCounts:
        return await self._store.counts()

    async def close(self) -> None:
        await self._store.close()


def _changed_at(document: Document) -> int:
    moment = document.content_hash.rpartition(":")[2]
    return int(moment) if moment.isdecimal() else 0


def _with_acl(indexed: IndexedDocument, acl: Acl) -> IndexedDocument:
    document = replace(indexed.document, acl=acl)
    chunks = tuple(replace(chunk, document=document) for chunk in indexed.chunks)
    return IndexedDocument(document, chunks)
