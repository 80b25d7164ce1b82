"""The review queue on Redis 6.2 or newer."""

from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar, cast

import structlog

from bot.capture.review import Submission, oldest_first
from bot.messages import UserRef
from bot.redis_client import RedisClient, answered
from bot.state_json import conversation_in, conversation_values
from bot.versioned_json import VersionedJson

_json = VersionedJson(1)
T = TypeVar("T")

log = structlog.get_logger()


class RedisReviewQueue:
    """
    `ReviewQueue` under the key `shifu:<tenant>:review`, which does not expire: somebody has to decide.

    Args:
        redis: From `open_redis`; whoever opened it closes it.
        timeout_s: Longest time one operation may take, its repetitions included.
    """

    def __init__(self, redis: RedisClient, *, tenant: str, timeout_s: float = 8) -> None:
        self._redis = redis
        self._name = f"shifu:{tenant}:review"
        self._timeout_s = timeout_s

    async def submit(self, submission: Submission) -> None:
        await self._ask(self._redis.hsetnx(self._name, submission.id, _encode(submission)))

    async def waiting(self, *, limit: int) -> list[Submission]:
        texts = await self._ask(cast(Awaitable[list[str]], self._redis.hvals(self._name)))
        found = [submission for text in texts if (submission := _decode(text))]
        return oldest_first(found)[: max(limit, 0)]

    async def count(self) -> int:
        return await self._ask(self._redis.hlen(self._name))

    async def find(self, id: str) -> Submission | None:
        text = await self._ask(cast(Awaitable[str | None], self._redis.hget(self._name, id)))
        return _decode(text) if text else None

    async def remove(self, id: str) -> bool:
        return await self._ask(self._redis.hdel(self._name, id)) == 1

    async def _ask(self, command: Awaitable[T]) -> T:
        return await answered(command, timeout_s=self._timeout_s)


def _encode(submission: Submission) -> str:
    where, author = submission.conversation, submission.author
    written_at = submission.written_at
    return _json.encode(
        {
            "id": submission.id,
            "title": submission.title,
            "text": submission.text,
            "audience": submission.audience,
            "by": [submission.by.tenant, submission.by.id],
            "at": submission.at.isoformat(),
            "permalink": submission.permalink,
            "conversation": conversation_values(where) if where else None,
            "author": [author.tenant, author.id] if author else None,
            "written_at": written_at.isoformat() if written_at else None,
            "is_edited": submission.is_edited,
        }
    )


def _decode(text: str) -> Submission | None:
    """The submission in *text*; None when another version wrote it: that one still reads it."""
    try:
        values = _json.decode(text)
        where = values["conversation"]
        # What older versions kept has no author.
        author, written_at = values.get("author"), values.get("written_at")
        return Submission(
            id=values["id"],
            title=values["title"],
            text=values["text"],
            audience=values["audience"],
            by=UserRef(*values["by"]),
            at=datetime.fromisoformat(values["at"]),
            permalink=values["permalink"],
            conversation=conversation_in(where) if where else None,
            author=UserRef(*author) if author else None,
            written_at=datetime.fromisoformat(written_at) if written_at else None,
            is_edited=values.get("is_edited", False),
        )
    except (ValueError, KeyError, TypeError):
        log.warning("review.unreadable", size_bytes=len(text))
        return None
