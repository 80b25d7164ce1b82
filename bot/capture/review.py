"""The review queue: what people offer to the company's knowledge waits here for a decision; with the in-memory twin."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.messages import ConversationRef, UserRef


@dataclass(frozen=True, slots=True)
class Submission:
    """
    Something that may become a document, once somebody has approved it. Until then nobody finds it.

    Attributes:
        id: Equal for every delivery of the same submission.
        audience: Who should read it, in the words of whoever offers it: a wish, no grant.
        permalink: Where it was said; None for what was written anew.
        conversation: Where it was said: who reads there bounds who may read the document.
        author: Who wrote it, by the platform's own word; None where that was not to be had, and for what
            was written anew: then *by* alone answers for it.
        written_at: When *author* wrote it.
        is_edited: *by* has changed what *author* wrote.
    """

    id: str
    title: str
    text: str
    audience: str
    by: UserRef
    at: datetime
    permalink: str | None = None
    conversation: ConversationRef | None = None
    author: UserRef | None = None
    written_at: datetime | None = None
    is_edited: bool = False


class ReviewQueue(Protocol):
    """
    Kept until somebody decides. Every method raises `StateUnavailable` when the server does not answer.
    """

    async def submit(self, submission: Submission) -> None:
        """Durable on return. The same id again changes nothing, so a redelivery does no harm."""
        ...

    async def waiting(self, *, limit: int) -> list[Submission]:
        """The oldest first."""
        ...

    async def count(self) -> int: ...

    async def find(self, id: str) -> Submission | None: ...

    async def remove(self, id: str) -> bool:
        """It is decided, or withdrawn; False when it was not there."""
        ...


class InMemoryReviewQueue:
    """Lives and dies with the process."""

    def __init__(self) -> None:
        self._waiting: dict[str, Submission] = {}

    async def submit(self, submission: Submission) -> None:
        self._waiting.setdefault(submission.id, submission)

    async def waiting(self, *, limit: int) -> list[Submission]:
        return oldest_first(list(self._waiting.values()))[: max(limit, 0)]

    async def count(self) -> int:
        return len(self._waiting)

    async def find(self, id: str) -> Submission | None:
        return self._waiting.get(id)

    async def remove(self, id: str) -> bool:
        return self._waiting.pop(id, None) is not None


def oldest_first(submissions: list[Submission]) -> list[Submission]:
    return sorted(submissions, key=lambda submission: (submission.at, submission.id))
