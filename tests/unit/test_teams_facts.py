"""What the JSON of Graph and of the Bot Connector about people means, and that it survives being kept."""

from typing import Any

import pytest

from adapters.teams.facts import (
    ANYBODY_IN,
    Account,
    RoomFacts,
    channel_type,
    group_ids_in,
    is_closed,
    members_of_connector,
    members_of_graph,
    named_groups_in,
)
from adapters.teams.json_values import is_guid

ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
OTHER = "16fd2706-8baf-433b-82eb-8c7fada847da"
TENANT_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
MEMBER = {"id": ID, "userType": "Member", "accountEnabled": True}
AAD = "#microsoft.graph.aadUserConversationMember"


def an_account(**told: Any) -> Account:
    account = Account.of({**MEMBER, **told})
    assert account is not None
    return account


def test_only_a_member_that_is_said_to_be_one_is_no_guest() -> None:
    assert not an_account().is_guest
    for kind in ("Guest", "guest", "member", "", None, 7):
        assert an_account(userType=kind).is_guest, kind


@pytest.mark.parametrize(
    "told",
    [
        {"externalUserState": "Accepted"},
        {"externalUserState": "PendingAcceptance"},
        {"userPrincipalName": "amy_other.tw#EXT#@our.onmicrosoft.com"},
    ],
)
def test_whoever_was_invited_is_a_guest_also_when_made_a_member(told: dict[str, Any]) -> None:
    assert an_account(**told).is_guest


def test_only_who_is_said_to_be_enabled_is() -> None:
    assert an_account().is_enabled
    for enabled in (False, None, "true", 1):
        assert not an_account(accountEnabled=enabled).is_enabled, enabled


@pytest.mark.parametrize("told", [None, [], {}, {"id": "amy@x.tw"}, {"id": 7}, {"id": ID + "/"}])
def test_what_does_not_say_who_is_no_account(told: Any) -> None:
    assert Account.of(told) is None


def test_ids_are_compared_in_lower_case() -> None:
    assert an_account(id=ID.upper()).id == ID
    assert group_ids_in({"value": [OTHER.upper(), "no id"]}) == [OTHER]
    assert is_guid(ID)
    assert not is_guid(ID.upper())
    assert not is_guid(f"{ID}\n")


@pytest.mark.parametrize("told", [None, {}, {"value": None}, {"value": {ID: 1}}, {"value": [7]}])
def test_an_answer_without_a_list_of_groups_is_none(told: Any) -> None:
    assert group_ids_in(told) is None


def test_roles_and_devices_are_no_groups() -> None:
    items = [
        {"@odata.type": "#microsoft.graph.group", "id": ID.upper(), "displayName": "Finance"},
        {"id": OTHER, "displayName": None},
        {"@odata.type": "#microsoft.graph.directoryRole", "id": TENANT_ID, "displayName": "Admin"},
        None,
    ]

    assert named_groups_in(items) == {ID: "Finance", OTHER: ""}


@pytest.mark.parametrize(
    ("told", "closed"),
    [
        ("Private", True),
        ("private", True),
        ("HiddenMembership", True),
        ("hiddenMembership", True),
        ("Public", False),
        ("unknownFutureValue", False),
        (None, False),
    ],
)
def test_a_team_is_closed_if_it_is_said_to_be(told: Any, closed: bool) -> None:
    assert is_closed({"visibility": told}) == closed


def test_a_channel_is_of_a_kind_that_we_know() -> None:
    assert channel_type({"membershipType": "shared"}) == "shared"
    assert channel_type({"type": "Private"}) == "private"
    for told in ({"membershipType": "unknownFutureValue"}, {"type": 7}, {}, None):
        assert channel_type(told) == "", told


class TestMembers:
    @pytest.mark.parametrize("key", ["aadObjectId", "objectId"])
    def test_who_has_an_account_is_known_by_it(self, key: str) -> None:
        entry = {"id": "29:1", key: ID.upper(), "tenantId": TENANT_ID.upper(), "userRole": "user"}

        assert members_of_connector([entry]) == [f"teams:{TENANT_ID}/{ID}"]

    @pytest.mark.parametrize(
        "told",
        [
            {"tenantId": None},
            {"aadObjectId": None},
            {"aadObjectId": ""},
            {"objectId": OTHER},
            {"userRole": "anonymous"},
            {"tenantId": f"{TENANT_ID}/{OTHER}"},
        ],
    )
    def test_who_has_none_that_is_certain_is_a_stranger_among_them(
        self, told: dict[str, Any]
    ) -> None:
        entry = {"id": "29:1", "aadObjectId": ID, "tenantId": TENANT_ID, **told}

        assert members_of_connector([entry]) == ["teams:unknown/29:1"]

    def test_bots_are_none_and_what_is_nobody_is_a_stranger(self) -> None:
        assert members_of_connector([{"id": "28:bot", "aadObjectId": ID}]) == []
        stranger = f"teams:unknown/{ANYBODY_IN}"
        assert members_of_connector([None, {}, {"id": ""}]) == [stranger]
        assert members_of_graph([None, {}]) == [stranger]

    def test_graph_tells_accounts_also_of_others(self) -> None:
        items = [
            {"@odata.type": AAD, "id": "m1", "userId": ID, "tenantId": TENANT_ID},
            {"@odata.type": AAD, "id": "m2", "userId": ID, "tenantId": None},
            {"@odata.type": AAD, "id": "m3", "userId": None, "tenantId": TENANT_ID},
            {
                "@odata.type": "#microsoft.graph.anonymousGuestConversationMember",
                "id": "m4",
                "userId": ID,
                "tenantId": TENANT_ID,
            },
        ]

        assert members_of_graph(items) == [
            f"teams:{TENANT_ID}/{ID}",
            "teams:unknown/m2",
            "teams:unknown/m3",
            "teams:unknown/m4",
        ]


def test_what_is_kept_comes_back_as_it_was() -> None:
    account = Account(ID, "安", "Lead", True, True, False, (OTHER,), ("Finance",))
    room = RoomFacts("standard", "計畫", (f"teams:{TENANT_ID}/{ID}",), is_closed=True)

    assert Account.decode(Account.encode(account)) == account
    assert Account.decode(Account.encode(None)) is None
    assert RoomFacts.decode(RoomFacts.encode(room)) == room
    assert RoomFacts.decode(RoomFacts.encode(None)) is None
