"""Graph's messages of channels and chats."""

import html
import json

from tests.fakes.teams.activities import content_url
from tests.fakes.teams.clock import stamp
from tests.fakes.teams.graph import GRAPH, needs, page
from tests.fakes.teams.graph_teams import the_channel, the_chat, the_team
from tests.fakes.teams.messages import Message
from tests.fakes.teams.platform import Teams
from tests.fakes.teams.routes import Call
from tests.fakes.teams.world import Conversation, Json, Refused

MOST_MESSAGES = 50
MOST_REPLIES = 1000


@GRAPH.add("GET", "/teams/{team}/channels/{channel}/messages")
def channel_messages(call: Call) -> Json:
    place = readable_channel(call)
    roots = [m for m in shown(call, place) if m.thread is None]
    found = _page(call, place, roots)
    found["value"] = [with_replies(call, place, root) for root in found["value"]]
    return found


@GRAPH.add("GET", "/teams/{team}/channels/{channel}/messages/{message}")
def channel_message(call: Call) -> Json:
    place = readable_channel(call)
    return message_json(call.teams, place, _found(call, place, call.params["message"], None))


@GRAPH.add("GET", "/teams/{team}/channels/{channel}/messages/{message}/replies")
def replies(call: Call) -> Json:
    place = readable_channel(call)
    root = _found(call, place, call.params["message"], None)
    return _page(call, place, [m for m in shown(call, place) if m.thread == root.id])


@GRAPH.add("GET", "/teams/{team}/channels/{channel}/messages/{message}/replies/{reply}")
def reply(call: Call) -> Json:
    place = readable_channel(call)
    found = _found(call, place, call.params["reply"], call.params["message"])
    return message_json(call.teams, place, found)


@GRAPH.add("GET", "/chats/{chat}/messages")
def chat_messages(call: Call) -> Json:
    place = _readable_chat(call)
    return _page(call, place, shown(call, place))


@GRAPH.add("GET", "/chats/{chat}/messages/{message}")
def chat_message(call: Call) -> Json:
    place = _readable_chat(call)
    return message_json(call.teams, place, _found(call, place, call.params["message"], None))


def message_json(teams: Teams, place: Conversation, message: Message) -> Json:
    """As `chatMessage`."""
    is_channel = place.kind == "channel"
    team = teams.world.team_of(place)
    at = stamp(message.created_at)
    shown: Json = {
        "id": message.id,
        "replyToId": message.thread if is_channel else None,
        "messageType": "message",
        "createdDateTime": at,
        "lastModifiedDateTime": at,
        "lastEditedDateTime": at if message.is_edited else None,
        "deletedDateTime": at if message.is_deleted else None,
        "subject": message.body.get("subject"),
        "importance": "normal",
        "locale": "en-us",
        "chatId": None if is_channel else place.id,
        "webUrl": None,
        "channelIdentity": None,
        "from": _sender(teams, message),
        "reactions": [],
    }
    if team is not None:
        root = message.thread or message.id
        link = f"https://teams.example/l/message/{place.id}/{message.id}?parentMessageId={root}"
        shown |= {"webUrl": link}
        shown |= {"channelIdentity": {"teamId": team.group_id, "channelId": place.id}}
    if message.is_deleted:
        return shown | {"body": {"contentType": "html", "content": ""}} | _NOTHING
    return shown | _content(teams, message)


_NOTHING: Json = {"attachments": [], "mentions": []}


def _content(teams: Teams, message: Message) -> Json:
    if message.is_from_app:
        cards = [
            {
                "id": f"card-{n}",
                "contentType": a["contentType"],
                "content": json.dumps(a["content"]),
            }
            for n, a in enumerate(message.attachments)
            if "content" in a
        ]
        tags = "".join(f'<attachment id="{card["id"]}"></attachment>' for card in cards)
        body = {"contentType": "html", "content": f"<p>{message.text}</p>{tags}"}
        return {"body": body, "attachments": cards, "mentions": []}
    files = [teams.world.files[id] for id in message.files]
    references = [
        {
            "id": file.id,
            "contentType": "reference",
            "contentUrl": content_url(teams, file),
            "name": file.name,
            "content": None,
        }
        for file in files
    ]
    tags = "".join(f'<attachment id="{file.id}"></attachment>' for file in files)
    shown = f"<at>{html.escape(teams.bot_name)}</at>"
    text = message.text.replace(shown, f'<at id="0">{html.escape(teams.bot_name)}</at>', 1)
    bot = {
        "id": teams.app_id,
        "displayName": teams.bot_name,
        "applicationIdentityType": "bot",
    }
    named = {"id": 0, "mentionText": teams.bot_name, "mentioned": {"application": bot}}
    return {
        "body": {"contentType": "html", "content": f"<p>{text}</p>{tags}"},
        "attachments": references,
        "mentions": [named] if shown in message.text else [],
    }


def _sender(teams: Teams, message: Message) -> Json:
    if message.is_from_app:
        bot = {
            "id": teams.app_id,
            "displayName": teams.bot_name,
            "applicationIdentityType": "bot",
        }
        return {"application": bot, "user": None, "device": None}
    user = teams.world.user(message.author)
    kind = "anonymousGuest" if user.is_anonymous else "aadUser"
    person: Json = {"id": user.id, "displayName": user.name, "userIdentityType": kind}
    if not user.is_anonymous:
        person["tenantId"] = user.tenant
    return {"application": None, "user": person, "device": None}


def with_replies(call: Call, place: Conversation, root: Json) -> Json:
    """As `$expand=replies` does, in no order that could be relied on."""
    if call.query.get("$expand") != "replies":
        return root
    replies = [m for m in shown(call, place) if m.thread == root["id"]]
    told = {"replies": [message_json(call.teams, place, m) for m in replies[:MOST_REPLIES]]}
    if len(replies) > MOST_REPLIES:
        path = call.path.removesuffix("/delta")
        link = f"{call.teams.graph_url}/v1.0{path}/{root['id']}/replies?$skiptoken={MOST_REPLIES}"
        told["replies@odata.nextLink"] = link  # type: ignore[assignment]
    return root | told


def shown(call: Call, place: Conversation) -> list[Message]:
    """Newest first; what one person alone sees is not there."""
    found = [m for m in call.teams.log.all if m.conversation == place.id and not m.targeted_to]
    return found[::-1]


def _found(call: Call, place: Conversation, id: str, thread: str | None) -> Message:
    message = call.teams.log.find(place.id, id)
    is_there = message is not None and message.targeted_to is None
    is_channel = place.kind == "channel"
    if message is None or not is_there or (is_channel and message.thread != thread):
        raise Refused(404, "NotFound", "No message found.")
    return message


def _page(call: Call, place: Conversation, found: list[Message]) -> Json:
    listed = [message_json(call.teams, place, message) for message in found]
    return page(call, listed, default=20, most=MOST_MESSAGES)


def readable_channel(call: Call) -> Conversation:
    place = the_channel(call)
    allowed = ("ChannelMessage.Read.All", "Group.Read.All", "ChannelMessage.Read.Group")
    needs(call, *allowed, of=the_team(call))
    return place


def _readable_chat(call: Call) -> Conversation:
    place = the_chat(call)
    needs(call, "Chat.Read.All", "Chat.ReadWrite.All", "ChatMessage.Read.Chat", of=place)
    return place
