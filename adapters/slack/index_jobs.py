"""The work of indexing channels, as jobs of the inbox: each may be broken off anywhere and done again."""

import asyncio
from collections.abc import Mapping

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.channel_access import channel_of
from adapters.slack.client import NotInstalled
from adapters.slack.connector import SlackChannelConnector
from adapters.slack.ids import SlackChannelId
from adapters.slack.index_backfill import BackfillHandler
from adapters.slack.index_guard import GuardedStore
from adapters.slack.index_work import IndexWork, order_of
from adapters.slack.indexing import BACKFILL, REVIEW, SHRINK, SYNC, is_ours
from adapters.slack.thread_reader import OUTAGE_PAUSE_S
from bot.errors import ChannelUnavailable, TryLater
from bot.worker import Handler, Job
from retrieval.errors import StoreUnavailable
from retrieval.ingest.sync import Synchroniser
from retrieval.ingest.sync_report import SyncReport

log = structlog.get_logger()

_PASS_EVERY_S = 86_400.0
_SYNCS_IN_A_ROW = 3
_STORE_PAUSE_S = 30.0


def index_handlers(work: IndexWork) -> Mapping[str, Handler]:
    """By kind, for the worker."""
    return {
        REVIEW: ReviewHandler(work),
        SYNC: ChannelSyncHandler(work),
        BACKFILL: BackfillHandler(work),
        SHRINK: ShrinkHandler(work),
    }


class ReviewHandler:
    """Puts what has to be looked at into the inbox; due at set times."""

    def __init__(self, work: IndexWork) -> None:
        self._work = work

    async def handle(self, job: Job) -> None:
        work, indexing = self._work, self._work.indexing
        try:
            homes = await work.clients.homes()
            sources = {document.source for document in await work.store.documents()}
        except StoreUnavailable as error:
            raise TryLater(_STORE_PAUSE_S) from error
        except (ChannelUnavailable, NotInstalled) as error:
            log.warning("slack.index_waits", error=type(error).__name__)
            raise TryLater(OUTAGE_PAUSE_S) from error
        names = {*await indexing.ledger.channels(), *filter(is_ours, sources)}
        channels = {channel for name in names if (channel := channel_of(name))}
        channels |= {SlackChannelId(home, id) for home in homes for id in indexing.approved}
        for channel in sorted(channels, key=str):
            await indexing.order_sync(channel)
            backfill = await indexing.ledger.backfill(str(channel))
            if backfill is None:
                continue
            if not backfill.is_done:
                await indexing.order_backfill(channel)
            elif work.clock() - backfill.at > _PASS_EVERY_S:
                # What happened while events could not reach us.
                await indexing.begin_backfill(channel)

    async def give_up(self, job: Job) -> None:
        log.error("slack.index_given_up", what="review")


class ChannelSyncHandler:
    """Brings the store in line with one channel; its rights first."""

    def __init__(self, work: IndexWork) -> None:
        self._work = work

    async def handle(self, job: Job) -> None:
        order = order_of(job)
        if (early_s := order.due - self._work.clock()) > 0:
            raise TryLater(early_s)
        try:
            await self._sync(order.channel)
        except StoreUnavailable as error:
            raise TryLater(_STORE_PAUSE_S) from error
        except asyncio.CancelledError:
            if not job.is_stopped:
                raise
            # It had begun by the time that it was found to be one too many.
            await self._work.indexing.order_sync(order.channel)

    async def give_up(self, job: Job) -> None:
        log.error("slack.index_given_up", what="sync")

    async def _sync(self, channel: SlackChannelId) -> None:
        work, ledger = self._work, self._work.indexing.ledger
        index = work.index(channel)
        client = await self._opened(channel)
        if client is None:
            before = await ledger.standing(str(channel))
            if before.visibility is not None or await ledger.threads(str(channel)):
                await ledger.forget(str(channel))
            if removed := await index.shrink():
                log.info("slack.index_removed", channel=str(channel), documents=removed)
            return
        await index.shrink()
        synchroniser = Synchroniser(GuardedStore(work.store, index), work.embedder)
        for _ in range(_SYNCS_IN_A_ROW):
            connector = SlackChannelConnector(
                client, channel, ledger=ledger, tenant=work.tenant, read=work.read
            )
            report = await synchroniser.sync(connector, on_progress=lambda _: None)
            _tell(channel, report)
            if not connector.dropped:
                break
            await work.store.delete(connector.dropped)
        await index.shrink()
        await synchroniser.embed_missing(on_progress=lambda _: None)
        if connector.again_after_s is not None:
            raise TryLater(connector.again_after_s)

    async def _opened(self, channel: SlackChannelId) -> AsyncWebClient | None:
        """None when nothing of the channel may be indexed; else the ledger knows who reads it."""
        indexing, ledger = self._work.indexing, self._work.indexing.ledger
        before = await ledger.standing(str(channel))
        reached = await self._work.reached(channel)
        if reached is None:
            return None
        client, visibility = reached
        if not await ledger.set_visibility(str(channel), visibility, epoch=before.epoch):
            # Something happened while Slack answered; the answer may be from before it.
            raise TryLater(0)
        if before.visibility is None or await ledger.backfill(str(channel)) is None:
            await indexing.begin_backfill(channel)
        return client


class ShrinkHandler:
    """Takes away at once what may not be found any more; no question to Slack, no waiting for a sync."""

    def __init__(self, work: IndexWork) -> None:
        self._work = work

    async def handle(self, job: Job) -> None:
        try:
            await self._work.index(order_of(job).channel).shrink()
        except StoreUnavailable as error:
            raise TryLater(1) from error

    async def give_up(self, job: Job) -> None:
        log.error("slack.index_given_up", what="shrink")


def _tell(channel: SlackChannelId, report: SyncReport) -> None:
    log.info("slack.index_synced", channel=str(channel), **report.counts)
