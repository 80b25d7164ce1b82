"""Moves the rows of all tenants to collections of the current layout while searches, and mostly writes, go on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from weaviate import WeaviateAsyncClient

from retrieval.errors import StoreDamaged, StoreError
from retrieval.weaviate.address import Address
from retrieval.weaviate.connection import WRITE_TIMEOUT_S, Connection
from retrieval.weaviate.gate import LOOK_EVERY_S
from retrieval.weaviate.layout import Kind, Names
from retrieval.weaviate.migration_lock import STALE_S, MigrationLock
from retrieval.weaviate.row_copy import UPGRADES, Move, RowCopy, Upgrade
from retrieval.weaviate.schema import (
    LiveSchema,
    embedder_in,
    make_collection,
    make_tenants,
    read_schema,
    wrong_in,
)

_PASSES = 3
_FEW_CHANGES = 1000
_ORDER = [Kind.ACL_SET, Kind.VECTOR, Kind.CHUNK, Kind.DOCUMENT]


class MigrationStep(StrEnum):
    WAITING = "waiting"
    COPYING = "copying"
    CATCHING_UP = "catching_up"
    SWITCHING = "switching"
    CLEARING = "clearing"


OnMigrationProgress = Callable[[MigrationStep, int, int], None]
"""The step, how many rows of it are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Pace:
    """
    How long a migration waits for others.

    Attributes:
        settle_s: From closing for writers to the last look: until then whoever was let through is done.
        grace_s: From switching to removing the old collections, for searches that still use them.
        stale_s: For a sign of life of a migration that seems to have been broken off.
    """

    settle_s: float = LOOK_EVERY_S + WRITE_TIMEOUT_S + 4.0
    grace_s: float = 15.0
    stale_s: float = STALE_S


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """
    Attributes:
        moved: Number of rows by alias.
        dropped: Old collections that are gone.
    """

    tenants: int
    moved: Mapping[str, int]
    dropped: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not self.moved and not self.dropped


@asynccontextmanager
async def open_migration(
    *,
    url: str,
    grpc_url: str | None = None,
    api_key: str | None = None,
    replicas: int = 1,
    name_prefix: str = "Shifu",
    pace: Pace | None = None,
    upgrades: Mapping[int, Upgrade] = UPGRADES,
) -> AsyncIterator["Migration"]:
    """
    Raises:
        StoreUnavailable: If no server answers.
        StoreError: If an argument or the key is wrong.
    """
    address = Address.parse(url, grpc_url)

    @asynccontextmanager
    async def connect(tenant: str) -> AsyncIterator[Connection]:
        connection = Connection(address, api_key=api_key, tenant=tenant, timeout_s=WRITE_TIMEOUT_S)
        await connection.open()
        try:
            yield connection
        finally:
            await connection.close()

    async with connect("") as connection:
        yield Migration(
            connection,
            connect,
            Names(name_prefix),
            replicas=replicas,
            pace=pace or Pace(),
            upgrades=upgrades,
        )


