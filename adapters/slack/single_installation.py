"""The one workspace that a bot token in the settings belongs to."""

import asyncio
from collections.abc import Mapping, Sequence

from adapters.slack.client import SLACK_FAILURES, NotInstalled, SlackApi, slack_error, what_failed
from adapters.slack.installations import Installation, chosen
from bot.errors import ChannelUnavailable

_NOT_VALID = {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"}


class SingleInstallation:
    """
    `Installations` that asks Slack once whose *token* it is.

    Args:
        teams: Ids of the workspaces and organisations that are ours; empty: the one of the token.
    """

    def __init__(self, api: SlackApi, token: str, *, teams: Sequence[str] = ()) -> None:
        self._api = api
        self._token = token
        self._teams = frozenset(teams)
        self._asking = asyncio.Lock()
        self._found: Installation | None = None

    async def find(self, enterprise: str, team: str) -> Installation | None:
        """Raises `NotInstalled` if the token is not valid, or belongs to others."""
        return chosen(await self.all(), enterprise, team)

    async def all(self) -> Sequence[Installation]:
        async with self._asking:
            if self._found is None:
                self._found = await self._whose()
        return [self._found]

    async def save(self, installation: Installation) -> None:
        raise NotInstalled("Slack: with SHIFU_SLACK__BOT_TOKEN, no other workspace is installed.")

    async def remove(self, enterprise: str, team: str) -> None:
        """The next use of the token shows whether it is still valid."""
        self._found = None

    async def _whose(self) -> Installation:
        try:
            told = await self._api.client(self._token).auth_test()
        except SLACK_FAILURES as error:
            if slack_error(error) in _NOT_VALID:
                raise NotInstalled(
                    f"Slack: the bot token is not valid ({slack_error(error)}); copy it anew from the app's page "
                    "OAuth & Permissions to SHIFU_SLACK__BOT_TOKEN."
                ) from None
            raise ChannelUnavailable(f"{what_failed(error)}.") from error
        is_org_wide = bool(told.get("is_enterprise_install"))
        installation = Installation(
            enterprise=told.get("enterprise_id") or "",
            team="" if is_org_wide else told.get("team_id") or "",
            bot_token=self._token,
            bot_user=told.get("user_id") or "",
            bot_id=told.get("bot_id") or "",
            scopes=granted_scopes(told.headers),
            name=told.get("team") or "",
        )
        if self._teams and not self._teams & {installation.enterprise, installation.team}:
            raise NotInstalled(
                f"Slack: the bot token belongs to {installation.key}, which SHIFU_SLACK__TEAMS does not name."
            )
        return installation


def granted_scopes(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What the token of a reply's request may do, as the reply's headers tell."""
    listed = headers.get("x-oauth-scopes", "")
    return tuple(sorted(scope for part in listed.split(",") if (scope := part.strip())))
