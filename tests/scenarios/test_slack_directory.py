"""People and channels of a workspace, as answers see them; against a double of Slack."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from adapters.chat.directory_cache import InMemoryDirectoryCache
from adapters.slack.directory import SlackDirectory, SlackRules, channel_principal
from adapters.slack.ids import EXTERNAL, SlackChannelId, SlackPerson
from adapters.slack.look_ups import ACCOUNT_TTL_S
from bot.audience import Audience, AudienceScope
from bot.directories import DirectoryByPlatform
from bot.directory import Person, Room
from bot.errors import DirectoryUnavailable
from bot.messages import ConversationKind, ConversationRef, UserRef
from bot.yaml_directory import YamlDirectory
from retrieval.access import (
    PUBLIC,
    AccessScope,
    Level,
    Reader,
    group_principal,
    tenant_principal,
    user_principal,
)
from tests.builders import TENANT, a_conversation
from tests.fakes.slack_api import SlackApi
from tests.slack_directory import a_directory, a_slack

PUBLIC_ONLY = AccessScope.of([Reader.stranger()])
EVERYBODY_OF_US = tenant_principal(TENANT)


def a_user(id: str, home: str = "T1") -> UserRef:
    return SlackPerson(home, id).ref(TENANT)


def a_channel(id: str, home: str = "T1") -> ConversationRef:
    return SlackChannelId(home, id).conversation(TENANT, ConversationKind.PRIVATE, "1.0")


def a_company(tmp_path: Path, text: str) -> YamlDirectory:
    path = tmp_path / "people.yaml"
    path.write_text(text, "utf-8")
    return YamlDirectory.load(path, TENANT)


async def the_person(directory: SlackDirectory, id: str, home: str = "T1") -> Person:
    person = await directory.person(a_user(id, home))
    assert person is not None
    return person


async def the_room(directory: SlackDirectory, id: str, home: str = "T1") -> Room:
    room = await directory.room(a_channel(id, home))
    assert room is not None
    return room


def ids(members: Iterable[UserRef]) -> list[str]:
    return sorted(member.id.removeprefix("slack:") for member in members)


async def scope_in(directory: SlackDirectory, channel: str, asker: str) -> AudienceScope:
    return await Audience(directory).scope_of_conversation(a_channel(channel), a_user(asker))


def passing_on(api: SlackApi, directory: SlackDirectory) -> Callable[[], Awaitable[None]]:
    """What the adapter does: the directory hears of each event, once."""
    heard = 0

    async def passed() -> None:
        nonlocal heard
        new, heard = api.deliveries[heard:], len(api.deliveries)
        for delivery in new:
            home = api.slack.world.enterprise_of(delivery.payload["team_id"])
            await directory.changed(delivery.event, home or delivery.payload["team_id"])

    return passed


class TestPeople:
    async def test_a_full_member_is_an_employee_up_to_internal(self) -> None:
        async with a_slack() as (api, directory):
            api.user("U1", "Ann Lee", title="Lead")

            ann = await the_person(directory, "U1")

        assert (ann.name, ann.title, ann.is_employee) == ("Ann Lee", "Lead", True)
        own = user_principal(TENANT, "slack:T1/U1")
        assert ann.reader == Reader(frozenset({PUBLIC, EVERYBODY_OF_US, own}), Level.INTERNAL)

    async def test_unless_members_are_not_taken_for_employees(self) -> None:
        rules = SlackRules(members_are_employees=False)
        async with a_slack(rules=rules) as (api, directory):
            api.user("U1")

            assert await directory.person(a_user("U1")) is None

    async def test_whom_the_company_names_has_the_rights_that_stand_there(
        self, tmp_path: Path
    ) -> None:
        company = a_company(
            tmp_path, "groups: {hr: [amy]}\nusers: {amy: {slack: T1/U1, clearance: secret}}"
        )
        async with a_slack(company) as (api, directory):
            api.user("U1", "Amy in Slack")

            amy = await the_person(directory, "U1")

        known = await company.person(UserRef(TENANT, "amy"))
        assert known is not None
        assert amy.reader == known.reader
        assert (amy.ref, amy.name, amy.groups) == (a_user("U1"), "amy", ("hr",))
        # By this id they are an administrator, whichever platform they write on.
        assert amy.company_id == "amy"

    @pytest.mark.parametrize(
        ("flags", "match_email", "is_found"),
        [
            ({}, True, True),
            ({}, False, False),
            ({"email_confirmed": False}, True, False),
            ({"email": "other@company.example"}, True, False),
        ],
    )
    async def test_an_address_counts_only_if_it_is_confirmed_and_we_want_it(
        self, tmp_path: Path, flags: dict[str, Any], match_email: bool, is_found: bool
    ) -> None:
        company = a_company(tmp_path, "users: {amy: {email: amy@company.example}}")
        rules = SlackRules(match_email=match_email)
        async with a_slack(company, rules) as (api, directory):
            given: dict[str, Any] = {"email": "Amy@company.example", **flags}
            api.user("U1", **given)

            person = await the_person(directory, "U1")

        assert (user_principal(TENANT, "amy") in person.reader.principals) == is_found

    @pytest.mark.parametrize("kind", [{"guest": True}, {"ultra": True}])
    async def test_a_guest_is_nobody_unless_named_and_never_an_employee(
        self, tmp_path: Path, kind: dict[str, Any]
    ) -> None:
        company = a_company(
            tmp_path,
            "groups: {hr: [amy]}\nusers: {amy: {slack: T1/U1}, ben: {email: ben@company.example}}",
        )
        rules = SlackRules(match_email=True, user_groups=frozenset({"*"}))
        async with a_slack(company, rules) as (api, directory):
            api.user("U1", **kind)
            api.user("U2", email="ben@company.example", **kind)
            api.usergroup("S1", "finance", ["U1", "U2"])

            amy = await the_person(directory, "U1")
            assert await directory.person(a_user("U2")) is None

        own = {PUBLIC, user_principal(TENANT, "amy"), group_principal(TENANT, "hr")}
        assert amy.reader.principals == own
        assert not amy.is_employee

    async def test_bots_strangers_and_who_is_gone_are_nobody(self, tmp_path: Path) -> None:
        text = "users: {amy: {slack: [T1/U1, T1/U2, T1/U3, T1/U4, T9/U4, T1/USLACKBOT]}}"
        async with a_slack(a_company(tmp_path, text)) as (api, directory):
            api.user("U1", deleted=True)
            api.user("U2", bot=True)
            api.user("U3", stranger=True)
            api.workspace("T9")
            api.user("U4", team="T9")
            api.user("USLACKBOT")
            api.channel("C1", "shared", members=["U4"], ext_shared=["T9"])

            for id in ("U1", "U2", "U3", "U4", "UNKNOWN", "UBOT", "USLACKBOT"):
                assert await directory.person(a_user(id)) is None, id
            assert await directory.person(a_user("U4", "T9")) is None
            assert await directory.person(UserRef(TENANT, EXTERNAL)) is None
            assert await directory.person(UserRef("other", "slack:T1/U1")) is None

    async def test_an_account_of_two_people_is_nobodys(self, tmp_path: Path) -> None:
        text = "users: {amy: {slack: E1/W1}, ben: {slack: T1/W1}}"
        async with SlackApi() as api:
            api.workspace("T1", enterprise="E1")
            api.install("E1", is_enterprise_install=True)
            api.user("W1", teams=["T1"])
            async with a_directory(api, a_company(tmp_path, text)) as directory:
                with pytest.raises(DirectoryUnavailable):
                    await directory.person(a_user("W1", "E1"))

    async def test_the_router_asks_slack_about_its_own_alone(self, tmp_path: Path) -> None:
        company = a_company(tmp_path, "users: {amy: }\nconversations: {'#hr': {kind: public}}")
        async with a_slack(company) as (api, directory):
            api.user("U1", "Ann")
            api.channel("C1", "general", members=["U1"])
            router = DirectoryByPlatform(company, {"slack": directory})

            amy, ann = [await router.person(r) for r in (UserRef(TENANT, "amy"), a_user("U1"))]
            hr = await router.room(ConversationRef("web", TENANT, "#hr", ConversationKind.PUBLIC))
            general = await router.room(a_channel("C1"))

            assert (amy and amy.name, ann and ann.name) == ("amy", "Ann")
            assert (hr and hr.name, general and general.name) == ("#hr", "#general")
            assert await router.room(a_conversation("#hr")) is not None
            assert await router.person(UserRef(TENANT, "teams:amy")) is None
            assert [person.name for person in await router.people()] == ["amy"]
            assert [room.name for room in await router.rooms()] == ["#hr"]


class TestUserGroups:
    @pytest.mark.parametrize(
        ("trusted", "granted"),
        [
            ((), set()),
            (("finance",), {"finance"}),
            (("S2",), {"legal"}),
            (("*",), {"finance", "legal"}),
        ],
    )
    async def test_members_are_in_the_groups_that_are_trusted(
        self, trusted: tuple[str, ...], granted: set[str]
    ) -> None:
        rules = SlackRules(user_groups=frozenset(trusted))
        async with a_slack(rules=rules) as (api, directory):
            api.user("U1")
            api.user("U2")
            api.usergroup("S1", "finance", ["U1"])
            api.usergroup("S2", "legal", ["U1", "U2"])
            api.usergroup("S3", "sales", ["U1"], disabled=True)
            api.usergroup("S4", "everyone", ["U2"])

            person = await the_person(directory, "U1")

            assert set(person.groups) == granted
            assert {group_principal(TENANT, name) for name in granted} == {
                p for p in person.reader.principals if p.startswith("group:")
            }
            assert len(api.calls("usergroups.list")) == bool(trusted)

    @pytest.mark.parametrize("code", ["plan_upgrade_required", "missing_scope", "unknown_method"])
    async def test_without_user_groups_people_are_who_the_company_says(
        self, tmp_path: Path, code: str
    ) -> None:
        company = a_company(tmp_path, "groups: {hr: [amy]}\nusers: {amy: {slack: T1/U1}}")
        async with a_slack(company, SlackRules(user_groups=frozenset("*"))) as (api, directory):
            api.user("U1")
            api.fail("usergroups.list", error=code)

            assert (await the_person(directory, "U1")).groups == ("hr",)

    async def test_while_they_cannot_be_told_nobody_is_sure(self) -> None:
        async with a_slack(rules=SlackRules(user_groups=frozenset("*"))) as (api, directory):
            api.user("U1")
            api.fail("usergroups.list", error="internal_error", times=1)

            with pytest.raises(DirectoryUnavailable):
                await directory.person(a_user("U1"))
            assert await directory.person(a_user("U1"))

    async def test_members_of_an_indexed_channel_are_a_group(self) -> None:
        rules = SlackRules(index_channels=frozenset({"C1", "C2", "C9"}))
        async with a_slack(rules=rules) as (api, directory):
            api.user("U1")
            api.user("U2")
            api.channel("C1", "plans", "private", members=["U1"])
            api.channel("C2", "hidden", "private", members=["U1"], with_app=False)

            ann, ben = [await the_person(directory, id) for id in ("U1", "U2")]

        granted = channel_principal(TENANT, SlackChannelId("T1", "C1"))
        assert granted == group_principal(TENANT, "slack-channel:T1/C1")
        assert ann.reader.principals - {user_principal(TENANT, "slack:T1/U1")} == {
            PUBLIC,
            EVERYBODY_OF_US,
            granted,
        }
        assert granted not in ben.reader.principals


class TestSeveralWorkspaces:
    async def test_a_guest_of_one_is_no_member_as_seen_from_the_other(self) -> None:
        async with SlackApi() as api:
            for team in ("T1", "T2", "T3"):
                api.workspace(team)
                api.install(team, bot_user=f"UBOT{team}")
            api.user("U1", team="T2")
            api.user("U2", team="T2", guest=True)
            api.user("U3", team="T3")
            api.channel("C1", "all", "private", ["U1", "U2", "U3"], ext_shared=["T2", "T3"])
            rules = SlackRules(teams=frozenset({"T1", "T2"}))
            async with a_directory(api, rules=rules) as directory:
                member = await the_person(directory, "U1", "T1")

                assert EVERYBODY_OF_US in member.reader.principals
                assert member.reader == (await the_person(directory, "U1", "T2")).reader
                assert await directory.person(a_user("U2", "T1")) is None
                assert await directory.person(a_user("U3", "T1")) is None
                room = await the_room(directory, "C1")
                assert ids(room.members) == ["T2/U1", "T2/U2", "T3/U3", "external"]

    async def test_one_organisation_is_one_home(self, tmp_path: Path) -> None:
        company = a_company(tmp_path, "users: {amy: {slack: E1/W1}, ben: {slack: T2/W2}}")
        async with SlackApi() as api:
            api.workspace("T1", enterprise="E1")
            api.workspace("T2", enterprise="E1")
            api.workspace("T9")
            api.install("E1", is_enterprise_install=True)
            api.user("W1", team="T1", teams=["T1", "T2"])
            api.user("W2", team="T2")
            api.user("W3", team="T2")
            api.user("W9", team="T9")
            api.channel("C1", "plans", "private", ["W1", "W2"], org_shared=["T2"])
            api.usergroup("S1", "finance", ["W1"], team="T1")
            api.usergroup("S2", "legal", ["W1"], team="T2")
            rules = SlackRules(user_groups=frozenset("*"))
            async with a_directory(api, company, rules) as directory:
                people = [await the_person(directory, id, "E1") for id in ("W1", "W2", "W3")]
                room = await the_room(directory, "C1", "E1")

                assert [person.name for person in people] == ["amy", "ben", "W3"]
                assert people[0].groups == ("finance", "legal")
                assert ids(room.members) == ["E1/W1", "E1/W2"]
                # The token of the whole organisation speaks for no other one.
                assert await directory.person(a_user("W9", "T9")) is None
                assert await directory.person(a_user("W9", "E1")) is None

    async def test_of_an_organisation_only_the_workspaces_named_are_ours(self) -> None:
        async with SlackApi() as api:
            api.workspace("T1", enterprise="E1")
            api.workspace("T2", enterprise="E1")
            api.install("E1", is_enterprise_install=True)
            api.user("W1", team="T1")
            api.user("W2", team="T2")
            async with a_directory(api, rules=SlackRules(teams=frozenset({"T1"}))) as directory:
                assert await directory.person(a_user("W1", "E1"))
                assert await directory.person(a_user("W2", "E1")) is None

    async def test_workspaces_of_an_organisation_may_have_tokens_of_their_own(self) -> None:
        async with SlackApi() as api:
            for team in ("T1", "T2"):
                api.workspace(team, enterprise="E1")
                api.install(team, bot_user=f"UBOT{team}")
            api.user("W2", team="T2")
            api.channel("C2", "plans", "private", ["W2"], team="T2")
            rules = SlackRules(teams=frozenset({"T1", "T2"}))
            async with a_directory(api, rules=rules) as directory:
                room = await the_room(directory, "C2", "E1")

                assert ids(room.members) == ["E1/W2"]


class TestRooms:
    @pytest.mark.parametrize(
        ("kind", "known_as"),
        [
            ("public", ConversationKind.PUBLIC),
            ("private", ConversationKind.PRIVATE),
            ("mpim", ConversationKind.PRIVATE),
        ],
    )
    async def test_a_channel_is_what_slack_says(
        self, kind: str, known_as: ConversationKind
    ) -> None:
        async with a_slack() as (api, directory):
            api.user("U1")
            api.channel("C1", "plans", kind, ["U1"])

            assert await the_room(directory, "C1") == Room(
                "T1/C1", "#plans", known_as, (a_user("U1"),)
            )

    async def test_a_direct_message_is_one_persons(self) -> None:
        async with a_slack() as (api, directory):
            api.user("U1")

            room = await the_room(directory, api.dm("U1"))

            assert (room.kind, room.members) == (ConversationKind.DIRECT, (a_user("U1"),))

    async def test_a_public_channel_may_be_treated_as_its_members(self) -> None:
        rules = SlackRules(members_only_channels=frozenset({"C1"}))
        async with a_slack(rules=rules) as (api, directory):
            for id in ("C1", "C2"):
                api.channel(id, id, "public")

            assert (await the_room(directory, "C1")).kind is ConversationKind.PRIVATE
            assert (await the_room(directory, "C2")).kind is ConversationKind.PUBLIC

    async def test_bots_and_who_is_gone_do_not_read_but_guests_do(self) -> None:
        async with a_slack() as (api, directory):
            api.user("U1")
            api.user("U2", guest=True)
            api.user("U3", bot=True)
            api.user("U4", deleted=True)
            api.user("U5", stranger=True)
            api.channel("C1", "plans", "private", ["U1", "U2", "U3", "U4", "U5"])

            assert ids((await the_room(directory, "C1")).members) == ["T1/U1", "T1/U2", "T1/U5"]

    @pytest.mark.parametrize("sharing", [{"ext_shared": ["T9"]}, {"pending_shared": True}])
    async def test_a_channel_shared_with_others_has_a_reader_nobody_knows(
        self, sharing: dict[str, Any]
    ) -> None:
        async with a_slack() as (api, directory):
            api.workspace("T9")
            api.user("U1")
            api.channel("C1", "plans", "private", ["U1"], **sharing)

            scope = await scope_in(directory, "C1", "U1")

            assert ids((await the_room(directory, "C1")).members) == ["T1/U1", "external"]
            assert (scope.checked, scope.scope) == (False, PUBLIC_ONLY)

    async def test_where_members_are_no_employees_anybody_may_join_a_public_channel(
        self, tmp_path: Path
    ) -> None:
        company = a_company(tmp_path, "users: {amy: {slack: T1/U1}}")
        rules = SlackRules(members_are_employees=False, members_only_channels=frozenset({"C2"}))
        async with a_slack(company, rules) as (api, directory):
            api.user("U1")
            for id in ("C1", "C2"):
                api.channel(id, id, "public", ["U1"])

            assert (await scope_in(directory, "C1", "U1")).scope == PUBLIC_ONLY
            assert (await scope_in(directory, "C2", "U1")).checked

    async def test_what_the_bot_cannot_see_is_no_room(self) -> None:
        async with a_slack() as (api, directory):
            api.channel("C1", "hidden", "private", with_app=False)
            api.channel("C2", "plans", "private")
            api.revoke_scope("groups:read")

            for place in (a_channel("C1"), a_channel("C2"), a_channel("C3"), a_channel("C1", "T9")):
                assert await directory.room(place) is None
            assert await directory.room(a_conversation("T1/C2")) is None

    async def test_all_pages_of_members_are_read(self) -> None:
        async with a_slack() as (api, directory):
            users = [api.user(f"U{n:04}").id for n in range(2_345)]
            api.channel("C1", "everybody", "private", users)

            room = await the_room(directory, "C1")

            assert len(room.members) == 2_345
            assert len(api.calls("conversations.members")) == 3


class TestAudiences:
    async def test_a_guest_among_the_members_leaves_what_is_public(self) -> None:
        async with a_slack() as (api, directory):
            api.user("U1")
            api.user("U2", guest=True)
            api.channel("C1", "plans", "private", ["U1"])
            api.channel("C2", "vendors", "private", ["U1", "U2"])

            alone = await scope_in(directory, "C1", "U1")
            with_guest = await scope_in(directory, "C2", "U1")

        assert alone.checked
        assert {EVERYBODY_OF_US} < set.union(*(set(c.principals) for c in alone.scope.clauses))
        assert (with_guest.checked, with_guest.scope) == (False, PUBLIC_ONLY)

    async def test_one_who_is_no_member_does_not_widen_what_a_private_channel_hears(self) -> None:
        async with a_slack() as (api, directory):
            api.user("U1")
            api.user("U2")
            api.channel("C1", "plans", "private", ["U1"])

            assert not (await scope_in(directory, "C1", "U2")).checked

    async def test_hundreds_of_unknown_people_are_listed_at_once(self) -> None:
        async with a_slack() as (api, directory):
            users = [api.user(f"U{n:03}").id for n in range(500)]
            api.channel("C1", "everybody", "private", users)
            api.rate_limit_as_slack(retry_after_s=60)

            scope = await scope_in(directory, "C1", "U007")

            assert (scope.checked, scope.size) == (True, 500)
            assert len(api.calls("users.list")) == 1
            assert api.calls("users.info") == []

    async def test_processes_list_a_workspace_one_after_the_other(self) -> None:
        cache = InMemoryDirectoryCache()
        async with a_slack(cache=cache) as (api, first), a_directory(api, cache=cache) as second:
            users = [api.user(f"U{n:03}").id for n in range(100)]
            api.channel("C1", "everybody", "private", users)

            scopes = await asyncio.gather(
                *(scope_in(directory, "C1", "U007") for directory in (first, second))
            )

            assert [scope.checked for scope in scopes] == [True, True]
            assert len(api.calls("users.list")) == 1

    async def test_people_of_elsewhere_are_not_asked_for_one_by_one(self) -> None:
        async with a_slack() as (api, directory):
            api.workspace("T9")
            own = [api.user(f"U{n:03}").id for n in range(30)]
            others = [api.user(f"U9{n:03}", team="T9").id for n in range(200)]
            api.channel("C1", "shared", "private", [*own, *others], ext_shared=["T9"])

            scope = await scope_in(directory, "C1", "U007")

            assert (scope.checked, scope.scope) == (False, PUBLIC_ONLY)
            assert api.calls("users.info") == []


class TestWhatIsKnown:
    async def test_is_served_while_fresh_also_when_slack_is_down(self) -> None:
        time_s = 0.0
        cache = InMemoryDirectoryCache(clock=lambda: time_s)
        async with a_slack(cache=cache) as (api, directory):
            api.user("U1")
            api.channel("C1", "plans", "private", ["U1"])
            before = await scope_in(directory, "C1", "U1")
            await api.down(refuses_connections=True)

            assert before.checked
            assert await scope_in(directory, "C1", "U1") == before

            time_s = ACCOUNT_TTL_S
            with pytest.raises(DirectoryUnavailable):
                await directory.person(a_user("U1"))
            with pytest.raises(DirectoryUnavailable):
                await directory.room(a_channel("C1"))
            assert (await scope_in(directory, "C1", "U1")).scope == PUBLIC_ONLY

    async def test_a_rate_limit_fails_closed_and_is_left_in_peace(self) -> None:
        async with a_slack() as (api, directory):
            for n in range(5):
                api.user(f"U{n}")
            api.rate_limit("users.info", per_minute=2, retry_after_s=60)

            found = await asyncio.gather(
                *(directory.person(a_user(f"U{n}")) for n in range(2)), return_exceptions=True
            )
            refused = [
                await asyncio.gather(directory.person(a_user(f"U{n}")), return_exceptions=True)
                for n in (2, 3, 4)
            ]

            assert all(isinstance(person, Person) for person in found)
            assert all(isinstance(error, DirectoryUnavailable) for [error] in refused)
            assert len(api.calls("users.info")) == 3
            assert isinstance(await directory.person(a_user("U0")), Person)

    async def test_one_persons_failure_is_not_anothers(self) -> None:
        async with a_slack() as (api, directory):
            api.user("U1")
            await directory.person(a_user("U1"))
            api.user("U2")
            api.fail("users.info", error="internal_error")

            known, unknown = await asyncio.gather(
                directory.person(a_user("U1")),
                directory.person(a_user("U2")),
                return_exceptions=True,
            )

            assert isinstance(known, Person)
            assert isinstance(unknown, DirectoryUnavailable)

    async def test_those_who_ask_at_once_share_the_answer(self) -> None:
        async with a_slack(rules=SlackRules(user_groups=frozenset("*"))) as (api, directory):
            api.user("U1")
            api.user("U2")

            await asyncio.gather(
                *(directory.person(a_user(id)) for id in ("U1", "U2") for _ in range(20))
            )

            assert len(api.calls("users.info")) == 2
            assert len(api.calls("usergroups.list")) == 1

    async def test_who_gives_up_waiting_leaves_the_answer_for_the_next(self) -> None:
        async with a_slack() as (api, directory):
            api.user("U1")
            api.fail("users.info", delay_s=0.05)
            asking = asyncio.create_task(directory.person(a_user("U1")))
            await api.until(lambda: api.calls("users.info"))
            asking.cancel()

            assert await directory.person(a_user("U1"))
            assert len(api.calls("users.info")) == 1


class TestChanges:
    async def test_who_joins_or_leaves_is_seen_at_once(self) -> None:
        async with a_slack() as (api, directory):
            passed_on = passing_on(api, directory)
            api.user("U1")
            api.user("U2", guest=True)
            api.channel("C1", "plans", "private", ["U1"])
            assert (await scope_in(directory, "C1", "U1")).checked

            await api.join("U2", "C1")
            await passed_on()
            assert not (await scope_in(directory, "C1", "U1")).checked

            await api.leave("U2", "C1")
            await passed_on()
            assert (await scope_in(directory, "C1", "U1")).checked

    async def test_a_person_who_changes_is_looked_up_anew(self) -> None:
        async with a_slack() as (api, directory):
            passed_on = passing_on(api, directory)
            api.user("U1")
            assert await directory.person(a_user("U1"))
            assert await directory.person(a_user("U2")) is None

            await api.deactivate("U1")
            await api.new_user("U2", "Ben")
            await passed_on()

            assert await directory.person(a_user("U1")) is None
            assert await directory.person(a_user("U2"))

    async def test_so_are_user_groups(self) -> None:
        async with a_slack(rules=SlackRules(user_groups=frozenset("*"))) as (api, directory):
            passed_on = passing_on(api, directory)
            api.user("U1")
            api.usergroup("S1", "finance", ["U1"])
            assert (await the_person(directory, "U1")).groups == ("finance",)

            await api.change_usergroup("S1", [])
            await passed_on()

            assert (await the_person(directory, "U1")).groups == ()

    async def test_and_channels_that_are_converted_shared_renamed_or_left(self) -> None:
        async with a_slack() as (api, directory):
            passed_on = passing_on(api, directory)
            api.workspace("T9")
            api.user("U1")
            api.channel("C1", "plans", "public", ["U1"])
            assert (await the_room(directory, "C1")).kind is ConversationKind.PUBLIC

            await api.convert_to_private("C1")
            await passed_on()
            assert (await the_room(directory, "C1")).kind is ConversationKind.PRIVATE

            await api.rename("C1", "secret")
            await passed_on()
            assert (await the_room(directory, "C1")).name == "#secret"

            await api.connect("C1", "T9")
            await passed_on()
            assert UserRef(TENANT, EXTERNAL) in (await the_room(directory, "C1")).members

            await api.leave("UBOT", "C1")
            await passed_on()
            assert await directory.room(a_channel("C1")) is None

    async def test_members_of_an_indexed_channel_lose_its_documents_on_leaving(self) -> None:
        rules = SlackRules(index_channels=frozenset({"C1"}))
        async with a_slack(rules=rules) as (api, directory):
            passed_on = passing_on(api, directory)
            api.user("U1")
            api.channel("C1", "plans", "private", ["U1"])
            granted = channel_principal(TENANT, SlackChannelId("T1", "C1"))
            assert granted in (await the_person(directory, "U1")).reader.principals

            await api.leave("U1", "C1")
            await passed_on()

            assert granted not in (await the_person(directory, "U1")).reader.principals

    async def test_a_slow_answer_from_before_a_change_is_not_believed(self) -> None:
        async with a_slack() as (api, directory):
            passed_on = passing_on(api, directory)
            api.user("U1")
            # Slack answers with what was true when it was asked.
            api.fail("users.info", late_s=0.2)
            asking = asyncio.create_task(directory.person(a_user("U1")))
            await api.until(lambda: any(call.answer for call in api.calls("users.info")))

            await api.deactivate("U1")
            await passed_on()

            assert await directory.person(a_user("U1")) is None
            assert await asking is None

    async def test_other_events_change_nothing(self) -> None:
        async with a_slack() as (api, directory):
            api.user("U1")
            await directory.person(a_user("U1"))

            for event in ({"type": "message", "channel": "C1"}, {"type": "user_change"}, {}):
                await directory.changed(event, "T1")
            await directory.person(a_user("U1"))

            assert len(api.calls("users.info")) == 1
