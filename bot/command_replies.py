"""What each command tells or does, within what the readers of its reply may know at this moment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from bot import command_texts as said
from bot import texts
from bot.admins import Admins
from bot.audience import Audience, AudienceScope
from bot.commands import NAMES, Command, CommandCall, language_named
from bot.errors import StateUnavailable
from bot.explaining import Explaining, TokenPrices
from bot.forgetting import Forgetting
from bot.inbox import Inbox
from bot.messages import (
    ConversationKind,
    Feedback,
    IncomingMessage,
    Preferences,
    Reply,
    ReplyKind,
)
from bot.records import Records
from bot.state import State
from retrieval.errors import ShifuError
from retrieval.store import ChunkStore, SourceSummary
from retrieval.types import Language

log = structlog.get_logger()

T = TypeVar("T")

MAX_REPORT_CHARACTERS = 2_000

_PROBE_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """
    Attributes:
        model: Name of the language model; None without any.
        prefixes: What stands before a command, by platform; `/` for the others.
        private_ask: The command for a question whose answer the asker alone sees, by platform.
    """

    model: str | None = None
    prices: TokenPrices | None = None
    prefixes: Mapping[str, str] = field(default_factory=dict)
    private_ask: Mapping[str, str] = field(default_factory=dict)


class Commands:
    """
    Replies to commands. Whatever may not be known to all who read the reply is neither told nor
    counted, and figures for administrators are told to one alone.
    """

    def __init__(
        self,
        *,
        audience: Audience,
        store: ChunkStore,
        state: State,
        records: Records,
        inbox: Inbox,
        forgetting: Forgetting,
        admins: Admins,
        options: CommandOptions,
    ) -> None:
        self._audience = audience
        self._store = store
        self._state = state
        self._records = records
        self._inbox = inbox
        self._forgetting = forgetting
        self._admins = admins
        self._options = options
        self._explaining = Explaining(records, audience, store, options.prices)

    async def reply(self, call: CommandCall, message: IncomingMessage, language: Language) -> Reply:
        """
        Raises:
            StoreError: If the store does not answer.
        """
        match call.command:
            case Command.HELP:
                return self._notice(self._help(message, language), language)
            case Command.UNKNOWN:
                listed = self._listed(message, language)
                name = call.argument[:40]
                text = said.UNKNOWN[language].format(name=name, commands=listed)
                return self._notice(text, language)
            case Command.SOURCES:
                return await self._of_same_readers(message, language, self._sources)
            case Command.WHY:
                return await self._why(call.argument, message, language)
            case Command.STATUS:
                return self._notice(await self._status(message, language), language)
            case Command.LANGUAGE:
                return await self._choose_language(call.argument, message, language)
            case Command.FORGET:
                return await self._forget(message, language)
            case Command.FORGET_ME:
                return await self._forget_me(message, language)
            case Command.REPORT:
                return await self._report(call.argument, message, language)

    def _help(self, message: IncomingMessage, language: Language) -> str:
        is_alone = message.conversation.kind is ConversationKind.DIRECT
        follow_up = said.FOLLOW_UP_ALONE if is_alone else said.FOLLOW_UP_SHARED
        return said.HELP[language].format(
            follow_up=follow_up[language], commands=self._listed(message, language)
        )

    def _listed(self, message: IncomingMessage, language: Language) -> str:
        lines = [
            (self._written(command, message, language), said.ABOUT[command][language])
            for command in NAMES
        ]
        ask = self._options.private_ask.get(message.conversation.platform)
        if ask is not None:
            written, about = said.ASK_IN_PRIVATE[language]
            lines.insert(0, (written.format(command=ask), about))
        line = said.COMMAND[language]
        return "\n".join(line.format(command=command, about=about) for command, about in lines)

    def _written(self, command: Command, message: IncomingMessage, language: Language) -> str:
        prefix = self._options.prefixes.get(message.conversation.platform, "/")
        return prefix + NAMES[command][language]

    async def _of_same_readers(
        self,
        message: IncomingMessage,
        language: Language,
        tell: Callable[[IncomingMessage, Language, AudienceScope], Awaitable[Reply]],
    ) -> Reply:
        """What *tell* says to those who read now; nothing if they change each time it is written."""
        before = await self._audience_of(message)
        for _ in range(2):
            reply = await tell(message, language, before)
            now = await self._audience_of(message)
            if now.scope == before.scope:
                return reply
            before = now
        log.warning("command.readers_changed")
        return self._notice(texts.READERS_CHANGED[language], language)

    async def _sources(
        self, message: IncomingMessage, language: Language, readers: AudienceScope
    ) -> Reply:
        is_alone = message.conversation.kind is ConversationKind.DIRECT
        found = await self._store.sources(readers.scope)
        if found:
            head = said.SOURCES_ALONE if is_alone else said.SOURCES_SHARED
            text = "\n".join([head[language], *(_source(source, language) for source in found)])
        else:
            text = (said.NO_SOURCES_ALONE if is_alone else said.NO_SOURCES_SHARED)[language]
        unchecked = None if readers.checked else texts.UNCHECKED[language]
        return Reply(ReplyKind.NOTICE, text, language, notice=unchecked)

    async def _why(self, id: str, message: IncomingMessage, language: Language) -> Reply:
        async def tell(
            message: IncomingMessage, language: Language, readers: AudienceScope
        ) -> Reply:
            record = await self._explaining.find(id, message)
            if record is None:
                return self._notice((said.WHY_UNKNOWN if id else said.WHY_NONE)[language], language)
            return await self._explaining.explain(record, message, readers, language)

        try:
            return await self._of_same_readers(message, language, tell)
        except StateUnavailable:
            return self._notice(said.RECORDS_AWAY[language], language)

    async def _status(self, message: IncomingMessage, language: Language) -> str:
        is_alone = message.conversation.kind is ConversationKind.DIRECT
        is_admin = is_alone and await self._admins.include(message.user)
        counts, remembers, queue = await asyncio.gather(
            _soon(self._store.counts()),
            # A write: a Redis that is full answers and takes nothing.
            _soon(self._state.allow("status", limit=1, per_s=60)),
            _soon(self._inbox.state()),
        )
        model = self._options.model
        lines = [
            (said.DOCUMENTS_AWAY if counts is None else said.DOCUMENTS_REACHED)[language],
            said.MODEL[language].format(model=model) if model else said.STATUS_NO_MODEL[language],
            (said.MEMORY_AWAY if remembers is None else said.MEMORY_WORKS)[language],
        ]
        if queue is not None:
            empty = said.QUEUE_EMPTY[language]
            busy = said.QUEUE[language]
            waits = {"waiting": queue.waiting, "oldest_s": queue.oldest_age_s}
            lines.append(busy.format(**waits) if queue.waiting else empty)
        if is_admin and queue is not None:
            lines.append(
                said.ADMIN_QUEUE[language].format(
                    waiting=queue.waiting, unfinished=queue.unfinished, dead=queue.dead
                )
            )
        if is_admin and counts is not None:
            lines.append(
                said.ADMIN_INDEX[language].format(
                    documents=counts.documents,
                    chunks=counts.chunks,
                    without=counts.chunks_without_vector,
                )
            )
        return "\n".join(lines)

    async def _choose_language(
        self, argument: str, message: IncomingMessage, language: Language
    ) -> Reply:
        try:
            chosen = language_named(argument)
        except ValueError:
            command = self._written(Command.LANGUAGE, message, language)
            return self._notice(said.LANGUAGE_USAGE[language].format(command=command), language)
        try:
            await self._state.save_preferences(message.user, Preferences(language=chosen))
        except StateUnavailable:
            return self._notice(said.NOT_SAVED[language], language)
        if chosen is None:
            return self._notice(said.LANGUAGE_AUTO[language], language)
        return self._notice(said.LANGUAGE_SET[chosen], chosen)

    async def _forget(self, message: IncomingMessage, language: Language) -> Reply:
        try:
            await self._forgetting.conversation(message)
        except StateUnavailable:
            return self._notice(texts.MEMORY_OFF[language], language)
        is_alone = message.conversation.kind is ConversationKind.DIRECT
        forgotten = texts.FORGOTTEN_ALONE if is_alone else texts.FORGOTTEN
        return self._notice(forgotten[language], language)

    async def _forget_me(self, message: IncomingMessage, language: Language) -> Reply:
        try:
            await self._forgetting.person(message)
        except StateUnavailable:
            return self._notice(said.NOT_FORGOTTEN[language], language)
        return self._notice(said.FORGOTTEN_ME[language], language)

    async def _report(self, text: str, message: IncomingMessage, language: Language) -> Reply:
        if not text:
            command = self._written(Command.REPORT, message, language)
            return self._notice(said.REPORT_USAGE[language].format(command=command), language)
        if len(text) > MAX_REPORT_CHARACTERS:
            told = said.REPORT_TOO_LONG[language].format(
                length=len(text), limit=MAX_REPORT_CHARACTERS
            )
            return self._notice(told, language)
        try:
            last = await self._explaining.last_answer(message)
            report = Feedback.report(
                message.event_id, message.user, datetime.now(UTC), text, last.id if last else None
            )
            await self._state.save_feedback(report)
        except StateUnavailable:
            return self._notice(said.NOT_SAVED[language], language)
        return self._notice(
            (said.REPORTED_WITH_ANSWER if last else said.REPORTED)[language], language
        )

    def _notice(self, text: str, language: Language) -> Reply:
        return Reply(ReplyKind.NOTICE, text, language)

    async def _audience_of(self, message: IncomingMessage) -> AudienceScope:
        return await self._audience.scope_of_conversation(message.conversation, message.user)


def _source(source: SourceSummary, language: Language) -> str:
    # Between backticks, where the name cannot be anything else than a name.
    name = " ".join(source.name.replace("`", "'").split())
    count = (said.ONE_DOCUMENT if source.documents == 1 else said.DOCUMENTS)[language]
    documents = count.format(documents=source.documents)
    if source.newest_at is None:
        return said.SOURCE_UNDATED[language].format(source=name, documents=documents)
    newest = f"{source.newest_at:%Y-%m-%d}"
    return said.SOURCE[language].format(source=name, documents=documents, newest=newest)


async def _soon(asked: Awaitable[T]) -> T | None:
    """None for what does not answer."""
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            return await asked
    except (ShifuError, TimeoutError):
        return None
