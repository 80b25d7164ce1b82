"""`chat.startStream`, `chat.appendStream` and `chat.stopStream`: messages written piece by piece."""

from typing import Any

from tests.fakes.slack.blocks import MESSAGE_BLOCKS, check_message_blocks
from tests.fakes.slack.chat import MARKDOWN_CHARS
from tests.fakes.slack.messages import STREAM_LIFE_S, Message, Stream
from tests.fakes.slack.methods import TIER_2, TIER_4, Call, method
from tests.fakes.slack.platform import Slack, Status
from tests.fakes.slack.problems import length_problems
from tests.fakes.slack.world import Channel, Json, Refused

SESSION_STATES = {"active", "processing", "suspended", "closed"}
_TASK_STATES = {"pending", "in_progress", "complete", "error"}


class Streams:
    """Ends streams that nobody stopped."""

    def __init__(self, slack: Slack) -> None:
        self._slack = slack

    def expire(self, message: Message) -> None:
        stream = message.stream
        now = self._slack.clock.now()
        if stream and message.is_streaming and now - stream.started_at > STREAM_LIFE_S:
            stream.state = "expired"


@method("chat.startStream", "chat:write", per_minute=TIER_2)
def start(call: Call) -> Json:
    channel = call.writable_channel()
    root = call.slack.log.find(channel, str(call.require("thread_ts")))
    if root is None:
        raise Refused("thread_not_found")
    if root.ephemeral_to is not None:
        raise Refused("cannot_reply_to_message")
    user, team = _recipient(call, channel)
    display = call.args.get("task_display_mode") or "timeline"
    if display not in ("timeline", "plan"):
        raise Refused("invalid_arguments")
    stream = Stream(
        call.slack.clock.now(), recipient_user=user, recipient_team=team, display=display
    )
    # Checked before the message exists: what is refused leaves nothing behind.
    pieces = _pieces(call.args, stream)
    message = call.slack.post(
        channel,
        call.install.bot_user,
        bot_id=call.install.bot_id,
        thread_ts=root.thread_ts or root.ts,
        stream=stream,
    )
    _extend(message, pieces)
    return {"channel": channel.id, "ts": message.ts}


@method("chat.appendStream", "chat:write", per_minute=TIER_4)
def append(call: Call) -> Json:
    channel, message = _open_stream(call)
    assert message.stream is not None
    pieces = _pieces(call.args, message.stream)
    if not pieces:
        raise Refused("no_text")
    _extend(message, pieces)
    return {"channel": channel.id, "ts": message.ts}


@method("chat.stopStream", "chat:write", per_minute=TIER_2)
def stop(call: Call) -> Json:
    channel, message = _open_stream(call)
    assert message.stream is not None
    pieces = _pieces(call.args, message.stream)
    blocks = check_message_blocks(call.args.get("blocks") or [])
    status = call.args.get("session_status")
    if status is not None and status not in SESSION_STATES:
        raise Refused("invalid_arguments")
    if not pieces and not blocks and not message.stream.chunks:
        raise Refused("no_text")
    _extend(message, pieces)
    message.stream.state = "completed"
    message.metadata = call.args.get("metadata")
    message.show(message.text, [*message.blocks, *blocks])
    if status is not None:
        call.slack.statuses.append(
            Status(
                channel.id,
                message.thread_ts,
                status,
                "agents.sessions.setStatus",
                call.slack.clock.now(),
            )
        )
    return {"channel": channel.id, "ts": message.ts, "message": message.json()}


def _recipient(call: Call, channel: Channel) -> tuple[str | None, str | None]:
    user_id, team_id = call.args.get("recipient_user_id"), call.args.get("recipient_team_id")
    if channel.kind != "im":
        if not team_id:
            raise Refused("missing_recipient_team_id")
        if not user_id:
            raise Refused("missing_recipient_user_id")
    if user_id:
        user = call.slack.world.find_user(user_id, channel.teams)
        if user is None:
            raise Refused("user_not_found")
        if team_id and team_id not in (user.team, *user.teams):
            raise Refused("team_not_found")
    return user_id, team_id


def _open_stream(call: Call) -> tuple[Channel, Message]:
    channel = call.channel()
    message = call.slack.log.get(channel, call.require("ts"))
    if message.user != call.install.bot_user:
        raise Refused("message_not_owned_by_app")
    call.slack.deliveries.streams.expire(message)
    if message.stream is not None and message.stream.state == "stopped":
        raise Refused("stopped_by_user")
    if not message.is_streaming:
        raise Refused("message_not_in_streaming_state")
    return channel, message


