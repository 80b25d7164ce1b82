"""The composition root: settings become objects, and objects one application."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from adapters.settings import ConfigurationError, EmbeddingsProvider, Settings
from adapters.web.adapter import WebAdapter, WebOptions
from adapters.web.channel import WebChannel
from adapters.web.guard import WebAccess
from adapters.web.message_log import InMemoryMessageLogs, MessageLogs
from adapters.web.redis_logs import RedisMessageLogs
from bot.admins import Admins
from bot.answering import Answerer
from bot.audience import Audience
from bot.capture.redis_review import RedisReviewQueue
from bot.capture.review import InMemoryReviewQueue, ReviewQueue
from bot.channel import Channel
from bot.command_replies import CommandOptions, Commands
from bot.context import ContextReader
from bot.conversation import ConversationManager
from bot.directories import DirectoryByPlatform
from bot.directory import CompanyDirectory, Directory, EmptyDirectory
from bot.embedded_redis import EmbeddedRedis, url_of_running
from bot.errors import RedisNotInstalled
from bot.explaining import TokenPrices
from bot.forgetting import FORGET, ForgetHandler, Forgetting
from bot.inbox import Inbox, InMemoryInbox
from bot.overview import Overviews
from bot.preferences import Languages
from bot.recording import Recorder
from bot.records import InMemoryRecords, Records
from bot.redis_client import RedisClient, close_redis, open_redis
from bot.redis_inbox import RedisInbox
from bot.redis_records import RedisRecords
from bot.redis_state import RedisState
from bot.schedules import Schedule, Scheduler
from bot.state import InMemoryState, State
from bot.surroundings import Surroundings
from bot.turns import PRIVATE_TURN, TURN, PrivateTurnHandler, TurnHandler, TurnQueue
from bot.worker import Handler, Worker
from bot.yaml_directory import YamlDirectory
from retrieval import local_embedder
from retrieval.embedded_store import EmbeddedStore
from retrieval.errors import ShifuError
from retrieval.ingest.connectors import Connector
from retrieval.ingest.sync import Synchroniser
from retrieval.ingest.sync_report import OnProgress, SyncReport
from retrieval.local_embedder import LocalEmbedder
from retrieval.models import Embedder, LanguageModel
from retrieval.pipeline import AnswerPipeline
from retrieval.store import ChunkStore
from retrieval.types import Language

if TYPE_CHECKING:
    from adapters.slack_app import Slack
    from adapters.teams_app import Teams

log = structlog.get_logger()

_CLUSTER_PARTITIONS = 8
_READY_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What finding and answering needs, opened."""

    store: ChunkStore
    embedder: Embedder | None
    model: LanguageModel | None
    pipeline: AnswerPipeline
    answerer: Answerer

    @property
    def synchroniser(self) -> Synchroniser:
        return Synchroniser(self.store, self.embedder)

    async def ingest(self, connector: Connector, *, on_progress: OnProgress) -> SyncReport:
        """One source, text and vectors; raises as `Synchroniser.sync` does."""
        report = await self.synchroniser.sync(connector, on_progress=on_progress)
        await self.synchroniser.embed_missing(on_progress=on_progress)
        return report


@dataclass(frozen=True, slots=True)
class Conversations:
    """What talking with people needs on top."""

    directory: Directory
    state: State
    inbox: Inbox
    records: Records
    review: ReviewQueue
    languages: Languages
    forgetting: Forgetting
    overviews: Overviews
    web_logs: MessageLogs
    manager: ConversationManager
    channels: Mapping[str, Channel]
    queue: TurnQueue
    audience: Audience
    redis: RedisClient | None
    slack: "Slack | None"
    teams: "Teams | None"


@asynccontextmanager
async def open_knowledge(
    settings: Settings, *, store_folder: Path | None = None
) -> AsyncIterator[Knowledge]:
    """
    Opens the store and the models, and closes them afterwards.

    Args:
        store_folder: Another store than the settings name, for a throw-away one.

    Raises:
        ConfigurationError: If a setting cannot be met.
        StoreError: If the store cannot be opened.
    """
    async with AsyncExitStack() as open_things:
        embedder = await _embedder(settings, open_things)
        embedder_name = embedder.name if embedder else None
        store = await open_store(settings, embedder_name, folder=store_folder)
        open_things.push_async_callback(store.close)
        model = await _model(settings, open_things)
        pipeline = AnswerPipeline(
            store, embedder=embedder, model=model, model_timeout_s=settings.model.timeout_s
        )
        yield Knowledge(store, embedder, model, pipeline, Answerer(pipeline, store, model))


