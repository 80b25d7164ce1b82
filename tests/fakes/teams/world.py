"""The tenants, people, groups, teams and chats of a Teams that exists only in a test."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

# Application permissions in Graph that an admin has agreed to; a test of a missing one takes it away.
DEFAULT_PERMISSIONS = frozenset(
    [
        "User.Read.All",
        "GroupMember.Read.All",
        "Member.Read.Hidden",
        "Team.ReadBasic.All",
        "TeamMember.Read.All",
        "Channel.ReadBasic.All",
        "ChannelMember.Read.All",
        "ChannelMessage.Read.All",
        "Chat.Read.All",
        "Files.Read.All",
        "Sites.Read.All",
    ]
)


class Refused(Exception):
    """Teams or Graph says no: `{"error": {"code", "message"}}` with a status."""

    def __init__(
        self, status: int, code: str, message: str = "", *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.headers = headers or {}
        self.body: Json = {"error": {"code": code, "message": message or code}}


@dataclass(slots=True)
class Tenant:
    id: str
    permissions: set[str] = field(default_factory=lambda: set(DEFAULT_PERMISSIONS))
    takes_targeted: bool = True
    """Messages that one person alone sees are switched on."""


@dataclass(slots=True)
class User:
    id: str
    """The Entra object id; of an anonymous person only the test knows it."""
    name: str
    tenant: str
    is_guest: bool = False
    is_anonymous: bool = False
    is_disabled: bool = False
    is_deleted: bool = False
    locale: str = "en-US"
    title: str = ""
    email: str = ""
    has_app: bool = False
    has_blocked: bool = False
    """They blocked the app: it cannot write to them."""

    @property
    def mri(self) -> str:
        """What a bot knows them as: a `29:` id, another one for every bot."""
        return "29:1" + hashlib.sha256(self.id.encode()).hexdigest()[:40]

    @property
    def mail(self) -> str:
        return self.email or f"{self.name.lower().replace(' ', '.')}@example.com"


@dataclass(slots=True)
class Group:
    id: str
    name: str
    tenant: str
    members: list[str] = field(default_factory=list)
    """Object ids, also of groups within it."""
    is_hidden: bool = False
    """`HiddenMembership`: told only to those with a permission of its own."""
    visibility: str | None = None
    """Of a team's group, as of the team."""


@dataclass(slots=True)
class Team:
    id: str
    """`19:…@thread.tacv2`, also the id of its General channel."""
    group_id: str
    name: str
    tenant: str
    members: list[str]
    owners: list[str] = field(default_factory=list)
    visibility: str = "Private"
    has_app: bool = True
    permissions: set[str] = field(default_factory=set)
    """Granted for this team alone."""


@dataclass(slots=True)
class Conversation:
    id: str
    kind: str
    """`personal`, `groupChat` or `channel`."""
    tenant: str
    name: str = ""
    team: str | None = None
    channel_type: str = ""
    """Of a channel: `standard`, `private` or `shared`."""
    members: list[str] = field(default_factory=list)
    """Of a standard channel nobody: its team's members are."""
    owners: list[str] = field(default_factory=list)
    shared_with: list[str] = field(default_factory=list)
    """Further tenants of a shared channel."""
    has_app: bool = True
    hears_all: bool = False
    """The app gets every message here, not only those that name it."""
    is_deleted: bool = False
    permissions: set[str] = field(default_factory=set)


@dataclass(slots=True)
class File:
    id: str
    name: str
    content: bytes
    content_type: str = "application/octet-stream"
    tickets: dict[str, float] = field(default_factory=dict)
    """Pre-signed downloads, and when they end."""
    drive: str = ""
    """The library that it lies in, once it was posted."""
    permissions: list[Json] | None = None
    """Its own; None: those of its library."""


class World:
    """Who and what exists."""

    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {}
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.teams: dict[str, Team] = {}
        self.conversations: dict[str, Conversation] = {}
        self.files: dict[str, File] = {}

    @property
    def first_tenant(self) -> str:
        assert self.tenants, "call api.tenant() first"
        return next(iter(self.tenants))

    def find_user(self, id: str) -> User | None:
        """By object id or by `29:` id."""
        if not id.startswith("29:"):
            return self.users.get(id)
        return next((user for user in self.users.values() if user.mri == id), None)

    def user(self, id: str) -> User:
        found = self.find_user(id)
        assert found is not None, f"no user {id}"
        return found

    def conversation(self, id: str) -> Conversation:
        found = self.conversations.get(id)
        assert found is not None, f"no conversation {id}"
        return found

    def team_of(self, place: Conversation) -> Team | None:
        return self.teams.get(place.team) if place.team else None

    def team_of_group(self, group_id: str) -> Team | None:
        return next((team for team in self.teams.values() if team.group_id == group_id), None)

    def channels_of(self, team: Team) -> list[Conversation]:
        return [c for c in self.conversations.values() if c.team == team.id and not c.is_deleted]

    def members(self, place: Conversation) -> list[User]:
        """Who is in it, and so reads it."""
        team = self.team_of(place)
        ids = team.members if team and place.channel_type == "standard" else place.members
        return [user for id in ids if not (user := self.users[id]).is_deleted]

    def hears(self, place: Conversation) -> bool:
        """The app is there."""
        team = self.team_of(place)
        if place.kind == "personal":
            return self.users[place.members[0]].has_app
        return place.has_app and not place.is_deleted and (team is None or team.has_app)

    def groups_of(self, member: str) -> list[Group]:
        """All that somebody or some group is in, through groups within groups too."""
        parents: dict[str, list[Group]] = {}
        for group in self.groups.values():
            for id in group.members:
                parents.setdefault(id, []).append(group)
        found: dict[str, Group] = {}
        waiting = [member]
        while waiting:
            for group in parents.get(waiting.pop(), ()):
                if group.id not in found:
                    found[group.id] = group
                    waiting.append(group.id)
        return list(found.values())
