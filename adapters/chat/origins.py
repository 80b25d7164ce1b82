"""Where each question came from on its platform, and which message answers it: the port, its twin, and Redis."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Generic, Protocol, Self, TypeVar, cast
from uuid import uuid4

from bot.redis_client import RedisClient, answered
from bot.versioned_json import VersionedJson

T = TypeVar("T")

TTL_S = 86_400
"""Longer than any question waits, and than anybody presses Stop."""

POSTING_S = 30
"""How long somebody may take to post; then that one counts as dead, and others try."""

_JSON = VersionedJson(1)


class KeptOrigin(Protocol):
    """What a platform's event tells beyond our own values: a frozen dataclass of what JSON knows."""

    def scrubbed(self) -> Self:
        """Without what is somebody's words, or a key to anything."""
        ...


Kept = TypeVar("Kept", bound=KeptOrigin)


class Replies(Protocol):
    """
    Which message answers which event, for a day.

    A shared and a private reply (*is_private*) to the same event are two. Every method raises
    `StateUnavailable` when the server does not answer.
    """

    async def begin_reply(self, event_id: str, *, is_private: bool = False) -> bool:
        """
        True for one who may post the reply now; others look again for what was posted.

        It holds for `POSTING_S`, or until `note_reply` or `end_reply`.
        """
        ...

    async def end_reply(self, event_id: str, *, is_private: bool = False) -> None:
        """Nothing was posted; somebody else may try."""
        ...

    async def note_reply(
        self, event_id: str, ref: str, *, channel: str, message: str, is_private: bool = False
    ) -> None:
        """
        Args:
            ref: What whoever changes the reply needs.
            channel: In which the message stands.
            message: Its id there; empty if the platform has not told it.
        """
        ...

    async def reply(self, event_id: str, *, is_private: bool = False) -> str | None:
        """The *ref* of what was posted."""
        ...

    async def event_at(self, channel: str, message: str) -> str | None:
        """What *message* in *channel* answers."""
        ...


class Origins(Replies, Protocol[Kept]):
    """Where each event came from, for a day, beside the replies to it."""

    async def keep(self, event_id: str, origin: Kept) -> None:
        """The first one stays: the same event told again changes nothing."""
        ...

    async def find(self, event_id: str) -> Kept | None: ...

    async def scrub(self, event_id: str) -> None:
        """It is answered: forget what of it is somebody's words, or a key to anything."""
        ...


