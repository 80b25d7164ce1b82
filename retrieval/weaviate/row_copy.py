"""Makes the rows of one collection as those of an older one are, again and again if need be."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from weaviate.classes.config import ConsistencyLevel
from weaviate.classes.data import DataObject
from weaviate.classes.query import MetadataQuery

from retrieval.weaviate.batches import PAGE_ROWS, Row, delete_rows, insert, pages
from retrieval.weaviate.connection import Connection
from retrieval.weaviate.layout import Kind, Layout

Upgrade = Callable[[Kind, dict[str, Any]], dict[str, Any]]
"""A row's properties in one schema version as they are in the next."""

UPGRADES: Mapping[int, Upgrade] = {}
"""By the version that they start from."""

_COPY_ROWS = 100
_LAST = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Move:
    """
    From one collection to another.

    Attributes:
        version: Of the old one.
        properties: Of the old one, by name.
    """

    kind: Kind
    alias: str
    old: str
    new: str
    version: int
    properties: tuple[str, ...]
    embedder_name: str | None


class RowCopy:
    """
    A copied row keeps when the old one last changed, as the server of the old one said it.

    So what is missing, what has changed and what is gone can be told by comparing the two, whoever
    made the copy and whenever.
    """

    def __init__(
        self,
        move: Move,
        layout: Layout,
        upgrades: Mapping[int, Upgrade],
        *,
        before_change: Callable[[], Awaitable[None]],
        on_rows: Callable[[int], None],
    ) -> None:
        self._move = move
        self._layout = layout
        self._upgrades = upgrades
        self._before_change = before_change
        self._on_rows = on_rows

    async def run(self, connection: Connection) -> int:
        """Bring one tenant's rows in line; how many differed."""
        move, after, changes = self._move, UUID(int=0), 0
        while True:
            # A window of ids is compared whole before anything in it is changed.
            old = await _old_stamps(connection, move.old, after)
            is_last = len(old) < PAGE_ROWS
            upto = _LAST if is_last else max(old)
            new = await _new_stamps(connection, move.new, after, upto)
            differing = [row for row, stamp in old.items() if new.get(row) != stamp]
            for page in pages(differing, _COPY_ROWS):
                await self._before_change()
                await self._copy(connection, page)
            if gone := [row for row in new if row not in old]:
                await self._before_change()
                await delete_rows(connection, move.new, gone)
            changes += len(differing) + len(gone)
            self._on_rows(len(old))
            if is_last:
                return changes
            after = upto

    async def _copy(self, connection: Connection, ids: list[UUID]) -> None:
        move = self._move
        has_vector = move.kind is Kind.VECTOR
        found = await connection.ask(
            move.old,
            lambda c: c.query.fetch_objects_by_ids(
                ids,
                limit=len(ids),
                include_vector=has_vector,
                return_properties=list(move.properties),
                return_metadata=MetadataQuery(last_update_time=True),
            ),
            "reading rows to copy",
        )

        def rows() -> list[Row]:
            return [
                DataObject(
                    properties=self._upgraded(dict(row.properties)) | {"copied_at": _stamp(row)},
                    uuid=row.uuid,
                    vector=_vector(row) if has_vector else None,
                )
                for row in found.objects
            ]

        await insert(
            connection, move.new, await asyncio.to_thread(rows), level=ConsistencyLevel.ALL
        )

    def _upgraded(self, properties: dict[str, Any]) -> dict[str, Any]:
        kind = self._move.kind
        for version in range(self._move.version, self._layout.version):
            properties = self._upgrades[version](kind, properties)
        known = {field.name for field in self._layout.fields[kind]}
        return {k: v for k, v in properties.items() if k in known and v is not None}


async def _old_stamps(connection: Connection, collection: str, after: UUID) -> dict[UUID, int]:
    """When each of the next rows last changed, by id, in the order of ids."""
    found = await connection.ask(
        collection,
        lambda c: c.query.fetch_objects(
            after=after,
            limit=PAGE_ROWS,
            return_properties=[],
            return_metadata=MetadataQuery(last_update_time=True),
        ),
        "comparing rows",
    )
    return {row.uuid: _stamp(row) for row in found.objects}


async def _new_stamps(
    connection: Connection, collection: str, after: UUID, upto: UUID
) -> dict[UUID, int | None]:
    """What the rows between two ids were copied from."""
    stamps: dict[UUID, int | None] = {}
    while True:
        found = await connection.ask(
            collection,
            lambda c, after=after: c.query.fetch_objects(  # type: ignore[misc]
                after=after, limit=PAGE_ROWS, return_properties=["copied_at"]
            ),
            "comparing rows",
        )
        for row in found.objects:
            if row.uuid > upto:
                return stamps
            stamps[row.uuid] = row.properties.get("copied_at")
        if len(found.objects) < PAGE_ROWS:
            return stamps
        after = found.objects[-1].uuid


def _stamp(row: Any) -> int:
    """In milliseconds, as the server counts."""
    changed_at: datetime = row.metadata.last_update_time
    return round(changed_at.timestamp() * 1000)


def _vector(row: Any) -> list[float]:
    return list(row.vector["default"])
