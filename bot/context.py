"""What a turn needs beside the message and the session: its files, what people said before, live results."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from bot import texts
from bot.asked_of_file import asked_of_file
from bot.attachments import MAX_FILE_BYTES, MAX_FILES, ReadFile, read_attachments
from bot.follow_up import leans_on_others
from bot.messages import Attachment, ConversationKind, IncomingMessage
from bot.surroundings import NoSurroundings, Said, Surroundings
from retrieval.types import Chunk, Language

log = structlog.get_logger()

_MOST_SAID, _MOST_SAID_CHARACTERS = 20, 4_000
_MOST_LIVE_RESULTS = 20
_EARLIER_TIMEOUT_S, _LIVE_TIMEOUT_S = 2.0, 3.0
_ENUMERATION = {Language.ENGLISH: ", ", Language.CHINESE: "、"}


async def _nothing_live(_: str) -> tuple[Chunk, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class TurnContext:
    """
    For one turn, and gone with it. None of its chunks is in a store, and none grants anything.

    Attributes:
        files: What became of each file that the question may be about.
        earlier: What people said before, oldest first: to understand the question, never a source.
        hints: Ids of what the asker has open, for ranking alone.
        live: Asks the platform's own search; finds nothing where others than the asker read on.
    """

    files: tuple[ReadFile, ...] = ()
    earlier: tuple[Said, ...] = ()
    hints: tuple[str, ...] = ()
    live: Callable[[str], Awaitable[tuple[Chunk, ...]]] = _nothing_live

    @property
    def attached(self) -> tuple[Chunk, ...]:
        return tuple(chunk for file in self.files for chunk in file.chunks)

    def lacks_its_subject(self, question: str) -> bool:
        """*question* is about nothing but files of which none could be read."""
        return bool(self.files) and not self.attached and asked_of_file(question).is_whole_subject

    def is_all_of(self, question: str) -> bool:
        """*question* is about nothing but the files that were read."""
        return bool(self.attached) and asked_of_file(question).is_whole_subject

    def notices(self, language: Language) -> list[str]:
        """What the reader must know of the files, for good and bad."""
        said = [
            texts.UNREADABLE[problem][language].format(
                names=_named((f for f in self.files if f.problem is problem), language),
                files=MAX_FILES,
                megabytes=MAX_FILE_BYTES // 2**20,
            )
            for problem in dict.fromkeys(f.problem for f in self.files)
            if problem is not None
        ]
        if in_part := [file for file in self.files if file.is_cut]:
            said.append(texts.READ_IN_PART[language].format(names=_named(in_part, language)))
        if read := [file for file in self.files if file.chunks]:
            said.append(texts.READ_ONCE[language].format(names=_named(read, language)))
        return said


class ContextReader:
    """
    Asks the platform that a message comes from. Never fails for its sake: what cannot be had is left out.

    Args:
        surroundings: By platform; the others have none.
    """

    def __init__(self, surroundings: Mapping[str, Surroundings] | None = None) -> None:
        self._surroundings = surroundings or {}

    async def read(self, message: IncomingMessage) -> TurnContext:
        """What there is for *message* now."""
        platform = message.conversation.platform
        surroundings = self._surroundings.get(platform) or NoSurroundings()
        earlier = await _earlier(surroundings, message) if _needs_earlier(message) else ()
        attachments = message.attachments or _attached_before(message, earlier)
        files = await read_attachments(surroundings, message, attachments) if attachments else []
        if files:
            unread = sum(file.problem is not None for file in files)
            log.info("context.files_read", files=len(files), unread=unread)

        async def live(query: str) -> tuple[Chunk, ...]:
            return await _live(surroundings, message, query)

        return TurnContext(tuple(files), earlier, message.looking_at, live)

    async def last_said(self, message: IncomingMessage) -> str:
        """What somebody wrote right before *message* in its thread; empty if that is not known."""
        if not message.is_mid_thread:
            return ""
        platform = message.conversation.platform
        earlier = await _earlier(self._surroundings.get(platform) or NoSurroundings(), message)
        return earlier[-1].text if earlier else ""


def _needs_earlier(message: IncomingMessage) -> bool:
    """Platforms tell little of the past, and that slowly: only where the question leans on it."""
    if not message.is_mid_thread:
        return False
    return leans_on_others(message.asked) or _is_about_file_before(message)


def _is_about_file_before(message: IncomingMessage) -> bool:
    return not message.attachments and asked_of_file(message.asked).names_file


def _attached_before(message: IncomingMessage, earlier: Sequence[Said]) -> tuple[Attachment, ...]:
    """The files of the thread's latest message that has any, when the question is about a file."""
    if not _is_about_file_before(message):
        return ()
    return next((said.attachments for said in reversed(earlier) if said.attachments), ())


async def _earlier(surroundings: Surroundings, message: IncomingMessage) -> tuple[Said, ...]:
    try:
        async with asyncio.timeout(_EARLIER_TIMEOUT_S):
            said = await surroundings.earlier(message)
    except TimeoutError:
        log.info("context.earlier_too_slow")
        return ()
    kept: list[Said] = []
    room = _MOST_SAID_CHARACTERS
    for one in reversed(said[-_MOST_SAID:]):
        if kept and len(one.text) > room:
            break
        kept.append(replace(one, text=one.text[:room]))
        room -= len(kept[-1].text)
    return tuple(reversed(kept))


async def _live(
    surroundings: Surroundings, message: IncomingMessage, query: str
) -> tuple[Chunk, ...]:
    # Found with the asker's rights, which nobody else need have.
    if message.conversation.kind is not ConversationKind.DIRECT:
        return ()
    try:
        async with asyncio.timeout(_LIVE_TIMEOUT_S):
            found = await surroundings.found_live(message, query)
    except TimeoutError:
        log.info("context.live_search_too_slow")
        return ()
    return tuple(chunk for chunk in found if chunk.is_transient)[:_MOST_LIVE_RESULTS]


def _named(files: Iterable[ReadFile], language: Language) -> str:
    return _ENUMERATION[language].join(file.name for file in files)
