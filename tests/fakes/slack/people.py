"""`users.*`, `usergroups.list` and `bots.info`."""

from tests.fakes.slack.methods import TIER_2, TIER_3, TIER_4, Call, method
from tests.fakes.slack.shapes import user_json, usergroup_json
from tests.fakes.slack.world import Json, Refused


@method("users.info", "users:read", per_minute=TIER_4, takes_json=False)
def info(call: Call) -> Json:
    with_locale = call.flag("include_locale")
    user = call.user()
    return {"user": user_json(call.slack.world, user, call.install, with_locale=with_locale)}


@method("users.list", "users:read", per_minute=TIER_2, takes_json=False)
def list_users(call: Call) -> Json:
    call.needs_team()
    found = [
        user
        for user in call.slack.world.users.values()
        if set(call.teams) & {user.team, *user.teams} or user.is_stranger
    ]
    with_locale = call.flag("include_locale")
    page, rest = call.page(found, default=max(len(found), 1), most=1_000)
    members = [
        user_json(call.slack.world, user, call.install, with_locale=with_locale) for user in page
    ]
    return {"members": members, "cache_ts": int(call.slack.clock.now()), **rest}


@method("users.lookupByEmail", "users:read.email", per_minute=TIER_3, takes_json=False)
def lookup_by_email(call: Call) -> Json:
    email = str(call.require("email")).lower()
    for user in call.slack.world.users.values():
        is_here = set(call.teams) & {user.team, *user.teams}
        if is_here and user.email.lower() == email and not user.is_deleted:
            return {"user": user_json(call.slack.world, user, call.install)}
    raise Refused("users_not_found")


@method("usergroups.list", "usergroups:read", per_minute=TIER_2, takes_json=False)
def list_usergroups(call: Call) -> Json:
    call.needs_team()
    shown = [
        usergroup_json(group, with_users=call.flag("include_users"))
        for group in call.slack.world.usergroups.values()
        if group.team in call.teams and (call.flag("include_disabled") or not group.is_disabled)
    ]
    return {"usergroups": shown}


@method("bots.info", "users:read", takes_json=False)
def bot_info(call: Call) -> Json:
    id = call.args.get("bot") or call.install.bot_id
    if id != call.install.bot_id:
        raise Refused("bot_not_found")
    shown = {"id": id, "deleted": False, "name": "Shifu", "app_id": call.install.app_id}
    return {"bot": shown | {"user_id": call.install.bot_user}}
