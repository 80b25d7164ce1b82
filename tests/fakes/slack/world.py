"""The people, channels and installations of a Slack that exists only in a test."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

# What the product's own manifest asks for; a test of a missing scope takes one away.
DEFAULT_SCOPES = frozenset(
    [
        "app_mentions:read",
        "assistant:write",
        "chat:write",
        "commands",
        "im:history",
        "im:read",
        "im:write",
        "channels:read",
        "channels:history",
        "groups:read",
        "groups:history",
        "mpim:read",
        "mpim:history",
        "users:read",
        "users:read.email",
        "usergroups:read",
        "files:read",
        "reactions:read",
        "reactions:write",
        "team:read",
    ]
)


class Refused(Exception):
    """Slack says no: `{"ok": false, "error": ...}` with whatever else it tells."""

    def __init__(self, error: str, *, messages: list[str] | None = None, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.body: Json = {"ok": False, "error": error, **more}
        if messages:
            self.body["response_metadata"] = {"messages": messages}


@dataclass(slots=True)
class Workspace:
    id: str
    name: str
    enterprise: str | None = None


@dataclass(slots=True)
class User:
    id: str
    name: str
    team: str
    is_guest: bool = False
    """A multi-channel guest."""
    is_ultra: bool = False
    """A single-channel guest."""
    is_stranger: bool = False
    is_deleted: bool = False
    is_bot: bool = False
    email: str = ""
    is_email_confirmed: bool = True
    locale: str = "en-US"
    title: str = ""
    teams: list[str] = field(default_factory=list)
    """On Grid: every workspace of the org that they are in."""


@dataclass(slots=True)
class Channel:
    id: str
    name: str
    kind: str
    """`public`, `private`, `mpim` or `im`."""
    team: str
    members: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    """Teams of other organisations, by Slack Connect."""
    shared_with: list[str] = field(default_factory=list)
    """Further workspaces of the same Grid organisation."""
    is_archived: bool = False
    is_pending_ext_shared: bool = False
    topic: str = ""
    purpose: str = ""
    wants_app: bool = True
    """The app joins when it is installed."""

    @property
    def is_ext_shared(self) -> bool:
        return bool(self.connected)

    @property
    def teams(self) -> list[str]:
        return [self.team, *self.shared_with, *self.connected]

    @property
    def event_type(self) -> str:
        """What events call its kind."""
        return {"public": "channel", "private": "group"}.get(self.kind, self.kind)

    @property
    def scope_family(self) -> str:
        """The first half of the scopes for it."""
        return {"public": "channels", "private": "groups"}.get(self.kind, self.kind)


@dataclass(slots=True)
class UserGroup:
    id: str
    handle: str
    team: str
    members: list[str]
    name: str = ""
    is_disabled: bool = False


@dataclass(slots=True)
class Install:
    """The app in one workspace, or in a whole Grid organisation."""

    home: str
    """A team's id, or with `is_enterprise_install` the organisation's."""
    token: str
    bot_user: str
    bot_id: str
    app_id: str
    scopes: frozenset[str]
    is_enterprise_install: bool = False
    is_revoked: bool = False
    """Uninstalled, or nobody has pressed Allow yet."""
    grants: int = 0
    """How often somebody pressed Allow; a new one brings a new token."""


@dataclass(slots=True)
class File:
    id: str
    name: str
    content: bytes
    mimetype: str
    team: str
    user: str
    channels: list[str] = field(default_factory=list)
    is_stub: bool = False
    """A Connect stub: `file_access: check_file_info` and nothing else."""
    is_external: bool = False


class World:
    """Who and what exists. Ids are unique within a workspace, not across workspaces."""

    def __init__(self) -> None:
        self.workspaces: dict[str, Workspace] = {}
        self.users: dict[tuple[str, str], User] = {}
        self.channels: dict[tuple[str, str], Channel] = {}
        self.usergroups: dict[tuple[str, str], UserGroup] = {}
        self.installs: list[Install] = []
        self.files: dict[str, File] = {}

    @property
    def first_team(self) -> str:
        assert self.workspaces, "call api.workspace() first"
        return next(iter(self.workspaces))

    def enterprise_of(self, team: str) -> str | None:
        workspace = self.workspaces.get(team)
        return workspace.enterprise if workspace else None

    def teams_of(self, install: Install) -> list[str]:
        if not install.is_enterprise_install:
            return [install.home]
        return [w.id for w in self.workspaces.values() if w.enterprise == install.home]

    def org(self, team: str) -> list[str]:
        """Every workspace of the organisation that *team* is part of."""
        enterprise = self.enterprise_of(team)
        if enterprise is None:
            return [team]
        return [w.id for w in self.workspaces.values() if w.enterprise == enterprise]

    def find_user(self, id: str, teams: list[str]) -> User | None:
        """As seen from *teams*: their own first, then their organisation's, then anybody shared with them."""
        near = [*teams, *(peer for team in teams for peer in self.org(team))]
        for team in near:
            if user := self.users.get((team, id)):
                return user
        for (_, other), user in self.users.items():
            if other == id and self._is_shared_with(user, teams):
                return user
        return None

    def _is_shared_with(self, user: User, teams: list[str]) -> bool:
        return any(
            user.id in channel.members and user.team in channel.teams
            for channel in self.channels.values()
            if set(channel.teams) & set(teams)
        )

    def find_channel(self, id: str, teams: list[str]) -> Channel | None:
        for team in teams:
            if channel := self.channels.get((team, id)):
                return channel
        for (_, other), channel in self.channels.items():
            if other == id and set(channel.teams) & set(teams):
                return channel
        return None

    def the_channel(self, id: str, team: str | None = None) -> Channel:
        """For tests, which name a channel by its id alone while that is not ambiguous."""
        found = [
            channel
            for channel in self.channels.values()
            if channel.id == id and (team is None or team in channel.teams)
        ]
        assert found, f"no channel {id}"
        assert len(found) == 1, f"several channels {id}: say team="
        return found[0]

    def the_user(self, id: str, team: str | None = None) -> User:
        found = [u for u in self.users.values() if u.id == id and team in (None, u.team, *u.teams)]
        assert found, f"no user {id}"
        assert len(found) == 1, f"several users {id}: say team="
        return found[0]

    def direct(self, user: User, bot_user: str) -> Channel:
        """The conversation of one person with the app, in that person's workspace."""
        id = f"D{user.id[1:]}"
        key = (user.team, id)
        if key not in self.channels:
            members = [user.id, bot_user]
            self.channels[key] = Channel(id, "directmessage", "im", user.team, members)
        return self.channels[key]

    def install_of_token(self, token: str) -> Install | None:
        return next((i for i in self.installs if i.token == token), None)

    def install_for(self, channel: Channel) -> Install | None:
        """The installation that an event in *channel* goes to: once, however many see the channel."""
        live = [i for i in self.installs if not i.is_revoked]
        for team in channel.teams:
            for install in live:
                if team in self.teams_of(install) and install.bot_user in channel.members:
                    return install
        return None

    def install_in(self, team: str) -> Install | None:
        return next(
            (i for i in self.installs if not i.is_revoked and team in self.teams_of(i)), None
        )
