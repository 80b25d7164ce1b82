"""Whether Slack lets us work: token, scopes, events, clock, user groups and channels, each with its way out."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from adapters.finding import Finding
from adapters.slack.client import SLACK_FAILURES, SlackApi, slack_error, what_failed
from adapters.slack.installations import Installation, Installations
from adapters.slack.permissions import OptIn, Scope, scopes
from adapters.slack.single_installation import granted_scopes
from retrieval.errors import ShifuError

_MAX_CLOCK_DIFFERENCE_S = 60
_SHOWN_CHANNELS = 10
_TOKEN_GONE = {"invalid_auth", "account_inactive", "token_revoked", "token_expired"}

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class SlackExpectations:
    """
    What the settings want of Slack.

    Attributes:
        channels: Ids of channels that a setting names, in which the bot therefore must be, and the
            setting.
    """

    app_token: str
    signing_secret: str
    opt_ins: frozenset[OptIn]
    user_groups: Collection[str] = ()
    channels: Sequence[tuple[str, str]] = ()


async def check_slack(
    api: SlackApi,
    installations: Installations,
    expected: SlackExpectations,
    *,
    clock: Clock = lambda: datetime.now(UTC),
) -> list[Finding]:
    """All that can be found out; one failing part does not hide another."""
    findings = []
    try:
        installed = list(await installations.all())
        if not installed:
            findings.append(
                Finding(
                    "slack",
                    False,
                    "installed in no workspace yet; open /slack/install in a browser",
                )
            )
    except ShifuError as error:
        installed = []
        findings.append(Finding("slack", False, str(error)))
    several = len(installed) > 1
    seen: set[str] = set()
    for installation in installed:
        suffix = f" {installation.key}" if several else ""
        client = api.client(installation.bot_token)
        about_token = await _token(client, installation, expected, suffix, clock)
        findings += about_token
        if about_token[0].is_ok is False:
            continue
        for team in await _teams(client, installation):
            client = api.client(installation.bot_token, team=team)
            suffix = f" {team or installation.key}" if several or team else ""
            findings.append(await _groups(client, expected, suffix))
            about_channels, ids = await _channels(client, suffix)
            findings.append(about_channels)
            seen |= ids
    if installed:
        findings += _absent(expected, seen)
    findings.append(await _events(api, expected))
    return findings


async def _token(
    client: AsyncWebClient,
    installation: Installation,
    expected: SlackExpectations,
    suffix: str,
    clock: Clock,
) -> list[Finding]:
    part = f"slack{suffix}"
    try:
        told = await client.auth_test()
    except SLACK_FAILURES as error:
        if slack_error(error) in _TOKEN_GONE:
            text = f"the token is not valid any more ({slack_error(error)}); install the app again"
        else:
            text = f"{what_failed(error)}; check the network, and SLACK_API_URL if it is set"
        return [Finding(part, False, text)]
    name = told.get("team") or installation.name
    who = f"{name} ({installation.key}), as {told.get('user_id') or installation.bot_user}"
    return [
        Finding(part, True, who),
        _scopes(told, expected, suffix),
        _clock(told, suffix, clock()),
    ]


def _scopes(told: AsyncSlackResponse, expected: SlackExpectations, suffix: str) -> Finding:
    part = f"slack scopes{suffix}"
    granted = set(granted_scopes(told.headers))
    if not granted:
        return Finding(part, None, "Slack does not say which ones the token has")
    missing = [scope for scope in scopes(expected.opt_ins) if scope.name not in granted]
    if not missing:
        return Finding(part, True, f"all {len(scopes(expected.opt_ins))} that are needed")
    wanted = [scope for scope in missing if scope.is_needed or scope.only_for]
    text = _listed(wanted or missing)
    if wanted:
        return Finding(
            part,
            False,
            f"missing: {text}. Add them on the app's page OAuth & Permissions and install it again",
        )
    return Finding(part, True, f"without: {text}")


def _listed(missing: Sequence[Scope]) -> str:
    return "; ".join(f"{scope.name} ({scope.why})" for scope in missing)


def _clock(told: AsyncSlackResponse, suffix: str, now: datetime) -> Finding:
    part = f"slack clock{suffix}"
    try:
        theirs = parsedate_to_datetime(told.headers.get("Date", ""))
    except ValueError:
        return Finding(part, None, "Slack does not tell its time")
    difference_s = abs((now - theirs).total_seconds())
    if difference_s >= _MAX_CLOCK_DIFFERENCE_S:
        return Finding(
            part,
            False,
            f"{difference_s:.0f} s from Slack's; requests older than 5 minutes are refused, so events by HTTP "
            "would be. Set this machine's clock by NTP",
        )
    return Finding(part, True, "agrees with Slack's")


async def _teams(client: AsyncWebClient, installation: Installation) -> list[str]:
    """The workspaces of an organisation, each to be named in calls; nothing to name for a workspace."""
    if not installation.is_org_wide:
        return [""]
    try:
        told = await client.auth_teams_list(limit=100)
    except SLACK_FAILURES:
        return []
    return [str(team["id"]) for team in told.get("teams") or []]


async def _groups(client: AsyncWebClient, expected: SlackExpectations, suffix: str) -> Finding:
    part = f"slack user groups{suffix}"
    try:
        told = await client.usergroups_list()
    except SLACK_FAILURES as error:
        if expected.user_groups:
            return Finding(
                part,
                False,
                f"{what_failed(error)}, but SHIFU_SLACK__USER_GROUPS trusts some; they need a paid plan and "
                "the scope usergroups:read. Else put the people into groups of the directory's file",
            )
        return Finding(part, None, f"none to be had ({slack_error(error) or what_failed(error)})")
    groups = told.get("usergroups") or []
    known = {str(group.get(key)) for group in groups for key in ("id", "handle")}
    absent = sorted(set(expected.user_groups) - known - {"*"})
    if absent:
        return Finding(
            part,
            False,
            f"{', '.join(absent)}: not in this workspace, but in SHIFU_SLACK__USER_GROUPS",
        )
    trusted = len(groups) if "*" in expected.user_groups else len(set(expected.user_groups))
    return Finding(part, True, f"{len(groups)}, of which {trusted} are trusted")


async def _channels(client: AsyncWebClient, suffix: str) -> tuple[Finding, set[str]]:
    part = f"slack channels{suffix}"
    names, ids = [], set()
    try:
        async for page in await client.users_conversations(
            types="public_channel,private_channel", exclude_archived=True, limit=200
        ):
            for channel in page.get("channels") or []:
                ids.add(str(channel.get("id")))
                names.append(f"#{channel.get('name') or channel.get('id')}")
    except SLACK_FAILURES as error:
        return Finding(part, None, f"cannot be listed: {what_failed(error)}"), ids
    if not names:
        return Finding(part, None, "in none yet; write /invite @ and its name in one"), ids
    shown = ", ".join(sorted(names)[:_SHOWN_CHANNELS])
    more = len(names) - _SHOWN_CHANNELS
    return Finding(part, True, f"in {shown}" + (f" and {more} more" if more > 0 else "")), ids


def _absent(expected: SlackExpectations, seen: set[str]) -> list[Finding]:
    return [
        Finding(
            "slack channels",
            False,
            f"not in {channel}, which {setting} names; invite the bot there",
        )
        for channel, setting in expected.channels
        if channel != "*" and channel not in seen
    ]


async def _events(api: SlackApi, expected: SlackExpectations) -> Finding:
    part = "slack events"
    if not expected.app_token:
        if expected.signing_secret:
            return Finding(part, True, "by HTTP to /slack/events, signed")
        return Finding(
            part,
            False,
            "none come: set SHIFU_SLACK__APP_TOKEN (Socket Mode) or SHIFU_SLACK__SIGNING_SECRET (HTTP)",
        )
    try:
        await api.client(None).apps_connections_open(app_token=expected.app_token)
    except SLACK_FAILURES as error:
        match slack_error(error):
            case "invalid_auth" | "not_allowed_token_type" | "token_revoked":
                hint = "SHIFU_SLACK__APP_TOKEN is not the app's app-level token (xapp-…)"
            case "missing_scope":
                hint = "give the app-level token the scope connections:write"
            case "":
                hint = "check the network, and SLACK_API_URL if it is set"
            case _:
                hint = "turn on Socket Mode on the app's page of that name"
        return Finding(part, False, f"Socket Mode does not open: {what_failed(error)}; {hint}")
    return Finding(part, True, "over Socket Mode, which opens")
