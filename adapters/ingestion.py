"""Brings files and folders into the store, each path a source of its own."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from adapters.app import Knowledge, open_knowledge
from adapters.settings import Settings
from retrieval.errors import IngestError
from retrieval.ingest.connectors import FolderConnector, read_acl_map
from retrieval.ingest.sync_report import OnProgress, SyncReport


async def ingest_paths(
    settings: Settings, paths: Sequence[Path], acl: Sequence[str], *, on_progress: OnProgress
) -> list[SyncReport]:
    """`ingest_into` the store that the settings name."""
    _access(acl)
    _require(paths)
    async with open_knowledge(settings) as knowledge:
        return await ingest_into(knowledge, settings, paths, acl, on_progress=on_progress)


async def ingest_into(
    knowledge: Knowledge,
    settings: Settings,
    paths: Sequence[Path],
    acl: Sequence[str],
    *,
    on_progress: OnProgress,
) -> list[SyncReport]:
    """
    One report per path.

    Args:
        acl: Names of readers for documents that name none, or the path of an `acl.json`.

    Raises:
        IngestError: If a path does not exist, or *acl* is not understood; nothing is changed then.
    """
    names, acl_map = _access(acl)
    _require(paths)
    reports = []
    for path in paths:
        sources = await _sources(knowledge)
        _refuse_overlap(path.resolve(), sources)
        _refuse_empty(path, sources)
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


async def list_sources(settings: Settings) -> dict[str, int]:
    """Number of documents by source."""
    async with open_knowledge(settings) as knowledge:
        return await _sources(knowledge)


async def remove_source(settings: Settings, source: str) -> int:
    """
    Delete all documents of *source*; how many there were.

    Raises:
        IngestError: If there is no such source; the text names those there are.
    """
    async with open_knowledge(settings) as knowledge:
        documents = await knowledge.store.documents(source=source)
        if not documents:
            known = ", ".join(await _sources(knowledge)) or "none"
            raise IngestError(f"{source}: there is no such source; there are: {known}")
        return await knowledge.store.delete([document.id for document in documents])


def _require(paths: Sequence[Path]) -> None:
    for path in paths:
        if not path.exists():
            raise IngestError(f"{path}: does not exist; nothing was changed")


async def _sources(knowledge: Knowledge) -> dict[str, int]:
    return dict(Counter(document.source for document in await knowledge.store.documents()))


def _refuse_overlap(path: Path, sources: Collection[str]) -> None:
    """Two copies of one file would be kept, and rights taken from one would live on in the other."""
    for source in sources:
        kind, _, name = source.partition(":")
        other = Path(name)
        if kind not in ("folder", "file") or other == path:
            continue
        if path.is_relative_to(other):
            raise IngestError(
                f"{path}: lies inside {source}, which is a source already; bring that up to date "
                f"instead: shifu ingest {other}"
            )
        if other.is_relative_to(path):
            raise IngestError(
                f"{path}: holds {source}, which is a source of its own; remove that first: "
                f"shifu remove '{source}'"
            )


def _refuse_empty(path: Path, sources: Collection[str]) -> None:
    """A disk that is not mounted looks like a folder whose documents have all been deleted."""
    source = f"folder:{path.resolve()}"
    if source in sources and path.is_dir() and not any(path.iterdir()):
        raise IngestError(
            f"{path}: is empty, though documents have come from it; nothing was changed. If they "
            f"are really gone: shifu remove '{source}'"
        )


def _access(acl: Sequence[str]) -> tuple[list[str] | None, dict[str, list[str]] | None]:
    files = [name for name in acl if name.endswith(".json")]
    names = [part.strip() for name in acl if name not in files for part in name.split(",")]
    acl_map: dict[str, list[str]] = {}
    for file in files:
        acl_map |= read_acl_map(Path(file))
    return [name for name in names if name] or None, acl_map or None
