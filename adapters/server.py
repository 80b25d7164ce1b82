"""Serves the web chat, or works without it, until told to stop."""

import asyncio
import errno
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import TypeVar

import structlog
from aiohttp import web

from adapters.app import (
    Conversations,
    Knowledge,
    health_application,
    open_conversations,
    open_knowledge,
    web_application,
    working,
)
from adapters.jobs import SYNC, SyncHandler, schedules
from adapters.queue import state_json
from adapters.settings import ConfigurationError, Settings
from bot.errors import StateUnavailable
from bot.worker import Handler
from retrieval.errors import StoreUnavailable
from retrieval.types import Language

log = structlog.get_logger()

T = TypeVar("T")
Suggestions = Mapping[Language, Sequence[str]]

_START_PATIENCE_S = 60.0


async def serve(
    settings: Settings,
    *,
    on_ready: Callable[[str], None],
    suggestions: Suggestions | None = None,
    may_forget: bool = False,
    prepare: Callable[[Knowledge], Awaitable[None]] | None = None,
) -> None:
    """
    Until SIGINT or SIGTERM; running answers are finished first, or put back.

    Args:
        prepare: Done before anything is served; Ctrl-C breaks it off.
        on_ready: Called with the page's address once it answers.
        may_forget: See `open_conversations`.

    Raises:
        ConfigurationError: If the port cannot be had.
    """
    async with AsyncExitStack() as open_things:
        knowledge = await _opened(lambda: open_knowledge(settings), settings, open_things)
        if prepare is not None:
            await prepare(knowledge)
        conversations = await _opened(
            lambda: open_conversations(settings, knowledge, may_forget=may_forget),
            settings,
            open_things,
        )
        stop = _stop_signal()
        app = web_application(settings, knowledge, conversations, suggestions=suggestions or {})
        slack = _slack(settings, knowledge, conversations, app)
        teams = _teams(settings, knowledge, conversations, app)
        host, port = settings.web.host, settings.web.port
        async with _listening(app, host, port, setting="SHIFU_WEB") as address, slack, teams:
            if settings.work.in_serve or may_forget:
                async with _working(settings, knowledge, conversations) as running:
                    on_ready(address)
                    await _until(stop, running)
            else:
                on_ready(address)
                await stop.wait()


async def work(settings: Settings, *, on_ready: Callable[[str], None]) -> None:
    """
    Answer and do what is in the inbox, without a page, until SIGINT or SIGTERM.

    Args:
        on_ready: Called with the address of the health checks.

    Raises:
        ConfigurationError: If the port cannot be had.
    """
    async with AsyncExitStack() as open_things:
        knowledge = await _opened(lambda: open_knowledge(settings), settings, open_things)
        conversations = await _opened(
            lambda: open_conversations(settings, knowledge), settings, open_things
        )
        stop = _stop_signal()
        app = health_application(knowledge, conversations)

        async def queue(_: web.Request) -> web.Response:
            return await _queue(conversations)

        app.router.add_get("/queue", queue)
        host, port = settings.web.host, settings.work.port
        async with (
            _listening(app, host, port, setting="SHIFU_WORK") as address,
            _working(settings, knowledge, conversations) as running,
        ):
            on_ready(address)
            await _until(stop, running)


async def _opened(
    open_: Callable[[], AbstractAsyncContextManager[T]],
    settings: Settings,
    open_things: AsyncExitStack,
) -> T:
    """What *open_* opens; servers elsewhere get a while to come back, as when all start together."""
    is_elsewhere = settings.redis.url is not None or settings.weaviate.url is not None
    deadline = time.monotonic() + (_START_PATIENCE_S if is_elsewhere else 0)
    while True:
        try:
            return await open_things.enter_async_context(open_())
        except (StateUnavailable, StoreUnavailable) as error:
            if time.monotonic() > deadline:
                raise
            log.warning("start.waiting", reason=str(error))
            await asyncio.sleep(1)


def _slack(
    settings: Settings, knowledge: Knowledge, conversations: Conversations, app: web.Application
) -> AbstractAsyncContextManager[None]:
    """Its routes on *app*; meanwhile what people do in Slack is taken in."""
    if conversations.slack is None:
        return nullcontext()
    from adapters.slack_app import taking_in

    return taking_in(settings, knowledge, conversations, conversations.slack, app)


def _teams(
    settings: Settings, knowledge: Knowledge, conversations: Conversations, app: web.Application
) -> AbstractAsyncContextManager[None]:
    """As `_slack`."""
    if conversations.teams is None:
        return nullcontext()
    from adapters.teams_app import taking_in

    return taking_in(settings, knowledge, conversations, conversations.teams, app)


def _working(
    settings: Settings, knowledge: Knowledge, conversations: Conversations
) -> AbstractAsyncContextManager[asyncio.Task[None]]:
    jobs: dict[str, Handler] = {SYNC: SyncHandler(settings, knowledge)}
    if conversations.slack is not None:
        from adapters.slack_app import slack_jobs

        jobs |= slack_jobs(settings, knowledge, conversations, conversations.slack)
    due = schedules(settings)
    if conversations.teams is not None:
        from adapters.teams_app import teams_jobs, teams_schedules
        from adapters.teams_ingestion import ingestion_jobs, ingestion_schedules

        teams = conversations.teams
        jobs |= teams_jobs(teams)
        jobs |= ingestion_jobs(teams, knowledge, conversations)
        due += [*teams_schedules(teams), *ingestion_schedules(teams)]
    return working(settings, conversations, jobs=jobs, schedules=due)


def _stop_signal() -> asyncio.Event:
    """Set by SIGINT and SIGTERM, which until now have ended us at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop.set)
    return stop


async def _until(stop: asyncio.Event, running: asyncio.Task[None]) -> None:
    """A process whose worker has failed must end, or its questions would wait for nobody."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if running.done():
        running.result()


async def _queue(conversations: Conversations) -> web.Response:
    try:
        return web.json_response(state_json(await conversations.inbox.state()))
    except StateUnavailable:
        return web.json_response({"status": "unavailable"}, status=503)


@asynccontextmanager
async def _listening(
    app: web.Application, host: str, port: int, *, setting: str
) -> AsyncIterator[str]:
    """The address at which *app* answers meanwhile."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
    await runner.setup()
    try:
        await _listen(runner, host, port, setting=setting)
        yield _address(runner, host, port)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, *, setting: str) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"port {port} is in use; take another, for example {setting}__PORT={port + 1}"
        elif error.errno == errno.EACCES:
            reason = f"port {port} may not be used by this user; take one above 1023"
        else:
            raise ConfigurationError(
                f"SHIFU_WEB__HOST: cannot listen on {host!r}; for example SHIFU_WEB__HOST=127.0.0.1"
            ) from error
        raise ConfigurationError(f"{setting}__PORT: {reason}") from error


def _address(runner: web.AppRunner, host: str, port: int) -> str:
    port = runner.addresses[0][1] if runner.addresses else port
    return f"http://{'localhost' if host in ('127.0.0.1', '::1') else host}:{port}/"
