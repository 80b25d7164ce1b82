"""A Teams with a team's channel, a group chat, two people in them, and the channel port that posts there."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from adapters.chat.inert import BREAK
from adapters.chat.origins import InMemoryOrigins
from adapters.teams.channel import TeamsChannel
from adapters.teams.hosts import KnownHosts
from adapters.teams.ids import TeamsConversationId, TeamsPerson, message_event
from adapters.teams.origin import Origin
from adapters.teams.outbox import TeamsOutbox
from adapters.teams.outbox_wire import connector_session
from adapters.teams.personal_cards import InMemoryPersonalCards
from adapters.teams.places import InMemoryPlaces, Place
from bot.messages import ConversationKind, ConversationRef, MessageRef, UserRef
from tests.builders import TENANT
from tests.fakes.teams.messages import Message
from tests.fakes.teams.platform import BOT_SCOPE
from tests.fakes.teams.world import Conversation, Json
from tests.fakes.teams_api import TeamsApi

HOME = "10000000-0000-4000-8000-000000000000"
ANN, BEN = "a0000000-0000-4000-8000-00000000000a", "b0000000-0000-4000-8000-00000000000b"
TEAM, ROOM, CHAT, ELSEWHERE = (
    "19:team@thread.tacv2",
    "19:room@thread.tacv2",
    "19:chat@thread.v2",
    "19:other@thread.v2",
)


class TeamsStage:
    """
    Args:
        api: Running.
    """

    def __init__(self, api: TeamsApi, outbox: TeamsOutbox) -> None:
        self.api = api
        self.outbox = outbox
        api.tenant(HOME)
        api.user(ANN, "Ann", with_app=True)
        api.user(BEN, "Ben")
        api.team(TEAM, "group-1", "Team", [ANN, BEN])
        self.room = api.channel(ROOM, TEAM, "Room")
        self.chat = api.chat(CHAT, [ANN, BEN], name="Chat")
        api.chat(ELSEWHERE, [ANN, BEN])
        # What is refused for coming too soon is another test's matter.
        api.teams.stream_pace_s = 0.0
        self.origins: InMemoryOrigins[Origin] = InMemoryOrigins()
        self.places = InMemoryPlaces()
        self.cards = InMemoryPersonalCards()
        self.channel = self.another_channel()
        self.ann = TeamsPerson(HOME, ANN).ref(TENANT)
        self.ben = TeamsPerson(HOME, BEN).ref(TENANT)
        self.elsewhere = str(TeamsConversationId(HOME, ELSEWHERE))
        self.conversation = ConversationRef("teams", TENANT, "", ConversationKind.PRIVATE)
        self.event_id = ""

    def another_channel(self, **options: Any) -> TeamsChannel:
        """As in another process: it knows what is in the store, and no more."""
        without_pauses = {"update_interval_s": 0.0, "stream_interval_s": 0.0}
        return TeamsChannel(
            self.outbox, self.origins, self.places, self.cards, **{**without_pauses, **options}
        )

    async def ask(self, place: str = ROOM, *, event_id: str | None = None, **more: Any) -> Message:
        """Ann asks where others read it; `conversation` is where the reply to `event_id` goes."""
        said = await self.api.says(ANN, place, "How do I reset it?")
        thread = said.id if place == ROOM else ""
        kind = ConversationKind.PRIVATE
        self.conversation = TeamsConversationId(HOME, place).ref(TENANT, kind, thread or None)
        await self._keep(self.api.teams.world.conversation(place), said, event_id, thread, **more)
        return said

    async def ask_directly(self, *, event_id: str | None = None, **more: Any) -> Message:
        said = await self.api.says(ANN, "personal", "How do I reset it?")
        at = TeamsConversationId(HOME, said.conversation)
        self.conversation = at.ref(TENANT, ConversationKind.DIRECT, None)
        await self._keep(self.api.personal(ANN), said, event_id, "", **more)
        return said

    async def ask_in_secret(self, place: str = CHAT, **more: Any) -> Message:
        """Nobody else there sees the question."""
        said = await self.api.says(ANN, place, "How do I reset it?", targeted=True)
        self.conversation = TeamsConversationId(HOME, place).whisper(TENANT, ANN)
        there = self.api.teams.world.conversation(place)
        await self._keep(there, said, None, "", is_targeted=True, **more)
        return said

    async def _keep(
        self,
        there: Conversation,
        said: Message,
        event_id: str | None,
        thread: str,
        **more: Any,
    ) -> None:
        self.event_id = event_id or message_event(there.id, said.id)
        place = Place(
            self.api.service_url, HOME, there.id, there.kind, self.api.bot_id, name=there.name
        )
        await self.places.note(place)
        user = self.api.teams.world.user(ANN).mri
        origin = Origin(
            self.api.service_url, HOME, there.id, there.kind, self.api.bot_id, user, ANN, HOME
        )
        origin = replace(origin, activity_id=said.id, thread=thread, **more)
        await self.origins.keep(self.event_id, origin)

    def replies(self, place: str | None = None, **more: Any) -> list[Message]:
        """What the app has posted, in the order in which it stands there."""
        where = place or TeamsConversationId.of(self.conversation).conversation
        return self.api.from_app(where, **more)

    def read(self, message: Message, *, seen_by: str | None = None) -> str:
        """Everything that a person reads in it."""
        return self.api.text_of(message, seen_by=seen_by).replace(BREAK, "")

    async def seen_by(self, user: UserRef) -> list[str]:
        """The replies' own texts, without what stands around them."""
        person = TeamsPerson.of(user)
        assert person
        place = TeamsConversationId.of(self.conversation).conversation
        visible = self.api.visible_to(person.object_id, place)
        return [words_of(message) for message in visible if message.is_from_app]

    async def forget(self, message: MessageRef) -> None:
        id = message.id.rpartition(":")[2]
        place = TeamsConversationId.of(self.conversation).conversation
        found = self.api.teams.log.find(place, id)
        assert found
        found.is_deleted = True


def words_of(message: Message) -> str:
    """
    The text of a reply itself, without what stands around it, and as it was before it was made inert and its
    lines were kept apart.
    """
    if message.cards:
        assert not message.text
        return _words_in(message.cards[0])
    text = message.text.replace(BREAK, "").replace("  \n", "\n").replace("  \r\n", "\r\n")
    while text.startswith("> "):
        text = text.partition("\n\n")[2]
    return re.sub(r"\n\n_[^\n]*_$", "", text)


def _words_in(card: Json) -> str:
    """What stands around an answer is smaller than it."""
    lines = [e["inlines"] for e in card["body"] if e["type"] == "RichTextBlock"]
    return "\n".join(
        "".join(f"**{run['text']}**" if "weight" in run else run["text"] for run in runs)
        for runs in lines
        if not any(run.get("size") == "Small" for run in runs)
    )


class _Tokens:
    def __init__(self, api: TeamsApi) -> None:
        self._api = api

    async def token(self, scope: str, *, tenant_id: str = "") -> str:
        return self._api.teams.grant(HOME, scope)

    def forget(self, scope: str, token: str, *, tenant_id: str = "") -> None:
        return None


@asynccontextmanager
async def a_teams_stage(*, patience_s: float = 5.0) -> AsyncIterator[TeamsStage]:
    async with TeamsApi() as api, connector_session() as http:
        hosts = KnownHosts(["127.0.0.1"])
        outbox = TeamsOutbox(http, _Tokens(api), hosts, scope=BOT_SCOPE, patience_s=patience_s)
        stage = TeamsStage(api, outbox)
        yield stage
        await stage.channel.close()
