"""The Bot Connector's writing half: messages sent, changed and taken away."""

from typing import Any

from tests.fakes.teams import streams
from tests.fakes.teams.connector import CONNECTOR, the_place
from tests.fakes.teams.messages import Message, any_of, split_thread
from tests.fakes.teams.platform import Teams, Typing
from tests.fakes.teams.routes import Answer, Call
from tests.fakes.teams.shapes import check_activity, split
from tests.fakes.teams.world import Conversation, Json, Refused, User

TARGETED_LIFE_S = 86_400.0


@CONNECTOR.add("POST", "/v3/conversations/{conversation}/activities", "send")
def send(call: Call) -> Answer:
    place, thread = _writable(call)
    body = _activity(call)
    if place.kind == "channel" and thread is not None:
        _needs_thread(call, place, thread)
    return _post(call, place, thread, body)


@CONNECTOR.add("POST", "/v3/conversations/{conversation}/activities/{activity}", "send")
def reply(call: Call) -> Answer:
    """As *send*, in the thread that the answered message is in."""
    place, thread = _writable(call)
    body = _activity(call)
    answered = call.teams.log.find(place.id, call.params["activity"])
    if answered is None:
        raise Refused(404, "ActivityNotFoundInConversation", "Activity not found.")
    if place.kind == "channel" and thread is None:
        thread = answered.thread or answered.id
    return _post(call, place, thread, body)


@CONNECTOR.add("PUT", "/v3/conversations/{conversation}/activities/{activity}", "update")
def update(call: Call) -> Json:
    place, _ = _writable(call)
    body = _activity(call)
    message = _own_message(call, place)
    if message.targeted_to is not None and "recipient" in body:
        raise Refused(400, "BadArgument", "Bad argument")
    if body.get("type") != "message":
        raise Refused(400, "BadSyntax", "Only messages can be updated.")
    if stream_info(body) is not None:
        raise Refused(400, "BadArgument", "A streamed message is updated without streaminfo.")
    check_activity(call.teams, place, body)
    if len(split(body)) > 1:
        raise Refused(400, "BadSyntax", "Activity resulted into multiple skype activities")
    if message.stream is not None:
        message.stream.state = "completed"
    message.is_edited = True
    message.show(body)
    return {"id": message.id}


@CONNECTOR.add("DELETE", "/v3/conversations/{conversation}/activities/{activity}", "delete")
def delete(call: Call) -> None:
    place, _ = _writable(call)
    message = _own_message(call, place)
    message.is_deleted = True


def has_faded(teams: Teams, message: Message) -> bool:
    """What one person alone sees is gone after a day."""
    age_s = teams.clock.now() - message.created_at
    return message.targeted_to is not None and age_s > TARGETED_LIFE_S


def stream_info(body: Any) -> Json | None:
    found = any_of(body.get("entities"), "streaminfo") if isinstance(body, dict) else []
    return found[0] if found else None


def _post(call: Call, place: Conversation, thread: str | None, body: Json) -> Answer:
    teams = call.teams
    recipient = _recipient(call, place, body)
    if stream_info(body) is not None:
        if recipient is not None:
            raise Refused(403, "ContentStreamNotAllowed", "Content stream is not allowed")
        return streams.take(teams, place, body)
    if body.get("type") == "typing":
        teams.typing.append(Typing(place.id, thread, teams.clock.now()))
        return Answer(202)
    check_activity(teams, place, body)
    made = [
        teams.post(
            place,
            teams.bot_id,
            part,
            is_from_app=True,
            thread=thread,
            targeted_to=recipient.id if recipient else None,
        )
        for part in split(body)
    ]
    # Of several messages Teams tells no id.
    return Answer(201, {"id": made[0].id}) if len(made) == 1 else Answer(202)


def _recipient(call: Call, place: Conversation, body: Json) -> User | None:
    """Who alone is to see it."""
    if call.query.get("isTargetedActivity") != "true":
        return None
    _needs_targeted(call, place)
    user = call.world.find_user(str((body.get("recipient") or {}).get("id") or ""))
    if user is None:
        raise Refused(400, "BadArgument", "Bad argument")
    if user not in call.world.members(place):
        raise Refused(404, "BotNotInConversationRoster", "The recipient is not part of the roster.")
    return user


def _needs_targeted(call: Call, place: Conversation) -> None:
    if place.kind == "personal" or not call.world.tenants[place.tenant].takes_targeted:
        raise Refused(400, "BadArgument", "Bad argument")


def _writable(call: Call) -> tuple[Conversation, str | None]:
    place = the_place(call)
    _, thread = split_thread(call.params["conversation"])
    if place.kind == "personal" and call.world.users[place.members[0]].has_blocked:
        raise Refused(403, "MessageWritesBlocked", "Message writes are blocked: thread is blocked.")
    return place, thread if place.kind == "channel" else None


def _activity(call: Call) -> Json:
    body: Any = call.body
    if not isinstance(body, dict):
        raise Refused(400, "BadSyntax", "The request body is not JSON.")
    if body.get("type") not in ("message", "typing"):
        raise Refused(400, "BadSyntax", f"Invalid activity type: {body.get('type')}")
    return body


def _needs_thread(call: Call, place: Conversation, thread: str) -> None:
    root = call.teams.log.find(place.id, thread)
    if root is None or root.thread is not None:
        raise Refused(404, "ConversationNotFound", "Conversation not found.")


def _own_message(call: Call, place: Conversation) -> Message:
    message = call.teams.log.find(place.id, call.params["activity"])
    is_targeted = call.query.get("isTargetedActivity") == "true"
    if is_targeted:
        _needs_targeted(call, place)
    if message is None or message.is_deleted or has_faded(call.teams, message):
        raise Refused(404, "ActivityNotFoundInConversation", "Activity not found.")
    # A message for one person is another kind of message: each is changed in its own way.
    if is_targeted != (message.targeted_to is not None):
        raise Refused(404, "ActivityNotFoundInConversation", "Activity not found.")
    if not message.is_from_app:
        raise Refused(403, "Forbidden", "The message was not sent by the bot.")
    return message
