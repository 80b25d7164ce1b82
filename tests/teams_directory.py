"""A Teams with our app in it, and the directory that asks it, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from adapters.chat.directory_cache import DirectoryCache, InMemoryDirectoryCache
from adapters.teams.credentials import BotTokens, Credentials
from adapters.teams.directory import TeamsDirectory, TeamsRules
from adapters.teams.graph import Graph
from adapters.teams.hosts import KnownHosts
from adapters.teams.ids import TeamsConversationId, TeamsPerson
from adapters.teams.notifications import NotificationRoutes
from adapters.teams.outbox import TeamsOutbox
from adapters.teams.outbox_wire import connector_session
from adapters.teams.places import InMemoryPlaces, Place, Places
from bot.directory import CompanyDirectory, EmptyDirectory
from bot.messages import ConversationKind, ConversationRef, UserRef
from tests.builders import TENANT
from tests.fakes.teams.platform import BOT_SCOPE
from tests.fakes.teams_api import TeamsApi

ENTRA = "10000000-0000-4000-8000-000000000000"
"""Our own tenant."""
FABRIKAM = "90000000-0000-4000-8000-000000000000"
"""Another organisation's."""


def an_id(number: int) -> str:
    """Of a person or group."""
    return f"20000000-0000-4000-8000-{number:012d}"


def a_user(number: int, tenant_id: str = ENTRA) -> UserRef:
    return TeamsPerson(tenant_id, an_id(number)).ref(TENANT)


def a_place(id: str, tenant_id: str = ENTRA) -> ConversationRef:
    return TeamsConversationId(tenant_id, id).ref(TENANT, ConversationKind.PRIVATE, "1")


def all_places(api: TeamsApi, *, with_types: bool = True) -> list[Place]:
    """As activities from there tell of them; *with_types*: also what kind of channel it is."""
    places = []
    for conversation in api.teams.world.conversations.values():
        team = api.teams.world.team_of(conversation)
        places.append(
            Place(
                service_url=api.service_url,
                tenant_id=conversation.tenant,
                conversation=conversation.id,
                kind=conversation.kind,
                bot_id=api.bot_id,
                team=team.id if team else "",
                team_group=team.group_id if team else "",
                channel_type=conversation.channel_type if with_types else "",
                name=conversation.name,
            )
        )
    return places


class AllPlaces(InMemoryPlaces):
    """Has heard of every conversation there is."""

    def __init__(self, api: TeamsApi, *, with_types: bool = True) -> None:
        super().__init__()
        self._api = api
        self._with_types = with_types

    async def find(self, id: TeamsConversationId) -> Place | None:
        for place in all_places(self._api, with_types=self._with_types):
            if place.id == id:
                return place
        return None


@asynccontextmanager
async def a_bot(
    api: TeamsApi, directory: TeamsDirectory, *mounted: NotificationRoutes
) -> AsyncIterator[str]:
    """Passes activities on to *directory*, as the adapter does; gives its address."""

    async def take(request: web.Request) -> web.Response:
        await directory.changed(await request.json())
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/api/messages", take)
    for routes in mounted:
        routes.mount(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        api.bot_url = f"{url}/api/messages"
        yield url
    finally:
        await api.settled()
        await runner.cleanup()


@asynccontextmanager
async def a_teams(
    company: CompanyDirectory | None = None,
    rules: TeamsRules | None = None,
    *,
    cache: DirectoryCache | None = None,
    use_graph: bool = True,
) -> AsyncIterator[tuple[TeamsApi, TeamsDirectory]]:
    """Our tenant, empty but for the app, which has heard of every conversation there will be."""
    async with TeamsApi() as api:
        api.tenant(ENTRA)
        async with a_directory(api, company, rules, cache=cache, use_graph=use_graph) as directory:
            yield api, directory


@asynccontextmanager
async def a_directory(
    api: TeamsApi,
    company: CompanyDirectory | None = None,
    rules: TeamsRules | None = None,
    *,
    cache: DirectoryCache | None = None,
    places: Places | None = None,
    use_graph: bool = True,
    patience_s: float = 1.0,
) -> AsyncIterator[TeamsDirectory]:
    """*patience_s*: So long one call waits for Teams or Graph to be ready again."""
    tokens = BotTokens(
        api.app_id, ENTRA, Credentials(secret=api.app_password), login_url=api.login_url
    )
    session = connector_session()
    graph = Graph.open(tokens, base_url=api.graph_url)
    directory = TeamsDirectory(
        graph.of(patience_s=patience_s) if use_graph else None,
        TeamsOutbox(
            session, tokens, KnownHosts(["127.0.0.1"]), scope=BOT_SCOPE, patience_s=patience_s
        ),
        places or AllPlaces(api),
        cache or InMemoryDirectoryCache(),
        company or EmptyDirectory(),
        tenant=TENANT,
        rules=rules or TeamsRules(frozenset({ENTRA})),
    )
    try:
        yield directory
    finally:
        await directory.close()
        await graph.close()
        await session.close()
        await tokens.close()
