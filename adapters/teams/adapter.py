"""Takes activities in over HTTP: checked, kept, and only then acknowledged."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import web

from adapters.chat.background import Background
from adapters.chat.dialog_texts import NOT_ACCEPTED
from adapters.teams.asking import TeamsAsking
from adapters.teams.directory import TeamsDirectory
from adapters.teams.dispatch import InvokeAnswer, UnknownActivity, dispatch
from adapters.teams.failures import TEAMS_FAILURES, what_failed
from adapters.teams.greeting import Greeting
from adapters.teams.hosts import KnownHosts
from adapters.teams.inbound_tokens import Denied, InboundTokens, KeysUnavailable
from adapters.teams.incoming import (
    PERSONAL,
    Activity,
    language_of_locale,
    mapping,
    message_of,
    place_of,
    sender_of,
    sequence,
    text_in,
)
from adapters.teams.invokes import Invokes
from adapters.teams.languages import TeamsLanguages
from adapters.teams.manifest import MESSAGES_PATH
from adapters.teams.outbox import TeamsAddress, TeamsOutbox
from bot.errors import StateUnavailable

log = structlog.get_logger()

# Teams waits some fifteen seconds, and does not deliver everything again.
_PATIENCE_S, _PAUSE_S = 8.0, 0.5
_LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


class DevelopmentTokens:
    """In the place of `InboundTokens` where there is no app id: everything from this machine passes."""

    def __init__(self) -> None:
        self._hosts = KnownHosts(["127.0.0.1", "localhost"])

    def check(self, remote: str | None, activity: Activity) -> None:
        """
        Raises:
            Denied: If it comes from elsewhere, or wants its answer sent elsewhere.
        """
        if remote not in _LOOPBACK:
            raise Denied("remote")
        if not self._hosts.has_service(text_in(activity, "serviceUrl")):
            raise Denied("serviceUrl")


class TeamsAdapter:
    """
    Who is not Teams is told so with 401, and nothing else is looked at. What Teams sends is answered
    202 once it is kept; a failure of ours is told to whoever wrote, not to Teams, which stops
    delivering to a bot that fails.
    """

    def __init__(
        self,
        tokens: InboundTokens | DevelopmentTokens,
        asking: TeamsAsking,
        invokes: Invokes,
        greeting: Greeting,
        directory: TeamsDirectory,
        outbox: TeamsOutbox,
        languages: TeamsLanguages,
        *,
        follow_teams: frozenset[str] = frozenset(),
    ) -> None:
        self._tokens = tokens
        self._asking = asking
        self._invokes = invokes
        self._greeting = greeting
        self._directory = directory
        self._outbox = outbox
        self._languages = languages
        self._follow_teams = follow_teams
        self._background = Background(TEAMS_FAILURES, what_failed)

    def mount(self, app: web.Application) -> None:
        app.router.add_post(MESSAGES_PATH, self._receive)

    async def close(self) -> None:
        await self._background.close()
        await self._invokes.close()

    async def said(self, activity: Mapping[str, Any]) -> None:
        said = message_of(activity)
        if said is None:
            return
        if said.is_addressed:
            await self._asking.ask(said)
        elif not self._follow_teams.isdisjoint({said.place.team_group, "*"}):
            await self._asking.follow(said)

    async def changed(self, activity: Mapping[str, Any]) -> None:
        await self._directory.changed(activity)
        place = place_of(activity)
        if place is None:
            return
        bot_id = text_in(mapping(activity.get("recipient")), "id")
        left = {text_in(mapping(m), "id") for m in sequence(activity.get("membersRemoved"))}
        if bot_id and bot_id in left:
            await self._asking.forget(place)
        else:
            await self._asking.note(place, sender_of(activity))

    async def installed(self, activity: Mapping[str, Any]) -> None:
        place, action = place_of(activity), text_in(activity, "action")
        if place is None:
            return
        if action.startswith("remove"):
            await self._asking.forget(place)
            return
        sender = sender_of(activity)
        await self._asking.note(place, sender)
        # In a chat of one's own Teams shows what can be asked for as long as nothing was said.
        if action == "add" and place.kind != PERSONAL:
            language = await self._languages.of(sender, language_of_locale(activity))
            self._background.start(self._greeting.greet(place, language), name="greeting")

    async def invoked(self, name: str, activity: Mapping[str, Any]) -> InvokeAnswer:
        place, sender = place_of(activity), sender_of(activity)
        if place is None or sender is None:
            return InvokeAnswer(400)
        return await self._invokes.answer(name, activity, place, sender)

    async def _receive(self, request: web.Request) -> web.Response:
        activity = await _activity_in(request)
        if activity is None:
            return _refused(400, "An activity in JSON is expected here.")
        try:
            if isinstance(self._tokens, DevelopmentTokens):
                self._tokens.check(request.remote, activity)
            else:
                header = request.headers.get("Authorization", "")
                await self._tokens.check(header, activity)
        except Denied as error:
            log.warning("teams.denied", reason=error.reason)
            return _refused(401, "This is not from Teams, or not for this bot.")
        except KeysUnavailable:
            log.warning("teams.keys_unavailable")
            return _refused(503, "The signature cannot be checked at the moment.")
        return await self._taken(activity)

    async def _taken(self, activity: Activity) -> web.Response:
        try:
            answer = await self._kept(activity)
        except UnknownActivity as error:
            log.warning("teams.unknown_activity", error=str(error))
            return web.Response(status=202)
        except (StateUnavailable, TimeoutError):
            return await self._not_kept(activity)
        except Exception:
            log.exception("teams.activity_failed", type=text_in(activity, "type")[:40])
            return await self._not_kept(activity)
        if answer is None:
            return web.Response(status=202)
        return web.json_response(answer.body, status=answer.status)

    async def _kept(self, activity: Activity) -> InvokeAnswer | None:
        """Whatever is to be kept may be kept again."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                return await dispatch(activity, self)
            except (StateUnavailable, TimeoutError):
                if asyncio.get_running_loop().time() > deadline:
                    raise
                log.warning("teams.waiting_for_state")
                await asyncio.sleep(_PAUSE_S)

    async def _not_kept(self, activity: Activity) -> web.Response:
        """Who wrote must know; if they cannot be told either, Teams shall deliver it again."""
        said = message_of(activity) if activity.get("type") == "message" else None
        if said is None:
            return web.Response(status=202)
        if not said.is_addressed:
            return web.Response(status=202)
        text = NOT_ACCEPTED[said.locale or self._languages.default]
        to = TeamsAddress.of_place(said.place, thread=said.thread)
        try:
            async with asyncio.timeout(_PATIENCE_S / 2):
                await self._outbox.send(to, {"type": "message", "text": text})
        except TEAMS_FAILURES as error:
            log.warning("teams.not_kept_not_told", reason=what_failed(error))
            return _refused(503, "It cannot be kept at the moment.")
        return web.Response(status=202)


async def _activity_in(request: web.Request) -> Activity | None:
    try:
        activity = json.loads(await request.read())
    except (web.HTTPRequestEntityTooLarge, ValueError, RecursionError):
        return None
    return activity if isinstance(activity, dict) else None


def _refused(status: int, reason: str) -> web.Response:
    return web.json_response({"error": {"message": reason}}, status=status)
