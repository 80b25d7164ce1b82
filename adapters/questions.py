"""One question from the command line, answered for one person or for a channel."""

import asyncio
from dataclasses import asdict
from typing import Any

from adapters.app import Knowledge, open_directory, open_knowledge
from adapters.settings import ConfigurationError, Settings
from bot import texts
from bot.audience import Audience
from bot.conversation import MAX_QUESTION_CHARACTERS
from bot.directory import Directory, rooms_by_name
from bot.messages import ConversationRef, Session, UserRef
from retrieval.access import AccessScope
from retrieval.analysis import language_of
from retrieval.components import Question
from retrieval.ingest.clean import visible
from retrieval.prompts import PROMPT_VERSION
from retrieval.types import Answer, Passage


async def ask_once(settings: Settings, text: str, *, user: str, room: str | None) -> Answer:
    """
    Raises:
        ConfigurationError: If the question is empty or too long, or nobody or no room has that name.
    """
    text = visible(text)
    language = language_of(text)
    if not text.strip():
        raise ConfigurationError(texts.EMPTY[language])
    if len(text) > MAX_QUESTION_CHARACTERS:
        raise ConfigurationError(
            texts.TOO_LONG[language].format(length=len(text), limit=MAX_QUESTION_CHARACTERS)
        )
    directory = await asyncio.to_thread(open_directory, settings)
    scope = await _scope(settings, directory, user=user, room=room)
    async with open_knowledge(settings) as knowledge:
        await _require_documents(knowledge)
        return (await knowledge.answerer.answer(text, Session(), scope)).answer


async def search_once(settings: Settings, query: str, *, user: str, top_k: int) -> list[Passage]:
    """Raises as `ask_once` does."""
    directory = await asyncio.to_thread(open_directory, settings)
    scope = await _scope(settings, directory, user=user, room=None)
    query = visible(query)
    question = Question(query, language_of(query), (query,))
    async with open_knowledge(settings) as knowledge:
        await _require_documents(knowledge)
        return await knowledge.pipeline.search(question, scope, top_k=top_k)


def answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "answer": answer.text,
        "citations": [
            {
                "number": citation.number,
                "document_id": citation.chunk.document.id,
                "title": citation.chunk.document.title,
                "link": citation.chunk.document.link,
                "passage": citation.chunk.text,
            }
            for citation in answer.citations
        ],
        "abstained": answer.is_abstention,
        "reason": answer.band.value,
        "notice": answer.notice,
        "language": answer.language.value,
        "timings_s": {step: round(took, 4) for step, took in answer.timings_s.items()},
        "usage": {**asdict(answer.usage), "prompt": PROMPT_VERSION} if answer.usage else None,
    }


def passage_json(passage: Passage) -> dict[str, Any]:
    chunk = passage.chunk
    return {
        "document_id": chunk.document.id,
        "chunk_id": chunk.id,
        "title": chunk.document.title,
        "heading_path": list(chunk.heading_path),
        "link": chunk.document.link,
        "score": round(passage.score, 4),
        "text": chunk.text,
    }


async def _require_documents(knowledge: Knowledge) -> None:
    if not (await knowledge.store.counts()).documents:
        raise ConfigurationError("there are no documents yet; add some with: shifu ingest PATH")


async def _scope(
    settings: Settings, directory: Directory, *, user: str, room: str | None
) -> AccessScope:
    asker = UserRef(settings.tenant, user)
    if await directory.person(asker) is None:
        known = ", ".join(sorted(person.ref.id for person in await directory.people()))
        raise ConfigurationError(f"--as {user}: nobody has this id; known are {known}")
    audience = Audience(directory)
    if room is None:
        return (await audience.scope_of_person(asker)).scope
    rooms = await rooms_by_name(directory)
    if room not in rooms:
        known = ", ".join(sorted({r.name for r in rooms.values()}))
        raise ConfigurationError(f"--in {room}: there is no such conversation; known are {known}")
    found = rooms[room]
    if found.members and asker not in found.members:
        raise ConfigurationError(f"--in {room}: {user} is not in it; choose one of {user}'s own")
    conversation = ConversationRef("cli", settings.tenant, found.channel, found.kind)
    return (await audience.scope_of_conversation(conversation, asker)).scope
