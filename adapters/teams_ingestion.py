"""The composition root's part for what Teams and SharePoint hold: their channels and libraries become documents."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from adapters.app import Conversations, Knowledge, open_knowledge, open_redis_alone
from adapters.settings import ConfigurationError, Settings
from adapters.teams.channel_posts import ChannelPosts
from adapters.teams.drive_mirror import Intervals
from adapters.teams.graph import Graph
from adapters.teams.post_jobs import REVIEW_SCHEDULE, post_handlers
from adapters.teams.post_progress import InMemoryPostLedger, RedisPostLedger
from adapters.teams.redis_drive_ledger import RedisDriveLedger
from adapters.teams.sharepoint_sync import (
    REVIEW,
    SharePointSource,
    SharePointSync,
    sharepoint_handlers,
)
from adapters.teams_app import Teams, bot_tokens, indexed_channels, open_graph
from bot.redis_client import RedisClient
from bot.schedules import Schedule
from bot.worker import Handler
from retrieval.ingest.sync_report import OnProgress, SyncReport


def ingestion_jobs(
    teams: Teams, knowledge: Knowledge, conversations: Conversations
) -> Mapping[str, Handler]:
    """None without Graph; libraries need Redis, too."""
    if teams.graph is None:
        return {}
    settings, redis, jobs = teams.settings, conversations.redis, dict[str, Handler]()
    if redis is not None:
        sync = _sharepoint_sync(settings, knowledge, redis, teams.graph)
        jobs |= sharepoint_handlers(sync, _sharepoint_sources(settings), conversations.inbox)
    ledger = RedisPostLedger(redis, tenant=settings.tenant) if redis else InMemoryPostLedger()
    posts = ChannelPosts(
        teams.graph, ledger, knowledge.store, knowledge.embedder, tenant=settings.tenant
    )
    return jobs | post_handlers(posts, indexed_channels(settings), conversations.inbox)


def ingestion_schedules(teams: Teams) -> Sequence[Schedule]:
    if teams.graph is None:
        return []
    # Also when no library or channel is wanted any more: what there is of them has to go.
    return [Schedule(REVIEW, teams.settings.teams.sharepoint_schedule), REVIEW_SCHEDULE]


async def ingest_sharepoint(
    settings: Settings, names: Sequence[str], *, on_progress: OnProgress
) -> list[SyncReport]:
    """
    The sites and libraries of these names; they must be among the settings, or nobody would follow how
    their rights change.

    Raises:
        ConfigurationError: If one is not there, or the app cannot ask Graph.
        IngestError: As `SharePointSync.sync`.
    """
    sources = {source.name: source for source in _sharepoint_sources(settings)}
    wanted = [name.removeprefix("sharepoint:") for name in names]
    if missing := [name for name in wanted if name not in sources]:
        raise ConfigurationError(
            f"SHIFU_TEAMS__SHAREPOINT: {missing[0]} is not in it; add it, so that its rights are followed, "
            f'for example SHIFU_TEAMS__SHAREPOINT=\'[{{"name": "{missing[0]}"}}]\''
        )
    tokens = bot_tokens(settings)
    if tokens is None or not settings.teams.use_graph:
        raise ConfigurationError(
            "SHIFU_TEAMS__APP_ID, SHIFU_TEAMS__USE_GRAPH: SharePoint is read through Microsoft Graph, as the app"
        )
    async with AsyncExitStack() as open_things:
        open_things.push_async_callback(tokens.close)
        graph = open_graph(settings, tokens)
        open_things.push_async_callback(graph.close)
        redis = await open_things.enter_async_context(open_redis_alone(settings))
        knowledge = await open_things.enter_async_context(open_knowledge(settings))
        sync = _sharepoint_sync(settings, knowledge, redis, graph)
        intervals = Intervals(sweep_every_s=0)
        return [
            report
            for name in wanted
            for report in await sync.sync(
                sources[name], on_progress=on_progress, intervals=intervals
            )
        ]


def _sharepoint_sources(settings: Settings) -> list[SharePointSource]:
    return [
        SharePointSource(s.name, s.level, s.organization_links, s.everyone, s.site_groups)
        for s in settings.teams.sharepoint
    ]


def _sharepoint_sync(
    settings: Settings, knowledge: Knowledge, redis: RedisClient, graph: Graph
) -> SharePointSync:
    return SharePointSync(
        graph,
        RedisDriveLedger(redis, tenant=settings.tenant),
        knowledge.store,
        knowledge.embedder,
        tenant=settings.tenant,
        tenant_id=settings.teams.app_tenant_id,
    )
