"""A Slack workspace with a channel, two people in it, and the channel port that posts there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from adapters.chat.inert import BREAK
from adapters.chat.origins import InMemoryOrigins
from adapters.slack.channel import SlackChannel
from adapters.slack.client import SlackApi as SlackConnection
from adapters.slack.client import SlackClients
from adapters.slack.ids import SlackChannelId, SlackPerson, message_event
from adapters.slack.installations import InMemoryInstallations, Installation
from adapters.slack.origin import Origin
from bot.messages import ConversationKind, ConversationRef, MessageRef, UserRef
from bot.state import InMemoryState
from tests.builders import TENANT
from tests.fakes.slack_api import Message, SlackApi

ANN, BEN = "U0ANN", "U0BEN"
ROOM, ELSEWHERE = "C0ROOM", "C0OTHER"


class SlackStage:
    """
    Args:
        api: Running.
    """

    def __init__(self, api: SlackApi) -> None:
        self.api = api
        api.workspace("T1")
        api.install("T1")
        api.user(ANN, "Ann")
        api.user(BEN, "Ben")
        api.channel(ROOM, "room", "private", [ANN, BEN])
        api.channel(ELSEWHERE, "other", "private", [ANN])
        self.connection = SlackConnection(api.url)
        installed = Installation("", "T1", "xoxb-T1", "UBOT")
        self.clients = SlackClients(self.connection, InMemoryInstallations(installed))
        self.origins: InMemoryOrigins[Origin] = InMemoryOrigins()
        self.state = InMemoryState()
        self.channel = self.another_channel()
        self.ann = SlackPerson("T1", ANN).ref(TENANT)
        self.ben = SlackPerson("T1", BEN).ref(TENANT)
        self.elsewhere = str(SlackChannelId("T1", ELSEWHERE))
        self.conversation = ConversationRef("slack", TENANT, "", ConversationKind.PRIVATE)
        self.event_id = ""

    def another_channel(self, **options: Any) -> SlackChannel:
        """As in another process: it knows what is in the store, and no more."""
        without_pauses = {"update_interval_s": 0.0, "append_interval_s": 0.0}
        return SlackChannel(self.clients, self.origins, self.state, **{**without_pauses, **options})

    async def ask(
        self, text: str = "How do I reset it?", *, event_id: str | None = None, **more: Any
    ) -> str:
        """Ann mentions the bot in the room; the event's id, whose reply is then `conversation`'s."""
        root = await self.api.mention(ANN, ROOM, text)
        # Slack shows what is for one person alone only in a thread that has begun.
        await self.api.message(BEN, ROOM, "I wonder, too", thread_ts=root.ts)
        self.conversation = SlackChannelId("T1", ROOM).conversation(
            TENANT, ConversationKind.PRIVATE, root.ts
        )
        self.event_id = event_id or message_event(SlackChannelId("T1", ROOM), root.ts)
        origin = Origin("T1", ANN, "", ROOM, root.ts, root.ts, **more)
        await self.origins.keep(self.event_id, origin)
        return self.event_id

    async def ask_directly(self, text: str = "How do I reset it?", **more: Any) -> str:
        said = await self.api.direct_message(ANN, text)
        place = SlackChannelId("T1", said.channel)
        self.conversation = place.conversation(TENANT, ConversationKind.DIRECT, None)
        self.event_id = message_event(place, said.ts)
        origin = Origin("T1", ANN, "", said.channel, said.ts, said.ts, **more)
        await self.origins.keep(self.event_id, origin)
        return self.event_id

    async def ask_by_command(self, channel: str = ROOM) -> str:
        """Nobody else in the channel sees the question."""
        delivery = await self.api.command(ANN, channel, "/ask", "How do I reset it?")
        url = delivery.payload["response_url"]
        self.conversation = SlackChannelId("T1", channel).whisper(TENANT, ANN)
        self.event_id = f"slack:ask:{delivery.payload['trigger_id']}"
        await self.origins.keep(self.event_id, Origin("T1", ANN, "", channel, response_url=url))
        return self.event_id

    def replies(self, channel: str | None = None) -> list[Message]:
        """What the app has posted, in the order in which it stands there."""
        place = channel or SlackChannelId.of(self.conversation).channel
        return self.api.from_app(place)

    def read(self, message: Message) -> str:
        """Everything that a person reads in it."""
        return self.api.text_of(message).replace(BREAK, "")

    async def seen_by(self, user: UserRef) -> list[str]:
        """The replies' own texts, without what stands around them."""
        person = SlackPerson.of(user)
        assert person
        visible = self.api.visible_to(person.user, ROOM)
        return [words_of(message) for message in visible if message in self.api.from_app(ROOM)]

    async def forget(self, message: MessageRef) -> None:
        ts = message.id.rpartition(":")[2]
        found = next(m for m in self.api.messages(ROOM) if m.ts == ts)
        found.is_deleted = True

    async def close(self) -> None:
        await self.channel.close()
        await self.connection.close()


def words_of(message: Message) -> str:
    """The text of a reply itself, as it was before it was made inert."""
    found = [block["text"] for block in message.blocks if block["type"] == "markdown"]
    return "".join(found).replace(BREAK, "")


@asynccontextmanager
async def a_slack_stage() -> AsyncIterator[SlackStage]:
    async with SlackApi() as api:
        stage = SlackStage(api)
        yield stage
        await stage.close()
