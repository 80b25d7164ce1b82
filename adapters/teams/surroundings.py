"""What Teams tells about a message while it is answered: its files, and what its thread said before."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import aiohttp
import structlog

from adapters.chat.origins import Origins
from adapters.teams.failures import what_failed
from adapters.teams.files import Uploads, is_image, posted, posted_ids
from adapters.teams.graph import Graph
from adapters.teams.graph_messages import GraphMessage, message_of, message_path
from adapters.teams.graph_wire import GraphFailure
from adapters.teams.hosts import KnownHosts
from adapters.teams.json_values import Json
from adapters.teams.origin import Origin
from adapters.teams.places import Place, Places
from adapters.teams.posted_files import PostedFiles
from bot.audience import Audience
from bot.errors import StateUnavailable
from bot.messages import Attachment, IncomingMessage
from bot.surroundings import AttachmentUnreadable, FetchedFile, Said, Unreadable
from retrieval.types import Chunk

log = structlog.get_logger()

_PAGE_MESSAGES, _MOST_PAGES = 50, 2
_MOST_SAID = 30
_THREAD_TIMEOUT_S = 1.5


class TeamsSurroundings:
    """
    `Surroundings` of messages whose origin is kept.

    Args:
        http: For the files of personal chats; without cookies, as `connector_session` makes it.
        graph: None: what only Graph could tell is not known.
        audience: A file that others must read to see the answer is used only if they may.
        file_hosts: As `KnownHosts` takes them.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        graph: Graph | None,
        origins: Origins[Origin],
        places: Places,
        audience: Audience,
        *,
        file_hosts: Sequence[str],
    ) -> None:
        hosts = KnownHosts(file_hosts)
        self._uploads = Uploads(http, hosts)
        self._posted = PostedFiles(graph, hosts, audience) if graph else None
        self._graph = graph
        self._origins = origins
        self._places = places

    async def earlier(self, message: IncomingMessage) -> Sequence[Said]:
        """
        In channels. Group chats have no threads, and what was said there before somebody joined may be
        hidden from that one.
        """
        try:
            origin = await self._origins.find(message.event_id)
            if origin is None or self._graph is None:
                return ()
            if not origin.thread or origin.thread == origin.activity_id:
                return ()
            place = await self._place(origin)
            async with asyncio.timeout(_THREAD_TIMEOUT_S):
                payloads = await _thread(self._graph.of(place.tenant_id), place, origin.thread)
                return await asyncio.to_thread(_said, payloads, place, origin, message.sent_at)
        except (GraphFailure, StateUnavailable, TimeoutError) as error:
            log.info("teams.thread_unknown", error=what_failed(error))
            return ()

    async def fetch(
        self, message: IncomingMessage, attachment: Attachment, *, max_bytes: int
    ) -> FetchedFile:
        try:
            origin = await self._origins.find(message.event_id)
            if origin is None:
                raise AttachmentUnreadable(Unreadable.GONE)
            if posted_ids(attachment):
                if self._posted is None:
                    raise AttachmentUnreadable(Unreadable.NO_ACCESS)
                place = await self._place(origin)
                return await self._posted.fetch(
                    message, place, origin.thread, attachment, max_bytes=max_bytes
                )
        except StateUnavailable as error:
            raise AttachmentUnreadable(Unreadable.AWAY) from error
        if is_image(attachment):
            # Where it lies the sender's client says, and only our token opens it: whatever lies there.
            raise AttachmentUnreadable(Unreadable.IMAGE)
        address = dict(origin.files).get(attachment.id)
        if address is None:
            raise AttachmentUnreadable(Unreadable.GONE)
        content = await self._uploads.fetch(address, attachment, max_bytes=max_bytes)
        return FetchedFile(replace(attachment, size_bytes=len(content)), content)

    async def found_live(self, message: IncomingMessage, query: str) -> Sequence[Chunk]:
        """
        Nothing: Microsoft's search with the asker's own rights wants the asker signed in to this app, and
        with the app's rights it would find what the asker may not read.
        """
        return ()

    async def _place(self, origin: Origin) -> Place:
        """With what only earlier activities told: the team's id in Entra is not in every one."""
        told = Place(
            origin.service_url, origin.tenant_id, origin.conversation, origin.kind, origin.bot_id
        )
        return told.told_by(await self._places.find(told.id))


async def _thread(graph: Graph, place: Place, thread: str) -> list[Json]:
    """As far as few calls bring it, which begin with the latest reply."""
    path = message_path(place, thread, thread)
    if path is None:
        return []
    root, replies = await asyncio.gather(graph.get(path), _replies(graph, f"{path}/replies"))
    return [root, *replies]


async def _replies(graph: Graph, path: str) -> list[Json]:
    replies: list[Json] = []
    params: dict[str, str] | None = {"$top": str(_PAGE_MESSAGES)}
    link: str | None = path
    for _ in range(_MOST_PAGES):
        if link is None:
            break
        page = await graph.page(link, params=params)
        replies += page.items
        link, params = page.next_link, None
    return replies


def _said(
    payloads: Sequence[Json], place: Place, origin: Origin, sent_at: datetime
) -> tuple[Said, ...]:
    """Of people, before the question."""
    told = (message_of(payload, tenant_id=place.tenant_id) for payload in payloads)
    messages = [m for m in told if m and _is_before(m, origin.activity_id, sent_at)]
    messages.sort(key=lambda message: (message.at, message.id))
    said = (_one(message) for message in messages[-_MOST_SAID:])
    return tuple(one for one in said if one.text or one.attachments)


def _one(message: GraphMessage) -> Said:
    files = tuple(posted(message.id, file.id, file.name) for file in message.files)
    return Said(message.text, message.at, files)


def _is_before(message: GraphMessage, activity_id: str, sent_at: datetime) -> bool:
    """Ids of messages are the milliseconds at which they were made, by the clock of Teams itself."""
    if message.id.isdecimal() and activity_id.isdecimal():
        return (len(message.id), message.id) < (len(activity_id), activity_id)
    return message.id != activity_id and message.at < sent_at
