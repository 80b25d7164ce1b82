"""A question from Teams on its way in: kept with where it came from, and only then acknowledged."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from adapters.chat.origins import Origins
from adapters.chat.threads import Participation, Threads
from adapters.teams.ids import PLATFORM, message_event
from adapters.teams.incoming import Sender, TeamsMessage
from adapters.teams.origin import Origin
from adapters.teams.places import CHANNEL, PERSONAL, Place, Places
from bot.messages import ConversationKind, ConversationRef, IncomingMessage
from retrieval.types import Language

log = structlog.get_logger()

Accept = Callable[[IncomingMessage], Awaitable[None]]
"""Keeps a message until it is answered, the same event once; `StateUnavailable` when it cannot."""

_TIMEOUT_S = 4.0
# So long a Redis that has lost its data is not told anew.
_NOTED_S, _MAX_NOTED = 60, 10_000


class TeamsAsking:
    """
    Everything here may be done once more for the same activity without harm.

    Raises `StateUnavailable` or `TimeoutError` when nothing is promised yet.
    """

    def __init__(
        self,
        accept: Accept,
        origins: Origins[Origin],
        places: Places,
        threads: Threads,
        *,
        tenant: str,
    ) -> None:
        self._accept = accept
        self._origins = origins
        self._places = places
        self._threads = threads
        self._tenant = tenant
        self._noted: OrderedDict[tuple[str, Place], float] = OrderedDict()

    async def note(self, place: Place, sender: Sender | None) -> None:
        """Where people are, for whoever answers or looks up who reads there."""
        key = (sender.id if sender else "", place)
        now = time.monotonic()
        if now - self._noted.get(key, -_NOTED_S) < _NOTED_S:
            return
        async with asyncio.timeout(_TIMEOUT_S):
            await self._places.note(place)
            person = sender.person if sender else None
            if sender and person and place.kind == PERSONAL:
                await self._places.note_direct(person, place, sender.id)
        self._noted[key] = now
        while len(self._noted) > _MAX_NOTED:
            self._noted.popitem(last=False)

    async def place_at(self, place: Place) -> Place | None:
        """What is known of it from all activities so far."""
        async with asyncio.timeout(_TIMEOUT_S):
            return await self._places.find(place.id)

    async def forget(self, place: Place) -> None:
        """The bot is not there any more."""
        self._noted.clear()
        async with asyncio.timeout(_TIMEOUT_S):
            await self._places.forget(place.id)

    async def ask(self, said: TeamsMessage) -> None:
        """What somebody said to the bot."""
        conversation = self.conversation_of(said)
        event_id = message_event(said.conversation, said.activity_id)
        await self.note(said.place, said.sender)
        if said.place.kind == CHANNEL and not said.is_targeted:
            await self._take_part(conversation, said.sender, event_id)
        message = IncomingMessage(
            event_id=event_id,
            user=said.sender.ref(self._tenant),
            conversation=conversation,
            text=said.text,
            sent_at=said.sent_at,
            locale=said.locale,
            attachments=said.attachments,
            is_mid_thread=said.place.kind != PERSONAL and not said.starts_thread,
        )
        origin = replace(
            _origin(said.place, said.sender, said.thread),
            activity_id=said.activity_id,
            is_targeted=said.is_targeted,
            locale=said.locale.value if said.locale else "",
            files=said.files,
        )
        await self.put(message, origin)

    async def follow(self, said: TeamsMessage) -> bool:
        """
        What somebody said in a thread without addressing anybody; taken up if it is meant for the bot.
        """
        key = self.conversation_of(said).key
        async with asyncio.timeout(_TIMEOUT_S):
            known = await self._threads.find(key)
        if known is None or said.starts_thread:
            return False
        user = said.sender.id
        if known.last_event == message_event(said.conversation, said.activity_id):
            is_meant = True
        else:
            is_meant = known.takes_up(user, said.text, mentions_somebody=said.mentions_others)
        if is_meant:
            await self.ask(said)
        elif (now := known.interrupted(user, mentions_somebody=said.mentions_others)) is not None:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._threads.keep(key, now)
        return is_meant

    async def leave(self, said: TeamsMessage) -> bool:
        """Say no more in that thread; False if there is nothing to say to that, see `Participation.left`."""
        key = self.conversation_of(said).key
        event_id = message_event(said.conversation, said.activity_id)
        async with asyncio.timeout(_TIMEOUT_S):
            known = await self._threads.find(key) or Participation()
            left = known.left(said.sender.id, event_id, is_addressed=said.is_addressed)
            if left is not None:
                await self._threads.keep(key, left)
        return left is not None

    async def whisper(
        self, place: Place, sender: Sender, text: str, *, event_id: str, language: Language | None
    ) -> None:
        """
        Something that nobody else there sees, nor its answer. In a personal chat that is every word.
        """
        conversation = place.id.ref(self._tenant, ConversationKind.DIRECT, None)
        if place.kind != PERSONAL:
            conversation = place.id.whisper(self._tenant, sender.object_id or sender.id)
        message = IncomingMessage(
            event_id=event_id,
            user=sender.ref(self._tenant),
            conversation=conversation,
            text=text,
            sent_at=datetime.now(UTC),
            locale=language,
        )
        await self.put(message, _origin(place, sender, ""))

    async def in_personal_chat(
        self, place: Place, sender: Sender, text: str, *, event_id: str, language: Language | None
    ) -> None:
        """Asked elsewhere; the answer stands in the personal chat *place*, below its question."""
        message = IncomingMessage(
            event_id=event_id,
            user=sender.ref(self._tenant),
            conversation=place.id.ref(self._tenant, ConversationKind.DIRECT, None),
            text=text,
            sent_at=datetime.now(UTC),
            locale=language,
        )
        await self.put(message, replace(_origin(place, sender, ""), question=text))

    async def in_thread(self, place: Place, sender: Sender, text: str, *, root: str) -> None:
        """Asked by us in somebody's name in the message *root*, where everybody sees it."""
        thread = root if place.kind == CHANNEL else ""
        message = IncomingMessage(
            event_id=message_event(place.conversation, root),
            user=sender.ref(self._tenant),
            conversation=place.id.ref(self._tenant, ConversationKind.PRIVATE, thread or None),
            text=text,
            sent_at=datetime.now(UTC),
        )
        await self.put(message, replace(_origin(place, sender, thread), activity_id=root))

    async def put(self, message: IncomingMessage, origin: Origin) -> None:
        async with asyncio.timeout(_TIMEOUT_S):
            await self._origins.keep(message.event_id, origin)
            await self._accept(message)
        log.info("teams.accepted", event_id=message.event_id)

    def conversation_of(self, said: TeamsMessage) -> ConversationRef:
        place = said.place
        if place.kind == PERSONAL:
            return place.id.ref(self._tenant, ConversationKind.DIRECT, None)
        if said.is_targeted:
            return place.id.whisper(self._tenant, said.sender.object_id or said.sender.id)
        # The directory knows which channels anybody may join.
        return place.id.ref(self._tenant, ConversationKind.PRIVATE, said.thread or None)

    async def _take_part(self, at: ConversationRef, sender: Sender, event_id: str) -> None:
        async with asyncio.timeout(_TIMEOUT_S):
            known = await self._threads.find(at.key) or Participation()
            await self._threads.keep(at.key, known.addressed(sender.id, event_id))


def press_event(place: Place, activity_id: str) -> str:
    """Of a button, by the invoke that told of it."""
    return f"{PLATFORM}:press:{place.id}/{activity_id}"


def _origin(place: Place, sender: Sender, thread: str) -> Origin:
    return Origin(
        service_url=place.service_url,
        tenant_id=place.tenant_id,
        conversation=place.conversation,
        kind=place.kind,
        bot_id=place.bot_id,
        user=sender.id,
        user_object_id=sender.object_id,
        user_tenant_id=sender.tenant_id,
        thread=thread,
        team=place.team,
    )
