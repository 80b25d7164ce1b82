"""`views.open`, `views.update`, `views.push` and `views.publish`."""

import secrets
from typing import Any

from tests.fakes.slack.blocks import view_problems
from tests.fakes.slack.methods import TIER_4, Call, method
from tests.fakes.slack.platform import Slack, Trigger, View
from tests.fakes.slack.world import Json, Refused, User


@method("views.open", per_minute=TIER_4)
def open_view(call: Call) -> Json:
    trigger = _trigger(call)
    checked = _checked(call, "modal")
    user = call.slack.world.find_user(trigger.user, [trigger.team])
    assert user is not None
    return {"view": view_json(call.slack, add_view(call.slack, user, trigger.team, checked))}


@method("views.push", per_minute=TIER_4)
def push(call: Call) -> Json:
    return open_view(call)


@method("views.update", per_minute=TIER_4)
def update(call: Call) -> Json:
    view_id, external_id = call.args.get("view_id"), call.args.get("external_id")
    if not view_id and not external_id:
        raise Refused("invalid_arguments")
    for view in call.slack.views.values():
        is_meant = view.id == view_id or (
            external_id and view.view.get("external_id") == external_id
        )
        if is_meant and view.is_open and view.kind == "modal":
            _replace(call, view, _checked(call, "modal"))
            return {"view": view_json(call.slack, view)}
    raise Refused("not_found")


@method("views.publish", per_minute=TIER_4)
def publish(call: Call) -> Json:
    user = call.user("user_id")
    checked = _checked(call, "home")
    for view in call.slack.views.values():
        if (view.kind, view.user, view.team) == ("home", user.id, user.team):
            _replace(call, view, checked)
            return {"view": view_json(call.slack, view)}
    return {"view": view_json(call.slack, add_view(call.slack, user, user.team, checked))}


def add_view(slack: Slack, user: User, team: str, payload: Json) -> View:
    view = View(
        slack.next_id("V"), payload["type"], user.id, team, payload, secrets.token_hex(4), [payload]
    )
    slack.views[view.id] = view
    return view


def change_view(view: View, payload: Json) -> None:
    view.view = payload
    view.versions.append(payload)
    view.hash = secrets.token_hex(4)


def view_json(slack: Slack, view: View, values: Json | None = None) -> Json:
    return {
        "private_metadata": "",
        "callback_id": "",
        "external_id": "",
        **view.view,
        "id": view.id,
        "team_id": view.team,
        "hash": view.hash,
        "root_view_id": view.id,
        "previous_view_id": None,
        "app_id": slack.app_id,
        "state": {"values": values or {}},
    }


def _trigger(call: Call) -> Trigger:
    id = call.args.get("trigger_id") or call.args.get("interactivity_pointer")
    if not id:
        raise Refused("invalid_arguments", messages=["[ERROR] missing required field: trigger_id"])
    trigger = call.slack.triggers.get(str(id))
    if trigger is None or trigger.team not in call.teams:
        raise Refused("invalid_trigger_id")
    if trigger.is_used:
        raise Refused("exchanged_trigger_id")
    if call.slack.clock.now() > trigger.expires_at:
        raise Refused("expired_trigger_id")
    trigger.is_used = True
    return trigger


def _checked(call: Call, kind: str) -> Json:
    view: Any = call.require("view")
    if not isinstance(view, dict) or view.get("type") != kind:
        raise Refused(
            "invalid_arguments", messages=["[ERROR] unsupported type [json-pointer:/view]"]
        )
    if problems := view_problems(view):
        raise Refused("invalid_arguments", messages=[f"[ERROR] {p}" for p in problems])
    external_id = view.get("external_id")
    taken = [v for v in call.slack.views.values() if v.is_open and external_id]
    if any(
        v.view.get("external_id") == external_id and v.id != call.args.get("view_id") for v in taken
    ):
        raise Refused("duplicate_external_id")
    return view


def _replace(call: Call, view: View, payload: Json) -> None:
    known = call.args.get("hash")
    if known is not None and known != view.hash:
        raise Refused("hash_conflict")
    change_view(view, payload)
