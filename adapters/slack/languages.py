"""Which language the bot's own words to somebody are in."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from adapters.slack.client import SLACK_FAILURES, SlackClients
from adapters.slack.incoming import Sender
from bot.messages import UserRef
from retrieval.analysis import language_of
from retrieval.errors import ShifuError
from retrieval.types import Language

_TIMEOUT_S = 0.5
_TTL_S = 3_600
_MAX_KNOWN = 10_000

ChosenBy = Callable[[UserRef], Awaitable[Language | None]]
"""The language that somebody has set here; None for none."""


class SlackLanguages:
    """Never waits long: who has set nothing, and is not known, is spoken to in English."""

    def __init__(self, chosen_by: ChosenBy, clients: SlackClients, *, tenant: str) -> None:
        self._chosen_by = chosen_by
        self._clients = clients
        self._tenant = tenant
        self._locales: OrderedDict[UserRef, tuple[float, Language]] = OrderedDict()

    async def of(self, sender: Sender, text: str = "") -> Language:
        """As they have set it, else as *text* is written, else as their Slack is set."""
        user = sender.person.ref(self._tenant)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                if chosen := await self._chosen_by(user):
                    return chosen
                if not text.strip():
                    return await self._locale(sender, user)
        except (ShifuError, TimeoutError, *SLACK_FAILURES):
            pass
        return language_of(text) if text.strip() else Language.ENGLISH

    async def _locale(self, sender: Sender, user: UserRef) -> Language:
        until, known = self._locales.get(user, (0.0, None))
        if known is not None and time.monotonic() < until:
            return known
        client = await self._clients.for_team(sender.team, home=sender.home)
        told = await client.users_info(user=sender.user, include_locale=True)
        locale = str((told.get("user") or {}).get("locale") or "")
        language = Language.CHINESE if locale.startswith("zh") else Language.ENGLISH
        self._locales[user] = (time.monotonic() + _TTL_S, language)
        while len(self._locales) > _MAX_KNOWN:
            self._locales.popitem(last=False)
        return language