@asynccontextmanager
async def open_embedder(settings: Settings) -> AsyncIterator[Embedder | None]:
    """
    The embedder alone, for moving a store.

    Raises:
        ConfigurationError: If a setting cannot be met.
    """
    async with AsyncExitStack() as open_things:
        yield await _embedder(settings, open_things)


async def open_store(
    settings: Settings, embedder_name: str | None, *, folder: Path | None = None
) -> ChunkStore:
    """
    Weaviate if it is set and no *folder* is given, else the embedded store.

    Raises:
        StoreError: If it cannot be opened.
    """
    weaviate = settings.weaviate
    if weaviate.url is None or folder is not None:
        return await EmbeddedStore.open(
            folder or settings.store_folder, embedder_name=embedder_name
        )
    # Here, since it takes a second to import, which nobody without Weaviate should wait for.
    from retrieval.weaviate_store import WeaviateStore

    return await WeaviateStore.open(
        url=weaviate.url,
        grpc_url=weaviate.grpc_url,
        api_key=weaviate.api_key.get_secret_value() or None,
        tenant=settings.tenant,
        embedder_name=embedder_name,
        timeout_s=weaviate.timeout_s,
        replicas=weaviate.replicas,
    )


@asynccontextmanager
async def open_conversations(
    settings: Settings, knowledge: Knowledge, *, may_forget: bool = False
) -> AsyncIterator[Conversations]:
    """
    Opens the directory and Redis.

    Args:
        may_forget: Without any Redis server, go on with what lives and dies with this process.

    Raises:
        ConfigurationError: If no directory is set.
        DirectoryUnavailable: If the directory's file is broken.
        StateUnavailable: If Redis cannot be had.
    """
    async with AsyncExitStack() as open_things:
        company = await asyncio.to_thread(open_directory, settings)
        url = _redis_url(settings, open_things, may_forget=may_forget)
        state = await _state(settings, url, open_things)
        redis: RedisClient | None = None
        inbox: Inbox = InMemoryInbox()
        records: Records = InMemoryRecords()
        review: ReviewQueue = InMemoryReviewQueue()
        web_logs: MessageLogs = InMemoryMessageLogs()
        if url is not None:
            inbox = await open_things.enter_async_context(_redis_inbox(settings, url))
            redis = open_redis(url)
            open_things.push_async_callback(close_redis, redis)
            records = RedisRecords(redis, tenant=settings.tenant)
            review = RedisReviewQueue(redis, tenant=settings.tenant)
            web_logs = RedisMessageLogs(redis, tenant=settings.tenant)
            open_things.push_async_callback(web_logs.close)
        directories: dict[str, Directory] = {}
        channels: dict[str, Channel] = {"web": WebChannel(web_logs)}
        surroundings: dict[str, Surroundings] = {}
        slack: Slack | None = None
        teams: Teams | None = None
        if settings.has_slack:
            # Here, since nobody without Slack should wait for its import.
            from adapters.slack_app import open_slack

            slack = await open_things.enter_async_context(
                open_slack(settings, redis, state, company)
            )
            directories["slack"] = slack.directory
            channels["slack"], surroundings["slack"] = slack.channel, slack.surroundings
        if settings.has_teams:
            from adapters.teams_app import open_teams

            teams = await open_things.enter_async_context(open_teams(settings, redis, company))
            directories["teams"], channels["teams"] = teams.directory, teams.channel
        directory = DirectoryByPlatform(company, directories) if directories else company
        audience, languages = Audience(directory), Languages(state)
        if teams is not None:
            surroundings["teams"] = teams.surroundings(audience)
        kept_of_people = [teams.personal_cards] if teams is not None else []
        forgetting = Forgetting(state, records, inbox, kept_of_people)
        admins = Admins(directory, settings.admins)
        commands = Commands(
            audience=audience,
            store=knowledge.store,
            state=state,
            records=records,
            inbox=inbox,
            forgetting=forgetting,
            admins=admins,
            options=_command_options(settings, knowledge.model),
        )
        overviews = Overviews(
            directory=directory,
            audience=audience,
            store=knowledge.store,
            state=state,
            records=records,
            inbox=inbox,
            review=review,
            admins=admins,
        )
        manager = ConversationManager(
            answerer=knowledge.answerer,
            audience=audience,
            store=knowledge.store,
            state=state,
            languages=languages,
            commands=commands,
            recorder=Recorder(records),
            context=ContextReader(surroundings),
            turn_timeout_s=settings.turn_timeout_s,
            questions_per_minute=settings.questions_per_minute,
        )
        queue = TurnQueue(inbox, channels, languages, busy_above=settings.work.busy_above)
        open_things.push_async_callback(queue.close)
        if teams is not None:
            teams.stop_with(queue)
        yield Conversations(
            directory,
            state,
            inbox,
            records,
            review,
            languages,
            forgetting,
            overviews,
            web_logs,
            manager,
            channels,
            queue,
            audience,
            redis,
            slack,
            teams,
        )


