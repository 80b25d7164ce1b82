"""Slack's events, commands, buttons and modals, by HTTP or by Socket Mode, to the same listeners."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.actions import ActionRoutes
from adapters.slack.client import SLACK_FAILURES, slack_error, what_failed
from adapters.slack.commands import CommandRoutes
from adapters.slack.events import EventRoutes
from adapters.slack.home import HomeTab
from adapters.slack.manifest import EVENTS_PATH
from adapters.slack.sharing import ShareRoutes
from adapters.slack.shortcuts import ShortcutRoutes

log = structlog.get_logger()

_ANY = re.compile(".*", re.DOTALL)
_PING_S = 5.0
_CONNECT_TIMEOUT_S, _RECONNECT_S = 15.0, 2.0
_LOOK_S, _MISSES = 0.5, 6
_REFUSED, _REFUSED_S = frozenset({"invalid_auth", "not_authed", "not_allowed_token_type"}), 60.0
_MAX_BODY_BYTES = 3 * 2**20

Authorize = Callable[..., Awaitable[AuthorizeResult | None]]


class SlackAdapter:
    """
    What arrives is put into the inbox before it is acknowledged: what cannot be kept is not
    acknowledged, and Slack delivers it again.

    Args:
        authorize: Bolt's function that finds the installation an event is for.
        client: Asks for sockets; its base URL is the one of all calls.
        signing_secret: Empty where events come over Socket Mode alone.
    """

    def __init__(
        self,
        *,
        events: EventRoutes,
        commands: CommandRoutes,
        actions: ActionRoutes,
        sharing: ShareRoutes,
        shortcuts: ShortcutRoutes,
        home: HomeTab,
        authorize: Authorize,
        client: AsyncWebClient,
        signing_secret: str,
    ) -> None:
        self._client = client
        self._has_secret = bool(signing_secret)
        self._routes = (events, commands, actions, sharing, shortcuts, home)
        self._bolt = AsyncApp(
            name="shifu",
            logger=_silent("shifu.slack.bolt"),
            client=client,
            signing_secret=signing_secret or "unused",
            authorize=authorize,  # type: ignore[arg-type]
            # The listener first, then the acknowledgement: Bolt's own order loses what it fails to keep.
            process_before_response=True,
            attaching_conversation_kwargs_enabled=False,
        )
        for routes in self._routes:
            routes.register(self._bolt)
        # What nobody listens to would be answered as unknown, and delivered again.
        for register in (self._bolt.event, self._bolt.action, self._bolt.shortcut):
            register(_ANY)(_acknowledge)
        self._bolt.view(_ANY)(_acknowledge)
        self._bolt.command(_ANY)(_acknowledge)
        self._bolt.error(_tell)

    def mount(self, app: web.Application) -> None:
        """Take events by HTTP; without a signing secret nobody's are believed."""
        if self._has_secret:
            app.router.add_post(EVENTS_PATH, self._receive)

    @asynccontextmanager
    async def connected(self, app_token: str) -> AsyncIterator[None]:
        """Meanwhile events come over Socket Mode; a connection that is lost is made again."""
        connecting = asyncio.create_task(self._connect(app_token))
        try:
            yield
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    async def close(self) -> None:
        """Finish what goes on beside the answers: modals, the home tab."""
        for routes in self._routes:
            await routes.close()

    async def _receive(self, request: web.Request) -> web.Response:
        if (request.content_length or 0) > _MAX_BODY_BYTES:
            return web.Response(status=413)
        try:
            bolt_request = await to_bolt_request(request)
        except (ValueError, AttributeError, TypeError):
            # It is parsed before the signature is looked at, so anybody may send anything.
            return web.Response(status=400)
        response = await self._bolt.async_dispatch(bolt_request)
        if response.status == 401:
            log.warning("slack.not_signed", size_bytes=request.content_length)
        return await to_aiohttp_response(response)

    async def _connect(self, app_token: str) -> None:
        """
        The SDK's own way of connecting again tries an address for ever that Slack takes only once: a
        connection that is lost is replaced by a new client.
        """
        while True:
            handler = AsyncSocketModeHandler(
                self._bolt,
                app_token,
                logger=_silent("shifu.slack.socket"),
                web_client=self._client,
                ping_interval=_PING_S,
            )
            client = handler.client
            client.default_auto_reconnect_enabled = client.auto_reconnect_enabled = False
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    await client.connect_to_new_endpoint()
                log.info("slack.socket", connected=True)
                await self._until_lost(client)
                log.warning("slack.socket", connected=False)
            except SLACK_FAILURES as error:
                is_refused = slack_error(error) in _REFUSED
                tell = log.error if is_refused else log.warning
                tell("slack.socket_not_connected", reason=what_failed(error))
                await asyncio.sleep(_REFUSED_S if is_refused else _RECONNECT_S)
            except Exception:
                # Whatever it is: without a connection nobody hears us.
                log.exception("slack.socket_failed")
                await asyncio.sleep(_RECONNECT_S)
            finally:
                with suppress(*SLACK_FAILURES):
                    await client.close()  # type: ignore[no-untyped-call]

    async def _until_lost(self, client: SocketModeClient) -> None:
        # Slack asks for a new connection every few hours, between which and the old one is a gap.
        misses = 0
        while misses < _MISSES:
            await asyncio.sleep(_LOOK_S)
            misses = 0 if await client.is_connected() else misses + 1


async def _acknowledge(ack: Callable[[], Awaitable[object]]) -> None:
    await ack()


async def _tell(error: Exception) -> None:
    """A listener failed: what it was about is not acknowledged, and never logged."""
    if isinstance(error, TimeoutError):
        log.warning("slack.not_accepted", error="TimeoutError")
    else:
        log.warning("slack.not_accepted", error=type(error).__name__, exc_info=error)


def _silent(name: str) -> logging.Logger:
    """The SDK logs bodies of what it does not like, and payloads when debugging; we tell ourselves."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.CRITICAL + 1)
    return logger
