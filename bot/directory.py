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
        company_id: In the company's directory, by whichever platform we know them; None for somebody
            of whom only the platform knows.
    """

    ref: UserRef
    name: str
    reader: Reader
    is_employee: bool
    groups: tuple[str, ...] = ()
    title: str = ""
    company_id: str | None = None


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


class CompanyDirectory(Directory, Protocol):
    """Knows people also by the accounts that they have elsewhere."""

    async def person_on(self, account: str) -> Person | None:
        """Whose account it is: the platform, a colon, and its own id, such as `slack:T0123/U0123`."""
        ...

    async def person_with_email(self, email: str) -> Person | None:
        """Upper and lower case are the same."""
        ...


class EmptyDirectory:
    """A `CompanyDirectory` that knows nobody: there is no file of people."""

    async def person(self, user: UserRef) -> Person | None:
        return None

    async def room(self, conversation: ConversationRef) -> Room | None:
        return None

    async def people(self) -> Sequence[Person]:
        return ()

    async def rooms(self) -> Sequence[Room]:
        return ()

    async def person_on(self, account: str) -> Person | None:
        return None

    async def person_with_email(self, email: str) -> Person | None:
        return None


async def rooms_by_name(directory: Directory) -> dict[str, Room]:
    """Every room under its name and under its channel id, as people may write either."""
    return {name: room for room in await directory.rooms() for name in (room.name, room.channel)}
