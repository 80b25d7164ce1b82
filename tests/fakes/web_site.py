"""The web adapter on a real server, with a scripted conversation behind it instead of inbox, workers and manager."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from adapters.web.adapter import WebAdapter, WebOptions
from adapters.web.channel import WebChannel
from adapters.web.guard import WebAccess, WebMode
from adapters.web.message_log import InMemoryMessageLogs, MessageLogs
from bot import texts
from bot.channel import Channel
from bot.delivery import Delivery
from bot.messages import (
    ConversationKind,
    ConversationRef,
    IncomingMessage,
    Reply,
    ReplyKind,
)
from bot.state import InMemoryState
from bot.yaml_directory import YamlDirectory
from retrieval.access import (
    PUBLIC,
    AccessScope,
    Acl,
    Level,
    Principal,
    Reader,
    group_principal,
    tenant_principal,
)
from retrieval.store import InMemoryStore
from retrieval.types import Band, Chunk, Citation, Document, IndexedDocument, Language

TENANT = "qlm"
PUBLIC_ORIGIN = "http://shifu.example"

PEOPLE = """
groups:
  design: {members: [david.hsu, leo.fang]}
  project-borealis: {members: [david.hsu, grace.kao]}
  verification: {members: [carol.wu]}
  physical: {members: [grace.kao]}
users:
  carol.wu: {name: 吳佳蓉 Carol Wu, title: Verification engineer}
  david.hsu: {name: 許大衛 David Hsu, title: Design lead, clearance: secret}
  grace.kao: {name: 高郁文 Grace Kao, title: Physical design lead, clearance: secret}
  leo.fang: {name: 方立 Leo Fang, title: Design engineer}
  max.weber: {name: Max Weber, title: Layout contractor, kind: contractor}
  nina.berg: {name: Nina Berg, title: IP partner, kind: guest}
conversations:
  "#general": {kind: public}
  "#verification": {kind: private, members: [carol.wu, david.hsu, leo.fang]}
  "#borealis": {kind: private, members: [david.hsu, grace.kao]}
  "#layout-support": {kind: private, members: [grace.kao, max.weber]}
