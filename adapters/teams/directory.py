"""Who somebody in Teams is, what they may read, and who reads a conversation."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from adapters.chat.directory_cache import DirectoryCache
from adapters.chat.flights import Batches, Flights
from adapters.teams.channel_threads import IndexedChannel, channel_principal
from adapters.teams.facts import ANYBODY_IN, Account, RoomFacts
from adapters.teams.graph import Graph
from adapters.teams.ids import (
    PLATFORM,
    TeamsConversationId,
    TeamsPerson,
    entra_group_principal,
    split_thread,
    teams_user_principal,
    unknown_person,
)
from adapters.teams.json_values import is_guid, mapping
from adapters.teams.look_ups import INDEXED_CHANNELS, TeamsLookUps
from adapters.teams.outbox import TeamsOutbox
from adapters.teams.places import PERSONAL, Place, Places
from adapters.teams.reads import TeamsReads
from bot.directory import CompanyDirectory, Person, Room
from bot.errors import DirectoryUnavailable, StateUnavailable
from bot.messages import ConversationKind, ConversationRef, UserRef
from retrieval.access import (
    PUBLIC,
    Level,
    Principal,
    Reader,
    group_principal,
    tenant_principal,
)

log = structlog.get_logger()

_Found = Account | DirectoryUnavailable | None
_Members = Mapping[IndexedChannel, frozenset[str]]


@dataclass(frozen=True, slots=True)
class TeamsRules:
    """
    How far the word of Entra counts. Ids in lower case.

    Attributes:
        tenants: Those that are ours; nobody of another one is anybody.
        members_are_employees: Of members whom the company directory does not know.
        groups: Ids of groups in Entra, by the company's own name for them.
        members_only_teams: Groups of teams that anybody may join, but that are treated as closed ones.
        index_channels: Those whose threads are documents, readable by their members.
    """

    tenants: frozenset[str]
    members_are_employees: bool = True
    groups: Mapping[str, str] = field(default_factory=dict)
    members_only_teams: frozenset[str] = frozenset()
    index_channels: frozenset[IndexedChannel] = frozenset()

    def __post_init__(self) -> None:
        # What is behind a colon is Entra's, and no company group's.
        if any(":" in name for name in self.groups):
            raise ValueError("the name of a group holds no colon")


class TeamsDirectory:
    """
    `Directory` of people and conversations in Teams; who they are in the company, *company* says.

    Nobody: whoever is blocked or gone, of another tenant, or without an account that is told. Guests are
    somebody only if *company* names their account, and never employees. Where the app may not ask about
    people, only those are somebody whom *company* names. Bots and whoever is blocked read nothing.

    Args:
        graph: None: nothing is asked of Graph.
    """

    def __init__(
        self,
        graph: Graph | None,
        outbox: TeamsOutbox,
        places: Places,
        cache: DirectoryCache,
        company: CompanyDirectory,
        *,
        tenant: str,
        rules: TeamsRules,
    ) -> None:
        self._places = places
        self._company = company
        self._tenant = tenant
        self._rules = rules
        self._flights = Flights()
        self._look_ups = TeamsLookUps(TeamsReads(graph, outbox), cache, self._flights)
        self._batches: Batches[tuple[dict[str, _Found], _Members]] = Batches(
            self._flights, self._accounts_and_members
        )

    async def person(self, user: UserRef) -> Person | None:
        asked = self._one_of_ours(user)
        if asked is None or user.tenant != self._tenant:
            return None
        accounts, members = await self._batches.with_others(asked.tenant_id, asked.object_id)
        account = accounts[asked.object_id]
        if isinstance(account, DirectoryUnavailable):
            raise account
        if account is None or _is_blocked(account):
            return None
        return await self._known_as(account, asked, user, members)

    async def room(self, conversation: ConversationRef) -> Room | None:
        if conversation.tenant != self._tenant or conversation.platform != PLATFORM:
            return None
        id = TeamsConversationId.of(conversation)
        if id.tenant_id not in self._rules.tenants:
            return None
        try:
            place = await self._places.find(id)
        except StateUnavailable as error:
            raise DirectoryUnavailable(
                "Teams: what is known of the place cannot be read"
            ) from error
        facts = await self._look_ups.room(place) if place else None
        if place is None or facts is None:
            return None
        members = await self._who_read(facts)
        kind = self._kind(place, facts)
        if kind is ConversationKind.PUBLIC and not self._rules.members_are_employees:
            # Anybody may join, and of them nothing is known.
            members.append(unknown_person(self._tenant, ANYBODY_IN))
        return Room(
            conversation.channel, facts.name or "Teams", kind, tuple(dict.fromkeys(members))
        )

    async def people(self) -> Sequence[Person]:
        """Those of the company: Entra is asked about one person at a time."""
        return await self._company.people()

    async def rooms(self) -> Sequence[Room]:
        return await self._company.rooms()

    async def changed(self, activity: Mapping[str, Any]) -> None:
        """
        Forget what an *activity* says has changed.

        Raises:
            StateUnavailable: If it cannot be forgotten now; the activity must then be taken as not seen.
        """
        if activity.get("type") in ("conversationUpdate", "installationUpdate"):
            # A team is not always told of by the name that Graph has for it.
            await self._look_ups.forget_all([*_areas_in(activity), INDEXED_CHANNELS])

    async def person_changed(self, tenant_id: str, object_id: str) -> None:
        """Raises `StateUnavailable` if it cannot be forgotten now."""
        await self._look_ups.forget_account(tenant_id.lower(), object_id.lower())

    async def group_changed(self, tenant_id: str, group_id: str) -> None:
        """
        Whom else it concerns, through groups within groups, is not told: everybody is looked up anew.

        Raises:
            StateUnavailable: If it cannot be forgotten now.
        """
        await self._look_ups.forget_all(filter(None, [tenant_id.lower(), group_id.lower()]))

    async def close(self) -> None:
        await self._flights.close()

    async def _accounts_and_members(
        self, tenant_id: str, ids: frozenset[str]
    ) -> tuple[dict[str, _Found], _Members]:
        return await asyncio.gather(
            self._look_ups.accounts(tenant_id, ids),
            self._look_ups.members(self._rules.index_channels),
        )

    async def _known_as(
        self, account: Account, asked: TeamsPerson, ref: UserRef, members: _Members
    ) -> Person | None:
        named = await self._company.person_on(asked.account)
        is_guest = account.is_told and account.is_guest
        own: set[Principal] = {PUBLIC, teams_user_principal(self._tenant, asked)}
        if named is None:
            if not account.is_told or is_guest or not self._rules.members_are_employees:
                return None
            own.add(tenant_principal(self._tenant))
            reader = Reader(frozenset(own), Level.INTERNAL)
            named = Person(ref, account.name, reader, True, title=account.title)
        own |= named.reader.principals
        groups = set(named.groups)
        if is_guest:
            own.discard(tenant_principal(self._tenant))
        else:
            mapped = {
                name for name, id in self._rules.groups.items() if id.lower() in account.groups
            }
            own |= {group_principal(self._tenant, name) for name in mapped}
            own |= {entra_group_principal(self._tenant, id) for id in account.groups}
            groups |= mapped | set(account.group_names)
        own |= {
            channel_principal(self._tenant, channel)
            for channel, ids in members.items()
            if asked.account in ids
        }
        return Person(
            ref=ref,
            name=named.name,
            reader=Reader(frozenset(own), named.reader.clearance),
            is_employee=named.is_employee and not is_guest,
            groups=tuple(sorted(groups)),
            title=named.title or account.title,
            company_id=named.company_id,
        )

    async def _who_read(self, room: RoomFacts) -> list[UserRef]:
        """Rosters keep whoever is blocked; they cannot sign in, and so read nothing."""
        refs = [UserRef(self._tenant, id) for id in room.members]
        people = {ref: person for ref in refs if (person := self._one_of_ours(ref))}
        accounts: dict[TeamsPerson, _Found] = {}
        for tenant_id in {person.tenant_id for person in people.values()}:
            ids = [one.object_id for one in people.values() if one.tenant_id == tenant_id]
            found = await self._look_ups.accounts(tenant_id, ids)
            accounts |= {TeamsPerson(tenant_id, id): account for id, account in found.items()}
        blocked = {person for person, account in accounts.items() if _is_blocked(account)}
        return [ref for ref in refs if people.get(ref) not in blocked]

    def _one_of_ours(self, user: UserRef) -> TeamsPerson | None:
        person = TeamsPerson.of(user)
        if person is None or person.tenant_id not in self._rules.tenants:
            return None
        # Graph finds people by their addresses, too, and nobody else's id is one.
        return person if is_guid(person.object_id) else None

    def _kind(self, place: Place, facts: RoomFacts) -> ConversationKind:
        if facts.type == PERSONAL:
            return ConversationKind.DIRECT
        is_for_members = not self._rules.members_only_teams.isdisjoint(
            {place.team_group.lower(), place.team}
        )
        if facts.type == "standard" and not facts.is_closed and not is_for_members:
            return ConversationKind.PUBLIC
        return ConversationKind.PRIVATE


def _is_blocked(account: _Found) -> bool:
    return isinstance(account, Account) and account.is_told and not account.is_enabled


def _areas_in(activity: Mapping[str, Any]) -> Iterable[str]:
    """Ids of the conversation, and of whatever else the activity tells of."""
    data = mapping(activity.get("channelData"))
    team, channel = mapping(data.get("team")), mapping(data.get("channel"))
    conversation = mapping(activity.get("conversation")).get("id")
    told = [
        split_thread(conversation)[0] if isinstance(conversation, str) else None,
        team.get("id"),
        team.get("aadGroupId"),
        channel.get("id"),
        data.get("teamsTeamId"),
        data.get("teamsChannelId"),
    ]
    return dict.fromkeys(id for id in told if isinstance(id, str) and id)
