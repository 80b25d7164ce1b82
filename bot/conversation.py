"""One turn, from a message to its reply: who reads it, what may be said, and what is remembered."""

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from bot import texts
from bot.answering import Answered, Answerer
from bot.audience import Audience, AudienceScope
from bot.commands import Command, command_in
from bot.delivery import Delivery
from bot.errors import StateUnavailable, TryLater
from bot.memory import Memory
from bot.messages import ConversationKind, IncomingMessage, Reply, ReplyKind
from bot.state import State
from retrieval.access import AccessScope
from retrieval.analysis import language_of
from retrieval.errors import ModelError, StoreError, StoreUnavailable
from retrieval.ingest.clean import visible
from retrieval.store import ChunkStore
from retrieval.types import Band, Citation, Language

log = structlog.get_logger()

MAX_QUESTION_CHARACTERS = 8_000

_PAUSE_S = 2.0


class ReadersChanged(Exception):
    """Somebody who reads the reply now may not see what it was written from."""


class ConversationManager:
    """
    Answers what people say. Whoever calls takes one turn of a conversation at a time.

    A turn may be taken up again after a crash: it fills the same message, and replaces what it left
    in the session.

    Args:
        turn_timeout_s: Longest time for one turn.
        patience_s: While a question is younger than this, it waits for a store or a Redis that does
            not answer.
        questions_per_minute: More from one person are asked to wait.
    """

    def __init__(
        self,
        *,
        answerer: Answerer,
        audience: Audience,
        store: ChunkStore,
        state: State,
        turn_timeout_s: float = 90,
        patience_s: float = 60,
        questions_per_minute: int = 30,
    ) -> None:
        self._answerer = answerer
        self._audience = audience
        self._store = store
        self._state = state
        self._turn_timeout_s = turn_timeout_s
        self._patience_s = patience_s
        self._questions_per_minute = questions_per_minute

    async def answer(self, message: IncomingMessage, reply: Delivery) -> str | None:
        """
        Reply to *message*, so that everybody in its conversation may read it.

        Returns:
            The stand-alone question, if a fuller answer to the asker alone may be worth a look.

        Raises:
            TryLater: The store, or Redis, is away for the moment.
            ChannelUnavailable: The reply could not be shown.
        """
        message = replace(message, text=visible(message.text))
        language = language_of_message(message)
        immediate = await self._immediate_reply(message, language, is_retry=reply.has_begun)
        if immediate is not None:
            await reply.show(notice(immediate, language))
            return None
        if not reply.has_begun:
            await reply.show(Reply(ReplyKind.STATUS, texts.SEARCHING[language], language))
        answered = await self._reply(message, reply, language)
        if answered is None or message.conversation.kind is ConversationKind.DIRECT:
            return None
        return answered.standalone if reply.limits.has_private_replies else None

    async def answer_in_private(
        self, message: IncomingMessage, standalone: str, reply: Delivery
    ) -> None:
        """
        A fuller answer that the asker alone sees, when the asker alone may read what matters.

        It comes after the public reply and never changes it: the others learn nothing, not even by
        the time it takes. Raises what goes wrong, for nobody to see.

        Args:
            standalone: What `answer` returned.
        """
        message = replace(message, text=visible(message.text))
        shown = (await self._audience_of(message)).scope
        own = await self._audience.scope_of_person(message.user)
        if not own.checked or own.scope == shown:
            return
        async with asyncio.timeout(self._turn_timeout_s):
            if not await self._answerer.would_add(standalone, own.scope, shown):
                return
            key = private_key(message)
            memory = Memory(self._state, must_have=True)
            session = (await memory.load(key)).without(message.event_id)
            answered = await self._answerer.answer(message.text, session, own.scope)
        if answered.answer.band is not Band.ANSWERED:
            return
        now = (await self._audience.scope_of_person(message.user)).scope
        if not await self._may_read_all(answered.chunk_ids, now):
            return
        turn = answered.as_turn(message.text, event_id=message.event_id)
        await memory.save(key, session.with_turn(turn))
        await reply.show(Reply.of(answered.answer, feedback_id=uuid.uuid4().hex))

    async def _immediate_reply(
        self, message: IncomingMessage, language: Language, *, is_retry: bool
    ) -> str | None:
        """The text for what needs no search, or None for a question."""
        if not message.text.strip():
            return texts.EMPTY[language]
        if len(message.text) > MAX_QUESTION_CHARACTERS:
            return texts.TOO_LONG[language].format(
                length=len(message.text), limit=MAX_QUESTION_CHARACTERS
            )
        match command_in(message.text):
            case Command.HELP:
                return texts.HELP[language]
            case Command.FORGET:
                return await self._forget(message, language)
        if is_retry:
            return None
        user = f"{message.user.tenant}/{message.user.id}"
        try:
            allowed = await self._state.allow(user, limit=self._questions_per_minute, per_s=60)
        except StateUnavailable:
            return None
        return None if allowed else texts.TOO_MANY[language]

    async def _forget(self, message: IncomingMessage, language: Language) -> str:
        try:
            await self._state.forget_session(_shared_key(message))
            await self._state.forget_session(private_key(message))
        except StateUnavailable:
            return texts.MEMORY_OFF[language]
        return texts.FORGOTTEN[language]

    async def _reply(
        self, message: IncomingMessage, reply: Delivery, language: Language
    ) -> Answered | None:
        """Fill the reply; what can be foreseen to go wrong ends in a sentence that says what to do."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._turn_timeout_s):
                answered = await self._answer(message, reply)
            log.info("turn.answered", took_s=round(time.perf_counter() - started, 3))
            return answered
        except TimeoutError:
            failure = texts.TIMED_OUT[language].format(seconds=self._turn_timeout_s)
            log.warning("turn.timed_out")
        except ReadersChanged:
            failure = texts.READERS_CHANGED[language]
            log.warning("turn.readers_changed")
        except StoreError as error:
            log.warning("turn.store_unavailable", error=str(error))
            if isinstance(error, StoreUnavailable) and self._is_patient(message):
                await reply.show(Reply(ReplyKind.STATUS, texts.TRYING_AGAIN[language], language))
                raise TryLater(_PAUSE_S) from error
            failure = texts.STORE_DOWN[language]
        except StateUnavailable as error:
            log.warning("turn.state_unavailable")
            raise TryLater(_PAUSE_S) from error
        except ModelError:
            failure = texts.MODEL_DOWN[language]
            log.error("turn.embedder_unavailable", exc_info=True)
        await reply.show(notice(failure, language))
        return None

    def _is_patient(self, message: IncomingMessage) -> bool:
        return (datetime.now(UTC) - message.sent_at).total_seconds() < self._patience_s

    async def _answer(self, message: IncomingMessage, reply: Delivery) -> Answered:
        try:
            return await self._answer_everybody(message, reply)
        except ReadersChanged:
            # Once more for those who read now; if they change again, nobody is answered.
            return await self._answer_everybody(message, reply)

    async def _answer_everybody(self, message: IncomingMessage, reply: Delivery) -> Answered:
        memory = Memory(self._state, must_have=self._is_patient(message))
        audience = await self._audience_of(message)
        session = (await memory.load(_shared_key(message))).without(message.event_id)
        last_update = time.monotonic()

        async def show(text: str, citations: tuple[Citation, ...]) -> None:
            nonlocal last_update
            if time.monotonic() - last_update < reply.limits.min_update_interval_s:
                return
            shown = [citation.chunk.id for citation in citations]
            # Half an answer may owe its wording to more than it cites so far: any change stops it.
            await self._require_same_readers(message, audience, shown, strictly=True)
            partial = Reply(ReplyKind.PARTIAL, text, language_of(message.text), citations)
            await reply.show(partial)
            last_update = time.monotonic()

        answered = await self._answerer.answer(
            message.text, session, audience.scope, on_progress=show
        )
        await self._require_same_readers(message, audience, answered.chunk_ids)
        turn = answered.as_turn(message.text, event_id=message.event_id)
        await memory.save(_shared_key(message), session.with_turn(turn))
        language = answered.answer.language
        notices = [
            answered.answer.notice,
            None if audience.checked else texts.UNCHECKED[language],
            texts.MEMORY_OFF[language] if memory.failed else None,
        ]
        await reply.show(
            Reply.of(
                replace(answered.answer, notice=" ".join(filter(None, notices)) or None),
                feedback_id=uuid.uuid4().hex,
            )
        )
        return answered

    async def _audience_of(self, message: IncomingMessage) -> AudienceScope:
        return await self._audience.scope_of_conversation(message.conversation, message.user)

    async def _require_same_readers(
        self,
        message: IncomingMessage,
        audience: AudienceScope,
        chunk_ids: Sequence[str],
        *,
        strictly: bool = False,
    ) -> None:
        """
        Raise `ReadersChanged` if somebody who reads now may not see what is about to be shown.

        Args:
            chunk_ids: Without repetition.
            strictly: Any other scope than *audience*'s will do for a change.
        """
        now = await self._audience_of(message)
        if strictly and now.scope != audience.scope:
            raise ReadersChanged
        if not await self._may_read_all(chunk_ids, now.scope):
            raise ReadersChanged

    async def _may_read_all(self, chunk_ids: Sequence[str], scope: AccessScope) -> bool:
        """*chunk_ids*: without repetition. A chunk that is gone may not be read."""
        return len(await self._store.fetch(chunk_ids, scope)) == len(chunk_ids)


def notice(text: str, language: Language) -> Reply:
    return Reply(ReplyKind.NOTICE, text, language)


def private_key(message: IncomingMessage) -> str:
    """What one person is told in private beside a shared conversation is a conversation of its own."""
    return f"{message.conversation.key}:private:{message.user.id}"


def language_of_message(message: IncomingMessage) -> Language:
    """Of what was written; of the person's settings when nothing was."""
    if visible(message.text).strip():
        return language_of(message.text)
    return message.locale or Language.ENGLISH


def _shared_key(message: IncomingMessage) -> str:
    return message.conversation.key
