"""Where documents come from: the connector port, and a folder of files as one."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from retrieval.access import Acl
from retrieval.analysis import language_of
from retrieval.errors import IngestError
from retrieval.ingest.convert import (
    MAX_SIZE_BYTES,
    SIDECAR_ENDING,
    convert,
    read_header,
    supported_endings,
)
from retrieval.ingest.metadata import Metadata, access_list
from retrieval.types import Document

_FILES_AT_ONCE = 32
_NOT_DOCUMENTS = frozenset({"people.yaml", "people.yml", "acl.json"})


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """
    What a look at the source tells without converting.

    Attributes:
        content_hash: Changes with everything but the access list.
        supersedes: Id of the document that this one replaces.
    """

    id: str
    acl: Acl
    content_hash: str
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class FailedDocument:
    """Something that should be a document, but cannot be, or whose readers are not known."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """Something that is no document for us."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A document, its Markdown not yet cut."""

    document: Document
    markdown: str


class Connector(Protocol):
    """
    One source of documents. A source is always listed whole: what is not listed any more is deleted.

    Ids are unique within the tenant. Raises `IngestError` when the source as a whole cannot be
    listed; a document that cannot be read is a `FailedDocument` and does not end the listing.
    """

    @property
    def source(self) -> str: ...

    def listing(self) -> AsyncIterator[FoundDocument | FailedDocument | SkippedFile]:
        """Everything there is, in a stable order."""
        ...

    async def load(self, document_id: str) -> LoadedDocument:
        """
        One of the listed documents, read anew: its access list is the one valid with this very content.

        Raises:
            IngestError: It cannot be read; the text says why and how to mend it.
        """
        ...


