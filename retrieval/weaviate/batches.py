"""Many rows at once: written in batches that fit a message, updated side by side, deleted until none is left."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from weaviate.classes.config import ConsistencyLevel
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.collections.classes.filters import FilterReturn

from retrieval.errors import StoreError, StoreUnavailable
from retrieval.weaviate.connection import Connection, status_of

PAGE_ROWS = 1000
"""How many rows one read asks for; the server refuses to go beyond 10,000."""

_BATCH_ROWS = 100
_BATCH_BYTES = 4_000_000
_SIDE_BY_SIDE = 6
Row = DataObject[Any, Any]


async def insert(
    connection: Connection, collection: str, rows: Sequence[Row], *, level: ConsistencyLevel
) -> None:
    """
    Insert or replace, by the rows' ids.

    Raises:
        ValueError: If a vector's length is not that of the others.
        StoreUnavailable: If not all of them were written; which ones is not known.
    """
    for batch in _batches(rows):
        try:
            result = await connection.change(
                collection,
                lambda c, batch=batch: c.data.insert_many(batch),  # type: ignore[misc]
                "a write",
                level=level,
            )
        except StoreError as error:
            _raise_if_about_dimensions(error.__cause__)
            raise
        if result.errors:
            reason = next(iter(result.errors.values())).message
            _raise_if_about_dimensions(reason)
            # Without the reason: it may repeat what was to be written, and ends in a log.
            raise StoreUnavailable(
                f"Weaviate did not write {len(result.errors)} of {len(batch)} rows; its own log says why"
            )


async def update(
    connection: Connection, collection: str, changes: Mapping[UUID, Mapping[str, Any]]
) -> None:
    """
    Change properties of rows on every replica; rows that are gone are left out.

    One request each, since Weaviate updates no other way, but several under way at once.
    """
    waiting = iter(changes.items())

    async def work() -> None:
        for row, properties in waiting:
            try:
                await connection.change(
                    collection,
                    lambda c, row=row, properties=properties: c.data.update(row, dict(properties)),  # type: ignore[misc]
                    "an update",
                )
            except StoreError as error:
                if status_of(error) != 404:
                    raise

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_SIDE_BY_SIDE, len(changes))):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def delete(connection: Connection, collection: str, where: FilterReturn) -> None:
    """Delete every row that meets *where*, on every replica; the server takes 10,000 at a time."""
    while True:
        done = await connection.change(
            collection, lambda c: c.data.delete_many(where=where), "a deletion"
        )
        if done.failed:
            raise StoreUnavailable(f"Weaviate did not delete {done.failed} of {done.matches} rows")
        if not done.matches:
            return


async def delete_rows(connection: Connection, collection: str, rows: Iterable[UUID]) -> None:
    for page in pages(list(rows), PAGE_ROWS):
        await delete(connection, collection, Filter.by_id().contains_any(page))


async def read_rows(
    connection: Connection, collection: str, rows: Sequence[UUID], properties: list[str], what: str
) -> dict[UUID, Any]:
    """The properties of those rows that exist, by id."""
    found: dict[UUID, Any] = {}
    for page in pages(rows, PAGE_ROWS // 4):
        answer = await connection.ask(
            collection,
            # The driver's own "by ids" sends one condition for each, and takes ten times as long for it.
            lambda c, page=page: c.query.fetch_objects(  # type: ignore[misc]
                filters=Filter.by_id().contains_any(page),
                limit=len(page),
                return_properties=properties,
            ),
            what,
        )
        found |= {UUID(str(row.uuid)): row.properties for row in answer.objects}
    return found


async def read_all(
    connection: Connection, collection: str, properties: list[str], what: str
) -> AsyncIterator[tuple[UUID, Any]]:
    """Every row, in the order of ids; a cursor, since pages end at 10,000."""
    after = UUID(int=0)
    while True:
        answer = await connection.ask(
            collection,
            lambda c, after=after: c.query.fetch_objects(  # type: ignore[misc]
                after=after, limit=PAGE_ROWS, return_properties=properties
            ),
            what,
        )
        for row in answer.objects:
            yield row.uuid, row.properties
        if len(answer.objects) < PAGE_ROWS:
            return
        after = answer.objects[-1].uuid


def pages(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def is_about_dimensions(error: object) -> bool:
    text = str(error)
    return "vector lengths don't match" in text or "vector dimensions do not match" in text


def _raise_if_about_dimensions(reason: object) -> None:
    if is_about_dimensions(reason):
        raise ValueError("these vectors have other dimensions than those that are stored")


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size_bytes = 0
    for row in rows:
        row_bytes = _size_bytes(row)
        if batch and (len(batch) == _BATCH_ROWS or size_bytes + row_bytes > _BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(row)
        size_bytes += row_bytes
    if batch:
        yield batch


def _size_bytes(row: Row) -> int:
    texts = (value for value in row.properties.values() if isinstance(value, str))
    vector = 0 if row.vector is None else 4 * len(row.vector)
    return vector + sum(len(text.encode()) for text in texts)
