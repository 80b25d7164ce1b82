"""Cards that one person sees in place of a shared one, as their fuller answer: the port, its twin, and Redis."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from adapters.teams.json_values import Json
from bot.messages import UserRef
from bot.redis_client import RedisClient, answered, run_script
from bot.versioned_json import VersionedJson

T = TypeVar("T")

TTL_S = 86_400
"""As long as what Teams shows to one person alone."""

SHARED_TTL_S = 900
"""Longer than the fuller answer is tried for."""

_JSON = VersionedJson(1)

_LIST = """
redis.call('SADD', KEYS[1], ARGV[1])
return redis.call('EXPIRE', KEYS[1], ARGV[2])
"""


@dataclass(frozen=True, slots=True)
class PersonalCard:
    """
    Attributes:
        user: Who alone may have it.
        chunk_ids: What it cites: it is only shown while all of that may be read.
    """

    user: UserRef
    card: Json
    chunk_ids: tuple[str, ...]


class PersonalCards(Protocol):
    """By the event that is answered. Every method raises `StateUnavailable` when the server does not answer."""

    async def keep(self, event_id: str, card: PersonalCard) -> None: ...

    async def find(self, event_id: str) -> PersonalCard | None: ...

    async def drop(self, event_id: str) -> None: ...

    async def forget(self, user: UserRef) -> None:
        """All of theirs."""
        ...

    async def keep_shared(self, event_id: str, activity: Json) -> None:
        """The message that everybody sees, to be sent once more when somebody has a card of their own."""
        ...

    async def shared(self, event_id: str) -> Json | None: ...


async def personal_view(
    cards: PersonalCards,
    event_id: str,
    user: UserRef,
    may_read: Callable[[Sequence[str]], Awaitable[bool]],
) -> Json | None:
    """
    The card that *user* sees in place of everybody's; None for everybody's own.

    Args:
        user: As whoever delivered the request has vouched for, never as its data say.
        may_read: Whether that person may read all of these chunks now.
    """
    kept = await cards.find(event_id)
    if kept is None or kept.user != user:
        return None
    return kept.card if not kept.chunk_ids or await may_read(kept.chunk_ids) else None


class InMemoryPersonalCards:
    """Lives and dies with the process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, Any]] = {}

    async def keep(self, event_id: str, card: PersonalCard) -> None:
        self._kept[f"card:{event_id}"] = (self._clock() + TTL_S, card)

    async def find(self, event_id: str) -> PersonalCard | None:
        return cast(PersonalCard | None, self._get(f"card:{event_id}"))

    async def drop(self, event_id: str) -> None:
        self._kept.pop(f"card:{event_id}", None)

    async def forget(self, user: UserRef) -> None:
        theirs = [
            name
            for name, (_, kept) in self._kept.items()
            if isinstance(kept, PersonalCard) and kept.user == user
        ]
        for name in theirs:
            del self._kept[name]

    async def keep_shared(self, event_id: str, activity: Json) -> None:
        self._kept[f"shared:{event_id}"] = (self._clock() + SHARED_TTL_S, activity)

    async def shared(self, event_id: str) -> Json | None:
        return cast(Json | None, self._get(f"shared:{event_id}"))

    def _get(self, key: str) -> Any:
        until, value = self._kept.get(key, (0.0, None))
        return value if self._clock() < until else None


class RedisPersonalCards:
    """
    `PersonalCards` under the keys `shifu:<tenant>:teams:`.

    Args:
        redis: From `open_redis`; stays open.
        timeout_s: Longest time one command may take, its repetitions included.
    """

    def __init__(self, redis: RedisClient, *, tenant: str, timeout_s: float = 4) -> None:
        self._redis = redis
        self._prefix = f"shifu:{tenant}:teams:"
        self._timeout_s = timeout_s

    async def keep(self, event_id: str, card: PersonalCard) -> None:
        # First the list that it is found by: nothing is kept that could not be forgotten.
        await run_script(
            self._redis,
            _LIST,
            [self._list_of(card.user)],
            event_id,
            TTL_S,
            timeout_s=self._timeout_s,
        )
        user = {"tenant": card.user.tenant, "id": card.user.id}
        values = {"user": user, "card": card.card, "chunks": list(card.chunk_ids)}
        await self._put(f"card:{event_id}", values, TTL_S)

    async def find(self, event_id: str) -> PersonalCard | None:
        values = await self._get(f"card:{event_id}")
        try:
            return _card(values) if values else None
        except (KeyError, TypeError):
            return None

    async def drop(self, event_id: str) -> None:
        await self._ask(self._redis.delete(f"{self._prefix}card:{event_id}"))

    async def forget(self, user: UserRef) -> None:
        listed = self._list_of(user)
        for event_id in await self._ask(cast(Awaitable[Any], self._redis.smembers(listed))):
            await self.drop(str(event_id))
        await self._ask(self._redis.delete(listed))

    async def keep_shared(self, event_id: str, activity: Json) -> None:
        await self._put(f"shared:{event_id}", {"activity": activity}, SHARED_TTL_S)

    async def shared(self, event_id: str) -> Json | None:
        activity = (await self._get(f"shared:{event_id}") or {}).get("activity")
        return activity if isinstance(activity, dict) else None

    def _list_of(self, user: UserRef) -> str:
        return f"{self._prefix}cards-of:{user.key}"

    async def _get(self, name: str) -> Json | None:
        text = await self._ask(cast(Awaitable[Any], self._redis.get(self._prefix + name)))
        try:
            return _JSON.decode(text) if text is not None else None
        except ValueError:
            # Of another version: then there is none, and everybody sees the same.
            return None

    async def _put(self, name: str, values: Json, ttl_s: int) -> None:
        await self._ask(self._redis.set(self._prefix + name, _JSON.encode(values), ex=ttl_s))

    async def _ask(self, command: Awaitable[T]) -> T:
        return await answered(command, timeout_s=self._timeout_s)


def _card(values: Json) -> PersonalCard:
    user = UserRef(str(values["user"]["tenant"]), str(values["user"]["id"]))
    return PersonalCard(user, dict(values["card"]), tuple(str(id) for id in values["chunks"]))
