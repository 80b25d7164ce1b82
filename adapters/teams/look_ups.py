"""Accounts and rooms of Teams, looked up through the cache: what is fresh is served."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

import structlog

from adapters.chat.directory_cache import DirectoryCache
from adapters.chat.flights import Batches, Flights
from adapters.teams.channel_threads import IndexedChannel
from adapters.teams.facts import Account, RoomFacts
from adapters.teams.places import CHANNEL, Place
from adapters.teams.reads import TeamsReads
from bot.errors import DirectoryUnavailable, StateUnavailable

log = structlog.get_logger()

INDEXED_CHANNELS = "indexed-channels"
"""The area of who is in them."""

ACCOUNT_TTL_S = 600
ROOM_TTL_S = 120
NOBODY_TTL_S = 120
UNTOLD_TTL_S = 30
"""Members that cannot be told now are not asked for with each question."""

# Longer than anything is kept that was found out in it.
_ERA_TTL_S = 86_400
_LOOK_UP_S = 60.0
_ATTEMPTS = 3

_Answer = str | DirectoryUnavailable
_Ask = Callable[[], Awaitable[tuple[str, int]]]
"""The text to keep, and for how many seconds."""


class TeamsLookUps:
    """
    Serves what it knows while that is fresh, asks for the rest, or raises `DirectoryUnavailable`.

    Much that is told of a change does not say whom it concerns. So everything is kept in an era of what
    it belongs to: an account in its tenant's, a room in its own, its team's and its team's group's. With
    a change the era ends, and whatever was found out in it is not asked for again.
    """

    def __init__(self, reads: TeamsReads, cache: DirectoryCache, flights: Flights) -> None:
        self._reads = reads
        self._cache = cache
        self._flights = flights
        self._accounts = Batches(flights, reads.accounts)

    async def accounts(
        self, tenant_id: str, ids: Iterable[str]
    ) -> dict[str, Account | DirectoryUnavailable | None]:
        """None for whom the tenant does not know; an error where it could not be asked."""
        wanted: dict[str, _Ask] = {
            _account(tenant_id, id): partial(self._ask_account, tenant_id, id) for id in ids
        }
        known = await self._known([tenant_id], wanted)
        answers = {name.rpartition("/")[2]: answer for name, answer in known.items()}
        return {
            id: answer if isinstance(answer, DirectoryUnavailable) else Account.decode(answer)
            for id, answer in answers.items()
        }

    async def room(self, place: Place) -> RoomFacts | None:
        """None for a place that nobody tells us of."""
        areas = dict.fromkeys(filter(None, [place.conversation, place.team, place.team_group]))
        name = f"room:{place.id}"
        known = await self._known(list(areas), {name: partial(self._ask_room, place)})
        answer = known[name]
        if isinstance(answer, DirectoryUnavailable):
            raise answer
        return RoomFacts.decode(answer)

    async def members(
        self, channels: Iterable[IndexedChannel]
    ) -> dict[IndexedChannel, frozenset[str]]:
        """
        Ids of `UserRef`. Nobody is a member where that cannot be told: what else they may read is not
        to be out of reach for it.
        """
        by_name = {f"members:{channel.source}": channel for channel in channels}
        if not by_name:
            return {}
        areas = [INDEXED_CHANNELS, *sorted({channel.tenant_id for channel in by_name.values()})]
        wanted: dict[str, _Ask] = {
            name: partial(self._ask_members, channel) for name, channel in by_name.items()
        }
        try:
            known = await self._known(areas, wanted)
        except DirectoryUnavailable:
            return {}
        rooms = {
            by_name[name]: RoomFacts.decode(answer)
            for name, answer in known.items()
            if not isinstance(answer, DirectoryUnavailable)
        }
        return {channel: frozenset(room.members) for channel, room in rooms.items() if room}

    async def forget_account(self, tenant_id: str, id: str) -> None:
        """Raises `StateUnavailable`; it is not forgotten then."""
        era = _era(tenant_id)
        found = await self._cache.find([era])
        if era in found.texts:
            await self._cache.drop([f"{_account(tenant_id, id)}@{found.texts[era]}"])

    async def forget_all(self, areas: Iterable[str]) -> None:
        """
        Everything of these tenants, conversations, teams or groups of teams, by their ids.

        Raises:
            StateUnavailable: It is not forgotten then.
        """
        await self._cache.drop([_era(area) for area in areas])

    async def _known(self, areas: Sequence[str], wanted: Mapping[str, _Ask]) -> dict[str, _Answer]:
        """An answer for each name. What changes while it is asked for is asked for anew."""
        known: dict[str, _Answer] = {}
        for _ in range(_ATTEMPTS):
            era = await self._current_era(areas)
            known = {}
            keys = {name: f"{name}@{era}" for name in wanted}
            texts, as_of = await self._find(list(keys.values()))
            known |= {name: texts[key] for name, key in keys.items() if key in texts}
            missing = [name for name in wanted if name not in known]
            if not missing:
                return known
            # Shared only with those who missed it as of the same moment: what an earlier look-up
            # found may have been kept, and dropped since.
            answers = await asyncio.gather(
                *(
                    self._flights.once(
                        (keys[name], as_of), partial(self._ask, keys[name], wanted[name], as_of)
                    )
                    for name in missing
                )
            )
            answered = zip(missing, answers, strict=True)
            known |= {name: answer for name, answer in answered if answer is not None}
            if len(known) == len(wanted) and era == await self._current_era(areas):
                return known
        overtaken = DirectoryUnavailable("Teams: it changes faster than it can be looked up")
        return dict.fromkeys(wanted, overtaken)

    async def _current_era(self, areas: Sequence[str]) -> str:
        keys = [_era(area) for area in areas]
        for _ in range(_ATTEMPTS):
            texts, as_of = await self._find(keys)
            missing = [key for key in keys if key not in texts]
            if not missing:
                return ".".join(texts[key] for key in keys)
            begun = {key: secrets.token_hex(8) for key in missing}
            try:
                await self._cache.keep(begun, ttl_s=_ERA_TTL_S, as_of=as_of)
            except StateUnavailable as error:
                raise _no_cache() from error
        raise DirectoryUnavailable("Teams: it changes faster than it can be looked up")

    async def _ask(self, key: str, ask: _Ask, as_of: int) -> _Answer | None:
        """None if it was dropped meanwhile."""
        try:
            async with asyncio.timeout(_LOOK_UP_S):
                text, ttl_s = await ask()
                kept = await self._cache.keep({key: text}, ttl_s=ttl_s, as_of=as_of)
        except DirectoryUnavailable as error:
            return error
        except (StateUnavailable, TimeoutError):
            return DirectoryUnavailable("Teams: the look-up takes too long, or cannot be kept")
        return text if kept else None

    async def _find(self, keys: Sequence[str]) -> tuple[Mapping[str, str], int]:
        try:
            found = await self._cache.find(keys)
        except StateUnavailable as error:
            raise _no_cache() from error
        return found.texts, found.as_of

    async def _ask_account(self, tenant_id: str, id: str) -> tuple[str, int]:
        account = (await self._accounts.with_others(tenant_id, id))[id]
        if isinstance(account, DirectoryUnavailable):
            raise account
        is_known = account is not None and account.is_told
        return Account.encode(account), ACCOUNT_TTL_S if is_known else NOBODY_TTL_S

    async def _ask_room(self, place: Place) -> tuple[str, int]:
        return RoomFacts.encode(await self._reads.room(place)), ROOM_TTL_S

    async def _ask_members(self, channel: IndexedChannel) -> tuple[str, int]:
        try:
            members = await self._reads.channel_members(channel)
        except DirectoryUnavailable as error:
            log.warning("teams.channel_members_not_told", reason=str(error))
            return RoomFacts.encode(None), UNTOLD_TTL_S
        room = RoomFacts(CHANNEL, "", tuple(members)) if members is not None else None
        return RoomFacts.encode(room), ROOM_TTL_S


def _account(tenant_id: str, id: str) -> str:
    return f"account:{tenant_id}/{id}"


def _era(area: str) -> str:
    return f"era:{area}"


def _no_cache() -> DirectoryUnavailable:
    return DirectoryUnavailable("Teams: what is known cannot be read")
