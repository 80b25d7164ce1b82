"""Which document libraries a name stands for: a whole site, one library of it, or an id."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from adapters.teams.graph import Graph, GraphFailure, quoted
from retrieval.errors import IngestError

PREFIX = "sharepoint:"

_HOST = re.compile(r"[a-z0-9.\-]+(?::\d+)?", re.I)
_DRIVE = re.compile(r"b![\w\-]+")
_SITE_PARTS = 2
"""`sites/NAME`, `teams/NAME` or `personal/NAME`."""


@dataclass(frozen=True, slots=True)
class Library:
    """
    Attributes:
        drive: Graph's id of it.
        place: Where it is, such as `contoso.sharepoint.com/sites/hr/Shared Documents`.
    """

    drive: str
    place: str

    @property
    def source(self) -> str:
        return PREFIX + self.place


@dataclass(frozen=True, slots=True)
class SharePointName:
    """
    What an administrator calls it, taken apart.

    Attributes:
        drive: Set for the id of a library; everything else is empty then.
        site: Path of the site on the host; empty: the root site.
        library: As in its address; empty: all of the site.
    """

    host: str = ""
    site: str = ""
    library: str = ""
    drive: str = ""

    @classmethod
    def of(cls, text: str) -> "SharePointName":
        """Raises `IngestError`."""
        name = text.strip().removeprefix(PREFIX)
        if _DRIVE.fullmatch(name):
            return cls(drive=name)
        # Copied from the browser's address line, or without `https://`.
        address = urlsplit(name if "://" in name else f"https://{name}")
        parts = [unquote(part) for part in address.path.split("/") if part]
        if not _HOST.fullmatch(address.netloc) or parts[_SITE_PARTS + 1 :] or len(parts) == 1:
            raise IngestError(
                f"{text}: is no SharePoint site or library; write for example "
                "sharepoint:contoso.sharepoint.com/sites/hr, or with a library: "
                "sharepoint:contoso.sharepoint.com/sites/hr/Shared Documents"
            )
        site, library = parts[:_SITE_PARTS], parts[_SITE_PARTS:]
        return cls(address.netloc.lower(), "/".join(site), "".join(library))

    @property
    def place(self) -> str:
        return "/".join(part for part in (self.host, self.site, self.library) if part)

    def covers(self, library: Library) -> bool:
        """By its place; SharePoint does not mind upper and lower case."""
        site, _, _ = library.place.rpartition("/")
        known_as = library.place if self.library else site
        return bool(self.host) and self.place.casefold() == known_as.casefold()


async def libraries_of(graph: Graph, name: SharePointName) -> list[Library]:
    """
    Raises:
        GraphFailure: Graph does not tell.
        IngestError: The site has no such library.
    """
    if name.drive:
        return [_library(await graph.get(f"drives/{quoted(name.drive)}"), name.drive)]
    path = "/".join(quoted(part) for part in name.site.split("/"))
    site = await graph.get(f"sites/{name.host}:/{path}" if name.site else f"sites/{name.host}")
    drives = [drive async for drive in graph.pages(f"sites/{quoted(str(site.get('id')))}/drives")]
    found = [_library(drive, str(drive.get("id") or "")) for drive in drives]
    libraries = [
        library for library in found if library.drive and (not name.library or name.covers(library))
    ]
    if name.library and not libraries:
        there = ", ".join(library.place.rpartition("/")[2] for library in found) or "none"
        raise IngestError(f"{name.place}: there is no such library; there are: {there}")
    return sorted(libraries, key=lambda library: library.place)


def _library(told: Mapping[str, Any], id: str) -> Library:
    address = urlsplit(str(told.get("webUrl") or ""))
    place = f"{address.netloc.lower()}{unquote(address.path)}".strip("/")
    if not place or not place.isprintable():
        raise GraphFailure(0, "noAddress")
    return Library(id, place)
