"""Turns that outlive their worker: taken over, tried again, given up, and never answered twice."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.channel import RecordingChannel
from bot.errors import ChannelUnavailable, TryLater
from bot.inbox import Entry, InMemoryInbox
from bot.messages import ConversationRef, MessageRef, Reply, ReplyKind
from bot.turns import PRIVATE_TURN
from bot.worker import Job, Worker
from retrieval.access import AccessScope
from retrieval.errors import StoreUnavailable
from retrieval.store import InMemoryStore, SearchQuery
from retrieval.types import IndexedDocument, Passage
from tests.builders import ENG, a_document, a_message, an_acl
from tests.company import DEAL_ROOM, Company, WaitingModel, dm

QUESTION = "When is the Falcon tape-out?"


def tape_out() -> IndexedDocument:
    return a_document("The Falcon tape-out is on May 7.", title="Falcon", acl=an_acl(ENG))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


@dataclass
class Note:
    """A handler that writes down what it was given."""

    fails: int = 0
    error: Exception = field(default_factory=lambda: ZeroDivisionError("no"))
    hangs: bool = False
    handled: list[Entry] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    async def handle(self, job: Job) -> None:
        self.handled.append(job.entry)
        try:
            if self.hangs:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(job.entry.id)
            raise
        if len(self.handled) <= self.fails:
            raise self.error

    async def give_up(self, job: Job) -> None:
        self.given_up.append(job.entry.id)


def a_worker(inbox: InMemoryInbox, note: Note, *, max_tries: int = 3) -> Worker:
    return Worker(inbox, {"note": note}, max_tries=max_tries, idle_wait_s=0.05)


class TestTheWorker:
    async def test_what_is_put_is_handled_once_and_removed(self) -> None:
        inbox, note = InMemoryInbox(), Note()
        worker = a_worker(inbox, note)
        running = asyncio.create_task(worker.run())

        for _ in range(3):
            await inbox.put("e1", "c", "note", "body")
        await until(lambda: bool(note.handled))
        await worker.stop(within_s=5)
        await running

        assert [entry.body for entry in note.handled] == ["body"]
        assert (await inbox.state()).unfinished == 0

    async def test_a_failed_try_is_repeated_and_the_next_entry_waits_for_it(self) -> None:
        inbox, note = InMemoryInbox(), Note(fails=1)
        running = asyncio.create_task(a_worker(inbox, note).run())

        await inbox.put("e1", "c", "note", "")
        await inbox.put("e2", "c", "note", "")
        await until(lambda: len(note.handled) == 3)

        assert [(e.id, e.tries) for e in note.handled] == [("e1", 1), ("e1", 2), ("e2", 1)]
        running.cancel()

    async def test_what_fails_each_time_is_given_up_and_the_conversation_goes_on(self) -> None:
        inbox, note = InMemoryInbox(), Note(fails=2)
        running = asyncio.create_task(a_worker(inbox, note, max_tries=2).run())

        await inbox.put("e1", "c", "note", "")
        await inbox.put("e2", "c", "note", "")
        await until(lambda: len(note.handled) == 3)

        assert note.given_up == ["e1"]
        assert [letter.reason for letter in await inbox.dead()] == ["ZeroDivisionError"]
        running.cancel()

    async def test_whoever_kills_its_worker_each_time_is_given_up_untouched(self) -> None:
        inbox, note = InMemoryInbox(lease_s=0.05), Note()
        await inbox.put("e1", "c", "note", "")
        for _ in range(3):  # as three workers that die with it
            assert await inbox.take(wait_s=1)
        running = asyncio.create_task(a_worker(inbox, note).run())

        await until(lambda: note.given_up == ["e1"])

        assert note.handled == []
        running.cancel()

    async def test_what_must_wait_is_not_counted_as_a_failure(self) -> None:
        inbox, note = InMemoryInbox(), Note(fails=4, error=TryLater(0.01))
        running = asyncio.create_task(a_worker(inbox, note, max_tries=2).run())

        await inbox.put("e1", "c", "note", "")
        await until(lambda: len(note.handled) == 5)

        assert [entry.tries for entry in note.handled] == [1, 1, 1, 1, 1]
        assert note.given_up == []
        running.cancel()

    async def test_stopping_puts_back_what_is_not_ready_in_time(self) -> None:
        inbox, note = InMemoryInbox(), Note(hangs=True)
        worker = a_worker(inbox, note)
        running = asyncio.create_task(worker.run())
        await inbox.put("e1", "c", "note", "")
        await until(lambda: bool(note.handled))

        await worker.stop(within_s=0.05)
        await running
        taken = await inbox.take(wait_s=1)

        assert note.cancelled == ["e1"]
        assert taken is not None
        assert (taken.entry.id, taken.entry.tries) == ("e1", 1)

    async def test_whoever_loses_its_loan_is_stopped(self) -> None:
        now = [0.0]
        inbox, note = InMemoryInbox(lease_s=0.3, clock=lambda: now[0]), Note(hangs=True)
        running = asyncio.create_task(a_worker(inbox, note).run())
        await inbox.put("e1", "c", "note", "")
        await until(lambda: bool(note.handled))

        now[0] += 1  # as if the process had slept for longer than its loan
        other = await inbox.take(wait_s=1)
        await until(lambda: note.cancelled == ["e1"])

        assert other is not None
        assert await inbox.done(other)
        running.cancel()

    async def test_a_stopping_worker_takes_nothing_more(self) -> None:
        inbox, note = InMemoryInbox(), Note(hangs=True)
        worker = Worker(inbox, {"note": note}, slots=1, idle_wait_s=0.05)
        running = asyncio.create_task(worker.run())
        await inbox.put("e1", "c1", "note", "")
        await inbox.put("e2", "c2", "note", "")
        await until(lambda: bool(note.handled))

        await worker.stop(within_s=0.05)
        await running

        assert [entry.id for entry in note.handled] == ["e1"]
        assert {(await inbox.take(wait_s=1)).entry.id for _ in range(2)} == {"e1", "e2"}  # type: ignore[union-attr]

    async def test_what_nobody_waits_for_takes_no_slot_of_what_somebody_does(self) -> None:
        inbox, note = InMemoryInbox(), Note()
        private = Note(hangs=True)
        worker = Worker(inbox, {"note": note, "private": private}, slots=1, idle_wait_s=0.05)
        running = asyncio.create_task(worker.run())
        for n in range(3):
            await inbox.put(f"p{n}", f"p{n}", "private", "", is_awaited=False)
        await until(lambda: bool(private.handled))

        await inbox.put("e1", "c", "note", "")
        await until(lambda: bool(note.handled))

        assert len(private.handled) == 1
        running.cancel()

    async def test_a_platform_that_is_away_for_a_moment_is_no_failure_of_the_entry(self) -> None:
        inbox, note = InMemoryInbox(), Note(fails=1, error=ChannelUnavailable("away"))
        running = asyncio.create_task(a_worker(inbox, note, max_tries=1).run())

        await inbox.put("e1", "c", "note", "")
        await until(lambda: len(note.handled) == 2)

        assert note.given_up == []
        running.cancel()

    async def test_what_no_version_reads_is_buried_in_the_end(self) -> None:
        inbox, note = InMemoryInbox(clock=lambda: time.time() - 7200), Note()
        running = asyncio.create_task(a_worker(inbox, note).run())

        await inbox.put("new", "c", "from the future", "")
        await inbox.put("known", "c", "note", "")
        await until(lambda: bool(note.handled))

        (letter,) = await inbox.dead()
        assert "another version" in letter.reason
        running.cancel()

    async def test_a_kind_that_only_a_newer_version_knows_is_left_to_it(self) -> None:
        inbox, note = InMemoryInbox(), Note()
        running = asyncio.create_task(a_worker(inbox, note).run())

        await inbox.put("new", "c1", "from the future", "")
        await inbox.put("known", "c2", "note", "")
        await until(lambda: bool(note.handled))

        assert [entry.id for entry in note.handled] == ["known"]
        assert (await inbox.state()).unfinished == 1
        running.cancel()


class DiesAfter(RecordingChannel):
    """Its worker dies once *kind* was shown: nothing comes back from the call."""

    def __init__(self, kind: ReplyKind) -> None:
        super().__init__()
        self._kind: ReplyKind | None = kind
        self.dead = asyncio.Event()

    async def post(self, reply: Reply, to: ConversationRef, *, answers: str) -> MessageRef:
        ref = await super().post(reply, to, answers=answers)
        await self._die_of(reply)
        return ref

    async def update(self, message: MessageRef, reply: Reply) -> None:
        await super().update(message, reply)
        await self._die_of(reply)

    async def _die_of(self, reply: Reply) -> None:
        if reply.kind is self._kind:
            self._kind = None
            self.dead.set()
            await asyncio.Event().wait()


class DrawsIds(DiesAfter):
    """Gives every message an id of its own, as chat platforms do: what is not noted is posted twice."""

    async def post(self, reply: Reply, to: ConversationRef, *, answers: str) -> MessageRef:
        return await super().post(reply, to, answers=f"{answers}-{len(self.posted)}")


class TestATurnThatIsTakenOver:
    async def test_goes_on_where_only_the_inbox_knows_the_message(self, tmp_path: Path) -> None:
        channel = DrawsIds(ReplyKind.ANSWER)
        company = Company(tmp_path, channel=channel, max_tries=3)
        await company.knows(tape_out())
        message = a_message(QUESTION)
        await company.begin(message)
        await channel.dead.wait()

        await company.dies()
        await company.received(message)

        (posted,) = channel.posted
        assert "May 7" in posted.final.text

    async def test_its_message_is_noted_before_anything_is_filled_in(self, tmp_path: Path) -> None:
        company = Company(tmp_path, model=(model := WaitingModel("Falcon")), max_tries=3)
        await company.knows(tape_out())
        message = a_message(QUESTION)
        await company.begin(message)
        await model.waits.wait()
        await company.dies()

        taken = await company.inbox.take(wait_s=5)

        (posted,) = company.channel.posted
        assert taken is not None
        assert taken.entry.posted == posted.ref.id
        assert [reply.kind for reply in posted.versions] == [ReplyKind.STATUS]

    @pytest.mark.parametrize("kind", [ReplyKind.STATUS, ReplyKind.ANSWER])
    async def test_goes_on_in_the_same_message_and_is_remembered_once(
        self, tmp_path: Path, kind: ReplyKind
    ) -> None:
        channel = DiesAfter(kind)
        company = Company(tmp_path, channel=channel, max_tries=3)
        await company.knows(tape_out())
        message = a_message(QUESTION)
        await company.begin(message)
        await channel.dead.wait()

        await company.dies()
        await company.received(message)

        (posted,) = channel.posted
        assert "May 7" in posted.final.text
        assert posted.final.kind is ReplyKind.ANSWER
        session = await company.state.load_session(message.conversation.key)
        assert [turn.question for turn in session.turns] == [QUESTION]

    async def test_asked_for_in_private_it_is_told_once(self, tmp_path: Path) -> None:
        company = Company(tmp_path, model=(model := WaitingModel("Falcon")), max_tries=3)
        await company.knows(tape_out())
        message = a_message(QUESTION, conversation=DEAL_ROOM)
        await company.begin(message)
        await model.waits.wait()

        await company.dies()
        model.go_on.set()
        await company.received(message)

        public, private = company.channel.posted
        assert "May 7" not in public.final.text
        assert "May 7" in private.final.text

    async def test_the_private_part_waits_in_a_conversation_of_its_own(
        self, tmp_path: Path
    ) -> None:
        company = Company(tmp_path, model=(model := WaitingModel("Falcon")), max_tries=3)
        await company.knows(tape_out())
        message = a_message(QUESTION, conversation=DEAL_ROOM)
        await company.begin(message)
        await model.waits.wait()
        await company.inbox.ended(message.event_id)

        await company.dies()
        taken = await company.inbox.take(wait_s=2)

        assert taken is not None
        assert taken.entry.kind == PRIVATE_TURN
        assert taken.entry.conversation != message.conversation.key


class Away(InMemoryStore):
    """Does not answer the first *times* searches."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    async def search(self, query: SearchQuery, scope: AccessScope, *, top_k: int) -> list[Passage]:
        if self._times > 0:
            self._times -= 1
            raise StoreUnavailable("gone")
        return await super().search(query, scope, top_k=top_k)


