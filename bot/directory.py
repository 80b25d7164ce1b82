"""The directory port: who somebody is, what they may read, and who is in a conversation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.messages import ConversationKind, ConversationRef, UserRef
from retrieval.access import Reader


@dataclass(frozen=True, slots=True)
class Person:
    """
    Somebody the directory knows.

    Attributes:
        reader: What the person may read. Never wider than what the directory is sure of.
        is_employee: False for guests, contractors and people of other organisations.
        groups: Names of the groups, direct and inherited, for people to read.
    """

    ref: UserRef
    name: str
    reader: Reader
    is_employee: bool
    groups: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """A conversation as the directory knows it. *members* is complete, or the look-up raised."""

    channel: str
    name: str
    kind: ConversationKind
    members: tuple[UserRef, ...]


class Directory(Protocol):
    """Raises `DirectoryUnavailable` when it cannot be sure; callers then treat people as strangers."""

    async def person(self, user: UserRef) -> Person | None:
        """None for somebody unknown, deactivated, or of another organisation."""
        ...

    async def room(self, conversation: ConversationRef) -> Room | None:
        """None for a conversation that does not exist or that the bot cannot see."""
        ...

    async def people(self) -> Sequence[Person]: ...

    async def rooms(self) -> Sequence[Room]: ...


async def rooms_by_name(directory: Directory) -> dict[str, Room]:
    """Every room under its name and under its channel id, as people may write either."""
    return {name: room for room in await directory.rooms() for name in (room.name, room.channel)}
