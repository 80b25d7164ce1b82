"""What somebody sees of the bot at a glance: their own things, and for administrators how it fares. Plain values."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog

from bot.admins import Admins
from bot.audience import Audience
from bot.capture.review import ReviewQueue
from bot.directory import Directory, Person
from bot.inbox import Inbox, QueueState
from bot.messages import ConversationKind, Feedback, UserRef
from bot.records import AnswerRecord, Records
from bot.state import State
from retrieval.errors import ShifuError
from retrieval.store import ChunkStore, SourceSummary, StoreCounts
from retrieval.types import Band, Language

T = TypeVar("T")

log = structlog.get_logger()

_RECENT = 10
_UNANSWERED = 100
_SHOWN = 20
_REPORTS = 20
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question of the person's own; *answer_id* for asking why it was answered so."""

    answer_id: str
    text: str
    at: datetime
    band: Band


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question without a sure answer, asked where the one who looks reads along."""

    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """What *by* said was wrong, by name as far as they are known."""

    text: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AdminOverview:
    """
    What cannot be had now is None.

    Attributes:
        unanswered: The newest first.
        unanswered_elsewhere: How many more there are, asked in private or in conversations that the
            administrator does not read: their texts are nobody else's business.
        reports: The newest first.
        submissions: How many texts wait for review.
    """

    queue: QueueState | None
    index: StoreCounts | None
    unanswered: tuple[OpenQuestion, ...] | None
    unanswered_elsewhere: int
    reports: tuple[Report, ...] | None
    submissions: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """
    For one person alone. What cannot be had now is None.

    Attributes:
        is_known: False for a stranger, who reads public documents only.
        groups: Names of the groups whose documents they may read.
        language: As they chose; None for that of each question.
        recent: The newest first.
        sources: What they may read.
        admin: For administrators.
    """

    is_known: bool | None
    groups: tuple[str, ...]
    language: Language | None
    recent: tuple[AskedQuestion, ...] | None
    sources: tuple[SourceSummary, ...] | None
    admin: AdminOverview | None = None


class Overviews:
    """Looks everything up at the moment of asking; never raises for what is away."""

    def __init__(
        self,
        *,
        directory: Directory,
        audience: Audience,
        store: ChunkStore,
        state: State,
        records: Records,
        inbox: Inbox,
        review: ReviewQueue,
        admins: Admins,
    ) -> None:
        self._directory = directory
        self._audience = audience
        self._store = store
        self._state = state
        self._records = records
        self._inbox = inbox
        self._review = review
        self._admins = admins

    async def of(self, user: UserRef) -> Overview:
        person, preferences, recent, sources, is_admin = await asyncio.gather(
            _soon(self._known(user)),
            _soon(self._state.preferences(user)),
            _soon(self._records.of_user(user, limit=_RECENT)),
            _soon(self._sources(user)),
            self._admins.include(user),
        )
        return Overview(
            is_known=None if person is None else bool(person),
            groups=person[0].groups if person else (),
            language=preferences.language if preferences else None,
            recent=None if recent is None else tuple(map(_asked, recent)),
            sources=None if sources is None else tuple(sources),
            admin=await self._admin(user) if is_admin else None,
        )

    async def _sources(self, user: UserRef) -> list[SourceSummary]:
        return await self._store.sources((await self._audience.scope_of_person(user)).scope)

    async def _admin(self, user: UserRef) -> AdminOverview:
        queue, index, unanswered, feedback, submissions = await asyncio.gather(
            _soon(self._inbox.state()),
            _soon(self._store.counts()),
            _soon(self._records.unanswered(limit=_UNANSWERED)),
            _soon(self._state.feedback()),
            _soon(self._review.count()),
        )
        readable = await self._readable(user, unanswered or [])
        return AdminOverview(
            queue=queue,
            index=index,
            unanswered=None if unanswered is None else readable[:_SHOWN],
            unanswered_elsewhere=len(unanswered or []) - len(readable),
            reports=None if feedback is None else await self._reports(feedback),
            submissions=submissions,
        )

    async def _readable(
        self, user: UserRef, records: Sequence[AnswerRecord]
    ) -> tuple[OpenQuestion, ...]:
        shared = [
            record
            for record in records
            if not record.is_private and record.conversation.kind is not ConversationKind.DIRECT
        ]
        places = {record.conversation.place_key: record.conversation for record in shared}
        asked = (_soon(self._audience.reads(user, place)) for place in places.values())
        reads = await asyncio.gather(*asked)
        open_to = {key for key, is_reader in zip(places, reads, strict=True) if is_reader}
        return tuple(
            OpenQuestion(record.question, record.at)
            for record in shared
            if record.conversation.place_key in open_to
        )

    async def _reports(self, feedback: Sequence[Feedback]) -> tuple[Report, ...]:
        newest = [one for one in reversed(feedback) if one.comment][:_REPORTS]
        people = await asyncio.gather(*(self._person(one.user) for one in newest))
        return tuple(
            Report(one.comment, person.name if person else one.user.id, one.at)
            for one, person in zip(newest, people, strict=True)
        )

    async def _known(self, user: UserRef) -> tuple[Person, ...]:
        """Nobody for a stranger."""
        person = await self._directory.person(user)
        return (person,) if person else ()

    async def _person(self, user: UserRef) -> Person | None:
        return await _soon(self._directory.person(user))


def _asked(record: AnswerRecord) -> AskedQuestion:
    return AskedQuestion(record.id, record.question, record.at, record.band)


async def _soon(asked: Awaitable[T]) -> T | None:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await asked
    except (ShifuError, TimeoutError) as error:
        log.warning("overview.unavailable", error=type(error).__name__)
        return None