def _pieces(args: Json, stream: Stream) -> list[Json]:
    """What a call adds, as chunks."""
    text, chunks = args.get("markdown_text"), args.get("chunks")
    if text is not None and chunks is not None:
        raise Refused("cannot_provide_both_markdown_text_and_chunks")
    if text is None and chunks is None:
        return []
    mode = "text" if chunks is None else "chunks"
    if chunks == []:
        return []
    if stream.mode not in (None, mode):
        raise Refused("streaming_mode_mismatch")
    pieces: Any = [{"type": "markdown_text", "text": text}] if chunks is None else chunks
    if not isinstance(pieces, list) or not all(isinstance(piece, dict) for piece in pieces):
        raise Refused("invalid_chunks")
    for number, piece in enumerate(pieces):
        _check_piece(piece, f"/chunks/{number}")
    count = sum(len(piece["blocks"]) for piece in pieces if piece["type"] == "blocks")
    if stream.blocks_in_chunks + count > MESSAGE_BLOCKS:
        raise Refused("msg_blocks_too_long")
    stream.mode = mode
    return [piece for piece in pieces if piece.get("text") != ""]


def _check_piece(piece: Json, at: str) -> None:
    problems: list[str] = []
    match piece.get("type"):
        case "markdown_text":
            if not isinstance(piece.get("text"), str):
                problems.append("missing required field: text")
            elif len(piece["text"]) > MARKDOWN_CHARS:
                raise Refused("msg_too_long")
        case "task_update":
            if not piece.get("id") or not piece.get("title"):
                problems.append("missing required field: id or title")
            if piece.get("status", "pending") not in _TASK_STATES:
                problems.append("unsupported status")
            for name in ("title", "details", "output"):
                problems += length_problems(piece.get(name), f"{at}/{name}", 256)
        case "plan_update":
            problems += length_problems(piece.get("title", ""), f"{at}/title", 256, least=1)
        case "blocks":
            check_message_blocks(piece.get("blocks"), at=f"{at}/blocks")
        case _:
            problems.append(f"unsupported chunk: {piece.get('type')}")
    if problems:
        raise Refused("invalid_chunks", messages=[f"[ERROR] {p} [{at}]" for p in problems])


def _extend(message: Message, pieces: list[Json]) -> None:
    stream = message.stream
    if stream is None or not pieces:
        return
    stream.chunks.extend(pieces)
    stream.blocks_in_chunks += sum(len(p["blocks"]) for p in pieces if p["type"] == "blocks")
    blocks = _shown(stream)
    text = "".join(p["text"] for p in stream.chunks if p["type"] == "markdown_text")
    message.show(text, blocks)


def _shown(stream: Stream) -> list[Json]:
    """Text runs, tasks (one card per id) and blocks, in the order in which each first came."""
    shown: list[Json] = []
    tasks: dict[str, Json] = {}
    plan: Json | None = None
    for piece in stream.chunks:
        match piece["type"]:
            case "markdown_text":
                if shown and shown[-1]["type"] == "markdown":
                    shown[-1] = {"type": "markdown", "text": shown[-1]["text"] + piece["text"]}
                else:
                    shown.append({"type": "markdown", "text": piece["text"]})
            case "blocks":
                shown.extend(piece["blocks"])
            case "plan_update":
                if plan is None:
                    plan = {"type": "plan", "title": "", "tasks": []}
                    shown.append(plan)
                plan["title"] = piece["title"]
            case "task_update":
                known = tasks.get(piece["id"])
                if known is None:
                    known = tasks[piece["id"]] = {"type": "task_card", "task_id": piece["id"]}
                    if stream.display == "plan":
                        if plan is None:
                            plan = {"type": "plan", "title": "", "tasks": []}
                            shown.append(plan)
                        plan["tasks"].append(known)
                    else:
                        shown.append(known)
                _merge_task(known, piece)
    return shown


def _merge_task(card: Json, piece: Json) -> None:
    """Title and status replace; details and output are added to what the card holds."""
    card["title"] = piece["title"]
    card["status"] = piece.get("status", card.get("status", "pending"))
    for name in ("details", "output"):
        if name in piece:
            card[name] = card.get(name, "") + piece[name]
    if "sources" in piece:
        card["sources"] = [*card.get("sources", []), *piece["sources"]]
