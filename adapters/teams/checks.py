"""Whether Microsoft lets us work: app, tokens, keys, clock, permissions of Graph, each with its way out."""

import base64
import binascii
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from adapters.finding import Finding
from adapters.teams.credentials import BotTokens
from adapters.teams.failures import TEAMS_FAILURES, TeamsFailure, what_failed
from adapters.teams.json_values import sequence
from adapters.teams.manifest import MESSAGES_PATH
from adapters.teams.permissions import OptIn, Permission, permissions

_MAX_CLOCK_DIFFERENCE_S = 60
_MAX_KEYS_BYTES = 1024 * 1024
_SITE_BY_SITE = "Sites.Selected"
"""In place of what would open all of SharePoint; which sites it opens no token tells."""

# What the login says most often, by its number.
_LOGIN_SAYS: Mapping[str, str] = {
    "AADSTS7000215": "the secret is wrong. Copy its value, not its id, from Certificates & secrets",
    "AADSTS7000222": "the secret has expired. Make a new one under Certificates & secrets",
    "AADSTS700016": "there is no such app in this tenant. Compare SHIFU_TEAMS__APP_ID and "
    "SHIFU_TEAMS__APP_TENANT_ID with the app's Overview page",
    "AADSTS700027": "the certificate is not the app's. Upload it under Certificates & secrets",
    "AADSTS90002": "there is no such tenant. SHIFU_TEAMS__APP_TENANT_ID is the Directory (tenant) ID",
    "AADSTS7000229": "the app has no service principal in this tenant. Open it once as an enterprise "
    "application there, or give its administrator's consent",
}

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class TeamsExpectations:
    """
    What the settings want of Microsoft.

    Attributes:
        tenants: The Entra tenants that are ours.
        graph_url: Empty, if Graph is not to be asked.
        scope: Of our tokens for the Bot Connector.
    """

    app_id: str
    tenants: Sequence[str]
    keys_url: str
    graph_url: str
    scope: str
    opt_ins: frozenset[OptIn] = frozenset()


async def check_teams(
    http: aiohttp.ClientSession,
    tokens: BotTokens | None,
    expected: TeamsExpectations,
    *,
    clock: Clock = lambda: datetime.now(UTC),
) -> list[Finding]:
    """
    All that can be found out; one failing part does not hide another.

    Args:
        tokens: None while authentication is off for development.
    """
    if tokens is None:
        text = "development: nobody is asked who they are. Only for this machine, never for people"
        return [Finding("teams", None, text)]
    findings = [await _bot(tokens, expected), *await _keys(http, expected, clock)]
    if not expected.graph_url:
        off = "off; only people whom the directory's file names are known (SHIFU_TEAMS__USE_GRAPH)"
        return [*findings, Finding("teams graph", None, off)]
    return findings + [await _graph(tokens, tenant, expected) for tenant in expected.tenants]


async def _bot(tokens: BotTokens, expected: TeamsExpectations) -> Finding:
    try:
        await tokens.token(expected.scope)
    except TEAMS_FAILURES as error:
        return Finding("teams", False, f"no token for answers: {_login_says(error)}")
    return Finding(
        "teams", True, f"app {expected.app_id}; activities come by HTTP to {MESSAGES_PATH}"
    )


async def _keys(
    http: aiohttp.ClientSession, expected: TeamsExpectations, clock: Clock
) -> list[Finding]:
    part = "teams keys"
    try:
        async with http.get(expected.keys_url, allow_redirects=False) as response:
            body = await response.content.read(_MAX_KEYS_BYTES)
            if response.status != 200:
                raise TeamsFailure.of_response(response.status, response.headers, body)
            about_clock = _clock(response.headers.get("Date", ""), clock())
    except TEAMS_FAILURES as error:
        text = (
            f"{what_failed(error)}. Without them no activity can be believed: let this machine reach "
            f"{expected.keys_url}"
        )
        return [Finding(part, False, text)]
    count = _usable_keys(body)
    if not count:
        text = f"{expected.keys_url} has none for Teams; is SHIFU_TEAMS__KEYS_URL right?"
        return [Finding(part, False, text), about_clock]
    return [Finding(part, True, f"{count} that sign for Teams"), about_clock]


def _usable_keys(body: bytes) -> int:
    try:
        keys = json.loads(body)["keys"]
        return sum("msteams" in key.get("endorsements", ()) for key in keys)
    except (ValueError, TypeError, KeyError, AttributeError):
        return 0


def _clock(date: str, now: datetime) -> Finding:
    part = "teams clock"
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return Finding(part, None, "Microsoft does not tell its time")
    difference_s = abs((now - theirs).total_seconds())
    if difference_s >= _MAX_CLOCK_DIFFERENCE_S:
        return Finding(
            part,
            False,
            f"{difference_s:.0f} s from Microsoft's; tokens that seem older than 5 minutes are refused. "
            "Set this machine's clock by NTP",
        )
    return Finding(part, True, "agrees with Microsoft's")


async def _graph(tokens: BotTokens, tenant: str, expected: TeamsExpectations) -> Finding:
    part = "teams graph" + (f" {tenant}" if len(expected.tenants) > 1 else "")
    try:
        token = await tokens.token(f"{expected.graph_url}/.default", tenant_id=tenant)
    except TEAMS_FAILURES as error:
        return Finding(part, False, f"no token: {_login_says(error)}")
    granted = _roles(token)
    if granted is None:
        return Finding(part, None, "the token does not say what is permitted")
    asked = [p for p in permissions(expected.opt_ins) if not p.is_in_manifest]
    missing = [p for p in asked if not _has(p, granted)]
    if not missing:
        return Finding(part, True, f"all {len(asked)} permissions that are wanted")
    wanted = [p for p in missing if p.is_needed or p.only_for]
    text = "; ".join(f"{p.name} ({p.why})" for p in wanted or missing)
    if wanted:
        return Finding(
            part,
            False,
            f"missing: {text}. Add them as application permissions of Microsoft Graph under API "
            "permissions, and press Grant admin consent; a new token has them after an hour at most",
        )
    return Finding(part, True, f"without: {text}")


def _has(permission: Permission, granted: Collection[str]) -> bool:
    if _SITE_BY_SITE in granted and OptIn.SHAREPOINT in permission.only_for:
        return True
    # Whoever may write everywhere may read as well.
    return permission.name in granted or permission.name.replace(".Read.", ".ReadWrite.") in granted


def _roles(token: str) -> Collection[str] | None:
    """What the login wrote into its token; read to tell an administrator, not to believe it."""
    try:
        payload = token.split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return None
    if not isinstance(claims, Mapping):
        return None
    # A token without any permission has no list at all.
    return [str(role) for role in sequence(claims.get("roles"))]


def _login_says(error: BaseException) -> str:
    if isinstance(error, TeamsFailure):
        for number, text in _LOGIN_SAYS.items():
            if number in error.code.split():
                return f"{text} ({number})"
        if not error.status:
            return f"{what_failed(error)}; does this machine reach the login, and is the proxy set?"
    return what_failed(error)
