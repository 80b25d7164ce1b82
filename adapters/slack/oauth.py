"""Installing the app into several workspaces: `/slack/install`, and where Slack sends the browser back."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.error import BoltError
from slack_bolt.oauth.async_callback_options import (
    AsyncCallbackOptions,
    AsyncFailureArgs,
    AsyncSuccessArgs,
)
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.response import BoltResponse
from slack_sdk.oauth.installation_store import Installation as SlackInstallation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore

from adapters.slack.client import SLACK_API_URL, SLACK_FAILURES, SlackApi, what_failed
from adapters.slack.install_pages import Page, page
from adapters.slack.installations import Installation, Installations
from adapters.slack.manifest import INSTALL_PATH, REDIRECT_PATH
from bot.errors import ChannelUnavailable, StateUnavailable
from bot.state import State

log = structlog.get_logger()

_INSTALLS_PER_MINUTE = 30

_PAGES = {
    "access_denied": Page.CANCELLED,
    "invalid_browser": Page.OUTDATED,
    "invalid_state": Page.OUTDATED,
    "invalid_code": Page.REFUSED,
    "missing_code": Page.REFUSED,
}


@dataclass(frozen=True, slots=True)
class OAuthOptions:
    """
    Attributes:
        teams: Ids of the workspaces and organisations that may install it; nobody else may.
    """

    client_id: str
    client_secret: str
    scopes: Sequence[str]
    teams: Collection[str]


class SlackInstaller:
    """The two routes. Whoever is not ours gets a page that says so, and their token is given back."""

    def __init__(
        self,
        api: SlackApi,
        installations: Installations,
        *,
        login_states: AsyncOAuthStateStore,
        state: State,
        options: OAuthOptions,
    ) -> None:
        self._api = api
        self._state = state
        self._login_states = login_states
        self._store = _Store(api, installations, frozenset(options.teams))
        self._options = options

    def mount(self, app: web.Application) -> None:
        app.router.add_get(INSTALL_PATH, self._install)
        app.router.add_get(REDIRECT_PATH, self._redirect)

    async def _install(self, request: web.Request) -> web.StreamResponse:
        try:
            # Each visit puts something into Redis, and everybody may visit.
            if not await self._state.allow("slack.install", limit=_INSTALLS_PER_MINUTE, per_s=60):
                return _page(Page.BUSY, 429)
            flow = self._flow()
            return await to_aiohttp_response(
                await flow.handle_installation(await to_bolt_request(request))
            )
        except StateUnavailable:
            return _page(Page.UNAVAILABLE, 503)

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        try:
            flow = self._flow()
            return await to_aiohttp_response(
                await flow.handle_callback(await to_bolt_request(request))
            )
        except (StateUnavailable, *SLACK_FAILURES) as error:
            log.warning("slack.install_failed", reason=type(error).__name__)
            return _page(Page.UNAVAILABLE, 503)

    def _flow(self) -> AsyncOAuthFlow:
        # The flow's own lines hold the code that a token is given for.
        silent = logging.getLogger("shifu.slack.oauth")
        silent.disabled = True
        options = self._options
        settings = AsyncOAuthSettings(
            client_id=options.client_id,
            client_secret=options.client_secret,
            scopes=list(options.scopes),
            user_scopes=[],
            install_path=INSTALL_PATH,
            redirect_uri_path=REDIRECT_PATH,
            # A page in between would only hold a button.
            install_page_rendering_enabled=False,
            authorization_url=_authorization_url(self._api.base_url),
            installation_store=self._store,
            state_store=self._login_states,
            callback_options=AsyncCallbackOptions(success=_succeeded, failure=_failed),
            logger=silent,
        )
        return AsyncOAuthFlow(client=self._api.client(None), logger=silent, settings=settings)


class _NotOurs(BoltError):
    """The workspace is none of those that may install the app."""


class _NotKept(BoltError):
    """The token could not be stored."""


class _Store(AsyncInstallationStore):
    def __init__(self, api: SlackApi, installations: Installations, teams: frozenset[str]) -> None:
        self._api = api
        self._installations = installations
        self._teams = teams

    async def async_save(self, installation: SlackInstallation) -> None:
        if not installation.bot_token:
            raise _NotKept("no bot token")
        ours = Installation(
            enterprise=installation.enterprise_id or "",
            team="" if installation.is_enterprise_install else installation.team_id or "",
            bot_token=installation.bot_token,
            bot_user=installation.bot_user_id or "",
            bot_id=installation.bot_id or "",
            scopes=tuple(sorted(installation.bot_scopes or ())),
            name=installation.team_name or installation.enterprise_name or "",
            installed_at=int(installation.installed_at),
        )
        where = {"enterprise": ours.enterprise, "team": ours.team}
        if not self._teams & {ours.enterprise, ours.team}:
            log.warning("slack.install_refused", **where)
            await self._give_back(ours.bot_token)
            raise _NotOurs("not one of our workspaces")
        try:
            await self._installations.save(ours)
        except (StateUnavailable, ChannelUnavailable) as error:
            raise _NotKept("not stored") from error
        log.info("slack.installed", **where)

    async def _give_back(self, token: str) -> None:
        try:
            await self._api.client(token).auth_revoke()
        except SLACK_FAILURES as error:
            log.warning("slack.token_not_given_back", reason=what_failed(error))


async def _succeeded(args: AsyncSuccessArgs) -> BoltResponse:
    name = args.installation.team_name or args.installation.enterprise_name or ""
    return _answer(args, Page.INSTALLED, 200, name=name)


async def _failed(args: AsyncFailureArgs) -> BoltResponse:
    if isinstance(args.error, _NotOurs):
        return _answer(args, Page.NOT_OURS, 403)
    if isinstance(args.error, _NotKept):
        return _answer(args, Page.UNAVAILABLE, 503)
    shown = _PAGES.get(args.reason, Page.REFUSED)
    return _answer(args, shown, args.suggested_status_code)


def _answer(
    args: AsyncSuccessArgs | AsyncFailureArgs, shown: Page, status: int, *, name: str = ""
) -> BoltResponse:
    forget_login = args.settings.state_utils.build_set_cookie_for_deletion()
    return BoltResponse(
        status=status,
        body=page(shown, name=name),
        headers={**_HEADERS, "Set-Cookie": [forget_login]},
    )


def _page(shown: Page, status: int) -> web.Response:
    return web.Response(text=page(shown), status=status, headers=_HEADERS)


_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    # The address of the page holds what a token was given for.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _authorization_url(api_url: str) -> str:
    """Beside the Web API when that is another one than Slack's."""
    base = (
        api_url.rstrip("/").removesuffix("/api")
        if api_url != SLACK_API_URL
        else "https://slack.com"
    )
    return f"{base}/oauth/v2/authorize"
