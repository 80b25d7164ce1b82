"""Whatever happens in a library, and whatever Graph leaves untold: nobody reads what they may not read there."""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.teams.connector import SharePointAway
from adapters.teams.drive_mirror import SWEEP_EVERY_S
from adapters.teams.sharepoint_sync import SharePointSource
from retrieval.access import Reader
from tests.fakes.teams.library import (
    ROOT,
    Drive,
    Item,
    by_link,
    to_everyone,
    to_group,
    to_site_group,
    to_user,
)
from tests.fakes.teams.world import Json
from tests.sharepoint_stage import (
    ALWAYS,
    AMY,
    BEN,
    BOARD,
    CAT,
    ENTRA,
    OTHER_ENTRA,
    SITE,
    STAFF,
    Library,
    a_library,
    a_person,
    readable,
)

# Amy and Ben are employed, Cat is a guest.
PEOPLE: dict[str, tuple[frozenset[str], bool]] = {
    AMY: (frozenset({STAFF, BOARD}), True),
    BEN: (frozenset({STAFF}), True),
    CAT: (frozenset({BOARD}), False),
}
READERS: dict[str, Reader] = {
    id: a_person(id, *groups, is_employee=employed) for id, (groups, employed) in PEOPLE.items()
}
GENEROUS = SharePointSource(
    SITE, organization_links=True, everyone=True, site_groups={"Members": STAFF}
)
STEPS = 12


def a_permission(choose: random.Random) -> Json:
    person, group = choose.choice([AMY, BEN, CAT]), choose.choice([STAFF, BOARD])
    scope = choose.choice(["users", "organization", "anonymous"])
    return choose.choice(
        [
            to_user(person, role=choose.choice(["read", "write", "owner"])),
            to_group(group),
            to_group(group, login=f"c:0o.c|federateddirectoryclaimprovider|{group}_o"),
            to_site_group(choose.choice(["Members", "Visitors"])),
            to_everyone(choose.choice([ENTRA, OTHER_ENTRA])),
            by_link(scope, person, kind=choose.choice(["view", "edit", "createOnly"])),
            to_user(person, role="sp.limited access"),
        ]
    )


def may_read(permission: Json, person: str, source: SharePointSource) -> bool:
    """
    In SharePoint, decided by hand and not by our code. Of a link for the organisation it is whoever is
    employed, of whom SharePoint would want them to have been given it.
    """
    groups, is_employee = PEOPLE[person]
    kind = permission["id"].split("-")[0]
    if kind == "u":
        return (
            permission["grantedToV2"]["user"]["id"] == person
            and "limited" not in permission["roles"][0]
        )
    if kind == "g":
        login = permission["grantedToV2"]["siteUser"]["loginName"]
        return permission["grantedToV2"]["group"]["id"] in groups and not login.endswith("_o")
    if kind == "s":
        name = permission["grantedToV2"]["siteGroup"]["displayName"]
        return source.site_groups.get(name) in groups
    if kind == "everyone":
        login = permission["grantedToV2"]["siteUser"]["loginName"]
        return is_employee and source.everyone and login.endswith(ENTRA)
    link = permission["link"]
    if link["type"] == "createOnly":
        return False
    if link["scope"] == "users":
        return any(i["user"]["id"] == person for i in permission["grantedToIdentitiesV2"])
    return is_employee and source.organization_links


def readable_there(drive: Drive, person: str, source: SharePointSource) -> set[str]:
    return {
        item.id
        for item in drive.files()
        if item.refusal is None
        and any(may_read(permission, person, source) for permission in drive.effective(item))
    }


def happen(drive: Drive, choose: random.Random) -> None:
    """One thing that somebody does in SharePoint."""
    there = [i for i in drive.items.values() if i.id != ROOT and drive.exists(i)]
    folders = [i for i in there if i.content is None]
    files = [i for i in there if i.content is not None]
    into = choose.choice([ROOT, *(i.id for i in folders)])
    permissions = [a_permission(choose) for _ in range(choose.randrange(3))]
    what = choose.randrange(12)
    if what <= 1 or not there:
        drive.file(f"file {len(drive.items)}.md", "Some words.", into=into)
    elif what == 2:
        drive.folder(f"folder {len(drive.items)}", into=into)
    elif what <= 5:
        drive.permit(choose.choice([drive.items[ROOT], *there]), *permissions)
    elif what == 6:
        drive.inherit(choose.choice(there))
    elif what == 7:
        drive.delete(choose.choice(there))
    elif what == 8:
        item = choose.choice(there)
        if not drive.is_within(into, item.id):
            drive.move(item, into)
    elif what == 9 and files:
        item = choose.choice(files)
        item.refusal = (
            None if item.refusal else choose.choice([(403, "accessDenied"), (404, "gone")])
        )
    elif what == 10 and files:
        drive.write(choose.choice(files), f"Other words {choose.random()}.")
    elif choose.random() < 0.3:
        drive.forget_links()
    else:
        drive.rename(choose.choice(there), f"renamed {len(drive.changes)}.md")


