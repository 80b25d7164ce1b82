"""Questions to begin with, fitted to the person who is about to ask, and to go on with."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import structlog

from bot.audience import Audience
from bot.directory import Directory, Person
from bot.errors import StateUnavailable
from bot.messages import UserRef
from bot.records import Records
from retrieval.analysis import language_of
from retrieval.components import Question
from retrieval.errors import ShifuError
from retrieval.pipeline import AnswerPipeline
from retrieval.types import Band, Chunk, Language

log = structlog.get_logger()

_ABOUT = {
    Language.ENGLISH: "What does “{title}” say?",
    Language.CHINESE: "「{title}」的重點是什麼？",
}
_MAX_TITLE = 60
_SEARCHED = 20


@dataclass(frozen=True, slots=True)
class Suggestion:
    title: str
    question: str


def follow_ups(
    found: Iterable[Chunk], cited: Collection[str], language: Language, *, limit: int = 3
) -> tuple[str, ...]:
    """
    Questions about what was found beside an answer and not used for it, in the reader's language first.

    Args:
        found: Best first; only what the reader may read.
        cited: Ids of the documents that the answer cites.
    """
    others = (chunk for chunk in found if chunk.document.id not in cited)
    return tuple(s.question for s in _about_each(others, language, limit=limit))


def _about_each(chunks: Iterable[Chunk], language: Language, *, limit: int) -> list[Suggestion]:
    """One question for each of their documents, those in *language* first."""
    documents = {chunk.document.id: chunk.document for chunk in chunks}.values()
    ranked = sorted(documents, key=lambda document: document.language is not language)
    titles = [d.title for d in ranked if d.title and len(d.title) <= _MAX_TITLE]
    return [
        Suggestion(title, _ABOUT[language].format(title=title))
        for title in list(dict.fromkeys(titles))[:limit]
    ]


class Suggestions:
    """
    What somebody asked before and got an answer to, and documents near to what they do; of these only
    what they may read now.
    """

    def __init__(
        self, pipeline: AnswerPipeline, audience: Audience, directory: Directory, records: Records
    ) -> None:
        self._pipeline = pipeline
        self._audience = audience
        self._directory = directory
        self._records = records

    async def for_person(
        self, user: UserRef, language: Language, *, limit: int
    ) -> list[Suggestion]:
        """At most *limit*, perhaps none. Never raises for what is away."""
        found = await self._asked_before(user, limit=limit // 2)
        try:
            person = await self._directory.person(user)
            if person is not None:
                found += await self._about(user, person, language, limit=limit - len(found))
        except ShifuError as error:
            log.warning("suggestions.unavailable", error=type(error).__name__)
        return found[:limit]

    async def _asked_before(self, user: UserRef, *, limit: int) -> list[Suggestion]:
        try:
            records = await self._records.of_user(user, limit=10)
        except StateUnavailable:
            return []
        questions = dict.fromkeys(
            record.question.strip() for record in records if record.band is Band.ANSWERED
        )
        short = [question for question in questions if 0 < len(question) <= _MAX_TITLE]
        return [Suggestion(question, question) for question in short[:limit]]

    async def _about(
        self, user: UserRef, person: Person, language: Language, *, limit: int
    ) -> list[Suggestion]:
        work = " ".join([person.title, *person.groups]).strip()
        if not work:
            return []
        scope = (await self._audience.scope_of_person(user)).scope
        question = Question(work, language_of(work), (work,))
        passages = await self._pipeline.search(question, scope, top_k=_SEARCHED)
        return _about_each((p.chunk for p in passages), language, limit=limit)
