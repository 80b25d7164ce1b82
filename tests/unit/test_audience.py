"""A reply may hold only what every one of its readers may read."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audience import Audience, anyone_who_can_join, scope_of_readers
from bot.directory import Person, Room
from bot.errors import DirectoryUnavailable
from bot.messages import ConversationKind, ConversationRef, UserRef
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
from tests.builders import ENG, SALES, TENANT, a_conversation, a_reader, an_acl

EMPLOYED = tenant_principal(TENANT)
STRANGERS = AccessScope.of([Reader.stranger()])

principals = st.sampled_from(
    [PUBLIC, EMPLOYED, ENG, SALES, group_principal(TENANT, "lab"), user_principal(TENANT, "ann")]
)
levels = st.sampled_from(Level)
readers = st.builds(
    lambda own, level: Reader(frozenset({PUBLIC, *own}), level), st.sets(principals), levels
)
acls = st.builds(
    lambda own, level: Acl(frozenset(own), level), st.sets(principals, min_size=1), levels
)


class Faulty:
    """A directory of the given people and rooms that fails where it is told to."""

    def __init__(self, people: dict[str, Reader], rooms: dict[str, Room]) -> None:
        self.readers = people
        self._rooms = rooms
        self.fails_for: set[str] = set()
        self.hangs_for: set[str] = set()

    async def person(self, user: UserRef) -> Person | None:
        await self._maybe_fail(user.id)
        reader = self.readers.get(user.id)
        if user.tenant != TENANT or reader is None:
            return None
        return Person(user, user.id, reader, is_employee=EMPLOYED in reader.principals)

    async def room(self, conversation: ConversationRef) -> Room | None:
        await self._maybe_fail(conversation.channel)
        return self._rooms.get(conversation.channel)

    async def people(self) -> Sequence[Person]:
        return []

    async def rooms(self) -> Sequence[Room]:
        return list(self._rooms.values())

    async def _maybe_fail(self, name: str) -> None:
        if name in self.fails_for:
            raise DirectoryUnavailable("down")
        if name in self.hangs_for:
            await asyncio.Event().wait()


def a_room(kind: ConversationKind, *members: str) -> Room:
    return Room("C", "C", kind, tuple(UserRef(TENANT, member) for member in members))


def a_directory(room: Room | None = None, **people: Reader) -> Faulty:
    return Faulty(people, {"C": room} if room else {})


def an_employee(*groups: Principal, clearance: Level = Level.CONFIDENTIAL) -> Reader:
    return a_reader(EMPLOYED, *groups, clearance=clearance)


ANN = UserRef(TENANT, "ann")
PRIVATE = a_conversation("C", ConversationKind.PRIVATE)
IN_PUBLIC = a_conversation("C", ConversationKind.PUBLIC)


async def test_a_direct_message_is_read_by_its_asker_alone() -> None:
    audience = Audience(a_directory(ann=an_employee(ENG)))

    found = await audience.scope_of_conversation(a_conversation(), ANN)

    assert found.scope == AccessScope.of([an_employee(ENG)])
    assert found.checked
    assert found.size == 1


async def test_an_unknown_asker_may_read_what_is_public_and_is_told_so() -> None:
    found = await Audience(a_directory()).scope_of_person(ANN)

    assert found.scope == STRANGERS
    assert not found.checked


async def test_somebody_of_another_organisation_is_a_stranger() -> None:
    directory = a_directory(ann=an_employee(ENG))

    found = await Audience(directory).scope_of_person(UserRef("other", "ann"))

    assert found.scope == STRANGERS


async def test_a_private_conversation_is_read_by_every_member() -> None:
    room = a_room(ConversationKind.PRIVATE, "ann", "ben")
    directory = a_directory(room, ann=an_employee(ENG, SALES), ben=an_employee(ENG))

    found = await Audience(directory).scope_of_conversation(PRIVATE, ANN)

    assert found.checked
    assert found.size == 2
    assert found.scope.allows(an_acl(ENG))
    assert not found.scope.allows(an_acl(SALES))


async def test_a_guest_who_is_known_narrows_and_is_no_failure() -> None:
    room = a_room(ConversationKind.PRIVATE, "ann", "guest")
    guest = a_reader(clearance=Level.PUBLIC)
    directory = a_directory(room, ann=an_employee(ENG), guest=guest)

    found = await Audience(directory).scope_of_conversation(PRIVATE, ANN)

    assert found.scope == STRANGERS
    assert found.checked


async def test_an_asker_who_is_no_member_of_a_private_conversation_gets_public_knowledge() -> None:
    room = a_room(ConversationKind.PRIVATE, "ben")
    directory = a_directory(room, ann=an_employee(ENG), ben=an_employee(ENG))

    found = await Audience(directory).scope_of_conversation(PRIVATE, ANN)

    assert found.scope == STRANGERS
    assert not found.checked


async def test_a_public_channel_is_read_by_whoever_may_join() -> None:
    room = a_room(ConversationKind.PUBLIC, "ann")
    directory = a_directory(room, ann=an_employee(ENG))

    found = await Audience(directory).scope_of_conversation(IN_PUBLIC, ANN)

    assert found.checked
    assert found.scope.allows(an_acl(EMPLOYED))
    assert not found.scope.allows(an_acl(ENG))
    assert not found.scope.allows(an_acl(EMPLOYED, level=Level.CONFIDENTIAL))


async def test_an_external_member_of_a_public_channel_is_a_reader_too() -> None:
    room = a_room(ConversationKind.PUBLIC, "ann", "max")
    directory = a_directory(room, ann=an_employee(), max=a_reader(clearance=Level.INTERNAL))

    found = await Audience(directory).scope_of_conversation(IN_PUBLIC, ANN)

    assert not found.scope.allows(an_acl(EMPLOYED))


async def test_an_asker_outside_the_public_channels_list_is_a_reader_too() -> None:
    room = a_room(ConversationKind.PUBLIC, "ben")
    directory = a_directory(room, ben=an_employee(), ann=a_reader(clearance=Level.PUBLIC))

    found = await Audience(directory).scope_of_conversation(IN_PUBLIC, ANN)

    assert found.scope == STRANGERS


@pytest.mark.parametrize("platform_says", [PRIVATE, IN_PUBLIC])
async def test_public_wins_when_platform_and_directory_disagree(
    platform_says: ConversationRef,
) -> None:
    is_public = platform_says.kind is ConversationKind.PUBLIC
    kind = ConversationKind.PRIVATE if is_public else ConversationKind.PUBLIC
    directory = a_directory(a_room(kind, "ann"), ann=an_employee(ENG))

    found = await Audience(directory).scope_of_conversation(platform_says, ANN)

    assert not found.scope.allows(an_acl(ENG))


async def test_an_unknown_room_leaves_public_knowledge() -> None:
    found = await Audience(a_directory(ann=an_employee())).scope_of_conversation(PRIVATE, ANN)

    assert found.scope == STRANGERS
    assert not found.checked


@pytest.mark.parametrize("what", ["C", "ben"])
@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_a_failed_look_up_leaves_public_knowledge(what: str, how: str) -> None:
    room = a_room(ConversationKind.PRIVATE, "ann", "ben")
    directory = a_directory(room, ann=an_employee(ENG), ben=an_employee(ENG))
    (directory.fails_for if how == "fails" else directory.hangs_for).add(what)

    audience = Audience(directory, timeout_s=0.05)
    found = await audience.scope_of_conversation(PRIVATE, ANN)

    assert found.scope == STRANGERS
    assert not found.checked


async def test_membership_is_looked_up_at_every_question() -> None:
    room = a_room(ConversationKind.PRIVATE, "ann")
    directory = a_directory(room, ann=an_employee(ENG))
    audience = Audience(directory)
    before = await audience.scope_of_conversation(PRIVATE, ANN)

    directory.readers["ann"] = an_employee()

    assert before.scope.allows(an_acl(ENG))
    assert not (await audience.scope_of_conversation(PRIVATE, ANN)).scope.allows(an_acl(ENG))


def test_no_readers_are_strangers() -> None:
    found = scope_of_readers([])

    assert found.scope == STRANGERS
    assert not found.checked


@given(st.lists(readers, min_size=1), readers, acls)
def test_another_reader_never_widens(known: list[Reader], joining: Reader, acl: Acl) -> None:
    before = scope_of_readers(known).scope
    after = scope_of_readers([*known, joining]).scope

    assert before.allows(acl) or not after.allows(acl)


@given(st.lists(readers, min_size=1), acls)
def test_a_scope_is_exactly_what_every_reader_may_read(known: list[Reader], acl: Acl) -> None:
    found = scope_of_readers(known)

    assert found.scope.allows(acl) == all(reader.may_read(acl) for reader in known)
    assert found.checked


@given(st.lists(readers | st.none()), acls)
def test_one_unknown_reader_leaves_public_knowledge(found: list[Reader | None], acl: Acl) -> None:
    scope = scope_of_readers([*found, None])

    assert scope.scope == STRANGERS
    assert not scope.checked


@given(st.lists(readers, min_size=1, max_size=12), acls, st.integers(1, 4))
def test_narrowing_many_readers_never_widens(
    known: list[Reader], acl: Acl, max_clauses: int
) -> None:
    narrowed = scope_of_readers(known, max_clauses=max_clauses).scope

    assert len(narrowed.clauses) <= max_clauses
    assert scope_of_readers(known).scope.allows(acl) or not narrowed.allows(acl)


@given(st.lists(readers, max_size=6), st.sampled_from(ConversationKind), acls)
def test_what_is_said_in_a_channel_every_member_could_have_been_told_alone(
    members: list[Reader], kind: ConversationKind, acl: Acl
) -> None:
    said, alone = asyncio.run(_both(members, kind))

    if said.allows(acl):
        assert all(scope.allows(acl) for scope in alone)
        if kind is ConversationKind.PUBLIC:
            assert anyone_who_can_join(TENANT).may_read(acl)


async def _both(
    members: Iterable[Reader], kind: ConversationKind
) -> tuple[AccessScope, list[AccessScope]]:
    people = {f"u{n}": reader for n, reader in enumerate(members)}
    users = [UserRef(TENANT, id) for id in people]
    audience = Audience(Faulty(people, {"C": a_room(kind, *people)}))
    asker = users[0] if users else ANN
    said = await audience.scope_of_conversation(a_conversation("C", kind), asker)
    readers_of_it = [asker] if kind is ConversationKind.DIRECT else users
    alone = [(await audience.scope_of_person(user)).scope for user in readers_of_it]
    return said.scope, alone
