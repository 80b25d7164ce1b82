"""What a platform can tell about a message beyond its text: asked for while it is answered, and kept nowhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bot.messages import Attachment, IncomingMessage
from retrieval.errors import ShifuError
from retrieval.types import Chunk


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody wrote earlier where the bot was then addressed, with the files that came with it."""

    text: str
    at: datetime
    attachments: tuple[Attachment, ...] = ()


class Unreadable(StrEnum):
    """Why a file tells us nothing."""

    IMAGE = "image"
    TYPE = "type"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    TOO_SLOW = "too_slow"
    NO_TEXT = "no_text"
    LOCKED = "locked"
    DAMAGED = "damaged"
    NO_ACCESS = "no_access"
    GONE = "gone"
    ELSEWHERE = "elsewhere"
    """The platform holds a link to another service, not the file."""
    AWAY = "away"
    """The platform does not hand it out at the moment."""


class AttachmentUnreadable(ShifuError):
    """
    The file cannot be had, or holds nothing that we can read.

    Args:
        attachment: As it is known now, if more is than came with the message.
    """

    def __init__(self, reason: Unreadable, attachment: Attachment | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.attachment = attachment


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """
    A file as the platform hands it out.

    Attributes:
        attachment: As it is known now; with a message, some platforms tell no more than an id.
    """

    attachment: Attachment
    content: bytes


class Surroundings(Protocol):
    """
    One platform's answers to what a message refers to.

    What cannot be had is done without: only `fetch` raises, so that its reader can be told.
    Whoever asks sets the deadlines.
    """

    async def earlier(self, message: IncomingMessage) -> Sequence[Said]:
        """What people wrote in its thread before it, oldest first; nothing that a bot wrote."""
        ...

    async def fetch(
        self, message: IncomingMessage, attachment: Attachment, *, max_bytes: int
    ) -> FetchedFile:
        """
        The file, whole.

        Raises:
            AttachmentUnreadable: With the reason, and what is known of the file; `TOO_LARGE` without
                reading on beyond *max_bytes*.
        """
        ...

    async def found_live(self, message: IncomingMessage, query: str) -> Sequence[Chunk]:
        """
        What the platform's own search finds with the asker's rights: for the asker's eyes alone.

        The chunks are `is_transient`.
        """
        ...


class NoSurroundings:
    """A platform on which a message is all there is."""

    async def earlier(self, message: IncomingMessage) -> Sequence[Said]:
        return ()

    async def fetch(
        self, message: IncomingMessage, attachment: Attachment, *, max_bytes: int
    ) -> FetchedFile:
        raise AttachmentUnreadable(Unreadable.NO_ACCESS)

    async def found_live(self, message: IncomingMessage, query: str) -> Sequence[Chunk]:
        return ()


class InMemorySurroundings:
    """
    The twin: a platform that holds what it was given.

    Args:
        said: By the key of a conversation.
        files: By id of the attachment; what is missing is gone.
        live: What the search of the platform finds, whatever is asked.
    """

    def __init__(
        self,
        *,
        said: Mapping[str, Sequence[Said]] | None = None,
        files: Mapping[str, bytes | Unreadable] | None = None,
        live: Sequence[Chunk] = (),
    ) -> None:
        self._said = said or {}
        self._files = files or {}
        self._live = live

    async def earlier(self, message: IncomingMessage) -> Sequence[Said]:
        return self._said.get(message.conversation.key, ())

    async def fetch(
        self, message: IncomingMessage, attachment: Attachment, *, max_bytes: int
    ) -> FetchedFile:
        content = self._files.get(attachment.id, Unreadable.GONE)
        if isinstance(content, Unreadable):
            raise AttachmentUnreadable(content)
        if len(content) > max_bytes:
            raise AttachmentUnreadable(Unreadable.TOO_LARGE)
        return FetchedFile(attachment, content)

    async def found_live(self, message: IncomingMessage, query: str) -> Sequence[Chunk]:
        return self._live
