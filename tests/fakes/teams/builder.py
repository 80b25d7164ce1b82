"""Builds the world of a test."""

from collections.abc import Iterable

from tests.fakes.teams.part import Part
from tests.fakes.teams.world import Conversation, File, Group, Json, Team, Tenant, User


class Building(Part):
    """Everything that exists before anybody says anything. None of it sends an activity."""

    def tenant(
        self, id: str, *, targeted: bool = True, permissions: Iterable[str] | None = None
    ) -> Tenant:
        """*targeted*: it takes messages that one person alone sees. The first one is the app's own."""
        tenant = Tenant(id, takes_targeted=targeted)
        if permissions is not None:
            tenant.permissions = set(permissions)
        self.teams.world.tenants[id] = tenant
        self.teams.app_tenant = self.teams.app_tenant or id
        return tenant

    def user(
        self,
        object_id: str,
        name: str = "",
        *,
        tenant: str | None = None,
        guest: bool = False,
        anonymous: bool = False,
        disabled: bool = False,
        locale: str = "en-US",
        groups: Iterable[str] = (),
        title: str = "",
        email: str = "",
        with_app: bool = False,
    ) -> User:
        """
        Args:
            guest: Invited into *tenant*, with an object id there.
            anonymous: Of no tenant; has no object id for anybody but the test.
            groups: Ids; those that do not exist yet come to be.
            with_app: The app is installed for them.
        """
        home = tenant or self.teams.world.first_tenant
        if home not in self.teams.world.tenants:
            self.tenant(home)
        user = User(
            object_id,
            name or object_id,
            home,
            is_guest=guest,
            is_anonymous=anonymous,
            is_disabled=disabled,
            locale=locale,
            title=title,
            email=email,
            has_app=with_app,
        )
        self.teams.world.users[object_id] = user
        for id in groups:
            group = self.teams.world.groups.get(id) or self.group(id, tenant=home)
            group.members.append(object_id)
        return user

    def group(
        self,
        id: str,
        name: str = "",
        members: Iterable[str] = (),
        *,
        tenant: str | None = None,
        hidden: bool = False,
    ) -> Group:
        """*members* may be groups too. *hidden*: only a permission of its own tells who they are."""
        home = tenant or self.teams.world.first_tenant
        group = Group(id, name or id, home, list(members), is_hidden=hidden)
        self.teams.world.groups[id] = group
        return group

    def team(
        self,
        id: str,
        group_id: str,
        name: str = "",
        members: Iterable[str] = (),
        *,
        owners: Iterable[str] = (),
        visibility: str = "Private",
        tenant: str | None = None,
        with_app: bool = True,
    ) -> Team:
        """Comes with its General channel, which has the team's id."""
        home = tenant or self.teams.world.first_tenant
        team = Team(id, group_id, name or id, home, list(members), list(owners), visibility)
        team.has_app = with_app
        self.teams.world.teams[id] = team
        if group_id not in self.teams.world.groups:
            self.group(group_id, name, tenant=home)
        group = self.teams.world.groups[group_id]
        group.members, group.visibility = team.members, visibility
        group.is_hidden = visibility == "HiddenMembership"
        self.channel(id, team, "General")
        return team

    def channel(
        self,
        id: str,
        team: str | Team,
        name: str = "",
        type: str = "standard",
        members: Iterable[str] = (),
        *,
        owners: Iterable[str] = (),
        shared_with: Iterable[str] = (),
        with_app: bool = True,
        hears_all: bool = False,
    ) -> Conversation:
        """*members*: of a private or shared channel. *hears_all*: the app gets what does not name it."""
        assert type in ("standard", "private", "shared"), type
        home = self._team(team)
        place = Conversation(
            id,
            "channel",
            home.tenant,
            name or id,
            home.id,
            type,
            list(members),
            list(owners),
            list(shared_with),
            with_app,
            hears_all,
        )
        self.teams.world.conversations[id] = place
        return place

    def chat(
        self,
        id: str,
        members: Iterable[str] = (),
        *,
        name: str = "",
        tenant: str | None = None,
        with_app: bool = True,
        hears_all: bool = False,
    ) -> Conversation:
        """A group chat."""
        home = tenant or self.teams.world.first_tenant
        place = Conversation(
            id,
            "groupChat",
            home,
            name,
            members=list(members),
            has_app=with_app,
            hears_all=hears_all,
        )
        self.teams.world.conversations[id] = place
        return place

    def personal(self, user: str | User) -> Conversation:
        """The chat of *user* with the app, which is installed for them."""
        person = self._user(user)
        person.has_app = True
        return self.teams.personal(person)

    def file(
        self,
        id: str,
        name: str,
        content: bytes,
        *,
        content_type: str = "application/octet-stream",
        permissions: list[Json] | None = None,
    ) -> File:
        """*permissions*: as Graph tells them, in place of those that posting it brings."""
        file = File(id, name, content, content_type, permissions=permissions)
        self.teams.world.files[id] = file
        return file
