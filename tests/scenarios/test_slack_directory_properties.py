"""Whatever a workspace is like, and whatever happens to it: Slack gives nobody a right that is not theirs."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.chat.directory_cache import InMemoryDirectoryCache
from adapters.slack.directory import SlackDirectory, SlackRules
from adapters.slack.ids import SlackChannelId, SlackPerson
from adapters.slack.look_ups import ACCOUNT_TTL_S
from bot.audience import Audience
from bot.directory import Person
from bot.errors import DirectoryUnavailable
from bot.messages import ConversationKind, ConversationRef, UserRef
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
from tests.fakes.slack.world import Channel, User
from tests.fakes.slack_api import SlackApi
from tests.slack_directory import a_directory

USERS = ("U0", "U1", "U2", "U3", "U4")
CHANNELS = ("C0", "C1", "C2")
GROUPS = {"S0": "finance", "S1": "legal"}
COLLEAGUES = ("amy", "ben")
CLEARANCES = {
    "employee": Level.CONFIDENTIAL,
    "contractor": Level.INTERNAL,
    "guest": Level.PUBLIC,
}


@dataclass(frozen=True)
class Layout:
    """
    Attributes:
        enterprise: Of the workspaces T1 and T2, in which the app is installed as a whole.
        teams: Those that the settings name.
        ours: The workspaces whose people are ours.
    """

    name: str
    enterprise: str | None
    installed: tuple[str, ...]
    teams: frozenset[str]
    ours: frozenset[str]

    def home(self, team: str) -> str:
        return self.enterprise if self.enterprise and team in ("T1", "T2") else team

    def named(self, place: str, team: str) -> str:
        """What the file of people calls the workspace, or the organisation, of an account."""
        return {"home": self.home(team), "team": team}.get(place, place)

    def siblings(self, team: str) -> set[str]:
        return {t for t in ("T1", "T2", "T9") if self.home(t) == self.home(team)}


T1, T2 = frozenset({"T1"}), frozenset({"T2"})
LAYOUTS = (
    Layout("one workspace", None, ("T1",), frozenset(), T1),
    Layout("two workspaces", None, ("T1", "T2"), T1 | T2, T1 | T2),
    Layout("two, one of them ours", None, ("T1", "T2"), T1, T1),
    Layout("an organisation", "E1", ("E1",), frozenset(), T1 | T2),
    Layout("a workspace of an organisation", "E1", ("E1",), T1, T1),
)

users = st.fixed_dictionaries(
    {
        "team": st.sampled_from(["T1", "T1", "T1", "T2", "T9"]),
        "guest": st.sampled_from([False, False, True]),
        "ultra": st.sampled_from([False, False, False, True]),
        "stranger": st.sampled_from([False, False, False, True]),
        "deleted": st.sampled_from([False, False, False, True]),
        "bot": st.sampled_from([False, False, False, True]),
        "email": st.sampled_from(["", *(f"{name}@company.example" for name in COLLEAGUES)]),
        "email_confirmed": st.booleans(),
    }
)
channels = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["public", "private", "private", "mpim"]),
        "team": st.sampled_from(["T1", "T1", "T2"]),
        "members": st.lists(st.sampled_from(USERS), unique=True, max_size=4),
        "ext_shared": st.sampled_from([[], [], ["T9"]]),
        "pending_shared": st.sampled_from([False, False, True]),
        "with_app": st.sampled_from([True, True, False]),
    }
)
colleagues = st.fixed_dictionaries(
    {
        "accounts": st.lists(
            st.tuples(st.sampled_from(["home", "home", "team", "T9"]), st.sampled_from(USERS)),
            max_size=3,
        ),
        "has_email": st.booleans(),
        "kind": st.sampled_from(list(CLEARANCES)),
        "in_hr": st.booleans(),
    }
)
rules = st.fixed_dictionaries(
    {
        "members_are_employees": st.sampled_from([True, True, False]),
        "match_email": st.booleans(),
        "user_groups": st.sampled_from([(), ("finance", "S1"), ("S0",), ("*",)]),
        "members_only_channels": st.sampled_from([(), ("C0",)]),
        "index_channels": st.sampled_from([(), ("C1", "C9"), ("C0", "C1", "C2")]),
    }
)
group_members = st.lists(st.sampled_from(USERS), unique=True, max_size=3)
changes = st.one_of(
    st.tuples(
        st.just("user"),
        st.sampled_from(USERS),
        st.sampled_from(
            ["is_deleted", "is_guest", "is_ultra", "is_bot", "is_stranger", "is_email_confirmed"]
        ),
    ),
    st.tuples(st.just("join or leave"), st.sampled_from(USERS), st.sampled_from(CHANNELS)),
    st.tuples(st.just("group"), st.sampled_from(list(GROUPS)), group_members),
    st.tuples(st.just("convert"), st.sampled_from(CHANNELS), st.none()),
    st.tuples(st.just("connect"), st.sampled_from(CHANNELS), st.none()),
)
METHODS = (
    "users.info",
    "users.list",
    "usergroups.list",
    "conversations.info",
    "conversations.members",
    "auth.teams.list",
)
steps = st.one_of(
    st.tuples(st.just("look"), st.sampled_from(USERS), st.sampled_from(CHANNELS)),
    st.tuples(st.just("change"), changes, st.just(True)),
    # Nobody hears of it; what is known from before has run out when it is asked for again.
    st.tuples(st.just("change"), changes, st.just(False)),
    st.tuples(st.just("change meanwhile"), changes, st.sampled_from(USERS)),
    st.tuples(
        st.just("fail"),
        st.sampled_from(METHODS),
        st.sampled_from(["internal_error", "ratelimited", "user_not_found", "channel_not_found"]),
    ),
)


@dataclass
class Workplace:
    """A world in Slack, a company beside it, and what they together grant: the oracle."""

    api: SlackApi
    layout: Layout
    company: dict[str, dict[str, object]]
    options: dict[str, object]
    directory: SlackDirectory
    time_s: float = 0.0
    heard: int = 0
    faults: set[str] = field(default_factory=set)

    def user(self, id: str) -> User:
        return self.api.slack.world.the_user(id)

    def channel(self, id: str) -> Channel:
        return self.api.slack.world.the_channel(id)

    def ref(self, id: str) -> UserRef:
        return SlackPerson(self.layout.home(self.user(id).team), id).ref(TENANT)

    def place(self, id: str) -> ConversationRef:
        home = self.layout.home(self.channel(id).team)
        return SlackChannelId(home, id).conversation(TENANT, ConversationKind.PRIVATE, "1.0")

    def granted(self, id: str) -> Reader | None:
        """What somebody may read, by the rules as they are written; None: nothing is known."""
        user = self.user(id)
        if user.is_deleted or user.is_bot or user.is_stranger or user.team not in self.layout.ours:
            return None
        is_guest = user.is_guest or user.is_ultra
        home = self.layout.home(user.team)
        named = self._colleagues_named(user, home)
        if len(named) > 1:
            return None
        if not named and not is_guest and self.options["match_email"] and user.is_email_confirmed:
            named = {
                name
                for name, entry in self.company.items()
                if entry["has_email"] and user.email == f"{name}@company.example"
            }
        principals: set[Principal] = {PUBLIC}
        clearance = Level.INTERNAL
        if named:
            [name] = named
            entry = self.company[name]
            clearance = CLEARANCES[str(entry["kind"])]
            principals.add(user_principal(TENANT, name))
            if entry["in_hr"]:
                principals.add(group_principal(TENANT, "hr"))
            if entry["kind"] == "employee" and not is_guest:
                principals.add(tenant_principal(TENANT))
        elif is_guest or not self.options["members_are_employees"]:
            return None
        else:
            principals |= {tenant_principal(TENANT), user_principal(TENANT, self.ref(id).id)}
        if not is_guest:
            principals |= {group_principal(TENANT, g) for g in self._trusted_groups(user)}
        principals |= {
            group_principal(TENANT, f"slack-channel:{home}/{channel.id}")
            for channel in map(self.channel, CHANNELS)
            if channel.id in self.options["index_channels"]  # type: ignore[operator]
            and self.layout.home(channel.team) == home
            and self.bot_sees(channel)
            and id in channel.members
        }
        return Reader(frozenset(principals), clearance)

    def heard_in(self, channel: Channel, asker: str) -> AccessScope:
        """What everybody who reads *channel* may read."""
        readers = [
            self.granted(id) or Reader.stranger()
            for id in {*channel.members, asker}
            if id in USERS and not self._is_no_reader(id)
        ]
        if channel.connected or channel.is_pending_ext_shared or not self.bot_sees(channel):
            readers.append(Reader.stranger())
        is_for_members = channel.id in self.options["members_only_channels"]  # type: ignore[operator]
        if channel.kind == "public" and not is_for_members:
            joining = Reader(frozenset({PUBLIC, tenant_principal(TENANT)}), Level.INTERNAL)
            is_employee = self.options["members_are_employees"]
            readers.append(joining if is_employee else Reader.stranger())
        elif asker not in channel.members:
            readers.append(Reader.stranger())
        return AccessScope.of(readers or [Reader.stranger()])

    def bot_sees(self, channel: Channel) -> bool:
        is_installed = self.layout.home(channel.team) in self.layout.installed
        bots = {i.bot_user for i in self.api.slack.world.installs}
        return is_installed and (channel.kind == "public" or not bots.isdisjoint(channel.members))

    def _is_no_reader(self, id: str) -> bool:
        """Our own bots and deactivated people."""
        user = self.user(id)
        return user.team in self.layout.ours and (user.is_bot or user.is_deleted)

    def _colleagues_named(self, user: User, home: str) -> set[str]:
        accounts = {(home, user.id), (user.team, user.id)}
        return {
            name
            for name, entry in self.company.items()
            if not accounts.isdisjoint(entry["accounts"])  # type: ignore[arg-type]
        }

    def _trusted_groups(self, user: User) -> set[str]:
        trusted = set(self.options["user_groups"])  # type: ignore[call-overload]
        return {
            group.handle
            for group in self.api.slack.world.usergroups.values()
            if user.id in group.members
            and group.team in self.layout.siblings(user.team)
            and trusted & {"*", group.id, group.handle}
        }

    async def take(self, change: tuple[str, str, object], *, is_heard: bool) -> bool:
        """False for a change that the app is not told of: until it runs out, the old holds."""
        kind, id, what = change
        match kind:
            case "user":
                changed: dict[str, Any] = {str(what): not getattr(self.user(id), str(what))}
                await self.api.change_user(id, event=is_heard, **changed)
            case "join or leave":
                channel = self.channel(str(what))
                is_in = id in channel.members
                if self._may_be_in(id, channel):
                    await (self.api.leave if is_in else self.api.join)(
                        id, channel.id, event=is_heard
                    )
                else:
                    # Slack tells of nothing that cannot be; the list of members is what it is.
                    (channel.members.remove if is_in else channel.members.append)(id)
            case "group":
                assert isinstance(what, list)
                await self.api.change_usergroup(id, what, event=is_heard)
            case "convert":
                is_public = self.channel(id).kind == "public"
                convert = self.api.convert_to_private if is_public else self.api.convert_to_public
                await convert(id, event=is_heard)
            case "connect":
                await self.api.connect(id, "T9", event=is_heard)
        await self.pass_on()
        return is_heard and self._is_told_of(kind, id, what)

    def _is_told_of(self, kind: str, id: str, what: object) -> bool:
        """Slack tells the app of its own workspaces' people, and of channels that it is in."""
        if kind in ("user", "group"):
            return kind == "group" or self.layout.home(self.user(id).team) in self.layout.installed
        channel = self.channel(str(what) if kind == "join or leave" else id)
        if kind == "join or leave" and not self._may_be_in(id, channel):
            return False
        return self.api.slack.world.install_for(channel) is not None

    def _may_be_in(self, id: str, channel: Channel) -> bool:
        return self.user(id).team in self.layout.siblings(channel.team) | set(channel.teams)

    async def pass_on(self) -> None:
        new, self.heard = self.api.deliveries[self.heard :], len(self.api.deliveries)
        for delivery in new:
            home = self.layout.home(delivery.payload["team_id"])
            await self.directory.changed(delivery.event, home)

    def universe(self) -> list[Acl]:
        """Every list of one principal that anybody here could carry."""
        names = [user_principal(TENANT, name) for name in COLLEAGUES]
        names += [user_principal(TENANT, self.ref(id).id) for id in USERS]
        homes = ("T1", "T2", "T9", "E1")
        groups = {*GROUPS.values(), "hr", "everyone"}
        groups |= {f"slack-channel:{home}/{id}" for home in homes for id in CHANNELS}
        carried = {PUBLIC, tenant_principal(TENANT), *names}
        carried |= {group_principal(TENANT, group) for group in groups}
        return [Acl(frozenset({one}), level) for one in carried for level in Level]

    async def look(self, id: str, channel_id: str, *, is_calm: bool) -> None:
        """Ask for a person from everywhere and for a channel; nothing may be wider than the oracle."""
        granted = self.granted(id)
        person = await asked(self.directory.person(self.ref(id)))
        allow([granted], person)
        if is_calm:
            assert (person.reader if person else None) == granted
        for home in ("T1", "T2", "T9", "E1"):
            allow([granted], await asked(self.directory.person(SlackPerson(home, id).ref(TENANT))))
        channel = self.channel(channel_id)
        scope = await Audience(self.directory).scope_of_conversation(
            self.place(channel_id), self.ref(id)
        )
        oracle = self.heard_in(channel, id)
        for acl in self.universe():
            assert oracle.allows(acl) or not scope.scope.allows(acl), acl


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


