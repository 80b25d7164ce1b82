"""The Bot Connector's reading half: rosters, teams, channels, new conversations and attachments."""

from typing import Any

from aiohttp import web

from tests.fakes.teams.messages import split_thread
from tests.fakes.teams.routes import Answer, Call, Routes
from tests.fakes.teams.world import Conversation, Json, Refused, Team, User

CONNECTOR = Routes()
PAGE_DEFAULT, PAGE_MOST = 200, 500


@CONNECTOR.add("GET", "/v3/conversations/{conversation}/pagedmembers", "members")
def paged_members(call: Call) -> Json:
    place = the_place(call)
    listed = _roster(call, place)
    if place.kind != "channel":
        return {"members": listed}
    size = int(call.query.get("pageSize") or PAGE_DEFAULT)
    size = min(max(size, call.teams.least_page, 1), PAGE_MOST)
    start = int(call.query.get("continuationToken") or 0)
    page: Json = {"members": listed[start : start + size]}
    if start + size < len(listed):
        page["continuationToken"] = str(start + size)
    return page


@CONNECTOR.add("GET", "/v3/conversations/{conversation}/members", "members")
def members(call: Call) -> web.Response:
    return web.json_response(_roster(call, the_place(call)))


@CONNECTOR.add("GET", "/v3/conversations/{conversation}/members/{member}", "member")
def member(call: Call) -> Json:
    place = the_place(call)
    user = call.world.find_user(call.params["member"])
    if user is None or user not in _readers(call, place):
        raise Refused(404, "MemberNotFoundInConversation", "Member not found in conversation.")
    return account(user, place)


@CONNECTOR.add("GET", "/v3/teams/{team}", "team")
def team(call: Call) -> Json:
    found = _team(call)
    return {
        "id": found.id,
        "name": found.name,
        "aadGroupId": found.group_id,
        "tenantId": found.tenant,
        "channelCount": len(call.world.channels_of(found)),
        "memberCount": len(found.members),
        "type": "standard",
    }


@CONNECTOR.add("GET", "/v3/teams/{team}/conversations", "channels")
def channels(call: Call) -> Json:
    found = _team(call)
    listed = [c for c in call.world.channels_of(found) if c.has_app]
    return {
        "conversations": [
            {"id": c.id, "name": None if c.id == found.id else c.name, "type": c.channel_type}
            for c in listed
        ]
    }


@CONNECTOR.add("POST", "/v3/conversations", "create")
def create(call: Call) -> Answer:
    body: Any = call.body
    if not isinstance(body, dict):
        raise Refused(400, "BadSyntax", "The request body is not JSON.")
    data = body.get("channelData") or {}
    if data.get("channel"):
        raise Refused(400, "BadArgument", "Start a thread by sending to the channel.")
    tenant = body.get("tenantId") or (data.get("tenant") or {}).get("id")
    wanted = body.get("members") or []
    if not tenant or len(wanted) != 1 or body.get("isGroup"):
        raise Refused(400, "BadSyntax", "Incorrect conversation creation parameters")
    user = call.world.find_user(str(wanted[0].get("id") or ""))
    if user is None or user.is_anonymous:
        raise Refused(400, "BadArgument", "Failed to decrypt pairwise id")
    if user.tenant != tenant:
        raise Refused(403, "Forbidden", "Invalid user identity in provided tenant")
    if user.is_deleted or not user.has_app:
        raise Refused(403, "BotNotInConversationRoster", "The bot is not part of the roster.")
    return Answer(201, {"id": call.teams.personal(user).id})


@CONNECTOR.add("GET", "/v3/attachments/{file}/views/{view}", "attachment")
def attachment(call: Call) -> web.Response:
    file = call.world.files.get(call.params["file"])
    if file is None:
        raise Refused(404, "NotFound", "Attachment not found.")
    return web.Response(body=file.content, content_type=file.content_type)


def the_place(call: Call) -> Conversation:
    """The conversation that a path names, if the app is in it."""
    id, _ = split_thread(call.params["conversation"])
    place = call.world.conversations.get(id)
    if place is None or place.is_deleted:
        raise Refused(404, "ConversationNotFound", "Conversation not found.")
    if not call.world.hears(place):
        raise Refused(403, "BotNotInConversationRoster", "The bot is not part of the roster.")
    return place


def account(user: User, place: Conversation) -> Json:
    """A person as rosters tell of them."""
    given, _, surname = user.name.partition(" ")
    role = "anonymous" if user.is_anonymous else "guest" if user.is_guest else "user"
    body: Json = {"id": user.mri, "name": user.name, "userRole": role}
    if user.is_anonymous:
        return body
    return body | {
        "aadObjectId": user.id,
        "objectId": user.id,
        "givenName": given,
        "surname": surname,
        "email": user.mail,
        "userPrincipalName": user.mail,
        "tenantId": user.tenant,
    }


def _roster(call: Call, place: Conversation) -> list[Json]:
    return [account(user, place) for user in _readers(call, place)]


def _readers(call: Call, place: Conversation) -> list[User]:
    """Of a private or shared channel too, Teams tells the members of the team."""
    team = call.world.team_of(place)
    if team is not None:
        return [user for id in team.members if not (user := call.world.users[id]).is_deleted]
    return call.world.members(place)


def _team(call: Call) -> Team:
    found = call.world.teams.get(call.params["team"])
    if found is None:
        raise Refused(404, "NotFound", "Team not found.")
    if not found.has_app:
        raise Refused(403, "BotNotInConversationRoster", "The bot is not part of the roster.")
    return found
