"""Answers that appear as they are written: Slack appends, so what was shown can only be added to."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.client import slack_error, wait_s
from adapters.slack.listener_texts import SEARCHED
from adapters.slack.origin import Origin
from adapters.slack.posts import GONE, WITHOUT_PREVIEWS, Place, impatient
from adapters.slack.render import Json, Rendered
from adapters.slack.unsupported import Unsupported
from bot.errors import StateUnavailable
from bot.state import State
from retrieval.types import Language

log = structlog.get_logger()

STARTS_PER_MINUTE = 18
"""Slack allows 20 in a workspace, and as many ends."""

APPEND_INTERVAL_S = 0.7

_START = "chat.startStream"
_MAX_OPEN = 1_000
_TASK_CHARACTERS = 250
_STOPPED = "stopped_by_user"


class Shown(Enum):
    YES = auto()
    LATER = auto()
    """It is held for the end, which shows everything."""
    NOT_HERE = auto()
    """It is not written bit by bit any more, at least not by us: change it in whole."""


@dataclass(slots=True)
class _Stream:
    """
    Attributes:
        sent: The Markdown that is known to stand there.
        is_certain: Nothing was sent of which nobody knows whether it arrived.
        is_searching: The task at its top is still shown as going on.
        is_stopped: The person wants no more of it.
    """

    shown_at: float
    sent: str = ""
    is_certain: bool = True
    is_searching: bool = True
    is_stopped: bool = False

    def rest(self, markdown: str) -> str | None:
        """What has to be appended so that it reads *markdown*; None if nothing could."""
        if self.is_certain and not self.is_stopped and markdown.startswith(self.sent):
            return markdown[len(self.sent) :]
        return None


class Streams:
    """
    The messages that this process writes bit by bit; those of others, and of earlier tries, are for
    `Posts` to change.

    Args:
        state: Counts the starts of all processes.
    """

    def __init__(
        self,
        state: State,
        unsupported: Unsupported,
        *,
        is_on: bool = True,
        interval_s: float = APPEND_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._unsupported = unsupported
        self._is_on = is_on
        self._interval_s = interval_s
        self._clock = clock
        self._open: OrderedDict[tuple[str, str], _Stream] = OrderedDict()

    async def start(
        self, client: AsyncWebClient, place: Place, origin: Origin, shown: Rendered
    ) -> str | None:
        """
        Begin a message that says what the bot is doing.

        Returns:
            Its ts; None where that is not possible now: post it in whole.

        Raises:
            Exception: What the SDK raises when nobody knows whether the message stands there.
        """
        recipient = _recipient(place, origin)
        if recipient is None or not await self._may_start(place):
            return None
        try:
            started = await impatient(client).chat_startStream(
                channel=place.channel,
                thread_ts=place.thread_ts,
                chunks=[_task(shown.text, "in_progress")],
                task_display_mode="timeline",
                **recipient,
                # Not documented for streams. Slack ignores what it does not know, and makes previews
                # of pages in an app's messages only when told to.
                **WITHOUT_PREVIEWS,
            )
        except SlackApiError as error:
            code = slack_error(error)
            if not code or code in GONE:
                raise
            use = (place.team or place.home, _START)
            self._unsupported.learn(use, code)
            if wait := wait_s(error):
                self._unsupported.avoid(use, for_s=wait)
            log.info("slack.not_streamed", error=code)
            return None
        ts = str(started["ts"])
        self._open[place.key, ts] = _Stream(self._clock())
        if len(self._open) > _MAX_OPEN:
            self._open.popitem(last=False)
        return ts

    async def append(
        self, client: AsyncWebClient, place: Place, ts: str, shown: Rendered, language: Language
    ) -> Shown:
        """Let the message read *shown*, if that only takes an addition and it is time for one."""
        stream = self._open.get((place.key, ts))
        if stream is None:
            return Shown.NOT_HERE
        now = self._clock()
        rest = stream.rest(shown.markdown)
        if rest is None or now - stream.shown_at < self._interval_s:
            return Shown.LATER
        chunks = _chunks(stream, rest, shown, language)
        if not chunks:
            return Shown.YES
        stream.shown_at = now
        stream.is_certain = False
        try:
            await impatient(client).chat_appendStream(channel=place.channel, ts=ts, chunks=chunks)
        except SlackApiError as error:
            return self._refused(place, ts, stream, error)
        stream.is_certain = True
        if shown.markdown:
            stream.sent, stream.is_searching = shown.markdown, False
        return Shown.YES

    async def finish(
        self, client: AsyncWebClient, place: Place, ts: str, shown: Rendered, language: Language
    ) -> bool:
        """
        Let the message read *shown* for good; False if it has to be changed in whole for that.

        Afterwards nobody writes in it bit by bit any more, whatever went wrong.
        """
        stream = self._open.pop((place.key, ts), None)
        rest = stream.rest(shown.markdown) if stream and not shown.head else None
        whole = stream is not None and rest is not None
        arguments: dict[str, Any] = {"channel": place.channel, "ts": ts}
        if stream and (chunks := _chunks(stream, rest or "", None, language)):
            arguments["chunks"] = chunks
        if whole:
            arguments["blocks"] = list(shown.tail)
        try:
            await client.chat_stopStream(**arguments)
        except SlackApiError as error:
            # Whatever Slack has against it, the whole message may still be put in its place.
            log.info("slack.stream_not_finished", error=slack_error(error))
            return False
        return whole

    def _refused(self, place: Place, ts: str, stream: _Stream, error: SlackApiError) -> Shown:
        code = slack_error(error)
        wait = wait_s(error)
        if wait is not None:
            stream.is_certain = True
            stream.shown_at = self._clock() + wait
            return Shown.LATER
        log.info("slack.stream_ended", error=code)
        if code == _STOPPED:
            # Whoever answers hears of it by an event; until then no more is shown.
            stream.is_stopped = True
            return Shown.LATER
        if not code:
            return Shown.LATER
        del self._open[place.key, ts]
        return Shown.NOT_HERE

    async def _may_start(self, place: Place) -> bool:
        workspace = place.team or place.home
        if not self._is_on or not place.thread_ts or (workspace, _START) in self._unsupported:
            return False
        try:
            return await self._state.allow(
                f"slack.stream:{workspace}", limit=STARTS_PER_MINUTE, per_s=60
            )
        except StateUnavailable:
            return False


def _recipient(place: Place, origin: Origin) -> dict[str, str] | None:
    """Needed in channels alone; None where it is needed and unknown."""
    if place.channel.startswith("D"):
        return {}
    # Slack names the person's workspace only where it is not the app's own.
    team = origin.user_team if origin.user_team.startswith("T") else origin.team
    return {"recipient_user_id": origin.user, "recipient_team_id": team} if team else None


def _chunks(stream: _Stream, rest: str, shown: Rendered | None, language: Language) -> list[Json]:
    """*shown*: a status to show instead of a text; None when the search is over in any case."""
    if shown is not None and not shown.markdown:
        return [_task(shown.text, "in_progress")]
    done = [_task(SEARCHED[language], "complete")] if stream.is_searching else []
    return [*done, *([{"type": "markdown_text", "text": rest}] if rest else [])]


def _task(title: str, status: str) -> Json:
    return {
        "type": "task_update",
        "id": "search",
        "title": title[:_TASK_CHARACTERS],
        "status": status,
    }
