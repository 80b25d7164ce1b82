"""A JSON Lines corpus as a source: one document per line, as question sets for evaluation have them."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from retrieval.access import Acl
from retrieval.analysis import language_of
from retrieval.errors import IngestError
from retrieval.ingest.clean import visible
from retrieval.ingest.connectors import FailedDocument, FoundDocument, LoadedDocument, SkippedFile
from retrieval.ingest.convert import CONVERSION_VERSION
from retrieval.ingest.metadata import access_list, parse_metadata
from retrieval.types import Document


class JsonlConnector:
    """Lines with `doc_id` and `text`; optional are `title`, `path` (headings), `lang`, `link` and `acl`."""

    def __init__(
        self,
        path: Path,
        *,
        tenant: str,
        default_acl: Sequence[str] | None,
        acl_map: Mapping[str, Sequence[str]] | None = None,
        source: str | None = None,
    ) -> None:
        self._path = path
        self._tenant = tenant
        self._default_acl = default_acl
        self._acl_map = acl_map or {}
        self._source = source or f"jsonl:{path.resolve()}"
        self._rows: dict[str, Mapping[str, Any]] = {}

    @property
    def source(self) -> str:
        return self._source

    async def listing(self) -> AsyncIterator[FoundDocument | FailedDocument | SkippedFile]:
        try:
            text = await asyncio.to_thread(self._path.read_text, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise IngestError(
                f"{self._path}: cannot be read as UTF-8; nothing was changed"
            ) from error
        self._rows = {}
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield self._look(number, line)

    async def load(self, document_id: str) -> LoadedDocument:
        row = self._rows[document_id]
        path = row.get("path")
        # The headings above a section say what it is about; the section's own title is the last of them.
        title = " > ".join(path) if isinstance(path, list) else path or row.get("title")
        text = visible(str(row["text"]))
        metadata = parse_metadata({k: row[k] for k in ("lang", "link", "owner") if k in row})
        document = Document(
            id=document_id,
            source=self._source,
            title=str(title or document_id),
            acl=self._acl(row),
            content_hash=_content_hash(row),
            link=metadata.link,
            owner=metadata.owner,
            language=metadata.language or language_of(text[:10_000]),
        )
        return LoadedDocument(document, text)

    def _look(self, number: int, line: str) -> FoundDocument | FailedDocument:
        where = f"{self._path.name}:{number}"
        try:
            row = json.loads(line)
            document_id = row["doc_id"]
            if not isinstance(document_id, str) or not isinstance(row["text"], str):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            return FailedDocument(where, f"{where}: is no JSON object with `doc_id` and `text`")
        if document_id in self._rows:
            return FailedDocument(where, f"{where}: has the id {document_id!r} of an earlier line")
        self._rows[document_id] = row
        try:
            return FoundDocument(document_id, self._acl(row), _content_hash(row))
        except IngestError as error:
            return FailedDocument(document_id, f"{where}: {error}")

    def _acl(self, row: Mapping[str, Any]) -> Acl:
        for names in (self._acl_map.get(row["doc_id"]), row.get("acl"), self._default_acl):
            if names is not None:
                metadata = parse_metadata({"acl": list(names), "level": row.get("level")})
                return access_list(metadata.acl or (), self._tenant, metadata.level)
        raise IngestError("says nobody may read it; add `acl` or pass --acl everyone")


def _content_hash(row: Mapping[str, Any]) -> str:
    content = {key: value for key, value in row.items() if key not in ("acl", "level")}
    text = f"{CONVERSION_VERSION} {json.dumps(content, sort_keys=True, ensure_ascii=False)}"
    return hashlib.sha256(text.encode()).hexdigest()
