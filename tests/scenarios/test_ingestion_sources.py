"""What `shifu ingest` takes as a source, and whom it lets read what says nothing itself."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.app import open_knowledge
from adapters.ingestion import ingest_paths, list_sources
from adapters.settings import EmbeddingsProvider, EmbeddingsSettings, Settings
from retrieval.access import Principal, group_principal, tenant_principal, user_principal
from retrieval.errors import IngestError
from retrieval.ingest.sync_report import SyncReport

TENANT = "default"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "home", embeddings=EmbeddingsSettings(provider=EmbeddingsProvider.NONE)
    )


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Two documents, one of them in a folder of its own, that do not say who may read them."""
    folder = tmp_path.resolve() / "docs"
    (folder / "lab").mkdir(parents=True)
    (folder / "parking.md").write_text("# Parking\n\nThe car park closes at 22:00.\n")
    (folder / "lab" / "oven.md").write_text("# Oven\n\nThe oven holds 125 degrees for a week.\n")
    return folder


async def ingest(
    settings: Settings, *paths: Path, acl: Sequence[str] = ("everyone",)
) -> list[SyncReport]:
    return await ingest_paths(settings, paths, acl, on_progress=lambda _: None)


async def readers(settings: Settings) -> dict[str, frozenset[Principal]]:
    async with open_knowledge(settings) as knowledge:
        return {d.id: d.acl.principals for d in await knowledge.store.documents()}


async def test_each_path_is_a_source_and_a_lone_file_does_not_delete_its_neighbours(
    settings: Settings, docs: Path
) -> None:
    await ingest(settings, docs / "lab", docs / "parking.md")
    (docs / "bicycles.md").write_text("# Bicycles\n\nBicycles stand behind the car park.\n")

    await ingest(settings, docs / "bicycles.md")

    assert await list_sources(settings) == {
        f"folder:{docs / 'lab'}": 1,
        f"file:{docs / 'parking.md'}": 1,
        f"file:{docs / 'bicycles.md'}": 1,
    }


async def test_a_path_that_does_not_exist_stops_everything_before_it_begins(
    settings: Settings, docs: Path
) -> None:
    with pytest.raises(IngestError, match="nothing was changed"):
        await ingest(settings, docs, docs / "missing.md")

    assert await list_sources(settings) == {}


@pytest.mark.parametrize("inner", ["lab", "parking.md"])
async def test_a_folder_that_holds_a_source_is_refused_with_how_to_remove_that(
    settings: Settings, docs: Path, inner: str
) -> None:
    await ingest(settings, docs / inner)
    before = await list_sources(settings)

    with pytest.raises(IngestError, match=f"shifu remove '{next(iter(before))}'"):
        await ingest(settings, docs)

    assert await list_sources(settings) == before


@pytest.mark.parametrize("inner", ["lab", "parking.md", "lab/oven.md"])
async def test_what_lies_inside_a_source_is_refused_even_in_the_same_call(
    settings: Settings, docs: Path, inner: str
) -> None:
    with pytest.raises(IngestError, match="lies inside folder:"):
        await ingest(settings, docs, docs / inner)

    assert await list_sources(settings) == {f"folder:{docs}": 2}


async def test_a_folder_that_is_suddenly_empty_deletes_nothing(
    settings: Settings, docs: Path
) -> None:
    await ingest(settings, docs)
    docs.rename(docs.with_name("elsewhere"))
    docs.mkdir()  # as where a disk is not mounted

    with pytest.raises(IngestError, match=r"is empty, though .* shifu remove 'folder:"):
        await ingest(settings, docs)

    assert await list_sources(settings) == {f"folder:{docs}": 2}


async def test_a_folder_whose_name_begins_alike_does_not_overlap(
    settings: Settings, docs: Path
) -> None:
    beside = docs.with_name("docs-old")
    beside.mkdir()
    (beside / "canteen.md").write_text("# Canteen\n\nThe canteen opens at 11:30.\n")

    await ingest(settings, docs, beside)

    assert await list_sources(settings) == {f"folder:{docs}": 2, f"folder:{beside}": 1}


async def test_names_of_readers_may_be_listed_with_commas_and_repeated(
    settings: Settings, docs: Path
) -> None:
    await ingest(settings, docs, acl=["lab, user:ann", "everyone", " "])

    allowed = {
        group_principal(TENANT, "lab"),
        user_principal(TENANT, "ann"),
        tenant_principal(TENANT),
    }
    assert await readers(settings) == {"parking": allowed, "lab/oven": allowed}


async def test_an_access_file_names_the_readers_of_each_document_and_nobody_for_others(
    settings: Settings, docs: Path, tmp_path: Path
) -> None:
    file = tmp_path / "acl.json"
    file.write_text(json.dumps({"documents": {"lab/oven": ["lab"]}}))

    (report,) = await ingest(settings, docs, acl=[str(file)])

    assert [name for name, _ in report.failed] == ["parking"]
    assert await readers(settings) == {"lab/oven": {group_principal(TENANT, "lab")}}


async def test_an_access_file_that_cannot_be_read_stops_everything(
    settings: Settings, docs: Path
) -> None:
    with pytest.raises(IngestError, match=r"missing\.json: is no access map"):
        await ingest(settings, docs, acl=["missing.json"])

    assert await readers(settings) == {}


@pytest.mark.parametrize("acl", ["group:", "team:lab"])
async def test_names_of_readers_that_are_not_understood_let_nothing_in(
    settings: Settings, docs: Path, acl: str
) -> None:
    (report,) = await ingest(settings, docs, acl=[acl])

    assert len(report.failed) == 2
    assert all(acl in reason for _, reason in report.failed)
    assert await readers(settings) == {}
