"""Brings files and folders into the store, each path a source of its own."""

from collections.abc import Sequence
from pathlib import Path

from adapters.app import open_knowledge
from adapters.settings import Settings
from retrieval.errors import IngestError
from retrieval.ingest.connectors import FolderConnector, read_acl_map
from retrieval.ingest.sync_report import OnProgress, SyncReport


async def ingest_paths(
    settings: Settings, paths: Sequence[Path], acl: Sequence[str], *, on_progress: OnProgress
) -> list[SyncReport]:
    """
    One report per path.

    Args:
        acl: Names of readers for documents that name none, or the path of an `acl.json`.

    Raises:
        IngestError: If a path does not exist, or *acl* is not understood; nothing is changed then.
    """
    names, acl_map = _access(acl)
    for path in paths:
        if not path.exists():
            raise IngestError(f"{path}: does not exist; nothing was changed")
    async with open_knowledge(settings) as knowledge:
        reports = []
        for path in paths:
            # A lone file is its own source, so that its neighbours are not taken for deleted.
            root = path if path.is_dir() else path.parent
            connector = FolderConnector(
                [path],
                root=root,
                tenant=settings.tenant,
                default_acl=names,
                acl_map=acl_map,
                source=None if path.is_dir() else f"file:{path.resolve()}",
            )
            reports.append(await knowledge.synchroniser.sync(connector, on_progress=on_progress))
        await knowledge.synchroniser.embed_missing(on_progress=on_progress)
    return reports


def _access(acl: Sequence[str]) -> tuple[list[str] | None, dict[str, list[str]] | None]:
    files = [name for name in acl if name.endswith(".json")]
    names = [part.strip() for name in acl if name not in files for part in name.split(",")]
    acl_map: dict[str, list[str]] = {}
    for file in files:
        acl_map |= read_acl_map(Path(file))
    return [name for name in names if name] or None, acl_map or None
