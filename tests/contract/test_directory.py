"""What every directory must do, and how the one in a file treats what is doubtful."""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.slack.ids import SlackChannelId, SlackPerson
from bot.directory import Directory, Person
from bot.errors import DirectoryUnavailable
from bot.messages import ConversationKind, ConversationRef, UserRef
from bot.yaml_directory import YamlDirectory
from retrieval.access import (
    PUBLIC,
    Level,
    group_principal,
    tenant_principal,
    user_principal,
)
from tests.builders import TENANT, a_conversation
from tests.slack_directory import a_slack
from tests.teams_directory import ENTRA, a_place, a_teams, a_user, an_id

EXAMPLE = Path(__file__).parents[2] / "examples" / "company" / "people.yaml"

AMY_IN_TEAMS = "7c9e6679-7425-40de-944b-e07fc1f90ae7/3f2504e0-4f89-41d3-9a0c-0305e82c3301"
BEN_IN_TEAMS = "7c9e6679-7425-40de-944b-e07fc1f90ae7/16fd2706-8baf-433b-82eb-8c7fada847da"

PEOPLE = """
groups:
  engineering: {groups: [design, lab]}
  design: {groups: [leads]}
  leads: {members: [ann]}
  lab: [ben]
users:
  ann: {name: Ann Lee, name_zh: 李安, title: Lead, title_zh: 主管, clearance: secret}
  ben: {name: Ben, groups: [sales]}
  max: {name: Max, kind: contractor, groups: [lab]}
  nina: {name: Nina, kind: guest}
conversations:
  "#general": {kind: public}
  "#lab": {kind: private, members: [ben, max]}
""".replace("  lab: [ben]", "  lab: [ben]\n  sales:")


def a_channel(name: str, *, tenant: str = TENANT) -> ConversationRef:
    return ConversationRef("test", tenant, name, ConversationKind.PUBLIC)


def a_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "people.yaml"
    path.write_text(text, "utf-8")
    return path


async def found(directory: Directory, id: str) -> Person:
    person = await directory.person(UserRef(TENANT, id))
    assert person is not None
    return person


class DirectoryContract:
    """
    Over a directory in which ann is an employee in a group inside a group inside engineering, max
    a contractor, and nina a guest; #general is everyone's, #lab is ben's and max's.
    """

    def ref(self, id: str) -> UserRef:
        """How people are called where the directory looks for them."""
        return UserRef(TENANT, id)

    def place(self, name: str, *, tenant: str = TENANT) -> ConversationRef:
        return a_channel(name, tenant=tenant)

    async def found(self, directory: Directory, id: str) -> Person:
        person = await directory.person(self.ref(id))
        assert person is not None
        return person

    async def test_a_person_carries_public_herself_and_her_tenant(
        self, directory: Directory
    ) -> None:
        reader = (await self.found(directory, "ann")).reader

        assert reader.principals >= {
            PUBLIC,
            user_principal(TENANT, "ann"),
            tenant_principal(TENANT),
        }

    async def test_groups_are_inherited_however_deep(self, directory: Directory) -> None:
        person = await self.found(directory, "ann")

        assert person.groups == ("design", "engineering", "leads")
        assert person.reader.principals >= {group_principal(TENANT, name) for name in person.groups}

    async def test_inheritance_goes_one_way_only(self, directory: Directory) -> None:
        person = await self.found(directory, "ben")

        assert person.groups == ("engineering", "lab", "sales")

    async def test_only_employees_carry_the_tenant(self, directory: Directory) -> None:
        for id in ("max", "nina"):
            person = await self.found(directory, id)
            assert not person.is_employee
            assert tenant_principal(TENANT) not in person.reader.principals

    async def test_unknown_people_and_those_of_others_are_nobody(
        self, directory: Directory
    ) -> None:
        assert await directory.person(self.ref("zoe")) is None
        assert await directory.person(replace(self.ref("ann"), tenant="other")) is None

    async def test_a_room_knows_its_kind_and_all_its_members(self, directory: Directory) -> None:
        lab = await directory.room(self.place("#lab"))

        assert lab is not None
        assert lab.kind is ConversationKind.PRIVATE
        assert set(lab.members) == {self.ref("ben"), self.ref("max")}

    async def test_a_public_room_holds_all_employees(self, directory: Directory) -> None:
        general = await directory.room(self.place("#general"))

        assert general is not None
        assert set(general.members) == {self.ref("ann"), self.ref("ben")}

    async def test_unknown_rooms_and_those_of_others_are_none(self, directory: Directory) -> None:
        assert await directory.room(self.place("#nowhere")) is None
        assert await directory.room(self.place("#lab", tenant="other")) is None
        assert await directory.room(a_conversation()) is None

    async def test_people_and_rooms_can_be_listed(self, directory: Directory) -> None:
        assert {p.ref.id for p in await directory.people()} == {"ann", "ben", "max", "nina"}
        assert {r.name for r in await directory.rooms()} == {"#general", "#lab"}


