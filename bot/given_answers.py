"""An answer that was given, looked at again by one person: its sources, and what of it others may not read."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.audience import Audience
from bot.messages import ConversationKind, ConversationRef, UserRef
from bot.records import AnswerRecord, Records
from retrieval.access import AccessScope
from retrieval.store import ChunkStore
from retrieval.types import Citation


@dataclass(frozen=True, slots=True)
class SharePreview:
    """
    Attributes:
        question: As it will be asked in the channel.
        missing: Titles of the sources that the owner may read and the channel may not.
        shared: How many sources of the answer everybody there may read.
        readers: How many people read the channel.
        is_checked: False when the readers could not be established: public documents only.
    """

    question: str
    missing: tuple[str, ...]
    shared: int
    readers: int
    is_checked: bool


class GivenAnswers:
    """All methods raise `StateUnavailable` and `StoreUnavailable` when these do not answer."""

    def __init__(self, records: Records, audience: Audience, store: ChunkStore) -> None:
        self._records = records
        self._audience = audience
        self._store = store

    async def own(self, answer_id: str, user: UserRef) -> AnswerRecord | None:
        """None for an answer that is not the user's, or not kept any more."""
        record = await self._records.find(answer_id)
        return record if record is not None and record.user == user else None

    async def sources(self, answer_id: str, user: UserRef) -> list[Citation] | None:
        """
        What is cited, as far as *user* may read it now, under the numbers it has there; None for an
        answer that is not kept any more, or that *user* does not read.
        """
        record = await self._records.find(answer_id)
        if record is None or not await self._reads(user, record):
            return None
        scope = (await self._audience.scope_of_person(user)).scope
        numbers = dict(zip(record.cited, record.cited_as, strict=True))
        chunks = await self._store.fetch(record.cited, scope)
        return [Citation(numbers[chunk.id], chunk) for chunk in chunks]

    async def share_preview(
        self, answer_id: str, user: UserRef, channel: ConversationRef
    ) -> SharePreview | None:
        """
        Before the question is asked anew in *channel*, of which nothing of the answer is reused.

        None as by `own`.
        """
        record = await self.own(answer_id, user)
        if record is None:
            return None
        own = await self._audience.scope_of_person(user)
        theirs = await self._audience.scope_of_conversation(channel, user)
        mine = await self._titles(record.cited, own.scope)
        shared = await self._titles(record.cited, theirs.scope)
        return SharePreview(
            question=record.standalone,
            missing=tuple(title for id, title in mine.items() if id not in shared),
            shared=len(shared),
            readers=theirs.size,
            is_checked=theirs.checked,
        )

    async def _reads(self, user: UserRef, record: AnswerRecord) -> bool:
        if record.user == user:
            return True
        is_shared = (
            not record.is_private and record.conversation.kind is not ConversationKind.DIRECT
        )
        return is_shared and await self._audience.reads(user, record.conversation)

    async def _titles(self, chunk_ids: Sequence[str], scope: AccessScope) -> dict[str, str]:
        """By document id."""
        chunks = await self._store.fetch(chunk_ids, scope)
        return {chunk.document.id: chunk.document.title or chunk.document.id for chunk in chunks}
