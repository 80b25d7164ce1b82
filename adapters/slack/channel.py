"""The channel port for Slack: streamed where Slack streams, else posted and changed; whispers once."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from adapters.chat.once import Once, Posted
from adapters.chat.origins import Origins
from adapters.slack.client import (
    NOT_THERE,
    SLACK_FAILURES,
    NotInstalled,
    SlackClients,
    slack_error,
    wait_s,
    what_failed,
)
from adapters.slack.ids import SlackChannelId, SlackPerson, is_whisper
from adapters.slack.origin import Origin
from adapters.slack.posts import GONE, UPDATE_INTERVAL_S, Place, Posts
from adapters.slack.render import MAX_CHARACTERS, Rendered, Surface, rendered
from adapters.slack.sessions import Sessions
from adapters.slack.streams import APPEND_INTERVAL_S, Shown, Streams
from adapters.slack.unsupported import Unsupported
from adapters.slack.whispers import Whispers
from bot.channel import ChannelLimits
from bot.errors import ChannelUnavailable, StateUnavailable
from bot.messages import ConversationKind, ConversationRef, MessageRef, Reply, ReplyKind, UserRef
from bot.state import State

log = structlog.get_logger()

LIMITS = ChannelLimits(
    max_characters=MAX_CHARACTERS,
    min_update_interval_s=APPEND_INTERVAL_S,
    has_private_replies=True,
)

PATIENCE_S = 30.0
"""For one reply, with all that Slack lets us wait."""

_MEANWHILE_S = 5.0
_MAX_KNOWN = 2_000

# Refs of messages; what is a ts alone was posted in whole. All end in what identifies them.
_STREAM, _PRIVATE, _GONE = "stream:", "private:", "gone:"


@dataclass(frozen=True, slots=True)
class _Known:
    """Where a message stands, and what it answers. *origin*: None where that is forgotten."""

    place: Place
    origin: Origin | None


class SlackChannel:
    """
    Used by whoever answers, in any process. Posts what it is given: who may read it is not for it to say.

    What one person alone sees cannot be changed in Slack: the first of such replies stands.
    """

    def __init__(
        self,
        clients: SlackClients,
        origins: Origins[Origin],
        state: State,
        *,
        streaming: bool = True,
        update_interval_s: float = UPDATE_INTERVAL_S,
        append_interval_s: float = APPEND_INTERVAL_S,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clients = clients
        self._origins = origins
        self._patience_s = patience_s
        self._clock = clock
        unsupported = Unsupported()
        self._posts = Posts(interval_s=update_interval_s)
        self._streams = Streams(state, unsupported, is_on=streaming, interval_s=append_interval_s)
        self._whispers = Whispers(clients, self._posts)
        self._sessions = Sessions(unsupported)
        self._once = Once(origins)
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    @property
    def limits(self) -> ChannelLimits:
        return LIMITS

    async def post(self, reply: Reply, to: ConversationRef, *, answers: str) -> MessageRef:
        async with self._in_time():
            if is_whisper(to):
                ref = MessageRef(to, _PRIVATE + answers)
                if reply.is_final:
                    await self._whisper(reply, to, answers)
                return ref
            id, is_new = await self._once.post(answers, lambda: self._begin(reply, to, answers))
            ref = MessageRef(to, id)
            if not is_new and reply.kind is not ReplyKind.STATUS:
                await self._change(ref, reply)
            elif reply.is_final:
                await self._origins.scrub(answers)
            return ref

    async def post_private(
        self, reply: Reply, to: ConversationRef, user: UserRef, *, answers: str
    ) -> MessageRef:
        async with self._in_time():
            if reply.is_final:
                await self._say_privately(reply, to, user, answers)
            return MessageRef(to, _PRIVATE + answers, user)

    async def update(self, message: MessageRef, reply: Reply) -> None:
        kind, event_id = message.id[: len(_PRIVATE)], message.id[len(_PRIVATE) :]
        async with self._in_time():
            if kind != _PRIVATE:
                await self._change(message, reply)
            elif reply.is_final and message.private_to is not None:
                await self._say_privately(reply, message.conversation, message.private_to, event_id)
            elif reply.is_final:
                await self._whisper(reply, message.conversation, event_id)

    async def close(self) -> None:
        """Wait for what is being posted; the clients stay open."""
        await self._once.close()
        await self._sessions.close()

    async def _begin(self, reply: Reply, to: ConversationRef, event_id: str) -> Posted:
        origin = await self._origins.find(event_id)
        known = _Known(_place(to, origin), origin)
        client = await self._client(known.place)
        try:
            posted = await self._begin_there(client, known, reply, to)
        except SlackApiError as error:
            if slack_error(error) not in GONE | NOT_THERE:
                raise
            # The thread was deleted, or the bot removed: there is no place any more to answer in.
            log.warning("slack.no_place_to_answer", error=slack_error(error))
            return Posted(_GONE + event_id, known.place.key, "")
        self._remember(posted, known)
        if origin is not None and _has_session(to, known.place):
            self._sessions.begin(client, known.place, user=origin.user, title=origin.title)
            if reply.is_final:
                self._sessions.end(client, known.place)
        return posted

    async def _begin_there(
        self, client: AsyncWebClient, known: _Known, reply: Reply, to: ConversationRef
    ) -> Posted:
        shown = self._rendered(reply, _surface(to), known.origin)
        if reply.kind is ReplyKind.STATUS and known.origin is not None:
            ts = await self._streams.start(client, known.place, known.origin, shown)
            if ts is not None:
                return Posted(_STREAM + ts, known.place.key, ts)
        ts = await self._posts.post(client, known.place, shown)
        return Posted(ts, known.place.key, ts)

    async def _change(self, message: MessageRef, reply: Reply) -> None:
        if message.id.startswith(_GONE):
            return
        ts = message.id.removeprefix(_STREAM)
        known = await self._known_at(message.conversation, ts)
        client = await self._client(known.place)
        shown = self._rendered(reply, _surface(message.conversation), known.origin)
        is_stream = message.id.startswith(_STREAM)
        if not reply.is_final:
            await self._show_meanwhile(client, known.place, ts, shown, reply, is_stream=is_stream)
            return
        if not is_stream or not await self._streams.finish(
            client, known.place, ts, shown, reply.language
        ):
            successor = await self._posts.show(client, known.place, ts, shown)
            if successor is not None:
                await self._note_successor(known.place, ts, successor)
        if _has_session(message.conversation, known.place):
            self._sessions.end(client, known.place)
        event_id = await self._origins.event_at(known.place.key, ts)
        if event_id is not None:
            await self._origins.scrub(event_id)

    async def _show_meanwhile(
        self,
        client: AsyncWebClient,
        place: Place,
        ts: str,
        shown: Rendered,
        reply: Reply,
        *,
        is_stream: bool,
    ) -> None:
        """Whatever goes wrong with it, what follows shows more."""
        try:
            async with asyncio.timeout(_MEANWHILE_S):
                if is_stream:
                    seen = await self._streams.append(client, place, ts, shown, reply.language)
                    if seen is not Shown.NOT_HERE:
                        return
                await self._posts.show_meanwhile(client, place, ts, shown)
        except SLACK_FAILURES as error:
            log.info("slack.not_shown_meanwhile", error=what_failed(error))

    async def _whisper(self, reply: Reply, to: ConversationRef, event_id: str) -> None:
        async def say() -> Posted:
            origin = await self._origins.find(event_id)
            user = (to.thread or "").rpartition(":")[2]
            place = replace(_place(to, origin), thread_ts=origin.thread_ts if origin else "")
            shown = self._rendered(
                reply, Surface.WHISPER, origin, is_shareable=not place.channel.startswith("D")
            )
            return await self._whispers.say(await self._client(place), place, user, origin, shown)

        await self._once.post(event_id, say, is_private=True)
        await self._origins.scrub(event_id)

    async def _say_privately(
        self, reply: Reply, to: ConversationRef, user: UserRef, event_id: str
    ) -> None:
        person = SlackPerson.of(user)
        if person is None:
            raise ChannelUnavailable("Slack does not know this person.")

        async def say() -> Posted:
            place = _place(to, await self._origins.find(event_id))
            shown = self._rendered(reply, Surface.PRIVATE, None)
            return await self._whispers.say(
                await self._client(place), place, person.user, None, shown
            )

        await self._once.post(event_id, say, is_private=True)

    def _rendered(
        self,
        reply: Reply,
        surface: Surface,
        origin: Origin | None,
        *,
        is_shareable: bool = False,
    ) -> Rendered:
        asked = origin.question if origin else ""
        return rendered(reply, surface, now=self._clock(), asked=asked, is_shareable=is_shareable)

    async def _client(self, place: Place) -> AsyncWebClient:
        return await self._clients.for_team(place.team, home=place.home)

    async def _known_at(self, conversation: ConversationRef, ts: str) -> _Known:
        known = self._known.get((conversation.channel, ts))
        if known is None:
            event_id = await self._origins.event_at(conversation.channel, ts)
            origin = await self._origins.find(event_id) if event_id else None
            known = _Known(_place(conversation, origin), origin)
            self._remember(Posted("", conversation.channel, ts), known)
        return known

    def _remember(self, posted: Posted, known: _Known) -> None:
        self._known[posted.channel, posted.message] = known
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    async def _note_successor(self, place: Place, ts: str, successor: str) -> None:
        event_id = await self._origins.event_at(place.key, ts)
        if event_id is not None:
            await self._origins.note_reply(
                event_id, successor, channel=place.key, message=successor
            )

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience_s):
                yield
        except ChannelUnavailable:
            raise
        except (NotInstalled, StateUnavailable) as error:
            raise ChannelUnavailable(str(error)) from error
        except SLACK_FAILURES as error:
            raise ChannelUnavailable(what_failed(error), after_s=wait_s(error)) from error


def _place(conversation: ConversationRef, origin: Origin | None) -> Place:
    at = SlackChannelId.of(conversation)
    # All of a direct message is one conversation; the thread in it is where the question stands.
    thread_ts = (origin.thread_ts if origin else "") or conversation.thread or ""
    return Place(at.home, origin.team if origin else "", at.channel, thread_ts)


def _has_session(conversation: ConversationRef, place: Place) -> bool:
    """Slack knows those of threads alone."""
    return conversation.kind is ConversationKind.DIRECT and bool(place.thread_ts)


def _surface(conversation: ConversationRef) -> Surface:
    is_direct = conversation.kind is ConversationKind.DIRECT
    return Surface.DIRECT if is_direct else Surface.CHANNEL
