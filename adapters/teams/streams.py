"""Answers that appear as they are written, which Teams allows in the chat with one person, for two minutes."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import structlog

from adapters.teams.failures import TEAMS_FAILURES, TeamsFailure, is_final, what_failed
from adapters.teams.json_values import Json
from adapters.teams.outbox import TeamsAddress, TeamsOutbox
from adapters.teams.places import PERSONAL
from adapters.teams.render import Rendered

log = structlog.get_logger()

STREAM_INTERVAL_S = 1.5
"""Teams takes one piece a second."""

LOOK_EVERY_S = 4.0
"""Teams tells of a Stop only whoever writes on: while there is nothing new, the same is written again."""

LASTS_S = 110.0
"""Teams ends a stream after two minutes; ended before that, nothing of it is lost."""

REFUSED = frozenset({400, 413})
"""Teams does not take the message as it is; perhaps it takes less of it."""

_STATUS = "informative"
# The end may follow as soon as Teams takes it: a short answer is not to wait for the pace of long ones.
_END_INTERVAL_S, _LONGEST_PAUSE_S = 1.05, 5.0
_NOT_ALLOWED = "ContentStreamNotAllowed"
_WITHOUT_S = 3_600.0
_MAX_OPEN = 1_000


class Shown(Enum):
    YES = auto()
    LATER = auto()
    """It is held for the end, which shows everything."""
    NOT_HERE = auto()
    """It is not written bit by bit any more, at least not by us: change it in whole."""
    STOPPED = auto()
    """The person wants no more of it; said once."""


@dataclass(slots=True)
class _Stream:
    """
    Attributes:
        sequence: Of the last piece that Teams has certainly taken.
        sent: The text that may stand there.
        status: What is said to be done as long as there is no text.
    """

    started_at: float
    shown_at: float
    status: str
    sequence: int = 1
    sent: str = ""
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Streams:
    """
    The messages that this process writes bit by bit; those of others, and of earlier tries, are for
    `Posts` to change.

    Args:
        interval_s: Shortest time between two pieces.
        lasts_s: After which a stream is ended, to be changed in whole from then on.
    """

    def __init__(
        self,
        outbox: TeamsOutbox,
        *,
        is_on: bool = True,
        interval_s: float = STREAM_INTERVAL_S,
        lasts_s: float = LASTS_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._is_on = is_on
        self._interval_s = interval_s
        self._lasts_s = lasts_s
        self._clock = clock
        self._open: OrderedDict[tuple[str, str], _Stream] = OrderedDict()
        # Those that are over, as far as this process knows; True for what its reader has stopped.
        self._over: OrderedDict[tuple[str, str], bool] = OrderedDict()
        self._without: dict[str, float] = {}

    def is_stopped(self, to: TeamsAddress, id: str) -> bool:
        """As far as this process knows."""
        return self._over.get((to.conversation, id), False)

    async def start(self, to: TeamsAddress, shown: Rendered) -> str | None:
        """
        Begin a message that says what the bot is doing.

        Returns:
            Its id; None where that is not possible now: post it in whole.

        Raises:
            Exception: One of `TEAMS_FAILURES` when nobody knows whether the message stands there.
        """
        if not self._is_on or self._clock() < self._without.get(to.conversation, 0.0):
            return None
        piece = _piece(to, _STATUS, shown.text, sequence=1)
        try:
            id = await self._outbox.send(to, piece, is_patient=False)
        except TeamsFailure as error:
            if not 400 <= error.status < 500 or error.status in (401, 404, 408):
                raise
            is_off = error.message.strip(". ").lower() == "content stream is not allowed"
            if is_off or error.status == 405:
                # Not for this person or this bot, whatever else is asked.
                self._without[to.conversation] = self._clock() + _WITHOUT_S
            log.info("teams.not_streamed", error=what_failed(error))
            return None
        if not id:
            return None
        now = self._clock()
        self._open[to.conversation, id] = _Stream(now, now, shown.text)
        if len(self._open) > _MAX_OPEN:
            self._open.popitem(last=False)
        return id

    async def go_on(self, to: TeamsAddress, id: str, shown: Rendered, *, is_status: bool) -> Shown:
        """Let the message read *shown*, if that only takes an addition and it is time for one."""
        if self.is_stopped(to, id):
            return Shown.LATER
        stream = self._open.get((to.conversation, id))
        if stream is None:
            return Shown.NOT_HERE
        async with stream.writing:
            return await self._go_on(to, id, stream, shown, is_status=is_status)

    async def look(self, to: TeamsAddress, id: str, *, every_s: float) -> Shown:
        """
        Write once more what stands there, if that was *every_s* ago: `STOPPED` is how Teams tells that
        its reader wants no more. `NOT_HERE` when there is nothing to look after any more.
        """
        stream = self._open.get((to.conversation, id))
        if stream is None:
            return Shown.NOT_HERE
        async with stream.writing:
            now = self._clock()
            if (to.conversation, id) not in self._open or now - stream.started_at >= self._lasts_s:
                return Shown.NOT_HERE
            if now - stream.shown_at < every_s:
                return Shown.LATER
            stream.shown_at = now
            kind, text = ("streaming", stream.sent) if stream.sent else (_STATUS, stream.status)
            return await self._write(to, id, stream, kind, text)

    async def _go_on(
        self, to: TeamsAddress, id: str, stream: _Stream, shown: Rendered, *, is_status: bool
    ) -> Shown:
        now = self._clock()
        if now - stream.started_at >= self._lasts_s:
            await self._end_early(to, id, stream)
            return Shown.NOT_HERE
        is_more = not stream.sent if is_status else shown.text.startswith(stream.sent)
        if not is_more or not shown.text.strip() or now - stream.shown_at < self._interval_s:
            return Shown.LATER
        if shown.text == (stream.status if is_status else stream.sent):
            return Shown.YES
        stream.shown_at = now
        if is_status:
            stream.status = shown.text
        else:
            # From now on it may stand there, whatever becomes of the answer to this.
            stream.sent = shown.text
        return await self._write(to, id, stream, _STATUS if is_status else "streaming", shown.text)

    async def _write(
        self, to: TeamsAddress, id: str, stream: _Stream, kind: str, text: str
    ) -> Shown:
        piece = _piece(to, kind, text, sequence=stream.sequence + 1, id=id)
        try:
            await self._outbox.send(to, piece, is_patient=False)
        except TeamsFailure as error:
            return self._refused(to, id, stream, error)
        # Else the same number comes again: Teams drops it if it was taken, and takes it if it was not.
        stream.sequence += 1
        return Shown.YES

    async def finish(self, to: TeamsAddress, id: str, shown: Rendered) -> Shown:
        """
        Let the message read *shown* for good, with all that belongs to it.

        Afterwards nobody writes in it bit by bit any more, whatever went wrong. A stream ends as text: a
        card is to take its place then, which is `NOT_HERE`.

        Raises:
            Exception: One of `TEAMS_FAILURES` when Teams is away.
        """
        stream = self._open.pop((to.conversation, id), None)
        if (is_stopped := self._over.get((to.conversation, id))) is not None:
            return Shown.STOPPED if is_stopped else Shown.NOT_HERE
        if stream is not None:
            async with stream.writing:
                await self._pause(stream)
        versions = shown.versions if shown.card is None else (_text_of(shown, stream),)
        for activity in versions:
            try:
                await self._outbox.send(to, _end(to, activity, id))
                self._note_over(to, id)
                return Shown.YES if shown.card is None else Shown.NOT_HERE
            except TeamsFailure as error:
                log.info("teams.stream_not_finished", error=what_failed(error))
                if error.status in REFUSED:
                    continue
                if not is_final(error):
                    raise
                if _is_cancelled(error):
                    return self._stop(to, id)
                if "previously streamed" in error.message and stream and stream.sent:
                    # It ends as what was shown, and is changed right after that.
                    await self._end_early(to, id, stream)
                return Shown.NOT_HERE
        return Shown.NOT_HERE

    async def _end_early(self, to: TeamsAddress, id: str, stream: _Stream) -> None:
        """As an ordinary message with what is there so far, which is changed in whole from now on."""
        self._open.pop((to.conversation, id), None)
        await self._pause(stream)
        try:
            await self._outbox.send(to, _end(to, _message(stream.sent or stream.status), id))
        except TEAMS_FAILURES as error:
            # Teams ends it by itself; until then it can perhaps not be changed.
            log.info("teams.stream_not_ended", error=what_failed(error))
        else:
            self._note_over(to, id)

    def _stop(self, to: TeamsAddress, id: str) -> Shown:
        self._note_over(to, id, is_stopped=True)
        return Shown.STOPPED

    def _note_over(self, to: TeamsAddress, id: str, *, is_stopped: bool = False) -> None:
        self._open.pop((to.conversation, id), None)
        self._over[to.conversation, id] = is_stopped
        if len(self._over) > _MAX_OPEN:
            self._over.popitem(last=False)

    async def _pause(self, stream: _Stream) -> None:
        interval_s = min(self._interval_s, _END_INTERVAL_S)
        wait_s = interval_s - (self._clock() - stream.shown_at)
        if wait_s > 0:
            await asyncio.sleep(min(wait_s, _LONGEST_PAUSE_S))

    def _refused(self, to: TeamsAddress, id: str, stream: _Stream, error: TeamsFailure) -> Shown:
        log.info("teams.stream_refused", error=what_failed(error))
        if error.status == 429:
            stream.shown_at = self._clock() + (error.retry_after_s or self._interval_s)
            return Shown.LATER
        if _is_cancelled(error):
            return self._stop(to, id)
        if error.status == 404 or error.code == _NOT_ALLOWED:
            if "size" in error.message or "previously streamed" in error.message:
                return Shown.LATER
            # Its time is over, or it was ended by somebody who took it over.
            self._note_over(to, id)
            return Shown.NOT_HERE
        return Shown.LATER


def _is_cancelled(error: TeamsFailure) -> bool:
    # In both spellings.
    return error.code == _NOT_ALLOWED and "cancel" in error.message.lower()


def _piece(to: TeamsAddress, kind: str, text: str, *, sequence: int, id: str = "") -> Json:
    info: dict[str, Any] = {"type": "streaminfo", "streamType": kind, "streamSequence": sequence}
    if id:
        info["streamId"] = id
    return {"type": "typing", "text": text, "entities": [info], "conversation": _personal(to)}


def _text_of(shown: Rendered, stream: _Stream | None) -> Json:
    """What of a card a text may show that goes on from what was streamed."""
    sent = stream.sent if stream else ""
    if shown.text.strip() and shown.text.startswith(sent):
        return _message(shown.text)
    return _message(sent or (stream.status if stream else "…"))


def _message(text: str) -> Json:
    return {"type": "message", "textFormat": "markdown", "text": text}


def _end(to: TeamsAddress, activity: Json, id: str) -> Json:
    info = {"type": "streaminfo", "streamType": "final", "streamId": id}
    entities = [*activity.get("entities", ()), info]
    return {**activity, "entities": entities, "conversation": _personal(to)}


def _personal(to: TeamsAddress) -> Json:
    # Teams knows what it is; its Playground takes our word, and streams nowhere else.
    return {"id": to.full_id, "conversationType": PERSONAL}