class TestYamlDirectory(DirectoryContract):
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return a_file(tmp_path, PEOPLE)

    @pytest.fixture
    def directory(self, path: Path) -> Directory:
        return YamlDirectory.load(path, TENANT)

    async def test_names_and_titles_show_both_scripts(self, directory: Directory) -> None:
        person = await found(directory, "ann")

        assert (person.name, person.title) == ("李安 Ann Lee", "主管 · Lead")

    async def test_clearance_follows_the_kind_unless_given(self, directory: Directory) -> None:
        clearances = {p.ref.id: p.reader.clearance for p in await directory.people()}

        assert clearances == {
            "ann": Level.SECRET,
            "ben": Level.CONFIDENTIAL,
            "max": Level.INTERNAL,
            "nina": Level.PUBLIC,
        }

    async def test_the_short_form_of_an_access_list_is_read(self, tmp_path: Path) -> None:
        short = {
            "rule": "…",
            "groups": ["everyone", "hr"],
            "users": {"amy": ["everyone", "hr"], "cal": ["hr"], "gus": []},
            "documents": {"a/b": ["hr"]},
        }
        directory = YamlDirectory.load(a_file(tmp_path, json.dumps(short)), TENANT)

        amy, cal, gus = [await found(directory, id) for id in ("amy", "cal", "gus")]

        assert amy.is_employee
        assert amy.groups == cal.groups == ("hr",)
        assert not cal.is_employee
        assert cal.reader.clearance is Level.INTERNAL
        assert gus.reader.principals == {PUBLIC, user_principal(TENANT, "gus")}

    async def test_rights_taken_away_in_the_file_are_gone_at_once(
        self, directory: Directory, path: Path
    ) -> None:
        assert "leads" in (await found(directory, "ann")).groups

        path.write_text(PEOPLE.replace("members: [ann]", "members: []"), "utf-8")

        assert (await found(directory, "ann")).groups == ()

    async def test_a_file_put_in_place_with_an_old_date_is_seen(
        self, directory: Directory, path: Path
    ) -> None:
        before = path.stat()
        newer = path.with_suffix(".new")
        newer.write_text(PEOPLE.replace("[ann]", "[ben]"), "utf-8")
        os.utime(newer, ns=(before.st_atime_ns, before.st_mtime_ns))
        newer.replace(path)

        assert (await found(directory, "ann")).groups == ()

    async def test_a_broken_file_stops_every_look_up_until_it_is_mended(
        self, directory: Directory, path: Path
    ) -> None:
        for broken in ("users: [", "users: {ann: {groups: [nowhere]}}", ""):
            path.write_text(broken, "utf-8")
            for look_up in (
                directory.person(UserRef(TENANT, "ann")),
                directory.room(a_channel("#lab")),
                directory.people(),
                directory.rooms(),
            ):
                with pytest.raises(DirectoryUnavailable):
                    await look_up
        path.unlink()
        with pytest.raises(DirectoryUnavailable, match="No such file"):
            await directory.people()

        path.write_text(PEOPLE, "utf-8")

        assert await found(directory, "ann")

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("groups: {a: {groups: [b]}, b: {groups: [c]}, c: {groups: [a]}}", "inside itself: "),
            ("groups: {a: {groups: [a]}}", "inside itself: a in a"),
            ("groups: {hr: {members: [amy.lim]}}\nusers: {amy.lin: }", "'amy.lin'"),
            ("groups: {hr: {members: [amy]}}", r"groups\.hr\.members: unknown user 'amy'"),
            ("groups: {hr: {groups: [amy]}}", r"groups\.hr\.groups: unknown group 'amy'"),
            ("groups: {finance: }\nusers: {a: {groups: [finanse]}}", "did you mean 'finance'"),
            ("users: {a: [hr]}", r"users\.a\.groups: unknown group 'hr'"),
            ("groups: {everyone: {members: []}}", r"groups\.everyone: the name is reserved"),
            ("groups: {public: [a]}", r"groups\.public: the name is reserved"),
            ("users: {a: {groups: [everyone]}}", "kind: employee"),
            ("users: {a: {clearence: secret}}", "unknown key 'clearence'; did you mean 'cleara"),
            ("users: {a: {clearance: top}}", r"users\.a\.clearance: must be one of public, "),
            ("users: {a: {kind: contracter}}", r"users\.a\.kind: must be one of employee"),
            ("user: {a: }", "the file: unknown key 'user'; did you mean 'users'"),
            ("users: {no: }", "False is not read as text; put it in quotes"),
            ("users: {7: }", "7 is not read as text"),
            ("users: {a: , a: [x]}", "'a' stands there a second time"),
            ("users: [a]", "users: must be a mapping"),
            ("users: {a: {groups: hr}}", r"users\.a\.groups: must be a list"),
            ("conversations: {x: {kind: private}}", "a private conversation needs its members"),
            ("conversations: {x: {members: []}}", r"conversations\.x\.kind: must be one of"),
            ("conversations: {x: {kind: public, members: [z]}}", "unknown user 'z'"),
            ("users: {a: {name: [x]}}", r"users\.a\.name: \['x'\] is not read as text"),
            ("- a", "must be a mapping"),
            ("users: {a: }\n  b: [", "line 2"),
            ("users: {'a\x00': }", "not allowed in YAML"),
            ('users: {"a\\tb": }', "printable"),
        ],
    )
    def test_what_is_doubtful_is_an_error_that_names_the_place(
        self, tmp_path: Path, text: str, told: str
    ) -> None:
        with pytest.raises(DirectoryUnavailable, match=told) as raised:
            YamlDirectory.load(a_file(tmp_path, text), TENANT)

        assert str(raised.value).startswith(str(tmp_path))

    def test_a_file_in_another_encoding_is_told_as_such(self, tmp_path: Path) -> None:
        path = tmp_path / "people.yaml"
        path.write_bytes("users: {林: }".encode("big5"))

        with pytest.raises(DirectoryUnavailable, match="not UTF-8"):
            YamlDirectory.load(path, TENANT)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("users: {a: {slack: T1/U1}, b: {slack: [T1/U2, T1/U1]}}", r"users\.b\.slack: 'a' has"),
            ("users: {a: {slack: U1}}", "'U1' does not look like T0123ABC/U0123ABC"),
            ("users: {a: {slack: 'slack:T1/U1'}}", "does not look like"),
            ("users: {a: {slack: {T1: U1}}}", r"users\.a\.slack: must be a list"),
            (
                "users: {a: {email: a@x.tw}, b: {email: A@X.tw}}",
                r"users\.b\.email: 'a' has the same",
            ),
            ("users: {a: {email: nobody}}", "'nobody' is no e-mail address"),
            ("users: {'slack:T1/U1': }", "under the key `slack` of its owner"),
            ("users: {'teams:t/o': }", "under the key `teams` of its owner"),
            ("users: {a: {teams: amy@x.tw}}", "'amy@x.tw' does not look like <tenant id>/<object"),
            (f"users: {{a: {{teams: {AMY_IN_TEAMS.upper()}}}}}", "does not look like"),
            (
                f"users: {{a: {{teams: {AMY_IN_TEAMS}}}, b: {{teams: [{AMY_IN_TEAMS}]}}}}",
                r"users\.b\.teams: 'a' has the same",
            ),
        ],
    )
    def test_accounts_that_are_doubtful_are_errors(
        self, tmp_path: Path, text: str, told: str
    ) -> None:
        with pytest.raises(DirectoryUnavailable, match=told):
            YamlDirectory.load(a_file(tmp_path, text), TENANT)

    async def test_people_are_found_by_their_accounts_and_addresses(self, tmp_path: Path) -> None:
        text = (
            "users: {amy: {slack: [T1/U1, E1/W1], email: Amy@Company.example}, "
            f"ben: {{slack: T1/U2, teams: {BEN_IN_TEAMS}}}}}"
        )
        directory = YamlDirectory.load(a_file(tmp_path, text), TENANT)
        amy, ben = await found(directory, "amy"), await found(directory, "ben")

        assert await directory.person_on("slack:T1/U1") == amy
        assert await directory.person_on("slack:E1/W1") == amy
        assert await directory.person_on("slack:T1/U2") == ben
        assert await directory.person_on(f"teams:{BEN_IN_TEAMS}") == ben
        assert await directory.person_on("slack:T2/U1") is None
        assert await directory.person_on(f"teams:{AMY_IN_TEAMS}") is None
        assert await directory.person_with_email("amy@COMPANY.example") == amy
        assert await directory.person_with_email("ben@company.example") is None


