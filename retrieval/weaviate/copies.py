"""A tenant's documents as a copy of another store sees and changes them."""

from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.access import Acl
from retrieval.types import Document, IndexedDocument
from retrieval.weaviate.batches import read_all
from retrieval.weaviate.connection import Connection
from retrieval.weaviate.layout import Kind, Names
from retrieval.weaviate.rows import DOCUMENT_PROPERTIES, document_from
from retrieval.weaviate.writer import Writer


@dataclass(frozen=True, slots=True)
class CopiedDocument:
    """
    Attributes:
        is_ours: It was copied from the same store, and nobody else has changed it since.
    """

    document: Document
    is_ours: bool


class Copies:
    """
    Every change leaves a mark on the document's record, which any other writer's change removes.

    So what is still as it was copied can be told from what has a life of its own by now.
    """

    def __init__(self, connection: Connection, names: Names, writer: Writer, origin: str) -> None:
        self._connection = connection
        self._documents = names.alias(Kind.DOCUMENT)
        self._writer = writer
        self._origin = origin

    async def documents(self) -> dict[str, CopiedDocument]:
        found = {}
        properties = [*DOCUMENT_PROPERTIES, "origin"]
        async for _, row in read_all(
            self._connection, self._documents, properties, "listing documents"
        ):
            document = document_from(row)
            found[document.id] = CopiedDocument(document, row.get("origin") == self._origin)
        return found

    async def write(self, documents: Sequence[IndexedDocument]) -> None:
        await self._writer.write(documents, origin=self._origin)

    async def change_acl(self, document_id: str, acl: Acl) -> None:
        await self._writer.change_acl(document_id, acl, origin=self._origin)

    async def delete(self, document_ids: Sequence[str]) -> int:
        return await self._writer.delete(document_ids, origin=self._origin)
