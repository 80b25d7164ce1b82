"""What the directory asks Slack: people, channels, user groups; each question once, within the rate limits."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.client import (
    SLACK_FAILURES,
    NotInstalled,
    SlackClients,
    slack_error,
    wait_s,
    what_failed,
)
from adapters.slack.facts import Account, ChannelFacts, UserGroup, ids_in, user_groups_in
from adapters.slack.installations import Installation
from bot.errors import ChannelUnavailable, DirectoryUnavailable, StateUnavailable

log = structlog.get_logger()

_PAGE = 1_000
_MAX_PAGES = 200

_NO_SUCH_USER = frozenset({"user_not_found", "users_not_found", "user_not_visible"})
_NO_SUCH_CHANNEL = frozenset(
    {
        "channel_not_found",
        "not_in_channel",
        "missing_scope",
        "method_not_supported_for_channel_type",
        "team_access_not_granted",
    }
)
# A workspace that has no user groups, or one that does not show them.
_NO_USER_GROUPS = frozenset(
    {
        "plan_upgrade_required",
        "paid_teams_only",
        "feature_not_enabled",
        "missing_scope",
        "unknown_method",
        "team_access_not_granted",
    }
)


class SlackReads:
    """
    Every method raises `DirectoryUnavailable` when Slack gives no answer that can be relied on.

    Args:
        teams: Ids of the workspaces and organisations that are ours, as far as they are named.
    """

    def __init__(self, clients: SlackClients, *, teams: Iterable[str] = ()) -> None:
        self._clients = clients
        self._teams = [team for team in teams if team.startswith("T")]
        self._rests_until: dict[tuple[str, str], float] = {}

    async def account(self, home: str, user: str) -> Account | None:
        """None for nobody whom the workspace knows."""
        try:
            client = await self._client(home)
            told = await self._call(client, home, "users.info", user=user)
        except NotInstalled:
            return None
        except _Refused as refused:
            refused.unless(_NO_SUCH_USER)
            return None
        account = Account.of(told.get("user"))
        return account if account and account.id == user else None

    async def channel(self, home: str, channel: str) -> ChannelFacts | None:
        """None for one that the bot cannot see."""
        for client in await self._clients_of(home):
            try:
                told = await self._call(client, home, "conversations.info", channel=channel)
            except _Refused as refused:
                refused.unless(_NO_SUCH_CHANNEL)
            else:
                return ChannelFacts.of(told.get("channel"))
        return None

    async def members(self, home: str, channel: str) -> list[str] | None:
        """All of them; None for a channel that the bot cannot see."""
        for client in await self._clients_of(home):
            pages = self._pages(client, home, "conversations.members", channel=channel)
            try:
                return [id async for page in pages for id in ids_in(page.get("members"))]
            except _Refused as refused:
                refused.unless(_NO_SUCH_CHANNEL)
        return None

    async def user_groups(self, home: str) -> list[UserGroup]:
        groups: list[UserGroup] = []
        for client in await self._clients_of_each_team(home):
            try:
                told = await self._call(
                    client, home, "usergroups.list", include_users="true", include_disabled="false"
                )
            except _Refused as refused:
                refused.unless(_NO_USER_GROUPS)
                log.warning("slack.user_groups_not_shown", code=refused.code)
            else:
                groups += user_groups_in(told.get("usergroups"))
        return groups

    async def everybody(self, home: str) -> AsyncIterator[list[Account]]:
        """
        Page by page. On Enterprise Grid somebody comes once for each workspace they are in, and who is in
        none of those that the app may see does not come at all.
        """
        for client in await self._clients_of_each_team(home):
            try:
                async for page in self._pages(client, home, "users.list"):
                    found = [Account.of(user) for user in page.get("members") or ()]
                    yield [account for account in found if account]
            except _Refused as refused:
                raise refused.unavailable() from refused

    async def _client(self, home: str) -> AsyncWebClient:
        """Raises `NotInstalled` also where only some other organisation's token could be used."""
        await self._installation(home)
        try:
            return await self._clients.for_home(home)
        except (ChannelUnavailable, StateUnavailable) as error:
            raise _no_token() from error

    async def _clients_of(self, home: str) -> list[AsyncWebClient]:
        """
        Those that may see a channel; none where the app is not installed.

        In an organisation on Enterprise Grid each of its workspaces may have a token of its own.
        """
        try:
            if home.startswith("E") and not await self._is_org_wide(home):
                return await self._of_teams(home, self._teams) or [await self._client(home)]
            return [await self._client(home)]
        except NotInstalled:
            return []

    async def _clients_of_each_team(self, home: str) -> list[AsyncWebClient]:
        """For what is listed for one workspace at a time."""
        clients = await self._clients_of(home)
        if not clients or not home.startswith("E") or not await self._is_org_wide(home):
            return clients
        try:
            pages = self._pages(clients[0], home, "auth.teams.list", limit=100)
            teams = [id async for page in pages for id in ids_in(page.get("teams"), "id")]
        except _Refused:
            teams = self._teams
        return await self._of_teams(home, teams) or clients

    async def _of_teams(self, home: str, teams: Iterable[str]) -> list[AsyncWebClient]:
        clients = []
        for team in teams:
            try:
                with suppress(NotInstalled):
                    clients.append(await self._clients.for_team(team, home=home))
            except (ChannelUnavailable, StateUnavailable) as error:
                raise _no_token() from error
        return clients

    async def _is_org_wide(self, home: str) -> bool:
        return (await self._installation(home)).is_org_wide

    async def _installation(self, home: str) -> Installation:
        team = "" if home.startswith("E") else home
        try:
            installation = await self._clients.installation(team, home=home)
        except (ChannelUnavailable, StateUnavailable) as error:
            raise _no_token() from error
        if installation.home != home:
            # What it sees of others' people and channels says nothing about ours.
            raise NotInstalled(f"Slack: the app is not installed in {home}")
        return installation

    async def _pages(
        self, client: AsyncWebClient, home: str, method: str, **params: str | int
    ) -> AsyncIterator[Mapping[str, Any]]:
        params = {"limit": _PAGE, **params}
        seen = {""}
        for _ in range(_MAX_PAGES):
            page = await self._call(client, home, method, **params)
            yield page
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return
            if cursor in seen:
                break
            seen.add(cursor)
            params["cursor"] = cursor
        raise DirectoryUnavailable(f"Slack: {method} does not come to an end")

    async def _call(
        self, client: AsyncWebClient, home: str, method: str, **params: str | int
    ) -> Mapping[str, Any]:
        # Who is asked again and again while it wants to rest will want to rest for longer.
        if time.monotonic() < self._rests_until.get((home, method), 0):
            raise DirectoryUnavailable(f"Slack: {method} is rate-limited")
        try:
            response = await client.api_call(method, http_verb="GET", params=params)
        except SLACK_FAILURES as error:
            rest_s, code = wait_s(error), slack_error(error)
            if rest_s is not None:
                self._rests_until[home, method] = time.monotonic() + rest_s
                log.warning("slack.rate_limited", method=method, rest_s=rest_s)
            elif code:
                raise _Refused(code) from error
            raise DirectoryUnavailable(f"{what_failed(error)} ({method})") from error
        return response.data if isinstance(response.data, dict) else {}


class _Refused(Exception):
    """Slack answered, with this code instead of what was asked for."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    def unless(self, expected: frozenset[str]) -> None:
        """Raises unless the code is among those that tell what we wanted to know."""
        if self.code not in expected:
            raise self.unavailable() from self

    def unavailable(self) -> DirectoryUnavailable:
        return DirectoryUnavailable(f"Slack answers {self.code!r}")


def _no_token() -> DirectoryUnavailable:
    return DirectoryUnavailable("Slack: its token cannot be found out now")
