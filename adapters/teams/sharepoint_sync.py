"""Brings the store in line with SharePoint sites, by command and by schedule."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from adapters.teams.connector import SharePointAway, SharePointConnector
from adapters.teams.drive_ledger import DriveLedger
from adapters.teams.drive_mirror import INTERVALS, DriveMirror, Intervals, SyncedElsewhere
from adapters.teams.drive_permissions import is_refusal
from adapters.teams.graph import Graph, GraphFailure
from adapters.teams.libraries import PREFIX, Library, SharePointName, libraries_of
from adapters.teams.library_documents import StoreRights, drive_of
from adapters.teams.reviews import ReviewHandler, name_in
from adapters.teams.sharepoint_permissions import SharePointRules
from bot.errors import StateUnavailable, TryLater
from bot.inbox import Inbox
from bot.worker import Handler, Job
from retrieval.access import Level
from retrieval.errors import IngestError, StoreUnavailable
from retrieval.ingest.sync import Synchroniser
from retrieval.ingest.sync_report import OnProgress, SyncReport
from retrieval.models import Embedder
from retrieval.store import ChunkStore

log = structlog.get_logger()

REVIEW = "sharepoint"
SYNC = "sharepoint.sync"

TRUSTED_S = 86_400.0
"""For so long permissions count that cannot be read again; then everything is closed until they can."""

PATIENCE_S = 120.0
_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True)
class SharePointSource:
    """
    What an administrator wants brought in; see `SharePointRules`.

    Attributes:
        name: A site, a library or the id of one; see `SharePointName`.
    """

    name: str
    level: Level = Level.INTERNAL
    organization_links: bool = False
    everyone: bool = False
    site_groups: Mapping[str, str] = field(default_factory=dict)

    def rules(self, tenant: str, tenant_id: str) -> SharePointRules:
        return SharePointRules(
            tenant, tenant_id, self.organization_links, self.everyone, self.site_groups
        )


class SharePointSync:
    """
    Args:
        graph: For the Entra tenant whose SharePoint it is.
        tenant: Our organisation.
        patience_s: So long in all one question waits for Graph to be ready again.
    """

    def __init__(
        self,
        graph: Graph,
        ledger: DriveLedger,
        store: ChunkStore,
        embedder: Embedder | None,
        *,
        tenant: str,
        tenant_id: str,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._graph = graph.of(tenant_id, patience_s=patience_s)
        self._ledger = ledger
        self._store = store
        self._synchroniser = Synchroniser(store, embedder)
        self._tenant = tenant
        self._tenant_id = tenant_id.lower()
        self._clock = clock

    async def sync(
        self, source: SharePointSource, *, on_progress: OnProgress, intervals: Intervals = INTERVALS
    ) -> list[SyncReport]:
        """
        One report for each library. What one of them lacks does not keep the others.

        Raises:
            SharePointAway: Graph does not answer now; what could be done is done.
            IngestError: There is no such site or library, or the app may not read it.
            StoreUnavailable: The store does not answer.
            StateUnavailable: The ledger does not answer.
        """
        name = SharePointName.of(source.name)
        libraries = await self._libraries(source, name)
        reports: list[SyncReport] = []
        failures: list[IngestError] = []
        for library in libraries:
            try:
                report, away = await self._sync_library(source, library, on_progress, intervals)
            except (SharePointAway, SyncedElsewhere) as error:
                failures.append(error)
                continue
            reports.append(report)
            failures += [away] if away else []
        await self._synchroniser.embed_missing(on_progress=on_progress)
        if failures:
            raise failures[0]
        return reports

    async def remove_others(self, sources: Sequence[SharePointSource]) -> None:
        """
        What was brought in from elsewhere than *sources*: nobody follows its rights any more.

        Raises:
            StoreUnavailable: The store does not answer.
            StateUnavailable: The ledger does not answer.
        """
        names = [name for source in sources if (name := _name_of(source)) is not None]
        for library in await self._in_store():
            if not any(library.drive == name.drive or name.covers(library) for name in names):
                await self._remove(library)

    async def _libraries(self, source: SharePointSource, name: SharePointName) -> list[Library]:
        known = await self._known(name)
        try:
            libraries = await libraries_of(self._graph, name)
        except GraphFailure as failure:
            reason = failure.code or failure.status
            if is_refusal(failure):
                for library in known:
                    await self._close(library)
                raise IngestError(
                    f"{source.name}: SharePoint refuses ({reason}); check that it is there, and that the "
                    "app may read it. What is known of it is closed to all until then."
                ) from failure
            for library in known:
                await self._close_if_old(library)
            raise SharePointAway(
                f"{source.name}: Microsoft Graph does not answer ({reason}); the next sync tries again",
                failure.retry_after_s,
            ) from failure
        there = {library.drive for library in libraries}
        for library in known:
            if library.drive not in there or library not in libraries:
                await self._remove(library)
        return libraries

    async def _sync_library(
        self,
        source: SharePointSource,
        library: Library,
        on_progress: OnProgress,
        intervals: Intervals,
    ) -> tuple[SyncReport, SharePointAway | None]:
        mirror = DriveMirror(
            self._graph,
            self._ledger,
            library.drive,
            source.rules(self._tenant, self._tenant_id),
            intervals=intervals,
            clock=self._clock,
        )
        rights = StoreRights(self._store, library, level=source.level)
        connector = SharePointConnector(mirror, library, level=source.level, rights=rights)
        try:
            report = await self._synchroniser.sync(connector, on_progress=on_progress)
        except SharePointAway:
            await self._close_if_old(library)
            raise
        return report, connector.away

    async def _known(self, name: SharePointName) -> list[Library]:
        """Libraries under that name that the store has documents of."""
        return [
            library
            for library in await self._in_store()
            if library.drive == name.drive or name.covers(library)
        ]

    async def _in_store(self) -> list[Library]:
        known = {
            Library(drive, document.source.removeprefix(PREFIX))
            for document in await self._store.documents()
            if (drive := drive_of(document.id)) and document.source.startswith(PREFIX)
        }
        return sorted(known, key=lambda library: library.place)

    async def _close_if_old(self, library: Library) -> None:
        state = await self._ledger.state(library.drive)
        if state is None or self._clock() - state.rights_at > TRUSTED_S:
            await self._close(library)

    async def _close(self, library: Library) -> None:
        closed = await StoreRights(self._store, library, level=Level.SECRET).close_all()
        if closed:
            log.error("sharepoint.closed", drive=library.drive, documents=closed)

    async def _remove(self, library: Library) -> None:
        documents = await self._store.documents(source=library.source)
        await self._store.delete([document.id for document in documents])
        await self._ledger.forget(library.drive)
        log.info("sharepoint.removed", drive=library.drive, documents=len(documents))


def sharepoint_handlers(
    sync: SharePointSync, sources: Sequence[SharePointSource], inbox: Inbox
) -> dict[str, Handler]:
    """By kind of job; `REVIEW` is to be put on a schedule."""
    names = [source.name for source in sources]
    review = ReviewHandler(inbox, SYNC, names, partial(sync.remove_others, sources))
    return {REVIEW: review, SYNC: _SyncHandler(sync, sources)}


class _SyncHandler:
    def __init__(self, sync: SharePointSync, sources: Sequence[SharePointSource]) -> None:
        self._sync = sync
        self._sources = {source.name: source for source in sources}

    async def handle(self, job: Job) -> None:
        source = self._sources.get(name_in(job))
        if source is None:
            return
        try:
            reports = await self._sync.sync(source, on_progress=lambda _: None)
        except SharePointAway as error:
            raise TryLater(error.after_s or _PAUSE_S) from error
        except (SyncedElsewhere, StoreUnavailable, StateUnavailable) as error:
            raise TryLater(_PAUSE_S) from error
        except IngestError as error:
            # The next one is due anyway, and looks again.
            log.error("sharepoint.failed", reason=str(error))
            return
        for report in reports:
            log.info("sharepoint.done", source=report.source, **report.counts)

    async def give_up(self, job: Job) -> None:
        log.error("sharepoint.given_up", what="sync")


def _name_of(source: SharePointSource) -> SharePointName | None:
    """None for what names nothing; its sync says so."""
    try:
        return SharePointName.of(source.name)
    except IngestError:
        return None
