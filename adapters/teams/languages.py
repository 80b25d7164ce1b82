"""Which language the bot's own words to somebody are in."""

import asyncio
from collections.abc import Awaitable, Callable

from adapters.teams.incoming import Sender
from bot.messages import UserRef
from retrieval.types import Language

ChosenBy = Callable[[UserRef], Awaitable[Language | None]]
"""The language that somebody has set here; None for none."""

_TIMEOUT_S = 0.5


class TeamsLanguages:
    """Never waits long: who has set nothing is spoken to as their Teams is."""

    default = Language.ENGLISH

    def __init__(self, chosen_by: ChosenBy, *, tenant: str) -> None:
        self._chosen_by = chosen_by
        self._tenant = tenant

    async def of(self, sender: Sender | None, locale: Language | None) -> Language:
        if sender is not None:
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    if chosen := await self._chosen_by(sender.ref(self._tenant)):
                        return chosen
            except TimeoutError:
                pass
        return locale or self.default