class InMemoryOrigins(Generic[Kept]):
    """Lives and dies with the process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, Any]] = {}

    async def keep(self, event_id: str, origin: Kept) -> None:
        self._put_new(f"origin:{event_id}", origin, TTL_S)

    async def find(self, event_id: str) -> Kept | None:
        return cast(Kept | None, self._get(f"origin:{event_id}"))

    async def scrub(self, event_id: str) -> None:
        expires_at, origin = self._kept.get(f"origin:{event_id}", (0.0, None))
        if origin is not None:
            self._kept[f"origin:{event_id}"] = (expires_at, origin.scrubbed())

    async def begin_reply(self, event_id: str, *, is_private: bool = False) -> bool:
        if await self.reply(event_id, is_private=is_private) is not None:
            return False
        return self._put_new(_posting(event_id, is_private), "", POSTING_S)

    async def end_reply(self, event_id: str, *, is_private: bool = False) -> None:
        self._kept.pop(_posting(event_id, is_private), None)

    async def note_reply(
        self, event_id: str, ref: str, *, channel: str, message: str, is_private: bool = False
    ) -> None:
        self._put(_reply(event_id, is_private), ref)
        if message:
            self._put(f"at:{channel}/{message}", event_id)
        self._kept.pop(_posting(event_id, is_private), None)

    async def reply(self, event_id: str, *, is_private: bool = False) -> str | None:
        return cast(str | None, self._get(_reply(event_id, is_private)))

    async def event_at(self, channel: str, message: str) -> str | None:
        return cast(str | None, self._get(f"at:{channel}/{message}"))

    def _get(self, key: str) -> Any:
        expires_at, value = self._kept.get(key, (0.0, None))
        return value if self._clock() < expires_at else None

    def _put(self, key: str, value: Any) -> None:
        self._kept[key] = (self._clock() + TTL_S, value)

    def _put_new(self, key: str, value: Any, ttl_s: float) -> bool:
        if self._get(key) is not None:
            return False
        self._kept[key] = (self._clock() + ttl_s, value)
        return True


class RedisOrigins(Generic[Kept]):
    """
    `Origins` under the keys `shifu:<tenant>:<platform>:`.

    Args:
        redis: From `open_redis`; stays open.
        decode: An origin from the fields that were kept; `ValueError` or `TypeError` for another version's.
        timeout_s: Longest time one command may take, its repetitions included.
    """

    def __init__(
        self,
        redis: RedisClient,
        decode: Callable[..., Kept],
        *,
        tenant: str,
        platform: str,
        timeout_s: float = 8,
    ) -> None:
        self._redis = redis
        self._decode = decode
        self._prefix = f"shifu:{tenant}:{platform}:"
        self._timeout_s = timeout_s

    async def keep(self, event_id: str, origin: Kept) -> None:
        text = _encode(origin)
        await self._ask(self._redis.set(self._key(f"origin:{event_id}"), text, nx=True, ex=TTL_S))

    async def find(self, event_id: str) -> Kept | None:
        text = await self._get(f"origin:{event_id}")
        try:
            return self._decode(**_fields(text)) if text else None
        except (ValueError, TypeError):
            # Of another version: the reply is posted as if nothing were known of the question.
            return None

    async def scrub(self, event_id: str) -> None:
        origin = await self.find(event_id)
        if origin is not None and origin != origin.scrubbed():
            text = _encode(origin.scrubbed())
            name = self._key(f"origin:{event_id}")
            await self._ask(self._redis.set(name, text, xx=True, keepttl=True))

    async def begin_reply(self, event_id: str, *, is_private: bool = False) -> bool:
        if await self.reply(event_id, is_private=is_private) is not None:
            return False
        name, token = _posting(event_id, is_private), uuid4().hex
        # The command is sent once more when its answer is lost: whose token stands there tells.
        await self._ask(self._redis.set(self._key(name), token, nx=True, ex=POSTING_S))
        return await self._get(name) == token

    async def end_reply(self, event_id: str, *, is_private: bool = False) -> None:
        await self._ask(self._redis.delete(self._key(_posting(event_id, is_private))))

    async def note_reply(
        self, event_id: str, ref: str, *, channel: str, message: str, is_private: bool = False
    ) -> None:
        await self._put(_reply(event_id, is_private), ref)
        if message:
            await self._put(f"at:{channel}/{message}", event_id)
        await self.end_reply(event_id, is_private=is_private)

    async def reply(self, event_id: str, *, is_private: bool = False) -> str | None:
        return await self._get(_reply(event_id, is_private))

    async def event_at(self, channel: str, message: str) -> str | None:
        return await self._get(f"at:{channel}/{message}")

    async def _get(self, name: str) -> str | None:
        text = await self._ask(cast(Awaitable[Any], self._redis.get(self._key(name))))
        return str(text) if text is not None else None

    async def _put(self, name: str, value: str) -> None:
        await self._ask(self._redis.set(self._key(name), value, ex=TTL_S))

    def _key(self, name: str) -> str:
        return self._prefix + name

    async def _ask(self, command: Awaitable[T]) -> T:
        return await answered(command, timeout_s=self._timeout_s)


def _encode(origin: KeptOrigin) -> str:
    return _JSON.encode(asdict(cast(Any, origin)))


def _fields(text: str) -> dict[str, Any]:
    values = _JSON.decode(text)
    del values["v"]
    return values


def _reply(event_id: str, is_private: bool) -> str:
    return f"{'private' if is_private else 'reply'}:{event_id}"


def _posting(event_id: str, is_private: bool) -> str:
    return f"posting:{_reply(event_id, is_private)}"
