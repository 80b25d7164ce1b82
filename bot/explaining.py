"""How an answer came about, told to people who may know it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot import command_texts as said
from bot.audience import Audience, AudienceScope
from bot.messages import ConversationKind, IncomingMessage, Reply, ReplyKind
from bot.records import AnswerRecord, Records
from retrieval.store import ChunkStore
from retrieval.types import Band, Chunk, Citation, Language

_MAX_TITLE = 160
_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """US dollars for a million tokens."""

    prompt: float
    completion: float

    def cost(self, record: AnswerRecord) -> float:
        of_prompt = record.prompt_tokens * self.prompt
        return (of_prompt + record.completion_tokens * self.completion) / 1e6


class Explaining:
    """Args: prices: Unset: nothing is said of cost."""

    def __init__(
        self, records: Records, audience: Audience, store: ChunkStore, prices: TokenPrices | None
    ) -> None:
        self._records = records
        self._audience = audience
        self._store = store
        self._prices = prices

    async def find(self, id: str, message: IncomingMessage) -> AnswerRecord | None:
        """
        The answer that *message* asks about, the asker's last one in this place if *id* is empty.

        None for one that may not be spoken of here: what was told to a person alone is explained to
        that person alone, and what was told to a channel to those who read it.
        """
        if not id:
            return await self.last_answer(message)
        record = await self._records.find(id)
        return record if record and await self._may_tell(record, message) else None

    async def last_answer(self, message: IncomingMessage) -> AnswerRecord | None:
        """In a shared thread the last in it; else the last in the whole place."""
        here = message.conversation
        recent = await self._records.of_user(message.user, limit=_LOOKED_AT, place=here)
        if here.kind is ConversationKind.DIRECT:
            return recent[0] if recent else None
        shared = [r for r in recent if _is_shared(r)]
        in_thread = [r for r in shared if r.conversation.key == here.key]
        return next(iter([*in_thread, *shared]), None)

    async def explain(
        self,
        record: AnswerRecord,
        message: IncomingMessage,
        readers: AudienceScope,
        language: Language,
    ) -> Reply:
        """To *readers*: the titles are of what all of them may read now, and the rest is not counted."""
        chunks = await self._store.fetch(list(dict.fromkeys(record.considered)), readers.scope)
        best: dict[str, Chunk] = {}
        for chunk in chunks:
            best.setdefault(chunk.document.id, chunk)
        # Cited as well as named: whoever shows citations checks them for each who looks.
        citations = tuple(Citation(n, chunk) for n, chunk in enumerate(best.values(), start=1))
        parts = [
            _scope(record, message, language),
            _considered(citations, message, language),
            *([said.FOUND_NOTHING[language]] if record.band is not Band.ANSWERED else []),
            _writer(record, language),
            self._figures(record, language),
        ]
        return Reply(ReplyKind.NOTICE, "\n\n".join(parts), language, citations)

    async def _may_tell(self, record: AnswerRecord, message: IncomingMessage) -> bool:
        here = message.conversation
        is_alone = here.kind is ConversationKind.DIRECT
        if not _is_shared(record):
            return is_alone and record.user == message.user
        if record.conversation.place_key == here.place_key and not is_alone:
            return True
        if not is_alone:
            return False
        return record.user == message.user or await self._audience.reads(
            message.user, record.conversation
        )

    def _figures(self, record: AnswerRecord, language: Language) -> str:
        tokens = record.prompt_tokens + record.completion_tokens
        took_s = max(record.took_s, 0.1)
        if not tokens:
            return said.TOOK[language].format(took_s=took_s)
        told = said.TOOK_TOKENS[language].format(took_s=took_s, tokens=tokens)
        if self._prices is None:
            return told
        cost = said.COST[language].format(cost=self._prices.cost(record))
        return told + (" " if language is Language.ENGLISH else "") + cost


def _is_shared(record: AnswerRecord) -> bool:
    return not record.is_private and record.conversation.kind is not ConversationKind.DIRECT


def _scope(record: AnswerRecord, message: IncomingMessage, language: Language) -> str:
    if not record.is_checked:
        return said.SCOPE_UNCHECKED[language]
    if not _is_shared(record) or (record.readers <= 1 and not record.is_open):
        return said.SCOPE_OWN[language]
    if record.conversation.place_key != message.conversation.place_key:
        text = said.SCOPE_THERE
    else:
        text = said.SCOPE_HERE_OPEN if record.is_open else said.SCOPE_HERE
    return text[language].format(readers=record.readers)


def _considered(citations: Sequence[Citation], message: IncomingMessage, language: Language) -> str:
    if citations:
        titles = "\n".join(f"- {_title(c.chunk)} [{c.number}]" for c in citations)
        return said.CONSIDERED[language].format(titles=titles)
    is_alone = message.conversation.kind is ConversationKind.DIRECT
    return (said.NO_CONSIDERED_ALONE if is_alone else said.NO_CONSIDERED_SHARED)[language]


def _title(chunk: Chunk) -> str:
    title = " ".join((chunk.document.title or chunk.document.id).split())
    return title if len(title) <= _MAX_TITLE else title[: _MAX_TITLE - 1] + "…"


def _writer(record: AnswerRecord, language: Language) -> str:
    if record.model is None:
        return said.NO_MODEL[language]
    text = said.EXTRACT_AFTER_MODEL if record.is_extract else said.BY_MODEL
    return text[language].format(model=record.model)
