"""Serves the web chat until told to stop."""

import asyncio
import errno
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web

from adapters.app import Knowledge, open_conversations, open_knowledge, web_application
from adapters.settings import ConfigurationError, Settings
from retrieval.types import Language

Suggestions = Mapping[Language, Sequence[str]]


async def serve(
    settings: Settings,
    *,
    on_ready: Callable[[str], None],
    suggestions: Suggestions | None = None,
    may_forget: bool = False,
    prepare: Callable[[Knowledge], Awaitable[None]] | None = None,
) -> None:
    """
    Until SIGINT or SIGTERM; running answers are finished or handed an apology first.

    Args:
        prepare: Done before anything is served; Ctrl-C breaks it off.
        on_ready: Called with the page's address once it answers.
        may_forget: See `open_conversations`.

    Raises:
        ConfigurationError: If the port cannot be had.
    """
    async with open_knowledge(settings) as knowledge:
        if prepare is not None:
            await prepare(knowledge)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signal_number, stop.set)
        async with open_conversations(settings, knowledge, may_forget=may_forget) as conversations:
            app = web_application(settings, knowledge, conversations, suggestions=suggestions or {})
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
            await runner.setup()
            try:
                await _listen(runner, settings)
                on_ready(_address(runner, settings))
                await stop.wait()
            finally:
                await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: Settings) -> None:
    host, port = settings.web.host, settings.web.port
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"port {port} is in use; take another, for example SHIFU_WEB__PORT={port + 1}"
        elif error.errno == errno.EACCES:
            reason = f"port {port} may not be used by this user; take one above 1023"
        else:
            raise ConfigurationError(
                f"SHIFU_WEB__HOST: cannot listen on {host!r}; for example SHIFU_WEB__HOST=127.0.0.1"
            ) from error
        raise ConfigurationError(f"SHIFU_WEB__PORT: {reason}") from error


def _address(runner: web.AppRunner, settings: Settings) -> str:
    port = runner.addresses[0][1] if runner.addresses else settings.web.port
    host = settings.web.host
    return f"http://{'localhost' if host in ('127.0.0.1', '::1') else host}:{port}/"
