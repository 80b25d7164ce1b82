"""Files that people attach in Slack: fetched with the bot's token, which goes to Slack's own hosts alone."""

from collections.abc import Mapping
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient
from yarl import URL

from adapters.slack.client import SLACK_FAILURES, slack_error
from bot.messages import Attachment
from bot.surroundings import AttachmentUnreadable, FetchedFile, Unreadable

_REDIRECTS = 3
_PIECE_BYTES = 64 * 1024

_GONE = frozenset({"file_not_found", "file_deleted", "not_found"})
_FOR_NOW = frozenset({"", "ratelimited", "internal_error", "fatal_error", "service_unavailable"})
_GONE_MODES = frozenset({"tombstone", "hidden_by_limit"})


class SlackFiles:
    """
    Args:
        session: Of the running loop.
        base_url: Of the Web API; files come from its own origin, or from hosts below its domain.
    """

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._api = URL(base_url)

    async def fetch(
        self, client: AsyncWebClient, attachment: Attachment, *, max_bytes: int
    ) -> FetchedFile:
        """
        The file as Slack knows it now: what came with the message may be a mere id, or out of date.

        Raises:
            AttachmentUnreadable: With the reason.
        """
        try:
            info = await client.files_info(file=attachment.id)
        except SLACK_FAILURES as error:
            raise AttachmentUnreadable(_reason(slack_error(error))) from error
        file: Any = info.get("file")
        if not isinstance(file, Mapping):
            raise AttachmentUnreadable(Unreadable.AWAY)
        known = Attachment(
            id=attachment.id,
            name=str(file.get("name") or file.get("title") or attachment.name),
            media_type=str(file.get("mimetype") or attachment.media_type),
            size_bytes=size if isinstance(size := file.get("size"), int) else 0,
        )
        try:
            url = self._url(file)
            if known.size_bytes > max_bytes:
                raise AttachmentUnreadable(Unreadable.TOO_LARGE)
            content = await self._download(url, client.token or "", known, max_bytes)
        except AttachmentUnreadable as error:
            raise AttachmentUnreadable(error.reason, known) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise AttachmentUnreadable(Unreadable.AWAY, known) from error
        return FetchedFile(known, content)

    def _url(self, file: Mapping[str, Any]) -> URL:
        if file.get("mode") in _GONE_MODES:
            raise AttachmentUnreadable(Unreadable.GONE)
        if file.get("mode") == "external" or file.get("is_external"):
            raise AttachmentUnreadable(Unreadable.ELSEWHERE)
        if file.get("file_access") not in (None, "visible", "check_file_info"):
            raise AttachmentUnreadable(Unreadable.NO_ACCESS)
        try:
            url = URL(str(file.get("url_private_download") or file.get("url_private") or ""))
        except ValueError:
            url = URL()
        if not self._is_slacks(url):
            raise AttachmentUnreadable(Unreadable.ELSEWHERE)
        return url

    def _is_slacks(self, url: URL) -> bool:
        """Whether the token may be sent there."""
        if not url.scheme or not url.host or url.user is not None or url.password is not None:
            return False
        if url.origin() == self._api.origin():
            return True
        is_below = url.host.endswith(f".{self._api.host}")
        return url.scheme == "https" and url.port == 443 and is_below

    async def _download(self, url: URL, token: str, file: Attachment, max_bytes: int) -> bytes:
        for _ in range(_REDIRECTS):
            async with self._session.get(
                url, headers={"Authorization": f"Bearer {token}"}, allow_redirects=False
            ) as response:
                if response.status in (301, 302, 303, 307, 308):
                    url = _followed(url, response)
                    continue
                return await _content(response, file, max_bytes)
        raise AttachmentUnreadable(Unreadable.NO_ACCESS)


def _followed(url: URL, response: aiohttp.ClientResponse) -> URL:
    """Where it leads; to another host leads the way to log in."""
    try:
        there = url.join(URL(response.headers.get("Location", "")))
    except ValueError:
        there = URL()
    if not there.scheme or not there.host or there.origin() != url.origin():
        raise AttachmentUnreadable(Unreadable.NO_ACCESS)
    return there


async def _content(response: aiohttp.ClientResponse, file: Attachment, max_bytes: int) -> bytes:
    if response.status in (404, 410):
        raise AttachmentUnreadable(Unreadable.GONE)
    if response.status == 429 or response.status >= 500:
        raise AttachmentUnreadable(Unreadable.AWAY)
    if response.status != 200:
        raise AttachmentUnreadable(Unreadable.NO_ACCESS)
    # Without the right to read it, Slack answers 200 and a page to sign in.
    is_page = response.content_type == "text/html"
    if is_page and file.media_type != "text/html":
        raise AttachmentUnreadable(Unreadable.NO_ACCESS)
    content = bytearray()
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        content += piece
        if len(content) > max_bytes:
            raise AttachmentUnreadable(Unreadable.TOO_LARGE)
    if is_page and file.size_bytes and len(content) != file.size_bytes:
        raise AttachmentUnreadable(Unreadable.NO_ACCESS)
    return bytes(content)


def _reason(code: str) -> Unreadable:
    if code in _FOR_NOW:
        return Unreadable.AWAY
    return Unreadable.GONE if code in _GONE else Unreadable.NO_ACCESS
