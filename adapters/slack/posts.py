"""Messages that are posted in whole and changed in whole, at the pace that Slack allows."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.client import slack_error, wait_s
from adapters.slack.render import Rendered
from adapters.slack.retries import RateLimitRetry

log = structlog.get_logger()

UPDATE_INTERVAL_S = 1.5
"""Slack takes 50 changes a minute from us, over all messages of a workspace."""

_MAX_KNOWN = 2_000
_MAX_WAIT_S = 30.0

GONE = frozenset({"message_not_found", "thread_not_found", "cannot_reply_to_message"})
"""Somebody has deleted what we were to answer or to change: nobody waits for it."""

BLOCKS_REFUSED = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"}
)
_STILL_STREAMING = "streaming_state_conflict"
_UNCHANGEABLE = frozenset(
    {
        "cant_update_message",
        "edit_window_closed",
        "update_failed",
        "is_inactive",
        "cant_edit_message",
    }
)

WITHOUT_PREVIEWS: dict[str, Any] = {"unfurl_links": False, "unfurl_media": False}
"""A preview of a source would show more of it than its citation does, to whoever reads the channel."""


@dataclass(frozen=True, slots=True)
class Place:
    """
    Attributes:
        home: Organisation or workspace of the installation.
        team: Workspace of the installation; may be empty.
        thread_ts: Empty outside threads.
    """

    home: str
    team: str
    channel: str
    thread_ts: str

    @property
    def key(self) -> str:
        return f"{self.home}/{self.channel}"

    @property
    def thread(self) -> dict[str, str]:
        """The argument that leads there."""
        return {"thread_ts": self.thread_ts} if self.thread_ts else {}


@dataclass(slots=True)
class _Pace:
    shown_at: float
    not_before: float = 0.0


class Posts:
    """
    All methods raise what the SDK does; see `SLACK_FAILURES`.

    Args:
        interval_s: Shortest time between two changes of one message.
    """

    def __init__(
        self,
        *,
        interval_s: float = UPDATE_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._paces: OrderedDict[tuple[str, str], _Pace] = OrderedDict()

    async def post(self, client: AsyncWebClient, place: Place, shown: Rendered) -> str:
        """
        Returns:
            The message's ts.
        """
        arguments: dict[str, Any] = {"channel": place.channel, **place.thread, **WITHOUT_PREVIEWS}
        try:
            posted = await client.chat_postMessage(
                text=shown.text, blocks=shown.blocks, **arguments
            )
        except SlackApiError as error:
            if slack_error(error) not in BLOCKS_REFUSED:
                raise
            _note_refused(error)
            posted = await client.chat_postMessage(text=shown.plain, **arguments)
        # Its first change need not wait: what is paced is changes.
        return str(posted["ts"])

    async def show_meanwhile(
        self, client: AsyncWebClient, place: Place, ts: str, shown: Rendered
    ) -> None:
        """Change the message if it is time for that; else something later will."""
        pace = self._pace(place, ts)
        now = self._clock()
        if now < pace.not_before or now - pace.shown_at < self._interval_s:
            return
        try:
            await self._change(impatient(client), place, ts, shown)
        except SlackApiError as error:
            wait = wait_s(error)
            if wait is None:
                raise
            pace.not_before = self._clock() + wait
        self._shown(place, ts)

    async def show(
        self, client: AsyncWebClient, place: Place, ts: str, shown: Rendered
    ) -> str | None:
        """
        Change the message, as soon as it may be changed.

        Returns:
            The ts of another message that stands in its place now; None as a rule.
        """
        pace = self._pace(place, ts)
        now = self._clock()
        wait = max(pace.not_before - now, self._interval_s - (now - pace.shown_at), 0.0)
        if wait:
            await asyncio.sleep(min(wait, _MAX_WAIT_S))
        try:
            await self._change(client, place, ts, shown)
        except SlackApiError as error:
            if slack_error(error) not in _UNCHANGEABLE:
                raise
            log.warning("slack.message_replaced", error=slack_error(error))
            # It is better gone than beside its own successor; what cannot be removed either is no answer.
            with suppress(SlackApiError):
                await client.chat_delete(channel=place.channel, ts=ts)
            return await self.post(client, place, shown)
        self._shown(place, ts)
        return None

    async def _change(self, client: AsyncWebClient, place: Place, ts: str, shown: Rendered) -> None:
        arguments: dict[str, Any] = {"channel": place.channel, "ts": ts, **WITHOUT_PREVIEWS}
        content: dict[str, Any] = {"text": shown.text, "blocks": shown.blocks}
        is_stopped = False
        while True:
            try:
                await client.chat_update(**content, **arguments)
                return
            except SlackApiError as error:
                code = slack_error(error)
                if code in GONE:
                    return
                if code == _STILL_STREAMING and not is_stopped:
                    await stop_stream(client, place, ts)
                    is_stopped = True
                elif code in BLOCKS_REFUSED and content["blocks"]:
                    _note_refused(error)
                    content = {"text": shown.plain, "blocks": []}
                else:
                    raise

    def _pace(self, place: Place, ts: str) -> _Pace:
        """Of a message that somebody else posted: nobody knows when, so it may be changed."""
        return self._paces.get((place.key, ts)) or self._shown(place, ts, at=-_MAX_WAIT_S)

    def _shown(self, place: Place, ts: str, *, at: float | None = None) -> _Pace:
        pace = self._paces.setdefault((place.key, ts), _Pace(0.0))
        pace.shown_at = self._clock() if at is None else self._clock() + at
        self._paces.move_to_end((place.key, ts))
        if len(self._paces) > _MAX_KNOWN:
            self._paces.popitem(last=False)
        return pace


async def stop_stream(client: AsyncWebClient, place: Place, ts: str) -> None:
    """Whatever stands in the message stays there; nothing if it is not being written any more."""
    with suppress(SlackApiError):
        await client.chat_stopStream(channel=place.channel, ts=ts)


def impatient(client: AsyncWebClient) -> AsyncWebClient:
    """One that does not wait for its rate limit."""
    other = copy(client)
    other.retry_handlers = [h for h in client.retry_handlers if not isinstance(h, RateLimitRetry)]
    return other


def _note_refused(error: SlackApiError) -> None:
    metadata = error.response.get("response_metadata") or {}
    problems = metadata.get("messages") or []
    # Not the problems themselves: they may quote what was to be said.
    log.error("slack.blocks_refused", error=slack_error(error), problems=len(problems))