"""

EMPLOYEES = tenant_principal(TENANT)
BOREALIS = group_principal(TENANT, "project-borealis")


def _document(
    id: str,
    title: str,
    text: str,
    *,
    acl: Principal,
    path: tuple[str, ...] = (),
    superseded_by: str | None = None,
    link: str | None = None,
) -> IndexedDocument:
    document = Document(
        id=id,
        source="docs",
        title=title,
        acl=Acl(frozenset({acl}), Level.PUBLIC if acl == PUBLIC else Level.INTERNAL),
        content_hash=id,
        link=link or f"https://heron.qlm.example/{id}",
        owner="grace.kao",
        language=Language.ENGLISH,
        version="2.1",
        modified_at=datetime(2026, 8, 14, tzinfo=UTC),
        review_at=datetime(2027, 2, 14, tzinfo=UTC),
        superseded_by=superseded_by,
    )
    chunk = Chunk(f"{id}#0", document, 0, text, (title, *path))
    return IndexedDocument(document, (chunk,))


DOCUMENTS = [
    _document(
        "physical/antenna",
        "Antenna rules for the 22 nm process",
        "## Fixing a violation\n\nThe limit for **M3 to M5** is a ratio of `400:1`; above M6 it is `800:1`.\n\n"
        "| Layer | Ratio | Preferred fix |\n| --- | --- | --- |\n| M3–M5 | 400:1 | jumper to M6 |\n"
        "| M6–M8 | 800:1 | diode |\n\n1. Jump to a higher layer close to the gate.\n"
        "2. If there is no room, place a diode within 5 µm.\n\nSee [the checklist](forms/drc.md).",
        acl=PUBLIC,
        path=("Fixing a violation",),
    ),
    _document(
        "physical/diodes",
        "Diode cells: when and where",
        "Keep the diode within 5 µm of the gate it protects; leakage is 0.4 nA at 125 °C.",
        acl=EMPLOYEES,
        path=("Placement",),
        superseded_by="physical/diodes-2",
    ),
    _document(
        "projects/borealis-plan",
        "Borealis: schedule",
        "The tape-out is planned for 15 March 2027.",
        acl=BOREALIS,
        path=("Milestones",),
        link="javascript:alert(1)",
    ),
]

HOSTILE = (
    "<img src=x onerror=\"document.title='pwned'\"> <script>document.title='pwned'</script>\n\n"
    "![pixel](https://evil.example/p.png?q=secret) [click me](javascript:alert(1)) "
    "[the form](https://evil.example/form) <https://evil.example/auto> https://evil.example/bare [7]\n\n"
    "<a href='https://evil.example'>link</a> &lt;b&gt; **bold `code` and _emphasis_** [1]"
)

SUGGESTIONS = {
    Language.ENGLISH: (
        "How do I fix an antenna violation?",
        "When is the tape-out of Borealis?",
        "How many days of leave do new employees get?",
    ),
    Language.CHINESE: ("天線效應違規要怎麼修？", "Borealis 什麼時候下線？", "新進員工有幾天特休？"),
}


class ScriptedConversation:
    """Answers by the words in a question: enough to see every kind of reply on the page."""

    def __init__(self, store: InMemoryStore, directory: YamlDirectory, *, pause_s: float) -> None:
        self._store = store
        self._directory = directory
        self._pause_s = pause_s
        self.heard: list[IncomingMessage] = []

    async def converse(self, message: IncomingMessage, channel: Channel) -> None:
        self.heard.append(message)
        language = message.locale or Language.ENGLISH
        words, shown = message.text.lower(), Delivery(channel, message)
        if "explode" in words:
            raise RuntimeError("secret detail of the failure")
        is_chinese = language is Language.CHINESE
        looking = "正在翻閱您能讀的文件…" if is_chinese else "Looking through what you may read…"
        try:
            await shown.show(Reply(ReplyKind.STATUS, looking, language))
            await asyncio.sleep(self._pause_s)
            if "slow" in words:
                half = Reply(ReplyKind.PARTIAL, "The first sentence.", language)
                await shown.show(half, to=AccessScope.nothing())
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped = Reply(ReplyKind.NOTICE, texts.STOPPED[language], language)
            await shown.end(stopped, readers=AccessScope.nothing())
            return
        reply = await self._reply(message, language)
        for n in range(60, len(reply.text), 60):
            partial = Reply(ReplyKind.PARTIAL, reply.text[:n], language, citations=reply.citations)
            await shown.show(partial)
            await asyncio.sleep(self._pause_s / 8)
        await shown.show(reply)
        if "private" in words:
            text = "Borealis tapes out on 15 March 2027, as its plan says. [1]"
            chunk = DOCUMENTS[2].chunks[0]
            fuller = Reply(
                ReplyKind.ANSWER,
                text,
                language,
                citations=(Citation(1, chunk),),
                band=Band.ANSWERED,
                feedback_id="feedback-private",
            )
            await Delivery(channel, message, private=True).show(fuller)

    async def _reply(self, message: IncomingMessage, language: Language) -> Reply:
        words, is_chinese = message.text.lower(), language is Language.CHINESE
        chunks = await self._store.fetch(
            [d.chunks[0].id for d in DOCUMENTS], await self._scope(message)
        )
        citations = tuple(Citation(n, chunk) for n, chunk in enumerate(chunks, start=1))
        answer = Reply(
            ReplyKind.ANSWER, "", language, band=Band.ANSWERED, feedback_id=f"f-{message.event_id}"
        )
        if "hostile" in words:
            return _with(answer, HOSTILE, citations[:1])
        if "tape-out" in words or "下線" in words:
            known = [c for c in citations if c.chunk.document.id == "projects/borealis-plan"]
            if known:
                chunk = known[0].chunk
                text = (
                    "Borealis 預定在 **2027 年 3 月 15 日**下線。[1]"
                    if is_chinese
                    else "The tape-out of Borealis is planned for **15 March 2027**. [1]"
                )
                return _with(answer, text, (Citation(1, chunk),))
            text = (
                "在這裡每個人都能讀的文件裡，找不到答案。"
                if is_chinese
                else "I found nothing about this in the documents that everyone here may read."
            )
            return Reply(
                ReplyKind.ANSWER, text, language, band=Band.NOTHING, feedback_id=answer.feedback_id
            )
        if "unsure" in words or "leave" in words:
            text = "The documents do not say this clearly. These passages come closest."
            unsure = _with(answer, text, citations[:2])
            return Reply(
                ReplyKind.ANSWER,
                text,
                language,
                unsure.citations,
                Band.UNSURE,
                feedback_id=answer.feedback_id,
            )
        text = (
            "先在靠近閘極處**跳到較高的金屬層**；M3 到 M5 的比值上限是 `400:1`。[1]\n\n"
            "若沒有空間跳層，就在 5 µm 內放置二極體。[1][2]"
            if is_chinese
            else "Jump to a **higher metal layer** close to the gate; the limit from M3 to M5 is a ratio of "
            "`400:1`. [1]\n\nWhere there is no room for a jumper:\n\n1. Place a diode within 5 µm of the "
            "gate. [1][2]\n2. Check its leakage: 0.4 nA at 125 °C. [2]"
        )
        return Reply(
            ReplyKind.ANSWER,
            text,
            language,
            citations[:2],
            Band.ANSWERED,
            is_extract=True,
            suggestions=("And above M6?",) if not is_chinese else ("那 M6 以上呢？",),
            feedback_id=answer.feedback_id,
        )

    async def _scope(self, message: IncomingMessage) -> AccessScope:
        room = await self._directory.room(message.conversation)
        users = [message.user]
        if message.conversation.kind is not ConversationKind.DIRECT and room is not None:
            users = list(room.members)
            if room.kind is ConversationKind.PUBLIC:
                users += [p.ref for p in await self._directory.people() if p.is_employee]
        people = [await self._directory.person(user) for user in users]
        return AccessScope.of(p.reader if p else Reader.stranger() for p in people)


def _with(reply: Reply, text: str, citations: tuple[Citation, ...]) -> Reply:
    return Reply(
        reply.kind, text, reply.language, citations, reply.band, feedback_id=reply.feedback_id
    )


class Worker:
    """Keeps what is accepted and answers it, each event once; may be shared by several sites."""

    def __init__(
        self, converse: Callable[[IncomingMessage, Channel], Awaitable[None]], channel: Channel
    ) -> None:
        self.converse = converse
        self.failure: Exception | None = None
        self._channel = channel
        self._turns: dict[str, asyncio.Task[None]] = {}

    async def accept(self, message: IncomingMessage) -> None:
        if self.failure is not None:
            raise self.failure
        if message.event_id not in self._turns:
            turn = asyncio.create_task(self._answer(message))
            self._turns[message.event_id] = turn

    async def stop(self, event_id: str, _: ConversationRef, language: Language) -> None:
        if turn := self._turns.get(event_id):
            turn.cancel()

    async def close(self) -> None:
        for turn in self._turns.values():
            turn.cancel()
        await asyncio.gather(*self._turns.values(), return_exceptions=True)

    async def _answer(self, message: IncomingMessage) -> None:
        try:
            await self.converse(message, self._channel)
        except RuntimeError:
            language = message.locale or Language.ENGLISH
            text = texts.FAILED[language].format(number=message.event_id)
            apology = Reply(ReplyKind.NOTICE, text, language)
            await self._channel.post(apology, message.conversation, answers=message.event_id)


class WebSite:
    """A running server and what lies behind it."""

    def __init__(
        self,
        folder: Path,
        *,
        mode: WebMode = WebMode.PLAYGROUND,
        options: WebOptions | None = None,
        public_origins: tuple[str, ...] = (),
        people: str = PEOPLE,
        pause_s: float = 0.0,
        logs: MessageLogs | None = None,
        worker: Worker | None = None,
    ) -> None:
        self.people_file = folder / "people.yaml"
        self.people_file.write_text(people, encoding="utf-8")
        self.directory = YamlDirectory(self.people_file, TENANT)
        self.store = InMemoryStore()
        self.state = InMemoryState()
        self.logs = logs or InMemoryMessageLogs()
        self.channel = WebChannel(self.logs)
        self.conversation = ScriptedConversation(self.store, self.directory, pause_s=pause_s)
        self.worker = worker or Worker(self.conversation.converse, self.channel)
        self.adapter = WebAdapter(
            accept=self.worker.accept,
            stop=self.worker.stop,
            logs=self.logs,
            directory=self.directory,
            store_fetch=self.store.fetch,
            state=self.state,
            tenant=TENANT,
            access=WebAccess(mode, "127.0.0.1", public_origins=public_origins),
            options=options or WebOptions(suggestions=SUGGESTIONS, heartbeat_s=0.2),
        )
        self.url = ""

    @asynccontextmanager
    async def running(self, *, port: int = 0) -> AsyncIterator["WebSite"]:
        await self.store.write(DOCUMENTS)
        app = web.Application()
        self.adapter.mount(app)
        runner = web.AppRunner(app, shutdown_timeout=2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()
            await self.worker.close()
            await self.logs.close()
