"""What Slack's JSON about people and channels means, and that it survives being kept."""

from typing import Any

import pytest

from adapters.slack.facts import (
    Account,
    ChannelFacts,
    UserGroup,
    decode_ids,
    decode_members,
    decode_user_groups,
    encode_ids,
    encode_user_groups,
    user_groups_in,
)


def an_account(**told: Any) -> Account:
    account = Account.of({"id": "U1", "team_id": "T1", **told})
    assert account is not None
    return account


def test_an_account_on_enterprise_grid_belongs_to_the_organisation() -> None:
    account = an_account(enterprise_user={"enterprise_id": "E1", "teams": ["T1", "T2"]})

    assert (account.home, account.teams) == ("E1", ("T1", "T2"))
    assert account.belongs_to(frozenset({"E1"}))
    assert account.belongs_to(frozenset({"T2"}))
    assert not account.belongs_to(frozenset({"T3", "E2"}))


def test_another_organisations_account_is_not_ours_also_when_it_is_no_stranger() -> None:
    account = an_account(team_id="T9", enterprise_user={"enterprise_id": "E9"}, is_stranger=False)

    assert not account.belongs_to(frozenset({"T1", "E1"}))


@pytest.mark.parametrize("told", [None, [], {}, {"id": "U1"}, {"id": 7, "team_id": "T1"}])
def test_what_does_not_say_who_and_where_from_is_no_account(told: Any) -> None:
    assert Account.of(told) is None


def test_an_address_that_is_not_said_to_be_confirmed_is_none() -> None:
    profile = {"email": "amy@company.example"}

    assert an_account(profile=profile, is_email_confirmed=True).email == "amy@company.example"
    assert an_account(profile=profile).email == ""
    assert an_account(profile=profile, is_email_confirmed="yes").email == ""


def test_of_two_accounts_told_of_one_person_the_strictest_holds() -> None:
    member = an_account(enterprise_user={"enterprise_id": "E1", "teams": ["T1"]})
    guest = an_account(
        enterprise_user={"enterprise_id": "E1", "teams": ["T2"]}, is_ultra_restricted=True
    )

    assert member.strictest_with(guest).is_guest
    assert guest.strictest_with(member).is_guest
    assert not member.strictest_with(None).is_guest


@pytest.mark.parametrize(
    "told",
    [
        {"is_ext_shared": True},
        {"is_pending_ext_shared": True},
        {"pending_shared": ["T9"]},
        {"pending_connected_team_ids": ["T9"]},
        {"is_shared": True},
    ],
)
def test_a_channel_that_others_read_or_are_invited_to_is_external(told: dict[str, Any]) -> None:
    assert ChannelFacts.of({"name": "plans", **told}).is_external


def test_one_shared_within_the_organisation_is_not() -> None:
    told = {"is_shared": True, "is_org_shared": True, "is_ext_shared": False, "pending_shared": []}

    assert not ChannelFacts.of(told).is_external


def test_a_channel_that_does_not_say_that_it_is_private_is_public() -> None:
    assert not ChannelFacts.of({"id": "C1"}).is_private
    assert ChannelFacts.of({"is_mpim": True}).is_private


def test_user_groups_that_are_disabled_or_of_others_do_not_count() -> None:
    told = [
        {"id": "S1", "handle": "hr", "users": ["U1"]},
        {"id": "S2", "handle": "old", "users": ["U1"], "date_delete": 5},
        {"id": "S3", "handle": "theirs", "users": ["U1"], "is_external": True},
        {"id": "S4", "users": ["U1"]},
        None,
    ]

    assert user_groups_in(told) == [UserGroup("S1", "hr", frozenset({"U1"}))]


def test_what_is_kept_comes_back_as_it_was() -> None:
    account = an_account(enterprise_user={"enterprise_id": "E1", "teams": ["T2"]}, is_bot=True)
    channel = ChannelFacts("計畫", is_private=True)
    groups = (UserGroup("S1", "hr", frozenset({"U1", "U2"})),)

    assert Account.decode(Account.encode(account)) == account
    assert Account.decode(Account.encode(None)) is None
    assert ChannelFacts.decode(ChannelFacts.encode(channel)) == channel
    assert ChannelFacts.decode(ChannelFacts.encode(None)) is None
    assert decode_user_groups(encode_user_groups(groups)) == groups
    assert decode_ids(encode_ids(["U2", "U1"])) == ("U2", "U1")
    assert decode_ids(encode_ids(None)) is None
    assert decode_members(encode_ids(None)) == frozenset()
