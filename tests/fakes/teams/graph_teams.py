"""Graph's teams, channels and chats, and who is in them."""

from tests.fakes.teams.graph import GRAPH, needs, not_found, page, selected
from tests.fakes.teams.routes import Call
from tests.fakes.teams.world import Conversation, Json, Refused, Team, User

_TEAM_SHOWN = ("id", "displayName", "description", "visibility", "isArchived", "tenantId")
_CHANNEL_SHOWN = ("id", "displayName", "description", "membershipType", "createdDateTime")
_READ_MEMBERS = ("ChannelMember.Read.All", "ChannelMember.ReadWrite.All")


@GRAPH.add("GET", "/teams/{team}")
def get_team(call: Call) -> Json:
    team = the_team(call)
    needs(call, "Team.ReadBasic.All", "TeamSettings.Read.All", "TeamSettings.Read.Group", of=team)
    # What a team is to outsiders counts as basic, though its settings do not.
    shown: Json = {
        "id": team.group_id,
        "displayName": team.name,
        "description": None,
        "visibility": _camel(team.visibility),
        "isArchived": False,
        "tenantId": team.tenant,
    }
    return selected(call, shown, _TEAM_SHOWN)


@GRAPH.add("GET", "/teams/{team}/members")
def team_members(call: Call) -> Json:
    team = the_team(call)
    needs(call, "TeamMember.Read.All", "TeamMember.Read.Group", of=team)
    found = [_member(call, id, team.owners) for id in team.members]
    return page(call, [member for member in found if member])


@GRAPH.add("GET", "/teams/{team}/channels")
@GRAPH.add("GET", "/teams/{team}/allChannels")
def channels(call: Call) -> Json:
    team = the_team(call)
    needs(call, "Channel.ReadBasic.All", "ChannelSettings.Read.Group", of=team)
    return page(call, [channel_json(channel) for channel in call.world.channels_of(team)])


@GRAPH.add("GET", "/teams/{team}/channels/{channel}")
def get_channel(call: Call) -> Json:
    channel = the_channel(call)
    team = call.world.team_of(channel)
    needs(call, "Channel.ReadBasic.All", "ChannelSettings.Read.Group", of=team)
    return selected(call, channel_json(channel), _CHANNEL_SHOWN)


@GRAPH.add("GET", "/teams/{team}/channels/{channel}/allMembers")
def all_members(call: Call) -> Json:
    """Also those who come through another team that the channel is shared with."""
    return _members(call, call.world.members(the_channel(call)))


@GRAPH.add("GET", "/teams/{team}/channels/{channel}/members")
def direct_members(call: Call) -> Json:
    """In a shared channel, without the people of other tenants' teams."""
    place = the_channel(call)
    return _members(call, [u for u in call.world.members(place) if u.tenant == place.tenant])


@GRAPH.add("GET", "/teams/{team}/channels/{channel}/doesUserHaveAccess{question:*}")
def does_user_have_access(call: Call) -> Json:
    asked, place = call.params["question"], the_channel(call)
    needs(call, *_READ_MEMBERS, "ChannelMember.Read.Group", of=call.world.team_of(place))
    return {"value": any(f"'{user.id}'" in asked for user in call.world.members(place))}


@GRAPH.add("GET", "/chats/{chat}")
def get_chat(call: Call) -> Json:
    place = the_chat(call)
    needs(call, "Chat.ReadBasic.All", "Chat.Read.All", "ChatSettings.Read.Chat", of=place)
    kind = {"groupChat": "group"}
    shown = {"id": place.id, "topic": place.name or None, "chatType": kind[place.kind]}
    return shown | {"tenantId": place.tenant}


@GRAPH.add("GET", "/chats/{chat}/members")
def chat_members(call: Call) -> Json:
    place = the_chat(call)
    needs(call, "ChatMember.Read.All", "Chat.Read.All", "ChatMember.Read.Chat", of=place)
    found = [_member(call, user.id, ()) for user in call.world.members(place)]
    return page(call, [member for member in found if member])


def the_team(call: Call) -> Team:
    team = call.world.team_of_group(call.params["team"])
    if team is None or team.tenant != call.tenant_id:
        raise not_found(call.params["team"])
    return team


def the_channel(call: Call) -> Conversation:
    team = the_team(call)
    channel = call.world.conversations.get(call.params["channel"])
    if channel is None or channel.team != team.id or channel.is_deleted:
        raise Refused(404, "NotFound", "No channel found with that id in the team.")
    return channel


def the_chat(call: Call) -> Conversation:
    """Chats of one person with a bot are none of Graph's."""
    place = call.world.conversations.get(call.params["chat"])
    if place is None or place.kind != "groupChat" or place.tenant != call.tenant_id:
        raise Refused(404, "NotFound", "No chat found.")
    return place


def channel_json(channel: Conversation) -> Json:
    return {
        "id": channel.id,
        "displayName": channel.name,
        "description": None,
        "membershipType": channel.channel_type,
        "createdDateTime": "2026-01-01T00:00:00Z",
    }


def _members(call: Call, users: list[User]) -> Json:
    place = the_channel(call)
    needs(call, *_READ_MEMBERS, "ChannelMember.Read.Group", of=call.world.team_of(place))
    found = [_member(call, user.id, place.owners) for user in users]
    return page(call, [member for member in found if member])


def _member(call: Call, id: str, owners: list[str] | tuple[str, ...]) -> Json | None:
    user = call.world.users[id]
    if user.is_deleted:
        return None
    roles = ["owner"] if id in owners else ["guest"] if user.is_guest else []
    return {
        "@odata.type": "#microsoft.graph.aadUserConversationMember",
        "id": f"member-{id}",
        "roles": roles,
        "displayName": user.name,
        "userId": None if user.is_anonymous else user.id,
        "email": None if user.is_anonymous else user.mail,
        "tenantId": None if user.is_anonymous else user.tenant,
    }


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]
