"""Keeps writers and a migration apart: whoever wants to change rows asks here first; searches never do."""

import asyncio
import time

import structlog
from weaviate import WeaviateAsyncClient

from retrieval.errors import StoreError, StoreUnavailable
from retrieval.weaviate.connection import Connection
from retrieval.weaviate.layout import Kind, Names

LOOK_EVERY_S = 1.0
"""For so long a writer goes on after it was let through; a migration waits longer than that."""

_PATIENCE_S = 120.0

log = structlog.get_logger()


class Gate:
    """Lets changes through unless a migration is at its end, or has made this process an old one."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._open_until = float("-inf")
        self._one_look = asyncio.Lock()

    async def admit(self) -> None:
        """
        Wait, if need be, until rows may be changed.

        Raises:
            StoreUnavailable: If a migration takes too long.
            StoreError: If the rows have moved to a layout that this version does not know.
        """
        if time.monotonic() < self._open_until:
            return
        async with self._one_look:
            started = time.monotonic()
            while (began := time.monotonic()) >= self._open_until:
                if not await self._is_closed():
                    self._open_until = began + LOOK_EVERY_S
                elif began - started > _PATIENCE_S:
                    raise StoreUnavailable(
                        "nothing can be changed while `shifu store migrate` finishes; documents can be "
                        "searched meanwhile. Try again in some minutes; if that command was broken "
                        "off, run it again."
                    )
                else:
                    log.warning("weaviate.waiting_for_migration")
                    await asyncio.sleep(LOOK_EVERY_S / 2)

    async def _is_closed(self) -> bool:
        async def targets(client: WeaviateAsyncClient) -> dict[str, str]:
            return {alias: a.collection for alias, a in (await client.alias.list_all()).items()}

        aliases = await self._connection.administer(targets, "asking whether rows may be changed")
        if self._names.closed in aliases:
            return True
        used = self._names.parse(aliases.get(self._names.alias(Kind.CHUNK), ""))
        if used is not None and used.version > self._names.layout.version:
            raise StoreError(
                "a newer Shifu has moved the documents to another schema version "
                f"({used.version}, this one knows {self._names.layout.version}). This process can "
                "still search them, but not change them; replace it by the newer one."
            )
        return False
