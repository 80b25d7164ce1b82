"""Replies that one person alone sees. Slack neither keeps nor changes them, so each is shown once."""

from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from adapters.chat.once import Posted
from adapters.slack.client import NOT_THERE, SlackClients, slack_error
from adapters.slack.origin import Origin
from adapters.slack.posts import BLOCKS_REFUSED, Place, Posts
from adapters.slack.render import Json, Rendered
from bot.errors import ChannelUnavailable

log = structlog.get_logger()

PRIVATE = "private"
"""The ref of every such reply: there is nothing to find again."""

_RESPONSE_TIMEOUT_S = 10.0

_NO_WHISPER_THERE = NOT_THERE | {
    "user_not_in_channel",
    "thread_not_found",
    "cannot_reply_to_message",
    "messages_tab_disabled",
    "restricted_action",
    "method_not_supported_for_channel_type",
}


class Whispers:
    """All methods raise what the SDK does, and `ChannelUnavailable`."""

    def __init__(self, clients: SlackClients, posts: Posts) -> None:
        self._clients = clients
        self._posts = posts

    async def say(
        self,
        client: AsyncWebClient,
        place: Place,
        user: str,
        origin: Origin | None,
        shown: Rendered,
    ) -> Posted:
        """
        Where the person asked if that is possible, else as a direct message.

        Args:
            user: `U…`.
        """
        url = origin.response_url if origin else ""
        if url and await self._respond(url, place, shown):
            return Posted(PRIVATE, place.key, "")
        try:
            ts = await self._ephemeral(client, place, user, shown)
            return Posted(PRIVATE, place.key, ts)
        except SlackApiError as error:
            if slack_error(error) not in _NO_WHISPER_THERE:
                raise
            log.info("slack.said_by_direct_message", error=slack_error(error))
        return await self._direct(client, place, user, shown)

    async def _respond(self, url: str, place: Place, shown: Rendered) -> bool:
        """By the URL that came with the question; False if it is used up."""
        # Never in place of the original: that may be the message whose button was pressed.
        more = {"response_type": "ephemeral", "replace_original": False, **place.thread}
        status, text = await self._send(url, {"text": shown.text, "blocks": shown.blocks, **more})
        if any(code in text for code in BLOCKS_REFUSED):
            log.error("slack.blocks_refused", error="response_url")
            status, _ = await self._send(url, {"text": shown.plain, **more})
        if status >= 500 or status == 429:
            raise ChannelUnavailable(f"Slack answers with HTTP status {status}")
        return status < 300

    async def _send(self, url: str, body: Json) -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(total=_RESPONSE_TIMEOUT_S)
        async with self._clients.session.post(
            url, json=body, timeout=timeout, allow_redirects=False
        ) as response:
            return response.status, (await response.text())[:1_000]

    async def _ephemeral(
        self, client: AsyncWebClient, place: Place, user: str, shown: Rendered
    ) -> str:
        arguments: dict[str, Any] = {"channel": place.channel, "user": user, **place.thread}
        try:
            posted = await client.chat_postEphemeral(
                text=shown.text, blocks=shown.blocks, **arguments
            )
        except SlackApiError as error:
            if slack_error(error) not in BLOCKS_REFUSED:
                raise
            log.error("slack.blocks_refused", error=slack_error(error))
            posted = await client.chat_postEphemeral(text=shown.plain, **arguments)
        return str(posted["message_ts"])

    async def _direct(
        self, client: AsyncWebClient, place: Place, user: str, shown: Rendered
    ) -> Posted:
        opened = await client.conversations_open(users=[user])
        channel = str(opened["channel"]["id"])
        there = Place(place.home, place.team, channel, "")
        return Posted(PRIVATE, there.key, await self._posts.post(client, there, shown))
