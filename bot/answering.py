"""From a message and what was said before to a checked answer: follow-ups, second looks, cost."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bot.follow_up import is_follow_up, stand_alone
from bot.messages import Session, Turn
from retrieval.access import AccessScope
from retrieval.analysis import language_of
from retrieval.components import Question
from retrieval.errors import ModelError
from retrieval.grounding import ProgressCallback
from retrieval.models import LanguageModel
from retrieval.pipeline import AnswerPipeline
from retrieval.prompts import Exchange, parse_rewrite, rewrite_messages
from retrieval.store import ChunkStore
from retrieval.types import Answer, Language, Usage

_REWRITE_TOKENS = 200
_REWRITE_TIMEOUT_S = 15
_HISTORY_TURNS = 4


@dataclass(frozen=True, slots=True)
class Answered:
    """
    An answer, and the stand-alone question that it answers.

    Attributes:
        chunk_ids: Every passage that the answer cites, and those of the earlier turns it built upon:
            what the model was told of them may show in its wording.
    """

    answer: Answer
    standalone: str
    chunk_ids: tuple[str, ...]

    def as_turn(self, question: str, *, event_id: str) -> Turn:
        """What a session keeps of it; *question* as the person wrote it."""
        return Turn(
            event_id=event_id,
            question=question,
            standalone=self.standalone,
            answer=self.answer.text,
            chunk_ids=self.chunk_ids,
            language=self.answer.language,
            at=datetime.now(UTC),
        )


class Answerer:
    """
    Answers one question within a scope. At most two model calls: one to rewrite, one to answer.

    Without a model follow-ups are understood by their words alone.
    """

    def __init__(
        self, pipeline: AnswerPipeline, store: ChunkStore, model: LanguageModel | None
    ) -> None:
        self._pipeline = pipeline
        self._store = store
        self._model = model

    async def answer(
        self,
        text: str,
        session: Session,
        scope: AccessScope,
        *,
        on_progress: ProgressCallback | None = None,
    ) -> Answered:
        """
        Raises:
            StoreUnavailable: If the store does not answer.
            ModelUnavailable: If the embedder does not answer.
        """
        turns = (await self._still_allowed(session, scope))[-_HISTORY_TURNS:]
        if not is_follow_up(text, turns):
            turns = []
        question, usage = await self._understood(text, turns)
        answer = await self._pipeline.ask(question, scope, on_progress=on_progress)
        return Answered(
            replace(answer, usage=_sum(usage, answer.usage)),
            question.standalone,
            chunk_ids=tuple(
                dict.fromkeys(
                    [
                        *(citation.chunk.id for citation in answer.citations),
                        *answer.consulted,
                        *(chunk_id for turn in turns for chunk_id in turn.chunk_ids),
                    ]
                )
            ),
        )

    async def would_add(self, standalone: str, wider: AccessScope, shown: AccessScope) -> bool:
        """
        Whether the best passage for a question in *wider* is one that nobody in *shown* was shown.

        No model is asked: this only decides if a second, private answer is worth writing.
        """
        question = Question(standalone, language_of(standalone), (standalone,))
        best = await self._pipeline.search(question, wider, top_k=1)
        return bool(best) and not shown.allows(best[0].chunk.acl)

    async def _still_allowed(self, session: Session, scope: AccessScope) -> list[Turn]:
        """The turns all of whose passages every reader may still read."""
        wanted = list(dict.fromkeys(i for turn in session.turns for i in turn.chunk_ids))
        allowed = (
            {chunk.id for chunk in await self._store.fetch(wanted, scope)} if wanted else set()
        )
        return [turn for turn in session.turns if allowed.issuperset(turn.chunk_ids)]

    async def _understood(self, text: str, turns: Sequence[Turn]) -> tuple[Question, Usage | None]:
        """The question with what it takes from *turns*, none for a question that stands alone."""
        language = language_of(text)
        history = tuple(Exchange(turn.question, turn.answer) for turn in turns)
        searches: tuple[str, ...] = (stand_alone(text, turns),)
        usage: Usage | None = None
        if self._model is not None and turns:
            forms, usage = await _rewritten(self._model, text, history)
            if language in forms:
                own = forms.pop(language)
                searches = (own, *forms.values())
        return Question(text, language, searches, history), usage


async def _rewritten(
    model: LanguageModel, text: str, history: Sequence[Exchange]
) -> tuple[dict[Language, str], Usage | None]:
    reply, usage = "", None
    stream = model.stream(rewrite_messages(text, history), max_tokens=_REWRITE_TOKENS)
    try:
        async with asyncio.timeout(_REWRITE_TIMEOUT_S), aclosing(stream) as parts:  # type: ignore[type-var]
            async for part in parts:
                if isinstance(part, Usage):
                    usage = part
                else:
                    reply += part
    except (ModelError, TimeoutError):
        # The words alone will do; if the model is down, the answer says so itself.
        return {}, usage
    return parse_rewrite(reply), usage


def _sum(first: Usage | None, second: Usage | None) -> Usage | None:
    if first is None or second is None:
        return first or second
    return Usage(
        model=second.model,
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
        calls=first.calls + second.calls,
    )
