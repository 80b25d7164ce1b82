"""`conversations.*`, `reactions.add` and `users.conversations`."""

from tests.fakes.slack.messages import Message
from tests.fakes.slack.methods import TIER_2, TIER_3, TIER_4, Call, method
from tests.fakes.slack.shapes import channel_json
from tests.fakes.slack.world import Channel, Json, Refused

_KINDS = {"public_channel": "public", "private_channel": "private", "mpim": "mpim", "im": "im"}


@method("conversations.info", takes_json=False)
def info(call: Call) -> Json:
    channel = call.channel()
    _needs_any_read(call, channel)
    with_count = call.flag("include_num_members")
    shown = channel_json(call.slack.world, channel, call.install, with_count=with_count)
    if call.flag("include_locale"):
        shown["locale"] = "en-US"
    return {"channel": shown}


@method("conversations.members", per_minute=TIER_4, takes_json=False)
def members(call: Call) -> Json:
    channel = call.channel()
    _needs_any_read(call, channel)
    page, rest = call.page(channel.members, default=100, most=1_000)
    return {"members": page, **rest}


@method("conversations.list", per_minute=TIER_2, takes_json=False)
def list_channels(call: Call) -> Json:
    call.needs_team()
    return _listing(call, joined_by=None)


@method("users.conversations", per_minute=TIER_3, takes_json=False)
def list_joined(call: Call) -> Json:
    call.needs_team()
    user = call.args.get("user") or call.install.bot_user
    return _listing(call, joined_by=user)


@method("conversations.open", per_minute=TIER_3)
def open_conversation(call: Call) -> Json:
    if call.args.get("channel"):
        channel = call.channel()
    else:
        users = [u for u in str(call.require("users")).split(",") if u]
        call.needs_scope("im:write" if len(users) == 1 else "mpim:write")
        found = [call.slack.world.find_user(user, call.teams) for user in users]
        if not all(found):
            raise Refused("user_not_found")
        people = [user for user in found if user is not None]
        if any(user.is_deleted for user in people):
            raise Refused("user_disabled")
        if any(user.is_bot for user in people):
            raise Refused("cannot_dm_bot")
        if len(people) == 1:
            channel = call.slack.world.direct(people[0], call.install.bot_user)
        else:
            members = [*sorted(user.id for user in people), call.install.bot_user]
            id = "C" + "".join(user[1:] for user in members)
            channel = Channel(id, f"mpdm-{id}", "mpim", people[0].team, members)
            channel = call.slack.world.channels.setdefault((channel.team, id), channel)
    if call.flag("return_im"):
        return {"channel": channel_json(call.slack.world, channel, call.install)}
    return {"channel": {"id": channel.id}}


@method("conversations.history", takes_json=False)
def history(call: Call) -> Json:
    channel = _readable(call)
    roots = [
        m
        for m in call.slack.log.in_channel(channel)
        if m.ephemeral_to is None and (m.thread_ts in (None, m.ts) or m.is_broadcast)
    ]
    chosen = _in_window(call, roots)[::-1]
    page, rest = call.page(chosen, **_page_limits(call))
    shown = [_with_replies(call, channel, m) for m in page]
    return {"messages": shown, "has_more": bool(rest["response_metadata"]["next_cursor"]), **rest}


@method("conversations.replies", takes_json=False)
def replies(call: Call) -> Json:
    channel = _readable(call)
    asked = call.slack.log.get(channel, call.require("ts"), error="thread_not_found")
    root_ts = asked.thread_ts or asked.ts
    thread = [m for m in call.slack.log.thread(channel, root_ts) if m.ephemeral_to is None]
    root, others = thread[:1], thread[1:]
    chosen = root + _in_window(call, others)
    page, rest = call.page(chosen, **_page_limits(call))
    shown = [_with_replies(call, channel, m) for m in page]
    return {"messages": shown, "has_more": bool(rest["response_metadata"]["next_cursor"]), **rest}


@method("reactions.add", "reactions:write")
def add_reaction(call: Call) -> Json:
    channel = call.channel()
    message = call.slack.log.get(channel, call.require("timestamp"))
    who = message.reactions.setdefault(str(call.require("name")), [])
    if call.install.bot_user in who:
        raise Refused("already_reacted")
    who.append(call.install.bot_user)
    return {}


def _needs_any_read(call: Call, channel: Channel) -> None:
    call.needs_scope(f"{channel.scope_family}:read")


def _readable(call: Call) -> Channel:
    channel = call.channel()
    call.needs_scope(f"{channel.scope_family}:history")
    if not call.is_in(channel):
        raise Refused("not_in_channel")
    return channel


def _page_limits(call: Call) -> dict[str, int]:
    if not call.slack.faults.has_tight_history:
        return {"default": 100, "most": 999}
    # Slack silently caps what is asked for.
    call.args["limit"] = min(call.number("limit", 15), 15)
    return {"default": 15, "most": 15}


def _in_window(call: Call, messages: list[Message]) -> list[Message]:
    oldest = float(call.args.get("oldest") or 0)
    latest = float(call.args.get("latest") or "inf")
    inclusive = call.flag("inclusive")
    return [
        m
        for m in messages
        if oldest < float(m.ts) < latest or (inclusive and float(m.ts) in (oldest, latest))
    ]


def _with_replies(call: Call, channel: Channel, message: Message) -> Json:
    body = message.json()
    if not call.flag("include_all_metadata"):
        body.pop("metadata", None)
    if message.thread_ts not in (None, message.ts):
        return body
    thread = [m for m in call.slack.log.thread(channel, message.ts) if m.ephemeral_to is None]
    if len(thread) > 1:
        body |= {
            "thread_ts": message.ts,
            "reply_count": len(thread) - 1,
            "reply_users": sorted({m.user for m in thread[1:]}),
            "latest_reply": thread[-1].ts,
        }
    return body


def _listing(call: Call, *, joined_by: str | None) -> Json:
    kinds = str(call.args.get("types") or "public_channel").split(",")
    unknown = set(kinds) - set(_KINDS)
    if unknown:
        raise Refused("invalid_types")
    families = {"public": "channels", "private": "groups"}
    wanted = {_KINDS[kind] for kind in kinds}
    for kind in sorted(wanted):
        call.needs_scope(f"{families.get(kind, kind)}:read")
    found = [
        channel
        for channel in call.slack.world.channels.values()
        if channel.kind in wanted
        and set(channel.teams) & set(call.teams)
        and (channel.kind == "public" or call.is_in(channel))
        and (joined_by is None or joined_by in channel.members)
        and not (call.flag("exclude_archived") and channel.is_archived)
    ]
    page, rest = call.page(found, default=100, most=1_000)
    shown = [channel_json(call.slack.world, c, call.install, with_count=True) for c in page]
    return {"channels": shown, **rest}
