"""A SharePoint or OneDrive document library as a source of documents, each for those who may read it there."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any

from adapters.teams.drive_ledger import DriveItem
from adapters.teams.drive_mirror import DriveMirror
from adapters.teams.drive_permissions import is_refusal
from adapters.teams.graph import GraphFailure
from adapters.teams.libraries import Library
from adapters.teams.library_documents import StoreRights, acl_of, document_id, library_prefix
from adapters.teams.sharepoint_items import content_hash
from retrieval.access import Acl, Level
from retrieval.analysis import language_of
from retrieval.errors import IngestError
from retrieval.ingest.connectors import FailedDocument, FoundDocument, LoadedDocument, SkippedFile
from retrieval.ingest.convert import MAX_SIZE_BYTES, Converted, convert, supported_endings
from retrieval.links import web_link
from retrieval.types import Document

_FOR_ALL = frozenset({"noToken", "unreachable"})
"""What one file fails with, all others would."""


class SharePointAway(IngestError):
    """
    Graph does not answer now; nothing was changed.

    Attributes:
        after_s: When Graph wants to be asked again, if it says so.
    """

    def __init__(self, text: str, after_s: float | None = None) -> None:
        super().__init__(text)
        self.after_s = after_s


class SharePointConnector:
    """
    `Connector` over one library.

    Attributes:
        away: Graph wants no more questions now; until the next sync every further document fails.
    """

    def __init__(
        self,
        mirror: DriveMirror,
        library: Library,
        *,
        level: Level = Level.INTERNAL,
        rights: StoreRights,
    ) -> None:
        self._mirror = mirror
        self._library = library
        self._level = level
        self._rights = rights
        self._listed: dict[str, DriveItem] = {}
        self.away: SharePointAway | None = None

    @property
    def source(self) -> str:
        return self._library.source

    async def listing(self) -> AsyncIterator[FoundDocument | FailedDocument | SkippedFile]:
        try:
            files = await self._mirror.refresh(self._rights, is_wanted=_is_wanted)
        except GraphFailure as failure:
            if not is_refusal(failure):
                raise _away(self.source, failure) from failure
            # Who may read what is in it is not known any more: all of it is nobody's.
            everything = library_prefix(self._library.drive)
            reason = (
                f"{self.source}: SharePoint refuses ({failure.code or failure.status}); check that it is "
                "there, and that the app may read it"
            )
            yield FailedDocument(everything, reason)
            return
        self._listed = {document_id(self._library.drive, item.id): item for item in files}
        left_out: Counter[str] = Counter()
        for id, item in self._listed.items():
            found = self._found(id, item)
            if found is not None:
                yield found
            if isinstance(found, FoundDocument):
                left_out += Counter(item.left_out)
        if left_out:
            yield SkippedFile("some of the permissions", _listed(left_out))

    async def load(self, document_id: str) -> LoadedDocument:
        item = self._listed.get(document_id)
        if item is None:
            raise IngestError(f"{document_id}: is not in {self.source}")
        if self.away is not None:
            raise IngestError(f"{item.name}: not read yet, Microsoft Graph wants to rest")
        try:
            return await self._load(document_id, item)
        except GraphFailure as failure:
            away = _away(item.name, failure)
            if failure.is_throttled or failure.code in _FOR_ALL:
                self.away = away
            raise away from failure

    def _found(
        self, id: str, item: DriveItem
    ) -> FoundDocument | FailedDocument | SkippedFile | None:
        if item.name.startswith((".", "~$")):
            return None
        if _ending(item) not in supported_endings():
            ending = _ending(item) or "without ending"
            return SkippedFile(item.name, f"unsupported type {ending}")
        if reason := _unusable(item):
            return FailedDocument(id, f"{item.name}: {reason}")
        if item.refusal:
            return FailedDocument(id, f"{item.name}: {item.refusal}")
        if not item.principals:
            return FailedDocument(id, f"{item.name}: {_for_nobody(item.left_out)}")
        return FoundDocument(id, self._acl(item), content_hash(item))

    async def _load(self, id: str, listed: DriveItem) -> LoadedDocument:
        """
        Content between two looks at the file, and the permissions too: those that are valid with this
        very content. What changes meanwhile is left to the next sync.
        """
        before, told = await self._mirror.item(listed.id)
        if before is None or (before.tag, before.name) != (listed.tag, listed.name):
            raise IngestError(f"{listed.name}: has just changed; the next sync reads it")
        if _is_draft(told):
            raise IngestError(
                f"{listed.name}: is a draft or checked out, and not for all its readers; publish it"
            )
        raw = await self._mirror.content(listed.id, max_bytes=MAX_SIZE_BYTES)
        item = await self._mirror.with_rights(listed)
        after, _ = await self._mirror.item(listed.id)
        if after is None or after.tag != listed.tag:
            raise IngestError(f"{listed.name}: has just changed; the next sync reads it")
        converted = await asyncio.to_thread(convert, listed.name, raw)
        return LoadedDocument(self._document(id, item, converted), converted.markdown)

    def _document(self, id: str, item: DriveItem, converted: Converted) -> Document:
        metadata = converted.metadata
        return Document(
            id=id,
            source=self.source,
            title=converted.title,
            acl=self._acl(item),
            content_hash=content_hash(item),
            link=web_link(item.link),
            owner=item.owner or None,
            language=metadata.language or language_of(converted.markdown[:10_000]),
            version=metadata.version,
            modified_at=_moment(item.modified_at) or metadata.updated,
            review_at=metadata.review,
        )

    def _acl(self, item: DriveItem) -> Acl:
        return acl_of(item, self._level)


def _is_wanted(item: DriveItem) -> bool:
    """Whether its permissions are worth a question."""
    is_document = not item.name.startswith((".", "~$")) and _ending(item) in supported_endings()
    return is_document and not _unusable(item)


def _unusable(item: DriveItem) -> str:
    if item.problem:
        return item.problem
    if item.size_bytes == 0:
        return "is empty; write something into it or remove it"
    if item.size_bytes > MAX_SIZE_BYTES:
        return (
            f"has {item.size_bytes // 2**20} MB, more than {MAX_SIZE_BYTES // 2**20} MB; split it"
        )
    return ""


def _ending(item: DriveItem) -> str:
    return PurePath(item.name).suffix.lower()


def _for_nobody(left_out: Mapping[str, int]) -> str:
    kinds = _listed(left_out) or "no permissions"
    return f"is for nobody whom we know ({kinds}); see docs/sharepoint.md"


def _listed(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {kind}" for kind, count in sorted(left_out.items()))


def _is_draft(told: Mapping[str, Any]) -> bool:
    """
    Whether the latest version is one that only those who edit it see.

    The app is given that version, and the permissions do not tell.
    """
    publication = told.get("publication")
    if not isinstance(publication, Mapping):
        return False
    version = str(publication.get("versionId") or "")
    return publication.get("level") != "published" or bool(version and not version.endswith(".0"))


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _away(what: str, failure: GraphFailure) -> SharePointAway:
    reason = failure.code or failure.status or "no answer"
    return SharePointAway(
        f"{what}: Microsoft Graph does not give it now ({reason}); the next sync tries again",
        failure.retry_after_s,
    )
