"""Takes activities in over HTTP: checked, kept, and only then acknowledged."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import structlog
from aiohttp import web

from adapters.chat.background import Background
from adapters.chat.dialog_texts import LEFT_THREAD, NOT_ACCEPTED
from adapters.chat.threads import is_stop
from adapters.teams.asking import TeamsAsking
from adapters.teams.directory import TeamsDirectory
from adapters.teams.dispatch import InvokeAnswer, UnknownActivity, dispatch
from adapters.teams.failures import TEAMS_FAILURES, what_failed
from adapters.teams.greeting import Greeting
from adapters.teams.hosts import KnownHosts
from adapters.teams.inbound_tokens import Denied, InboundTokens, KeysUnavailable
from adapters.teams.incoming import (
    Activity,
    TeamsMessage,
    language_of_locale,
    message_of,
    place_of,
    sender_of,
)
from adapters.teams.invokes import Invokes
from adapters.teams.json_values import mapping, sequence, text_in
from adapters.teams.languages import TeamsLanguages
from adapters.teams.manifest import MESSAGES_PATH
from adapters.teams.outbox import TeamsAddress, TeamsOutbox
from adapters.teams.places import CHANNEL, PERSONAL, Place
from bot.errors import StateUnavailable
from retrieval.analysis import language_of

log = structlog.get_logger()

# Teams waits some fifteen seconds, and does not deliver everything again.
_PATIENCE_S, _PAUSE_S = 8.0, 0.5
_LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
_LOOPBACK_NAMES = ("127.0.0.1", "::1", "localhost")
_HANDED_ON = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Via", "Origin")


class DevelopmentTokens:
    """In the place of `InboundTokens` where there is no app id: everything from this machine passes."""

    def __init__(self) -> None:
        self._hosts = KnownHosts(["127.0.0.1", "localhost"])

    def check(self, request: web.Request, activity: Activity) -> None:
        """
        Raises:
            Denied: If it comes from elsewhere, be it by a proxy or by a page in a browser, or wants its
                answer sent elsewhere.
        """
        if request.remote not in _LOOPBACK or (request.url.host or "") not in _LOOPBACK_NAMES:
            raise Denied("remote")
        if any(name in request.headers for name in _HANDED_ON):
            raise Denied("proxy")
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
        is_in_thread = said.place.kind == CHANNEL and not said.starts_thread
        is_heard = said.is_addressed or await self._follows(said.place)
        if is_heard and is_in_thread and is_stop(said.text):
            if await self._asking.leave(said):
                self._background.start(self._say_left(said), name="left_thread")
        elif said.is_addressed:
            await self._asking.ask(said)
        elif is_heard:
            await self._asking.follow(said)
        if said.place.team and not said.place.team_group:
            self._background.start(self._complete(said.place), name="team")

    async def _follows(self, place: Place) -> bool:
        if not self._follow_teams or "*" in self._follow_teams or place.kind != CHANNEL:
            return "*" in self._follow_teams
        known = place.told_by(await self._asking.place_at(place))
        return known.team_group in self._follow_teams

    async def _complete(self, place: Place) -> None:
        """Ask for the team's id in Entra, which not every activity tells."""
        known = await self._asking.place_at(place)
        if known is None or not known.team_group:
            group = await self._outbox.team_group(place.service_url, place.team)
            await self._asking.note(replace(place, team_group=group), None)

    async def _say_left(self, said: TeamsMessage) -> None:
        language = await self._languages.of(said.sender, language_of(said.text))
        to = TeamsAddress.of_place(said.place, thread=said.thread)
        await self._outbox.send(to, {"type": "message", "text": LEFT_THREAD[language]})

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
                self._tokens.check(request, activity)
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
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                try:
                    return await dispatch(activity, self)
                except StateUnavailable:
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
                message = {"type": "message", "text": text}
                if said.is_targeted:
                    await self._outbox.send_targeted(to, said.sender.id, message)
                else:
                    await self._outbox.send(to, message)
        except TEAMS_FAILURES as error:
            log.warning("teams.not_kept_not_told", reason=what_failed(error))
            return _refused(503, "It cannot be kept at the moment.")
        return web.Response(status=202)


async def _activity_in(request: web.Request) -> Activity | None:
    try:
        activity = json.loads(await request.read())
        if isinstance(activity, dict) and all(map(_is_text, _ids_in(activity))):
            return activity
    except (web.HTTPException, web.RequestPayloadError, ValueError, RecursionError):
        pass
    return None


def _ids_in(activity: Activity) -> Iterable[str]:
    for name in ("conversation", "from", "recipient"):
        yield text_in(mapping(activity.get(name)), "id")
    yield from (text_in(activity, name) for name in ("id", "replyToId", "serviceUrl"))


def _is_text(id: str) -> bool:
    """Half a surrogate pair has no place in an address."""
    return id.isprintable()


def _refused(status: int, reason: str) -> web.Response:
    return web.json_response({"error": {"message": reason}}, status=status)
