"""What the agent surface adds: statuses, titles, prompts, sessions and the search in Slack."""

from typing import Any

from tests.fakes.slack.methods import SPECIAL, TIER_3, TIER_4, Call, method
from tests.fakes.slack.platform import Status
from tests.fakes.slack.streams import SESSION_STATES
from tests.fakes.slack.world import Channel, Json, Refused

TITLE_CHARS = 200
STATUS_CHARS = 50


@method("assistant.threads.setStatus", "chat:write", "assistant:write", per_minute=TIER_4)
def set_status(call: Call) -> Json:
    channel, thread_ts = _thread(call, is_required=True)
    status = call.args.get("status")
    if not isinstance(status, str):
        raise Refused("invalid_arguments", messages=["[ERROR] missing required field: status"])
    messages: Any = call.args.get("loading_messages") or []
    if len(messages) > 10:
        raise Refused("invalid_arguments", messages=["[ERROR] no more than 10 items allowed"])
    for number, text in enumerate(messages):
        if len(text) > STATUS_CHARS:
            problem = f"must be less than {STATUS_CHARS + 1} characters"
            at = f"[json-pointer:/loading_messages/{number}]"
            raise Refused("invalid_arguments", messages=[f"[ERROR] {problem} {at}"])
    call.slack.statuses.append(
        Status(
            channel.id,
            thread_ts,
            status,
            "assistant.threads.setStatus",
            call.slack.clock.now(),
            list(messages),
        )
    )
    return {}


@method("assistant.threads.setTitle", "assistant:write", per_minute=TIER_4)
def set_title(call: Call) -> Json:
    channel, thread_ts = _thread(call, is_required=True)
    call.slack.titles[channel.id, thread_ts] = str(call.require("title"))
    return {}


@method("assistant.threads.setSuggestedPrompts", "assistant:write", per_minute=TIER_4)
def set_prompts(call: Call) -> Json:
    channel, thread_ts = _thread(call, is_required=False)
    if channel.kind != "im":
        raise Refused("channel_type_not_supported")
    prompts: Any = call.require("prompts")
    if len(prompts) > 4 or not all(p.get("title") and p.get("message") for p in prompts):
        raise Refused("invalid_arguments")
    shown = {"channel": channel.id, "thread_ts": thread_ts, "prompts": prompts}
    call.slack.prompts.append(shown | {"title": call.args.get("title")})
    return {}


@method("agents.sessions.setStatus", "chat:write", per_minute=TIER_3)
def set_session_status(call: Call) -> Json:
    _needs_agent(call)
    channel, thread_ts = _thread(call, is_required=False, name="channel_id")
    status, title = str(call.require("status")), str(call.args.get("title") or "")
    if status not in SESSION_STATES or len(title) > TITLE_CHARS:
        raise Refused("invalid_arguments")
    call.slack.statuses.append(
        Status(
            channel.id,
            thread_ts,
            status,
            "agents.sessions.setStatus",
            call.slack.clock.now(),
            title=title,
        )
    )
    if title:
        call.slack.titles[channel.id, thread_ts] = title
    return {"status": status, "agent_status": status}


@method("agents.sessions.rename", "chat:write", per_minute=TIER_3)
def rename_session(call: Call) -> Json:
    _needs_agent(call)
    channel, thread_ts = _thread(call, is_required=False)
    title = str(call.require("title"))
    if len(title) > TITLE_CHARS:
        raise Refused("invalid_arguments")
    call.slack.titles[channel.id, thread_ts] = title
    return {}


@method("assistant.search.context", "search:read.public", per_minute=SPECIAL)
def search(call: Call) -> Json:
    call.require("query")
    token = call.args.get("action_token")
    # A bot may search only on behalf of somebody who is asking it just now.
    if token not in call.slack.action_tokens:
        raise Refused("missing_argument" if not token else "invalid_action_token")
    return call.slack.search_results or {"results": {"messages": []}}


def _needs_agent(call: Call) -> None:
    """Only an app that was declared an agent has sessions, and that brings the scope."""
    if "assistant:write" not in call.install.scopes:
        raise Refused("not_authorized")


def _thread(
    call: Call, *, is_required: bool, name: str = "channel_id"
) -> tuple[Channel, str | None]:
    channel = call.channel(name)
    if not call.is_in(channel):
        raise Refused("not_in_channel")
    thread_ts = call.args.get("thread_ts")
    if not thread_ts and is_required:
        raise Refused("invalid_arguments", messages=["[ERROR] missing required field: thread_ts"])
    if thread_ts and call.slack.log.find(channel, str(thread_ts)) is None:
        raise Refused("thread_not_found")
    return channel, thread_ts
