"""One turn, from a message to its reply: who reads it, what may be said, and what is remembered."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace

import structlog
from structlog.contextvars import bound_contextvars

from bot import texts
from bot.answering import Answered, Answerer
from bot.audience import Audience, AudienceScope
from bot.channel import Channel
from bot.commands import Command, command_in
from bot.errors import ChannelUnavailable, StateUnavailable
from bot.memory import Memory
from bot.messages import (
    ConversationKind,
    IncomingMessage,
    MessageRef,
    Reply,
    ReplyKind,
)
from bot.state import State
from retrieval.access import AccessScope
from retrieval.analysis import language_of
from retrieval.errors import ModelError, StoreError
from retrieval.ingest.clean import visible
from retrieval.store import ChunkStore
from retrieval.types import Band, Citation, Language

log = structlog.get_logger()

MAX_QUESTION_CHARACTERS = 8_000


class ReadersChanged(Exception):
    """Somebody who reads the reply now may not see what it was written from."""


class ConversationBusy(Exception):
    """An earlier turn of the conversation did not end in time."""


class ConversationManager:
    """
    Handles what people say. One conversation takes one turn at a time; others never wait for it.

    Args:
        turn_timeout_s: Longest time for one turn, the wait for an earlier one not included.
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
        questions_per_minute: int = 30,
    ) -> None:
        self._answerer = answerer
        self._audience = audience
        self._store = store
        self._state = state
        self._turn_timeout_s = turn_timeout_s
        self._questions_per_minute = questions_per_minute

    async def handle(self, message: IncomingMessage, channel: Channel) -> None:
        """
        Reply to *message* on *channel*, once, however often it is delivered.

        Raises nothing but cancellation: whatever fails, the person is told and the log says why.
        """
        with bound_contextvars(
            tenant=message.user.tenant,
            conversation=message.conversation.key,
            turn=uuid.uuid4().hex[:12],
        ):
            try:
                if not await self._is_new(message):
                    return
                await self._take_turn(replace(message, text=visible(message.text)), channel)
            except ChannelUnavailable:
                log.warning("turn.not_posted")

    async def _is_new(self, message: IncomingMessage) -> bool:
        try:
            return await self._state.first_seen(message.event_id)
        except StateUnavailable:
            # Better twice than not at all.
            log.warning("turn.state_unavailable")
            return True

    async def _take_turn(self, message: IncomingMessage, channel: Channel) -> None:
        language = language_of(message.text) if message.text.strip() else _locale(message)
        immediate = await self._immediate_reply(message, language)
        if immediate is not None:
            await channel.post(_notice(immediate, language), message.conversation)
            return
        status = Reply(ReplyKind.STATUS, texts.SEARCHING[language], language)
        posted = await channel.post(status, message.conversation)
        try:
            shared = await self._reply_in(posted, message, channel, language)
        except asyncio.CancelledError:
            with suppress(ChannelUnavailable):
                stopped = _notice(texts.STOPPED[language], language)
                await asyncio.shield(channel.update(posted, stopped))
            raise
        if shared is not None and message.conversation.kind is not ConversationKind.DIRECT:
            await self._reply_to_asker(shared, message, channel)

    async def _immediate_reply(self, message: IncomingMessage, language: Language) -> str | None:
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
        user = f"{message.user.tenant}/{message.user.id}"
        try:
            allowed = await self._state.allow(user, limit=self._questions_per_minute, per_s=60)
        except StateUnavailable:
            return None
        return None if allowed else texts.TOO_MANY[language]

    async def _forget(self, message: IncomingMessage, language: Language) -> str:
        try:
            await self._state.forget_session(_shared_key(message))
            await self._state.forget_session(_private_key(message))
        except StateUnavailable:
            return texts.MEMORY_OFF[language]
        return texts.FORGOTTEN[language]

    async def _reply_in(
        self, posted: MessageRef, message: IncomingMessage, channel: Channel, language: Language
    ) -> "_Shared | None":
        """Fill the posted message; whatever goes wrong ends in a sentence that says what to do."""
        started = time.perf_counter()
        try:
            async with self._turn_of(_shared_key(message)):
                async with asyncio.timeout(self._turn_timeout_s):
                    shared = await self._answer(posted, message, channel)
            log.info("turn.answered", took_s=round(time.perf_counter() - started, 3))
            return shared
        except ConversationBusy:
            failure = texts.BUSY[language]
            log.warning("turn.busy")
        except TimeoutError:
            failure = texts.TIMED_OUT[language].format(seconds=self._turn_timeout_s)
            log.warning("turn.timed_out")
        except ReadersChanged:
            failure = texts.READERS_CHANGED[language]
            log.warning("turn.readers_changed")
        except StoreError:
            failure = texts.STORE_DOWN[language]
            log.error("turn.store_unavailable", exc_info=True)
        except ModelError:
            failure = texts.MODEL_DOWN[language]
            log.error("turn.embedder_unavailable", exc_info=True)
        except ChannelUnavailable:
            raise
        except Exception:
            turn = structlog.contextvars.get_contextvars().get("turn", "")
            failure = texts.FAILED[language].format(turn=turn)
            log.exception("turn.failed")
        await channel.update(posted, _notice(failure, language))
        return None

    async def _reply_to_asker(
        self, shared: "_Shared", message: IncomingMessage, channel: Channel
    ) -> None:
        """
        The private part of a turn. It has a lock and a deadline of its own, and fails in silence:
        neither a wait nor an apology in the shared conversation may hint at it.
        """
        try:
            async with self._turn_of(_private_key(message)):
                async with asyncio.timeout(self._turn_timeout_s):
                    await self._answer_asker(shared, message, channel)
        except Exception:
            log.exception("turn.private_reply_failed")

    @asynccontextmanager
    async def _turn_of(self, key: str) -> AsyncIterator[None]:
        """Hold the conversation; without Redis turns may overlap, which is better than silence."""
        has_ended = False
        try:
            async with AsyncExitStack() as held:
                try:
                    await held.enter_async_context(self._state.lock(key))
                except TimeoutError as error:
                    raise ConversationBusy from error
                except StateUnavailable:
                    log.warning("turn.without_lock")
                yield
                has_ended = True
        except StateUnavailable:
            # Only its release failed: it frees itself, and the reply stands.
            if not has_ended:
                raise

    async def _answer(
        self, posted: MessageRef, message: IncomingMessage, channel: Channel
    ) -> "_Shared":
        try:
            return await self._answer_everybody(posted, message, channel)
        except ReadersChanged:
            # Once more for those who read now; if they change again, nobody is answered.
            return await self._answer_everybody(posted, message, channel)

    async def _answer_everybody(
        self, posted: MessageRef, message: IncomingMessage, channel: Channel
    ) -> "_Shared":
        memory = Memory(self._state)
        audience = await self._audience_of(message)
        session = await memory.load(_shared_key(message))
        last_update = time.monotonic()

        async def show(text: str, citations: tuple[Citation, ...]) -> None:
            nonlocal last_update
            if time.monotonic() - last_update < channel.limits.min_update_interval_s:
                return
            shown = [citation.chunk.id for citation in citations]
            # Half an answer may owe its wording to more than it cites so far: any change stops it.
            await self._require_same_readers(message, audience, shown, strictly=True)
            partial = Reply(ReplyKind.PARTIAL, text, language_of(message.text), citations)
            await channel.update(posted, partial)
            last_update = time.monotonic()

        answered = await self._answerer.answer(
            message.text, session, audience.scope, on_progress=show
        )
        await self._require_same_readers(message, audience, answered.chunk_ids)
        turn = answered.as_turn(message.text)
        await memory.save(_shared_key(message), session.with_turn(turn))
        language = answered.answer.language
        notices = [
            answered.answer.notice,
            None if audience.checked else texts.UNCHECKED[language],
            texts.MEMORY_OFF[language] if memory.failed else None,
        ]
        reply = Reply.of(
            replace(answered.answer, notice=" ".join(filter(None, notices)) or None),
            feedback_id=uuid.uuid4().hex,
        )
        await channel.update(posted, reply)
        return _Shared(answered, audience)

    async def _answer_asker(
        self, shared: "_Shared", message: IncomingMessage, channel: Channel
    ) -> None:
        """
        A fuller answer that the asker alone sees, when the asker alone may read what matters.

        It comes after the public reply and never changes it: the others learn nothing, not even by
        the time it takes.
        """
        if not channel.limits.has_private_replies:
            return
        own = await self._audience.scope_of_person(message.user)
        shown = shared.audience.scope
        if not own.checked or own.scope == shown:
            return
        if not await self._answerer.would_add(shared.answered, own.scope, shown):
            return
        key = _private_key(message)
        memory = Memory(self._state)
        session = await memory.load(key)
        answered = await self._answerer.answer(message.text, session, own.scope)
        if answered.answer.band is not Band.ANSWERED:
            return
        now = (await self._audience.scope_of_person(message.user)).scope
        if not await self._may_read_all(answered.chunk_ids, now):
            return
        await memory.save(key, session.with_turn(answered.as_turn(message.text)))
        reply = Reply.of(answered.answer, feedback_id=uuid.uuid4().hex)
        await channel.post_private(reply, message.conversation, message.user)

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


@dataclass(frozen=True, slots=True)
class _Shared:
    answered: Answered
    audience: AudienceScope


def _notice(text: str, language: Language) -> Reply:
    return Reply(ReplyKind.NOTICE, text, language)


def _shared_key(message: IncomingMessage) -> str:
    return message.conversation.key


def _private_key(message: IncomingMessage) -> str:
    """Memory of what one person was told in private beside a shared conversation."""
    return f"{message.conversation.key}:private:{message.user.id}"


def _locale(message: IncomingMessage) -> Language:
    return message.locale or Language.ENGLISH
