"""People and conversations of Teams, as answers see them; against a double of Teams and Graph."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from adapters.chat.directory_cache import InMemoryDirectoryCache
from adapters.teams.directory import TeamsDirectory, TeamsRules
from adapters.teams.ids import (
    TeamsPerson,
    entra_group_principal,
    teams_user_principal,
    unknown_person,
)
from adapters.teams.look_ups import ACCOUNT_TTL_S
from adapters.teams.places import InMemoryPlaces
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
from tests.fakes.teams_api import TeamsApi
from tests.teams_directory import (
    ENTRA,
    FABRIKAM,
    AllPlaces,
    a_bot,
    a_directory,
    a_place,
    a_teams,
    a_user,
    an_id,
)

PUBLIC_ONLY = AccessScope.of([Reader.stranger()])
EVERYBODY_OF_US = tenant_principal(TENANT)
TEAM, LAB, PLANS = "19:team@thread.tacv2", "19:lab@thread.tacv2", "19:plans@thread.tacv2"
TEAM_GROUP = an_id(900)
CHAT = "19:chat@thread.v2"


def a_company(tmp_path: Path, text: str) -> YamlDirectory:
    for n in range(1, 10):
        text = text.replace(f"<{n}>", f"{ENTRA}/{an_id(n)}")
    path = tmp_path / "people.yaml"
    path.write_text(text, "utf-8")
    return YamlDirectory.load(path, TENANT)


def a_team(api: TeamsApi, members: Iterable[int], visibility: str = "Private") -> None:
    """With its General channel, and the one called plans."""
    api.team(TEAM, TEAM_GROUP, "Team", [an_id(n) for n in members], visibility=visibility)
    api.channel(PLANS, TEAM, "plans")


def a_lab(api: TeamsApi, type: str, members: Iterable[int], **more: Any) -> None:
    api.channel(LAB, TEAM, "lab", type, [an_id(n) for n in members], **more)


async def the_person(directory: TeamsDirectory, number: int) -> Person:
    person = await directory.person(a_user(number))
    assert person is not None
    return person


async def the_room(directory: TeamsDirectory, id: str) -> Room:
    room = await directory.room(a_place(id))
    assert room is not None
    return room


async def scope_in(directory: TeamsDirectory, place: str, asker: int) -> AudienceScope:
    return await Audience(directory).scope_of_conversation(a_place(place), a_user(asker))


def groups_of(person: Person) -> set[str]:
    return {p for p in person.reader.principals if p.startswith("group:")}


class TestPeople:
    async def test_a_member_is_an_employee_up_to_internal(self) -> None:
        async with a_teams() as (api, directory):
            api.user(an_id(1), "Ann Lee", title="Lead")

            ann = await the_person(directory, 1)

        assert (ann.name, ann.title, ann.is_employee) == ("Ann Lee", "Lead", True)
        own = user_principal(TENANT, f"teams:{ENTRA}/{an_id(1)}")
        assert ann.reader == Reader(frozenset({PUBLIC, EVERYBODY_OF_US, own}), Level.INTERNAL)

    async def test_unless_members_are_not_taken_for_employees(self) -> None:
        rules = TeamsRules(frozenset({ENTRA}), members_are_employees=False)
        async with a_teams(rules=rules) as (api, directory):
            api.user(an_id(1))

            assert await directory.person(a_user(1)) is None

    async def test_whom_the_company_names_has_the_rights_that_stand_there_and_the_accounts_own(
        self, tmp_path: Path
    ) -> None:
        company = a_company(
            tmp_path, "groups: {hr: [amy]}\nusers: {amy: {teams: <1>, clearance: secret}}"
        )
        async with a_teams(company) as (api, directory):
            api.user(an_id(1), "Amy in Teams")

            amy = await the_person(directory, 1)

        known = await company.person(UserRef(TENANT, "amy"))
        assert known is not None
        # What was shared with their account is theirs by whatever name the company has for them.
        own = teams_user_principal(TENANT, TeamsPerson(ENTRA, an_id(1)))
        assert amy.reader == Reader(known.reader.principals | {own}, Level.SECRET)
        assert (amy.ref, amy.name, amy.groups) == (a_user(1), "amy", ("hr",))
        # By this id they are an administrator, whichever platform they write on.
        assert amy.company_id == "amy"

    @pytest.mark.parametrize("kind", [{"guest": True}, {"email": "amy_other.tw#EXT#@our.example"}])
    async def test_a_guest_is_nobody_unless_named_and_never_an_employee(
        self, tmp_path: Path, kind: dict[str, Any]
    ) -> None:
        company = a_company(tmp_path, "groups: {hr: [amy]}\nusers: {amy: {teams: <1>}}")
        rules = TeamsRules(frozenset({ENTRA}), groups={"finance": an_id(500)})
        async with a_teams(company, rules) as (api, directory):
            for n in (1, 2):
                api.user(an_id(n), groups=[an_id(500)], **kind)

            amy = await the_person(directory, 1)
            assert await directory.person(a_user(2)) is None

        own = {
            PUBLIC,
            user_principal(TENANT, "amy"),
            group_principal(TENANT, "hr"),
            teams_user_principal(TENANT, TeamsPerson(ENTRA, an_id(1))),
        }
        assert amy.reader.principals == own
        assert not amy.is_employee

    async def test_the_blocked_the_gone_and_those_of_others_are_nobody(
        self, tmp_path: Path
    ) -> None:
        text = f"users: {{amy: {{teams: [<1>, <2>, <3>, <4>, {FABRIKAM}/{an_id(5)}]}}}}"
        async with a_teams(a_company(tmp_path, text)) as (api, directory):
            api.user(an_id(1), disabled=True)
            api.user(an_id(2))
            await api.delete_user(an_id(2))
            api.tenant(FABRIKAM)
            api.user(an_id(4), tenant=FABRIKAM)
            api.user(an_id(5), tenant=FABRIKAM)

            for n in (1, 2, 3, 4, 9):
                assert await directory.person(a_user(n)) is None, n
            # Their tenant would tell us of them.
            assert await directory.person(a_user(5, FABRIKAM)) is None

    async def test_what_names_no_account_is_nobody_and_not_asked_for(self) -> None:
        async with a_teams() as (api, directory):
            api.user(an_id(1), email="ann@company.example")
            wrong = [
                unknown_person(TENANT, "29:1abc").id,
                f"teams:{ENTRA}/ann@company.example",
                f"teams:{ENTRA}/{an_id(1)}/manager",
                f"teams:{ENTRA}/{an_id(1)}?$select=id",
                f"teams:{ENTRA}/",
                f"teams:/{an_id(1)}",
                f"teams:{an_id(1)}",
                an_id(1),
            ]

            for id in wrong:
                assert await directory.person(UserRef(TENANT, id)) is None, id
            assert await directory.person(UserRef("other", a_user(1).id)) is None
            assert not api.calls("graph")

    async def test_several_tenants_may_be_ours(self) -> None:
        rules = TeamsRules(frozenset({ENTRA, FABRIKAM}))
        async with a_teams(rules=rules) as (api, directory):
            api.tenant(FABRIKAM)
            api.user(an_id(1))
            api.user(an_id(2), tenant=FABRIKAM)

            assert await directory.person(a_user(1))
            assert await directory.person(a_user(2, FABRIKAM))
            assert await directory.person(a_user(2)) is None
            assert {request.tenant for request in api.token_requests} == {ENTRA, FABRIKAM}

    async def test_the_router_asks_teams_about_its_own_alone(self, tmp_path: Path) -> None:
        company = a_company(tmp_path, "users: {amy: }\nconversations: {'#hr': {kind: public}}")
        async with a_teams(company) as (api, directory):
            api.user(an_id(1), "Ann")
            api.chat(CHAT, [an_id(1)], name="friends")
            router = DirectoryByPlatform(company, {"teams": directory})

            amy, ann = [await router.person(r) for r in (UserRef(TENANT, "amy"), a_user(1))]
            hr = await router.room(ConversationRef("web", TENANT, "#hr", ConversationKind.PUBLIC))
            friends = await router.room(a_place(CHAT))

            assert (amy and amy.name, ann and ann.name) == ("amy", "Ann")
            assert (hr and hr.name, friends and friends.name) == ("#hr", "friends")
            assert [person.name for person in await router.people()] == ["amy"]
            assert [room.name for room in await router.rooms()] == ["#hr"]


class TestGroups:
    async def test_groups_are_known_by_their_ids_and_inherited(self) -> None:
        rules = TeamsRules(frozenset({ENTRA}), groups={"engineering": an_id(502)})
        async with a_teams(rules=rules) as (api, directory):
            api.user(an_id(1), groups=[an_id(501)])
            api.user(an_id(2))
            api.group(an_id(502), "All engineers", [an_id(501)])
            api.group(an_id(503), "engineering", [an_id(2)])

            ann, ben = await the_person(directory, 1), await the_person(directory, 2)

        assert groups_of(ann) == {
            entra_group_principal(TENANT, an_id(501)),
            entra_group_principal(TENANT, an_id(502)),
            group_principal(TENANT, "engineering"),
        }
        # A name says nothing: anybody may call a team so.
        assert groups_of(ben) == {entra_group_principal(TENANT, an_id(503))}
        assert "All engineers" in ann.groups

    def test_no_group_of_the_company_can_pose_as_one_of_entra(self) -> None:
        with pytest.raises(ValueError, match="colon"):
            TeamsRules(frozenset({ENTRA}), groups={f"entra:{an_id(1)}": an_id(2)})

    async def test_whoever_is_in_too_many_groups_for_one_answer_is_asked_about_by_pages(
        self,
    ) -> None:
        async with a_teams() as (api, directory):
            api.user(an_id(1))
            for n in range(11_001):
                api.group(an_id(10_000 + n), f"group {n}", [an_id(1)])

            ann = await the_person(directory, 1)

            assert len(groups_of(ann)) == 11_001
            casts = "graph:/users/{id}/transitiveMemberOf/microsoft.graph.group"
            # One of them for the names.
            assert len(api.calls(casts)) == 1 + 12

    async def test_of_groups_that_hide_their_members_only_those_count_that_we_may_see(
        self,
    ) -> None:
        async with a_teams() as (api, directory):
            api.forbid("Member.Read.Hidden")
            api.user(an_id(1), groups=[an_id(501)])
            api.group(an_id(502), "works council", [an_id(1)], hidden=True)

            ann = await the_person(directory, 1)

        assert groups_of(ann) == {entra_group_principal(TENANT, an_id(501))}

    async def test_without_leave_to_see_groups_they_are_what_the_company_says(
        self, tmp_path: Path
    ) -> None:
        company = a_company(tmp_path, "groups: {hr: [amy]}\nusers: {amy: {teams: <1>}}")
        async with a_teams(company) as (api, directory):
            api.forbid("GroupMember.Read.All")
            api.user(an_id(1), groups=[an_id(501)])
            api.user(an_id(2), groups=[an_id(501)])

            assert (await the_person(directory, 1)).groups == ("hr",)
            assert groups_of(await the_person(directory, 2)) == set()

    @pytest.mark.parametrize("fault", [{"status": 500}, {"raw": '{"value": "?"}', "status": 200}])
    async def test_while_they_cannot_be_told_nobody_is_sure(self, fault: dict[str, Any]) -> None:
        async with a_teams() as (api, directory):
            api.user(an_id(1))
            api.fail("graph:/users/{id}/getMemberGroups", **fault)

            with pytest.raises(DirectoryUnavailable):
                await directory.person(a_user(1))
            assert await directory.person(a_user(1))

    async def test_nor_when_the_pages_end_midway(self) -> None:
        async with a_teams() as (api, directory):
            api.user(an_id(1))
            for n in range(11_001):
                api.group(an_id(10_000 + n), f"group {n}", [an_id(1)])
            casts = "graph:/users/{id}/transitiveMemberOf/microsoft.graph.group"
            api.fail(casts, status=500, times=9, after=5)

            with pytest.raises(DirectoryUnavailable):
                await directory.person(a_user(1))

    async def test_names_that_cannot_be_told_are_left_out(self) -> None:
        async with a_teams() as (api, directory):
            api.user(an_id(1), groups=[an_id(501)])
            api.fail("graph:/users/{id}/transitiveMemberOf/microsoft.graph.group", status=500)

            ann = await the_person(directory, 1)

        assert ann.groups == ()
        assert groups_of(ann) == {entra_group_principal(TENANT, an_id(501))}


class TestWithoutGraph:
    @pytest.mark.parametrize("way", ["not used", "no permission", "not known in the tenant"])
    async def test_only_those_are_somebody_whom_the_company_names(
        self, tmp_path: Path, way: str
    ) -> None:
        company = a_company(tmp_path, "groups: {hr: [amy]}\nusers: {amy: {teams: <1>}}")
        async with a_teams(company, use_graph=way != "not used") as (api, directory):
            api.user(an_id(1), "Amy in Teams")
            api.user(an_id(2))
            if way == "no permission":
                api.forbid()
            elif way == "not known in the tenant":
                api.fail("login", status=400, code="unauthorized_client", times=9)

            amy = await the_person(directory, 1)

            assert (amy.name, amy.groups, amy.is_employee) == ("amy", ("hr",), True)
            assert await directory.person(a_user(2)) is None
            assert not (way == "not used" and api.calls("graph"))

    async def test_rosters_come_from_the_bot_connector(self, tmp_path: Path) -> None:
        company = a_company(tmp_path, "users: {amy: {teams: <1>}, ben: {teams: <2>}}")
        async with a_teams(company, use_graph=False) as (api, directory):
            for n in (1, 2, 3):
                api.user(an_id(n))
            a_team(api, [1, 2])
            a_lab(api, "private", [1])
            api.channel("19:joint@thread.tacv2", TEAM, "joint", "shared", [an_id(1)])
            api.chat(CHAT, [an_id(1), an_id(3)])

            # Nobody says that it is closed, so it is not.
            general, lab = await the_room(directory, TEAM), await the_room(directory, LAB)

            assert general.kind is ConversationKind.PUBLIC
            assert (lab.kind, set(lab.members)) == (
                ConversationKind.PRIVATE,
                {a_user(1), a_user(2)},
            )
            assert await directory.room(a_place("19:joint@thread.tacv2")) is None
            assert (await scope_in(directory, LAB, 1)).checked
            assert (await scope_in(directory, CHAT, 1)).scope == PUBLIC_ONLY


class TestRooms:
    async def test_a_personal_chat_is_one_persons(self) -> None:
        async with a_teams() as (api, directory):
            chat = api.personal(api.user(an_id(1)))

            room = await the_room(directory, chat.id)

            assert (room.kind, room.members) == (ConversationKind.DIRECT, (a_user(1),))

    async def test_a_group_chat_is_its_members(self) -> None:
        async with a_teams() as (api, directory):
            api.chat(CHAT, [api.user(an_id(n)).id for n in (1, 2)], name="friends")

            assert await the_room(directory, CHAT) == Room(
                f"{ENTRA}/{CHAT}", "friends", ConversationKind.PRIVATE, (a_user(1), a_user(2))
            )

    @pytest.mark.parametrize(
        ("visibility", "known_as"),
        [
            ("Public", ConversationKind.PUBLIC),
            ("Private", ConversationKind.PRIVATE),
            ("HiddenMembership", ConversationKind.PRIVATE),
            ("SomethingNew", ConversationKind.PUBLIC),
        ],
    )
    async def test_a_standard_channel_is_its_team_as_open_as_that_is(
        self, visibility: str, known_as: ConversationKind
    ) -> None:
        async with a_teams() as (api, directory):
            for n in (1, 2):
                api.user(an_id(n))
            a_team(api, [1, 2], visibility)

            for channel in (TEAM, PLANS):
                room = await the_room(directory, channel)
                assert (room.kind, room.members) == (known_as, (a_user(1), a_user(2)))

    async def test_how_open_it_is_the_group_may_tell_too(self) -> None:
        async with a_teams() as (api, directory):
            api.forbid("Team.ReadBasic.All")
            api.user(an_id(1))
            a_team(api, [1])
            api.teams.world.groups[TEAM_GROUP].is_hidden = True

            assert (await the_room(directory, PLANS)).kind is ConversationKind.PRIVATE

    async def test_where_nobody_tells_it_is_open(self) -> None:
        async with a_teams() as (api, directory):
            api.forbid("Team.ReadBasic.All", "GroupMember.Read.All")
            api.user(an_id(1))
            a_team(api, [1])

            assert (await the_room(directory, PLANS)).kind is ConversationKind.PUBLIC

    async def test_an_open_team_may_be_treated_as_its_members(self) -> None:
        rules = TeamsRules(frozenset({ENTRA}), members_only_teams=frozenset({TEAM_GROUP}))
        async with a_teams(rules=rules) as (api, directory):
            api.user(an_id(1))
            a_team(api, [1], "Public")

            assert (await the_room(directory, PLANS)).kind is ConversationKind.PRIVATE

    async def test_where_members_are_no_employees_anybody_may_join_an_open_team(
        self, tmp_path: Path
    ) -> None:
        company = a_company(tmp_path, "users: {amy: {teams: <1>}}")
        rules = TeamsRules(frozenset({ENTRA}), members_are_employees=False)
        async with a_teams(company, rules) as (api, directory):
            api.user(an_id(1))
            a_team(api, [1], "Public")
            api.chat(CHAT, [an_id(1)])

            assert (await scope_in(directory, PLANS, 1)).scope == PUBLIC_ONLY
            assert (await scope_in(directory, CHAT, 1)).checked

    @pytest.mark.parametrize("type", ["private", "shared"])
    async def test_a_channel_with_members_of_its_own_is_theirs(self, type: str) -> None:
        async with a_teams() as (api, directory):
            for n in (1, 2, 3):
                api.user(an_id(n))
            a_team(api, [1, 2], "Public")
            a_lab(api, type, [1, 3] if type == "shared" else [1])

            room = await the_room(directory, LAB)

            assert room.kind is ConversationKind.PRIVATE
            assert room.members == ((a_user(1), a_user(3)) if type == "shared" else (a_user(1),))

    async def test_leave_from_the_teams_owner_is_enough(self) -> None:
        async with a_teams() as (api, directory):
            api.forbid("ChannelMember.Read.All")
            for n in (1, 2):
                api.user(an_id(n))
            a_team(api, [1, 2])
            a_lab(api, "private", [1])
            api.permit("ChannelMember.Read.Group", of=TEAM)

            assert (await the_room(directory, LAB)).members == (a_user(1),)

    async def test_without_leave_a_private_channel_is_its_whole_team_and_a_shared_one_unknown(
        self,
    ) -> None:
        async with a_teams() as (api, directory):
            api.forbid("ChannelMember.Read.All")
            for n in (1, 2):
                api.user(an_id(n))
            a_team(api, [1, 2], "Public")
            a_lab(api, "private", [1])
            api.channel("19:joint@thread.tacv2", TEAM, "joint", "shared", [an_id(1)])

            lab = await the_room(directory, LAB)

            assert (lab.kind, set(lab.members)) == (
                ConversationKind.PRIVATE,
                {a_user(1), a_user(2)},
            )
            assert await directory.room(a_place("19:joint@thread.tacv2")) is None

    @pytest.mark.parametrize("teller", ["connector", "graph", "nobody"])
    async def test_what_kind_of_channel_it_is_is_found_out(self, teller: str) -> None:
        async with TeamsApi() as api:
            api.tenant(ENTRA)
            for n in (1, 2):
                api.user(an_id(n))
            a_team(api, [1, 2], "Public")
            a_lab(api, "private", [1], with_app=True)
            if teller != "connector":
                api.fail("channels", status=200, raw='{"conversations": []}', times=9)
            if teller == "nobody":
                api.forbid("Channel.ReadBasic.All")
            async with a_directory(api, places=AllPlaces(api, with_types=False)) as directory:
                assert (await the_room(directory, TEAM)).kind is ConversationKind.PUBLIC
                lab = await directory.room(a_place(LAB))

        if teller == "nobody":
            assert lab is None
        else:
            assert lab is not None
            assert lab.members == (a_user(1),)

    async def test_what_the_bot_has_not_heard_of_or_cannot_see_is_no_room(self) -> None:
        async with a_teams() as (api, directory), a_bot(api, directory):
            api.tenant(FABRIKAM)
            api.user(an_id(1))
            api.chat(CHAT, [an_id(1)], with_app=False)
            a_team(api, [1])
            api.chat("19:theirs@thread.v2", [], tenant=FABRIKAM)
            await api.uninstall(TEAM)

            for place in (
                a_place(CHAT),
                a_place(PLANS),
                a_place("19:nowhere@thread.v2"),
                a_place("19:theirs@thread.v2", FABRIKAM),
                a_place("19:theirs@thread.v2"),
            ):
                assert await directory.room(place) is None
            assert await directory.room(a_conversation(f"{ENTRA}/{TEAM}")) is None
            assert await scope_in(directory, CHAT, 1) == AudienceScope(PUBLIC_ONLY, False, 1)

    async def test_where_no_activity_came_from_is_no_room(self) -> None:
        async with TeamsApi() as api:
            api.tenant(ENTRA)
            api.chat(CHAT, [api.user(an_id(1)).id])
            async with a_directory(api, places=InMemoryPlaces()) as directory:
                assert await directory.room(a_place(CHAT)) is None

    async def test_all_pages_of_members_are_read(self) -> None:
        async with a_teams() as (api, directory):
            a_team(api, [int(api.user(an_id(n)).id[-12:]) for n in range(1_234)])
            a_lab(api, "private", range(1_234))

            team, lab = await the_room(directory, PLANS), await the_room(directory, LAB)

            assert len(team.members) == len(lab.members) == 1_234
            assert len(api.calls("members")) == 3
            assert len(api.calls("graph:/teams/{team}/channels/{channel}/allMembers")) == 13

    async def test_pages_that_end_midway_are_no_roster(self) -> None:
        async with a_teams() as (api, directory):
            for n in range(1_234):
                api.user(an_id(n))
            a_team(api, range(1_234))
            a_lab(api, "private", range(1_234))
            api.fail("members", status=500, times=9, after=2)
            name = "graph:/teams/{team}/channels/{channel}/allMembers"
            api.fail(name, status=500, times=9, after=9)

            for channel in (PLANS, LAB):
                with pytest.raises(DirectoryUnavailable):
                    await directory.room(a_place(channel))
            assert (await scope_in(directory, LAB, 1)).scope == PUBLIC_ONLY


class TestAudiences:
    @pytest.mark.parametrize("who", ["guest", "federated", "anonymous"])
    async def test_one_of_whom_nothing_is_known_leaves_what_is_public(self, who: str) -> None:
        async with a_teams() as (api, directory):
            api.tenant(FABRIKAM)
            api.user(an_id(1))
            api.user(
                an_id(2),
                tenant=FABRIKAM if who == "federated" else ENTRA,
                guest=who == "guest",
                anonymous=who == "anonymous",
            )
            api.chat(CHAT, [an_id(1)])
            api.chat("19:with@thread.v2", [an_id(1), an_id(2)])

            alone = await scope_in(directory, CHAT, 1)
            together = await scope_in(directory, "19:with@thread.v2", 1)

        assert alone.checked
        assert {EVERYBODY_OF_US} < set.union(*(set(c.principals) for c in alone.scope.clauses))
        assert (together.checked, together.scope) == (False, PUBLIC_ONLY)

    async def test_so_does_another_tenant_in_a_shared_channel(self) -> None:
        async with a_teams() as (api, directory), a_bot(api, directory):
            api.tenant(FABRIKAM)
            api.user(an_id(1))
            api.user(an_id(2), tenant=FABRIKAM)
            a_team(api, [1])
            a_lab(api, "shared", [1])
            assert (await scope_in(directory, LAB, 1)).checked

            await api.share_channel(LAB, FABRIKAM, [an_id(2)])

            assert (await scope_in(directory, LAB, 1)).scope == PUBLIC_ONLY

    async def test_the_blocked_do_not_read_where_their_own_tenant_says_so(self) -> None:
        async with a_teams() as (api, directory):
            api.tenant(FABRIKAM)
            api.user(an_id(1))
            api.user(an_id(2), disabled=True)
            api.user(an_id(3), tenant=FABRIKAM, disabled=True)
            api.chat(CHAT, [an_id(n) for n in (1, 2, 3)])

            members = (await the_room(directory, CHAT)).members

        assert members == (a_user(1), a_user(3, FABRIKAM))

    async def test_a_member_of_whom_graph_does_not_tell_now_stays_one(self) -> None:
        async with a_teams() as (api, directory):
            for n in (1, 2):
                api.user(an_id(n))
            api.chat(CHAT, [an_id(n) for n in (1, 2)])
            api.fail("graph:/$batch", status=429, retry_after_s=60)

            assert (await the_room(directory, CHAT)).members == (a_user(1), a_user(2))
            assert (await scope_in(directory, CHAT, 1)).scope == PUBLIC_ONLY

    async def test_bots_do_not_read(self) -> None:
        async with a_teams() as (api, directory):
            api.user(an_id(1))
            api.chat(CHAT, [an_id(1)])
            entry = {"id": "29:1", "aadObjectId": an_id(1), "tenantId": ENTRA}
            other_bot = {"id": "28:another-bot", "name": "Another bot"}
            body = {"members": [entry, other_bot]}
            api.fail("members", status=200, raw=str(body).replace("'", '"'))

            assert (await the_room(directory, CHAT)).members == (a_user(1),)

    async def test_one_who_is_no_member_does_not_widen_what_a_closed_place_hears(self) -> None:
        async with a_teams() as (api, directory):
            for n in (1, 2):
                api.user(an_id(n))
            a_team(api, [1, 2])
            a_lab(api, "private", [1])

            assert not (await scope_in(directory, LAB, 2)).checked
            assert (await scope_in(directory, PLANS, 2)).checked

    async def test_hundreds_of_people_are_asked_about_in_batches(self) -> None:
        async with a_teams() as (api, directory):
            for n in range(300):
                api.user(an_id(n))
            a_team(api, range(300))

            scope = await scope_in(directory, PLANS, 7)

            assert (scope.checked, scope.size) == (True, 300)
            assert len(api.calls("graph:/$batch")) == 30
            assert len(api.token_requests) == 2


class TestWhatIsKnown:
    async def test_is_served_while_fresh_also_when_teams_is_down(self) -> None:
        time_s = 0.0
        cache = InMemoryDirectoryCache(clock=lambda: time_s)
        async with a_teams(cache=cache) as (api, directory):
            api.user(an_id(1))
            api.chat(CHAT, [an_id(1)])
            before = await scope_in(directory, CHAT, 1)
            await api.down(refuses_connections=True)

            assert before.checked
            assert await scope_in(directory, CHAT, 1) == before

            time_s = ACCOUNT_TTL_S
            with pytest.raises(DirectoryUnavailable):
                await directory.person(a_user(1))
            with pytest.raises(DirectoryUnavailable):
                await directory.room(a_place(CHAT))
            assert (await scope_in(directory, CHAT, 1)).scope == PUBLIC_ONLY

    @pytest.mark.parametrize("name", ["graph:/$batch", "graph:/users/{id}"])
    async def test_a_rate_limit_fails_closed_and_is_left_in_peace(self, name: str) -> None:
        async with a_teams() as (api, directory):
            for n in range(5):
                api.user(an_id(n))
            assert await directory.person(a_user(0))
            api.fail(name, status=429, retry_after_s=60)

            for n in (1, 2, 3):
                with pytest.raises(DirectoryUnavailable):
                    await directory.person(a_user(n))

            assert len(api.calls("graph:/$batch")) == 2
            assert await directory.person(a_user(0))

    async def test_a_short_rate_limit_is_waited_for(self) -> None:
        async with a_teams() as (api, directory):
            for n in range(3):
                api.user(an_id(n))
            api.fail("graph:/$batch", status=429, retry_after_s=0.05)
            api.fail("graph:/users/{id}", status=429, retry_after_s=0.05)

            found = await asyncio.gather(*(directory.person(a_user(n)) for n in range(3)))

            assert all(found)

    async def test_one_persons_failure_is_not_anothers(self) -> None:
        async with a_teams() as (api, directory):
            for n in (1, 2):
                api.user(an_id(n))
            api.fail("graph:/users/{id}", status=500)

            found = await asyncio.gather(
                *(directory.person(a_user(n)) for n in (1, 2)), return_exceptions=True
            )

            assert sorted(type(one).__name__ for one in found) == [
                "DirectoryUnavailable",
                "Person",
            ]

    async def test_those_who_ask_at_once_share_the_answer(self) -> None:
        async with a_teams() as (api, directory):
            for n in (1, 2):
                api.user(an_id(n))

            await asyncio.gather(*(directory.person(a_user(n)) for n in (1, 2) for _ in range(20)))

            assert len(api.calls("graph:/$batch")) == 1

    async def test_who_gives_up_waiting_leaves_the_answer_for_the_next(self) -> None:
        async with a_teams() as (api, directory):
            api.user(an_id(1))
            api.fail("graph:/$batch", delay_s=0.05)
            asking = asyncio.create_task(directory.person(a_user(1)))
            await api.until(lambda: api.calls("graph:/$batch"))
            asking.cancel()

            assert await directory.person(a_user(1))
            assert len(api.calls("graph:/$batch")) == 1

    async def test_a_token_that_is_withdrawn_is_asked_for_anew(self) -> None:
        async with a_teams() as (api, directory):
            for n in (1, 2):
                api.user(an_id(n))
            assert await directory.person(a_user(1))

            api.expire_tokens()

            assert await directory.person(a_user(2))


class TestChanges:
    async def test_who_joins_or_leaves_is_seen_at_once(self) -> None:
        async with a_teams() as (api, directory), a_bot(api, directory):
            api.user(an_id(1))
            api.user(an_id(2), guest=True)
            a_team(api, [1])
            a_lab(api, "private", [1])
            api.chat(CHAT, [an_id(1)])
            places = {PLANS: TEAM, LAB: LAB, CHAT: CHAT}
            for place, joined in places.items():
                assert (await scope_in(directory, place, 1)).checked

                await api.join(an_id(2), joined)
                assert not (await scope_in(directory, place, 1)).checked

                await api.leave(an_id(2), joined)
                assert (await scope_in(directory, place, 1)).checked

    async def test_a_slow_answer_from_before_a_change_is_not_believed(self) -> None:
        async with a_teams() as (api, directory), a_bot(api, directory):
            for n in (1, 2):
                api.user(an_id(n))
            api.chat(CHAT, [an_id(1)])
            # Teams answers with what was true when it was asked.
            api.fail("members", late_s=0.2)
            asking = asyncio.create_task(directory.room(a_place(CHAT)))
            await api.until(lambda: any(c.name == "members" for c in api.calls()))
            await asyncio.sleep(0.05)

            await api.join(an_id(2), CHAT)

            room = await asking
            assert room is not None
            assert set(room.members) == {a_user(1), a_user(2)}
            assert (await the_room(directory, CHAT)).members == room.members

    async def test_other_activities_change_nothing(self) -> None:
        async with a_teams() as (api, directory):
            api.user(an_id(1))
            api.chat(CHAT, [an_id(1)])
            await directory.room(a_place(CHAT))

            for activity in (
                {"type": "message", "conversation": {"id": CHAT}},
                {"type": "conversationUpdate", "conversation": {"id": "19:other@thread.v2"}},
                {"type": "conversationUpdate", "conversation": None, "channelData": "?"},
                {},
            ):
                await directory.changed(activity)
            await directory.room(a_place(CHAT))

            assert len(api.calls("members")) == 1
