"""Changes the world while the app runs, and tells it of that."""

from collections.abc import Iterable
from typing import Any

from tests.fakes.slack.part import Part
from tests.fakes.slack.shapes import user_json, usergroup_json
from tests.fakes.slack.world import Channel, Json, User


class Changing(Part):
    """What happens to the world later; `event=False` lets the app miss it."""

    async def join(
        self, user: str, channel: str, *, team: str | None = None, event: bool = True
    ) -> None:
        place = self._channel(channel, team)
        person = self._member(user, place)
        if person.id not in place.members:
            place.members.append(person.id)
        body = self._membership("member_joined_channel", person, place)
        await self._tell(body, place, event)

    async def leave(
        self, user: str, channel: str, *, team: str | None = None, event: bool = True
    ) -> None:
        place = self._channel(channel, team)
        person = self._member(user, place)
        install = self.slack.world.install_for(place)
        place.members.remove(person.id)
        if install is not None and install.bot_user == person.id:
            # The app is told of its own leaving by another event, sent to where it no longer is.
            kind = "channel_left" if place.kind == "public" else "group_left"
            body: Json = {"type": kind, "channel": place.id, "actor_id": "U0"}
            if event:
                await self.slack.deliveries.send_event(
                    body | self._event_ts(), install, team=place.team, channel=place
                )
            return
        await self._tell(self._membership("member_left_channel", person, place), place, event)

    async def archive(self, channel: str, *, event: bool = True) -> None:
        place = self._channel(channel)
        place.is_archived = True
        await self._tell(
            {"type": "channel_archive", "channel": place.id, "user": "U0"}, place, event
        )

    async def rename(self, channel: str, name: str, *, event: bool = True) -> None:
        place = self._channel(channel)
        place.name = name
        shown = {"id": place.id, "name": name, "created": 1_700_000_000}
        await self._tell({"type": "channel_rename", "channel": shown}, place, event)

    async def convert_to_private(self, channel: str, *, event: bool = True) -> None:
        place = self._channel(channel)
        place.kind = "private"
        await self._tell(self._conversion("channel_convert_to_private", place), place, event)

    async def convert_to_public(self, channel: str, *, event: bool = True) -> None:
        place = self._channel(channel)
        place.kind = "public"
        await self._tell(self._conversion("channel_convert_to_public", place), place, event)

    async def connect(self, channel: str, team: str, *, event: bool = True) -> None:
        """Share *channel* with another organisation."""
        place = self._channel(channel)
        place.connected.append(team)
        body = {"type": "channel_shared", "connected_team_id": team, "channel": place.id}
        await self._tell(body, place, event)

    async def deactivate(self, user: str, *, team: str | None = None, event: bool = True) -> None:
        await self.change_user(user, team=team, event=event, is_deleted=True)

    async def change_user(
        self, user: str, *, team: str | None = None, event: bool = True, **changes: Any
    ) -> None:
        """*changes*: attributes of `User`."""
        person = self._user(user, team)
        for name, value in changes.items():
            assert hasattr(person, name), name
            setattr(person, name, value)
        install = self.slack.world.install_in(person.team)
        if event and install is not None:
            shown = user_json(self.slack.world, person, install, with_locale=True)
            body = {"type": "user_change", "user": shown, "cache_ts": 0}
            await self._tell_team(body, person.team)

    async def new_user(self, id: str, name: str, *, team: str | None = None) -> User:
        """Somebody joins the workspace."""
        person = User(id, name, team or self.slack.world.first_team)
        self.slack.world.users[person.team, id] = person
        shown = user_json(self.slack.world, person, self._install(person.team))
        await self._tell_team({"type": "team_join", "user": shown}, person.team)
        return person

    async def change_usergroup(
        self,
        id: str,
        members: Iterable[str],
        *,
        team: str | None = None,
        event: bool = True,
    ) -> None:
        group = self.slack.world.usergroups[team or self.slack.world.first_team, id]
        old, group.members = group.members, list(members)
        if not event:
            return
        changed: Json = {
            "type": "subteam_members_changed",
            "subteam_id": id,
            "team_id": group.team,
            "added_users": sorted(set(group.members) - set(old)),
            "removed_users": sorted(set(old) - set(group.members)),
            "date_previous_update": 0,
            "date_update": 1,
        }
        await self._tell_team(changed, group.team)
        shown = usergroup_json(group, with_users=True)
        await self._tell_team({"type": "subteam_updated", "subteam": shown}, group.team)

    async def uninstall(self, team: str | None = None, *, event: bool = True) -> None:
        """The token dies first; then the two events come, in either order."""
        install = self._install(team)
        install.is_revoked = True
        if event:
            tokens = {"oauth": [], "bot": [install.bot_user]}
            home = self.slack.world.teams_of(install)[0]
            for body in ({"type": "tokens_revoked", "tokens": tokens}, {"type": "app_uninstalled"}):
                await self.slack.deliveries.send_event(body | self._event_ts(), install, team=home)

    def _event_ts(self) -> Json:
        return {"event_ts": self.slack.clock.next_ts()}

    def _membership(self, kind: str, person: User, place: Channel) -> Json:
        letter = "C" if place.kind == "public" else "G"
        body = {"type": kind, "user": person.id, "channel": place.id, "channel_type": letter}
        return body | {"team": person.team}

    def _conversion(self, subtype: str, place: Channel) -> Json:
        ts = self.slack.clock.next_ts()
        body = {"type": "message", "subtype": subtype, "channel": place.id, "user": "U0", "ts": ts}
        return body | {"text": "", "channel_type": place.event_type}

    async def _tell(self, body: Json, place: Channel, event: bool) -> None:
        install = self.slack.world.install_for(place)
        if event and install is not None:
            await self.slack.deliveries.send_event(
                body | self._event_ts(), install, team=place.team, channel=place
            )

    async def _tell_team(self, body: Json, team: str) -> None:
        if install := self.slack.world.install_in(team):
            await self.slack.deliveries.send_event(body | self._event_ts(), install, team=team)
