"""A library's documents in the store: how they are called, and who may read them."""

from collections.abc import Collection

from adapters.teams.drive_ledger import DriveItem
from adapters.teams.libraries import PREFIX, Library
from retrieval.access import Acl, Level, Principal
from retrieval.store import ChunkStore
from retrieval.types import Document


class StoreRights:
    """
    What the store grants on a library's documents, narrowed while the permissions are still being read:
    that may take long, and what has been taken away must not wait for the last file.
    """

    def __init__(self, store: ChunkStore, library: Library, *, level: Level) -> None:
        self._store = store
        self._library = library
        self._level = level
        self._documents: dict[str, Document] | None = None

    async def keep_only(self, items: Collection[str]) -> None:
        documents = await self._known()
        kept = {document_id(self._library.drive, id) for id in items}
        if gone := [id for id in documents if id not in kept]:
            await self._store.delete(gone)
            for id in gone:
                del documents[id]

    async def narrow(self, item: DriveItem) -> None:
        documents = await self._known()
        document = documents.get(document_id(self._library.drive, item.id))
        if document is None:
            return
        acl = acl_of(item, self._level)
        if not document.acl.is_stricter_than(acl):
            await self._store.change_acl(document.id, document.acl.narrowed_to(acl))

    async def close_all(self) -> int:
        """Nobody may read any of it, until the permissions have been read again; how many were open."""
        open_ones = [d for d in (await self._known()).values() if d.acl.principals]
        for document in open_ones:
            await self._store.change_acl(document.id, Acl(frozenset(), document.acl.level))
        return len(open_ones)

    async def _known(self) -> dict[str, Document]:
        if self._documents is None:
            found = await self._store.documents(source=self._library.source)
            self._documents = {document.id: document for document in found}
        return self._documents


def document_id(drive: str, item: str) -> str:
    return f"{library_prefix(drive)}{item}"


def library_prefix(drive: str) -> str:
    return f"{PREFIX}{drive}/"


def drive_of(document_id: str) -> str | None:
    drive, slash, _ = document_id.removeprefix(PREFIX).partition("/")
    return drive if document_id.startswith(PREFIX) and slash else None


def acl_of(item: DriveItem, level: Level) -> Acl:
    return Acl(frozenset(Principal(principal) for principal in item.principals), level)
