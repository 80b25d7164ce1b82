"""The composition root's part for Microsoft Teams: settings become its objects."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from adapters.chat.directory_cache import (
    DirectoryCache,
    InMemoryDirectoryCache,
    RedisDirectoryCache,
)
from adapters.chat.origins import InMemoryOrigins, Origins, RedisOrigins
from adapters.chat.threads import InMemoryThreads, RedisThreads, Threads
from adapters.settings import ConfigurationError, Settings
from adapters.teams.adapter import DevelopmentTokens, TeamsAdapter
from adapters.teams.asking import TeamsAsking
from adapters.teams.channel import TeamsChannel
from adapters.teams.channel_threads import IndexedChannel
from adapters.teams.claims import Claims
from adapters.teams.credentials import BotTokens, Credentials
from adapters.teams.directory import TeamsDirectory, TeamsRules
from adapters.teams.graph import Graph
from adapters.teams.greeting import Greeting
from adapters.teams.hosts import KnownHosts
from adapters.teams.ids import TeamsConversationId
from adapters.teams.inbound_tokens import InboundTokens
from adapters.teams.incoming import Sender
from adapters.teams.invokes import Invokes
from adapters.teams.languages import TeamsLanguages
from adapters.teams.notifications import (
    SUBSCRIBE,
    SUBSCRIBE_SCHEDULE,
    NotificationRoutes,
    Subscriptions,
    SubscriptionsHandler,
)
from adapters.teams.origin import Origin
from adapters.teams.outbox import TeamsOutbox
from adapters.teams.outbox_wire import connector_session
from adapters.teams.personal_cards import (
    InMemoryPersonalCards,
    PersonalCards,
    RedisPersonalCards,
)
from adapters.teams.places import InMemoryPlaces, Places, RedisPlaces
from adapters.teams.saving import Saving
from adapters.teams.sharing import Sharing
from adapters.teams.surroundings import TeamsSurroundings
from bot.audience import Audience
from bot.directory import CompanyDirectory
from bot.given_answers import GivenAnswers
from bot.inbox import Inbox
from bot.messages import ConversationKind
from bot.redis_client import RedisClient
from bot.schedules import Schedule
from bot.turns import TurnQueue
from bot.worker import Handler
from retrieval.store import ChunkStore
from retrieval.types import Language

if TYPE_CHECKING:
    from adapters.app import Conversations, Knowledge

_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Teams:
    """What both need: whoever takes activities in, and whoever answers."""

    settings: Settings
    http: aiohttp.ClientSession
    outbox: TeamsOutbox
    graph: Graph | None
    origins: Origins[Origin]
    places: Places
    threads: Threads
    personal_cards: PersonalCards
    directory: TeamsDirectory
    channel: TeamsChannel
    subscriptions: Subscriptions | None

    def surroundings(self, audience: Audience) -> TeamsSurroundings:
        return TeamsSurroundings(
            self.http,
            self.graph,
            self.origins,
            self.places,
            audience,
            file_hosts=self.settings.teams.file_hosts,
        )

    def stop_with(self, queue: TurnQueue) -> None:
        """Let *queue* end the answers whose readers stop them; Teams tells whoever writes them."""

        async def stop(event_id: str) -> None:
            origin = await self.origins.find(event_id)
            if origin is not None:
                at = TeamsConversationId(origin.tenant_id, origin.conversation)
                conversation = at.ref(self.settings.tenant, ConversationKind.DIRECT, None)
                language = Language(origin.locale) if origin.locale else Language.ENGLISH
                await queue.stop(event_id, conversation, language)

        self.channel.on_stopped = stop


@asynccontextmanager
async def open_teams(
    settings: Settings, redis: RedisClient | None, company: CompanyDirectory
) -> AsyncIterator[Teams]:
    """
    Nothing is asked of Microsoft before the first activity.

    Args:
        redis: None: what is kept lives and dies with this process.
    """
    teams, tenant = settings.teams, settings.tenant
    origins: Origins[Origin] = InMemoryOrigins()
    places: Places = InMemoryPlaces()
    threads: Threads = InMemoryThreads()
    cache: DirectoryCache = InMemoryDirectoryCache()
    personal_cards: PersonalCards = InMemoryPersonalCards()
    if redis is not None:
        origins = RedisOrigins(redis, Origin.decode, tenant=tenant, platform="teams")
        places = RedisPlaces(redis, tenant=tenant)
        threads = RedisThreads(redis, tenant=tenant, platform="teams")
        cache = RedisDirectoryCache(redis, tenant=tenant, platform="teams")
        personal_cards = RedisPersonalCards(redis, tenant=tenant)
    async with AsyncExitStack() as open_things:
        http = await open_things.enter_async_context(connector_session())
        tokens = bot_tokens(settings)
        if tokens is not None:
            open_things.push_async_callback(tokens.close)
        outbox = TeamsOutbox(
            http, tokens, connector_hosts(settings), scope=connector_scope(settings)
        )
        graph = None
        if tokens is not None and teams.use_graph:
            graph = open_graph(settings, tokens)
            open_things.push_async_callback(graph.close)
        directory = TeamsDirectory(
            graph,
            outbox,
            places,
            cache,
            company,
            tenant=tenant,
            rules=TeamsRules(
                tenants=teams.our_tenants,
                members_are_employees=teams.members_are_employees,
                groups=teams.groups,
                members_only_teams=frozenset(teams.members_only_teams),
                index_channels=frozenset(indexed_channels(settings)),
            ),
        )
        open_things.push_async_callback(directory.close)
        channel = TeamsChannel(
            outbox,
            origins,
            places,
            personal_cards,
            streaming=teams.streaming,
            # The Playground shows what has suggestions without its Markdown and its sources.
            suggesting=not teams.development,
        )
        open_things.push_async_callback(channel.close)
        subscriptions = None
        if graph is not None and teams.notifications_url:
            subscriptions = Subscriptions(
                graph, cache, url=teams.notifications_url, tenants=teams.our_tenants
            )
        yield Teams(
            settings=settings,
            http=http,
            outbox=outbox,
            graph=graph,
            origins=origins,
            places=places,
            threads=threads,
            personal_cards=personal_cards,
            directory=directory,
            channel=channel,
            subscriptions=subscriptions,
        )


def taking_in(
    settings: Settings,
    knowledge: "Knowledge",
    conversations: "Conversations",
    teams: Teams,
    app: web.Application,
) -> AbstractAsyncContextManager[None]:
    """
    Puts the routes on *app*.

    Raises:
        ConfigurationError: If there is no app id, and others than this machine could deliver.
    """
    if settings.teams.development and settings.web.host not in _LOOPBACK:
        raise ConfigurationError(
            "SHIFU_TEAMS__DEVELOPMENT: takes activities without a token, so only with "
            "SHIFU_WEB__HOST=127.0.0.1; for others to reach it, set SHIFU_TEAMS__APP_ID instead"
        )
    adapter = _adapter(settings, knowledge.store, conversations, teams)
    adapter.mount(app)
    lapsed = partial(_order_subscriptions, conversations.inbox)
    if teams.subscriptions is not None:
        NotificationRoutes(teams.subscriptions, teams.directory, lapsed).mount(app)
    return _listening(adapter, lapsed if teams.subscriptions is not None else None)


@asynccontextmanager
async def _listening(
    adapter: TeamsAdapter, begin: Callable[[], Awaitable[None]] | None
) -> AsyncIterator[None]:
    try:
        if begin is not None:
            await begin()
        yield
    finally:
        await adapter.close()


async def _order_subscriptions(inbox: Inbox) -> None:
    """Soon, once for all who order it in the same minute."""
    id = f"{SUBSCRIBE}@{datetime.now(UTC):%Y-%m-%dT%H:%MZ}:ordered"
    await inbox.put(id, f"job:{SUBSCRIBE}", SUBSCRIBE, "", is_awaited=False)


def teams_jobs(teams: Teams) -> Mapping[str, Handler]:
    """What a worker does beside answering and bringing documents in."""
    return {SUBSCRIBE: SubscriptionsHandler(teams.subscriptions)} if teams.subscriptions else {}


def teams_schedules(teams: Teams) -> Sequence[Schedule]:
    return [SUBSCRIBE_SCHEDULE] if teams.subscriptions else []


def indexed_channels(settings: Settings) -> list[IndexedChannel]:
    teams = settings.teams
    return [IndexedChannel.of(name, teams.app_tenant_id) for name in teams.index_channels]


def bot_tokens(settings: Settings) -> BotTokens | None:
    """
    None where there is no app id: a development bot has no tokens.

    Raises:
        ConfigurationError: If what belongs to the app id is not set.
    """
    teams = settings.teams
    if not teams.app_id:
        return None
    if teams.development:
        raise ConfigurationError(
            "SHIFU_TEAMS__DEVELOPMENT: is for a bot without SHIFU_TEAMS__APP_ID; unset one of the two"
        )
    if not teams.app_tenant_id:
        raise ConfigurationError(
            "SHIFU_TEAMS__APP_TENANT_ID: not set; it is the Directory (tenant) id on the app's Overview page"
        )
    ways = (teams.app_password.get_secret_value(), teams.certificate, teams.managed_identity)
    if sum(map(bool, ways)) != 1:
        raise ConfigurationError(
            "SHIFU_TEAMS__APP_PASSWORD, SHIFU_TEAMS__CERTIFICATE, SHIFU_TEAMS__MANAGED_IDENTITY: set exactly "
            "one, so that the app can sign in; docs/teams.md says where to find them"
        )
    credentials = Credentials(
        secret=teams.app_password.get_secret_value(),
        certificate=teams.certificate,
        managed_identity=teams.managed_identity,
    )
    return BotTokens(teams.app_id, teams.app_tenant_id, credentials, login_url=teams.login_url)


def open_graph(settings: Settings, tokens: BotTokens) -> Graph:
    teams = settings.teams
    return Graph.open(tokens, base_url=teams.graph_url, file_hosts=teams.file_hosts)


def connector_scope(settings: Settings) -> str:
    """Of our tokens for the Bot Connector, who is also who signs what comes."""
    return f"{settings.teams.token_issuer.rstrip('/')}/.default"


def connector_hosts(settings: Settings) -> KnownHosts:
    hosts: Sequence[str] = settings.teams.connector_hosts
    return KnownHosts(_LOOPBACK if settings.teams.development else hosts)


def _adapter(
    settings: Settings, store: ChunkStore, conversations: "Conversations", teams: Teams
) -> TeamsAdapter:
    tenant, audience = settings.tenant, conversations.audience
    asking = TeamsAsking(
        conversations.queue.accept, teams.origins, teams.places, teams.threads, tenant=tenant
    )
    languages = TeamsLanguages(conversations.languages.chosen_by, tenant=tenant)
    answers = GivenAnswers(conversations.records, audience, store)
    sharing = Sharing(
        asking, answers, teams.outbox, teams.origins, teams.places, audience, tenant=tenant
    )

    async def may_read(sender: Sender, chunk_ids: Sequence[str]) -> bool:
        scope = (await audience.scope_of_person(sender.ref(tenant))).scope
        wanted = list(dict.fromkeys(chunk_ids))
        return len(await store.fetch(wanted, scope)) == len(wanted)

    return TeamsAdapter(
        _inbound(settings, teams),
        asking,
        Invokes(
            asking,
            answers,
            sharing,
            Saving(
                Claims(teams.directory, teams.places, teams.graph, tenant=tenant),
                languages,
                conversations.state,
                conversations.review,
            ),
            teams.personal_cards,
            teams.origins,
            conversations.state,
            languages,
            may_read=may_read,
            tenant=tenant,
        ),
        Greeting(teams.outbox, teams.origins),
        teams.directory,
        teams.outbox,
        languages,
        follow_teams=frozenset(settings.teams.follow_teams),
    )


def _inbound(settings: Settings, teams: Teams) -> InboundTokens | DevelopmentTokens:
    if not settings.teams.app_id:
        return DevelopmentTokens()
    return InboundTokens(
        settings.teams.app_id,
        settings.teams.our_tenants,
        connector_hosts(settings),
        teams.http,
        keys_url=settings.teams.keys_url,
        issuer=settings.teams.token_issuer,
    )
