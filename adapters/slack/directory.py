"""Who somebody in Slack is, what they may read, and who reads a channel."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from adapters.chat.directory_cache import DirectoryCache
from adapters.chat.flights import Batches, Flights
from adapters.slack.client import SlackClients
from adapters.slack.facts import Account
from adapters.slack.ids import EXTERNAL, PLATFORM, SlackChannelId, SlackPerson
from adapters.slack.look_ups import People, SlackLookUps
from adapters.slack.reads import SlackReads
from bot.directory import CompanyDirectory, Person, Room
from bot.errors import DirectoryUnavailable
from bot.messages import ConversationKind, ConversationRef, UserRef
from retrieval.access import (
    PUBLIC,
    Level,
    Principal,
    Reader,
    group_principal,
    tenant_principal,
    user_principal,
)

log = structlog.get_logger()

ALL = "*"


@dataclass(frozen=True, slots=True)
class SlackRules:
    """
    How far Slack's word counts.

    Attributes:
        teams: Ids of the workspaces and organisations that are ours; empty: the one that is asked.
        members_are_employees: Of full members whom the company directory does not know.
        match_email: A confirmed address finds its owner in the company directory.
        user_groups: Handles or ids of those whose members are in the group of that name; `*` for all.
        members_only_channels: Public channels that are treated as private ones.
        index_channels: Those whose threads are documents, readable by their members.
    """

    teams: frozenset[str] = frozenset()
    members_are_employees: bool = True
    match_email: bool = False
    user_groups: frozenset[str] = frozenset()
    members_only_channels: frozenset[str] = frozenset()
    index_channels: frozenset[str] = frozenset()


def channel_principal(tenant: str, channel: SlackChannelId) -> Principal:
    """Whoever is a member of an indexed channel."""
    # No handle of a user group holds a colon, so none can pose as a channel.
    return group_principal(tenant, f"slack-channel:{channel}")


class SlackDirectory:
    """
    `Directory` of people and channels in Slack; who they are in the company, *company* says.

    Nobody: whoever is deactivated, a bot, a stranger, or of an organisation that is not ours. Guests are
    somebody only if *company* names their Slack id, and never employees. A channel shared with another
    organisation has a member whom nobody knows. Our own bots and deactivated people are no readers of it.
    """

    def __init__(
        self,
        clients: SlackClients,
        cache: DirectoryCache,
        company: CompanyDirectory,
        *,
        tenant: str,
        rules: SlackRules,
    ) -> None:
        self._company = company
        self._tenant = tenant
        self._rules = rules
        self._flights = Flights()
        reads = SlackReads(clients, teams=rules.teams)
        self._look_ups = SlackLookUps(reads, cache, self._flights)
        look_up = partial(
            self._look_ups.people,
            with_user_groups=bool(rules.user_groups),
            channels=rules.index_channels,
        )
        self._batches: Batches[People] = Batches(self._flights, look_up)

    async def person(self, user: UserRef) -> Person | None:
        asked = SlackPerson.of(user)
        if user.tenant != self._tenant or asked is None:
            return None
        people, account = await self._looked_up(asked)
        if account is not None and account.home != asked.home:
            # Seen from a workspace that they only share a channel with, a guest may look like a member.
            if account.home not in self._rules.teams:
                return None
            asked = SlackPerson(account.home, asked.user)
            people, account = await self._looked_up(asked)
        if account is None or not self._is_ours(account, asked.home):
            return None
        if account.home != asked.home or account.is_bot:
            return None
        if account.is_deleted or account.is_stranger:
            return None
        return await self._known_as(account, asked, user, people)

    async def room(self, conversation: ConversationRef) -> Room | None:
        if conversation.tenant != self._tenant or conversation.platform != PLATFORM:
            return None
        place = SlackChannelId.of(conversation)
        if not place.home or not place.channel:
            return None
        found = await self._look_ups.channel(place.home, place.channel)
        if found is None:
            return None
        channel, ids = found
        members = await self._members(place.home, ids)
        kind = ConversationKind.PUBLIC
        if channel.is_direct:
            kind = ConversationKind.DIRECT
        elif channel.is_private or place.channel in self._rules.members_only_channels:
            kind = ConversationKind.PRIVATE
        anybody_joins = kind is ConversationKind.PUBLIC and not self._rules.members_are_employees
        if channel.is_external or anybody_joins:
            members.append(UserRef(self._tenant, EXTERNAL))
        name = channel.name if channel.is_direct else f"#{channel.name}"
        return Room(conversation.channel, name, kind, tuple(dict.fromkeys(members)))

    async def people(self) -> Sequence[Person]:
        """Those of the company: a workspace is asked about one person at a time."""
        return await self._company.people()

    async def rooms(self) -> Sequence[Room]:
        return await self._company.rooms()

    async def changed(self, event: Mapping[str, Any], home: str) -> None:
        """
        Forget what an *event* of the installation at *home* (`E…` or `T…`) says has changed.

        Raises:
            StateUnavailable: If it cannot be forgotten now; the event must then be taken as not seen.
        """
        kind = str(event.get("type") or "")
        if kind in ("user_change", "team_join") and (user := _id(event.get("user"))):
            await self._look_ups.forget_person(home, user)
        if kind.startswith("subteam_"):
            await self._look_ups.forget_user_groups(home)
        if kind == "message":
            kind = str(event.get("subtype") or "")
        if kind.startswith(("member_", "channel_", "group_", "mpim_", "shared_channel_")):
            named = ("channel", "old_channel_id", "new_channel_id")
            homes = {home, *self._rules.teams}
            for channel in filter(None, (_id(event.get(name)) for name in named)):
                await self._look_ups.forget_channel(homes, channel)

    async def close(self) -> None:
        await self._flights.close()

    async def _looked_up(self, asked: SlackPerson) -> tuple[People, Account | None]:
        people = await self._batches.with_others(asked.home, asked.user)
        account = people.accounts[asked.user]
        if isinstance(account, DirectoryUnavailable):
            raise account
        return people, account

    def _is_ours(self, account: Account, home: str) -> bool:
        return account.belongs_to(self._rules.teams or frozenset({home}))

    async def _known_as(
        self, account: Account, asked: SlackPerson, ref: UserRef, people: People
    ) -> Person | None:
        named = await self._named(account)
        own: set[Principal] = {PUBLIC}
        if named is None:
            if account.is_guest or not self._rules.members_are_employees:
                return None
            own_id = asked.ref(self._tenant).id
            own |= {tenant_principal(self._tenant), user_principal(self._tenant, own_id)}
            named = Person(
                ref, account.name, Reader(frozenset(own), Level.INTERNAL), True, title=account.title
            )
        own |= named.reader.principals
        groups = set(named.groups)
        if account.is_guest:
            own.discard(tenant_principal(self._tenant))
        else:
            handles = self._trusted_groups_of(account, people)
            groups |= handles
            own |= {group_principal(self._tenant, handle) for handle in handles}
        own |= {
            channel_principal(self._tenant, SlackChannelId(asked.home, channel))
            for channel, members in people.members.items()
            if account.id in members
        }
        return Person(
            ref=ref,
            name=named.name,
            reader=Reader(frozenset(own), named.reader.clearance),
            is_employee=named.is_employee and not account.is_guest,
            groups=tuple(sorted(groups)),
            title=named.title or account.title,
            company_id=named.company_id,
        )

    async def _named(self, account: Account) -> Person | None:
        """Whom the company knows by this account."""
        places = dict.fromkeys([account.home, *account.teams])
        by_id = [
            person
            for place in places
            if (person := await self._company.person_on(f"{PLATFORM}:{place}/{account.id}"))
        ]
        if len({person.ref for person in by_id}) > 1:
            log.warning("slack.account_of_two_people", home=account.home, user=account.id)
            raise DirectoryUnavailable("Slack: two people of the directory have the same account")
        if by_id:
            return by_id[0]
        if not self._rules.match_email or account.is_guest or not account.email:
            return None
        return await self._company.person_with_email(account.email)

    def _trusted_groups_of(self, account: Account, people: People) -> set[str]:
        trusted = self._rules.user_groups
        return {
            group.handle
            for group in people.user_groups
            if account.id in group.members
            and (ALL in trusted or not trusted.isdisjoint({group.handle, group.id}))
            and _is_a_handle(group.handle)
        }

    async def _members(self, home: str, ids: Iterable[str]) -> list[UserRef]:
        """
        Those who read; each under the home that their account has, as whoever writes is known by that.

        Slack lists the deactivated, too.
        """
        accounts = (await self._look_ups.people(home, ids)).accounts
        members = []
        for id, account in accounts.items():
            if isinstance(account, DirectoryUnavailable):
                raise account
            reads = True
            if account and account.home == home and self._is_ours(account, home):
                reads = not (account.is_bot or account.is_deleted)
            if reads:
                own_home = account.home if account else home
                members.append(SlackPerson(own_home, id).ref(self._tenant))
        return members


def _is_a_handle(text: str) -> bool:
    return text.isprintable() and ":" not in text and "/" not in text


def _id(value: Any) -> str:
    """Of a person or channel, which some events tell as a whole."""
    found = value.get("id") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) else ""
