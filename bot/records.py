"""What is kept of each answer, so that people can ask why and gaps can be seen; with the in-memory twin."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.messages import ConversationRef, UserRef
from retrieval.types import Band, Language

RECORD_TTL_S = 30 * 86_400
"""Long enough to ask about last month's answer; it holds what somebody asked, so no longer."""

MAX_UNANSWERED = 1_000


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """
    One answer as it was given, without its text.

    Attributes:
        id: The reply's `feedback_id`; equal for every try of answering the same message.
        is_private: Shown to the person alone, beside a shared conversation.
        question: As the person wrote it. Of all that is kept for long, it stands only here.
        standalone: The same with what the person's earlier questions supply.
        considered: Ids of the chunks that were found for it, best first.
        cited: Ids of the chunks that its reader saw beneath it.
        cited_as: The numbers under which they were seen.
        readers: How many people read it, as far as that was known.
        is_checked: Everybody's access could be established; else it is from public documents alone.
        is_open: Others could join and read it later, so it holds only what they may read too.
        is_extract: The sentences are the documents' own.
        model: Which model was asked; None without any.
        took_s: From taking the question up to the answer.
    """

    id: str
    event_id: str
    conversation: ConversationRef
    user: UserRef
    is_private: bool
    question: str
    at: datetime
    band: Band
    language: Language
    considered: tuple[str, ...] = ()
    cited: tuple[str, ...] = ()
    cited_as: tuple[int, ...] = ()
    readers: int = 1
    is_checked: bool = True
    is_open: bool = False
    is_extract: bool = True
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    took_s: float = 0.0
    standalone: str = ""


class Records(Protocol):
    """Kept for `RECORD_TTL_S`. Every method raises `StateUnavailable` when the server does not answer."""

    async def save(self, record: AnswerRecord) -> None:
        """Keep it; one with the same id is replaced."""
        ...

    async def find(self, id: str) -> AnswerRecord | None: ...

    async def of_user(
        self, user: UserRef, *, limit: int, place: ConversationRef | None = None
    ) -> list[AnswerRecord]:
        """
        What that person asked, newest first.

        Args:
            place: In this channel only, whichever its thread.
        """
        ...

    async def unanswered(self, *, limit: int) -> list[AnswerRecord]:
        """The questions that found no sure answer, newest first; of at most `MAX_UNANSWERED`."""
        ...

    async def forget(self, user: UserRef, *, conversation: ConversationRef | None = None) -> None:
        """Remove all that is kept of what *user* asked; of one *conversation*, if it is given."""
        ...


class InMemoryRecords:
    """Lives and dies with the process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, AnswerRecord]] = {}

    async def save(self, record: AnswerRecord) -> None:
        self._kept[record.id] = (self._clock() + RECORD_TTL_S, record)

    async def find(self, id: str) -> AnswerRecord | None:
        return next((record for record in self._newest_first() if record.id == id), None)

    async def of_user(
        self, user: UserRef, *, limit: int, place: ConversationRef | None = None
    ) -> list[AnswerRecord]:
        found = [record for record in self._newest_first() if record.user == user]
        if place is not None:
            found = [r for r in found if r.conversation.place_key == place.place_key]
        return found[:limit]

    async def unanswered(self, *, limit: int) -> list[AnswerRecord]:
        found = [record for record in self._newest_first() if record.band is not Band.ANSWERED]
        return found[: min(limit, MAX_UNANSWERED)]

    async def forget(self, user: UserRef, *, conversation: ConversationRef | None = None) -> None:
        for record in self._newest_first():
            is_there = conversation is None or conversation.key == record.conversation.key
            if record.user == user and is_there:
                del self._kept[record.id]

    def _newest_first(self) -> Sequence[AnswerRecord]:
        now = self._clock()
        self._kept = {id: kept for id, kept in self._kept.items() if now < kept[0]}
        records = [record for _, record in self._kept.values()]
        return sorted(records, key=lambda record: (record.at, record.id), reverse=True)