@asynccontextmanager
async def open_inbox(settings: Settings) -> AsyncIterator[Inbox]:
    """
    The queue alone, to look at and to mend.

    Raises:
        StateUnavailable: If Redis cannot be had.
    """
    async with AsyncExitStack() as open_things:
        url = _running_redis_url(settings, open_things)
        yield await open_things.enter_async_context(_redis_inbox(settings, url))


@asynccontextmanager
async def open_redis_alone(settings: Settings) -> AsyncIterator[RedisClient]:
    """
    For looking at what is in it.

    Raises:
        StateUnavailable: If Redis cannot be had.
    """
    async with AsyncExitStack() as open_things:
        redis = open_redis(_running_redis_url(settings, open_things))
        open_things.push_async_callback(close_redis, redis)
        yield redis


@asynccontextmanager
async def working(
    settings: Settings,
    conversations: Conversations,
    *,
    jobs: Mapping[str, Handler],
    schedules: Sequence[Schedule],
    idle_wait_s: float = 1.0,
) -> AsyncIterator[asyncio.Task[None]]:
    """
    Meanwhile, what is in the inbox is answered and done, in the task that is given: should it end,
    that is a failure. Afterwards what is at work is finished, or put back for whoever comes next.

    Args:
        idle_wait_s: How long one look at an empty inbox takes; the end waits for the last one.
    """
    inbox, channels = conversations.inbox, conversations.channels
    worker = Worker(
        inbox,
        {
            TURN: TurnHandler(inbox, conversations.manager, channels),
            PRIVATE_TURN: PrivateTurnHandler(conversations.manager, channels),
            FORGET: ForgetHandler(conversations.forgetting),
            **jobs,
        },
        slots=settings.work.slots,
        max_tries=settings.work.max_tries,
        idle_wait_s=idle_wait_s,
    )
    running = asyncio.create_task(_together(worker.run(), Scheduler(inbox, schedules).run()))
    try:
        yield running
    finally:
        await worker.stop(within_s=settings.work.drain_s)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _together(*works: Coroutine[object, object, None]) -> None:
    """Should one fail, so do all."""
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)


def open_directory(settings: Settings) -> CompanyDirectory:
    path = settings.directory.path
    if path is None and (settings.has_slack or settings.has_teams):
        return EmptyDirectory()
    if path is None:
        raise ConfigurationError(
            "SHIFU_DIRECTORY__PATH: not set, so nobody is known; "
            "for example SHIFU_DIRECTORY__PATH=examples/company/people.yaml"
        )
    return YamlDirectory.load(path, settings.tenant)


def web_application(
    settings: Settings,
    knowledge: Knowledge,
    conversations: Conversations,
    *,
    suggestions: Mapping[Language, Sequence[str]],
) -> web.Application:
    """The web chat, and whether we live and are ready."""
    adapter = WebAdapter(
        accept=conversations.queue.accept,
        stop=conversations.queue.stop,
        logs=conversations.web_logs,
        directory=conversations.directory,
        store_fetch=knowledge.store.fetch,
        state=conversations.state,
        tenant=settings.tenant,
        access=WebAccess(
            mode=settings.web.mode,
            listen_host=settings.web.host,
            user_header=settings.web.user_header,
            trusted_proxies=settings.web.trusted_proxies,
            public_origins=settings.web.public_origins,
            frame_ancestors=settings.web.frame_ancestors,
        ),
        options=WebOptions(
            suggestions=suggestions, questions_per_minute=settings.questions_per_minute
        ),
    )

    app = health_application(knowledge, conversations)
    adapter.mount(app)
    return app


def health_application(knowledge: Knowledge, conversations: Conversations) -> web.Application:
    """Whether this process lives (`/healthz`), and whether all that it needs answers (`/readyz`)."""

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(_: web.Request) -> web.Response:
        failing = await _failing(knowledge, conversations)
        return web.json_response(
            {"status": "unavailable" if failing else "ok", "failing": failing},
            status=503 if failing else 200,
        )

    app = web.Application()
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
    return app


async def _failing(knowledge: Knowledge, conversations: Conversations) -> list[str]:
    """What does not answer within the deadline, which is shorter than that of those who ask."""

    async def fails(name: str, question: Awaitable[object]) -> str | None:
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                await question
        except (ShifuError, TimeoutError):
            log.warning("ready.failing", part=name)
            return name
        return None

    found = await asyncio.gather(
        fails("store", knowledge.store.counts()),
        fails("redis", conversations.state.check()),
        fails("directory", conversations.directory.people()),
    )
    return [name for name in found if name]


