"""What the directory asks Graph and the Bot Connector: accounts with their groups, and who reads a place."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from adapters.teams.channel_threads import IndexedChannel
from adapters.teams.facts import (
    Account,
    RoomFacts,
    channel_type,
    group_ids_in,
    is_closed,
    members_of_connector,
    members_of_graph,
    named_groups_in,
)
from adapters.teams.failures import TEAMS_FAILURES, TeamsFailure, what_failed
from adapters.teams.graph import Graph, GraphCall, GraphFailure, quoted
from adapters.teams.json_values import mapping
from adapters.teams.outbox import TeamsAddress, TeamsOutbox
from adapters.teams.places import CHANNEL, Place
from bot.errors import DirectoryUnavailable

log = structlog.get_logger()

_USER = "id,displayName,userType,externalUserState,userPrincipalName,accountEnabled,jobTitle"
_BATCH = 20
_BATCHES_AT_ONCE = 5
_FEW = 5
"""Of so many people the names of their groups are asked for, too: whoever asks wants to read them."""
_TOO_MANY_GROUPS = "Directory_ResultSizeLimitExceeded"
# Only with both is a cast to groups allowed.
_CAST = {"ConsistencyLevel": "eventual"}

T = TypeVar("T")
_Found = Account | DirectoryUnavailable | None
_Answer = Mapping[str, Any] | GraphFailure


class TeamsReads:
    """
    Raises `DirectoryUnavailable` when there is no answer that can be relied on; a part of one is none.

    Args:
        graph: None: nothing is asked of Graph.
    """

    def __init__(self, graph: Graph | None, outbox: TeamsOutbox) -> None:
        self._graph = graph
        self._outbox = outbox
        self._at_once = asyncio.Semaphore(_BATCHES_AT_ONCE)

    async def accounts(self, tenant_id: str, ids: Iterable[str]) -> dict[str, _Found]:
        """
        By id; None for nobody whom the tenant knows, an error where Graph could not be asked.

        One without `is_told` where the app may not know.
        """
        asked = sorted(ids)
        if self._graph is None:
            return {id: Account(id, is_told=False) for id in asked}
        graph = self._graph.of(tenant_id)
        calls_each = 3 if len(asked) <= _FEW else 2
        parts = _parts(asked, _BATCH // calls_each)
        found = await asyncio.gather(
            *(self._some_accounts(graph, ids, with_names=calls_each == 3) for ids in parts)
        )
        return {id: account for part in found for id, account in part.items()}

    async def room(self, place: Place) -> RoomFacts | None:
        """None for a place where the bot is not, or of which nobody says who reads it."""
        if not place.kind:
            return None
        if place.kind != CHANNEL:
            return await self._with_roster(place, place.kind, place.conversation)
        type = await self._channel_type(place)
        team = place.team or place.conversation
        match type:
            case "standard":
                room = await self._with_roster(place, type, team)
                is_open = room is not None and not await self._is_closed(place)
                return replace(room, is_closed=not is_open) if room else None
            case "private":
                # Only who is in the team can be in it: the whole team is more than its members, not fewer.
                members = await self._all_members(place)
                if members is None:
                    return await self._with_roster(place, type, team)
                return RoomFacts(type, place.name, tuple(members), is_closed=True)
            case "shared":
                members = await self._all_members(place)
                if members is None:
                    log.warning("teams.shared_channel_without_members")
                    return None
                return RoomFacts(type, place.name, tuple(members), is_closed=True)
        return None

    async def channel_members(self, channel: IndexedChannel) -> list[str] | None:
        """Ids of `UserRef`; None where the app may not know."""
        place = Place(
            "", channel.tenant_id, channel.channel, CHANNEL, "", team_group=channel.team_group
        )
        return await self._all_members(place)

    async def _some_accounts(
        self, graph: Graph, ids: Sequence[str], *, with_names: bool
    ) -> dict[str, _Found]:
        calls: list[str | GraphCall] = []
        for id in ids:
            calls.append(f"users/{id}?$select={_USER}")
            in_all = {"securityEnabledOnly": False}
            calls.append(GraphCall(f"users/{id}/getMemberGroups", "POST", in_all))
            if with_names:
                calls.append(GraphCall(_groups_of(id) + "&$top=100", headers=_CAST))
        try:
            async with self._at_once:
                answers = await graph.batch(calls)
        except GraphFailure as failure:
            answers = [failure] * len(calls)
        each = _parts(answers, 3 if with_names else 2)
        found = await asyncio.gather(
            *(self._account(graph, id, *answers) for id, answers in zip(ids, each, strict=True))
        )
        return dict(zip(ids, found, strict=True))

    async def _account(
        self, graph: Graph, id: str, user: _Answer, groups: _Answer, named: _Answer | None = None
    ) -> _Found:
        if isinstance(user, GraphFailure):
            if user.is_denied:
                log.warning("graph.people_not_told", reason=what_failed(user))
                return Account(id, is_told=False)
            return None if user.is_missing else _unavailable(user)
        account = Account.of(user)
        if account is None or account.id != id:
            return None
        if account.is_guest or not account.is_enabled:
            # They have none of the groups' rights.
            return account
        try:
            ids = await self._groups(graph, id, groups)
        except DirectoryUnavailable as error:
            return error
        names = named_groups_in(mapping(named).get("value"))
        shown = sorted({name for id, name in names.items() if name and id in ids})
        return replace(account, groups=tuple(sorted(ids)), group_names=tuple(shown))

    async def _groups(self, graph: Graph, id: str, told: _Answer) -> set[str]:
        """All of them; none where the app may not know."""
        try:
            if isinstance(told, GraphFailure):
                if told.code != _TOO_MANY_GROUPS:
                    raise told
                path = _groups_of(id) + "&$top=999"
                items = [item async for item in graph.pages(path, headers=_CAST)]
                return set(named_groups_in(items))
        except GraphFailure as failure:
            if failure.is_denied:
                log.warning("graph.groups_not_told", reason=what_failed(failure))
                return set()
            raise _unavailable(failure) from failure
        ids = group_ids_in(told)
        if ids is None:
            raise DirectoryUnavailable("Graph: tells no groups")
        return set(ids)

    async def _with_roster(self, place: Place, type: str, conversation: str) -> RoomFacts | None:
        """Whom the Bot Connector lists; for a team's channel, the team."""
        to = replace(TeamsAddress.of_place(place), conversation=conversation)
        try:
            entries = [entry async for entry in self._outbox.members(to)]
        except TEAMS_FAILURES as error:
            if isinstance(error, TeamsFailure) and error.status in (403, 404):
                return None
            raise DirectoryUnavailable(f"Teams: {what_failed(error)}") from error
        members = members_of_connector(entries)
        return RoomFacts(type, place.name, tuple(members), is_closed=type != "standard")

    async def _channel_type(self, place: Place) -> str:
        """Empty where nobody tells."""
        if place.channel_type:
            return channel_type({"type": place.channel_type})
        if not place.team:
            return ""
        if place.conversation == place.team:
            # The one that every team begins with.
            return "standard"
        try:
            for channel in await self._outbox.channels(place.service_url, place.team):
                if channel.get("id") == place.conversation and (type := channel_type(channel)):
                    return type
        except TEAMS_FAILURES as error:
            if not (isinstance(error, TeamsFailure) and error.status in (403, 404)):
                raise DirectoryUnavailable(f"Teams: {what_failed(error)}") from error
        told = await self._told(place, _channel_path(place)) if place.team_group else None
        return channel_type(told)

    async def _is_closed(self, place: Place) -> bool:
        if not place.team_group:
            return False
        group = quoted(place.team_group)
        for path in (f"teams/{group}", f"groups/{group}"):
            if told := await self._told(place, f"{path}?$select=id,displayName,visibility"):
                return is_closed(told)
        return False

    async def _all_members(self, place: Place) -> list[str] | None:
        """Of a channel with members of its own; None where the app may not know."""
        if self._graph is None or not place.team_group:
            return None
        path = f"{_channel_path(place)}/allMembers"
        try:
            pages = self._graph.of(place.tenant_id).pages(path)
            return members_of_graph([item async for item in pages])
        except GraphFailure as failure:
            if failure.is_denied or failure.is_missing:
                log.warning("graph.members_not_told", reason=what_failed(failure))
                return None
            raise _unavailable(failure) from failure

    async def _told(self, place: Place, path: str) -> Mapping[str, Any] | None:
        """None where the app may not know, or there is nothing."""
        if self._graph is None:
            return None
        try:
            return await self._graph.of(place.tenant_id).get(path)
        except GraphFailure as failure:
            if failure.is_denied or failure.is_missing:
                return None
            raise _unavailable(failure) from failure


def _parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _groups_of(id: str) -> str:
    cast = "transitiveMemberOf/microsoft.graph.group"
    return f"users/{id}/{cast}?$select=id,displayName&$count=true"


def _channel_path(place: Place) -> str:
    return f"teams/{quoted(place.team_group)}/channels/{quoted(place.conversation)}"


def _unavailable(failure: GraphFailure) -> DirectoryUnavailable:
    return DirectoryUnavailable(f"Graph: {what_failed(failure)}")
