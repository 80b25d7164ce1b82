"""Files that come with a message of Teams: what it tells of them, and how those in it are fetched."""

from collections.abc import Iterable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import PurePath
from typing import Any

import aiohttp
from yarl import URL

from adapters.teams.hosts import KnownHosts
from adapters.teams.json_values import is_guid, mapping, sequence, text_in
from adapters.teams.places import CHANNEL, GROUP_CHAT
from bot.messages import Attachment
from bot.surroundings import AttachmentUnreadable, Unreadable
from retrieval.ingest.clean import parseable

DOWNLOAD_INFO = "application/vnd.microsoft.teams.file.download.info"

_UPLOAD, _IMAGE, _POSTED = "upload:", "image:", "posted:"

_MAX_FILES = 100
_MAX_HTML = 200_000
_REDIRECTS = 3
_PIECE_BYTES = 64 * 1024
_PAGES = (".htm", ".html")


def attachments_of(
    activity: Mapping[str, Any],
) -> tuple[tuple[Attachment, ...], tuple[tuple[str, str], ...]]:
    """
    The files of a message as it came, and the addresses by id of those that it hands out itself.

    An address opens the file for whoever has it: it is kept apart, and no longer than the turn. Of a
    file in a channel or a group chat only an id is told; Graph knows more.
    """
    told = [a for a in sequence(activity.get("attachments")) if isinstance(a, Mapping)]
    attachments: list[Attachment] = []
    addresses: list[tuple[str, str]] = []
    for n, attachment in enumerate(told[:_MAX_FILES]):
        if found := _handed_out(n, attachment):
            attachments.append(found[0])
            addresses.append((found[0].id, found[1]))
    kind = mapping(activity.get("conversation")).get("conversationType")
    if kind in (CHANNEL, GROUP_CHAT):
        message, html = text_in(activity, "id"), _html_of(told)
        ids = list(dict.fromkeys(_tagged(html)))[:_MAX_FILES]
        # Their names are not told; all that can be said of one is which it is.
        attachments += [posted(message, id, f"📎 {n}") for n, id in enumerate(ids, 1)]
    return tuple(attachments), tuple(addresses)


def posted(message: str, file: str, name: str) -> Attachment:
    """A file of *message* in a channel or a group chat."""
    return Attachment(f"{_POSTED}{message}/{file}", name, "", 0)


def posted_ids(attachment: Attachment) -> tuple[str, str] | None:
    """Message and file; None for one that the message handed out itself."""
    message, _, file = attachment.id.removeprefix(_POSTED).partition("/")
    return (message, file) if attachment.id.startswith(_POSTED) and message and file else None


def is_image(attachment: Attachment) -> bool:
    return attachment.id.startswith(_IMAGE)


class Uploads:
    """
    Files of personal chats, at addresses that Teams has signed: whoever has one needs no token, and none
    is sent.

    Args:
        http: Without cookies.
        hosts: That files may come from, also by a redirect.
    """

    def __init__(self, http: aiohttp.ClientSession, hosts: KnownHosts) -> None:
        self._http = http
        self._hosts = hosts

    async def fetch(self, address: str, file: Attachment, *, max_bytes: int) -> bytes:
        """
        Raises:
            AttachmentUnreadable: With the reason.
        """
        try:
            return await self._follow(address, file, max_bytes)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise AttachmentUnreadable(Unreadable.AWAY) from error

    async def _follow(self, address: str, file: Attachment, max_bytes: int) -> bytes:
        for _ in range(_REDIRECTS + 1):
            if not self._hosts.has(address):
                raise AttachmentUnreadable(Unreadable.ELSEWHERE)
            # As it is: changed by a byte, the signature would not hold any more.
            url = URL(address, encoded=True)
            async with self._http.get(url, allow_redirects=False) as response:
                if response.status not in (301, 302, 303, 307, 308):
                    return await _content(response, file, max_bytes)
                there = url.join(URL(response.headers.get("Location", ""), encoded=True))
                address = str(there)
        raise AttachmentUnreadable(Unreadable.NO_ACCESS)


async def _content(response: aiohttp.ClientResponse, file: Attachment, max_bytes: int) -> bytes:
    if response.status in (404, 410):
        raise AttachmentUnreadable(Unreadable.GONE)
    if response.status == 429 or response.status >= 500:
        raise AttachmentUnreadable(Unreadable.AWAY)
    is_page = PurePath(file.name).suffix.lower() in _PAGES
    # Whom SharePoint does not let in, it sends a page to sign in.
    if response.status != 200 or (response.content_type == "text/html" and not is_page):
        raise AttachmentUnreadable(Unreadable.NO_ACCESS)
    if (response.content_length or 0) > max_bytes:
        raise AttachmentUnreadable(Unreadable.TOO_LARGE)
    content = bytearray()
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        content += piece
        if len(content) > max_bytes:
            raise AttachmentUnreadable(Unreadable.TOO_LARGE)
    return bytes(content)


def _handed_out(n: int, attachment: Mapping[str, Any]) -> tuple[Attachment, str] | None:
    """What the attachment is if it is a file, and its address."""
    kind, name = text_in(attachment, "contentType"), text_in(attachment, "name")
    content = attachment.get("content")
    if kind == DOWNLOAD_INFO and isinstance(content, Mapping):
        ending, address = text_in(content, "fileType"), text_in(content, "downloadUrl")
        if ending and not PurePath(name).suffix:
            name = f"{name or n}.{ending}"
        return (Attachment(f"{_UPLOAD}{n}", name, "", 0), address) if address else None
    if kind.startswith("image/"):
        address = text_in(attachment, "contentUrl")
        return (Attachment(f"{_IMAGE}{n}", name or "🖼️", kind, 0), address) if address else None
    return None


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        id = (dict(attrs).get("id") or "").lower()
        # Quoted messages stand there too, under ids that are plain numbers.
        if tag == "attachment" and is_guid(id):
            self.ids.append(id)


def _tagged(html: str) -> Iterable[str]:
    tags = _Tags()
    tags.feed(parseable(html))
    tags.close()
    return tags.ids


def _html_of(attachments: Sequence[Mapping[str, Any]]) -> str:
    """The message once more, with what its text leaves out."""
    for attachment in attachments:
        if attachment.get("contentType") == "text/html":
            return text_in(attachment, "content")[:_MAX_HTML]
    return ""
