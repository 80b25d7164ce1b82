"""Builds the world of a test."""

from collections.abc import Iterable, Sequence

from tests.fakes.slack.part import Part
from tests.fakes.slack.world import (
    DEFAULT_SCOPES,
    Channel,
    File,
    Install,
    Json,
    User,
    UserGroup,
    Workspace,
)


class Building(Part):
    """Everything that exists before anybody says anything. None of it sends an event."""

    def workspace(
        self, id: str = "T1", *, enterprise: str | None = None, name: str = ""
    ) -> Workspace:
        workspace = Workspace(id, name or id, enterprise)
        self.slack.world.workspaces[id] = workspace
        return workspace

    def user(
        self,
        id: str,
        name: str = "",
        *,
        team: str | None = None,
        guest: bool = False,
        ultra: bool = False,
        stranger: bool = False,
        deleted: bool = False,
        bot: bool = False,
        email: str = "",
        email_confirmed: bool = True,
        locale: str = "en-US",
        title: str = "",
        teams: Sequence[str] = (),
    ) -> User:
        """*guest*: of several channels; *ultra*: of a single one; *stranger*: of another organisation."""
        user = User(
            id,
            name or id,
            team or self.slack.world.first_team,
            is_guest=guest,
            is_ultra=ultra,
            is_stranger=stranger,
            is_deleted=deleted,
            is_bot=bot,
            email=email,
            is_email_confirmed=email_confirmed,
            locale=locale,
            title=title,
            teams=list(teams),
        )
        self.slack.world.users[user.team, id] = user
        return user

    def channel(
        self,
        id: str,
        name: str = "",
        kind: str = "public",
        members: Iterable[str] = (),
        *,
        team: str | None = None,
        ext_shared: Sequence[str] = (),
        org_shared: Sequence[str] = (),
        pending_shared: bool = False,
        archived: bool = False,
        with_app: bool = True,
        topic: str = "",
    ) -> Channel:
        """*ext_shared*, *org_shared*: further teams, of other organisations and of this Grid org."""
        assert kind in ("public", "private", "mpim", "im"), kind
        channel = Channel(
            id,
            name or id.lower(),
            kind,
            team or self.slack.world.first_team,
            list(members),
            connected=list(ext_shared),
            shared_with=list(org_shared),
            is_archived=archived,
            is_pending_ext_shared=pending_shared,
            topic=topic,
            wants_app=with_app,
        )
        self.slack.world.channels[channel.team, id] = channel
        for install in self.slack.world.installs:
            self._invite_app(install, channel)
        return channel

    def usergroup(
        self,
        id: str,
        handle: str,
        members: Iterable[str] = (),
        *,
        team: str | None = None,
        name: str = "",
        disabled: bool = False,
    ) -> UserGroup:
        group = UserGroup(
            id, handle, team or self.slack.world.first_team, list(members), name, disabled
        )
        self.slack.world.usergroups[group.team, id] = group
        return group

    def install(
        self,
        team: str | None = None,
        *,
        bot_user: str = "UBOT",
        token: str | None = None,
        scopes: Iterable[str] | None = None,
        is_enterprise_install: bool = False,
        pending: bool = False,
    ) -> Install:
        """
        The app in *team*, or in all of the organisation *team* if it is an enterprise install.

        *pending*: only once somebody allows it on the OAuth page.
        """
        world = self.slack.world
        home = team or world.first_team
        install = Install(
            home=home,
            token=token or f"xoxb-{home}",
            bot_user=bot_user,
            bot_id=f"B{bot_user[1:]}",
            app_id=self.slack.app_id,
            scopes=DEFAULT_SCOPES if scopes is None else frozenset(scopes),
            is_enterprise_install=is_enterprise_install,
            is_revoked=pending,
            grants=0 if pending else 1,
        )
        world.installs = [i for i in world.installs if i.home != home]
        world.installs.append(install)
        for each in world.teams_of(install):
            if (each, bot_user) not in world.users:
                self.user(bot_user, "Shifu", team=each, bot=True, teams=world.teams_of(install))
        for channel in list(world.channels.values()):
            self._invite_app(install, channel)
        return install

    def file(
        self,
        id: str,
        name: str,
        content: bytes,
        *,
        mimetype: str = "application/octet-stream",
        user: str = "U1",
        channels: Iterable[str] = (),
        team: str | None = None,
        stub: bool = False,
        external: bool = False,
    ) -> File:
        """*stub*: events carry only its id, as for a file from another organisation."""
        team = team or self.slack.world.first_team
        file = File(id, name, content, mimetype, team, user, list(channels), stub, external)
        self.slack.world.files[id] = file
        return file

    def search_finds(self, *messages: Json) -> None:
        """What the search in Slack answers from now on, whatever is asked."""
        self.slack.search_results = {"results": {"messages": list(messages)}}

    def dm(self, user: str | User, *, team: str | None = None) -> str:
        """The id of the conversation between *user* and the app."""
        person = self._user(user, team)
        return self.slack.world.direct(person, self._install(person.team).bot_user).id

    def _invite_app(self, install: Install, channel: Channel) -> None:
        is_near = channel.team in self.slack.world.teams_of(install)
        if channel.wants_app and is_near and install.bot_user not in channel.members:
            channel.members.append(install.bot_user)
