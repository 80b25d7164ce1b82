"""Graph's people and groups."""

from typing import Any

from tests.fakes.teams.graph import GRAPH, denied, needs, not_found, page, selected
from tests.fakes.teams.routes import Call
from tests.fakes.teams.world import Group, Json, Refused, User

MOST_GROUPS = 11_000
MOST_IDS = 1_000
_READ_USERS = ("User.Read.All", "Directory.Read.All")
_READ_GROUPS = ("GroupMember.Read.All", "Group.Read.All", "Directory.Read.All")
_SHOWN = (
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
)
_GROUP_SHOWN = ("id", "displayName", "description", "visibility", "securityEnabled", "groupTypes")


@GRAPH.add("GET", "/users/{id}")
def get_user(call: Call) -> Json:
    needs(call, *_READ_USERS, "User.ReadBasic.All")
    return selected(call, user_json(_user(call)), _SHOWN)


@GRAPH.add("POST", "/users/{id}/getMemberGroups")
def get_member_groups(call: Call) -> Json:
    user = _member(call)
    ids = [group.id for group in _groups(call, user)]
    if len(ids) > MOST_GROUPS:
        message = "The result set is too large: there are too many groups to return."
        raise Refused(400, "Directory_ResultSizeLimitExceeded", message)
    return {"value": ids}


@GRAPH.add("POST", "/users/{id}/checkMemberGroups")
def check_member_groups(call: Call) -> Json:
    user = _member(call)
    asked = (call.body or {}).get("groupIds") or []
    if len(asked) > 20:
        raise Refused(400, "Request_BadRequest", "Too many group ids.")
    known = {group.id for group in _groups(call, user)}
    return {"value": [id for id in asked if id in known]}


@GRAPH.add("GET", "/users/{id}/transitiveMemberOf")
@GRAPH.add("GET", "/users/{id}/transitiveMemberOf/microsoft.graph.group")
def transitive_member_of(call: Call) -> Json:
    """A cast counts as an advanced query, which only goes with `ConsistencyLevel: eventual`."""
    headers = {name.lower(): value for name, value in call.headers.items()}
    is_cast = call.path.lower().endswith("microsoft.graph.group")
    if is_cast and headers.get("consistencylevel") != "eventual":
        raise Refused(400, "Request_UnsupportedQuery", "ConsistencyLevel: eventual is missing.")
    groups = _groups(call, _member(call))
    return page(call, [group_json(group) for group in groups])


@GRAPH.add("GET", "/groups/{id}")
def get_group(call: Call) -> Json:
    needs(call, *_READ_GROUPS)
    return selected(call, group_json(_group(call)), _GROUP_SHOWN)


@GRAPH.add("GET", "/groups/{id}/members")
def members(call: Call) -> Json:
    needs(call, *_READ_GROUPS)
    group = _group(call)
    if group.is_hidden:
        needs(call, "Member.Read.Hidden")
    return page(call, [_object(call, id) for id in group.members])


@GRAPH.add("GET", "/groups/{id}/transitiveMembers")
def transitive_members(call: Call) -> Json:
    needs(call, *_READ_GROUPS)
    group = _group(call)
    if group.is_hidden:
        needs(call, "Member.Read.Hidden")
    people = [u for u in call.world.users.values() if group in call.world.groups_of(u.id)]
    return page(call, [_object(call, user.id) for user in people])


@GRAPH.add("POST", "/directoryObjects/getByIds")
def get_by_ids(call: Call) -> Json:
    needs(call, "Directory.Read.All", *_READ_USERS, *_READ_GROUPS)
    ids = (call.body or {}).get("ids") or []
    if len(ids) > MOST_IDS:
        raise Refused(400, "Request_BadRequest", "Too many ids.")
    wanted = set((call.body or {}).get("types") or ["user", "group"])
    found = [_object(call, id) for id in ids if _kind(call, id) in wanted]
    return {"value": found}


def user_json(user: User) -> Json:
    given, _, surname = user.name.partition(" ")
    shown: Json = {
        "id": user.id,
        "displayName": user.name,
        "givenName": given,
        "surname": surname,
        "mail": user.mail,
        "userPrincipalName": user.mail,
        "jobTitle": user.title or None,
        "preferredLanguage": user.locale,
        "accountEnabled": not user.is_disabled,
        "userType": "Guest" if user.is_guest else "Member",
        "externalUserState": "Accepted" if user.is_guest else None,
    }
    empty: Json = {"businessPhones": [], "mobilePhone": None, "officeLocation": None}
    return shown | empty


def group_json(group: Group) -> Json:
    return {
        "@odata.type": "#microsoft.graph.group",
        "id": group.id,
        "displayName": group.name,
        "description": None,
        "groupTypes": [],
        "securityEnabled": True,
        "visibility": "HiddenMembership" if group.is_hidden else group.visibility,
    }


def the_user(call: Call, id: str) -> User:
    user = call.world.users.get(id) or next(
        (u for u in call.world.users.values() if u.mail == id), None
    )
    is_here = user is not None and user.tenant == call.tenant_id
    if user is None or not is_here or user.is_deleted or user.is_anonymous:
        raise not_found(id)
    return user


def _user(call: Call) -> User:
    return the_user(call, call.params["id"])


def _member(call: Call) -> User:
    needs(call, *_READ_USERS, "User.ReadBasic.All")
    needs(call, *_READ_GROUPS)
    return _user(call)


def _group(call: Call) -> Group:
    group = call.world.groups.get(call.params["id"])
    if group is None or group.tenant != call.tenant_id:
        raise not_found(call.params["id"])
    return group


def _groups(call: Call, user: User) -> list[Group]:
    """Groups that hide their members are left out without leave to read those."""
    may_read_hidden = "Member.Read.Hidden" in call.tenant.permissions
    return [g for g in call.world.groups_of(user.id) if may_read_hidden or not g.is_hidden]


def _kind(call: Call, id: str) -> str:
    for kind, known in (("user", call.world.users), ("group", call.world.groups)):
        found: Any = known.get(id)
        if found is not None and found.tenant == call.tenant_id:
            return kind
    return ""


def _object(call: Call, id: str) -> Json:
    kind = _kind(call, id)
    if kind == "group":
        return group_json(call.world.groups[id])
    if not kind:
        raise denied()
    user = user_json(call.world.users[id])
    return {"@odata.type": "#microsoft.graph.user"} | {key: user.get(key) for key in _SHOWN}
