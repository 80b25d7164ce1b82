"""`chat.*` but for the streams."""

from typing import Any

from tests.fakes.slack.blocks import check_message_blocks
from tests.fakes.slack.messages import Message
from tests.fakes.slack.methods import SPECIAL, TIER_3, TIER_4, Call, method
from tests.fakes.slack.world import Channel, Json, Refused

TEXT_CHARS = 40_000
MARKDOWN_CHARS = 12_000
METADATA_CHARS = 8_000


@method("chat.postMessage", "chat:write", per_minute=SPECIAL)
def post_message(call: Call) -> Json:
    channel = _target(call)
    text, blocks = content(call.args)
    thread_ts = _thread(call, channel)
    message = call.slack.post(
        channel,
        call.install.bot_user,
        bot_id=call.install.bot_id,
        user_team=call.teams[0],
        text=text,
        blocks=blocks,
        thread_ts=thread_ts,
        metadata=_metadata(call.args),
        unfurl_links=call.flag("unfurl_links", True),
        unfurl_media=call.flag("unfurl_media", True),
        is_broadcast=call.flag("reply_broadcast"),
    )
    call.slack.deliveries.own_message(message, channel)
    return {"channel": channel.id, "ts": message.ts, "message": message.json()}


@method("chat.update", "chat:write", per_minute=TIER_3)
def update(call: Call) -> Json:
    channel = call.channel()
    message = call.slack.log.get(channel, call.require("ts"))
    _check_own(call, message, "cant_update_message")
    call.slack.deliveries.streams.expire(message)
    if message.is_streaming:
        raise Refused("streaming_state_conflict")
    text, blocks = content(call.args, old=message)
    if "metadata" in call.args:
        message.metadata = _metadata(call.args)
    message.show(text, blocks)
    # With blocks, Slack does not write "(edited)" beside it.
    message.is_edited = not blocks
    return {"channel": channel.id, "ts": message.ts, "text": text, "message": message.json()}


@method("chat.delete", "chat:write", per_minute=TIER_3)
def delete(call: Call) -> Json:
    channel = call.channel()
    message = call.slack.log.get(channel, call.require("ts"))
    _check_own(call, message, "cant_delete_message")
    call.slack.deliveries.streams.expire(message)
    if message.is_streaming:
        raise Refused("cant_delete_message")
    message.is_deleted = True
    return {"channel": channel.id, "ts": message.ts}


@method("chat.postEphemeral", "chat:write", per_minute=TIER_4)
def post_ephemeral(call: Call) -> Json:
    channel = call.channel()
    if channel.is_archived:
        raise Refused("is_archived")
    if not call.is_in(channel):
        raise Refused("not_in_channel")
    user = call.slack.world.find_user(str(call.require("user")), channel.teams)
    if user is None or user.id not in channel.members or user.is_deleted:
        raise Refused("user_not_in_channel")
    thread_ts = str(call.args.get("thread_ts") or "")
    text, blocks = content(call.args)
    message = call.slack.post(
        channel,
        call.install.bot_user,
        bot_id=call.install.bot_id,
        text=text,
        blocks=blocks,
        thread_ts=thread_ts or None,
        ephemeral_to=user.id,
        is_unseen=bool(thread_ts) and not call.slack.log.is_active_thread(channel, thread_ts),
    )
    return {"message_ts": message.ts}


@method("chat.getPermalink", per_minute=SPECIAL, takes_json=False)
def get_permalink(call: Call) -> Json:
    channel = call.channel()
    message = call.slack.log.get(channel, call.require("message_ts"))
    return {"channel": channel.id, "permalink": permalink(message)}


@method("chat.unfurl", "links:write")
def unfurl(call: Call) -> Json:
    unfurls = call.require("unfurls")
    if call.args.get("unfurl_id"):
        call.require("source")
        return {}
    message = call.slack.log.get(call.channel(), call.args.get("ts"), error="cannot_unfurl_message")
    if not isinstance(unfurls, dict):
        raise Refused("invalid_unfurls_format")
    for url, shown in unfurls.items():
        check_message_blocks(shown.get("blocks", []), at=f"/unfurls/{url}/blocks")
    message.unfurls |= unfurls
    return {}


def permalink(message: Message) -> str:
    link = (
        f"https://{message.team.lower()}.slack.example/archives/{message.channel}"
        f"/p{message.ts.replace('.', '')}"
    )
    if message.thread_ts and message.thread_ts != message.ts:
        link += f"?thread_ts={message.thread_ts}&cid={message.channel}"
    return link


def content(args: Json, *, old: Message | None = None) -> tuple[str, list[Json]]:
    """The text and blocks that *args* ask for; with *old*, what an update leaves as it is."""
    text, markdown = args.get("text"), args.get("markdown_text")
    blocks = args.get("blocks")
    if markdown:
        if blocks or text:
            raise Refused("markdown_text_conflict")
        if len(markdown) > MARKDOWN_CHARS:
            raise Refused("msg_too_long")
        return markdown, [{"type": "markdown", "text": markdown}]
    if text is not None and not isinstance(text, str):
        raise Refused("invalid_arguments")
    if not text and not blocks and not args.get("attachments"):
        raise Refused("no_text")
    shown = (text or (old.text if old else ""))[:TEXT_CHARS]
    # An update without the field keeps the blocks, so that people go on seeing the old ones;
    # an empty list takes them away.
    if blocks is None:
        return shown, old.blocks if old is not None else []
    return shown, check_message_blocks(blocks)


def _target(call: Call) -> Channel:
    id = str(call.args.get("channel") or "")
    user = call.slack.world.find_user(id, call.teams) if id.startswith(("U", "W")) else None
    if user is not None:
        return call.slack.world.direct(user, call.install.bot_user)
    return call.writable_channel()


def _thread(call: Call, channel: Channel) -> str | None:
    thread_ts = call.args.get("thread_ts")
    if not thread_ts:
        return None
    root = call.slack.log.find(channel, str(thread_ts))
    if root is None:
        raise Refused("thread_not_found")
    if root.ephemeral_to is not None:
        raise Refused("cannot_reply_to_message")
    # A reply's own ts leads to the thread that it is in.
    return root.thread_ts or root.ts


def _metadata(args: Json) -> Json | None:
    metadata: Any = args.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not metadata.get("event_type"):
        raise Refused("invalid_metadata_format")
    if len(str(metadata)) > METADATA_CHARS:
        raise Refused("metadata_too_large")
    return metadata


def _check_own(call: Call, message: Message, error: str) -> None:
    if message.user != call.install.bot_user:
        raise Refused(error)
