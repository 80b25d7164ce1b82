"""From a folder to a store and back in line again, whatever happens in between."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from retrieval.access import AccessScope, Acl, group_principal, tenant_principal
from retrieval.analysis import query_tokens
from retrieval.embedded_store import EmbeddedStore
from retrieval.errors import IngestError
from retrieval.ingest.connectors import FolderConnector, read_acl_map
from retrieval.ingest.jsonl_connector import JsonlConnector
from retrieval.ingest.sync import Synchroniser
from retrieval.ingest.sync_report import SyncProgress, SyncReport, SyncStep
from retrieval.models import HashingEmbedder
from retrieval.store import ChunkStore, InMemoryStore, SearchQuery
from retrieval.types import Document, FloatArray, IndexedDocument
from tests.builders import TENANT, a_scope

EVERYONE = tenant_principal(TENANT)
HR = group_principal(TENANT, "hr")
IT = group_principal(TENANT, "it")


@pytest.fixture(params=["memory", "embedded"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ChunkStore]:
    store: ChunkStore
    if request.param == "memory":
        store = InMemoryStore()
    else:
        store = await EmbeddedStore.open(tmp_path / "store", embedder_name=None)
    yield store
    await store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


def write(folder: Path, name: str, text: str, *, acl: str | None = "everyone", **keys: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = ({"acl": f"[{acl}]"} if acl is not None else {}) | keys
    front_matter = "".join(f"{key}: {value}\n" for key, value in fields.items())
    path.write_text(f"---\n{front_matter}---\n{text}\n", encoding="utf-8")
    return path


def a_connector(
    folder: Path,
    *,
    default_acl: Sequence[str] | None = None,
    acl_map: dict[str, list[str]] | None = None,
) -> FolderConnector:
    return FolderConnector(
        [folder], root=folder, tenant=TENANT, default_acl=default_acl, acl_map=acl_map
    )


async def sync(store: ChunkStore, folder: Path) -> SyncReport:
    return await Synchroniser(store, None).sync(
        a_connector(folder), on_progress=lambda progress: None
    )


async def found(store: ChunkStore, words: str, scope: AccessScope) -> set[str]:
    passages = await store.search(SearchQuery(tuple(query_tokens(words))), scope, top_k=10)
    return {passage.chunk.document.id for passage in passages}


async def document(store: ChunkStore, document_id: str) -> Document:
    return next(d for d in await store.documents() if d.id == document_id)


async def test_a_folder_is_found_by_those_who_may_read(store: ChunkStore, folder: Path) -> None:
    write(folder, "hr/leave.md", "# Leave\n\nTwelve days a year.", owner="amy")
    write(folder, "hr/salaries.md", "Salaries and leave bonus.", acl="hr")

    report = await sync(store, folder)

    assert report.added == ("hr/leave", "hr/salaries")
    assert report.failed == ()
    assert report.chunks == 2
    assert await found(store, "leave", a_scope({EVERYONE})) == {"hr/leave"}
    assert await found(store, "leave", a_scope({EVERYONE, HR})) == {"hr/leave", "hr/salaries"}
    leave = await document(store, "hr/leave")
    assert (leave.title, leave.owner) == ("Leave", "amy")


async def test_an_unchanged_folder_writes_nothing(folder: Path) -> None:
    class WriteOnce(InMemoryStore):
        async def write(self, documents: Sequence[IndexedDocument]) -> None:
            assert not await self.documents()
            await super().write(documents)

    store = WriteOnce()
    write(folder, "a.md", "alpha")
    await sync(store, folder)
    os.utime(folder / "a.md", (1, 1))

    report = await sync(store, folder)

    assert report == SyncReport(source=report.source, unchanged=1)


async def test_an_edit_is_found_and_other_sections_keep_their_vectors(
    store: ChunkStore, folder: Path
) -> None:
    write(folder, "a.md", "## One\n\nalpha\n\n## Two\n\nbeta")
    await sync(store, folder)
    await Synchroniser(store, HashingEmbedder()).embed_missing(on_progress=lambda progress: None)
    write(folder, "a.md", "## One\n\ngamma\n\n## Two\n\nbeta")

    report = await sync(store, folder)

    assert report.updated == ("a",)
    assert (await store.counts()).chunks_without_vector == 1
    assert await found(store, "alpha", a_scope({EVERYONE})) == set()
    assert await found(store, "gamma", a_scope({EVERYONE})) == {"a"}


async def test_a_change_of_rights_rewrites_only_the_rights(store: ChunkStore, folder: Path) -> None:
    write(folder, "a.md", "alpha")
    write(folder, "b.md", "alpha too", acl="hr")
    await sync(store, folder)
    write(folder, "a.md", "alpha", acl="hr")
    write(folder, "b.md", "alpha too")

    report = await sync(store, folder)

    assert set(report.acl_changed) == {"a", "b"}
    assert (report.updated, report.chunks) == ((), 0)
    assert await found(store, "alpha", a_scope({EVERYONE})) == {"b"}


async def test_rights_shrink_before_anything_else_happens(folder: Path) -> None:
    events: list[str] = []

    class Recording(InMemoryStore):
        async def change_acl(self, document_id: str, acl: Acl) -> None:
            events.append(f"rights of {document_id}")
            await super().change_acl(document_id, acl)

        async def write(self, documents: Sequence[IndexedDocument]) -> None:
            events.extend(f"text of {indexed.document.id}" for indexed in documents)
            await super().write(documents)

    store = Recording()
    for name in ("a.md", "m.md", "z.md"):
        write(folder, name, "text", acl="everyone, hr")
    write(folder, "n.md", "text", acl="hr")
    await sync(store, folder)
    events.clear()
    write(folder, "0.md", "new")
    write(folder, "a.md", "edited", acl="everyone, hr")
    write(folder, "m.md", "edited", acl="hr")
    write(folder, "n.md", "text", acl="hr, everyone")
    write(folder, "z.md", "text", acl="hr")

    await sync(store, folder)

    assert set(events[:2]) == {"rights of m", "rights of z"}
    assert set(events[2:]) == {"rights of n", "text of 0", "text of a", "text of m"}


async def test_old_content_is_never_shown_to_new_readers(store: ChunkStore, folder: Path) -> None:
    write(folder, "a.md", "with the secret", acl="hr, it")
    await sync(store, folder)
    write(folder, "a.md", "\n", acl="it, everyone")

    report = await sync(store, folder)

    assert [document_id for document_id, _ in report.failed] == ["a"]
    assert await found(store, "secret", a_scope({EVERYONE})) == set()
    assert await found(store, "secret", a_scope({HR})) == set()
    assert await found(store, "secret", a_scope({IT})) == {"a"}


async def test_deleted_files_leave_the_store_and_other_sources_stay(
    store: ChunkStore, folder: Path
) -> None:
    other = folder.parent / "other"
    write(folder, "a.md", "alpha")
    write(folder, "b.md", "beta")
    write(other, "c.md", "gamma")
    await sync(store, folder)
    await sync(store, other)
    (folder / "a.md").unlink()

    report = await sync(store, folder)

    assert report.deleted == ("a",)
    assert {d.id for d in await store.documents()} == {"b", "c"}


async def test_a_folder_that_is_gone_deletes_nothing(store: ChunkStore, folder: Path) -> None:
    write(folder, "a.md", "alpha")
    await sync(store, folder)
    folder.rename(folder.parent / "elsewhere")

    with pytest.raises(IngestError, match="does not exist; nothing was changed"):
        await sync(store, folder)

    assert len(await store.documents()) == 1


async def test_a_failing_document_stops_nothing_and_is_tried_again(
    store: ChunkStore, folder: Path
) -> None:
    write(folder, "a.md", "alpha", level="top")
    write(folder, "b.md", "beta")
    (folder / "c.pdf").write_bytes(b"broken")
    (folder / "c.pdf.meta.yaml").write_text("acl: [everyone]")

    report = await sync(store, folder)

    assert report.added == ("b",)
    assert dict(report.failed).keys() == {"a", "c"}
    assert "a.md: has the unknown level 'top'" in dict(report.failed)["a"]
    assert "c.pdf: is damaged" in dict(report.failed)["c"]

    write(folder, "a.md", "alpha", level="internal")
    assert (await sync(store, folder)).added == ("a",)


async def test_without_an_access_list_a_document_fails_and_is_not_public(
    store: ChunkStore, folder: Path
) -> None:
    write(folder, "a.md", "alpha", acl=None)
    write(folder, "b.md", "beta", acl="")

    report = await sync(store, folder)

    assert (
        dict(report.failed)["a"]
        == "a.md: says nobody may read it; add `acl:` or pass --acl everyone"
    )
    assert "says nobody may read it" in dict(report.failed)["b"]
    assert await store.documents() == []


async def test_a_document_whose_readers_are_no_longer_known_is_withdrawn_until_they_are(
    store: ChunkStore, folder: Path
) -> None:
    write(folder, "a.md", "alpha")
    await sync(store, folder)
    write(folder, "a.md", "alpha", acl="role:boss")

    await sync(store, folder)

    assert await found(store, "alpha", a_scope({EVERYONE, HR})) == set()
    write(folder, "a.md", "alpha")
    report = await sync(store, folder)
    assert (report.acl_changed, report.chunks) == (("a",), 0)
    assert await found(store, "alpha", a_scope({EVERYONE})) == {"a"}


async def test_a_default_and_a_map_can_say_who_may_read(store: ChunkStore, folder: Path) -> None:
    for name in ("silent.md", "mapped.md"):
        write(folder, name, "alpha", acl=None)
    write(folder, "spoken.md", "alpha", acl="it")
    (folder / "acl.json").write_text(json.dumps({"documents": {"mapped": ["hr"]}}))
    connector = a_connector(
        folder, default_acl=["everyone"], acl_map=read_acl_map(folder / "acl.json")
    )

    await Synchroniser(store, None).sync(connector, on_progress=lambda progress: None)

    assert {d.id: d.acl.principals for d in await store.documents()} == {
        "silent": {EVERYONE},
        "mapped": {HR},
        "spoken": {IT},
    }


async def test_files_that_are_no_documents_are_skipped_with_a_reason(
    store: ChunkStore, folder: Path
) -> None:
    write(folder, "a.md", "alpha")
    (folder / "picture.png").write_bytes(b"png")
    (folder / ".hidden.md").write_text("hidden")
    (folder / "~$plan.xlsx").write_bytes(b"lock")
    (folder / ".git").mkdir()
    (folder / ".git" / "config.md").write_text("hidden")
    (folder / "people.yaml").write_text("people: []")
    outside = write(folder.parent, "outside.md", "outside")
    (folder / "link.md").symlink_to(outside)

    report = await sync(store, folder)

    assert report.added == ("a",)
    assert report.skipped == (
        ("link.md", "a link that leads out of the folder"),
        ("picture.png", "unsupported type .png"),
    )


async def test_two_files_with_one_id_are_told_apart(store: ChunkStore, folder: Path) -> None:
    (folder / "a.html").write_text('<meta name="shifu:acl" content="everyone"><p>from the page</p>')
    write(folder, "a.md", "from markdown")

    report = await sync(store, folder)

    assert report.added == ("a",)
    assert report.failed == (("a.md", "a.md: has the same id as a.html; rename one of them"),)


async def test_an_id_of_another_source_is_not_taken_over(store: ChunkStore, folder: Path) -> None:
    write(folder, "a.md", "alpha")
    write(folder.parent / "other", "a.md", "beta", acl="it")
    await sync(store, folder)

    report = await sync(store, folder.parent / "other")

    assert "belongs to folder:" in dict(report.failed)["a"]
    assert await found(store, "alpha", a_scope({EVERYONE})) == {"a"}


async def test_a_new_version_marks_the_old_one(store: ChunkStore, folder: Path) -> None:
    write(folder, "travel-2024.md", "old rules")
    await sync(store, folder)
    write(folder, "travel.md", "new rules", supersedes="travel-2024")

    report = await sync(store, folder)

    assert (report.added, report.updated) == (("travel",), ("travel-2024",))
    assert (await document(store, "travel-2024")).superseded_by == "travel"
    (folder / "travel.md").unlink()
    await sync(store, folder)
    assert (await document(store, "travel-2024")).superseded_by is None


async def test_secrets_and_near_duplicates_are_reported(store: ChunkStore, folder: Path) -> None:
    page = " ".join(f"step {n} of the way" for n in range(60))
    write(folder, "a.md", page + "\n\npassword: Hunter2Hunter2")
    write(folder, "b.md", page)

    report = await sync(store, folder)

    assert report.redactions == {"password": 1}
    assert [(pair.first, pair.second) for pair in report.near_duplicates] == [("a", "b")]
    assert await found(store, "Hunter2Hunter2", a_scope({EVERYONE})) == set()


async def test_an_interrupted_sync_leaves_whole_documents_and_goes_on_next_time(
    store: ChunkStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.ingest.sync.WRITE_BATCH_CHUNKS", 1)
    for n in range(6):
        write(folder, f"{n}.md", f"## One\n\nalpha {n}\n\n## Two\n\nbeta {n}")
    started: list[asyncio.Task[SyncReport]] = []

    def cancel_after_three(progress: SyncProgress) -> None:
        if (progress.step, progress.done) == (SyncStep.WRITING, 3):
            started[0].cancel()

    run = Synchroniser(store, None).sync(a_connector(folder), on_progress=cancel_after_three)
    started.append(asyncio.create_task(run))
    with suppress(asyncio.CancelledError):
        await started[0]

    assert started[0].cancelled()
    counts = await store.counts()
    assert (counts.documents, counts.chunks) == (3, 6)
    report = await sync(store, folder)
    assert (report.unchanged, len(report.added)) == (3, 3)


async def test_text_can_be_searched_before_its_vectors_are_there(
    store: ChunkStore, folder: Path
) -> None:
    for n in range(70):
        write(folder, f"{n}.md", f"alpha {n}")
    seen: list[SyncProgress] = []
    embedder = HashingEmbedder()
    synchroniser = Synchroniser(store, embedder)

    await synchroniser.sync(a_connector(folder), on_progress=seen.append)
    assert await found(store, "alpha", a_scope({EVERYONE})) != set()
    assert await synchroniser.embed_missing(on_progress=seen.append) == 70

    assert (await store.counts()).chunks_without_vector == 0
    assert seen[-1] == SyncProgress(SyncStep.EMBEDDING, 70, 70)
    vector: FloatArray = (await embedder.embed(["69\nalpha 69"]))[0]
    best = await store.search(SearchQuery((), vector, alpha=1.0), a_scope({EVERYONE}), top_k=1)
    assert best[0].chunk.document.id == "69"


async def test_a_corpus_of_lines_is_a_source_too(store: ChunkStore, tmp_path: Path) -> None:
    rows = [
        {"doc_id": "m#a", "title": "A", "path": "Manual > A", "text": "alpha", "acl": ["hr"]},
        {"doc_id": "m#b", "title": "B", "text": "# B\n\nbeta", "lang": "en"},
        {"doc_id": "m#b", "title": "B", "text": "again"},
        {"title": "no id"},
    ]
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    connector = JsonlConnector(path, tenant=TENANT, default_acl=["everyone"])

    report = await Synchroniser(store, None).sync(connector, on_progress=lambda progress: None)

    assert report.added == ("m#a", "m#b")
    assert [document_id for document_id, _ in report.failed] == ["corpus.jsonl:3", "corpus.jsonl:4"]
    assert (await document(store, "m#a")).title == "Manual > A"
    assert (await document(store, "m#a")).acl.principals == {HR}
    assert await found(store, "beta", a_scope({EVERYONE})) == {"m#b"}
