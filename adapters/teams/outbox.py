"""Sends to Teams through the Bot Connector, whose tokens go to Microsoft's own hosts alone."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlencode

import aiohttp

from adapters.teams.credentials import Tokens
from adapters.teams.failures import TeamsFailure
from adapters.teams.hosts import KnownHosts
from adapters.teams.ids import with_thread
from adapters.teams.json_values import mapping, text_in
from adapters.teams.outbox_wire import OutboxWire
from adapters.teams.pace import ROSTERS, SENDS, Pace, TooFast
from adapters.teams.places import Place

# Nobody waits longer than this for one message: whoever sends it can put the whole turn back.
_PATIENCE_S = 30.0
# What is not patient gives way to others for this long.
_IMPATIENCE_S = 1.0
_MEMBERS_PER_PAGE = 500
_MAX_PAGES = 1_000


@dataclass(frozen=True, slots=True)
class TeamsAddress:
    """
    Where something is sent.

    Attributes:
        conversation: Without the thread.
        thread: The id of its first message; empty outside channels, and for a new thread.
        tenant_id: The Entra tenant of the conversation.
        bot_id: What we are called there, `28:…`.
    """

    service_url: str
    conversation: str
    thread: str
    tenant_id: str
    bot_id: str

    @property
    def full_id(self) -> str:
        """The conversation as Teams calls it, thread and all."""
        return with_thread(self.conversation, self.thread)

    @classmethod
    def of_place(cls, place: Place, thread: str = "") -> Self:
        return cls(place.service_url, place.conversation, thread, place.tenant_id, place.bot_id)


class TeamsOutbox:
    """
    Every method raises one of `TEAMS_FAILURES`, a `TeamsFailure` with status 0 where it did not even ask.

    Args:
        http: As `connector_session` makes it.
        tokens: None sends none, for a development channel without authentication.
        hosts: Service URLs elsewhere are refused, whatever an activity says.
        scope: Of our tokens; another one in national clouds.
        patience_s: How long one call may wait, for its turn or between two tries.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        tokens: Tokens | None,
        hosts: KnownHosts,
        *,
        scope: str,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._wire = OutboxWire(http, tokens, hosts, scope=scope, patience_s=patience_s)
        self._patience_s = patience_s
        self._sends = Pace(SENDS)
        self._rosters = Pace(ROSTERS)

    async def send(
        self, to: TeamsAddress, activity: Mapping[str, Any], *, is_patient: bool = True
    ) -> str:
        """
        Args:
            is_patient: False tries once: what is out of date a moment later is better left out.

        Returns:
            The activity's id; empty where Teams tells none, as for the parts of a stream.
        """
        body = _addressed(to, activity)
        told = await self._send("POST", to, "/activities", body, is_patient=is_patient)
        return _id(told)

    async def update(
        self,
        to: TeamsAddress,
        activity_id: str,
        activity: Mapping[str, Any],
        *,
        is_patient: bool = True,
    ) -> None:
        body = {**_addressed(to, activity), "id": activity_id}
        path = f"/activities/{_quoted(activity_id)}"
        await self._send("PUT", to, path, body, is_patient=is_patient)

    async def send_targeted(self, to: TeamsAddress, user: str, activity: Mapping[str, Any]) -> str:
        """
        Shows it in the shared conversation to one of its members alone, for about a day.

        Args:
            user: `29:…`
        """
        body = {**_addressed(to, activity), "recipient": {"id": user}}
        return _id(await self._send("POST", to, "/activities?isTargetedActivity=true", body))

    async def open_direct(self, service_url: str, tenant_id: str, bot_id: str, member: str) -> str:
        """
        The id of the chat between us and one person, where the app is installed for them.

        Args:
            member: `29:…`, or the id of their account.
        """
        body = {
            "bot": {"id": bot_id},
            "members": [{"id": member}],
            "tenantId": tenant_id,
            "channelData": {"tenant": {"id": tenant_id}},
            "isGroup": False,
        }
        await self._turn(self._sends, f"open {tenant_id}")
        # There is one such chat, however often it is asked for.
        told = await self._wire.call(
            "POST", self._wire.url(service_url, "/v3/conversations"), body, is_repeatable=True
        )
        if not (id := _id(told)):
            raise TeamsFailure(200, "NoConversationId")
        return id

    async def members(self, to: TeamsAddress) -> AsyncIterator[Mapping[str, Any]]:
        """
        Who is in the conversation; of a channel's id, who is in its team.

        It raises rather than end early: a list that lacks somebody would widen what is shown.
        """
        continuation, is_empty = "", True
        for _ in range(_MAX_PAGES):
            query = {"pageSize": str(_MEMBERS_PER_PAGE)}
            if continuation:
                query["continuationToken"] = continuation
            page = await self._read_roster(to, f"/pagedmembers?{urlencode(query)}")
            members = page.get("members") if isinstance(page, Mapping) else None
            if not isinstance(members, list) or not all(isinstance(m, Mapping) for m in members):
                raise TeamsFailure(200, "NoMembers")
            is_empty = is_empty and not members
            for member in members:
                yield member
            before, continuation = continuation, str(page.get("continuationToken") or "")
            if not continuation and not is_empty:
                return
            if continuation in ("", before):
                break
        raise TeamsFailure(200, "NoWholeRoster")

    async def team_group(self, service_url: str, team: str) -> str:
        """
        The team's id in Entra; empty where it is not told.

        Args:
            team: `19:…@thread.tacv2`
        """
        await self._turn(self._rosters, team)
        told = await self._wire.call(
            "GET", self._wire.url(service_url, f"/v3/teams/{_quoted(team)}")
        )
        return text_in(mapping(told), "aadGroupId").lower()

    async def channels(self, service_url: str, team: str) -> list[Mapping[str, Any]]:
        """
        Args:
            team: `19:…@thread.tacv2`
        """
        await self._turn(self._rosters, team)
        url = self._wire.url(service_url, f"/v3/teams/{_quoted(team)}/conversations")
        told = await self._wire.call("GET", url)
        found = mapping(told).get("conversations")
        if not isinstance(found, list):
            raise TeamsFailure(200, "NoChannels")
        return [channel for channel in found if isinstance(channel, Mapping)]

    async def _send(
        self,
        method: str,
        to: TeamsAddress,
        path: str,
        body: Mapping[str, Any],
        *,
        is_patient: bool = True,
    ) -> Any:
        url = self._wire.url(to.service_url, f"/v3/conversations/{_quoted(to.full_id)}{path}")
        # Teams counts per chat or channel, whatever the thread.
        await self._turn(self._sends, to.conversation, is_patient=is_patient)
        return await self._wire.call(method, url, body, is_patient=is_patient)

    async def _read_roster(self, to: TeamsAddress, path: str) -> Any:
        url = self._wire.url(to.service_url, f"/v3/conversations/{_quoted(to.conversation)}{path}")
        await self._turn(self._rosters, to.conversation)
        return await self._wire.call("GET", url)

    async def _turn(self, pace: Pace, place: str, *, is_patient: bool = True) -> None:
        try:
            await pace.turn(place, patience_s=self._patience_s if is_patient else _IMPATIENCE_S)
        except TooFast as error:
            raise TeamsFailure(429, "OwnPace", retry_after_s=error.after_s) from error


def _addressed(to: TeamsAddress, activity: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "channelId": "msteams",
        "serviceUrl": to.service_url,
        "from": {"id": to.bot_id},
        "conversation": {"id": to.full_id},
        **activity,
    }


def _quoted(id: str) -> str:
    return quote(id, safe="")


def _id(told: Any) -> str:
    return text_in(mapping(told), "id")
