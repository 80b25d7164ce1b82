"""Records of answers on Redis 6.2 or newer."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import TypeVar

import structlog

from bot.messages import ConversationRef, UserRef
from bot.records import MAX_UNANSWERED, RECORD_TTL_S, AnswerRecord
from bot.redis_client import RedisClient, answered, run_script
from bot.state_json import conversation_in, conversation_values
from bot.versioned_json import VersionedJson
from retrieval.types import Band, Language

_json = VersionedJson(1)
_AT_ONCE = 50
T = TypeVar("T")

log = structlog.get_logger()

# A list of ids by time. What has expired is dropped from it, and what is beyond the limit, if there is one.
_LIST = """
local key, id, at, kept_s, limit = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', key, '-inf', redis.call('TIME')[1] - kept_s)
redis.call('ZADD', key, at, id)
if limit > 0 then redis.call('ZREMRANGEBYRANK', key, 0, -limit - 1) end
redis.call('EXPIRE', key, kept_s)
"""


class RedisRecords:
    """
    `Records` under the keys `shifu:<tenant>:record…`.

    Each record is a key of its own, found by lists of ids: of the person, of the person in a place,
    and of the unanswered. A list may name what is gone by now.

    Args:
        redis: From `open_redis`; whoever opened it closes it.
        timeout_s: Longest time one operation may take, its repetitions included.
    """

    def __init__(self, redis: RedisClient, *, tenant: str, timeout_s: float = 8) -> None:
        self._redis = redis
        self._prefix = f"shifu:{tenant}:"
        self._timeout_s = timeout_s

    async def save(self, record: AnswerRecord) -> None:
        # First the lists: nothing is kept that its asker could not have forgotten.
        lists = [self._of(record.user), self._of(record.user, record.conversation)]
        await asyncio.gather(*(self._list(name, record) for name in lists))
        if record.band is Band.ANSWERED:
            await self._ask(self._redis.zrem(self._unanswered, record.id))
        else:
            await self._list(self._unanswered, record, limit=MAX_UNANSWERED)
        name = self._key("record", record.id)
        await self._ask(self._redis.set(name, _encode(record), ex=RECORD_TTL_S))

    async def find(self, id: str) -> AnswerRecord | None:
        text = await self._ask(self._redis.get(self._key("record", id)))
        return _decode(str(text)) if text else None

    async def of_user(
        self, user: UserRef, *, limit: int, place: ConversationRef | None = None
    ) -> list[AnswerRecord]:
        return await self._newest(self._of(user, place), limit)

    async def unanswered(self, *, limit: int) -> list[AnswerRecord]:
        return await self._newest(self._unanswered, limit)

    async def forget(self, user: UserRef, *, conversation: ConversationRef | None = None) -> None:
        ids = await self._ids(self._of(user, conversation))
        found = await self._found(ids)
        if conversation is not None:
            found = [r for r in found if r.conversation.key == conversation.key]
            ids = [record.id for record in found]
        if not ids:
            return
        for id in ids:
            await self._ask(self._redis.delete(self._key("record", id)))
        places = {record.conversation.place_key: record.conversation for record in found}
        # The list of all last, so that whoever is interrupted here can do it again.
        names = [*(self._of(user, place) for place in places.values()), self._unanswered]
        for name in [*names, self._of(user)]:
            await self._ask(self._redis.zrem(name, *ids))

    async def _newest(self, name: str, limit: int) -> list[AnswerRecord]:
        found: list[AnswerRecord] = []
        start = 0
        while len(found) < limit:
            ids = await self._ids(name, start, start + limit)
            if not ids:
                break
            found += await self._found(ids)
            start += len(ids)
        return found[: max(limit, 0)]

    async def _ids(self, name: str, start: int = 0, end: int | None = None) -> list[str]:
        last = -1 if end is None else end - 1
        listed = self._redis.zrange(name, start, last, desc=True)
        return [str(id) for id in await self._ask(listed)]

    async def _found(self, ids: Sequence[str]) -> list[AnswerRecord]:
        records: list[AnswerRecord | None] = []
        for start in range(0, len(ids), _AT_ONCE):
            # One by one: in a Cluster they lie on different servers.
            records += await asyncio.gather(*map(self.find, ids[start : start + _AT_ONCE]))
        return [record for record in records if record is not None]

    async def _list(self, name: str, record: AnswerRecord, *, limit: int = 0) -> None:
        await run_script(
            self._redis,
            _LIST,
            [name],
            record.id,
            repr(record.at.timestamp()),
            RECORD_TTL_S,
            limit,
            timeout_s=self._timeout_s,
        )

    @property
    def _unanswered(self) -> str:
        return self._key("records-unanswered")

    def _of(self, user: UserRef, place: ConversationRef | None = None) -> str:
        return self._key("records-of", user.key, *([place.place_key] if place else []))

    def _key(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)

    async def _ask(self, command: Awaitable[T]) -> T:
        return await answered(command, timeout_s=self._timeout_s)


def _encode(record: AnswerRecord) -> str:
    return _json.encode(
        {
            "id": record.id,
            "event_id": record.event_id,
            "conversation": conversation_values(record.conversation),
            "user": [record.user.tenant, record.user.id],
            "is_private": record.is_private,
            "question": record.question,
            "at": record.at.isoformat(),
            "band": record.band,
            "language": record.language,
            "considered": record.considered,
            "cited": record.cited,
            "cited_as": record.cited_as,
            "readers": record.readers,
            "is_checked": record.is_checked,
            "is_open": record.is_open,
            "is_extract": record.is_extract,
            "model": record.model,
            "prompt_tokens": record.prompt_tokens,
            "completion_tokens": record.completion_tokens,
            "took_s": record.took_s,
            "standalone": record.standalone,
        }
    )


def _decode(text: str) -> AnswerRecord | None:
    """The record in *text*; None when another version wrote it, as if it had expired."""
    try:
        values = _json.decode(text)
        return AnswerRecord(
            id=values["id"],
            event_id=values["event_id"],
            conversation=conversation_in(values["conversation"]),
            user=UserRef(*values["user"]),
            is_private=values["is_private"],
            question=values["question"],
            at=datetime.fromisoformat(values["at"]),
            band=Band(values["band"]),
            language=Language(values["language"]),
            considered=tuple(values["considered"]),
            cited=tuple(values["cited"]),
            cited_as=tuple(values["cited_as"]),
            readers=values["readers"],
            is_checked=values["is_checked"],
            is_open=values["is_open"],
            is_extract=values["is_extract"],
            model=values["model"],
            prompt_tokens=values["prompt_tokens"],
            completion_tokens=values["completion_tokens"],
            took_s=values["took_s"],
            standalone=values["standalone"],
        )
    except (ValueError, KeyError, TypeError):
        log.warning("record.unreadable", size_bytes=len(text))
        return None
