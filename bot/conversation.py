"""One turn, from a message to its reply: who reads it, what may be said, and what is remembered."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from bot import texts
from bot.answering import Answered, Answerer
from bot.audience import Audience, AudienceScope
from bot.command_replies import Commands
from bot.commands import Command, CommandCall, parse
from bot.context import ContextReader, TurnContext
from bot.delivery import Delivery
from bot.errors import StateUnavailable, TryLater
from bot.memory import Memory, private_key, shared_key
from bot.messages import ConversationKind, IncomingMessage, Reply, ReplyKind, Session, Turn
from bot.preferences import Languages, language_of_message
from bot.recording import Recorder, answer_id
from bot.state import State
from bot.suggestions import follow_ups
from retrieval.access import AccessScope
from retrieval.errors import ModelError, StoreError, StoreUnavailable
from retrieval.ingest.clean import visible
from retrieval.store import ChunkStore
from retrieval.types import Answer, Band, Citation, Language

log = structlog.get_logger()

MAX_QUESTION_CHARACTERS = 8_000

_PAUSE_S = 2.0

# However much somebody asks, they must be able to learn how, and to have it forgotten.
_UNCOUNTED = (Command.HELP, Command.UNKNOWN, Command.FORGET, Command.FORGET_ME)


class ReadersChanged(Exception):
    """Somebody who reads the reply now may not see what it was written from."""


class NothingToRead(Exception):
    """The question is about files alone, and none of them could be read."""

    def __init__(self, context: TurnContext) -> None:
        super().__init__()
        self.context = context


class ConversationManager:
    """
    Answers what people say. Whoever calls takes one turn of a conversation at a time.

    A turn may be taken up again after a crash: it fills the same message, and replaces what it left
    in the session.

    Args:
        context: Reads what lies around a message; None: a message is all there is.
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
        languages: Languages,
        commands: Commands,
        recorder: Recorder,
        context: ContextReader | None = None,
        turn_timeout_s: float = 90,
        patience_s: float = 60,
        questions_per_minute: int = 30,
    ) -> None:
        self._answerer = answerer
        self._audience = audience
        self._store = store
        self._state = state
        self._languages = languages
        self._commands = commands
        self._recorder = recorder
        self._context = context or ContextReader()
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
        message = _worded(message)
        if not message.text.strip():
            # Whoever only calls the bot into a thread wants an answer to what was just asked there.
            said = await self._context.last_said(message)
            message = replace(message, borrowed=visible(said))
        language = await self.language_of(message)
        immediate = await self._immediate_reply(message, language, is_retry=reply.has_begun)
        if immediate is not None:
            await reply.show(immediate)
            return None
        if not reply.has_begun:
            await reply.show(Reply(ReplyKind.STATUS, texts.SEARCHING[language], language))
        answered = await self._reply(message, reply, language)
        if answered is None or message.conversation.kind is ConversationKind.DIRECT:
            return None
        return answered.standalone if reply.limits.has_private_replies else None

    async def scope_of(self, message: IncomingMessage) -> AccessScope:
        """What all who read the reply now may read."""
        return (await self._audience_of(message)).scope

    async def language_of(self, message: IncomingMessage) -> Language:
        """In which its author is spoken to."""
        return await self._languages.of(message)

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
        started = time.perf_counter()
        message = _worded(message)
        if not message.text.strip():
            message = replace(message, borrowed=standalone)
        language = await self.language_of(message)
        shown = (await self._audience_of(message)).scope
        own = await self._audience.scope_of_person(message.user)
        if not own.checked or own.scope == shown:
            return
        async with asyncio.timeout(self._turn_timeout_s):
            if not await self._answerer.would_add(standalone, own.scope, shown):
                return
            key = private_key(message.conversation, message.user)
            memory = Memory(self._state, must_have=True)
            session = (await memory.load(key)).without(message.event_id)
            context = await self._context.read(message)
            if context.is_all_of(message.asked):
                return
            answered = await self._answerer.answer(
                message.asked, session, own.scope, language=language, context=context
            )
        if answered.answer.band is not Band.ANSWERED:
            return
        now = (await self._audience.scope_of_person(message.user)).scope
        if not await self._may_read_all(answered.chunk_ids, now):
            return
        await memory.save(key, session.with_turn(_turn(answered, message)))
        took_s = time.perf_counter() - started
        await self._recorder.note(
            message,
            answered,
            own,
            standalone=_own_words(answered, message, session),
            is_private=True,
            took_s=took_s,
        )
        id = answer_id(message, is_private=True)
        await reply.show(Reply.of(answered.answer, feedback_id=id))

    async def _immediate_reply(
        self, message: IncomingMessage, language: Language, *, is_retry: bool
    ) -> Reply | None:
        """What needs no answer from the documents, or None for a question."""
        if not message.asked.strip():
            return notice(texts.EMPTY[language], language)
        if len(message.asked) > MAX_QUESTION_CHARACTERS:
            text = texts.TOO_LONG[language]
            text = text.format(length=len(message.asked), limit=MAX_QUESTION_CHARACTERS)
            return notice(text, language)
        call = parse(message.text)
        is_counted = not is_retry and (call is None or call.command not in _UNCOUNTED)
        if is_counted and not await self._is_allowed(message):
            return notice(texts.TOO_MANY[language], language)
        return None if call is None else await self._obey(call, message, language)

    async def _is_allowed(self, message: IncomingMessage) -> bool:
        user = message.user.key
        try:
            return await self._state.allow(user, limit=self._questions_per_minute, per_s=60)
        except StateUnavailable:
            return True

    async def _obey(self, call: CommandCall, message: IncomingMessage, language: Language) -> Reply:
        try:
            async with asyncio.timeout(self._turn_timeout_s):
                reply = await self._commands.reply(call, message, language)
        except TimeoutError:
            log.warning("command.timed_out", command=call.command)
            text = texts.TIMED_OUT[language].format(seconds=self._turn_timeout_s)
            return notice(text, language)
        except StoreError as error:
            log.warning("command.store_unavailable", command=call.command, error=str(error))
            return notice(texts.STORE_DOWN[language], language)
        log.info("command.replied", command=call.command)
        return reply

    async def _reply(
        self, message: IncomingMessage, reply: Delivery, language: Language
    ) -> Answered | None:
        """Fill the reply; what can be foreseen to go wrong ends in a sentence that says what to do."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._turn_timeout_s):
                answered = await self._answer(message, reply, language)
            log.info("turn.answered", took_s=round(time.perf_counter() - started, 3))
            return answered
        except TimeoutError:
            failure = texts.TIMED_OUT[language].format(seconds=self._turn_timeout_s)
            log.warning("turn.timed_out")
        except NothingToRead as error:
            failure = " ".join(error.context.notices(language))
            log.info("turn.nothing_to_read")
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

    async def _answer(
        self, message: IncomingMessage, reply: Delivery, language: Language
    ) -> Answered:
        context = await self._context.read(message)
        if context.lacks_its_subject(message.asked):
            raise NothingToRead(context)
        try:
            return await self._answer_everybody(message, reply, language, context)
        except ReadersChanged:
            # Once more for those who read now; if they change again, nobody is answered.
            return await self._answer_everybody(message, reply, language, context)

    async def _answer_everybody(
        self, message: IncomingMessage, reply: Delivery, language: Language, context: TurnContext
    ) -> Answered:
        started = time.perf_counter()
        memory = Memory(self._state, must_have=self._is_patient(message))
        audience = await self._audience_of(message)
        key = shared_key(message.conversation)
        session = (await memory.load(key)).without(message.event_id)
        last_update = time.monotonic()

        async def show(text: str, citations: tuple[Citation, ...]) -> None:
            nonlocal last_update
            if time.monotonic() - last_update < reply.limits.min_update_interval_s:
                return
            # What came with the message has the message's own readers.
            shown = [c.chunk.id for c in citations if not c.chunk.is_transient]
            # Half an answer may owe its wording to more than it cites so far: any change stops it.
            await self._require_same_readers(message, audience, shown, strictly=True)
            partial = Reply(ReplyKind.PARTIAL, text, language, citations)
            await reply.show(partial, to=audience.scope)
            last_update = time.monotonic()

        answered = await self._answerer.answer(
            message.asked,
            session,
            audience.scope,
            language=language,
            context=context,
            on_progress=show,
        )
        await self._require_same_readers(message, audience, answered.chunk_ids)
        await memory.save(key, session.with_turn(_turn(answered, message)))
        took_s = time.perf_counter() - started
        await self._recorder.note(
            message,
            answered,
            audience,
            standalone=_own_words(answered, message, session),
            is_private=False,
            took_s=took_s,
        )
        notices = [
            answered.answer.notice,
            *context.notices(language),
            None if audience.checked else texts.UNCHECKED[language],
            texts.MEMORY_OFF[language] if memory.failed else None,
        ]
        final = Reply.of(
            replace(answered.answer, notice=" ".join(filter(None, notices)) or None),
            feedback_id=answer_id(message, is_private=False),
        )
        more = await self._follow_ups(message, answered.answer, audience.scope)
        await reply.show(replace(final, suggestions=more))
        return answered

    async def _follow_ups(
        self, message: IncomingMessage, answer: Answer, scope: AccessScope
    ) -> tuple[str, ...]:
        """What somebody could go on with; among several people, that is theirs to say."""
        is_alone = message.conversation.kind is ConversationKind.DIRECT
        if not is_alone or answer.band is not Band.ANSWERED:
            return ()
        try:
            found = await self._store.fetch(list(dict.fromkeys(answer.considered)), scope)
        except StoreError:
            return ()
        cited = {citation.chunk.document.id for citation in answer.citations}
        return follow_ups(found, cited, answer.language)

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


def _worded(message: IncomingMessage) -> IncomingMessage:
    """With its visible text; a file without a word asks what it says."""
    text = visible(message.text)
    if not text.strip() and message.attachments:
        text = texts.ATTACHED_ALONE[language_of_message(message)]
    return replace(message, text=text)


def notice(text: str, language: Language) -> Reply:
    return Reply(ReplyKind.NOTICE, text, language)


def _own_words(answered: Answered, message: IncomingMessage, session: Session) -> str:
    """The stand-alone question; empty if others may have supplied something of it."""
    is_own = all(turn.asker == message.user for turn in session.turns)
    if message.borrowed or (not is_own and answered.topic != message.text):
        return ""
    return answered.topic


def _turn(answered: Answered, message: IncomingMessage) -> Turn:
    turn = answered.as_turn(message.text, event_id=message.event_id)
    standalone = "" if message.borrowed else turn.standalone
    return replace(turn, standalone=standalone, asker=message.user)
