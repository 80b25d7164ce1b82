"""What is known of the conversations that the bot takes part in: the port, its twin, and Redis."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, Self, TypeVar, cast

from adapters.teams.ids import TeamsConversationId, TeamsPerson
from bot.redis_client import RedisClient, answered
from bot.versioned_json import VersionedJson

T = TypeVar("T")

PERSONAL, GROUP_CHAT, CHANNEL = "personal", "groupChat", "channel"
"""Kinds of conversations, as Teams names them."""

TTL_S = 90 * 86_400
"""Counted from the last activity there."""

_JSON = VersionedJson(1)


@dataclass(frozen=True, slots=True)
class Place:
    """
    Attributes:
        service_url: Where its Bot Connector answers.
        tenant_id: The Entra tenant that the conversation belongs to.
        conversation: Without a thread.
        kind: `personal`, `groupChat` or `channel`; empty if it was not told.
        bot_id: `28:…` of ourselves.
        team: `19:…` of the team; empty outside channels.
        team_group: Id of the team in Entra; empty if it was not told.
        channel_type: `standard`, `private` or `shared`; empty if it was not told.
    """

    service_url: str
    tenant_id: str
    conversation: str
    kind: str
    bot_id: str
    team: str = ""
    team_group: str = ""
    channel_type: str = ""
    name: str = ""

    @property
    def id(self) -> TeamsConversationId:
        return TeamsConversationId(self.tenant_id, self.conversation)

    def told_by(self, earlier: "Place | None") -> Self:
        """With what only an earlier activity told."""
        if earlier is None:
            return self
        kept = {name: value for name, value in asdict(earlier).items() if not getattr(self, name)}
        return replace(self, **kept)


class Places(Protocol):
    """Every method raises `StateUnavailable` when the server does not answer."""

    async def note(self, place: Place) -> None:
        """What *place* leaves empty stays as it was."""
        ...

    async def find(self, id: TeamsConversationId) -> Place | None: ...

    async def forget(self, id: TeamsConversationId) -> None:
        """The bot is not there any more."""
        ...

    async def note_direct(self, person: TeamsPerson, place: Place, user: str) -> None:
        """
        The personal chat with the bot.

        Args:
            user: `29:…` of the person.
        """
        ...

    async def direct(self, person: TeamsPerson) -> tuple[Place, str] | None: ...


class InMemoryPlaces:
    """Lives and dies with the process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places: dict[TeamsConversationId, tuple[float, Place]] = {}
        self._direct: dict[TeamsPerson, tuple[float, Place, str]] = {}

    async def note(self, place: Place) -> None:
        merged = place.told_by(await self.find(place.id))
        self._places[place.id] = (self._clock() + TTL_S, merged)

    async def find(self, id: TeamsConversationId) -> Place | None:
        until, place = self._places.get(id, (0.0, None))
        return place if self._clock() < until else None

    async def forget(self, id: TeamsConversationId) -> None:
        self._places.pop(id, None)
        self._direct = {p: kept for p, kept in self._direct.items() if kept[1].id != id}

    async def note_direct(self, person: TeamsPerson, place: Place, user: str) -> None:
        self._direct[person] = (self._clock() + TTL_S, place, user)

    async def direct(self, person: TeamsPerson) -> tuple[Place, str] | None:
        kept = self._direct.get(person)
        return kept[1:] if kept is not None and self._clock() < kept[0] else None


class RedisPlaces:
    """
    `Places` under the keys `shifu:<tenant>:teams:`.

    Args:
        redis: From `open_redis`; stays open.
        timeout_s: Longest time one command may take, its repetitions included.
    """

    def __init__(self, redis: RedisClient, *, tenant: str, timeout_s: float = 4) -> None:
        self._redis = redis
        self._prefix = f"shifu:{tenant}:teams:"
        self._timeout_s = timeout_s

    async def note(self, place: Place) -> None:
        merged = place.told_by(await self.find(place.id))
        await self._put(f"place:{place.id}", {"place": asdict(merged)})

    async def find(self, id: TeamsConversationId) -> Place | None:
        values = await self._get(f"place:{id}")
        return _place(values) if values else None

    async def forget(self, id: TeamsConversationId) -> None:
        person = (await self._get(f"whose:{id}") or {}).get("person")
        names = [f"place:{id}", f"whose:{id}", *([f"direct:{person}"] if person else [])]
        # One by one: on a Cluster they lie on different servers.
        for name in names:
            await self._ask(self._redis.delete(self._prefix + name))

    async def note_direct(self, person: TeamsPerson, place: Place, user: str) -> None:
        await self._put(f"whose:{place.id}", {"person": str(person)})
        await self._put(f"direct:{person}", {"place": asdict(place), "user": user})

    async def direct(self, person: TeamsPerson) -> tuple[Place, str] | None:
        values = await self._get(f"direct:{person}")
        place = _place(values) if values else None
        return (place, str(values["user"])) if values and place else None

    async def _get(self, name: str) -> dict[str, Any] | None:
        text = await self._ask(cast(Awaitable[Any], self._redis.get(self._prefix + name)))
        try:
            return _JSON.decode(text) if text is not None else None
        except ValueError:
            # Of another version: the next activity there tells it anew.
            return None

    async def _put(self, name: str, values: dict[str, Any]) -> None:
        text = _JSON.encode(values)
        await self._ask(self._redis.set(self._prefix + name, text, ex=TTL_S))

    async def _ask(self, command: Awaitable[T]) -> T:
        return await answered(command, timeout_s=self._timeout_s)


def _place(values: dict[str, Any]) -> Place | None:
    try:
        return Place(**values["place"])
    except (KeyError, TypeError):
        return None
