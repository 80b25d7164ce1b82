"""Event streams on the wire: how many a person may hold open, and how one is written out."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing

import structlog
from aiohttp import web

from adapters.web.feed import Feed
from adapters.web.guard import ApiError, Guard
from adapters.web.message_log import MessageLogs
from bot.errors import DirectoryUnavailable, StateUnavailable
from bot.messages import UserRef

log = structlog.get_logger()

MAX_STREAMS_PER_PERSON = 20
WRITE_TIMEOUT_S = 30.0


class Streams:
    def __init__(self, guard: Guard, logs: MessageLogs) -> None:
        self._guard = guard
        self._logs = logs
        self._open: Counter[UserRef] = Counter()
        self._feeds: set[Feed] = set()
        self._is_closed = False

    def close(self) -> None:
        """Let all streams end."""
        self._is_closed = True
        for feed in self._feeds:
            feed.end()
        self._logs.wake_all()

    async def send(self, request: web.Request, feed: Feed, user: UserRef) -> web.StreamResponse:
        """
        Write *feed* out until it ends or the page is gone.

        What fails before there is anything to send is raised, so that the page learns of it.
        """
        if self._is_closed:
            raise ApiError(503, "shutting_down")
        if self._open[user] >= MAX_STREAMS_PER_PERSON:
            raise ApiError(429, "too_many_pages")
        # Proxies such as nginx would collect the stream before passing it on.
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        )
        self._guard.secured(response, is_api=True)
        self._open[user] += 1
        self._feeds.add(feed)
        try:
            async with aclosing(feed.events(request.headers.get("Last-Event-ID", ""))) as events:
                first = await anext(events, "")
                await self._write(request, response, first, events)
        finally:
            self._feeds.discard(feed)
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]
        return response

    async def _write(
        self,
        request: web.Request,
        response: web.StreamResponse,
        first: str,
        events: AsyncIterator[str],
    ) -> None:
        try:
            await response.prepare(request)
            await _send(response, first)
            async for event in events:
                await _send(response, event)
        except (ConnectionResetError, TimeoutError):
            log.debug("web.stream_lost")
        except (DirectoryUnavailable, StateUnavailable):
            # The page comes back, and is told then.
            log.warning("web.stream_ended", exc_info=True)


async def _send(response: web.StreamResponse, event: str) -> None:
    # A page that takes nothing for this long is gone; it will come back by itself.
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await response.write(event.encode())
