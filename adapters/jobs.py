"""Jobs that run from the inbox: bringing documents up to date."""

import structlog

from adapters.app import Knowledge
from adapters.ingestion import ingest_into
from adapters.settings import Settings
from adapters.slack.indexing import REVIEW, REVIEW_SCHEDULE
from bot.errors import TryLater
from bot.schedules import Schedule
from bot.worker import Job
from retrieval.errors import IngestError, StoreUnavailable

log = structlog.get_logger()

SYNC = "sync"

_PAUSE_S = 30.0


def schedules(settings: Settings) -> list[Schedule]:
    due = [Schedule(SYNC, settings.sync.schedule)] if settings.sync.schedule else []
    if settings.has_slack:
        # Also without approved channels: what is left of those that were has to go.
        due.append(Schedule(REVIEW, REVIEW_SCHEDULE))
    return due


class SyncHandler:
    """Brings the configured paths up to date; taken up again after a crash, it goes on where it was."""

    def __init__(self, settings: Settings, knowledge: Knowledge) -> None:
        self._settings = settings
        self._knowledge = knowledge

    async def handle(self, job: Job) -> None:
        sync = self._settings.sync
        try:
            reports = await ingest_into(
                self._knowledge, self._settings, sync.paths, sync.acl, on_progress=lambda _: None
            )
        except StoreUnavailable as error:
            raise TryLater(_PAUSE_S) from error
        except IngestError as error:
            # The next one is due anyway, and looks again.
            log.error("sync.failed", reason=str(error))
            return
        for report in reports:
            log.info("sync.done", source=report.source, **report.counts)

    async def give_up(self, job: Job) -> None:
        log.error("sync.given_up")
