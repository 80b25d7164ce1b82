"""A private answer on its way into a channel: what of it the people there may not read, told to its owner alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.audience import Audience
from bot.messages import ConversationRef, UserRef
from bot.records import Records
from retrieval.access import AccessScope
from retrieval.store import ChunkStore


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


class Sharing:
    """The answer itself is written anew for the channel; nothing of the private one is reused."""

    def __init__(self, records: Records, audience: Audience, store: ChunkStore) -> None:
        self._records = records
        self._audience = audience
        self._store = store

    async def preview(
        self, answer_id: str, user: UserRef, channel: ConversationRef
    ) -> SharePreview | None:
        """
        None for an answer that is not the user's own, or not kept any more.

        Raises:
            StateUnavailable: If Redis does not answer.
            StoreUnavailable: If the store does not answer.
        """
        record = await self._records.find(answer_id)
        if record is None or record.user != user:
            return None
        own = await self._audience.scope_of_person(user)
        theirs = await self._audience.scope_of_conversation(channel, user)
        mine = await self._titles(record.cited, own.scope)
        shared = await self._titles(record.cited, theirs.scope)
        return SharePreview(
            question=record.question,
            missing=tuple(title for id, title in mine.items() if id not in shared),
            shared=len(shared),
            readers=theirs.size,
            is_checked=theirs.checked,
        )

    async def _titles(self, chunk_ids: Sequence[str], scope: AccessScope) -> dict[str, str]:
        """By document id."""
        chunks = await self._store.fetch(list(dict.fromkeys(chunk_ids)), scope)
        return {chunk.document.id: chunk.document.title or chunk.document.id for chunk in chunks}
