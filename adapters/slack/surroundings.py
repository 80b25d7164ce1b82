"""What Slack tells about a message while it is answered: its files, its thread, and what the asker can find."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from adapters.chat.origins import Origins
from adapters.slack.client import SLACK_FAILURES, NotInstalled, SlackClients, slack_error
from adapters.slack.files import SlackFiles
from adapters.slack.ids import SlackChannelId
from adapters.slack.incoming import attachments_of, time_of
from adapters.slack.live_search import search_slack
from adapters.slack.markup import plain_text
from adapters.slack.origin import Origin
from adapters.slack.thread_messages import message_of
from bot.errors import ChannelUnavailable, StateUnavailable
from bot.messages import Attachment, IncomingMessage
from bot.surroundings import AttachmentUnreadable, FetchedFile, Said, Unreadable
from retrieval.types import Chunk

log = structlog.get_logger()

_PAGE_MESSAGES, _MOST_PAGES = 200, 3
_THREAD_TIMEOUT_S = 1.5

_UNKNOWN = (NotInstalled, ChannelUnavailable, StateUnavailable)


class SlackSurroundings:
    """
    `Surroundings` of messages whose origin is kept.

    Args:
        base_url: Of the Web API.
        live_search: Whether Slack itself may be searched with the asker's rights.
    """

    def __init__(
        self, clients: SlackClients, origins: Origins[Origin], *, base_url: str, live_search: bool
    ) -> None:
        self._clients = clients
        self._origins = origins
        self._base_url = base_url
        self._live_search = live_search

    async def earlier(self, message: IncomingMessage) -> Sequence[Said]:
        place = SlackChannelId.of(message.conversation)
        said: list[Said] = []
        try:
            origin = await self._origins.find(message.event_id)
            if origin is None or not origin.ts or origin.thread_ts in ("", origin.ts):
                return ()
            client = await self._client(place, origin)
            bot_user = await self._clients.bot_user(origin.team, home=place.home)
            async with asyncio.timeout(_THREAD_TIMEOUT_S):
                async for payload in _thread(client, origin):
                    if one := _said(payload, bot_user):
                        said.append(one)
        except SLACK_FAILURES as error:
            # Where only one page a minute is to be had, the first must do.
            log.info("slack.thread_unknown", error=slack_error(error) or type(error).__name__)
        except _UNKNOWN as error:
            log.info("slack.thread_unknown", error=type(error).__name__)
        return said

    async def fetch(
        self, message: IncomingMessage, attachment: Attachment, *, max_bytes: int
    ) -> FetchedFile:
        try:
            origin = await self._origins.find(message.event_id)
            client = await self._client(SlackChannelId.of(message.conversation), origin)
        except _UNKNOWN as error:
            raise AttachmentUnreadable(Unreadable.AWAY) from error
        files = SlackFiles(self._clients.session, self._base_url)
        return await files.fetch(client, attachment, max_bytes=max_bytes)

    async def found_live(self, message: IncomingMessage, query: str) -> Sequence[Chunk]:
        if not self._live_search:
            return ()
        try:
            origin = await self._origins.find(message.event_id)
            if origin is None or not origin.action_token:
                return ()
            client = await self._client(SlackChannelId.of(message.conversation), origin)
        except _UNKNOWN as error:
            log.info("slack.live_search_failed", error=type(error).__name__)
            return ()
        return await search_slack(client, origin, query)

    async def _client(self, place: SlackChannelId, origin: Origin | None) -> AsyncWebClient:
        return await self._clients.for_team(origin.team if origin else "", home=place.home)


async def _thread(client: AsyncWebClient, origin: Origin) -> AsyncIterator[Mapping[str, Any]]:
    """The thread's messages before the question, oldest first, as far as few calls bring them."""
    cursor = ""
    for _ in range(_MOST_PAGES):
        page = await client.conversations_replies(
            channel=origin.channel,
            ts=origin.thread_ts,
            latest=origin.ts,
            inclusive=False,
            limit=_PAGE_MESSAGES,
            cursor=cursor or None,
        )
        found: Any = page.get("messages")
        for payload in found if isinstance(found, list) else ():
            # A thread's first message comes with every page.
            if isinstance(payload, Mapping) and not (cursor and _is_root(payload, origin)):
                if time_of(str(payload.get("ts"))) >= time_of(origin.ts):
                    return
                yield payload
        cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor:
            return


def _is_root(payload: Mapping[str, Any], origin: Origin) -> bool:
    return payload.get("ts") == origin.thread_ts


def _said(payload: Mapping[str, Any], bot_user: str) -> Said | None:
    """None for what a bot said, and for nothing."""
    message = message_of(payload)
    if message is None or message.user == bot_user:
        return None
    text = plain_text(message.text, bot_user)
    files = tuple(attachments_of(payload.get("files")))
    return Said(text, time_of(message.ts), files) if text or files else None
