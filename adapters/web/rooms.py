"""Which conversations a person has on the page, and who reads them."""

import secrets
from collections.abc import Iterable
from typing import Any

from adapters.web.guard import ApiError
from adapters.web.message_log import MessageLogs
from adapters.web.render import person_json, stranger_json
from bot.directory import Directory, Person, Room
from bot.messages import ConversationKind, ConversationRef, UserRef

PLATFORM = "web"
_DIRECT = "dm"
MEMBERS_SHOWN = 60
TITLE_LENGTH = 80


class Rooms:
    """
    Direct conversations carry their owner in their id, so that they need no record of their own
    and outlive a restart; channels are the directory's rooms.
    """

    def __init__(self, directory: Directory, logs: MessageLogs, *, tenant: str) -> None:
        self._directory = directory
        self._logs = logs
        self._tenant = tenant

    async def conversation(self, me: Person, id: str, *, thread: str | None) -> ConversationRef:
        """
        The conversation called *id*, which *me* may read and write.

        Raises `ApiError` alike for one that does not exist and one that is closed to *me*.
        """
        if _is_direct(id):
            if not _owns(me.ref, id):
                raise ApiError(404, "unknown_conversation")
            # One direct conversation is one topic; it has no threads.
            return ConversationRef(PLATFORM, self._tenant, id, ConversationKind.DIRECT)
        room = await self._room(id)
        if room is None or not _may_read(me, room):
            raise ApiError(404, "unknown_conversation")
        return ConversationRef(PLATFORM, self._tenant, room.channel, room.kind, thread)

    async def may_read(self, person: Person, id: str) -> bool:
        if _is_direct(id):
            return _owns(person.ref, id)
        room = await self._room(id)
        return room is not None and _may_read(person, room)

    async def of(self, me: Person) -> list[dict[str, Any]]:
        """The channels *me* is in, each with its readers."""
        people = {p.ref: p for p in await self._directory.people()}
        rooms = [room for room in await self._directory.rooms() if _may_read(me, room)]
        return [_room_json(room, people) for room in rooms]

    async def directs(self, me: Person) -> list[dict[str, Any]]:
        """Earlier direct conversations, the latest first, under their first question."""
        return [
            {"id": direct.channel, "title": " ".join(direct.question.split())[:TITLE_LENGTH]}
            for direct in await self._logs.directs(me.ref)
        ]

    def new_direct(self, me: Person) -> str:
        return f"{_DIRECT}:{me.ref.id}:{secrets.token_hex(6)}"

    async def names(self, user_ids: Iterable[str]) -> dict[str, str]:
        found = [await self._directory.person(UserRef(self._tenant, i)) for i in user_ids]
        return {person.ref.id: person.name for person in found if person}

    async def _room(self, id: str) -> Room | None:
        if not id or len(id) > 200 or not id.isprintable():
            return None
        # Of which kind it is, the directory says; until then it counts as private.
        asked = ConversationRef(PLATFORM, self._tenant, id, ConversationKind.PRIVATE)
        return await self._directory.room(asked)


def _is_direct(id: str) -> bool:
    return id.startswith(f"{_DIRECT}:")


def _owns(user: UserRef, id: str) -> bool:
    owner, _, suffix = id.removeprefix(f"{_DIRECT}:").rpartition(":")
    return owner == user.id and 0 < len(suffix) <= 32 and suffix.isalnum() and suffix.isascii()


def _may_read(person: Person, room: Room) -> bool:
    if person.ref in room.members:
        return True
    return room.kind is ConversationKind.PUBLIC and person.is_employee


def _room_json(room: Room, people: dict[UserRef, Person]) -> dict[str, Any]:
    readers = set(room.members)
    if room.kind is ConversationKind.PUBLIC:
        readers |= {person.ref for person in people.values() if person.is_employee}
    shown = sorted(readers, key=lambda r: (r not in room.members, r.id))[:MEMBERS_SHOWN]
    return {
        "id": room.channel,
        "name": room.name,
        "kind": room.kind,
        "readers": len(readers),
        "members": [person_json(people[r]) if r in people else stranger_json(r) for r in shown],
    }
