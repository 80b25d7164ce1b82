"""Which token an event of Slack is answered with; and that it ends when the app is uninstalled."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import structlog
from slack_bolt.authorization import AuthorizeResult

from adapters.slack.client import NotInstalled
from adapters.slack.installations import Installations

log = structlog.get_logger()

Authorize = Callable[[str | None, str | None], Awaitable[AuthorizeResult | None]]


def authorize_from(installations: Installations, *, teams: Collection[str] = ()) -> Authorize:
    """
    What Bolt takes as `authorize=`: no request to Slack for each event.

    When Redis or Slack cannot be asked, the function raises what `Installations` does: an event that is not
    acknowledged then comes again.

    Args:
        installations: Remembered for a while (`CachedInstallations`), since each event asks for them.
        teams: Ids of the workspaces and organisations that are ours; empty: those where it is installed.
    """
    ours = frozenset(teams)

    # Bolt passes arguments by their names, and a method's `self` would be one of them.
    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult | None:
        enterprise, team = enterprise_id or "", team_id or ""
        if ours and not ours & {enterprise, team}:
            log.warning("slack.not_ours", enterprise=enterprise, team=team)
            return None
        try:
            found = await installations.find(enterprise, team)
        except NotInstalled as error:
            log.error("slack.not_installed", reason=str(error))
            return None
        if found is None:
            return None
        return AuthorizeResult(
            enterprise_id=enterprise or found.enterprise or None,
            team_id=team or found.team or None,
            bot_id=found.bot_id or None,
            bot_user_id=found.bot_user or None,
            bot_token=found.bot_token,
            bot_scopes=list(found.scopes),
        )

    return authorize


async def forget_uninstalled(installations: Installations, body: Mapping[str, Any]) -> None:
    """
    For the events `app_uninstalled` and `tokens_revoked`: the token is not valid any more.

    The second also tells of tokens of people, none of which we have.
    """
    event = body.get("event") or {}
    if event.get("type") == "tokens_revoked" and not (event.get("tokens") or {}).get("bot"):
        return
    enterprise, team = _where(body)
    found = await installations.find(enterprise, team)
    # Slack repeats events after minutes, when it may have been installed anew.
    if found and found.installed_at <= int(body.get("event_time") or found.installed_at):
        await installations.remove(enterprise, team)
        log.warning("slack.uninstalled", enterprise=enterprise, team=team)


def _where(body: Mapping[str, Any]) -> tuple[str, str]:
    authorizations = body.get("authorizations") or [{}]
    is_org_wide = body.get("is_enterprise_install") or authorizations[0].get(
        "is_enterprise_install"
    )
    return body.get("enterprise_id") or "", "" if is_org_wide else body.get("team_id") or ""
