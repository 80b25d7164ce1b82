"""People, channels and user groups of Slack, looked up through the cache: what is fresh is served."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from adapters.chat.directory_cache import DirectoryCache
from adapters.chat.flights import Flights
from adapters.slack.facts import (
    Account,
    ChannelFacts,
    UserGroup,
    decode_ids,
    decode_members,
    decode_user_groups,
    encode_ids,
    encode_user_groups,
)
from adapters.slack.reads import SlackReads
from bot.errors import DirectoryUnavailable, StateUnavailable

log = structlog.get_logger()

ACCOUNT_TTL_S = 600
ROOM_TTL_S = 120
USER_GROUPS_TTL_S = 300
NOBODY_TTL_S = 120

FEW = 20
"""So many people are asked for one by one; of more, the whole workspace is listed."""

_LOOK_UP_S = 60.0
_LISTING_S = 300.0
_ATTEMPTS = 3
_AT_ONCE = 10

_Answer = str | DirectoryUnavailable
_Ask = Callable[[], Awaitable[tuple[str, int]]]
"""The text to keep, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class People:
    """
    Attributes:
        accounts: None for whom Slack does not know; an error where it could not be asked.
        members: Of the channels that were asked for.
    """

    accounts: Mapping[str, Account | DirectoryUnavailable | None]
    user_groups: Sequence[UserGroup]
    members: Mapping[str, frozenset[str]]


