"""Messages that are posted in whole and changed in whole, at the pace that Teams allows."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from adapters.teams.failures import TeamsFailure, wait_s, what_failed
from adapters.teams.json_values import Json
from adapters.teams.outbox import TeamsAddress, TeamsOutbox
from adapters.teams.render import Rendered
from adapters.teams.streams import REFUSED

log = structlog.get_logger()
T = TypeVar("T")

UPDATE_INTERVAL_S = 1.5

_MAX_KNOWN = 2_000
_MAX_WAIT_S = 20.0


@dataclass(slots=True)
class _Pace:
    shown_at: float
    not_before: float = 0.0


class Posts:
    """
    All methods raise one of `TEAMS_FAILURES`.

    Args:
        interval_s: Shortest time between two changes of one message.
    """

    def __init__(
        self,
        outbox: TeamsOutbox,
        *,
        interval_s: float = UPDATE_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._interval_s = interval_s
        self._clock = clock
        self._paces: OrderedDict[tuple[str, str], _Pace] = OrderedDict()

    async def post(self, to: TeamsAddress, shown: Rendered) -> str:
        """
        Returns:
            The message's id; empty where Teams does not tell it.
        """
        return await _first_taken(shown, lambda activity: self._outbox.send(to, activity))

    async def show_meanwhile(self, to: TeamsAddress, id: str, shown: Rendered) -> None:
        """Change the message if it is time for that; else something later will."""
        pace = self._pace(to, id)
        now = self._clock()
        if now < pace.not_before or now - pace.shown_at < self._interval_s:
            return
        try:
            await self._outbox.update(to, id, shown.activity, is_patient=False)
        except TeamsFailure as error:
            wait = wait_s(error)
            if wait is None:
                raise
            pace.not_before = self._clock() + wait
        self._shown(to, id)

    async def show(self, to: TeamsAddress, id: str, shown: Rendered) -> None:
        """Change the message, as soon as it may be changed; one that is gone, or not ours any more, stays."""
        pace = self._pace(to, id)
        now = self._clock()
        wait = max(pace.not_before - now, self._interval_s - (now - pace.shown_at), 0.0)
        if wait:
            await asyncio.sleep(min(wait, _MAX_WAIT_S))
        try:
            await _first_taken(shown, lambda activity: self._outbox.update(to, id, activity))
        except TeamsFailure as error:
            if not _is_gone(error):
                raise
            log.info("teams.message_gone", error=what_failed(error))
        self._shown(to, id)

    def _pace(self, to: TeamsAddress, id: str) -> _Pace:
        """Of a message that somebody else posted: nobody knows when, so it may be changed."""
        return self._paces.get((to.conversation, id)) or self._shown(to, id, ago_s=_MAX_WAIT_S)

    def _shown(self, to: TeamsAddress, id: str, *, ago_s: float = 0.0) -> _Pace:
        key = (to.conversation, id)
        pace = self._paces.setdefault(key, _Pace(0.0))
        pace.shown_at = self._clock() - ago_s
        self._paces.move_to_end(key)
        if len(self._paces) > _MAX_KNOWN:
            self._paces.popitem(last=False)
        return pace


def _is_gone(error: TeamsFailure) -> bool:
    """The message, or our right to change it: the bot was removed, or is not wanted any more."""
    return error.status == 404 or (error.status == 403 and error.code != "ContentStreamNotAllowed")


async def _first_taken(shown: Rendered, send: Callable[[Json], Awaitable[T]]) -> T:
    *richer, last = shown.versions
    for activity in richer:
        try:
            return await send(activity)
        except TeamsFailure as error:
            if error.status not in REFUSED:
                raise
            note_refused(error)
    return await send(last)


def note_refused(error: TeamsFailure) -> None:
    """That our card or label does not please is ours to mend; what Teams says may quote it."""
    log.error("teams.message_refused", error=what_failed(error))
