"""Keeps the threads of Teams channels in the store: what is posted, changed and deleted, page by page."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import structlog

from adapters.teams.channel_threads import PREFIX, IndexedChannel, thread_document
from adapters.teams.drive_permissions import is_refusal
from adapters.teams.graph import Graph, GraphFailure, quoted
from adapters.teams.graph_messages import message_of
from adapters.teams.json_values import Json
from adapters.teams.post_progress import PostLedger, PostProgress
from retrieval.errors import IngestError
from retrieval.ingest.connectors import FailedDocument, FoundDocument, LoadedDocument, SkippedFile
from retrieval.ingest.sync import Synchroniser
from retrieval.models import Embedder
from retrieval.store import ChunkStore

log = structlog.get_logger()

SWEEP_EVERY_S = 3600.0
"""
Changes are told of posts, hardly of their replies, and only of eight months: all threads are looked at
again so often.
"""

PATIENCE_S = 120.0

_PAGE = "$top=50&$expand=replies"
_MOST_REPLIES = 1000
"""With so many there may be more, and Graph does not always say so."""
_AT_ONCE = 100
# A link that is too old is 410; Graph also says that it knows none, or has no such thing.
_STALE = frozenset({400, 403, 404, 410})


class ChannelPosts:
    """
    At most one sync of a channel at a time: the caller sees to it.

    Who may read a thread is not decided here: it is whoever the directory knows as a member of the
    channel when it is asked for.

    Args:
        graph: For the Entra tenant whose channels they are.
        tenant: Our organisation.
        patience_s: So long in all one question waits for Graph to be ready again.
    """

    def __init__(
        self,
        graph: Graph,
        ledger: PostLedger,
        store: ChunkStore,
        embedder: Embedder | None,
        *,
        tenant: str,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._graph = graph
        self._ledger = ledger
        self._store = store
        self._synchroniser = Synchroniser(store, embedder)
        self._tenant = tenant
        self._patience_s = patience_s
        self._clock = clock

    async def sync(self, channel: IndexedChannel, *, sweep_every_s: float = SWEEP_EVERY_S) -> None:
        """
        Bring the store in line with one channel.

        Raises:
            GraphFailure: Graph does not answer now; what could be done is done.
            IngestError: There is no such channel, or the app may not read it; nothing of it is left.
            StoreUnavailable: The store does not answer.
            StateUnavailable: The ledger does not answer.
        """
        graph = self._graph.of(channel.tenant_id, patience_s=self._patience_s)
        run = _Run(graph, self._ledger, self._store, self._synchroniser, channel, self._tenant)
        away = None
        try:
            await run.follow()
            await run.sweep(now=self._clock(), every_s=sweep_every_s)
        except GraphFailure as failure:
            if is_refusal(failure):
                await self.remove(channel.source)
                raise IngestError(
                    f"{channel.source}: Microsoft Graph refuses ({failure.code or failure.status}); check "
                    "that the channel is there, and that the app is in its team with the permission to read "
                    "its messages. Nothing of it is in the index until then."
                ) from failure
            away = failure
        run.tell()
        await self._synchroniser.embed_missing(on_progress=lambda _: None)
        if away is not None:
            raise away

    async def remove_others(self, channels: Iterable[IndexedChannel]) -> None:
        """
        Whatever there is of other channels than *channels*.

        Raises:
            StoreUnavailable: The store does not answer.
            StateUnavailable: The ledger does not answer.
        """
        wanted = {channel.source for channel in channels}
        known = set(await self._ledger.channels())
        if wanted or known:
            # The ledger may have been lost meanwhile.
            known |= {document.source for document in await self._store.documents()}
        for source in sorted(known - wanted):
            if source.startswith(PREFIX):
                await self.remove(source)

    async def remove(self, source: str) -> None:
        documents = await self._store.documents(source=source)
        await self._store.delete([document.id for document in documents])
        # Killed before this, it is done again.
        await self._ledger.forget(source)
        if documents:
            log.info("teams.posts_removed", channel=source, documents=len(documents))


class _Run:
    """One sync of one channel. What is read is written many threads at a time."""

    def __init__(
        self,
        graph: Graph,
        ledger: PostLedger,
        store: ChunkStore,
        synchroniser: Synchroniser,
        channel: IndexedChannel,
        tenant: str,
    ) -> None:
        self._graph = graph
        self._ledger = ledger
        self._store = store
        self._synchroniser = synchroniser
        self._channel = channel
        self._tenant = tenant
        self._progress = PostProgress()
        self._read: dict[str, LoadedDocument | None] = {}
        self._counts = dict.fromkeys(("added", "updated", "deleted", "failed"), 0)

    async def follow(self) -> None:
        """Go on to where nothing more has changed; killed at any moment, the next one does."""
        self._progress = await self._ledger.find(self._channel.source)
        try:
            await self._follow()
        except GraphFailure as failure:
            if failure.status not in _STALE or not self._progress.link:
                await self._begin_without(failure)
                return
            log.info("teams.posts_resync", channel=self._channel.source)
            # What has changed since is not told any more: all threads are looked at.
            await self._keep(PostProgress())
            try:
                await self._follow()
            except GraphFailure as another:
                await self._begin_without(another)

    async def sweep(self, *, now: float, every_s: float) -> None:
        """Look at all threads there are, and at each that is not among them, if that is due."""
        if now - self._progress.swept_at < every_s:
            return
        seen: set[str] = set()
        page: list[Json] = []
        try:
            async for root in self._graph.pages(f"{self._channel.path}/messages?{_PAGE}"):
                page.append(root)
                if len(page) >= _AT_ONCE:
                    seen |= await self._take_in(page)
                    await self._write()
                    page = []
            seen |= await self._take_in(page)
            await self._look_for([root for root in await self._known() if root not in seen])
        except GraphFailure:
            await self._write()
            raise
        await self._write()
        await self._keep(replace(self._progress, swept_at=now))

    def tell(self) -> None:
        if any(self._counts.values()):
            log.info("teams.posts_synced", channel=self._channel.source, **self._counts)

    async def _begin_without(self, failure: GraphFailure) -> None:
        """Where Graph tells of no changes at all, everything is looked at each time."""
        if failure.status != 400:
            raise failure
        log.warning("teams.posts_not_told", channel=self._channel.source)
        await self._keep(PostProgress())

    async def _follow(self) -> None:
        seen: set[str] = set()
        link = self._progress.link
        try:
            while True:
                asked = link or f"{self._channel.path}/messages/delta?{_PAGE}"
                if asked in seen:
                    raise GraphFailure(0, "endlessPages")
                seen.add(asked)
                page = await self._graph.page(asked)
                if page.next_link is None and page.delta_link is None:
                    raise GraphFailure(0, "noDeltaLink")
                await self._take_in(page.items)
                link = page.next_link or page.delta_link or ""
                if page.next_link is None or len(self._read) >= _AT_ONCE:
                    await self._write()
                    await self._keep(replace(self._progress, link=link))
                if page.next_link is None:
                    return
        except GraphFailure:
            await self._write()
            await self._keep(replace(self._progress, link=link))
            raise

    async def _take_in(self, roots: Sequence[Json]) -> set[str]:
        """Read the threads of *roots*; their ids."""
        # Told of a reply, we look at its thread.
        replied = {str(told["replyToId"]) for told in roots if told.get("replyToId")}
        told = {str(root.get("id") or ""): root for root in roots if not root.get("replyToId")}
        for id, root in told.items():
            await self._take(id, root)
        await self._look_for(sorted(replied - set(told)))
        return {*told, *replied}

    async def _take(self, id: str, root: Json) -> None:
        replies = root.get("replies")
        is_cut = "replies@odata.nextLink" in root
        is_there = "@removed" not in root and message_of(root, tenant_id="") is not None
        if is_there and (not isinstance(replies, list) or is_cut or len(replies) >= _MOST_REPLIES):
            replies = await self._replies(id)
        if not is_there or not isinstance(replies, list):
            self._read[id] = None
            return
        listed = [reply for reply in replies if isinstance(reply, Mapping)]
        self._read[id] = await asyncio.to_thread(
            thread_document, self._channel, root, listed, tenant=self._tenant
        )

    async def _replies(self, id: str) -> list[Json] | None:
        """None for a thread that is gone."""
        path = f"{self._channel.path}/messages/{quoted(id)}/replies?$top=50"
        try:
            return [reply async for reply in self._graph.pages(path)]
        except GraphFailure as failure:
            if failure.is_missing:
                return None
            raise

    async def _look_for(self, ids: Sequence[str]) -> None:
        """One by one: a thread that somebody writes in moves to another page while we read page after page."""
        paths = [f"{self._channel.path}/messages/{quoted(id)}" for id in ids]
        for id, told in zip(ids, await self._graph.batch(paths), strict=True):
            if not isinstance(told, GraphFailure):
                await self._take(id, told)
            elif told.is_missing:
                self._read[id] = None
            else:
                raise told

    async def _known(self) -> dict[str, FoundDocument]:
        """What the store has, by id of the first message."""
        acl = self._channel.acl(self._tenant)
        return {
            self._channel.root_of(document.id): FoundDocument(
                document.id, acl, document.content_hash
            )
            for document in await self._store.documents(source=self._channel.source)
        }

    async def _write(self) -> None:
        read, self._read = self._read, {}
        if not read:
            return
        known = await self._known()
        changed = {
            id: loaded
            for id, loaded in read.items()
            if (loaded.document.content_hash if loaded else None)
            != (known[id].content_hash if id in known else None)
        }
        if not changed:
            return
        listed = {found.id: found for id, found in known.items() if id not in changed} | {
            loaded.document.id: FoundDocument(
                loaded.document.id, loaded.document.acl, loaded.document.content_hash
            )
            for loaded in changed.values()
            if loaded is not None
        }
        connector = _Threads(self._channel.source, listed, filter(None, changed.values()))
        report = await self._synchroniser.sync(connector, on_progress=lambda _: None)
        # What cannot be written as it is now must not stay as it was.
        await self._store.delete([id for id, _ in report.failed])
        for what in self._counts:
            self._counts[what] += len(getattr(report, what))

    async def _keep(self, progress: PostProgress) -> None:
        await self._ledger.keep(self._channel.source, progress)
        self._progress = progress


class _Threads:
    """`Connector` over what is known of a channel and what has just been read."""

    def __init__(
        self, source: str, listed: Mapping[str, FoundDocument], read: Iterable[LoadedDocument]
    ) -> None:
        self._source = source
        self._listed = listed
        self._read = {loaded.document.id: loaded for loaded in read}

    @property
    def source(self) -> str:
        return self._source

    async def listing(self) -> AsyncIterator[FoundDocument | FailedDocument | SkippedFile]:
        for _, found in sorted(self._listed.items()):
            yield found

    async def load(self, document_id: str) -> LoadedDocument:
        if document_id not in self._read:
            raise IngestError(f"{document_id}: has just changed; the next sync reads it")
        return self._read[document_id]
