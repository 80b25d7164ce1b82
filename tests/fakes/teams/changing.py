"""A world that goes on while the app runs: people come, go and change, and so do teams."""

from tests.fakes.teams.activities import envelope, merged
from tests.fakes.teams.delivery import Delivery
from tests.fakes.teams.part import Part
from tests.fakes.teams.world import Conversation, Group, Json, Team, User

Membered = str | Conversation | Team


class Changing(Part):
    """*tell*: Teams sends the app the activity that goes with it, which it may also lose."""

    async def join(
        self, user: str | User, place: Membered, *, tell: bool = True
    ) -> Delivery | None:
        """Into a team, a private or shared channel, or a chat."""
        return await self._move(self._user(user), place, is_coming=True, tell=tell)

    async def leave(
        self, user: str | User, place: Membered, *, tell: bool = True
    ) -> Delivery | None:
        return await self._move(self._user(user), place, is_coming=False, tell=tell)

    async def add_to_group(self, user: str, group: str | Group) -> None:
        """A person or a group within a group; only Graph's notifications tell of it."""
        found = self._group(group)
        found.members.append(user)
        self._tell_group(found, {"id": user})

    async def remove_from_group(self, user: str, group: str | Group) -> None:
        found = self._group(group)
        found.members.remove(user)
        self._tell_group(found, {"id": user, "@removed": "deleted"})

    async def promote(self, user: str | User) -> None:
        """A guest becomes a member of the tenant."""
        person = self._user(user)
        person.is_guest = False
        self._tell_user(person, "updated")

    async def demote(self, user: str | User) -> None:
        person = self._user(user)
        person.is_guest = True
        self._tell_user(person, "updated")

    async def disable(self, user: str | User, *, disabled: bool = True) -> None:
        person = self._user(user)
        person.is_disabled = disabled
        self._tell_user(person, "updated")

    async def delete_user(self, user: str | User) -> None:
        person = self._user(user)
        person.is_deleted = True
        self._tell_user(person, "deleted")

    async def rename(
        self, place: Membered, name: str, *, by: str | User | None = None, tell: bool = True
    ) -> Delivery | None:
        """A team, a channel or a chat."""
        found = self._membered(place)
        found.name = name
        if isinstance(found, Team):
            return await self._event(found, None, "teamRenamed", by, tell=tell)
        if found.team is None:
            body: Json = {"topicName": name}
            return await self._event(None, found, "", by, tell=tell, **body)
        team = self._team(found.team)
        return await self._event(team, found, "channelRenamed", by, tell=tell)

    async def delete_channel(
        self, place: str | Conversation, *, by: str | User | None = None, tell: bool = True
    ) -> Delivery | None:
        found = self._place(place)
        assert found.team is not None, "only channels can be deleted"
        found.is_deleted = True
        return await self._event(self._team(found.team), found, "channelDeleted", by, tell=tell)

    async def create_channel(
        self, place: Conversation, *, by: str | User | None = None, tell: bool = True
    ) -> Delivery | None:
        """Tell of a channel that `channel()` made."""
        assert place.team is not None
        return await self._event(self._team(place.team), place, "channelCreated", by, tell=tell)

    async def open_team(self, team: str | Team, *, visibility: str = "Public") -> None:
        """Or close it; the Bot Connector says nothing of it."""
        found = self._team(team)
        found.visibility = visibility
        group = self.teams.world.groups[found.group_id]
        group.visibility = visibility
        self._changed(group.tenant, f"groups/{group.id}", "updated", {"id": group.id})

    async def share_channel(
        self,
        place: str | Conversation,
        tenant: str,
        members: list[str],
        *,
        by: str | User | None = None,
        tell: bool = True,
    ) -> Delivery | None:
        """A shared channel gets people of another tenant."""
        found = self._place(place)
        assert found.team is not None
        assert found.channel_type == "shared"
        found.shared_with.append(tenant)
        found.members += members
        return await self._event(self._team(found.team), found, "channelShared", by, tell=tell)

    async def install(self, target: str | User | Team | Conversation) -> list[Delivery]:
        """For a person, in a team, a channel or a chat; the app is told twice, as by Teams."""
        return await self._installed(target, is_there=True)

    async def uninstall(self, target: str | User | Team | Conversation) -> list[Delivery]:
        return await self._installed(target, is_there=False)

    def block(self, user: str | User, *, blocked: bool = True) -> None:
        """They do not want to hear from the app any more."""
        self._user(user).has_blocked = blocked

    async def _move(
        self, person: User, place: Membered, *, is_coming: bool, tell: bool
    ) -> Delivery | None:
        found = self._membered(place)
        if isinstance(found, Conversation) and found.channel_type == "standard":
            found = self._team(found.team or "")
        if is_coming:
            found.members.append(person.id)
        else:
            found.members.remove(person.id)
        change = "created" if is_coming else "deleted"
        more = {"membersAdded" if is_coming else "membersRemoved": [self._account(person)]}
        ending = "Added" if is_coming else "Removed"
        if isinstance(found, Team):
            self._changed(found.tenant, f"teams/{found.group_id}/members", change, {})
            group = self.teams.world.groups[found.group_id]
            self._tell_group(group, {"id": person.id} | ({} if is_coming else _REMOVED))
            return await self._event(found, None, f"teamMember{ending}", person, tell=tell, **more)
        if found.team is None:
            self._changed(found.tenant, f"chats/{found.id}/members", change, {})
            return await self._event(None, found, "", person, tell=tell, **more)
        team = self._team(found.team)
        resource = f"teams/{team.group_id}/channels/{found.id}/members"
        self._changed(found.tenant, resource, change, {})
        return await self._event(team, found, f"channelMember{ending}", person, tell=tell, **more)

    async def _event(
        self,
        team: Team | None,
        place: Conversation | None,
        kind: str,
        by: str | User | None,
        *,
        tell: bool,
        **more: object,
    ) -> Delivery | None:
        channel = place or self._place(team.id if team else "")
        # A channel that is gone is told of where the team is.
        is_there = team.has_app if team is not None else self.teams.world.hears(channel)
        if not tell or not is_there:
            return None
        who = self._user(by) if by is not None else self._somebody(team, channel)
        data: Json = {"eventType": kind} if kind else {}
        if team is not None:
            named = {"id": team.id, "name": team.name, "aadGroupId": team.group_id}
            data |= {"team": named, "channel": {"id": channel.id, "name": channel.name}}
            data["channel"] |= {"type": channel.channel_type}
        body = envelope(self.teams, "conversationUpdate", who, channel, channelData=data)
        return await self.teams.deliveries.send(merged(body, dict(more)))

    async def _installed(
        self, target: str | User | Team | Conversation, *, is_there: bool
    ) -> list[Delivery]:
        world = self.teams.world
        if isinstance(target, str):
            known = world.users.get(target) or world.teams.get(target)
            target = known or world.team_of_group(target) or world.conversation(target)
        target.has_app = is_there
        if isinstance(target, User):
            place, who = self.teams.personal(target), target
        elif isinstance(target, Team):
            place = world.conversation(target.id)
            who = self._somebody(target, place)
        else:
            place, who = target, self._somebody(world.team_of(target), target)
        bot: Json = {"id": self.teams.bot_id, "name": self.teams.bot_name}
        joined: Json = {"membersAdded" if is_there else "membersRemoved": [bot]}
        if isinstance(target, Team):
            ending = "Added" if is_there else "Removed"
            joined["channelData"] = {"eventType": f"teamMember{ending}"}
            joined["channelData"] |= {"team": {"name": target.name, "aadGroupId": target.group_id}}
        update = envelope(self.teams, "conversationUpdate", who, place)
        action = {"action": "add" if is_there else "remove"}
        told = [
            envelope(self.teams, "installationUpdate", who, place) | action,
            merged(update, joined),
        ]
        return [await self.teams.deliveries.send(body) for body in told]

    def _somebody(self, team: Team | None, place: Conversation) -> User:
        """Who did it, where the test does not say."""
        members = self.teams.world.members(place) or [
            self.teams.world.users[id] for id in (team.members if team else ())
        ]
        return members[0] if members else next(iter(self.teams.world.users.values()))

    def _membered(self, place: Membered) -> Team | Conversation:
        if isinstance(place, Team | Conversation):
            return place
        team = self.teams.world.teams.get(place) or self.teams.world.team_of_group(place)
        return team or self._place(place)

    def _group(self, group: str | Group) -> Group:
        return group if isinstance(group, Group) else self.teams.world.groups[group]

    def _account(self, person: User) -> Json:
        return {"id": person.mri} | ({} if person.is_anonymous else {"aadObjectId": person.id})

    def _tell_group(self, group: Group, delta: Json) -> None:
        data: Json = {"@odata.type": "#Microsoft.Graph.Group", "id": group.id}
        data |= {"organizationId": group.tenant, "members@delta": [delta]}
        self._changed(group.tenant, f"groups/{group.id}", "updated", data)

    def _tell_user(self, person: User, change: str) -> None:
        data: Json = {"@odata.type": "#Microsoft.Graph.User", "id": person.id}
        data["organizationId"] = person.tenant
        self._changed(person.tenant, f"users/{person.id}", change, data)

    def _changed(self, tenant: str, resource: str, change: str, data: Json) -> None:
        self.teams.subscriptions.changed(tenant, resource, change, data)


_REMOVED = {"@removed": "deleted"}
