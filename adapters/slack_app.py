"""The composition root's part for Slack: settings become its objects."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from adapters.chat.directory_cache import (
    DirectoryCache,
    InMemoryDirectoryCache,
    RedisDirectoryCache,
)
from adapters.chat.origins import InMemoryOrigins, Origins, RedisOrigins
from adapters.chat.threads import InMemoryThreads, RedisThreads, Threads
from adapters.settings import ConfigurationError, Settings
from adapters.slack.actions import ActionRoutes
from adapters.slack.adapter import SlackAdapter
from adapters.slack.asking import SlackAsking
from adapters.slack.authorize import authorize_from, forget_uninstalled
from adapters.slack.channel import SlackChannel
from adapters.slack.client import SlackApi, SlackClients
from adapters.slack.commands import CommandRoutes
from adapters.slack.directory import SlackDirectory, SlackRules
from adapters.slack.events import EventRoutes
from adapters.slack.home import HomeTab
from adapters.slack.index_jobs import index_handlers
from adapters.slack.index_work import IndexWork
from adapters.slack.indexing import Indexing
from adapters.slack.installations import Installations
from adapters.slack.languages import SlackLanguages
from adapters.slack.oauth import OAuthOptions, SlackInstaller
from adapters.slack.origin import Origin
from adapters.slack.permissions import scopes
from adapters.slack.prompts import Prompts
from adapters.slack.redis_login_states import RedisLoginStates
from adapters.slack.redis_thread_ledger import RedisThreadLedger
from adapters.slack.sharing import ShareRoutes
from adapters.slack.shortcuts import ShortcutRoutes
from adapters.slack.surroundings import SlackSurroundings
from adapters.slack.thread_ledger import InMemoryThreadLedger, ThreadLedger
from adapters.slack_setup import slack_installations, slack_opt_ins
from bot.directory import CompanyDirectory
from bot.given_answers import GivenAnswers
from bot.redis_client import RedisClient
from bot.state import State
from bot.suggestions import Suggestions
from bot.worker import Handler

if TYPE_CHECKING:
    from adapters.app import Conversations, Knowledge


@dataclass(frozen=True, slots=True)
class Slack:
    """What both need: whoever takes events in, and whoever answers."""

    api: SlackApi
    installations: Installations
    clients: SlackClients
    origins: Origins[Origin]
    threads: Threads
    ledger: ThreadLedger
    directory: SlackDirectory
    channel: SlackChannel
    surroundings: SlackSurroundings


@asynccontextmanager
async def open_slack(
    settings: Settings, redis: RedisClient | None, state: State, company: CompanyDirectory
) -> AsyncIterator[Slack]:
    """
    Nothing is asked of Slack before the first event.

    Args:
        redis: None: what is kept lives and dies with this process.

    Raises:
        ConfigurationError: If a setting cannot be met.
    """
    slack, tenant = settings.slack, settings.tenant
    api = SlackApi(settings.slack_api_url)
    installations = slack_installations(settings, api, redis)
    clients = SlackClients(api, installations)
    origins: Origins[Origin] = InMemoryOrigins()
    threads: Threads = InMemoryThreads()
    ledger: ThreadLedger = InMemoryThreadLedger()
    cache: DirectoryCache = InMemoryDirectoryCache()
    if redis is not None:
        origins = RedisOrigins(redis, Origin, tenant=tenant, platform="slack")
        threads = RedisThreads(redis, tenant=tenant, platform="slack")
        ledger = RedisThreadLedger(redis, tenant=tenant)
        cache = RedisDirectoryCache(redis, tenant=tenant, platform="slack")
    rules = SlackRules(
        teams=frozenset(slack.teams),
        members_are_employees=slack.members_are_employees,
        match_email=slack.match_email,
        user_groups=frozenset(slack.user_groups),
        members_only_channels=frozenset(slack.members_only_channels),
        index_channels=frozenset(slack.index_channels),
    )
    directory = SlackDirectory(clients, cache, company, tenant=tenant, rules=rules)
    channel = SlackChannel(clients, origins, state, streaming=slack.streaming)
    try:
        yield Slack(
            api=api,
            installations=installations,
            clients=clients,
            origins=origins,
            threads=threads,
            ledger=ledger,
            directory=directory,
            channel=channel,
            surroundings=SlackSurroundings(
                clients, origins, base_url=api.base_url, live_search=slack.live_search
            ),
        )
    finally:
        await channel.close()
        await directory.close()
        await clients.close()


def taking_in(
    settings: Settings,
    knowledge: "Knowledge",
    conversations: "Conversations",
    slack: Slack,
    app: web.Application,
) -> AbstractAsyncContextManager[None]:
    """
    Puts the routes on *app*; within what is given, events come over Socket Mode too, if that is set.

    Raises:
        ConfigurationError: If no way is set on which events could come.
    """
    if not settings.slack_app_token and not settings.slack_signing_secret:
        raise ConfigurationError(
            "SHIFU_SLACK__APP_TOKEN, SHIFU_SLACK__SIGNING_SECRET: set one of them, so that events can come: "
            "the first for Socket Mode, the second for HTTP; docs/slack.md says where to find them"
        )
    indexing = _indexing(settings, conversations, slack)
    adapter = _adapter(settings, knowledge, conversations, slack, indexing)
    adapter.mount(app)
    _mount_installer(app, settings, conversations, slack)
    return _listening(adapter, indexing, settings.slack_app_token)


@asynccontextmanager
async def _listening(
    adapter: SlackAdapter, indexing: Indexing, app_token: str
) -> AsyncIterator[None]:
    async with AsyncExitStack() as open_things:
        open_things.push_async_callback(adapter.close)
        # Which channels are approved may have changed while we were away.
        await indexing.order_review()
        if app_token:
            await open_things.enter_async_context(adapter.connected(app_token))
        yield


def slack_jobs(
    settings: Settings, knowledge: "Knowledge", conversations: "Conversations", slack: Slack
) -> Mapping[str, Handler]:
    """What a worker does for the channels whose threads are documents."""
    work = IndexWork(
        _indexing(settings, conversations, slack),
        slack.clients,
        knowledge.store,
        knowledge.embedder,
        tenant=settings.tenant,
    )
    return index_handlers(work)


def _adapter(
    settings: Settings,
    knowledge: "Knowledge",
    conversations: "Conversations",
    slack: Slack,
    indexing: Indexing,
) -> SlackAdapter:
    tenant, clients = settings.tenant, slack.clients
    state, records = conversations.state, conversations.records
    queue, audience = conversations.queue, conversations.audience
    languages = SlackLanguages(conversations.languages.chosen_by, clients, tenant=tenant)
    asking = SlackAsking(
        queue.accept, queue.stop, clients, slack.origins, slack.threads, tenant=tenant
    )
    suggestions = Suggestions(knowledge.pipeline, audience, slack.directory, records)
    home = HomeTab(
        clients, languages, conversations.overviews, suggestions, state, asking, tenant=tenant
    )
    answers = GivenAnswers(records, audience, knowledge.store)

    async def gone(body: Mapping[str, object]) -> None:
        await forget_uninstalled(slack.installations, body)

    return SlackAdapter(
        events=EventRoutes(
            asking,
            clients,
            languages,
            home,
            Prompts(clients, languages, suggestions, tenant=tenant),
            changed=slack.directory.changed,
            indexed=indexing.seen,
            gone=gone,
            follow_channels=settings.slack.follow_channels,
        ),
        commands=CommandRoutes(asking, languages),
        actions=ActionRoutes(asking, clients, languages, state, answers, tenant=tenant),
        sharing=ShareRoutes(asking, clients, languages, slack.origins, answers, tenant=tenant),
        shortcuts=ShortcutRoutes(
            asking, clients, languages, state, records, conversations.review, tenant=tenant
        ),
        home=home,
        authorize=authorize_from(slack.installations, teams=settings.slack.teams),
        client=slack.api.client(None),
        signing_secret=settings.slack_signing_secret,
    )


def _indexing(settings: Settings, conversations: "Conversations", slack: Slack) -> Indexing:
    channels = settings.slack.index_channels
    return Indexing(slack.ledger, conversations.inbox, channels=channels)


def _mount_installer(
    app: web.Application, settings: Settings, conversations: "Conversations", slack: Slack
) -> None:
    """Where further workspaces install the app, if it is set up for that."""
    if not settings.slack.client_id or conversations.redis is None:
        return
    SlackInstaller(
        slack.api,
        slack.installations,
        login_states=RedisLoginStates(conversations.redis, tenant=settings.tenant),
        state=conversations.state,
        options=OAuthOptions(
            client_id=settings.slack.client_id,
            client_secret=settings.slack.client_secret.get_secret_value(),
            scopes=[scope.name for scope in scopes(slack_opt_ins(settings))],
            teams=settings.slack.teams,
        ),
    ).mount(app)
