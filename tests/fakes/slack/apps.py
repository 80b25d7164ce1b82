"""`auth.*`, `team.info`, `apps.connections.open` and `oauth.v2.access`."""

from tests.fakes.slack.methods import SPECIAL, TIER_1, TIER_2, TIER_3, TIER_4, Call, method
from tests.fakes.slack.platform import Slack
from tests.fakes.slack.world import Install, Json, Refused


@method("auth.test", per_minute=SPECIAL)
def test(call: Call) -> Json:
    install, world = call.install, call.slack.world
    enterprise = install.home if install.is_enterprise_install else None
    team = enterprise or install.home
    body: Json = {
        "url": f"https://{team.lower()}.slack.example/",
        "team": world.workspaces[team].name if team in world.workspaces else team,
        "user": "shifu",
        "team_id": team,
        "user_id": install.bot_user,
        "bot_id": install.bot_id,
        "is_enterprise_install": install.is_enterprise_install,
    }
    enterprise = enterprise or world.enterprise_of(install.home)
    return body | ({"enterprise_id": enterprise} if enterprise else {})


@method("auth.teams.list", per_minute=TIER_2)
def list_teams(call: Call) -> Json:
    teams = [{"id": t, "name": call.slack.world.workspaces[t].name} for t in call.teams]
    page, rest = call.page(teams, default=100, most=1_000)
    return {"teams": page, **rest}


@method("auth.revoke", per_minute=TIER_3)
def revoke(call: Call) -> Json:
    call.install.is_revoked = True
    return {"revoked": True}


@method("team.info", "team:read", takes_json=False)
def team_info(call: Call) -> Json:
    asked = call.args.get("team") or call.args.get("team_id") or call.teams[0]
    workspace = call.slack.world.workspaces.get(str(asked))
    if workspace is None:
        raise Refused("team_not_found")
    shown: Json = {"id": workspace.id, "name": workspace.name, "domain": workspace.id.lower()}
    if workspace.enterprise:
        shown |= {"enterprise_id": workspace.enterprise, "enterprise_name": workspace.enterprise}
    return {"team": shown}


@method("api.test", per_minute=TIER_4)
def api_test(call: Call) -> Json:
    return {"args": call.args}


@method("apps.connections.open", per_minute=TIER_1)
def open_connection(call: Call) -> Json:
    return {"url": call.slack.deliveries.sockets.new_url()}


def exchange_code(slack: Slack, args: Json) -> Json:
    """`oauth.v2.access`, which has no token but the client's secret, and a code that works once."""
    if args.get("client_id") != slack.client_id:
        raise Refused("invalid_client_id")
    if args.get("client_secret") != slack.client_secret:
        raise Refused("bad_client_secret")
    world = slack.world
    granted = slack.oauth_codes.pop(str(args.get("code") or ""), None)
    if granted is None:
        raise Refused("invalid_code")
    if granted["redirect_uri"] and args.get("redirect_uri") != granted["redirect_uri"]:
        raise Refused("bad_redirect_uri")
    install: Install = granted["install"]
    if install.grants and install.is_revoked:
        install.token = f"{install.token}-{install.grants}"
    install.grants += 1
    install.is_revoked = False
    is_org_wide = install.is_enterprise_install
    enterprise = install.home if is_org_wide else world.enterprise_of(install.home)
    team = (
        None if is_org_wide else {"id": install.home, "name": world.workspaces[install.home].name}
    )
    return {
        "access_token": install.token,
        "token_type": "bot",
        "scope": ",".join(sorted(install.scopes)),
        "bot_user_id": install.bot_user,
        "app_id": install.app_id,
        "team": team,
        "enterprise": {"id": enterprise, "name": enterprise} if enterprise else None,
        "is_enterprise_install": is_org_wide,
        "authed_user": {"id": granted["user"]},
    }
