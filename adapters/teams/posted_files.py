"""Files of channels and group chats, read through Graph: only those that everyone who reads the answer may read."""

import asyncio
import base64
import time
from collections.abc import Callable, Iterable, Mapping

from adapters.teams.files import posted_ids
from adapters.teams.graph import Graph, quoted
from adapters.teams.graph_messages import channel_path, files_of, message_path
from adapters.teams.graph_wire import GraphFailure
from adapters.teams.hosts import KnownHosts
from adapters.teams.json_values import Json, mapping, sequence
from adapters.teams.places import Place
from adapters.teams.sharepoint_permissions import SharePointRules, grants_of
from bot.audience import Audience
from bot.messages import Attachment, IncomingMessage
from bot.surroundings import AttachmentUnreadable, FetchedFile, Unreadable
from retrieval.access import Acl, Level

_ITEM = {"$select": "id,name,size,file,parentReference"}

_READING = frozenset({"read", "write", "owner", "sp.full control"})
_NOT_READING = frozenset({"", "none", "sp.limited access"})


class PostedFiles:
    """
    A message names its files by address, and whoever writes it through Graph may name any: our own right
    to read must not become theirs. So a file counts only if it lies in the channel's own library and is
    granted to everyone to whom that is, or if its permissions name each reader of the answer.

    Args:
        hosts: That files may lie on.
        audience: Who will read the answer.
    """

    def __init__(self, graph: Graph, hosts: KnownHosts, audience: Audience) -> None:
        self._graph = graph
        self._hosts = hosts
        self._audience = audience

    async def fetch(
        self,
        message: IncomingMessage,
        place: Place,
        thread: str,
        attachment: Attachment,
        *,
        max_bytes: int,
    ) -> FetchedFile:
        """
        Raises:
            AttachmentUnreadable: With the reason.
        """
        posted_in, file = posted_ids(attachment) or ("", "")
        path = message_path(place, thread, posted_in)
        if path is None:
            raise AttachmentUnreadable(Unreadable.NO_ACCESS)
        graph = self._graph.of(place.tenant_id)
        known = attachment
        try:
            files = {f.id: f for f in files_of(await graph.get(path))}
            if file not in files:
                raise AttachmentUnreadable(Unreadable.GONE)
            known = Attachment(attachment.id, files[file].name or attachment.name, "", 0)
            item = await self._item(graph, files[file].url)
            if not await self._may_all_read(graph, message, place, item):
                raise AttachmentUnreadable(Unreadable.NO_ACCESS)
            if not isinstance(item.get("file"), Mapping):
                raise AttachmentUnreadable(Unreadable.TYPE)
            known = _described(known, item)
            if known.size_bytes > max_bytes:
                raise AttachmentUnreadable(Unreadable.TOO_LARGE)
            content = await graph.download(f"{_path(item)}/content", max_bytes=max_bytes)
        except AttachmentUnreadable as error:
            raise AttachmentUnreadable(error.reason, known) from error
        except GraphFailure as error:
            raise AttachmentUnreadable(_reason(error), known) from error
        return FetchedFile(known, content)

    async def _item(self, graph: Graph, url: str) -> Json:
        if not self._hosts.has(quoted_address(url)):
            raise AttachmentUnreadable(Unreadable.ELSEWHERE)
        try:
            item = await graph.get(f"shares/{share_id(url)}/driveItem", params=_ITEM)
        except GraphFailure as error:
            if error.is_missing:
                # Told apart, it would say of any address whether there is a file.
                raise AttachmentUnreadable(Unreadable.NO_ACCESS) from error
            raise
        if not item.get("id") or not _drive(item):
            raise AttachmentUnreadable(Unreadable.AWAY)
        return item

    async def _may_all_read(
        self, graph: Graph, message: IncomingMessage, place: Place, item: Json
    ) -> bool:
        of_item, of_library = await asyncio.gather(
            _permissions(graph, _path(item)), _library_permissions(graph, place, item)
        )
        everyone = frozenset(_grantees(of_library, _may_read))
        if everyone and everyone <= frozenset(_grantees(of_item, _reads)):
            return True
        rules = SharePointRules(message.user.tenant, place.tenant_id)
        acl = Acl(grants_of(of_item, rules, now=time.time()).principals, Level.PUBLIC)
        readers = await self._audience.scope_of_conversation(message.conversation, message.user)
        return readers.checked and readers.scope.allows(acl)


def share_id(url: str) -> str:
    """What Graph calls the thing that lies at *url*."""
    return "u!" + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def quoted_address(url: str) -> str:
    """Addresses of SharePoint come as people read them, with blanks and Chinese."""
    return "".join(c if c.isascii() and c != " " else quoted(c) for c in url)


async def _permissions(graph: Graph, path: str) -> list[Json]:
    return [one async for one in graph.pages(f"{path}/permissions")]


async def _library_permissions(graph: Graph, place: Place, item: Json) -> list[Json]:
    """
    Of the library that holds the channel's files, if *item* lies there; else nothing.

    Not of the channel's folder in it: were that closed to the channel, whatever lies there would seem
    granted to all. Nor by what is inherited: SharePoint does not tell.
    """
    channel = channel_path(place)
    if channel is None:
        return []
    try:
        folder = await graph.get(f"{channel}/filesFolder")
    except GraphFailure as error:
        if error.is_denied or error.is_missing:
            return []
        raise
    # Groups of a site have small numbers for ids, which in another site are other groups.
    if _drive(folder) != _drive(item):
        return []
    return await _permissions(graph, f"drives/{quoted(_drive(item))}/root")


def _grantees(
    permissions: Iterable[Json], counts: Callable[[Json], bool]
) -> Iterable[tuple[str, str]]:
    """Kind and id of each whom a permission that *counts* names; links are for whoever has them."""
    for permission in permissions:
        named = mapping(permission.get("grantedToV2"))
        if permission.get("link") or not counts(permission):
            continue
        # Of one and the same the account may be told, and the site's entry for it.
        kind = next((k for k in ("user", "group", "siteGroup", "siteUser") if named.get(k)), "")
        if id := mapping(named.get(kind)).get("id"):
            yield kind, str(id).lower()


def _reads(permission: Json) -> bool:
    """For sure, and for good."""
    return not permission.get("expirationDateTime") and bool(_READING & _roles(permission))


def _may_read(permission: Json) -> bool:
    """In doubt it does, and then the file must be granted to them too."""
    return bool(_roles(permission) - _NOT_READING)


def _roles(permission: Json) -> frozenset[str]:
    return frozenset(str(role).lower() for role in sequence(permission.get("roles")))


def _described(known: Attachment, item: Json) -> Attachment:
    size, file = item.get("size"), item["file"]
    return Attachment(
        id=known.id,
        name=str(item.get("name") or known.name),
        media_type=str(file.get("mimeType") or ""),
        size_bytes=size if isinstance(size, int) else 0,
    )


def _drive(item: Json) -> str:
    return str(mapping(item.get("parentReference")).get("driveId") or "")


def _path(item: Json) -> str:
    return f"drives/{quoted(_drive(item))}/items/{quoted(str(item.get('id')))}"


def _reason(error: GraphFailure) -> Unreadable:
    if error.is_denied:
        return Unreadable.NO_ACCESS
    if error.is_missing:
        return Unreadable.GONE
    if error.code == "foreignHost":
        return Unreadable.ELSEWHERE
    return Unreadable.TOO_LARGE if error.status == 413 else Unreadable.AWAY
