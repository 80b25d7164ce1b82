"""Files that come with a message, read for one answer: their text as passages that are kept nowhere."""

import asyncio
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeVar

import structlog

from bot.messages import Attachment, IncomingMessage
from bot.surroundings import AttachmentUnreadable, Surroundings, Unreadable
from retrieval.access import Acl
from retrieval.analysis import language_of
from retrieval.errors import HoldsNoText, IngestError, IsLocked, TooMuch
from retrieval.ingest.clean import visible
from retrieval.ingest.convert import supported_endings, text_of
from retrieval.ingest.redact import redact
from retrieval.ingest.split import split
from retrieval.links import without_links
from retrieval.types import Chunk, Document

T = TypeVar("T")

log = structlog.get_logger()

MAX_FILES = 5
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_TEXT_FILE_BYTES = 512 * 1024
"""Read of one whose content is text: more would be cut anyway, and hostile markup costs seconds a megabyte."""
MAX_TEXT_BYTES = 200_000
"""Of all files of a message together."""

_FETCH_TIMEOUT_S, _CONVERT_TIMEOUT_S = 20, 20
_LONGEST_NAME = 80

_ENDINGS_BY_TYPE = {
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.ms-excel.sheet.macroenabled.12": ".xlsm",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.ms-powerpoint.presentation.macroenabled.12": ".pptm",
    "text/html": ".html",
    "text/markdown": ".md",
    "application/json": ".txt",
    "application/xml": ".txt",
    "application/yaml": ".txt",
    "application/x-yaml": ".txt",
}
_PLAIN_TEXT = """
.c .cfg .conf .cpp .csv .go .h .hpp .ini .java .js .json .log .py .rs .rst .sh .sql .sv .tcl .tex .toml
.ts .tsv .v .vhd .xml .yaml .yml
"""
_PLAIN_TEXT_ENDINGS = frozenset(_PLAIN_TEXT.split())

_PACKED = frozenset({".pdf", ".docx", ".xlsx", ".xlsm", ".pptx", ".pptm"})
_converting = threading.BoundedSemaphore(4)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """
    What became of one file.

    Attributes:
        name: Fit to be shown.
        problem: Why there are no *chunks*; None when there are.
        is_cut: There is more than *chunks* in it.
    """

    name: str
    chunks: tuple[Chunk, ...] = ()
    problem: Unreadable | None = None
    is_cut: bool = False


async def read_attachments(
    surroundings: Surroundings, message: IncomingMessage, attachments: Sequence[Attachment]
) -> list[ReadFile]:
    """Each of *attachments*, in order; whatever is wrong with one, the others are read."""
    read = await asyncio.gather(
        *(_read(surroundings, message, attachment) for attachment in attachments[:MAX_FILES])
    )
    room = MAX_TEXT_BYTES
    files = []
    for file in read:
        fitting = _fitting(file.chunks, room)
        room -= sum(_size(chunk) for chunk in fitting)
        if file.problem is None and not fitting:
            files.append(ReadFile(file.name, problem=Unreadable.TOO_LARGE))
            continue
        is_cut = file.is_cut or len(fitting) < len(file.chunks)
        files.append(ReadFile(file.name, fitting, file.problem, is_cut))
    return files + [
        ReadFile(_shown_name(attachment), problem=Unreadable.TOO_MANY)
        for attachment in attachments[MAX_FILES:]
    ]


async def _read(
    surroundings: Surroundings, message: IncomingMessage, attachment: Attachment
) -> ReadFile:
    name = _shown_name(attachment)
    try:
        if PurePath(attachment.name).suffix or attachment.media_type:
            _ending(attachment)
        if attachment.size_bytes > MAX_FILE_BYTES:
            raise AttachmentUnreadable(Unreadable.TOO_LARGE)
        async with asyncio.timeout(_FETCH_TIMEOUT_S):
            fetched = await surroundings.fetch(message, attachment, max_bytes=MAX_FILE_BYTES)
        name = _shown_name(fetched.attachment)
        async with asyncio.timeout(_CONVERT_TIMEOUT_S):
            ending = _ending(fetched.attachment)
            chunks, is_cut = await _in_own_thread(lambda: _chunks(name, ending, fetched.content))
    except AttachmentUnreadable as error:
        name = _shown_name(error.attachment) if error.attachment else name
        return ReadFile(name, problem=error.reason)
    except TimeoutError:
        return ReadFile(name, problem=Unreadable.TOO_SLOW)
    return ReadFile(name, chunks, is_cut=is_cut)