SLACK_ACCOUNTS = {"ann": "U1", "ben": "U2", "max": "U3", "nina": "U4"}
SLACK_CHANNELS = {"#general": "C1", "#lab": "C2"}
TEAMS_ACCOUNTS = {"ann": 1, "ben": 2, "max": 3, "nina": 4}
TEAMS_CHANNELS = {"#general": "19:general@thread.tacv2", "#lab": "19:lab@thread.tacv2"}


class TestSlackDirectory(DirectoryContract):
    """The same company, whose people come from a workspace."""

    def ref(self, id: str) -> UserRef:
        return SlackPerson("T1", SLACK_ACCOUNTS.get(id, "U9")).ref(TENANT)

    def place(self, name: str, *, tenant: str = TENANT) -> ConversationRef:
        channel = SlackChannelId("T1", SLACK_CHANNELS.get(name, "C9"))
        return channel.conversation(tenant, ConversationKind.PRIVATE, "1.0")

    @pytest.fixture
    async def directory(self, tmp_path: Path) -> AsyncIterator[Directory]:
        text = PEOPLE
        for id, account in SLACK_ACCOUNTS.items():
            text = text.replace(f"  {id}: {{name", f"  {id}: {{slack: T1/{account}, name")
        company = YamlDirectory.load(a_file(tmp_path, text), TENANT)
        async with a_slack(company) as (api, directory):
            for id, account in SLACK_ACCOUNTS.items():
                api.user(account, id, guest=id == "nina")
            api.channel("C1", "general", members=["U1", "U2"])
            api.channel("C2", "lab", "private", members=["U2", "U3"])
            yield directory


