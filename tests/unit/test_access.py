"""Who may read what, by example; the rules for any readers and documents are in the contract tests."""

import pytest

from retrieval.access import (
    PUBLIC,
    AccessScope,
    Acl,
    Level,
    Reader,
    group_principal,
    tenant_principal,
    user_principal,
)
from tests.builders import ENG, SALES, TENANT, a_reader, a_scope, an_acl


def test_a_document_is_read_by_whoever_has_one_of_its_principals() -> None:
    acl = an_acl(ENG, SALES)

    assert a_reader(ENG).may_read(acl)
    assert a_reader(SALES).may_read(acl)
    assert not a_reader(group_principal(TENANT, "legal")).may_read(acl)


def test_being_in_the_group_is_not_enough_above_ones_clearance() -> None:
    acl = an_acl(ENG, level=Level.SECRET)

    assert a_reader(ENG, clearance=Level.SECRET).may_read(acl)
    assert not a_reader(ENG, clearance=Level.CONFIDENTIAL).may_read(acl)


def test_a_document_without_principals_is_read_by_nobody() -> None:
    assert not a_scope({ENG}).allows(Acl(frozenset(), Level.PUBLIC))


def test_what_is_said_to_two_readers_must_be_open_to_both() -> None:
    scope = a_scope({ENG}, {SALES})

    assert scope.allows(an_acl(ENG, SALES))
    assert scope.allows(an_acl(PUBLIC))
    assert not scope.allows(an_acl(ENG))


def test_no_readers_may_read_nothing_not_even_what_is_public() -> None:
    assert AccessScope.of([]).is_empty
    assert not AccessScope.nothing().allows(an_acl(PUBLIC, level=Level.PUBLIC))


def test_a_stranger_reads_what_is_public_in_both_principal_and_level() -> None:
    stranger = Reader.stranger()

    assert stranger.may_read(an_acl(PUBLIC, level=Level.PUBLIC))
    assert not stranger.may_read(an_acl(PUBLIC, level=Level.INTERNAL))
    assert not stranger.may_read(an_acl(tenant_principal(TENANT), level=Level.PUBLIC))


def test_a_reader_who_may_read_more_adds_no_clause() -> None:
    strict, wide = a_reader(ENG, clearance=Level.INTERNAL), a_reader(ENG, SALES)

    assert AccessScope.of([wide, strict]).clauses == {strict}


def test_readers_who_each_may_read_something_else_are_both_kept() -> None:
    cleared, member = a_reader(clearance=Level.SECRET), a_reader(ENG, clearance=Level.INTERNAL)

    assert AccessScope.of([cleared, member]).clauses == {cleared, member}


def test_a_crowd_is_narrowed_to_what_all_have_in_common() -> None:
    crowd = [
        a_reader(ENG, user_principal(TENANT, f"user-{n}"), clearance=Level.CONFIDENTIAL)
        for n in range(3)
    ]

    narrowed = AccessScope.of([*crowd, a_reader(ENG, SALES, clearance=Level.INTERNAL)]).narrowed(
        max_clauses=2
    )

    assert narrowed.clauses == {a_reader(ENG, clearance=Level.INTERNAL)}


def test_access_lists_of_equal_content_share_a_set_whatever_their_order() -> None:
    assert an_acl(ENG, SALES).set_id == an_acl(SALES, ENG).set_id
    assert an_acl(ENG).set_id != an_acl(ENG, level=Level.SECRET).set_id
    assert an_acl(ENG).set_id != an_acl(SALES).set_id


def test_a_person_a_group_and_a_tenant_of_one_name_are_different_principals() -> None:
    same = {user_principal("acme", "acme"), group_principal("acme", "acme")}

    assert len(same | {tenant_principal("acme")}) == 3


@pytest.mark.parametrize("tenant", ["", "acme/eng", "acme\n"])
def test_a_tenant_that_could_pose_as_another_is_refused(tenant: str) -> None:
    with pytest.raises(ValueError, match="tenant id"):
        group_principal(tenant, "eng")


@pytest.mark.parametrize("name", ["", "eng\x1fsales", "eng\n"])
def test_a_name_that_cannot_be_printed_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="group id"):
        group_principal(TENANT, name)
