"""Where each question came from in Slack, and which message answers it: the port, its twin, and Redis."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, TypeVar, cast
from uuid import uuid4

from bot.redis_client import RedisClient, answered
from bot.versioned_json import VersionedJson

T = TypeVar("T")

TTL_S = 86_400
"""Longer than any question waits, and than anybody presses Stop."""

POSTING_S = 30
"""How long somebody may take to post; then that one counts as dead, and others try."""

_JSON = VersionedJson(1)


@dataclass(frozen=True, slots=True)
class Origin:
    """
    What a Slack event tells beyond our own values.

    Attributes:
        team: Workspace of the installation; empty where a whole organisation has installed the app.
        user: `U…` of the asker.
        user_team: The asker's own workspace; empty if unknown.
        channel: `C…`, `D…` or `G…`.
        ts: Of the message; empty for a command.
        thread_ts: Root of the thread that the reply belongs to; empty outside threads.
        response_url: Of a command or an action: five uses within 30 minutes.
        is_action: The response URL belongs to a message, which it must never replace.
        action_token: Lets one look through Slack with the asker's own rights.
        question: Of an answer that is shared with a channel: shown with it.
        title: What a direct conversation that begins with this message is called.
    """

    team: str
    user: str
    user_team: str
    channel: str
    ts: str = ""
    thread_ts: str = ""
    response_url: str = ""
    is_action: bool = False
    action_token: str = ""
    question: str = ""
    title: str = ""


class Origins(Protocol):
    """
    Kept for a day, by event id. Every method raises `StateUnavailable` when the server does not answer.

    A shared and a private reply (*is_private*) to the same event are two.
    """

    async def keep(self, event_id: str, origin: Origin) -> None:
        """The first one stays: the same event told again changes nothing."""
        ...

    async def find(self, event_id: str) -> Origin | None: ...

    async def scrub(self, event_id: str) -> None:
        """It is answered: forget what of it is somebody's words, or a key to anything."""
        ...

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
        self, event_id: str, ref: str, *, channel: str, ts: str, is_private: bool = False
    ) -> None:
        """
        Args:
            ref: What whoever changes the reply needs.
            channel: `<home>/<C…>` of the message.
            ts: Of the message; empty if Slack has not told it.
        """
        ...

    async def reply(self, event_id: str, *, is_private: bool = False) -> str | None:
        """The *ref* of what was posted."""
        ...

    async def event_at(self, channel: str, ts: str) -> str | None:
        """What the message *ts* in *channel* (`<home>/<C…>`) answers."""
        ...


class InMemoryOrigins:
    """Lives and dies with the process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, Any]] = {}

    async def keep(self, event_id: str, origin: Origin) -> None:
        self._put_new(f"origin:{event_id}", origin, TTL_S)

    async def find(self, event_id: str) -> Origin | None:
        return cast(Origin | None, self._get(f"origin:{event_id}"))

    async def scrub(self, event_id: str) -> None:
        expires_at, origin = self._kept.get(f"origin:{event_id}", (0.0, None))
        if origin is not None:
            self._kept[f"origin:{event_id}"] = (expires_at, _scrubbed(origin))

    async def begin_reply(self, event_id: str, *, is_private: bool = False) -> bool:
        if await self.reply(event_id, is_private=is_private) is not None:
            return False
        return self._put_new(_posting(event_id, is_private), "", POSTING_S)

    async def end_reply(self, event_id: str, *, is_private: bool = False) -> None:
        self._kept.pop(_posting(event_id, is_private), None)

    async def note_reply(
        self, event_id: str, ref: str, *, channel: str, ts: str, is_private: bool = False
    ) -> None:
        self._put(_reply(event_id, is_private), ref)
        if ts:
            self._put(f"at:{channel}/{ts}", event_id)
        self._kept.pop(_posting(event_id, is_private), None)

    async def reply(self, event_id: str, *, is_private: bool = False) -> str | None:
        return cast(str | None, self._get(_reply(event_id, is_private)))

    async def event_at(self, channel: str, ts: str) -> str | None:
        return cast(str | None, self._get(f"at:{channel}/{ts}"))

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


class RedisOrigins:
    """
    `Origins` under the keys `shifu:<tenant>:slack:`.

    Args:
        redis: From `open_redis`; stays open.
        timeout_s: Longest time one command may take, its repetitions included.
    """

    def __init__(self, redis: RedisClient, *, tenant: str, timeout_s: float = 8) -> None:
        self._redis = redis
        self._prefix = f"shifu:{tenant}:slack:"
        self._timeout_s = timeout_s

    async def keep(self, event_id: str, origin: Origin) -> None:
        text = _JSON.encode(asdict(origin))
        await self._ask(self._redis.set(self._key(f"origin:{event_id}"), text, nx=True, ex=TTL_S))

    async def find(self, event_id: str) -> Origin | None:
        text = await self._get(f"origin:{event_id}")
        try:
            return _decode(text) if text else None
        except (ValueError, TypeError):
            # Of another version: the reply is posted as if nothing were known of the question.
            return None

    async def scrub(self, event_id: str) -> None:
        origin = await self.find(event_id)
        if origin is not None and origin != _scrubbed(origin):
            text = _JSON.encode(asdict(_scrubbed(origin)))
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
        self, event_id: str, ref: str, *, channel: str, ts: str, is_private: bool = False
    ) -> None:
        await self._put(_reply(event_id, is_private), ref)
        if ts:
            await self._put(f"at:{channel}/{ts}", event_id)
        await self.end_reply(event_id, is_private=is_private)

    async def reply(self, event_id: str, *, is_private: bool = False) -> str | None:
        return await self._get(_reply(event_id, is_private))

    async def event_at(self, channel: str, ts: str) -> str | None:
        return await self._get(f"at:{channel}/{ts}")

    async def _get(self, name: str) -> str | None:
        text = await self._ask(cast(Awaitable[Any], self._redis.get(self._key(name))))
        return str(text) if text is not None else None

    async def _put(self, name: str, value: str) -> None:
        await self._ask(self._redis.set(self._key(name), value, ex=TTL_S))

    def _key(self, name: str) -> str:
        return self._prefix + name

    async def _ask(self, command: Awaitable[T]) -> T:
        return await answered(command, timeout_s=self._timeout_s)


def _scrubbed(origin: Origin) -> Origin:
    return replace(origin, title="", question="", response_url="", action_token="")


def _decode(text: str) -> Origin:
    values = _JSON.decode(text)
    del values["v"]
    return Origin(**values)


def _reply(event_id: str, is_private: bool) -> str:
    return f"{'private' if is_private else 'reply'}:{event_id}"


def _posting(event_id: str, is_private: bool) -> str:
    return f"posting:{_reply(event_id, is_private)}"