class Migration:
    """
    Old collections are brought to the current layout beside the aliases, which are switched at the end.

    Bringing the new in line with the old (`RowCopy`) is the first copy, the catching up, and the
    going on after a kill. What others do to the old ones meanwhile is caught up with.

    Writers go on while most is copied. For the last look they are kept out by an alias that `Gate`
    looks for, and only once those that were let through before must have ended is that look taken:
    a right that was taken away, or a document that was deleted, in the old is so in the new.
    """

    def __init__(
        self,
        connection: Connection,
        connect: Callable[[str], Any],
        names: Names,
        *,
        replicas: int,
        pace: Pace,
        upgrades: Mapping[int, Upgrade],
    ) -> None:
        self._connection = connection
        self._connect = connect
        self._names = names
        self._replicas = replicas
        self._pace = pace
        self._upgrades = upgrades
        self._done = 0
        self._total = 0

    async def run(self, *, on_progress: OnMigrationProgress) -> MigrationReport:
        """
        Do what there is to do; broken off anywhere, the next run goes on from there.

        Raises:
            StoreDamaged: If a collection cannot be moved; the text says what to do instead.
            StoreError: If another migration is running.
            StoreUnavailable: If the server stops answering.
        """
        if not self._is_due(await read_schema(self._connection)):
            return MigrationReport(0, {}, ())
        lock = MigrationLock(
            self._connection,
            self._names,
            stale_s=self._pace.stale_s,
            on_wait=lambda: on_progress(MigrationStep.WAITING, 0, 0),
        )
        async with lock:
            live = await read_schema(self._connection)
            if self._names.closed in live.aliases:
                # Left by a migration that was killed. There is much to do before the last look.
                await self._reopen()
            tenants, moved = set[str](), dict[str, int]()
            # Again, for what an old process has made of its old layout meanwhile.
            while moves := self._moves(live):
                for move in moves:
                    await self._make_target(move, live)
                await self._move(moves, lock, on_progress, tenants, moved)
                live = await read_schema(self._connection)
            dropped = await self._drop_old(lock, on_progress)
        return MigrationReport(len(tenants), moved, dropped)

    def _is_due(self, live: LiveSchema) -> bool:
        return bool(
            self._moves(live)
            or self._left_over(live)
            or self._names.closed in live.aliases
            or any(name.startswith(self._names.lock) for name in live.collections)
        )

    def _moves(self, live: LiveSchema) -> list[Move]:
        """What is not of the current layout, whoever made it so."""
        names, moves = self._names, list[Move]()
        kinds: dict[str, Kind] = {
            names.alias(kind): kind for kind in (Kind.DOCUMENT, Kind.CHUNK, Kind.ACL_SET)
        }
        for name in live.collections:
            own = names.parse(name)
            if own is not None and own.space is not None:
                kinds[own.alias] = Kind.VECTOR
        # Access lists first, and what refers to others last.
        for alias, kind in sorted(kinds.items(), key=lambda item: _ORDER.index(item[1])):
            space = names.space(alias)
            target = live.aliases.get(alias, names.collection(kind, space))
            config = live.collections.get(target)
            if config is None:
                continue
            own = names.parse(target)
            version = own.version if own else 0
            if version > names.layout.version:
                raise StoreDamaged(
                    f"the collection {target} was made by a newer Shifu; update this one"
                )
            wrong = wrong_in(names.layout, kind, config)
            if version == names.layout.version and not wrong:
                continue
            if not config.multi_tenancy_config.enabled:
                raise StoreDamaged(
                    f"the collection {target} has no tenants, so nothing in it is Shifu's to move. "
                    "Delete it and run `shifu ingest`."
                )
            for step in range(version, names.layout.version):
                if step not in self._upgrades:
                    raise StoreDamaged(
                        f"the collection {target} has schema version {version}, from which this "
                        "Shifu knows no way. Delete it and run `shifu ingest`."
                    )
            new = names.collection(kind, space)
            if new == target:
                new = names.collection(kind, space, is_rebuilt=True)
            moves.append(
                Move(
                    kind,
                    alias,
                    target,
                    new,
                    version,
                    tuple(prop.name for prop in config.properties),
                    embedder_in(config) if space else None,
                )
            )
        return moves

    def _left_over(self, live: LiveSchema) -> list[str]:
        """Collections from which an alias has been switched away."""
        found = []
        for name in live.collections:
            own = self._names.parse(name)
            if own is None or own.version > self._names.layout.version:
                continue
            if live.aliases.get(own.alias, name) != name:
                found.append(name)
        return found

    async def _make_target(self, move: Move, live: LiveSchema) -> None:
        layout = self._names.layout
        found = live.collections.get(move.new)
        if found is not None and wrong_in(layout, move.kind, found):
            await self._connection.administer(
                lambda client: client.collections.delete(move.new), "removing a broken collection"
            )
            found = None
        if found is None:
            await make_collection(
                self._connection,
                layout,
                move.kind,
                move.new,
                embedder_name=move.embedder_name,
                replicas=self._replicas,
            )

    async def _move(
        self,
        moves: list[Move],
        lock: MigrationLock,
        on_progress: OnMigrationProgress,
        tenants: set[str],
        moved: dict[str, int],
    ) -> None:
        self._total = await self._count(moves)
        step = MigrationStep.COPYING
        for _ in range(_PASSES):
            changes = await self._bring_in_line(moves, lock, step, on_progress)
            if changes < _FEW_CHANGES:
                break
            step = MigrationStep.CATCHING_UP
        async with self._closed(lock):
            on_progress(MigrationStep.SWITCHING, 0, self._total)
            await asyncio.sleep(self._pace.settle_s)
            await self._bring_in_line(moves, lock, MigrationStep.SWITCHING, on_progress)
            for move in moves:
                tenants.update(await self._tenants(move.old))
                moved[move.alias] = await self._count([move])
            for move in moves:
                await lock.check()
                await self._switch(move)
            for move in moves:
                # A tenant that was made at this very moment.
                await self._add_tenants(move, await self._tenants(move.old))

    async def _bring_in_line(
        self,
        moves: list[Move],
        lock: MigrationLock,
        step: MigrationStep,
        on_progress: OnMigrationProgress,
    ) -> int:
        """Make the new collections as the old ones are; how many rows differed."""
        self._done = changes = 0
        by_tenant: dict[str, list[Move]] = {}
        for move in moves:
            tenants = await self._tenants(move.old)
            await self._align_tenants(move, tenants)
            for tenant in tenants:
                by_tenant.setdefault(tenant, []).append(move)

        def on_rows(count: int) -> None:
            self._done += count
            on_progress(step, self._done, max(self._total, self._done))

        for tenant, its_moves in by_tenant.items():
            async with self._connect(tenant) as connection:
                for move in its_moves:
                    copy = RowCopy(
                        move,
                        self._names.layout,
                        self._upgrades,
                        before_change=lock.check,
                        on_rows=on_rows,
                    )
                    changes += await copy.run(connection)
        return changes

    async def _tenants(self, collection: str) -> list[str]:
        async def read(client: WeaviateAsyncClient) -> list[str]:
            found = await client.collections.use(collection).tenants.get()
            asleep = [t.name for t in found.values() if str(t.activity_status.value) != "ACTIVE"]
            if asleep:
                raise StoreError(
                    f"tenants of {collection} are not active, so they cannot be moved: "
                    f"{', '.join(sorted(asleep))}. Activate them, or remove them."
                )
            return sorted(found)

        return await self._connection.administer(read, "looking for tenants")

    async def _align_tenants(self, move: Move, tenants: list[str]) -> None:
        await self._add_tenants(move, tenants)
        if gone := set(await self._tenants(move.new)) - set(tenants):
            await self._connection.administer(
                lambda client: client.collections.use(move.new).tenants.remove(sorted(gone)),
                "removing tenants",
            )

    async def _add_tenants(self, move: Move, tenants: list[str]) -> None:
        there = await self._tenants(move.new)
        if missing := [tenant for tenant in tenants if tenant not in there]:
            await make_tenants(self._connection, move.new, missing)

    async def _count(self, moves: list[Move]) -> int:
        total = 0
        for move in moves:
            for tenant in await self._tenants(move.old):

                async def count(
                    client: WeaviateAsyncClient, name: str = move.old, tenant: str = tenant
                ) -> int:
                    rows = client.collections.use(name).with_tenant(tenant)
                    return (await rows.aggregate.over_all(total_count=True)).total_count or 0

                total += await self._connection.administer(count, "counting")
        return total

    @asynccontextmanager
    async def _closed(self, lock: MigrationLock) -> AsyncIterator[None]:
        """
        Meanwhile nobody may change rows.

        Open again whatever happens: until the last alias is switched each kind of rows is wholly old
        or wholly new, and a later run compares what is still old.
        """
        await self._connection.administer(
            lambda client: client.alias.create(
                alias_name=self._names.closed, target_collection=lock.collection
            ),
            "closing for writers",
        )
        try:
            yield
        finally:
            live = await read_schema(self._connection)
            # Who has taken over closes and opens for itself.
            if live.aliases.get(self._names.closed) == lock.collection:
                await self._reopen()

    async def _reopen(self) -> None:
        await self._connection.administer(
            lambda client: client.alias.delete(alias_name=self._names.closed),
            "opening for writers",
        )

    async def _switch(self, move: Move) -> None:
        async def switch(client: WeaviateAsyncClient) -> None:
            if not await client.alias.update(alias_name=move.alias, new_target_collection=move.new):
                await client.alias.create(alias_name=move.alias, target_collection=move.new)

        await self._connection.administer(switch, "switching to the new collection")

    async def _drop_old(
        self, lock: MigrationLock, on_progress: OnMigrationProgress
    ) -> tuple[str, ...]:
        old = self._left_over(await read_schema(self._connection))
        if old:
            on_progress(MigrationStep.CLEARING, 0, len(old))
            await asyncio.sleep(self._pace.grace_s)
        for done, name in enumerate(old, start=1):
            await lock.check()
            await self._connection.administer(
                lambda client, name=name: client.collections.delete(name),  # type: ignore[misc]
                "removing an old collection",
            )
            on_progress(MigrationStep.CLEARING, done, len(old))
        return tuple(old)