class TestTeamsDirectory(DirectoryContract):
    """The same company, whose people come from Entra."""

    def ref(self, id: str) -> UserRef:
        return a_user(TEAMS_ACCOUNTS.get(id, 9))

    def place(self, name: str, *, tenant: str = TENANT) -> ConversationRef:
        return replace(a_place(TEAMS_CHANNELS.get(name, "19:none@thread.tacv2")), tenant=tenant)

    @pytest.fixture
    async def directory(self, tmp_path: Path) -> AsyncIterator[Directory]:
        text = PEOPLE
        for id, number in TEAMS_ACCOUNTS.items():
            account = f"{ENTRA}/{an_id(number)}"
            text = text.replace(f"  {id}: {{name", f"  {id}: {{teams: {account}, name")
        company = YamlDirectory.load(a_file(tmp_path, text), TENANT)
        async with a_teams(company) as (api, directory):
            # So that groups come from the file alone.
            api.forbid("GroupMember.Read.All")
            for id, number in TEAMS_ACCOUNTS.items():
                api.user(an_id(number), id, guest=id == "nina")
            for name, members in (("#general", ["ann", "ben"]), ("#lab", ["ben", "max"])):
                visibility = "Public" if name == "#general" else "Private"
                ids = [an_id(TEAMS_ACCOUNTS[id]) for id in members]
                channel = TEAMS_CHANNELS[name]
                group = an_id(100 + len(channel))
                api.team(channel, group, name, ids, visibility=visibility)
            yield directory


async def test_the_example_company_is_read_as_it_is_meant() -> None:
    directory = YamlDirectory.load(EXAMPLE, TENANT)

    david, max_, nina = [await found(directory, i) for i in ("david.hsu", "max.weber", "nina.berg")]
    rooms = {room.name: room for room in await directory.rooms()}

    assert {"design-leads", "design", "engineering", "project-borealis"} <= set(david.groups)
    assert max_.groups == ("layout-contractors",)
    assert nina.reader.clearance is Level.PUBLIC
    assert {m.id for m in rooms["#borealis"].members} == {"david.hsu", "grace.kao", "karen.sung"}
    assert len(rooms["#general"].members) == len(rooms["#lunch"].members) == 12