async def _in_own_thread(work: Callable[[], T]) -> T:
    """
    A file that takes for ever delays the few that find no room beside it, and not the end of the process.
    """
    while not _converting.acquire(blocking=False):  # noqa: ASYNC110 (threads set no event)
        await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(settle: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # nobody waits any more, and the loop is closed
            loop.call_soon_threadsafe(lambda: None if done.done() else settle())

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            failure = error
            finish(lambda: done.set_exception(failure))
        else:
            finish(lambda: done.set_result(result))
        finally:
            _converting.release()

    threading.Thread(target=run, name="attachment", daemon=True).start()
    return await done


def _ending(attachment: Attachment) -> str:
    """How to read it: by its name, else by what the platform takes it for."""
    media_type = attachment.media_type.partition(";")[0].strip().lower()
    ending = PurePath(attachment.name).suffix.lower()
    if ending in supported_endings():
        return ending
    if media_type.startswith("image/"):
        raise AttachmentUnreadable(Unreadable.IMAGE)
    if ending in _PLAIN_TEXT_ENDINGS:
        return ".txt"
    if media_type in _ENDINGS_BY_TYPE:
        return _ENDINGS_BY_TYPE[media_type]
    if media_type.startswith("text/"):
        return ".txt"
    raise AttachmentUnreadable(Unreadable.TYPE)


def _chunks(name: str, ending: str, raw: bytes) -> tuple[tuple[Chunk, ...], bool]:
    """
    The text in passages that are granted to nobody: whoever reads the message they came with may
    see them, and no rule of ours could tell who that will be tomorrow.
    """
    beginning = raw if ending in _PACKED else _beginning(raw)
    try:
        markdown, _ = redact(text_of(f"attachment{ending}", beginning))
    except HoldsNoText as error:
        raise AttachmentUnreadable(Unreadable.NO_TEXT) from error
    except IsLocked as error:
        raise AttachmentUnreadable(Unreadable.LOCKED) from error
    except TooMuch as error:
        raise AttachmentUnreadable(Unreadable.TOO_LARGE) from error
    except IngestError as error:
        raise AttachmentUnreadable(Unreadable.DAMAGED) from error
    except Exception as error:
        # Around one document: a converter met with something it does not know.
        log.warning("attachment.unreadable", ending=ending, error=type(error).__name__)
        raise AttachmentUnreadable(Unreadable.DAMAGED) from error
    kept = markdown.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
    document = Document(
        # By chance, so that no document of a store can bear the same.
        id=f"attachment:{uuid.uuid4().hex}",
        source="attachment",
        title=name,
        acl=Acl(frozenset()),
        content_hash="",
        language=language_of(kept[:10_000]),
    )
    chunks = split(document, kept).chunks
    if not chunks:
        raise AttachmentUnreadable(Unreadable.NO_TEXT)
    return chunks, len(kept) < len(markdown) or len(beginning) < len(raw)


def _beginning(raw: bytes) -> bytes:
    """Cut at the end of a line if there is one, so as not to cut a character."""
    if len(raw) <= MAX_TEXT_FILE_BYTES:
        return raw
    end = raw.rfind(b"\n", 0, MAX_TEXT_FILE_BYTES)
    if end > 0:
        return raw[:end]
    return raw[:MAX_TEXT_FILE_BYTES].decode(errors="ignore").encode()


def _fitting(chunks: Sequence[Chunk], room: int) -> tuple[Chunk, ...]:
    fitting: list[Chunk] = []
    for chunk in chunks:
        room -= _size(chunk)
        if room < 0:
            break
        fitting.append(chunk)
    return tuple(fitting)


def _size(chunk: Chunk) -> int:
    return len(chunk.text.encode())


def _shown_name(attachment: Attachment) -> str:
    """One line that leads nowhere: anybody may call a file anything."""
    name = " ".join(without_links(visible(attachment.name)).split())
    return name[:_LONGEST_NAME] or "?"
