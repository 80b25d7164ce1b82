"""What is noted of an answer when it is given."""

import uuid
from datetime import UTC, datetime

import structlog

from bot.answering import Answered
from bot.audience import AudienceScope
from bot.errors import StateUnavailable
from bot.messages import IncomingMessage
from bot.records import AnswerRecord, Records

log = structlog.get_logger()

_ANSWERS = uuid.UUID("6a0f6f5e-6c0e-4f0b-8d52-0d9a1c3b7e44")


def answer_id(message: IncomingMessage, *, is_private: bool) -> str:
    """Equal for every try of answering *message*, so that a record replaces that of an earlier one."""
    return id_of_answer(message.user.tenant, message.event_id, is_private=is_private)


def id_of_answer(tenant: str, event_id: str, *, is_private: bool) -> str:
    """Of the answer to that message, for a platform that tells no more of it."""
    kind = "private" if is_private else "shared"
    return uuid.uuid5(_ANSWERS, f"{tenant}:{event_id}:{kind}").hex


class Recorder:
    def __init__(self, records: Records) -> None:
        self._records = records

    async def note(
        self,
        message: IncomingMessage,
        answered: Answered,
        readers: AudienceScope,
        *,
        standalone: str,
        is_private: bool,
        took_s: float,
    ) -> None:
        """
        Never fails: an answer is worth more than the record of it.

        Args:
            standalone: Nothing but the asker's own words.
        """
        answer = answered.answer
        # What came with the question is kept nowhere, so there is nothing to point at.
        cited = {c.chunk.id: c.number for c in answer.citations if not c.chunk.is_transient}
        usage = answer.usage
        record = AnswerRecord(
            id=answer_id(message, is_private=is_private),
            event_id=message.event_id,
            conversation=message.conversation,
            user=message.user,
            is_private=is_private,
            question=message.text,
            at=datetime.now(UTC),
            band=answer.band,
            language=answer.language,
            considered=tuple(dict.fromkeys([*answer.considered, *cited])),
            cited=tuple(cited),
            cited_as=tuple(cited.values()),
            readers=readers.size,
            is_checked=readers.checked,
            is_open=readers.is_open,
            is_extract=answer.is_extract,
            model=usage.model if usage else None,
            prompt_tokens=usage.prompt_tokens if usage else 0,
            completion_tokens=usage.completion_tokens if usage else 0,
            took_s=took_s,
            standalone=standalone,
        )
        try:
            await self._records.save(record)
        except StateUnavailable:
            log.warning("record.not_kept")
