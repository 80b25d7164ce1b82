"""Event streams on the wire: how many a person may hold open, and how one is written out."""

import asyncio
from collections import Counter

import structlog
from aiohttp import web

from adapters.web.feed import Feed
from adapters.web.guard import ApiError, Guard
from bot.messages import UserRef

log = structlog.get_logger()

MAX_STREAMS_PER_PERSON = 20
WRITE_TIMEOUT_S = 30.0


class Streams:
    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._open: Counter[UserRef] = Counter()

    async def send(self, request: web.Request, feed: Feed, user: UserRef) -> web.StreamResponse:
        """Write *feed* out until it ends or the page is gone."""
        if self._open[user] >= MAX_STREAMS_PER_PERSON:
            raise ApiError(429, "too_many_pages")
        # Proxies such as nginx would collect the stream before passing it on.
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        )
        self._guard.secured(response, is_api=True)
        self._open[user] += 1
        try:
            await response.prepare(request)
            async for event in feed.events(request.headers.get("Last-Event-ID", "")):
                # A page that takes nothing for this long is gone; it will come back by itself.
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await response.write(event.encode())
        except (ConnectionResetError, TimeoutError):
            log.debug("web.stream_lost")
        finally:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]
        return response
