"""The directory of a company whose people also have accounts on chat platforms."""

from collections.abc import Mapping, Sequence

from bot.directory import Directory, Person, Room
from bot.messages import ConversationRef, UserRef


class DirectoryByPlatform:
    """
    `Directory` that asks a platform about its own people and conversations, and *company* about all others.

    Args:
        platforms: By the platform's name. Its people's ids begin with the name and a colon.
    """

    def __init__(self, company: Directory, platforms: Mapping[str, Directory]) -> None:
        self._company = company
        self._platforms = dict(platforms)

    async def person(self, user: UserRef) -> Person | None:
        platform, colon, _ = user.id.partition(":")
        directory = self._platforms.get(platform) if colon else None
        return await (directory or self._company).person(user)

    async def room(self, conversation: ConversationRef) -> Room | None:
        return await self._platforms.get(conversation.platform, self._company).room(conversation)

    async def people(self) -> Sequence[Person]:
        """Those of the company."""
        return await self._company.people()

    async def rooms(self) -> Sequence[Room]:
        return await self._company.rooms()
