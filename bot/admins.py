"""Who looks after the bot: sees its queue, its gaps and the state of its index."""

from collections.abc import Collection

from bot.directory import Directory
from bot.errors import DirectoryUnavailable
from bot.messages import UserRef


class Admins:
    """
    Args:
        ids: Of people in the company's directory. On whichever platform somebody writes, it is as
            that person that they are one.
    """

    def __init__(self, directory: Directory, ids: Collection[str]) -> None:
        self._directory = directory
        self._ids = frozenset(ids)

    async def include(self, user: UserRef) -> bool:
        """False also while the directory cannot tell."""
        if not self._ids:
            return False
        try:
            person = await self._directory.person(user)
        except DirectoryUnavailable:
            return False
        return person is not None and person.company_id in self._ids
