"""A small company to talk to: real conversations over in-memory stores, with fakes only at the edge."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import cast

from bot.admins import Admins
from bot.answering import Answerer
from bot.audience import Audience
from bot.capture.review import InMemoryReviewQueue
from bot.channel import ChannelLimits, Posted, RecordingChannel
from bot.command_replies import CommandOptions, Commands
from bot.context import ContextReader
from bot.conversation import ConversationManager
from bot.directory import Directory, Person, Room
from bot.explaining import TokenPrices
from bot.forgetting import FORGET, ForgetHandler, Forgetting
from bot.inbox import Inbox
from bot.messages import ConversationKind, ConversationRef, IncomingMessage, UserRef
from bot.overview import Overviews
from bot.preferences import Languages
from bot.recording import Recorder
from bot.records import Records
from bot.state import State
from bot.surroundings import Surroundings
from bot.turns import PRIVATE_TURN, TURN, PrivateTurnHandler, TurnHandler, TurnQueue
from bot.worker import Handler, Worker
from bot.yaml_directory import YamlDirectory
from retrieval.models import Embedder, LanguageModel, ModelMessage, Role
from retrieval.pipeline import AnswerPipeline
from retrieval.store import ChunkStore
from retrieval.types import IndexedDocument, Language, Usage
from tests import engines
from tests.builders import TENANT, a_conversation, a_message
from tests.engines import Cable, WatchedInbox

PRIVATE, PUBLIC = ConversationKind.PRIVATE, ConversationKind.PUBLIC

PEOPLE = {
    "groups": {"eng": ["ann", "ben"], "sales": ["sam"]},
    "users": {"ann": {}, "ben": {}, "sam": {}, "gus": {"kind": "guest"}},
    "conversations": {
        "#eng": {"kind": "private", "members": ["ann", "ben"]},
        "#deal": {"kind": "private", "members": ["ann", "sam"]},
        "#general": {"kind": "public"},
    },
}
ENG_ROOM = a_conversation("#eng", PRIVATE)
DEAL_ROOM = a_conversation("#deal", PRIVATE)
GENERAL = a_conversation("#general", PUBLIC)


def dm(user: str) -> ConversationRef:
    return a_conversation(f"D-{user}")


_FENCED = re.compile(r'^(?P<fence>"{3,})\n(?P<text>.*?)\n(?P=fence)$', re.S | re.M)


class Company:
    """
    Everything between a message and what people see.

    Args:
        people: The people file's content; written to *folder*.
    """

    def __init__(
        self,
        folder: Path,
        *,
        people: object = None,
        directory: Directory | None = None,
        store: ChunkStore | None = None,
        state: State | None = None,
        model: LanguageModel | None = None,
        embedder: Embedder | None = None,
        channel: RecordingChannel | None = None,
        surroundings: Surroundings | None = None,
        turn_timeout_s: float = 60,
        questions_per_minute: int = 30,
        max_tries: int = 1,
        busy_above: int = 200,
        records: Records | None = None,
        admins: Sequence[str] = (),
        prices: TokenPrices | None = None,
    ) -> None:
        self._people_file = folder / "people.yaml"
        self.hire(people or PEOPLE)
        self.directory = directory or YamlDirectory(self._people_file, TENANT)
        self.store = store or engines.current.store(embedder.name if embedder else None)
        self.state = state or engines.current.state()
        self.channel = channel or RecordingChannel()
        self.inbox = WatchedInbox(engines.current.inbox())
        inbox = cast(Inbox, self.inbox)
        self.records = records or engines.current.records()
        self.review = InMemoryReviewQueue()
        audience = Audience(self.directory, timeout_s=2)
        looked_after_by = Admins(self.directory, admins)
        forgetting = Forgetting(self.state, self.records, inbox)
        self.commands = Commands(
            audience=audience,
            store=self.store,
            state=self.state,
            records=self.records,
            inbox=inbox,
            forgetting=forgetting,
            admins=looked_after_by,
            options=CommandOptions(model.name if model else None, prices, {"other": "/shifu "}),
        )
        self.overviews = Overviews(
            directory=self.directory,
            audience=audience,
            store=self.store,
            state=self.state,
            records=self.records,
            inbox=inbox,
            review=self.review,
            admins=looked_after_by,
        )
        languages = Languages(self.state)
        pipeline = AnswerPipeline(self.store, embedder=embedder, model=model)
        self.manager = ConversationManager(
            answerer=Answerer(pipeline, self.store, model),
            audience=audience,
            store=self.store,
            state=self.state,
            languages=languages,
            commands=self.commands,
            recorder=Recorder(self.records),
            context=ContextReader({"test": surroundings} if surroundings else {}),
            turn_timeout_s=turn_timeout_s,
            questions_per_minute=questions_per_minute,
        )
        channels = {"test": self.channel}
        self.turns = TurnQueue(inbox, channels, languages, busy_above=busy_above)
        self._handlers: dict[str, Handler] = {
            TURN: TurnHandler(inbox, self.manager, channels),
            PRIVATE_TURN: PrivateTurnHandler(self.manager, channels),
            FORGET: ForgetHandler(forgetting),
        }
        self._max_tries = max_tries
        self._worker: Worker | None = None
        self._cable = Cable(self.inbox)

    def hire(self, people: object) -> None:
        """The people file is now this; YAML is a superset of JSON."""
        self._people_file.write_text(json.dumps(people), "utf-8")

    async def knows(self, *documents: IndexedDocument) -> None:
        await self.store.write(documents)

    async def asked(
        self, text: str, *, user: str = "ann", where: ConversationRef | None = None
    ) -> list[Posted]:
        """What was posted in reply, in order."""
        return await self.received(a_message(text, user=user, conversation=where or dm(user)))

    async def received(self, message: IncomingMessage) -> list[Posted]:
        """What was posted in reply, once nobody works on it any more, nor on what follows from it."""
        before = len(self.channel.posted)
        await self.begin(message)
        await self.inbox.ended(message.event_id)
        await self.inbox.followers_ended(message.event_id)
        return self.channel.posted[before:]

    async def begin(self, message: IncomingMessage) -> None:
        if self._worker is None:
            inbox = cast(Inbox, self._cable)
            self._worker = Worker(inbox, self._handlers, max_tries=self._max_tries, idle_wait_s=0.1)
            self._running = asyncio.create_task(self._worker.run())
        await self.turns.accept(message)

    async def dies(self) -> None:
        """The worker is killed: whatever it was about to do or to say is never done."""
        assert self._worker is not None
        self._cable.is_cut = True
        for task in [self._running, *self._worker._tasks]:
            task.cancel()
        await asyncio.sleep(0)
        self._worker, self._cable = None, Cable(self.inbox)

    async def stop(self, message: IncomingMessage) -> None:
        """As the person who asked does, once it is being answered; back when the turn has ended."""
        await self.turns.stop(message.event_id, message.conversation, Language.ENGLISH)
        await self.inbox.ended(message.event_id)

    async def told(
        self, text: str, *, user: str = "ann", where: ConversationRef | None = None
    ) -> str:
        """The text of the one reply that was posted."""
        (posted,) = await self.asked(text, user=user, where=where)
        return posted.final.text


def everything_shown(posted: Sequence[Posted]) -> str:
    """All that people could read or open in any version of any message."""
    return "\n".join(
        "\n".join(
            [
                reply.text,
                reply.notice or "",
                *reply.suggestions,
                *(
                    "\n".join([c.chunk.text, c.chunk.document.title, *c.chunk.heading_path])
                    for c in reply.citations
                ),
            ]
        )
        for message in posted
        for reply in message.versions
    )


class TellingModel:
    """Tells whatever it was shown, with a citation, and keeps what it was asked."""

    name = "telling"

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def stream(
        self, messages: Sequence[ModelMessage], *, max_tokens: int
    ) -> AsyncIterator[str | Usage]:
        self.asked.append("\n".join(message.content for message in messages))
        content = messages[-1].content
        question = content.rpartition("uestion: ")[2]
        if "Last question: " in content:
            yield f"EN: {_last_answer(content)} {question}\nZH: {question}"
            return
        for message in messages[1:-1]:
            if message.role is Role.ASSISTANT:
                yield message.content + "\n"
        for number, passage in enumerate(_FENCED.finditer(content), start=1):
            for line in passage["text"].splitlines():
                yield f"{line.strip()} [{number}]\n"
        yield Usage(self.name)


def _last_answer(content: str) -> str:
    return content.rpartition("A: ")[2].partition("\n")[0]


class WaitingModel(TellingModel):
    """Waits before it answers a question that holds *word*; *closed* once its reader has left."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self._word = word
        self.waits = asyncio.Event()
        self.go_on = asyncio.Event()
        self.closed = asyncio.Event()

    async def stream(
        self, messages: Sequence[ModelMessage], *, max_tokens: int
    ) -> AsyncIterator[str | Usage]:
        try:
            if self._word in messages[-1].content.rpartition("uestion: ")[2]:
                self.waits.set()
                await self.go_on.wait()
            async for part in super().stream(messages, max_tokens=max_tokens):
                yield part
        finally:
            self.closed.set()


class ChangingRooms:
    """A directory whose rooms change: each look-up uses the next list of members, the last one for good."""

    def __init__(self, directory: Directory, *members: Sequence[str]) -> None:
        self._directory = directory
        self._members = list(members)

    async def person(self, user: UserRef) -> Person | None:
        return await self._directory.person(user)

    async def room(self, conversation: ConversationRef) -> Room | None:
        room = await self._directory.room(conversation)
        members = self._members.pop(0) if len(self._members) > 1 else self._members[0]
        if room is None:
            return None
        refs = tuple(UserRef(TENANT, member) for member in members)
        return Room(room.channel, room.name, room.kind, refs)

    async def people(self) -> Sequence[Person]:
        return await self._directory.people()

    async def rooms(self) -> Sequence[Room]:
        return await self._directory.rooms()


LIMITS_WITHOUT_PRIVATE_REPLIES = ChannelLimits(40_000, 0.0, has_private_replies=False)
