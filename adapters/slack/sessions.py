"""What Slack shows of a direct conversation beside its messages: whether we are at work, and a title."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.client import SLACK_FAILURES, slack_error
from adapters.slack.posts import Place, impatient
from adapters.slack.unsupported import Unsupported

log = structlog.get_logger()

_STATUS, _TITLE = "agents.sessions.setStatus", "assistant.threads.setTitle"
_MAX_TITLE = 200


class Sessions:
    """Best effort, in the background: no reply waits for it, or fails with it."""

    def __init__(self, unsupported: Unsupported) -> None:
        self._unsupported = unsupported
        self._telling: set[asyncio.Task[None]] = set()

    def begin(self, client: AsyncWebClient, place: Place, *, user: str, title: str) -> None:
        """
        Args:
            title: Empty to leave it as it is.
        """
        self._tell(self._begin(client, place, user, " ".join(title.split())[:_MAX_TITLE]))

    def end(self, client: AsyncWebClient, place: Place) -> None:
        self._tell(self._set(client, place, status="active"))

    async def close(self) -> None:
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)

    def _tell(self, telling: Any) -> None:
        task = asyncio.create_task(telling)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _begin(self, client: AsyncWebClient, place: Place, user: str, title: str) -> None:
        more = {"title": title, "initiator_user_id": user} if title else {}
        await self._set(client, place, status="processing", **more)
        if title and (place.team, _STATUS) in self._unsupported:
            # Of the older kind of assistant.
            await self._try(client.assistant_threads_setTitle, place, _TITLE, title=title)

    async def _set(self, client: AsyncWebClient, place: Place, **values: str) -> None:
        await self._try(impatient(client).agents_sessions_setStatus, place, _STATUS, **values)

    async def _try(
        self, method: Callable[..., Awaitable[object]], place: Place, name: str, **values: str
    ) -> None:
        use = (place.team, name)
        if use in self._unsupported:
            return
        try:
            await method(channel_id=place.channel, thread_ts=place.thread_ts, **values)
        except SLACK_FAILURES as error:
            self._unsupported.learn(use, slack_error(error))
            log.debug("slack.session_not_told", method=name, error=slack_error(error))
