"""Which embedders have vectors of a tenant, and how those of one are given up."""

from collections.abc import Callable
from dataclasses import dataclass

from weaviate import WeaviateAsyncClient
from weaviate.classes.query import Filter

from retrieval.weaviate.batches import PAGE_ROWS, update
from retrieval.weaviate.connection import Connection
from retrieval.weaviate.layout import Kind, Names
from retrieval.weaviate.schema import embedder_in, read_schema


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """
    Attributes:
        space: As rows name it.
        alias: Under which its collection is used.
        embedder_name: As people know it.
    """

    space: str
    alias: str
    collection: str
    embedder_name: str


async def spaces_of(connection: Connection, names: Names, tenant: str) -> list[VectorSpace]:
    """The vector spaces in which *tenant* has a part, in order of their names."""
    live = await read_schema(connection)
    found: list[VectorSpace] = []
    for name, config in live.collections.items():
        own = names.parse(name)
        # One that an alias no longer stands for is a migration's, unless no other is there for it.
        if own is None or own.space is None or live.aliases.get(own.alias, name) != name:
            continue
        exists = await connection.administer(
            lambda client, name=name: client.collections.use(name).tenants.exists(tenant),  # type: ignore[misc]
            "looking for the tenant",
        )
        if exists:
            found.append(VectorSpace(own.space, own.alias, name, embedder_in(config)))
    return sorted(found, key=lambda space: space.space)


async def drop_space(
    connection: Connection,
    names: Names,
    tenant: str,
    gone: VectorSpace,
    *,
    on_rows: Callable[[int], None],
) -> None:
    """
    Give up the tenant's vectors of one embedder, and the collection with its last tenant.

    Chunks are told first: one that claims a vector which is not there would never get one again.
    Whoever still searches with that embedder finds by words alone no longer, but fails.
    """
    await _forget(connection, names.alias(Kind.CHUNK), gone.space, on_rows)

    async def drop(client: WeaviateAsyncClient) -> None:
        collection = client.collections.use(gone.collection)
        if set(await collection.tenants.get()) - {tenant}:
            await collection.tenants.remove(tenant)
            return
        await client.alias.delete(alias_name=gone.alias)
        await client.collections.delete(gone.collection)

    await connection.administer(drop, "dropping vectors")
    # What was written between the two, by somebody who had that embedder after all.
    await _forget(connection, names.alias(Kind.CHUNK), gone.space, on_rows)


async def _forget(
    connection: Connection, chunks: str, space: str, on_rows: Callable[[int], None]
) -> None:
    done = 0
    while True:
        found = await connection.ask(
            chunks,
            lambda c: c.query.fetch_objects(
                filters=Filter.by_property("spaces").contains_any([space]),
                limit=PAGE_ROWS,
                return_properties=["spaces"],
            ),
            "looking for chunks with old vectors",
        )
        if not found.objects:
            return
        changes = {
            row.uuid: {"spaces": [other for other in row.properties["spaces"] if other != space]}
            for row in found.objects
        }
        await update(connection, chunks, changes)
        done += len(changes)
        on_rows(done)