class FolderConnector:
    """
    Files on disk. A document's id is its path below *root* without the ending.

    Args:
        paths: Files and folders below *root*.
        default_acl: Names of those who may read what says nothing itself; None: such a document fails.
        acl_map: Names by document id. Decided by whoever runs the sync, they win over the document's own.
        source: Name of this source in the store; by default the root's path.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        root: Path,
        tenant: str,
        default_acl: Sequence[str] | None,
        acl_map: Mapping[str, Sequence[str]] | None = None,
        source: str | None = None,
    ) -> None:
        self._root = root.resolve()
        self._paths = [path.absolute() for path in paths]
        self._tenant = tenant
        self._default_acl = default_acl
        self._acl_map = acl_map or {}
        self._source = source or f"folder:{self._root}"
        self._files: dict[str, Path] = {}

    @property
    def source(self) -> str:
        return self._source

    async def listing(self) -> AsyncIterator[FoundDocument | FailedDocument | SkippedFile]:
        self._files = {}
        entries = await asyncio.to_thread(lambda: sorted(dict(self._walk()).items()))
        for start in range(0, len(entries), _FILES_AT_ONCE):
            for item in await asyncio.to_thread(
                self._look_at, entries[start : start + _FILES_AT_ONCE]
            ):
                yield item

    async def load(self, document_id: str) -> LoadedDocument:
        path = self._files.get(document_id)
        if path is None:
            raise IngestError(f"{document_id}: is not in {self._source}")
        return await asyncio.to_thread(self._load, document_id, path)

    def _walk(self) -> Iterator[tuple[str, FailedDocument | SkippedFile | None]]:
        """Files by their path below the root, with what is wrong with them at first sight."""
        for given in self._paths:
            start = given.resolve()
            if not start.exists():
                raise IngestError(f"{given}: does not exist; nothing was changed")
            if not start.is_relative_to(self._root):
                raise IngestError(f"{given}: lies outside {self._root}; choose a root above it")
            if start.is_file():
                yield from self._entry(start)
                continue
            unreadable: list[OSError] = []
            for folder, folders, names in os.walk(start, onerror=unreadable.append):
                folders[:] = [name for name in folders if not name.startswith(".")]
                for name in names:
                    yield from self._entry(Path(folder, name))
            for error in unreadable:
                if Path(error.filename) == start:
                    raise IngestError(
                        f"{given}: cannot be listed ({error.strerror}); nothing was changed"
                    )
                folder = f"{self._name(Path(error.filename))}/"
                reason = (
                    f"{folder}: cannot be listed ({error.strerror}); grant the right to read it"
                )
                yield folder, FailedDocument(folder, reason)

    def _entry(self, path: Path) -> Iterator[tuple[str, SkippedFile | None]]:
        name = self._name(path)
        if (
            # Office keeps the latter beside a file while somebody has it open.
            path.name.startswith((".", "~$"))
            or path.name in _NOT_DOCUMENTS
            or path.name.endswith(SIDECAR_ENDING)
        ):
            return
        if path.suffix.lower() not in supported_endings():
            yield name, SkippedFile(name, f"unsupported type {path.suffix or 'without ending'}")
        elif path.is_symlink() and not path.resolve().is_relative_to(self._root):
            yield name, SkippedFile(name, "a link that leads out of the folder")
        else:
            yield name, None

    def _look_at(
        self, entries: Sequence[tuple[str, FailedDocument | SkippedFile | None]]
    ) -> list[FoundDocument | FailedDocument | SkippedFile]:
        return [problem or self._look(name) for name, problem in entries]

    def _look(self, name: str) -> FoundDocument | FailedDocument:
        document_id = name.rpartition(".")[0]
        known = self._files.setdefault(document_id, self._root / name)
        if known != self._root / name:
            reason = f"{name}: has the same id as {self._name(known)}; rename one of them"
            return FailedDocument(name, reason)
        try:
            header = read_header(name, *_read(known))
            acl = self._acl(document_id, name, header.metadata)
        except (IngestError, OSError) as error:
            return FailedDocument(document_id, _reason(name, error))
        return FoundDocument(document_id, acl, header.content_hash, header.metadata.supersedes)

    def _load(self, document_id: str, path: Path) -> LoadedDocument:
        name = self._name(path)
        try:
            raw, sidecar = _read(path)
            modified_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except OSError as error:
            raise IngestError(_reason(name, error)) from error
        converted = convert(name, raw, sidecar)
        metadata = converted.metadata
        document = Document(
            id=document_id,
            source=self._source,
            title=converted.title,
            acl=self._acl(document_id, name, metadata),
            content_hash=read_header(name, raw, sidecar).content_hash,
            link=metadata.link,
            owner=metadata.owner,
            language=metadata.language or language_of(converted.markdown[:10_000]),
            version=metadata.version,
            modified_at=metadata.updated or modified_at,
            review_at=metadata.review,
        )
        return LoadedDocument(document, converted.markdown)

    def _acl(self, document_id: str, name: str, metadata: Metadata) -> Acl:
        for names in (self._acl_map.get(document_id), metadata.acl, self._default_acl):
            if names is not None:
                break
        else:
            raise IngestError(f"{name}: says nobody may read it; add `acl:` or pass --acl everyone")
        try:
            return access_list(names, self._tenant, metadata.level)
        except IngestError as error:
            raise IngestError(f"{name}: {error}") from error

    def _name(self, path: Path) -> str:
        """Path below the root; how messages name a file."""
        return path.relative_to(self._root).as_posix()


def read_acl_map(path: Path) -> dict[str, list[str]]:
    """
    The `documents` of an `acl.json`: names of those who may read, by document id.

    Raises:
        IngestError: The file is not of that form.
    """
    try:
        documents = json.loads(path.read_text(encoding="utf-8"))["documents"]
        return {str(key): [str(name) for name in names] for key, names in documents.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IngestError(
            f'{path}: is no access map; write {{"documents": {{"ID": ["GROUP", …]}}}}'
        ) from error


def _read(path: Path) -> tuple[bytes, bytes | None]:
    size = path.stat().st_size
    if size > MAX_SIZE_BYTES:
        # Read one byte too many at most; the check that follows names the limit.
        with path.open("rb") as file:
            return file.read(MAX_SIZE_BYTES + 1), None
    sidecar = path.with_name(path.name + SIDECAR_ENDING)
    return path.read_bytes(), sidecar.read_bytes() if sidecar.exists() else None


def _reason(name: str, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{name}: cannot be read ({error.strerror}); check its permissions"
    return str(error)
