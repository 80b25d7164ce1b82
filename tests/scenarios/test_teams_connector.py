"""SharePoint libraries as documents: who may read a file there, and nobody else, finds what is in it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapters.teams.connector import SharePointAway
from adapters.teams.drive_mirror import SyncedElsewhere
from adapters.teams.sharepoint_sync import (
    REVIEW,
    TRUSTED_S,
    SharePointSource,
    sharepoint_handlers,
)
from bot.inbox import InMemoryInbox
from bot.worker import Worker
from retrieval.access import Level, tenant_principal
from retrieval.analysis import query_tokens
from retrieval.errors import IngestError, StoreUnavailable
from retrieval.store import SearchQuery
from retrieval.types import IndexedDocument
from tests.builders import TENANT, a_scope
from tests.fakes.teams.drives import drives_of
from tests.fakes.teams.library import (
    ROOT,
    Item,
    by_link,
    to_everyone,
    to_group,
    to_site_group,
    to_user,
)
from tests.sharepoint_stage import (
    ALWAYS,
    AMY,
    BEN,
    BOARD,
    CAT,
    ENTRA,
    OTHER_ENTRA,
    PATIENCE_S,
    SITE,
    STAFF,
    Library,
    a_library,
    group,
    user,
)

EVERYONE = tenant_principal(TENANT)
LEASE_S = 3600
"""By a clock that the test pushes forward."""


@pytest.fixture
async def library() -> AsyncIterator[Library]:
    """Its folders are for the staff."""
    async with a_library() as library:
        library.drive.permit(library.drive.items[ROOT], to_group(STAFF))
        yield library


async def test_a_file_becomes_a_document_with_its_link_its_people_and_its_date(
    library: Library,
) -> None:
    folder = library.drive.folder("Policies")
    item = library.drive.file("leave.md", "# Leave\n\nTen days a year.", into=folder.id, owner=AMY)

    report = await library.sync()

    document = await library.document(item)
    assert document.id == f"sharepoint:{library.drive.id}/{item.id}"
    assert document.source == "sharepoint:example.sharepoint.com/sites/hr/Shared Documents"
    assert document.title == "Leave"
    assert document.link == (
        "https://example.sharepoint.com/sites/hr/Shared%20Documents/Policies/leave.md"
    )
    assert document.owner == f"teams:{ENTRA}/{AMY}"
    assert document.modified_at is not None
    assert document.modified_at.year == 2026
    assert document.acl.principals == {group(STAFF)}
    assert document.acl.level is Level.INTERNAL
    assert report.added == (document.id,)


async def test_who_may_read_it_there_finds_it_and_nobody_else(library: Library) -> None:
    library.drive.file("leave.md", "Ten days of annual leave.")
    await library.sync()

    async def finds(*principals: str) -> bool:
        query = SearchQuery(tuple(query_tokens("annual leave")))
        scope = a_scope(principals)  # type: ignore[arg-type]
        return bool(await library.store.search(query, scope, top_k=5))

    assert await finds(group(STAFF))
    assert not await finds(group(BOARD), EVERYONE, user(AMY))


async def test_a_second_look_costs_no_download(library: Library) -> None:
    library.drive.file("leave.md", "Ten days.")
    await library.sync()
    downloads = library.asked("drive_content")

    report = await library.sync(ALWAYS)

    assert library.asked("drive_content") == downloads == 1
    assert report.unchanged == 1


async def test_what_is_written_renamed_moved_and_deleted_is_followed(library: Library) -> None:
    drive = library.drive
    written, renamed, moved, deleted = (drive.file(f"{n}.md", f"Text {n}.") for n in range(4))
    folder = drive.folder("Archive")
    await library.sync()

    drive.write(written, "Other words.")
    drive.rename(renamed, "new name.md")
    drive.move(moved, folder.id)
    drive.delete(deleted)
    report = await library.sync()

    documents = await library.documents()
    assert set(documents) == {written.id, renamed.id, moved.id}
    assert documents[renamed.id].title == "New name"
    assert (documents[moved.id].link or "").endswith("/Archive/2.md")
    assert len(report.updated) == 3
    assert len(report.deleted) == 1


async def test_what_is_in_a_renamed_folder_gets_its_new_address(library: Library) -> None:
    folder = library.drive.folder("Old")
    inner = library.drive.folder("Inner", into=folder.id)
    item = library.drive.file("leave.md", "Ten days.", into=inner.id)
    await library.sync()

    library.drive.rename(folder, "New")
    await library.sync()

    assert ((await library.document(item)).link or "").endswith("/New/Inner/leave.md")


@pytest.mark.parametrize("tells_of_contents", [True, False])
async def test_what_is_in_a_deleted_folder_goes_with_it(
    library: Library, tells_of_contents: bool
) -> None:
    library.drive.tells_of_contents = tells_of_contents
    folder = library.drive.folder("Old")
    rescued = library.drive.file("keep.md", "Keep.", into=folder.id)
    library.drive.file("leave.md", "Ten days.", into=library.drive.folder("In", into=folder.id).id)
    await library.sync()

    library.drive.move(rescued, ROOT)
    library.drive.delete(folder)
    await library.sync()

    assert set(await library.documents()) == {rescued.id}


async def test_a_library_of_many_pages_is_read_whole(library: Library) -> None:
    library.drive.page_size = 3
    items = [library.drive.file(f"{n}.md", f"Text {n}.") for n in range(10)]

    await library.sync()

    assert set(await library.documents()) == {item.id for item in items}
    # Four pages, and what has happened since the first of them.
    assert library.asked("drive_delta") == 5


async def test_what_cannot_be_a_document_is_told_and_costs_no_download(library: Library) -> None:
    drive = library.drive
    drive.file("movie.mp4", "x")
    drive.file("~$leave.docx", "x")
    drive.file(".hidden.md", "x")
    drive.file("empty.md", b"")
    drive.file("bad.md", "x", has_malware=True)
    drive.folder("Notebook", is_package=True)

    report = await library.sync()

    assert [name for name, _ in report.skipped] == ["movie.mp4"]
    assert sorted(reason.split(":")[0] for _, reason in report.failed) == ["bad.md", "empty.md"]
    assert library.asked("drive_content") == library.asked("drive_permissions") == 0


async def test_a_file_that_is_too_large_is_told(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.teams.connector.MAX_SIZE_BYTES", 10)
    library.drive.file("large.md", "x" * 11)

    report = await library.sync()

    assert "split it" in dict(report.failed).popitem()[1]
    assert library.asked("drive_content") == 0


async def test_rights_in_a_file_itself_count_for_nothing(library: Library) -> None:
    item = library.drive.file("leave.md", "---\nacl: [everyone]\nlevel: public\n---\nTen days.")

    await library.sync()

    document = await library.document(item)
    assert document.acl.principals == {group(STAFF)}
    assert document.acl.level is Level.INTERNAL


# Who may read it ------------------------------------------------------------------------------


async def test_people_groups_and_links_for_people_are_readers(library: Library) -> None:
    item = library.drive.file("plan.md", "The plan.")
    library.drive.permit(
        item,
        to_user(AMY, role="owner"),
        to_group(BOARD, role="write"),
        by_link("users", BEN, kind="edit"),
    )

    await library.sync()

    assert await library.readers(item) == {user(AMY), group(BOARD), user(BEN)}


async def test_ids_in_upper_case_are_the_same_people(library: Library) -> None:
    item = library.drive.file("plan.md", "The plan.")
    granted = to_user(AMY.replace("0000-4000", "ABCD-4000"))
    library.drive.permit(item, granted)

    await library.sync()

    assert await library.readers(item) == {user(AMY.replace("0000-4000", "abcd-4000"))}


@pytest.mark.parametrize(
    "permission",
    [
        to_site_group("HR Visitors"),
        to_everyone(ENTRA),
        to_group(BOARD, login=f"c:0o.c|federateddirectoryclaimprovider|{BOARD}_o"),
        to_group(BOARD, login=f"c:0t.c|tenant|{STAFF}"),
        to_group("no guid", login="c:0t.c|tenant|no guid"),
        to_user("amy@example.com"),
        to_user(AMY, role="sp.limited access"),
        to_user(AMY, expirationDateTime="2020-01-01T00:00:00Z"),
        to_user(AMY, expirationDateTime="some day"),
        by_link("organization", AMY),
        by_link("anonymous"),
        by_link("existingAccess", AMY),
        by_link("users", AMY, kind="createOnly"),
        by_link("users", AMY, hasPassword=True),
        by_link("users"),
        {"id": "1", "roles": ["read"]},
        {"id": "1", "roles": "read", "grantedToV2": {"user": {"id": AMY}}},
        {"id": "1", "grantedToV2": {"user": {"id": AMY}}},
        {"id": "1", "roles": ["read"], "grantedToV2": {"application": {"id": AMY}}},
        {"id": "1", "roles": ["read"], "grantedTo": {"user": {"id": AMY}}},
        {"id": "1", "roles": ["read"], "invitation": {"email": "cat@elsewhere.example"}},
        {
            "id": "1",
            "roles": ["read"],
            "grantedToV2": {"user": {"id": AMY}, "group": {"id": STAFF}},
        },
    ],
    ids=lambda permission: json.dumps(permission)[:60],
)
async def test_whoever_is_not_known_for_sure_is_nobody(
    library: Library, permission: dict[str, object]
) -> None:
    item = library.drive.file("plan.md", "The plan.")
    library.drive.permit(item, permission)

    report = await library.sync()

    assert await library.readers(item) == set()
    assert "is for nobody whom we know" in dict(report.failed)[f"sharepoint:b!drive-1/{item.id}"]


async def test_grants_to_nobody_of_ours_beside_others_are_counted_and_told(
    library: Library,
) -> None:
    item = library.drive.file("plan.md", "The plan.")
    library.drive.permit(item, to_user(AMY), to_site_group("HR Visitors"), by_link("anonymous"))

    report = await library.sync()

    assert await library.readers(item) == {user(AMY)}
    assert report.skipped == (
        ("some of the permissions", "1 × SharePoint group, 1 × link for anybody"),
    )


async def test_links_for_the_organisation_count_for_employees_where_that_is_set(
    library: Library,
) -> None:
    source = replace(library.source, organization_links=True)
    linked = [library.drive.file(f"{scope}.md", "Text.") for scope in ("organization", "anonymous")]
    for item in linked:
        library.drive.permit(item, by_link(item.name.removesuffix(".md")))
    locked = library.drive.file("locked.md", "Text.")
    library.drive.permit(locked, by_link("anonymous", hasPassword=True), to_everyone(ENTRA))

    await library.sync(source=source)

    for item in linked:
        # Never public, whatever the link says.
        assert await library.readers(item) == {EVERYONE}
    assert await library.readers(locked) == set()


async def test_everyone_means_employees_where_that_is_set_and_only_of_that_tenant(
    library: Library,
) -> None:
    source = replace(library.source, everyone=True)
    ours, others = (library.drive.file(f"{n}.md", "Text.") for n in "ab")
    library.drive.permit(ours, to_everyone(ENTRA))
    library.drive.permit(others, to_everyone(OTHER_ENTRA))

    await library.sync(source=source)

    assert await library.readers(ours) == {EVERYONE}
    assert await library.readers(others) == set()


async def test_a_sharepoint_group_is_the_entra_group_that_stands_for_it(library: Library) -> None:
    source = replace(library.source, site_groups={"HR Members": BOARD.upper()})
    item = library.drive.file("plan.md", "The plan.")
    library.drive.permit(item, to_site_group("HR Members"), to_site_group("HR Visitors"))

    await library.sync(source=source)

    assert await library.readers(item) == {group(BOARD)}


async def test_the_level_is_that_of_the_source(library: Library) -> None:
    item = library.drive.file("plan.md", "The plan.")

    await library.sync(source=replace(library.source, level=Level.SECRET))

    assert (await library.document(item)).acl.level is Level.SECRET


async def test_permissions_that_cannot_be_read_leave_a_file_to_nobody_until_they_can(
    library: Library,
) -> None:
    item = library.drive.file("plan.md", "The plan.")
    await library.sync()

    item.refusal = (403, "accessDenied")
    report = await library.sync(ALWAYS)
    closed = await library.readers(item)
    item.refusal = None
    await library.sync(ALWAYS)

    assert closed == set()
    assert "does not tell who may read it" in dict(report.failed).popitem()[1]
    assert await library.readers(item) == {group(STAFF)}
    assert library.asked("drive_content") == 1


async def test_permissions_of_many_pages_are_read_whole(library: Library) -> None:
    item = library.drive.file("plan.md", "The plan.")
    people = [f"{n:08d}-0000-4000-8000-000000000009" for n in range(250)]
    library.drive.permit(item, *(to_user(person) for person in people))

    await library.sync()

    assert await library.readers(item) == {user(person) for person in people}


async def test_a_grant_that_ends_is_gone_with_the_next_sync(library: Library) -> None:
    item = library.drive.file("plan.md", "The plan.")
    library.drive.permit(
        item, to_user(AMY, expirationDateTime="2027-01-15T08:01:40Z"), to_user(BEN)
    )
    await library.sync()
    before = await library.readers(item)

    library.now = 1_800_000_100.0
    await library.sync()

    assert before == {user(AMY), user(BEN)}
    assert await library.readers(item) == {user(BEN)}


# When it changes ------------------------------------------------------------------------------


@pytest.mark.parametrize("tells", ["all", "files"])
async def test_a_changed_permission_of_a_file_needs_no_full_reading(
    library: Library, tells: str
) -> None:
    library.drive.tells_of_permissions = tells
    items = [library.drive.file(f"{n}.md", "Text.") for n in range(30)]
    await library.sync()
    asked = library.asked("drive_permissions")

    library.drive.permit(items[0], to_user(AMY))
    report = await library.sync()

    assert await library.readers(items[0]) == {user(AMY)}
    # Once to know who reads it, and once more with its content.
    assert library.asked("drive_permissions") == asked + 2
    assert library.asked("drive_content") == 30 + len(report.updated)


async def test_what_inherits_from_a_folder_changes_with_it(library: Library) -> None:
    folder = library.drive.folder("Board")
    inner = library.drive.folder("Inner", into=folder.id)
    inherits = library.drive.file("minutes.md", "Minutes.", into=inner.id)
    unique = library.drive.file("open.md", "Open.", into=inner.id)
    library.drive.permit(unique, to_user(CAT))
    await library.sync()

    library.drive.permit(folder, to_group(BOARD))
    await library.sync()

    assert await library.readers(inherits) == {group(BOARD)}
    assert await library.readers(unique) == {user(CAT)}


async def test_what_is_moved_into_another_folder_gets_its_readers(library: Library) -> None:
    board = library.drive.folder("Board")
    library.drive.permit(board, to_group(BOARD))
    folder = library.drive.folder("Project")
    item = library.drive.file("plan.md", "The plan.", into=folder.id)
    await library.sync()

    library.drive.move(folder, board.id)
    await library.sync()

    assert await library.readers(item) == {group(BOARD)}


async def test_what_graph_does_not_tell_is_found_within_the_hour(library: Library) -> None:
    library.drive.tells_of_permissions = "none"
    item = library.drive.file("plan.md", "The plan.")
    await library.sync()

    library.drive.permit(item, to_user(AMY))
    await library.sync()
    at_once = await library.readers(item)
    library.now += 3600
    await library.sync()

    assert at_once == {group(STAFF)}
    assert await library.readers(item) == {user(AMY)}


async def test_rights_that_shrink_do_not_wait_for_the_last_file(library: Library) -> None:
    items = [library.drive.file(f"{n:03d}.md", "Text.") for n in range(45)]
    deleted = library.drive.file("deleted.md", "Text.")
    await library.sync()

    for item in items:
        library.drive.permit(item, to_user(AMY))
    library.drive.delete(deleted)
    # The third batch fails, and with it the sync.
    library.api.fail("graph:/$batch", status=500, after=2)
    with pytest.raises(SharePointAway):
        await library.sync(ALWAYS)

    readers = [await library.readers(item) for item in items]
    assert readers.count(frozenset()) == 40
    assert deleted.id not in await library.documents()


async def test_an_outage_changes_nothing_for_a_day_and_then_closes_everything(
    library: Library,
) -> None:
    item = library.drive.file("plan.md", "The plan.")
    await library.sync()

    library.api.teams.faults.down.add("graph")
    with pytest.raises(SharePointAway):
        await library.sync()
    soon = await library.readers(item)
    library.now += TRUSTED_S
    with pytest.raises(SharePointAway):
        await library.sync()
    later = await library.readers(item)
    library.api.teams.faults.down.clear()
    await library.sync_when_back()

    assert soon == {group(STAFF)}
    assert later == set()
    assert await library.readers(item) == {group(STAFF)}
    assert library.asked("drive_content") == 1


async def test_who_wants_to_rest_is_not_asked_for_every_other_file(library: Library) -> None:
    items = [library.drive.file(f"{n}.md", f"Text {n}.") for n in range(9)]
    library.api.fail("graph:drive_content", status=429, retry_after_s=0.2, after=2)

    with pytest.raises(SharePointAway) as caught:
        await library.sync()
    contents = [c for c in library.api.teams.calls if c.name == "graph:drive_content"]

    assert caught.value.after_s == 0.2
    assert len(contents) == 3
    assert len(await library.documents()) == 2
    await library.sync_when_back()
    assert set(await library.documents()) == {item.id for item in items}


async def test_one_file_that_cannot_be_fetched_does_not_keep_the_others(library: Library) -> None:
    items = [library.drive.file(f"{n}.md", f"Text {n}.") for n in range(3)]
    library.api.fail("graph:drive_content", status=500)

    report = await library.sync()

    assert len(report.added) == 2
    assert "the next sync tries again" in report.failed[0][1]
    await library.sync()
    assert set(await library.documents()) == {item.id for item in items}


async def test_a_library_that_the_app_may_not_read_any_more_is_closed_to_all(
    library: Library,
) -> None:
    item = library.drive.file("plan.md", "The plan.")
    await library.sync()

    library.drives.is_closed = True
    report = await library.sync()

    assert await library.readers(item) == set()
    assert "SharePoint refuses" in report.failed[0][1]


async def test_a_site_that_is_gone_is_closed_to_all(library: Library) -> None:
    item = library.drive.file("plan.md", "The plan.")
    await library.sync()

    library.drive.site = "sites/elsewhere"
    with pytest.raises(IngestError, match="refuses"):
        await library.sync()

    assert await library.readers(item) == set()


async def test_a_library_that_is_gone_from_its_site_goes(library: Library) -> None:
    library.drive.file("plan.md", "The plan.")
    second = library.drives.library("Forms")
    second.permit(second.items[ROOT], to_group(STAFF))
    second.file("form.md", "The form.")
    await library.sync_all()
    before = {d.source.rpartition("/")[2] for d in await library.store.documents()}

    del library.drives.libraries[second.id]
    await library.sync_all()

    assert before == {"Shared Documents", "Forms"}
    assert len(await library.documents()) == 1
    assert await library.ledger.state(second.id) is None
    assert await library.ledger.items(second.id) == {}


# Tokens, kills and races ----------------------------------------------------------------------


async def test_links_that_graph_has_forgotten_lead_to_a_new_listing(library: Library) -> None:
    kept, deleted = (library.drive.file(f"{n}.md", f"Text {n}.") for n in "ab")
    await library.sync()

    library.drive.delete(deleted)
    added = library.drive.file("c.md", "Text c.")
    library.drive.forget_links()
    await library.sync()

    assert set(await library.documents()) == {kept.id, added.id}
    assert library.asked("drive_content") == 3


async def test_an_interrupted_listing_goes_on_where_it_was(library: Library) -> None:
    library.drive.page_size = 2
    items = [library.drive.file(f"{n}.md", f"Text {n}.") for n in range(9)]
    library.api.fail("graph:drive_delta", status=500, after=3)
    with pytest.raises(SharePointAway):
        await library.sync()
    assert library.asked("drive_delta") == 3
    assert await library.documents() == {}
    library.api.teams.faults.clear()

    await library.sync()

    assert library.asked("drive_delta") == 6
    assert set(await library.documents()) == {item.id for item in items}


async def test_what_happens_during_an_interruption_is_known_after_it(library: Library) -> None:
    library.drive.page_size = 2
    item, deleted = (library.drive.file(f"{n}.md", f"Text {n}.") for n in "ab")
    library.api.fail("graph:drive_delta", status=500, after=1)
    with pytest.raises(SharePointAway):
        await library.sync()

    library.drive.delete(deleted)
    added = library.drive.file("c.md", "Text c.")
    await library.sync()

    assert set(await library.documents()) == {item.id, added.id}


async def test_a_link_is_kept_only_together_with_what_it_told(library: Library) -> None:
    library.drive.file("a.md", "Text a.")
    await library.sync()
    state = await library.ledger.state(library.drive.id)
    assert state is not None
    # Somebody else, with an older look, is not let in between.
    stale = replace(state, link="https://elsewhere.example", turn=state.turn)

    assert not await library.ledger.turn(library.drive.id, stale, drop=["01ROOT"])
    assert await library.ledger.state(library.drive.id) == state


async def test_two_at_once_do_not_spoil_each_other(library: Library) -> None:
    items = [library.drive.file(f"{n}.md", f"Text {n}.") for n in range(5)]

    results = await asyncio.gather(library.sync(), library.sync(), return_exceptions=True)
    await library.sync()

    assert all(not isinstance(r, Exception) or isinstance(r, SyncedElsewhere) for r in results)
    assert set(await library.documents()) == {item.id for item in items}


async def test_a_file_that_changes_while_it_is_read_waits_for_the_next_sync(
    library: Library,
) -> None:
    item = library.drive.file("plan.md", "For all.")

    def change(what: str, asked: Item) -> None:
        if what == "permissions" and library.asked("drive_content") == 1:
            library.drive.write(item, "For the board alone.")

    library.drive.on_asked = change
    report = await library.sync()
    library.drive.on_asked = lambda what, item: None

    assert "has just changed" in dict(report.failed).popitem()[1]
    assert await library.documents() == {}
    await library.sync()
    assert await library.readers(item) == {group(STAFF)}


async def test_rights_taken_away_while_a_file_is_read_hold(library: Library) -> None:
    item = library.drive.file("plan.md", "For the board.")
    library.drive.tells_of_permissions = "none"

    def narrow(what: str, asked: Item) -> None:
        if what == "content":
            library.drive.permit(item, to_group(BOARD))

    library.drive.on_asked = narrow
    await library.sync()
    at_once = await library.readers(item)
    await library.sync()

    assert at_once == {group(BOARD)}
    assert await library.readers(item) == {group(BOARD)}


@pytest.mark.parametrize(
    "publication",
    [{"level": "checkout", "versionId": "2.0"}, {"level": "published", "versionId": "1.3"}],
)
async def test_a_draft_is_not_shown_to_all_readers(
    library: Library, publication: dict[str, str]
) -> None:
    item = library.drive.file("plan.md", "The draft.", publication=publication)

    report = await library.sync()
    before = await library.documents()
    item.publication = {"level": "published", "versionId": "3.0"}
    library.drive.touch(item)
    await library.sync()

    assert "draft" in dict(report.failed).popitem()[1]
    assert before == {}
    assert await library.readers(item) == {group(STAFF)}


async def test_content_of_another_host_than_those_known_is_not_fetched(library: Library) -> None:
    library.drive.file("plan.md", "The plan.")
    library.graph._file_hosts = ()
    library.syncs._graph = library.graph.of(ENTRA)

    report = await library.sync()

    assert "foreignHost" in dict(report.failed).popitem()[1]
    assert await library.documents() == {}


async def test_a_store_that_fails_midway_is_made_good_by_the_next_sync(library: Library) -> None:
    items = [library.drive.file(f"{n}.md", f"Text {n}.") for n in range(3)]
    original = library.store.write

    async def failing(documents: list[IndexedDocument]) -> None:
        raise StoreUnavailable("away")

    library.store.write = failing  # type: ignore[assignment, method-assign]
    with pytest.raises(StoreUnavailable):
        await library.sync()
    library.store.write = original  # type: ignore[method-assign]

    await library.sync()

    assert set(await library.documents()) == {item.id for item in items}


# Names and jobs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        SITE,
        "https://example.sharepoint.com/sites/HR",
        "example.sharepoint.com/sites/hr/Shared%20Documents",
        "sharepoint:example.sharepoint.com/sites/hr/shared documents",
        "sharepoint:b!drive-1",
    ],
)
async def test_a_site_a_library_and_an_id_are_understood(library: Library, name: str) -> None:
    item = library.drive.file("plan.md", "The plan.")

    await library.sync(source=SharePointSource(name))

    assert set(await library.documents()) == {item.id}


@pytest.mark.parametrize(
    "name", ["", "sharepoint:", "sites/hr", "a.example/b", "a.example/b/c/d/e", "b!x/../me"]
)
async def test_other_names_are_refused_with_an_example(library: Library, name: str) -> None:
    with pytest.raises(IngestError, match="write for example"):
        await library.sync(source=SharePointSource(name))


async def test_a_library_that_the_site_does_not_have_is_told_with_those_it_has(
    library: Library,
) -> None:
    with pytest.raises(IngestError, match="there are: Shared Documents"):
        await library.sync(source=SharePointSource(f"{SITE}/Contracts"))


async def test_the_schedule_syncs_each_source_and_waits_for_graph(library: Library) -> None:
    item = library.drive.file("plan.md", "The plan.")
    inbox = InMemoryInbox(lease_s=LEASE_S, clock=lambda: library.now)
    handlers = sharepoint_handlers(
        library.syncs, [library.source, SharePointSource("no name")], inbox
    )
    worker = Worker(inbox, handlers, idle_wait_s=0.002)
    await inbox.put("tick", "job:sharepoint", REVIEW, "", is_awaited=False)
    library.api.fail("graph:site", status=429, retry_after_s=0.2)

    async with asyncio.timeout(PATIENCE_S):
        running = asyncio.create_task(worker.run())
        while (await inbox.state()).unfinished:
            library.now += 2
            await asyncio.sleep(0.01)
        await worker.stop(within_s=PATIENCE_S)
        await running

    assert await inbox.dead() == []
    assert await library.readers(item) == {group(STAFF)}


async def test_a_double_keeps_its_libraries_apart_from_those_of_other_tenants() -> None:
    async with a_library() as library:
        other = drives_of(library.api.teams).library("Theirs", tenant=OTHER_ENTRA)
        with pytest.raises(IngestError, match="itemNotFound"):
            await library.sync_all(source=SharePointSource(f"sharepoint:{other.id}"))
