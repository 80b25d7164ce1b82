"""Jobs at set times, announced by every replica and done once."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adapters.app import open_conversations, open_knowledge, working
from adapters.ingestion import list_sources
from adapters.jobs import SYNC, SyncHandler
from adapters.settings import (
    DirectorySettings,
    EmbeddingsProvider,
    EmbeddingsSettings,
    Settings,
    SyncSettings,
)
from bot.inbox import InMemoryInbox
from bot.schedules import Schedule, Scheduler

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Clock:
    """Moves on by itself: each look is one second later."""

    def __init__(self, now: datetime) -> None:
        self._ticks: Iterator[datetime] = (now + timedelta(seconds=n) for n in range(10_000))

    def __call__(self) -> datetime:
        return next(self._ticks)


async def test_what_every_replica_announces_is_put_once() -> None:
    inbox = InMemoryInbox()
    replicas = [Scheduler(inbox, [Schedule("sync", "*/15 * * * *")]) for _ in range(3)]

    await asyncio.gather(*(replica.put_due(NOON) for replica in replicas))
    taken = await inbox.take(wait_s=1)

    assert (await inbox.state()).unfinished == 1
    assert taken is not None
    assert taken.entry.id == "sync@2026-11-23T12:00Z"
    assert taken.entry.kind == "sync"


async def test_only_what_is_due_at_that_minute_is_put() -> None:
    inbox = InMemoryInbox()
    schedules = [Schedule("sync", "*/15 * * * *"), Schedule("review", "0 6 * * 1")]

    await Scheduler(inbox, schedules).put_due(NOON)

    taken = await inbox.take(wait_s=1)
    assert taken is not None
    assert taken.entry.kind == "sync"
    assert (await inbox.state()).unfinished == 1


async def test_a_job_that_still_runs_is_not_overtaken_by_the_next() -> None:
    inbox = InMemoryInbox()
    scheduler = Scheduler(inbox, [Schedule("sync", "*/15 * * * *")])
    await scheduler.put_due(NOON)
    await inbox.take(wait_s=1)

    await scheduler.put_due(NOON + timedelta(minutes=15))

    assert await inbox.take(wait_s=0.01) is None


async def test_time_after_time_is_announced() -> None:
    inbox = InMemoryInbox()
    scheduler = Scheduler(
        inbox, [Schedule("sync", "* * * * *")], clock=Clock(NOON - timedelta(seconds=1))
    )
    running = asyncio.create_task(scheduler.run())

    async with asyncio.timeout(20):
        while (await inbox.state()).unfinished < 1:
            await asyncio.sleep(0.01)
    running.cancel()

    taken = await inbox.take(wait_s=1)
    assert taken is not None
    assert taken.entry.id == "sync@2026-11-23T12:00Z"


async def test_a_sync_that_is_due_brings_the_configured_folders_up_to_date(
    tmp_path: Path,
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "parking.md").write_text("# Parking\n\nThe garage opens at 7.\n")
    (tmp_path / "people.yaml").write_text("users: {ann: {}}\n")
    settings = Settings(
        home=tmp_path / "home",
        directory=DirectorySettings(path=tmp_path / "people.yaml"),
        embeddings=EmbeddingsSettings(provider=EmbeddingsProvider.NONE),
        sync=SyncSettings(paths=(docs,), acl=("everyone",), schedule="*/15 * * * *"),
    )

    async with (
        open_knowledge(settings) as knowledge,
        open_conversations(settings, knowledge) as conversations,
        working(
            settings,
            conversations,
            jobs={SYNC: SyncHandler(settings, knowledge)},
            schedules=[],
        ),
    ):
        await Scheduler(conversations.inbox, [Schedule(SYNC, "*/15 * * * *")]).put_due(NOON)
        async with asyncio.timeout(30):
            while (await conversations.inbox.state()).unfinished:
                await asyncio.sleep(0.02)

    assert await list_sources(settings) == {f"folder:{docs}": 1}