async def _embedder(settings: Settings, open_things: AsyncExitStack) -> Embedder | None:
    provider = settings.embeddings.provider
    if provider is EmbeddingsProvider.AUTO:
        is_here = local_embedder.is_installed()
        provider = EmbeddingsProvider.LOCAL if is_here else EmbeddingsProvider.NONE
    if provider is EmbeddingsProvider.LOCAL:
        if not local_embedder.is_installed():
            raise ConfigurationError(
                "SHIFU_EMBEDDINGS__PROVIDER: 'local' needs the extra: pip install 'shifu-assistant[local]'"
            )
        embedder = LocalEmbedder()
        # Beside everything else that is opened; who needs it first waits for the rest of it.
        loading = asyncio.create_task(embedder.load())
        open_things.push_async_callback(_ended, loading)
        return embedder
    if provider is EmbeddingsProvider.OPENAI:
        from retrieval.openai_client import open_client
        from retrieval.openai_models import OpenAIEmbedder

        client = open_client(
            settings.embeddings.base_url, settings.embeddings_key, setting="SHIFU_EMBEDDINGS"
        )
        open_things.push_async_callback(client.close)
        return OpenAIEmbedder(client, model=settings.embeddings.name, setting="SHIFU_EMBEDDINGS")
    return None


async def _model(settings: Settings, open_things: AsyncExitStack) -> LanguageModel | None:
    if not settings.has_model:
        return None
    # Here, since it takes a second to import, which nobody without a model should wait for.
    from retrieval.openai_client import only_model, open_client
    from retrieval.openai_models import OpenAIModel

    client = open_client(
        settings.model.base_url, settings.model_key, timeout_s=settings.model.timeout_s
    )
    open_things.push_async_callback(client.close)
    name: str | None = settings.model.name
    if settings.model.base_url is not None and "name" not in settings.model.model_fields_set:
        # A server of one's own usually serves one model, by a name nobody should have to look up.
        name = await only_model(client)
    return OpenAIModel(client, model=name or settings.model.name)


def _command_options(settings: Settings, model: LanguageModel | None) -> CommandOptions:
    prompt, completion = settings.model.input_price, settings.model.output_price
    prices = None if prompt is None or completion is None else TokenPrices(prompt, completion)
    return CommandOptions(
        model=model.name if model else None,
        prices=prices,
        # Teams opens a menu of its own where a slash is typed.
        prefixes={"slack": "/shifu ", "teams": ""},
        private_ask={"slack": "/ask"},
    )


def _running_redis_url(settings: Settings, open_things: AsyncExitStack) -> str:
    """Of the one that another process of ours has started, too."""
    url = url_of_running(settings.redis_folder) if settings.redis.url is None else None
    url = url or _redis_url(settings, open_things, may_forget=False)
    assert url is not None
    return url


def _redis_url(settings: Settings, open_things: AsyncExitStack, *, may_forget: bool) -> str | None:
    """Of the Redis that is set, else of our own, started here; None to go on without any."""
    if settings.redis.url is not None:
        return settings.redis.url.get_secret_value()
    own = EmbeddedRedis(settings.redis_folder)
    try:
        # On the main thread: the server ends with the thread that started it.
        own.start()
    except RedisNotInstalled:
        if not may_forget:
            raise
        log.warning("redis.not_installed_nothing_survives_a_restart")
        return None
    open_things.callback(own.stop)
    return own.url


async def _state(settings: Settings, url: str | None, open_things: AsyncExitStack) -> State:
    if url is None:
        return InMemoryState(session_ttl_s=settings.redis.session_ttl_s)
    state = RedisState(
        open_redis(url), tenant=settings.tenant, session_ttl_s=settings.redis.session_ttl_s
    )
    open_things.push_async_callback(state.close)
    await state.check()
    return state


@asynccontextmanager
async def _redis_inbox(settings: Settings, url: str) -> AsyncIterator[Inbox]:
    # Spread over the servers of a Cluster; elsewhere one partition is the cheapest.
    is_cluster = url.partition("://")[0].endswith("+cluster")
    inbox = RedisInbox(
        open_redis(url),
        tenant=settings.tenant,
        partitions=_CLUSTER_PARTITIONS if is_cluster else 1,
    )
    try:
        yield inbox
    finally:
        await inbox.close()


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for *task*; what it failed of is told to whoever uses what it prepares."""
    await asyncio.gather(task, return_exceptions=True)
