"""A company with document libraries, and everything of ours that follows them."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from adapters.teams.connector import SharePointAway
from adapters.teams.credentials import BotTokens, Credentials
from adapters.teams.drive_ledger import DriveLedger, InMemoryDriveLedger
from adapters.teams.drive_mirror import INTERVALS, Intervals
from adapters.teams.graph import Graph
from adapters.teams.graph_wire import GraphWire
from adapters.teams.ids import TeamsPerson, entra_group_principal
from adapters.teams.sharepoint_sync import SharePointSource, SharePointSync
from retrieval.access import PUBLIC, Level, Principal, Reader, tenant_principal, user_principal
from retrieval.ingest.sync_report import SyncReport
from retrieval.store import ChunkStore, InMemoryStore
from retrieval.types import Document
from tests.builders import TENANT
from tests.fakes.teams.drives import Drives, drives_of
from tests.fakes.teams.library import Drive, Item
from tests.fakes.teams_api import TeamsApi

ENTRA = "11111111-1111-4111-8111-111111111111"
OTHER_ENTRA = "22222222-2222-4222-8222-222222222222"
SITE = "sharepoint:example.sharepoint.com/sites/hr"
PATIENCE_S = 60
"""With a busy machine; nothing here is about how long anything takes."""
ALWAYS = Intervals(sweep_every_s=0)
"""All permissions are read in every sync."""


def guid(n: int) -> str:
    return f"{n:08d}-0000-4000-8000-000000000000"


AMY, BEN, CAT = guid(1), guid(2), guid(3)
STAFF, BOARD = guid(101), guid(102)


class Library:
    """One library, and what the store has of it."""

    def __init__(
        self, api: TeamsApi, *, store: ChunkStore | None = None, ledger: DriveLedger | None = None
    ) -> None:
        self.api = api
        self.drives: Drives = drives_of(api.teams)
        self.drive: Drive = self.drives.library()
        self.store: ChunkStore = store or InMemoryStore()
        self.ledger: DriveLedger = ledger or InMemoryDriveLedger()
        self.now = 1_800_000_000.0
        self.source = SharePointSource(SITE)
        self._tokens = BotTokens(
            api.app_id, ENTRA, Credentials(secret=api.app_password), login_url=api.login_url
        )
        self.graph = Graph(
            GraphWire(self._tokens, base_url=api.graph_url),
            tenant_id=ENTRA,
            file_hosts=("localhost",),
        )
        self.syncs = SharePointSync(
            self.graph,
            self.ledger,
            self.store,
            None,
            tenant=TENANT,
            tenant_id=ENTRA,
            patience_s=0.05,
            clock=lambda: self.now,
        )

    async def sync(
        self, intervals: Intervals = INTERVALS, source: SharePointSource | None = None
    ) -> SyncReport:
        [report] = await self.sync_all(intervals, source)
        return report

    async def sync_all(
        self, intervals: Intervals = INTERVALS, source: SharePointSource | None = None
    ) -> list[SyncReport]:
        self.now += 1
        return await self.syncs.sync(
            source or self.source, on_progress=lambda _: None, intervals=intervals
        )

    async def sync_when_back(self) -> SyncReport:
        """Graph is left alone for a moment after it has been away."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await self.sync()
                except SharePointAway:
                    await asyncio.sleep(0.05)

    async def documents(self) -> dict[str, Document]:
        """By id of the item."""
        found = await self.store.documents()
        return {document.id.rpartition("/")[2]: document for document in found}

    async def document(self, item: Item) -> Document:
        return (await self.documents())[item.id]

    async def readers(self, item: Item) -> frozenset[Principal]:
        """Empty too where there is no such document."""
        document = (await self.documents()).get(item.id)
        return document.acl.principals if document else frozenset()

    def asked(self, name: str) -> int:
        """How often, with success."""
        calls = self.api.teams.calls
        return sum(c.name == f"graph:{name}" and c.status < 400 for c in calls)

    async def close(self) -> None:
        await self.graph.close()
        await self._tokens.close()


@asynccontextmanager
async def a_library(**options: Any) -> AsyncIterator[Library]:
    async with TeamsApi() as api:
        api.tenant(ENTRA)
        library = Library(api, **options)
        try:
            yield library
        finally:
            await library.close()


def user(id: str) -> Principal:
    return user_principal(TENANT, TeamsPerson(ENTRA, id).account)


def group(id: str) -> Principal:
    return entra_group_principal(TENANT, id)


def a_person(id: str, *groups: str, is_employee: bool = True) -> Reader:
    """As the directory gives them."""
    employed = {tenant_principal(TENANT)} if is_employee else set()
    principals = {PUBLIC, user(id), *employed, *(group(one) for one in groups)}
    return Reader(frozenset(principals), Level.CONFIDENTIAL)


def readable(documents: Collection[Document], reader: Reader) -> set[str]:
    return {d.id.rpartition("/")[2] for d in documents if reader.may_read(d.acl)}
