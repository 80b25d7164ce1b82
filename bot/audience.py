"""Who will read a reply, and so what may be said in it."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from bot.directory import Directory, Room
from bot.errors import DirectoryUnavailable
from bot.messages import ConversationKind, ConversationRef, UserRef
from retrieval.access import PUBLIC, AccessScope, Level, Reader, tenant_principal

log = structlog.get_logger()

_LOOK_UPS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class AudienceScope:
    """
    What may be said to these readers.

    Attributes:
        checked: False when somebody's access, or who reads, could not be established: only public
            knowledge is left, and the reply says so.
        size: How many people were asked about.
        is_open: More people may join and read back; the scope is narrow enough for each of them.
    """

    scope: AccessScope
    checked: bool
    size: int
    is_open: bool = False


def scope_of_readers(readers: Iterable[Reader | None], *, max_clauses: int = 200) -> AudienceScope:
    """
    What all of *readers* may read; None stands for a reader about whom nothing is known.

    No readers at all is not an empty room but a failure to find out: strangers. More than
    *max_clauses* distinct readers are narrowed to what all have in common.
    """
    found = list(readers)
    known = frozenset(reader for reader in found if reader is not None)
    checked = bool(found) and None not in found
    clauses = known if checked else known | {Reader.stranger()}
    # Comparing each with each other takes seconds for thousands, who are narrowed anyway.
    scope = AccessScope(clauses) if len(clauses) > max_clauses else AccessScope.of(clauses)
    scope = scope.narrowed(max_clauses=max_clauses)
    return AudienceScope(scope, checked, len(found))


def anyone_who_can_join(tenant: str) -> Reader:
    """The least that an employee who joins a public channel and reads back may read."""
    return Reader(frozenset({PUBLIC, tenant_principal(tenant)}), Level.INTERNAL)


class Audience:
    """
    Readers of a reply, looked up at the moment of asking.

    Args:
        timeout_s: After this long, access counts as not established.
    """

    def __init__(self, directory: Directory, *, timeout_s: float = 5) -> None:
        self._directory = directory
        self._timeout_s = timeout_s

    async def scope_of_person(self, user: UserRef) -> AudienceScope:
        """What *user* alone may read: direct messages and private replies."""
        return scope_of_readers(await self._readers([user]))

    async def scope_of_conversation(
        self, conversation: ConversationRef, asker: UserRef
    ) -> AudienceScope:
        """
        What everybody who sees a reply in *conversation* may read.

        The asker of a direct message; every member of a private conversation; in a public one also
        whoever may join and read back. When the platform and the directory disagree whether a
        conversation is public, it is.
        """
        if conversation.kind is ConversationKind.DIRECT:
            return await self.scope_of_person(asker)
        room = await self._room(conversation)
        if room is None:
            return scope_of_readers([None])
        is_public = ConversationKind.PUBLIC in (room.kind, conversation.kind)
        if not is_public and asker not in room.members:
            # Somebody writes who cannot be there: the list of members is not to be trusted.
            log.warning("audience.asker_is_no_member", conversation=conversation.key)
            return scope_of_readers([None])
        readers = await self._readers(list(dict.fromkeys([*room.members, asker])))
        joining = [anyone_who_can_join(conversation.tenant)] if is_public else []
        scope = scope_of_readers([*readers, *joining])
        return AudienceScope(scope.scope, scope.checked, len(readers), is_open=is_public)

    async def reads(self, user: UserRef, conversation: ConversationRef) -> bool:
        """Whether *user* is a reader of a shared conversation; False when that cannot be established."""
        room = await self._room(conversation)
        if room is None:
            return False
        if user in room.members:
            return True
        if room.kind is not ConversationKind.PUBLIC:
            return False
        try:
            person = await self._directory.person(user)
        except DirectoryUnavailable:
            return False
        return person is not None and person.is_employee

    async def _room(self, conversation: ConversationRef) -> Room | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._directory.room(conversation)
        except (DirectoryUnavailable, TimeoutError):
            log.warning("audience.room_unknown", conversation=conversation.key)
            return None

    async def _readers(self, users: Sequence[UserRef]) -> list[Reader | None]:
        """One per user, in order; None where the directory does not know or does not answer."""
        gate = asyncio.Semaphore(_LOOK_UPS_AT_ONCE)

        async def reader(user: UserRef) -> Reader | None:
            try:
                async with gate:
                    person = await self._directory.person(user)
            except (DirectoryUnavailable, TimeoutError):
                log.warning("audience.directory_unavailable")
                return None
            return person.reader if person else None

        try:
            async with asyncio.timeout(self._timeout_s), asyncio.TaskGroup() as group:
                tasks = [group.create_task(reader(user)) for user in users]
        except TimeoutError:
            log.warning("audience.directory_too_slow", readers=len(users))
            return [None] * len(users)
        return [task.result() for task in tasks]
