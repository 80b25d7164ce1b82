"""How Slack's Web API is reached: one HTTP session, and the token of the workspace in question."""

import logging
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.installations import Installation, Installations
from adapters.slack.retries import retry_after_s, retry_handlers
from retrieval.errors import ShifuError

SLACK_API_URL = "https://slack.com/api/"
TIMEOUT_S = 12.0

SLACK_FAILURES = (SlackClientError, aiohttp.ClientError, OSError, TimeoutError)
"""What a call to Slack raises when it does not succeed, whoever is to blame."""

NOT_THERE = frozenset({"not_in_channel", "channel_not_found", "is_archived"})
"""Slack's codes for a channel that the bot is not in, or that is closed."""


class NotInstalled(ShifuError):
    """The app has no token for this workspace, or one that is not valid any more."""


def slack_error(error: BaseException) -> str:
    """Slack's own code for what is wrong, such as `channel_not_found`; empty if it gave none."""
    response = getattr(error, "response", None) if isinstance(error, SlackApiError) else None
    if response is None:
        return ""
    if getattr(response, "status_code", None) == 429:
        return "ratelimited"
    body = response if isinstance(response, dict) else getattr(response, "data", None)
    code = body.get("error") if isinstance(body, dict) else None
    return code if isinstance(code, str) else ""


def wait_s(error: BaseException) -> float | None:
    """After which time Slack wants to be asked again; None if the error is no rate limit."""
    if slack_error(error) != "ratelimited":
        return None
    headers = getattr(getattr(error, "response", None), "headers", None)
    asked_for = retry_after_s(headers) if headers else None
    return 1.0 if asked_for is None else asked_for


class SlackApi:
    """
    Makes clients that share one HTTP session.

    Args:
        base_url: Ends in a slash.
    """

    def __init__(self, base_url: str = SLACK_API_URL) -> None:
        self.base_url = base_url
        self._session: aiohttp.ClientSession | None = None
        # The SDK prints whole requests when its logger has no level of its own.
        self._logger = logging.getLogger("shifu.slack.client")
        self._logger.setLevel(logging.WARNING)

    @property
    def session(self) -> aiohttp.ClientSession:
        """To be asked for within the running loop, which it belongs to."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                # How much goes on at once is for the worker to limit; a request that waits for its
                # rate limit keeps its connection meanwhile.
                connector=aiohttp.TCPConnector(limit=0),
                # What Slack sets for one workspace is not for another.
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
            )
        return self._session

    def client(self, token: str | None, *, team: str = "") -> AsyncWebClient:
        """
        Args:
            team: Sent along with each call; only the token of a whole organisation needs it.
        """
        client = AsyncWebClient(
            token=token,
            base_url=self.base_url,
            session=self.session,
            team_id=team or None,
            logger=self._logger,
            retry_handlers=retry_handlers(),
        )
        # The session reads the same variables, and NO_PROXY with them.
        client.proxy = None
        return client

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class SlackClients:
    """
    A client for each workspace in which the app is installed.

    Every method that returns one raises `NotInstalled` where the app is not, `ChannelUnavailable` and
    `StateUnavailable` when that cannot be found out now.
    """

    def __init__(self, api: SlackApi, installations: Installations) -> None:
        self._api = api
        self._installations = installations

    @property
    def session(self) -> aiohttp.ClientSession:
        """The one session, for what is no method of the Web API: files, response URLs."""
        return self._api.session

    async def for_team(self, team: str, *, home: str = "") -> AsyncWebClient:
        """
        Args:
            team: `T…`; may be empty if *home* is known.
            home: `E…` or `T…`, where the token of the whole organisation is looked for.
        """
        installation = await self.installation(team, home=home)
        return self._api.client(
            installation.bot_token, team=team if installation.is_org_wide else ""
        )

    async def for_home(self, home: str) -> AsyncWebClient:
        return await self.for_team("" if home.startswith("E") else home, home=home)

    async def all_of(self, home: str) -> list[AsyncWebClient]:
        """One for each token; on Enterprise Grid every workspace of an organisation may have its own."""
        found = [one for one in await self._installations.all() if one.home == home]
        return [self._api.client(one.bot_token) for one in found]

    async def bot_user(self, team: str, *, home: str = "") -> str:
        return (await self.installation(team, home=home)).bot_user

    async def installation(self, team: str, *, home: str = "") -> Installation:
        enterprise = home if home.startswith("E") else ""
        found = await self._installations.find(enterprise, team or (home if not enterprise else ""))
        if found is None and team and not enterprise:
            # A workspace of a Grid organisation, of which nobody has told us the organisation.
            org_wide = [one for one in await self._installations.all() if one.is_org_wide]
            found = org_wide[0] if len(org_wide) == 1 else None
        if found is None:
            raise NotInstalled(
                f"Slack: the app is not installed in {team or home or 'this workspace'}; install it there "
                "as docs/slack.md says."
            )
        return found

    async def homes(self) -> list[str]:
        return sorted({one.home for one in await self._installations.all()})

    async def close(self) -> None:
        await self._api.close()


def what_failed(error: BaseException) -> str:
    """For people to read: never holds a token, nor anything else that Slack or the network said."""
    if code := slack_error(error):
        return f"Slack answers {code!r}"
    if isinstance(error, SlackApiError):
        status: Any = getattr(error.response, "status_code", None)
        return (
            f"Slack answers with HTTP status {status}"
            if status
            else "Slack answers in no way we know"
        )
    if isinstance(error, TimeoutError):
        return "Slack does not answer in time"
    return "Slack cannot be reached"
