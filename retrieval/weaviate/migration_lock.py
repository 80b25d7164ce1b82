"""One migration at a time: a lock that a killed process cannot keep, and that a stalled one notices it has lost."""

import asyncio
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog
from weaviate import WeaviateAsyncClient
from weaviate.classes.config import Configure, DataType, Property
from weaviate.classes.data import DataObject

from retrieval.errors import StoreError, StoreUnavailable
from retrieval.weaviate.connection import WRITE_TIMEOUT_S, Connection, status_of
from retrieval.weaviate.layout import Names

STALE_S = WRITE_TIMEOUT_S + 30.0
"""So long after the last sign of life of a migration another may take its place."""

_BEAT_S = 5.0
_CHECK_S = 1.0
_BEAT_ROW = uuid.UUID(int=1)

log = structlog.get_logger()


class MigrationLock:
    """
    A collection with a number in its name, which the server lets only one client make.

    The holder writes a beat into it. Whoever sees no new beat for a while makes the collection
    with the next number, and the one before has lost the lock. All clocks are one's own.
    """

    def __init__(
        self, connection: Connection, names: Names, *, stale_s: float, on_wait: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._names = names
        self._stale_s = stale_s
        self._on_wait = on_wait
        self._holder = uuid.uuid4().hex
        self._number = 0
        self._checked_at = float("-inf")
        self._beating: asyncio.Task[None] | None = None

    @property
    def collection(self) -> str:
        return f"{self._names.lock}{self._number}"

    async def __aenter__(self) -> Self:
        """
        Raises:
            StoreError: If another migration is running.
        """
        held = await self._held()
        last = max(held, default=0)
        if last and not await self._is_abandoned(last):
            raise StoreError("another `shifu store migrate` is running; wait until it is done")
        self._number = last + 1
        await self._make()
        for number in held:
            await self._remove(number)
        self._beating = asyncio.create_task(self._beat())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        if (await self._held()).get(self._number) == self._holder:
            await self._remove(self._number)

    async def check(self) -> None:
        """
        Before every change that only the holder may make.

        Raises:
            StoreError: If the lock has been lost.
        """
        now = time.monotonic()
        if now - self._checked_at < _CHECK_S:
            return
        held = await self._held()
        if held.get(self._number) != self._holder or max(held) != self._number:
            raise StoreError(
                "another `shifu store migrate` has taken over, since this one did not get on; "
                "nothing is lost"
            )
        self._checked_at = now

    async def _held(self) -> dict[int, str]:
        """Who holds, by number."""

        async def read(client: WeaviateAsyncClient) -> dict[int, str]:
            prefix = self._names.lock
            return {
                int(name[len(prefix) :]): config.description or ""
                for name, config in (await client.collections.list_all(simple=True)).items()
                if name.startswith(prefix) and name[len(prefix) :].isdigit()
            }

        return await self._connection.administer(read, "looking for other migrations")

    async def _make(self) -> None:
        async def make(client: WeaviateAsyncClient) -> None:
            await client.collections.create(
                self.collection,
                description=self._holder,
                properties=[Property(name="beat", data_type=DataType.INT)],
                vector_config=Configure.Vectors.self_provided(
                    vector_index_config=Configure.VectorIndex.none()
                ),
            )

        try:
            await self._connection.administer(make, "locking out other migrations")
        except StoreUnavailable as error:
            if status_of(error) != 422:
                raise
            raise StoreError("another `shifu store migrate` has just been started") from error

    async def _remove(self, number: int) -> None:
        name = f"{self._names.lock}{number}"
        await self._connection.administer(
            lambda client: client.collections.delete(name), "removing a lock"
        )

    async def _is_abandoned(self, number: int) -> bool:
        first = await self._beat_of(number)
        until = time.monotonic() + self._stale_s
        while time.monotonic() < until:
            self._on_wait()
            await asyncio.sleep(min(_CHECK_S, self._stale_s / 2))
            if number not in await self._held():
                return True
            if await self._beat_of(number) != first:
                return False
        return True

    async def _beat_of(self, number: int) -> int | None:
        """None before the first, and after the end."""

        async def read(client: WeaviateAsyncClient) -> int | None:
            rows = client.collections.use(f"{self._names.lock}{number}")
            found = await rows.query.fetch_objects(limit=1, return_properties=["beat"])
            return int(str(found.objects[0].properties["beat"])) if found.objects else None

        try:
            return await self._connection.administer(read, "looking for other migrations")
        except StoreUnavailable:
            # Not there yet, or no more: somebody makes or removes it at this moment.
            await self._held()
            return None

    async def _beat(self) -> None:
        beat = 0
        while True:
            beat += 1

            async def write(client: WeaviateAsyncClient, beat: int = beat) -> None:
                row = DataObject(properties={"beat": beat}, uuid=_BEAT_ROW)
                await client.collections.use(self.collection).data.insert_many([row])

            try:
                await self._connection.administer(write, "keeping the lock")
            except StoreError as error:
                # The work itself fails soon enough, and says more.
                log.warning("weaviate.lock_not_kept", reason=str(error))
            await asyncio.sleep(_BEAT_S)
