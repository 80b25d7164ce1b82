"""From a message and what was said before to a checked answer: follow-ups, second looks, cost."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bot import texts
from bot.asked_of_file import asked_of_file
from bot.context import TurnContext
from bot.follow_up import is_follow_up, leans_on_others, stand_alone
from bot.messages import Session, Turn
from bot.surroundings import Said
from retrieval.access import AccessScope
from retrieval.analysis import language_of
from retrieval.beside import Beside
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

_NO_CONTEXT = TurnContext()


@dataclass(frozen=True, slots=True)
class Answered:
    """
    An answer, and the stand-alone question that it answers.

    Attributes:
        standalone: As it was searched.
        topic: The same without what others said in the thread, which is nobody's to keep.
        chunk_ids: Every passage of the store that the answer cites, and those of the earlier turns it
            built upon: what the model was told of them may show in its wording.
        is_kept: The answer owes nothing to what is kept nowhere.
    """

    answer: Answer
    standalone: str
    topic: str
    chunk_ids: tuple[str, ...]
    is_kept: bool = True

    def as_turn(self, question: str, *, event_id: str) -> Turn:
        """What a session keeps of it; *question* as the person wrote it."""
        return Turn(
            event_id=event_id,
            question=question,
            standalone=self.topic,
            answer=self.answer.text if self.is_kept else texts.NOT_KEPT[self.answer.language],
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
        language: Language | None = None,
        context: TurnContext = _NO_CONTEXT,
        on_progress: ProgressCallback | None = None,
    ) -> Answered:
        """
        Args:
            language: Of the answer; None for that of *text*.

        Raises:
            StoreUnavailable: If the store does not answer.
            ModelUnavailable: If the embedder does not answer.
        """
        turns = (await self._still_allowed(session, scope))[-_HISTORY_TURNS:]
        # What points at something points at the file that lies beside it.
        if context.attached or not is_follow_up(text, turns):
            turns = []
        said = _said_for(text, context)
        question, usage = await self._understood(text, turns, said)
        question = await _with_context(question, context)
        question = replace(question, language=language or question.language)
        answer = await self._pipeline.ask(question, scope, on_progress=on_progress)
        drawn_upon = {*(citation.chunk.id for citation in answer.citations), *answer.consulted}
        transient = {chunk.id for chunk in question.beside.chunks}
        chunk_ids = [
            *(citation.chunk.id for citation in answer.citations),
            *answer.consulted,
            *(chunk_id for turn in turns for chunk_id in turn.chunk_ids),
        ]
        return Answered(
            replace(answer, usage=_sum(usage, answer.usage)),
            question.standalone,
            topic=stand_alone(text, turns) if said or context.attached else question.standalone,
            chunk_ids=tuple(i for i in dict.fromkeys(chunk_ids) if i not in transient),
            is_kept=drawn_upon.isdisjoint(transient),
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

    async def _understood(
        self, text: str, turns: Sequence[Turn], said: Sequence[Said]
    ) -> tuple[Question, Usage | None]:
        """The question with what it takes from *turns* and *said*, none for one that stands alone."""
        language = language_of(text)
        history = tuple(Exchange(turn.question, turn.answer) for turn in turns)
        recent = [one.text for one in said if not turns or one.at > turns[-1].at]
        searches: tuple[str, ...] = (stand_alone(text, turns, recent),)
        usage: Usage | None = None
        if self._model is not None and (turns or said):
            words = [one.text for one in said]
            forms, usage = await _rewritten(self._model, text, history, words)
            if language in forms:
                own = forms.pop(language)
                searches = (own, *forms.values())
                # Who answers does not see what people said, and could not tell what is asked.
                text = own if said else text
        return Question(text, language, searches, history), usage


def _said_for(text: str, context: TurnContext) -> tuple[Said, ...]:
    """What people said, for a question that leans on it and not on a file."""
    return context.earlier if not context.attached and leans_on_others(text) else ()


async def _with_context(question: Question, context: TurnContext) -> Question:
    """The question, what comes with it, and what a live search for it finds."""
    attached = context.attached
    if not attached:
        live = await context.live(question.standalone)
        return replace(question, beside=Beside(live, hints=context.hints))
    asked = asked_of_file(question.text)
    live = () if asked.is_whole_subject else await context.live(asked.rest)
    return replace(
        question,
        searches=(asked.rest, *question.searches[1:]),
        beside=Beside(
            (*attached, *live),
            is_subject=asked.is_subject,
            is_whole_subject=asked.is_whole_subject,
            hints=context.hints,
        ),
    )


async def _rewritten(
    model: LanguageModel, text: str, history: Sequence[Exchange], said: Sequence[str]
) -> tuple[dict[Language, str], Usage | None]:
    reply, usage = "", None
    stream = model.stream(rewrite_messages(text, history, said), max_tokens=_REWRITE_TOKENS)
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