def a_company(folder: str, entries: dict[str, dict[str, object]], *, path: str) -> YamlDirectory:
    file = {
        "groups": {"hr": [name for name, entry in entries.items() if entry["in_hr"]]},
        "users": {
            name: {
                "kind": entry["kind"],
                "slack": [f"{place}/{id}" for place, id in entry["accounts"]],  # type: ignore[attr-defined]
                **({"email": f"{name}@company.example"} if entry["has_email"] else {}),
            }
            for name, entry in entries.items()
        },
    }
    written = Path(folder) / path
    written.write_text(yaml.safe_dump(file), "utf-8")
    return YamlDirectory.load(written, TENANT)


@settings(
    max_examples=int(os.environ.get("SHIFU_TEST_SLACK_CASES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    layout=st.sampled_from(LAYOUTS),
    people=st.lists(users, min_size=len(USERS), max_size=len(USERS)),
    places=st.lists(channels, min_size=len(CHANNELS), max_size=len(CHANNELS)),
    groups=st.lists(group_members, min_size=len(GROUPS), max_size=len(GROUPS)),
    entries=st.tuples(colleagues, colleagues),
    options=rules,
    walk=st.lists(steps, min_size=2, max_size=7),
)
def test_nobody_gets_a_right_that_is_not_theirs(
    layout: Layout,
    people: list[dict[str, object]],
    places: list[dict[str, object]],
    groups: list[list[str]],
    entries: tuple[dict[str, object], ...],
    options: dict[str, object],
    walk: list[tuple[str, object, object]],
) -> None:
    # The same account for two colleagues is an error of the file; the first has it.
    taken: set[object] = set()
    company = {}
    teams = {id: str(user["team"]) for id, user in zip(USERS, people, strict=True)}
    for name, entry in zip(COLLEAGUES, entries, strict=True):
        named: list[tuple[str, str]] = entry["accounts"]  # type: ignore[assignment]
        accounts = [
            a
            for place, id in named
            if (a := (layout.named(place, teams[id]), id)) not in taken and not taken.add(a)  # type: ignore[func-returns-value]
        ]
        company[name] = {**entry, "accounts": accounts}

    async def run() -> None:
        async with SlackApi() as api:
            for team in ("T1", "T2"):
                api.workspace(team, enterprise=layout.enterprise)
            api.workspace("T9")
            for id, user in zip(USERS, people, strict=True):
                api.user(id, **user)  # type: ignore[arg-type]
            for id, place in zip(CHANNELS, places, strict=True):
                api.channel(id, **place)  # type: ignore[arg-type]
            for (id, handle), members in zip(GROUPS.items(), groups, strict=True):
                api.usergroup(id, handle, members)
            for home in layout.installed:
                is_org = home.startswith("E")
                api.install(home, bot_user=f"UBOT{home}", is_enterprise_install=is_org)
            chosen: dict[str, Any] = {
                key: value if isinstance(value, bool) else frozenset(value)  # type: ignore[call-overload]
                for key, value in options.items()
            }
            cache = InMemoryDirectoryCache(clock=lambda: workplace.time_s)
            async with a_directory(
                api,
                a_company(folder, company, path="people.yaml"),
                SlackRules(teams=layout.teams, **chosen),
                cache=cache,
            ) as directory:
                workplace = Workplace(api, layout, company, options, directory)
                await go(workplace)

    async def go(workplace: Workplace) -> None:
        is_calm = True
        # What is known from before is what may be wrong after a change.
        await look_at_all(workplace, is_calm=True)
        for kind, what, how in walk:
            if kind == "look":
                await workplace.look(str(what), str(how), is_calm=is_calm)
            elif kind == "change":
                assert isinstance(what, tuple)
                if not await workplace.take(what, is_heard=bool(how)):
                    workplace.time_s += ACCOUNT_TTL_S
            elif kind == "change meanwhile":
                assert isinstance(what, tuple)
                await change_meanwhile(workplace, what, str(how))
            else:
                is_calm = False
                status = 429 if how == "ratelimited" else None
                error = None if status else str(how)
                workplace.api.fail(str(what), status=status, error=error, retry_after_s=60)
        await look_at_all(workplace, is_calm=is_calm)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run())


async def look_at_all(workplace: Workplace, *, is_calm: bool) -> None:
    for id, channel in zip(USERS, [*CHANNELS, *CHANNELS], strict=False):
        await workplace.look(id, channel, is_calm=is_calm)


async def change_meanwhile(workplace: Workplace, change: tuple[str, str, object], id: str) -> None:
    """Something changes while Slack's answer from before is on its way; nothing of it stays."""
    api = workplace.api
    workplace.time_s += ACCOUNT_TTL_S
    before, seen = workplace.granted(id), len(api.calls())
    api.fail("*", late_s=0.05, times=3)
    asking = asyncio.create_task(asked(workplace.directory.person(workplace.ref(id))))
    await api.until(lambda: any(call.answer for call in api.calls()[seen:]) or asking.done())
    is_told = await workplace.take(change, is_heard=True)
    allow([before, workplace.granted(id)], await asking)
    if not is_told:
        workplace.time_s += ACCOUNT_TTL_S