class SlackLookUps:
    """Serves what it knows while that is fresh, asks for the rest, or raises `DirectoryUnavailable`."""

    def __init__(self, reads: SlackReads, cache: DirectoryCache, flights: Flights) -> None:
        self._reads = reads
        self._cache = cache
        self._flights = flights
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def people(
        self,
        home: str,
        users: Iterable[str],
        *,
        with_user_groups: bool = False,
        channels: Iterable[str] = (),
    ) -> People:
        """The accounts of *users*, and what else says which groups they are in."""
        users, channels = list(users), list(channels)
        if len(users) > FEW:
            await self._list_if_many_are_unknown(home, users)
        wanted: dict[str, _Ask] = {
            _person(home, user): partial(self._account, home, user) for user in users
        }
        wanted |= {_members(home, c): partial(self._members, home, c) for c in channels}
        if with_user_groups:
            wanted[_groups(home)] = partial(self._user_groups, home)
        known = await self._known(wanted)
        return People(
            {user: _account_in(known[_person(home, user)]) for user in users},
            decode_user_groups(_sure(known[_groups(home)])) if with_user_groups else (),
            {c: decode_members(_sure(known[_members(home, c)])) for c in channels},
        )

    async def channel(self, home: str, channel: str) -> tuple[ChannelFacts, tuple[str, ...]] | None:
        """The channel and the ids of all its members; None if there is none that the bot can see."""
        facts_key, members_key = _channel(home, channel), _members(home, channel)
        known = await self._known(
            {
                facts_key: partial(self._facts, home, channel),
                members_key: partial(self._members, home, channel),
            }
        )
        facts = ChannelFacts.decode(_sure(known[facts_key]))
        members = decode_ids(_sure(known[members_key]))
        return None if facts is None or members is None else (facts, members)

    async def forget_person(self, home: str, user: str) -> None:
        await self._cache.drop([_person(home, user)])

    async def forget_user_groups(self, home: str) -> None:
        await self._cache.drop([_groups(home)])

    async def forget_channel(self, homes: Iterable[str], channel: str) -> None:
        keys = [key(home, channel) for home in homes for key in (_channel, _members)]
        await self._cache.drop(keys)

    async def _known(self, wanted: Mapping[str, _Ask]) -> dict[str, _Answer]:
        """An answer for each key. What is dropped while it is asked for is asked for anew."""
        known: dict[str, _Answer] = {}
        for _ in range(_ATTEMPTS):
            missing = [key for key in wanted if key not in known]
            texts, as_of = await self._find(missing)
            known |= texts
            missing = [key for key in missing if key not in texts]
            # Shared only with those who missed it as of the same moment: what an earlier look-up
            # found may have been kept, and dropped since.
            answers = await asyncio.gather(
                *(
                    self._flights.once((key, as_of), partial(self._ask, key, wanted[key], as_of))
                    for key in missing
                )
            )
            answered = zip(missing, answers, strict=True)
            known |= {key: answer for key, answer in answered if answer is not None}
            if len(known) == len(wanted):
                return known
        overtaken = DirectoryUnavailable("Slack: it changes faster than it can be looked up")
        return {key: known.get(key, overtaken) for key in wanted}

    async def _ask(self, key: str, ask: _Ask, as_of: int) -> _Answer | None:
        """None if it was dropped meanwhile."""
        try:
            async with asyncio.timeout(_LOOK_UP_S):
                text, ttl_s = await ask()
                kept = await self._cache.keep({key: text}, ttl_s=ttl_s, as_of=as_of)
        except DirectoryUnavailable as error:
            return error
        except (StateUnavailable, TimeoutError):
            return DirectoryUnavailable("Slack: the look-up takes too long, or cannot be kept")
        return text if kept else None

    async def _find(self, keys: Sequence[str]) -> tuple[Mapping[str, str], int]:
        try:
            found = await self._cache.find(keys)
        except StateUnavailable as error:
            raise DirectoryUnavailable("Slack: what is known cannot be read") from error
        return found.texts, found.as_of

    async def _account(self, home: str, user: str) -> tuple[str, int]:
        async with self._at_once:
            account = await self._reads.account(home, user)
        return Account.encode(account), ACCOUNT_TTL_S if account else NOBODY_TTL_S

    async def _facts(self, home: str, channel: str) -> tuple[str, int]:
        return ChannelFacts.encode(await self._reads.channel(home, channel)), ROOM_TTL_S

    async def _members(self, home: str, channel: str) -> tuple[str, int]:
        return encode_ids(await self._reads.members(home, channel)), ROOM_TTL_S

    async def _user_groups(self, home: str) -> tuple[str, int]:
        return encode_user_groups(await self._reads.user_groups(home)), USER_GROUPS_TTL_S

    async def _list_if_many_are_unknown(self, home: str, users: Sequence[str]) -> None:
        # Twice: the first listing may have been begun for others, and not have found ours.
        for _ in range(2):
            unknown = await self._unknown(home, users)
            if len(unknown) <= FEW:
                return
            listing = partial(self._list_by_turns, home, frozenset(unknown))
            try:
                await self._flights.once(("everybody", home), listing)
            except DirectoryUnavailable:
                log.warning("slack.people_not_listed", home=home)
                # One by one it may still be done in time.
                return

    async def _unknown(self, home: str, users: Iterable[str]) -> list[str]:
        keys = {user: _person(home, user) for user in users}
        known, _ = await self._find(list(keys.values()))
        return [user for user, key in keys.items() if key not in known]

    async def _list_by_turns(self, home: str, unknown: frozenset[str]) -> None:
        """Pages are rationed for all our processes together: one lists, the others wait for it."""
        try:
            async with asyncio.timeout(_LISTING_S):
                while not await self._cache.claim(home, ttl_s=round(_LISTING_S)):
                    await asyncio.sleep(0.2)
                    if len(await self._unknown(home, unknown)) <= FEW:
                        return
                try:
                    await self._list(home, unknown)
                finally:
                    with suppress(StateUnavailable):
                        await self._cache.release(home)
        except (StateUnavailable, TimeoutError) as error:
            raise DirectoryUnavailable("Slack: its people cannot be listed in time") from error

    async def _list(self, home: str, unknown: frozenset[str]) -> None:
        is_organisation = home.startswith("E")
        listed: dict[str, Account] = {}
        _, began_as_of = await self._find([])
        as_of = began_as_of
        async for page in self._reads.everybody(home):
            new = {one.id: one.strictest_with(listed.get(one.id)) for one in page}
            listed |= new
            if not is_organisation:
                await self._keep(home, new, ACCOUNT_TTL_S, as_of)
                _, as_of = await self._find([])
        if is_organisation:
            # Who is a guest in one workspace may come as a member of another: only now is it known.
            await self._keep(home, listed, ACCOUNT_TTL_S, began_as_of)
        else:
            # A workspace has no others.
            nobody = dict.fromkeys(unknown - listed.keys())
            await self._keep(home, nobody, NOBODY_TTL_S, began_as_of)
        log.info("slack.people_listed", home=home, people=len(listed))

    async def _keep(
        self, home: str, accounts: Mapping[str, Account | None], ttl_s: int, as_of: int
    ) -> None:
        texts = {_person(home, id): Account.encode(one) for id, one in accounts.items()}
        await self._cache.keep(texts, ttl_s=ttl_s, as_of=as_of)


def _person(home: str, user: str) -> str:
    return f"person:{home}/{user}"


def _channel(home: str, channel: str) -> str:
    return f"channel:{home}/{channel}"


def _members(home: str, channel: str) -> str:
    return f"members:{home}/{channel}"


def _groups(home: str) -> str:
    return f"groups:{home}"


def _sure(answer: _Answer) -> str:
    if isinstance(answer, DirectoryUnavailable):
        raise answer
    return answer


def _account_in(answer: _Answer) -> Account | DirectoryUnavailable | None:
    return answer if isinstance(answer, DirectoryUnavailable) else Account.decode(answer)
