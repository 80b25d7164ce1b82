"""The store as an operator moves it: to another layout or embedder, and from the state folder into Weaviate."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from adapters.app import open_embedder, open_store
from adapters.settings import ConfigurationError, Settings
from retrieval.embedded.export import EmbeddedExport
from retrieval.ingest.sync import Synchroniser
from retrieval.ingest.sync_report import SyncProgress
from retrieval.models import Embedder
from retrieval.store import ChunkStore
from retrieval.store_copy import CopyReport, CopyStep, copy_store
from retrieval.weaviate.layout import CURRENT
from retrieval.weaviate.migration import MigrationReport, MigrationStep, open_migration
from retrieval.weaviate_store import WeaviateStore

OnStep = Callable[[str, int, int], None]
"""What is being done, how much of it is, and of how much; 0 where that is not known."""

_COPY_STEPS = {
    CopyStep.RIGHTS: "Withdrawing rights",
    CopyStep.DOCUMENTS: "Copying documents",
    CopyStep.VECTORS: "Copying vectors",
}
_MIGRATION_STEPS = {
    MigrationStep.WAITING: "Looking whether another migration still runs",
    MigrationStep.COPYING: "Copying",
    MigrationStep.CATCHING_UP: "Catching up",
    MigrationStep.SWITCHING: "Switching; writers wait",
    MigrationStep.CLEARING: "Removing the old",
}
_COMPUTING = "Computing vectors"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Copied:
    report: CopyReport
    vectors_computed: int

    @property
    def summary(self) -> str:
        report = self.report
        counts = [
            (report.copied, f"copied ({report.chunks} chunks)"),
            (report.acl_changed, "with changed access"),
            (report.deleted, "deleted"),
            (report.unchanged, "there already"),
            (len(report.left_alone), "left as they are"),
        ]
        documents = ", ".join(f"{count} {what}" for count, what in counts if count)
        vectors = f"{report.vectors} vectors copied, {self.vectors_computed} computed"
        return f"documents: {documents or 'none'}; {vectors}"

    @property
    def json(self) -> dict[str, Any]:
        report = self.report
        return {
            "copied": report.copied,
            "chunks": report.chunks,
            "acl_changed": report.acl_changed,
            "deleted": report.deleted,
            "unchanged": report.unchanged,
            "left_alone": list(report.left_alone),
            "vectors_copied": report.vectors,
            "vectors_computed": self.vectors_computed,
        }


@dataclass(frozen=True, slots=True)
class Migrated:
    """
    Attributes:
        rows: What has moved; None where documents lie in the state folder.
        embedder_name: Whose vectors all chunks have now; None if words alone are searched.
        other_vectors: Names of other embedders that have vectors of this tenant.
    """

    rows: MigrationReport | None
    vectors_computed: int
    embedder_name: str | None
    other_vectors: tuple[str, ...]

    @property
    def summary(self) -> str:
        done = []
        if self.rows is not None and self.rows.moved:
            moved = sum(self.rows.moved.values())
            done.append(
                f"{moved} rows of {self.rows.tenants} tenants moved to schema version {CURRENT.version}"
            )
        if self.rows is not None and self.rows.dropped:
            done.append(f"{len(self.rows.dropped)} old collections removed")
        if self.vectors_computed:
            done.append(f"{self.vectors_computed} vectors computed by {self.embedder_name}")
        if done:
            return "; ".join(done)
        vectors = (
            f"all chunks have vectors of {self.embedder_name}"
            if self.embedder_name
            else "no embedder is set"
        )
        return f"nothing to do: the schema is the current one, and {vectors}"

    @property
    def json(self) -> dict[str, Any]:
        return {
            "schema_version": None if self.rows is None else CURRENT.version,
            "rows_moved": sum(self.rows.moved.values()) if self.rows else 0,
            "tenants": self.rows.tenants if self.rows else 0,
            "collections_removed": list(self.rows.dropped) if self.rows else [],
            "vectors_computed": self.vectors_computed,
            "other_vectors": list(self.other_vectors),
        }


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """
    As `asyncio.run`, but SIGTERM too, by which a Job's pod is stopped, is a Ctrl-C.

    What is to be undone then is undone. SIGINT could not be sent on: in the background it is ignored.
    """

    async def stoppable() -> _T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(stoppable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def copy(settings: Settings, folder: Path | None, *, on_step: OnStep) -> Copied:
    """
    Everything from *folder*, by default the store in the state folder, into Weaviate.

    Raises:
        ConfigurationError: If Weaviate is not set.
        StoreError: If there is no store in the folder, or one of the two fails.
    """
    if settings.weaviate.url is None:
        raise ConfigurationError(
            "SHIFU_WEAVIATE__URL: not set, so there is nowhere to copy to; "
            "for example SHIFU_WEAVIATE__URL=http://localhost:8080"
        )
    source = await EmbeddedExport.open(folder or settings.store_folder)
    try:
        async with _opened(settings) as (store, embedder):
            assert isinstance(store, WeaviateStore)
            report = await copy_store(
                source,
                store,
                with_vectors=embedder is not None and embedder.name == source.embedder_name,
                on_progress=lambda step, done, total: on_step(_COPY_STEPS[step], done, total),
            )
            return Copied(report, await _compute_missing(store, embedder, on_step))
    finally:
        await source.close()


async def migrate(settings: Settings, *, on_step: OnStep) -> Migrated:
    """
    All rows to the current layout, and a vector of the embedder that is set for each of this tenant's chunks.

    Raises:
        StoreError: If that cannot be done, or not now; the text says what to do.
    """
    rows = await _migrate_rows(settings, on_step) if settings.weaviate.url is not None else None
    async with _opened(settings) as (store, embedder):
        computed = await _compute_missing(store, embedder, on_step)
        others: Sequence[str] = ()
        if isinstance(store, WeaviateStore):
            others = [space.embedder_name for space in await store.other_vectors()]
        return Migrated(rows, computed, embedder.name if embedder else None, tuple(others))


async def drop_other_vectors(settings: Settings, *, on_step: OnStep) -> list[str]:
    """Give up this tenant's vectors of all embedders but the one that is set; the others' names."""
    async with _opened(settings) as (store, _):
        if not isinstance(store, WeaviateStore):
            return []
        dropped = []
        for space in await store.other_vectors():
            label = f"Dropping vectors of {space.embedder_name}"
            await store.drop_vectors(space, on_rows=partial(_show_rows, on_step, label))
            dropped.append(space.embedder_name)
        return dropped


def _show_rows(on_step: OnStep, label: str, done: int) -> None:
    on_step(label, done, 0)


async def _migrate_rows(settings: Settings, on_step: OnStep) -> MigrationReport:
    weaviate = settings.weaviate
    assert weaviate.url is not None
    async with open_migration(
        url=weaviate.url,
        grpc_url=weaviate.grpc_url,
        api_key=weaviate.api_key.get_secret_value() or None,
        replicas=weaviate.replicas,
    ) as migration:
        return await migration.run(
            on_progress=lambda step, done, total: on_step(_MIGRATION_STEPS[step], done, total)
        )


async def _compute_missing(store: ChunkStore, embedder: Embedder | None, on_step: OnStep) -> int:
    def show(now: SyncProgress) -> None:
        on_step(_COMPUTING, now.done, now.total)

    return await Synchroniser(store, embedder).embed_missing(on_progress=show)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[ChunkStore, Embedder | None]]:
    async with open_embedder(settings) as embedder:
        store = await open_store(settings, embedder.name if embedder else None)
        try:
            yield store, embedder
        finally:
            await store.close()