async def check(library: Library, source: SharePointSource, *, is_exact: bool) -> None:
    documents = await library.store.documents()
    for person, reader in READERS.items():
        here = readable(documents, reader)
        there = readable_there(library.drive, person, source)
        assert here <= there, f"{person} reads too much"
        if is_exact:
            assert here == there, f"{person} reads too little"


@pytest.mark.parametrize("tells", ["all", "files", "none"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), is_generous=st.booleans())
def test_after_every_sync_each_reads_here_what_they_may_read_there(
    tells: str, seed: int, is_generous: bool
) -> None:
    """However little Graph tells of changed permissions, where all of them are read each time."""

    async def history() -> None:
        choose = random.Random(seed)
        async with a_library() as library:
            source = GENEROUS if is_generous else library.source
            library.drive.tells_of_permissions = tells
            library.drive.tells_of_contents = choose.random() < 0.5
            library.drive.page_size = choose.choice([1, 3, 200])
            for _ in range(STEPS):
                for _ in range(choose.randrange(5)):
                    happen(library.drive, choose)
                await library.sync(ALWAYS, source)
                await check(library, source, is_exact=True)

    asyncio.run(history())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_where_graph_tells_of_permissions_no_full_reading_is_needed(seed: int) -> None:
    async def history() -> None:
        choose = random.Random(seed)
        async with a_library() as library:
            for _ in range(STEPS):
                for _ in range(choose.randrange(5)):
                    happen(library.drive, choose)
                # Permissions that are refused from now on are no change that Graph would tell.
                for item in library.drive.items.values():
                    item.refusal = None
                await library.sync()
                await check(library, library.source, is_exact=True)

    asyncio.run(history())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_syncs_that_fail_are_killed_or_meet_changes_end_in_the_same(seed: int) -> None:
    async def history() -> None:
        choose = random.Random(seed)
        async with a_library() as library:
            drive = library.drive
            drive.page_size = choose.choice([1, 3])
            drive.tells_of_permissions = choose.choice(["all", "none"])

            def meanwhile(what: str, item: Item) -> None:
                if choose.random() < 0.05:
                    happen(drive, choose)

            for _ in range(STEPS):
                for _ in range(choose.randrange(5)):
                    happen(drive, choose)
                drive.on_asked = meanwhile
                await _disturbed(library, choose)
                drive.on_asked = lambda what, item: None
                library.api.teams.faults.clear()
            # What a reading that was cut short had learnt counts for an hour.
            library.now += SWEEP_EVERY_S
            await library.sync(ALWAYS)
            await check(library, library.source, is_exact=True)

    asyncio.run(history())


async def _disturbed(library: Library, choose: random.Random) -> None:
    name = choose.choice(["drive_delta", "/$batch", "drive_content", "drive_item", "site", ""])
    if name:
        after = choose.randrange(4)
        library.api.fail(f"graph:{name}", status=500, after=after)
    sync = asyncio.create_task(library.sync(ALWAYS))
    if choose.random() < 0.5:
        for _ in range(choose.randrange(300)):
            await asyncio.sleep(0)
        sync.cancel()
    with suppress(SharePointAway, asyncio.CancelledError):
        await sync


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nothing_that_is_taken_away_comes_back_while_a_sync_goes_wrong(seed: int) -> None:
    """A sync that fails may know too little; it never grants what was not granted when it began."""

    async def history() -> None:
        choose = random.Random(seed)
        async with a_library() as library:
            for _ in range(20):
                happen(library.drive, choose)
            await library.sync(ALWAYS)
            before = {p: readable_there(library.drive, p, library.source) for p in PEOPLE}
            for _ in range(10):
                happen(library.drive, choose)
            library.api.fail(
                f"graph:{choose.choice(['drive_delta', '/$batch', 'drive_content'])}",
                status=choose.choice([500, 502]),
                after=choose.randrange(3),
            )
            with suppress(SharePointAway):
                await library.sync(ALWAYS)

            documents = await library.store.documents()
            for person, reader in READERS.items():
                now = readable_there(library.drive, person, library.source)
                assert readable(documents, reader) <= before[person] | now

    asyncio.run(history())


async def test_other_rules_hold_with_the_next_sync() -> None:
    async with a_library() as library:
        item = library.drive.file("plan.md", "The plan.")
        library.drive.permit(item, to_everyone(ENTRA))
        await library.sync(source=replace(library.source, everyone=True))
        before = readable(await library.store.documents(), READERS[BEN])

        await library.sync()

        assert before == {item.id}
        assert readable(await library.store.documents(), READERS[BEN]) == set()
