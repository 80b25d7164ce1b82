"""Messages written piece by piece, in chats of one person with the app alone."""

from tests.fakes.teams.messages import Message, Stream, any_of
from tests.fakes.teams.platform import Teams
from tests.fakes.teams.routes import Answer
from tests.fakes.teams.shapes import MESSAGE_BYTES, check_activity, size_bytes, split
from tests.fakes.teams.world import Conversation, Json, Refused

STREAM_LIFE_S = 120.0
STATUS_CHARS = 1_000
_NOT_ALLOWED = "Content stream is not allowed"


def take(teams: Teams, place: Conversation, body: Json) -> Answer:
    """A status, a text so far, or the end."""
    found = any_of(body.get("entities"), "streaminfo")
    info = found[0]
    kind = info.get("streamType")
    if len(found) != 1 or kind not in ("informative", "streaming", "final"):
        raise Refused(400, "BadArgument", "Invalid streaminfo")
    if place.kind != "personal":
        raise _refused(_NOT_ALLOWED)
    if (body.get("type") == "message") != (kind == "final"):
        raise Refused(400, "BadRequest", "Only end streaming type is allowed as a message activity")
    if kind == "final" and "streamSequence" in info:
        raise Refused(400, "BadRequest", "The end of a stream has no sequence")
    if kind != "final" and not isinstance(info.get("streamSequence"), int):
        raise Refused(400, "BadRequest", "Streaming activities need a sequence")
    if kind != "final" and not str(body.get("text") or "").strip():
        raise Refused(400, "BadRequest", "Start streaming activities should include text")
    if kind != "final" and (body.get("attachments") or body.get("suggestedActions")):
        raise Refused(400, "BadRequest", "Attachments are allowed only at the end of a stream")
    if kind == "informative" and len(body["text"]) > STATUS_CHARS:
        raise Refused(400, "BadRequest", "Informative text is too long")
    if not info.get("streamId"):
        return _begin(teams, place, body, info)
    return _go_on(teams, place, body, info)


def has_run_out(message: Message, teams: Teams) -> bool:
    stream = message.stream
    return stream is not None and teams.clock.now() - stream.started_at > STREAM_LIFE_S


def _begin(teams: Teams, place: Conversation, body: Json, info: Json) -> Answer:
    if info["streamType"] == "final":
        raise Refused(400, "BadRequest", "The end of a stream needs its id")
    if info["streamSequence"] != 1:
        raise Refused(400, "BadRequest", "A stream starts with sequence 1")
    now = teams.clock.now()
    for other in teams.log.within(place.id):
        if other.is_streaming and not has_run_out(other, teams):
            raise _refused("Only one content stream is allowed per chat at a time")
    _check_size(body)
    stream = Stream(started_at=now, last_at=now)
    message = teams.post(
        place, teams.bot_id, {"type": "message", "text": ""}, is_from_app=True, stream=stream
    )
    _show(message, body, info)
    return Answer(201, {"id": message.id})


def _go_on(teams: Teams, place: Conversation, body: Json, info: Json) -> Answer:
    message = teams.log.find(place.id, str(info["streamId"]))
    if message is None or message.stream is None or message.is_deleted:
        raise _refused(_NOT_ALLOWED)
    stream, now = message.stream, teams.clock.now()
    _check_state(teams, message, stream)
    if now - stream.last_at < teams.stream_pace_s:
        raise Refused(
            429, "TooManyRequests", "API calls quota exceeded", headers={"Retry-After": "1"}
        )
    is_final = info["streamType"] == "final"
    if not is_final and info["streamSequence"] != stream.sequence + 1:
        code = "ContentStreamSequenceOrderPreConditionFailed"
        told = {"error": {"code": code, "message": "PreCondition failed exception"}}
        return Answer(202, told)
    _check_size(body)
    before = message.text
    if info["streamType"] == "informative" and before:
        raise _refused("Informative updates are over once there is text")
    if not str(body.get("text") or "").startswith(before) and not is_final:
        raise _refused("Request streamed content should contain the previously streamed content")
    stream.last_at = now
    if is_final:
        _end(teams, place, message, body)
        return Answer(202, {})
    stream.sequence += 1
    _show(message, body, info)
    return Answer(202, {})


def _check_state(teams: Teams, message: Message, stream: Stream) -> None:
    if stream.state == "cancelled":
        raise _refused("Content stream was canceled by user")
    if stream.state == "completed":
        raise _refused("Content stream is not allowed on an already completed streamed message")
    if has_run_out(message, teams):
        stream.state = "expired"
    if stream.state == "expired":
        raise _refused("Content stream finished due to exceeded streaming time.")


def _end(teams: Teams, place: Conversation, message: Message, body: Json) -> None:
    """The last text may differ from what was shown, but goes through every check of a message."""
    check_activity(teams, place, body)
    assert message.stream is not None
    message.stream.state = "completed"
    first, *more = split(body)
    message.show(first)
    for part in more:
        teams.post(place, teams.bot_id, part, is_from_app=True)


def _show(message: Message, body: Json, info: Json) -> None:
    assert message.stream is not None
    message.stream.steps.append(body)
    if info["streamType"] == "informative":
        message.stream.status = body["text"]
    else:
        message.show({"type": "message", "text": body["text"]})


def _check_size(body: Json) -> None:
    if size_bytes(body) > MESSAGE_BYTES:
        raise _refused("Message size too large")


def _refused(message: str) -> Refused:
    return Refused(403, "ContentStreamNotAllowed", message)
