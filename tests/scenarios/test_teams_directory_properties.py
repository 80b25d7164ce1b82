"""Whatever a tenant is like, and whatever happens to it: Teams gives nobody a right that is not theirs."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.chat.directory_cache import InMemoryDirectoryCache
from adapters.teams.directory import TeamsDirectory, TeamsRules
from adapters.teams.ids import TeamsPerson
from adapters.teams.look_ups import ACCOUNT_TTL_S
from bot.audience import Audience
from bot.directory import Person
from bot.errors import DirectoryUnavailable
from bot.messages import UserRef
from bot.yaml_directory import YamlDirectory
from retrieval.access import (
    PUBLIC,
    AccessScope,
    Acl,
    Level,
    Principal,
    Reader,
    group_principal,
    tenant_principal,
    user_principal,
)
from tests.builders import TENANT
from tests.fakes.teams.world import DEFAULT_PERMISSIONS, Conversation, User
from tests.fakes.teams_api import TeamsApi
from tests.teams_directory import ENTRA, FABRIKAM, AllPlaces, a_directory, a_place, an_id

SISTER = "30000000-0000-4000-8000-000000000000"
"""Another tenant, which is ours where the settings name it."""
TENANTS = (ENTRA, SISTER, FABRIKAM)

USERS = tuple(an_id(n) for n in range(5))
GROUPS = (an_id(500), an_id(501), an_id(502))
"""The second is in the first; the third hides its members."""
TEAM_GROUP = an_id(900)
TEAM, CHAT = "19:team@thread.tacv2", "19:chat@thread.v2"
PRIVATE, SHARED = "19:private@thread.tacv2", "19:shared@thread.tacv2"
PLACES = (TEAM, CHAT, PRIVATE, SHARED)
COLLEAGUES = ("amy", "ben")
CLEARANCES = {
    "employee": Level.CONFIDENTIAL,
    "contractor": Level.INTERNAL,
    "guest": Level.PUBLIC,
}
WITHHELD = (
    "User.Read.All",
    "GroupMember.Read.All",
    "Member.Read.Hidden",
    "Team.ReadBasic.All",
    "Channel.ReadBasic.All",
    "ChannelMember.Read.All",
)

members = st.lists(st.sampled_from(USERS), unique=True, max_size=4)
users = st.fixed_dictionaries(
    {
        "tenant": st.sampled_from([ENTRA, ENTRA, ENTRA, SISTER, FABRIKAM]),
        "guest": st.sampled_from([False, False, True]),
        "anonymous": st.sampled_from([False, False, False, True]),
        "disabled": st.sampled_from([False, False, False, True]),
        "email": st.sampled_from(["", "", "one#EXT#@our.example"]),
    }
)
# A roster with nobody in it is no answer.
somebody = st.lists(st.sampled_from(USERS), unique=True, min_size=1, max_size=4)
places = st.fixed_dictionaries(
    {
        "team": somebody,
        "chat": somebody,
        "private": members,
        "shared": members,
        "visibility": st.sampled_from(["Public", "Private", "HiddenMembership"]),
        "with_types": st.booleans(),
    }
)
colleagues = st.fixed_dictionaries(
    {
        "accounts": st.lists(st.sampled_from(USERS), unique=True, max_size=2),
        "kind": st.sampled_from(list(CLEARANCES)),
        "in_hr": st.booleans(),
    }
)
options = st.fixed_dictionaries(
    {
        "use_graph": st.sampled_from([True, True, True, False]),
        "withheld": st.lists(st.sampled_from(WITHHELD), unique=True, max_size=2),
        "with_sister": st.booleans(),
        "members_are_employees": st.sampled_from([True, True, False]),
        "mapped": st.booleans(),
        "members_only": st.sampled_from([False, False, True]),
    }
)
changes = st.one_of(
    st.tuples(
        st.just("user"), st.sampled_from(USERS), st.sampled_from(["is_disabled", "is_guest"])
    ),
    st.tuples(st.just("move"), st.sampled_from(USERS), st.sampled_from(PLACES)),
    st.tuples(st.just("group"), st.sampled_from(USERS), st.sampled_from(GROUPS)),
    st.tuples(
        st.just("visibility"),
        st.just(TEAM),
        st.sampled_from(["Public", "Private", "HiddenMembership"]),
    ),
    st.tuples(st.just("permission"), st.just(""), st.sampled_from(WITHHELD)),
)
# A refusal is the truth about a permission, and no failure: people may not be hidden by one.
ANSWERS = (500, 429, 404)
NAMES = (
    "graph:/$batch",
    "graph:/users/{id}",
    "graph:/users/{id}/getMemberGroups",
    "graph:/teams/{team}",
    "graph:/groups/{id}",
    "graph:/teams/{team}/channels/{channel}",
    "graph:/teams/{team}/channels/{channel}/allMembers",
    "members",
    "channels",
    "login",
)
steps = st.one_of(
    st.tuples(st.just("look"), st.sampled_from(USERS), st.sampled_from(PLACES)),
    st.tuples(st.just("change"), changes, st.just(True)),
    # Nobody hears of it; what is known from before has run out when it is asked for again.
    st.tuples(st.just("change"), changes, st.just(False)),
    st.tuples(
        st.just("change meanwhile"),
        changes,
        st.tuples(st.sampled_from(USERS), st.sampled_from(PLACES)),
    ),
    st.tuples(st.just("fail"), st.sampled_from(NAMES), st.sampled_from(ANSWERS)),
)

Step = tuple[str, Any, Any]


@dataclass
class Workplace:
    """A world in Teams, a company beside it, and what they together grant: the oracle."""

    api: TeamsApi
    company: dict[str, dict[str, Any]]
    options: dict[str, Any]
    directory: TeamsDirectory
    time_s: float = 0.0
    heard: int = 0

    @property
    def ours(self) -> set[str]:
        return {ENTRA, SISTER} if self.options["with_sister"] else {ENTRA}

    def user(self, id: str) -> User:
        return self.api.teams.world.user(id)

    def ref(self, id: str) -> UserRef:
        return TeamsPerson(self.user(id).tenant, id).ref(TENANT)

    def may(self, permission: str, tenant: str) -> bool:
        granted = self.api.teams.world.tenants[tenant].permissions
        return bool(self.options["use_graph"]) and permission in granted

    def granted(self, id: str) -> Reader | None:
        """What somebody may read, by the rules as they are written; None: nothing is known."""
        user = self.user(id)
        named = [name for name, entry in self.company.items() if id in entry["accounts"]]
        if user.tenant not in self.ours:
            return None
        is_told = self.may("User.Read.All", user.tenant)
        if is_told and (user.is_disabled or user.is_anonymous):
            return None
        is_guest = is_told and (user.is_guest or "#EXT#" in user.email)
        own = user_principal(TENANT, f"teams:{user.tenant}/{id}")
        principals: set[Principal] = {PUBLIC, own}
        clearance = Level.INTERNAL
        if named:
            [name] = named
            entry = self.company[name]
            clearance = CLEARANCES[entry["kind"]]
            principals.add(user_principal(TENANT, name))
            if entry["in_hr"]:
                principals.add(group_principal(TENANT, "hr"))
            if entry["kind"] == "employee" and not is_guest:
                principals.add(tenant_principal(TENANT))
        elif not is_told or is_guest or not self.options["members_are_employees"]:
            return None
        else:
            principals.add(tenant_principal(TENANT))
        if is_told and not is_guest and self.may("GroupMember.Read.All", user.tenant):
            principals |= self._groups_of(user)
        return Reader(frozenset(principals), clearance)

    def _groups_of(self, user: User) -> set[Principal]:
        world = self.api.teams.world
        of_ids = {g for g in (*GROUPS, TEAM_GROUP) if user.id in world.groups[g].members}
        if GROUPS[1] in of_ids:
            of_ids.add(GROUPS[0])
        if not self.may("Member.Read.Hidden", user.tenant):
            of_ids -= {id for id in of_ids if world.groups[id].is_hidden}
        found = {group_principal(TENANT, f"entra:{id}") for id in of_ids}
        if self.options["mapped"] and GROUPS[0] in of_ids:
            found.add(group_principal(TENANT, "staff"))
        return found

    def heard_in(self, id: str, asker: str) -> AccessScope:
        """What everybody who reads a place may read."""
        place = self.api.teams.world.conversation(id)
        ids = [user.id for user in self.api.teams.world.members(place)]
        readers = [
            self.granted(id) or Reader.stranger()
            for id in dict.fromkeys([*ids, asker])
            if not self._is_no_reader(id) or id == asker
        ]
        if self._anybody_joins(place):
            joining = Reader(frozenset({PUBLIC, tenant_principal(TENANT)}), Level.INTERNAL)
            is_employee = self.options["members_are_employees"]
            readers.append(joining if is_employee else Reader.stranger())
        elif asker not in ids:
            readers.append(Reader.stranger())
        return AccessScope.of(readers)

    def _anybody_joins(self, place: Conversation) -> bool:
        team = self.api.teams.world.team_of(place)
        is_open = team is not None and team.visibility == "Public"
        return is_open and place.channel_type == "standard" and not self.options["members_only"]

    def _is_no_reader(self, id: str) -> bool:
        user = self.user(id)
        is_told = user.tenant in self.ours and self.may("User.Read.All", user.tenant)
        return is_told and user.is_disabled and not user.is_anonymous

    def is_all_told(self) -> bool:
        """Nothing stands between us and the truth."""
        needed = set(WITHHELD) - {"Member.Read.Hidden"}
        return all(self.may(one, tenant) for one in needed for tenant in self.ours)

    async def take(self, change: tuple[str, str, Any], *, is_heard: bool) -> bool:
        """False for a change that we are not told of: until it runs out, the old holds."""
        kind, id, what = change
        world, tell = self.api.teams.world, self.directory
        match kind:
            case "user":
                user = self.user(id)
                setattr(user, what, not getattr(user, what))
                if is_heard:
                    await tell.person_changed(user.tenant, id)
                return is_heard
            case "group":
                group = world.groups[what]
                (group.members.remove if id in group.members else group.members.append)(id)
                if is_heard:
                    for tenant in TENANTS:
                        await tell.group_changed(tenant, what)
                return is_heard
            case "visibility":
                await self.api.open_team(id, visibility=what)
                if is_heard:
                    await tell.group_changed(ENTRA, TEAM_GROUP)
                return is_heard
            case "permission":
                for each in world.tenants.values():
                    each.permissions ^= {what}
                return False
        return await self._move(id, what, is_heard=is_heard)

    async def _move(self, id: str, where: str, *, is_heard: bool) -> bool:
        world = self.api.teams.world
        place, team = world.conversation(where), world.teams[TEAM]
        at = team.members if where == TEAM else place.members
        if at == [id]:
            return is_heard
        if id in at:
            if where == TEAM and id in (private := world.conversation(PRIVATE)).members:
                # Whoever leaves a team leaves what is private in it.
                private.members.remove(id)
            await self.api.leave(id, TEAM if where == TEAM else where, tell=is_heard)
        else:
            if where == PRIVATE and id not in team.members:
                await self.api.join(id, TEAM, tell=is_heard)
            await self.api.join(id, TEAM if where == TEAM else where, tell=is_heard)
        await self.pass_on()
        if is_heard and TEAM_GROUP in world.groups and where in (TEAM, PRIVATE):
            # A team's people are its group's.
            for tenant in TENANTS:
                await self.directory.group_changed(tenant, TEAM_GROUP)
        return is_heard

    async def pass_on(self) -> None:
        new, self.heard = self.api.deliveries[self.heard :], len(self.api.deliveries)
        for delivery in new:
            await self.directory.changed(delivery.activity)

    def universe(self) -> list[Acl]:
        """Every list of one principal that anybody here could carry."""
        names = [*COLLEAGUES, *(f"teams:{tenant}/{id}" for tenant in TENANTS for id in USERS)]
        groups = ["hr", "staff", *(f"entra:{id}" for id in (*GROUPS, TEAM_GROUP))]
        carried = {PUBLIC, tenant_principal(TENANT)}
        carried |= {user_principal(TENANT, name) for name in names}
        carried |= {group_principal(TENANT, group) for group in groups}
        return [Acl(frozenset({one}), level) for one in carried for level in Level]

    async def look(self, id: str, place: str, *, is_calm: bool) -> None:
        """Ask for a person from everywhere and for a place; nothing may be wider than the oracle."""
        granted = self.granted(id)
        person = await asked(self.directory.person(self.ref(id)))
        allow([granted], person)
        if is_calm and not self.user(id).is_anonymous:
            assert (person.reader if person else None) == granted
        for tenant in TENANTS:
            if tenant != self.user(id).tenant and self.may("User.Read.All", tenant):
                allow([], await asked(self.directory.person(TeamsPerson(tenant, id).ref(TENANT))))
        scope = await Audience(self.directory).scope_of_conversation(a_place(place), self.ref(id))
        oracle = self.heard_in(place, id)
        is_exact = is_calm and self.is_all_told() and not self.user(id).is_anonymous
        for acl in self.universe():
            assert oracle.allows(acl) or not scope.scope.allows(acl), (place, acl)
            if is_exact:
                assert scope.scope.allows(acl) == oracle.allows(acl), (place, acl)


async def asked(look_up: Awaitable[Person | None]) -> Person | None:
    try:
        return await look_up
    except DirectoryUnavailable:
        return None


def allow(granted: Iterable[Reader | None], person: Person | None) -> None:
    """Nothing that none of *granted*, each of some moment, holds."""
    if person is None:
        return
    readers = [reader for reader in granted if reader is not None]
    assert readers, person
    assert person.reader.principals <= frozenset().union(*(r.principals for r in readers))
    assert person.reader.clearance <= max(reader.clearance for reader in readers)
    assert not person.is_employee or any(
        tenant_principal(TENANT) in reader.principals for reader in readers
    )


def a_company(
    folder: str, entries: dict[str, dict[str, Any]], tenants: dict[str, str]
) -> YamlDirectory:
    file = {
        "groups": {"hr": [name for name, entry in entries.items() if entry["in_hr"]]},
        "users": {
            name: {
                "kind": entry["kind"],
                "teams": [f"{tenants[id]}/{id}" for id in entry["accounts"]],
            }
            for name, entry in entries.items()
        },
    }
    written = Path(folder) / "people.yaml"
    written.write_text(yaml.safe_dump(file), "utf-8")
    return YamlDirectory.load(written, TENANT)


def furnish(
    api: TeamsApi,
    people: list[dict[str, Any]],
    layout: dict[str, Any],
    groups: list[list[str]],
    withheld: list[str],
) -> None:
    for tenant in TENANTS:
        api.tenant(tenant, permissions=DEFAULT_PERMISSIONS - set(withheld))
    for id, user in zip(USERS, people, strict=True):
        api.user(id, **user)
    for id, ids, is_hidden in zip(GROUPS, groups, (False, False, True), strict=True):
        api.group(id, f"group {id[-3:]}", ids, hidden=is_hidden)
    api.teams.world.groups[GROUPS[0]].members.append(GROUPS[1])
    team = api.team(TEAM, TEAM_GROUP, "Team", layout["team"], visibility=layout["visibility"])
    api.chat(CHAT, layout["chat"], name="chat")
    in_team = [id for id in layout["private"] if id in team.members]
    api.channel(PRIVATE, TEAM, "private", "private", in_team)
    api.channel(SHARED, TEAM, "shared", "shared", layout["shared"])


@settings(
    max_examples=int(os.environ.get("SHIFU_TEST_TEAMS_CASES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    people=st.lists(users, min_size=len(USERS), max_size=len(USERS)),
    layout=places,
    groups=st.lists(members, min_size=len(GROUPS), max_size=len(GROUPS)),
    entries=st.tuples(colleagues, colleagues),
    chosen=options,
    walk=st.lists(steps, min_size=2, max_size=7),
)
def test_nobody_gets_a_right_that_is_not_theirs(
    people: list[dict[str, Any]],
    layout: dict[str, Any],
    groups: list[list[str]],
    entries: tuple[dict[str, Any], ...],
    chosen: dict[str, Any],
    walk: list[Step],
) -> None:
    # The same account for two colleagues is an error of the file; the first has it.
    taken: set[str] = set()
    company = {}
    for name, entry in zip(COLLEAGUES, entries, strict=True):
        accounts = [id for id in entry["accounts"] if id not in taken]
        taken |= set(accounts)
        company[name] = {**entry, "accounts": accounts}
    tenants = {id: user["tenant"] for id, user in zip(USERS, people, strict=True)}

    async def run() -> None:
        async with TeamsApi() as api:
            furnish(api, people, layout, groups, chosen["withheld"])
            rules = TeamsRules(
                frozenset({ENTRA, SISTER} if chosen["with_sister"] else {ENTRA}),
                members_are_employees=chosen["members_are_employees"],
                groups={"staff": GROUPS[0]} if chosen["mapped"] else {},
                members_only_teams=frozenset({TEAM_GROUP} if chosen["members_only"] else ()),
            )
            cache = InMemoryDirectoryCache(clock=lambda: workplace.time_s)
            async with a_directory(
                api,
                a_company(folder, company, tenants),
                rules,
                cache=cache,
                places=AllPlaces(api, with_types=layout["with_types"]),
                use_graph=chosen["use_graph"],
                patience_s=0.0,
            ) as directory:
                workplace = Workplace(api, company, chosen, directory)
                await go(workplace)

    async def go(workplace: Workplace) -> None:
        is_calm = True
        # What is known from before is what may be wrong after a change.
        await look_at_all(workplace, is_calm=True)
        for kind, what, how in walk:
            if kind == "look":
                await workplace.look(what, how, is_calm=is_calm)
            elif kind == "change":
                if not await workplace.take(what, is_heard=how):
                    workplace.time_s += ACCOUNT_TTL_S
            elif kind == "change meanwhile":
                await change_meanwhile(workplace, what, how)
            else:
                is_calm = False
                workplace.time_s += ACCOUNT_TTL_S
                workplace.api.fail(what, status=how, retry_after_s=60 if how == 429 else None)
        await look_at_all(workplace, is_calm=is_calm)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run())


async def look_at_all(workplace: Workplace, *, is_calm: bool) -> None:
    for id, place in zip(USERS, [*PLACES, *PLACES], strict=False):
        await workplace.look(id, place, is_calm=is_calm)


async def change_meanwhile(
    workplace: Workplace, change: tuple[str, str, Any], about: tuple[str, str]
) -> None:
    """Something changes while the answer from before is on its way; nothing of it stays."""
    api, (id, place) = workplace.api, about
    workplace.time_s += ACCOUNT_TTL_S
    before, seen = workplace.granted(id), len(api.calls())
    api.fail("*", late_s=0.03, times=3)
    asking = asyncio.create_task(asked(workplace.directory.person(workplace.ref(id))))
    room = asyncio.create_task(asked(_as_person(workplace.directory, place)))
    await api.until(lambda: len(api.calls()) > seen or (asking.done() and room.done()))
    await asyncio.sleep(0.01)
    is_told = await workplace.take(change, is_heard=True)
    allow([before, workplace.granted(id)], await asking)
    await room
    api.heal()
    if not is_told:
        workplace.time_s += ACCOUNT_TTL_S


async def _as_person(directory: TeamsDirectory, place: str) -> None:
    await directory.room(a_place(place))
