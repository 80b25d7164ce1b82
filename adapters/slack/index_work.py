"""What the jobs of indexing share: where they work, and how a channel is reached."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.channel_access import visibility_of
from adapters.slack.client import (
    NOT_THERE,
    SLACK_FAILURES,
    NotInstalled,
    SlackClients,
    slack_error,
    what_failed,
)
from adapters.slack.ids import SlackChannelId
from adapters.slack.index_guard import ChannelIndex
from adapters.slack.indexing import Indexing, Order
from adapters.slack.retries import LostRequestRetry
from adapters.slack.thread_ledger import Visibility
from adapters.slack.thread_reader import OUTAGE_PAUSE_S, ReadSoFar, pause_s
from bot.errors import ChannelUnavailable, TryLater, WrittenByAnotherVersion
from bot.worker import Job
from retrieval.models import Embedder
from retrieval.store import ChunkStore

log = structlog.get_logger()

_NOT_INDEXABLE = NOT_THERE | {"account_inactive", "token_revoked"}


@dataclass(frozen=True, slots=True)
class IndexWork:
    """What the jobs work with."""

    indexing: Indexing
    clients: SlackClients
    store: ChunkStore
    embedder: Embedder | None
    tenant: str
    clock: Callable[[], float] = time.time
    read: ReadSoFar = field(default_factory=ReadSoFar)

    def index(self, channel: SlackChannelId) -> ChannelIndex:
        return ChannelIndex(self.store, self.indexing.ledger, channel, tenant=self.tenant)

    async def reached(self, channel: SlackChannelId) -> tuple[AsyncWebClient, Visibility] | None:
        """
        How the channel is read, and who reads it; None when nothing of it may be indexed.

        Raises:
            TryLater: Slack does not say now.
        """
        if channel.channel not in self.indexing.approved:
            return None
        try:
            clients = await self.clients.all_of(channel.home)
        except (ChannelUnavailable, NotInstalled) as error:
            # A token that is not valid is a mistake to be mended, not the end of the index.
            raise TryLater(OUTAGE_PAUSE_S) from error
        for client in clients:
            # It does not wait for rate limits: the job is put back instead.
            client.retry_handlers = [LostRequestRetry()]
            if (visibility := await _visibility(client, channel)) is not None:
                return client, visibility
        return None


def order_of(job: Job) -> Order:
    try:
        return Order.decode(job.entry.body)
    except (ValueError, KeyError, TypeError) as error:
        raise WrittenByAnotherVersion from error


async def _visibility(client: AsyncWebClient, channel: SlackChannelId) -> Visibility | None:
    try:
        answer = await client.conversations_info(channel=channel.channel)
    except SLACK_FAILURES as error:
        if (later_s := pause_s(error)) is not None:
            raise TryLater(later_s) from error
        if slack_error(error) not in _NOT_INDEXABLE:
            log.warning("slack.index_refused", channel=str(channel), reason=what_failed(error))
        # Whoever cannot say who reads the channel cannot show anything of it.
        return None
    info = answer.get("channel")
    return visibility_of(info) if isinstance(info, Mapping) else None