class TestWhenTheStoreIsAway:
    async def test_a_fresh_question_says_so_waits_and_is_answered(self, tmp_path: Path) -> None:
        company = Company(tmp_path, store=Away(2))
        await company.knows(tape_out())

        (posted,) = await company.received(replace(a_message(QUESTION), sent_at=datetime.now(UTC)))

        assert any("I keep trying" in reply.text for reply in posted.versions)
        assert "May 7" in posted.final.text


class TestWhatIsGivenUp:
    async def test_the_asker_is_told_and_an_operators_retry_answers_in_the_same_message(
        self, tmp_path: Path
    ) -> None:
        class BreaksOnce(InMemoryStore):
            is_broken = True

            async def search(
                self, query: SearchQuery, scope: AccessScope, *, top_k: int
            ) -> list[Passage]:
                if self.is_broken:
                    raise ZeroDivisionError("secret detail")
                return await super().search(query, scope, top_k=top_k)

        store = BreaksOnce()
        company = Company(tmp_path, store=store)
        await company.knows(tape_out())
        (posted,) = await company.received(message := a_message(QUESTION))
        told = posted.final.text

        store.is_broken = False
        assert await company.inbox.revive(message.event_id)
        await until(lambda: "May 7" in posted.final.text)

        assert message.event_id in told
        assert len(company.channel.posted) == 1

    async def test_under_load_the_asker_is_told_that_it_takes_longer(self, tmp_path: Path) -> None:
        company = Company(tmp_path, busy_above=2)
        await company.knows(tape_out())
        for n in range(2):
            await company.inbox.put(f"other{n}", f"c{n}", "of another version", "")

        (posted,) = await company.received(
            a_message("Falcon 什麼時候下線？", user="ben", conversation=dm("ben"))
        )

        assert posted.versions[0].text.startswith("目前有 ")
        assert posted.final.kind is ReplyKind.ANSWER
