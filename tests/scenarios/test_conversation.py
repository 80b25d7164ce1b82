"""Conversations as people have them: who asks where, and what everybody reads."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bot import texts
from bot.channel import Posted, RecordingChannel
from bot.errors import ChannelUnavailable
from bot.messages import ConversationRef, MessageRef, Reply, ReplyKind, UserRef
from bot.redis_client import open_redis
from bot.redis_state import RedisState
from bot.yaml_directory import YamlDirectory
from retrieval.access import PUBLIC, AccessScope, Level, tenant_principal
from retrieval.embedded_store import EmbeddedStore
from retrieval.errors import StoreUnavailable
from retrieval.models import ModelMessage, ScriptedModel
from retrieval.store import InMemoryStore, SearchQuery
from retrieval.types import Band, IndexedDocument, Language, Passage, Usage
from tests.builders import (
    ENG,
    SALES,
    TENANT,
    a_conversation,
    a_document,
    a_message,
    an_acl,
)
from tests.company import (
    DEAL_ROOM,
    ENG_ROOM,
    GENERAL,
    LIMITS_WITHOUT_PRIVATE_REPLIES,
    PEOPLE,
    ChangingRooms,
    Company,
    TellingModel,
    WaitingModel,
    dm,
    everything_shown,
)

EVERYBODY = tenant_principal(TENANT)
QUESTION = "When is the Falcon tape-out?"


def tape_out(text: str = "The Falcon tape-out is on May 7.") -> IndexedDocument:
    return a_document(text, id="tape-out", title="Falcon schedule", acl=an_acl(ENG))


def leave() -> IndexedDocument:
    return a_document(
        "Parental leave is at most 24 months in Taiwan.",
        "Parental leave in Germany is at most 36 months.",
        id="leave",
        title="Leave",
        acl=an_acl(EVERYBODY),
    )


@pytest.fixture
async def company(tmp_path: Path) -> Company:
    company = Company(tmp_path)
    await company.knows(tape_out(), leave())
    return company


def versions(posted: Posted) -> list[Reply]:
    """What people could tell apart; the id under which feedback is kept is drawn anew each time."""
    return [replace(reply, feedback_id=None) for reply in posted.versions]


class TestWhoReads:
    async def test_an_engineer_is_answered_with_a_citation(self, company: Company) -> None:
        (posted,) = await company.asked(QUESTION, user="ann")

        assert [reply.kind for reply in posted.versions] == [ReplyKind.STATUS, ReplyKind.ANSWER]
        assert "> The Falcon tape-out is on May 7. [1]" in posted.final.text
        assert posted.final.citations[0].chunk.document.id == "tape-out"
        assert posted.final.band is Band.ANSWERED
        assert posted.final.feedback_id
        assert posted.final.notice is None

    async def test_the_same_question_tells_a_salesman_nothing(self, company: Company) -> None:
        posted = await company.asked(QUESTION, user="sam")

        assert posted[-1].final.band is not Band.ANSWERED
        assert "Falcon" not in everything_shown(posted)
        assert "May 7" not in everything_shown(posted)

    async def test_a_room_of_engineers_is_answered(self, company: Company) -> None:
        assert "May 7" in await company.told(QUESTION, user="ann", where=ENG_ROOM)

    async def test_in_a_mixed_room_the_engineer_is_answered_in_private(
        self, company: Company
    ) -> None:
        public, private = await company.asked(QUESTION, user="ann", where=DEAL_ROOM)

        assert "Falcon" not in everything_shown([public])
        assert private.ref.private_to == UserRef(TENANT, "ann")
        assert private.ref.conversation == DEAL_ROOM
        assert "May 7" in private.final.text

    async def test_in_a_mixed_room_the_salesman_gets_no_private_reply(
        self, company: Company
    ) -> None:
        (public,) = await company.asked(QUESTION, user="sam", where=DEAL_ROOM)

        assert "Falcon" not in everything_shown([public])

    async def test_in_a_public_room_of_engineers_others_could_still_join(
        self, tmp_path: Path
    ) -> None:
        rooms = {"#general": {"kind": "public", "members": ["ann", "ben"]}}
        company = Company(tmp_path, people=PEOPLE | {"conversations": rooms})
        await company.knows(tape_out(), leave())

        public, private = await company.asked(QUESTION, user="ann", where=GENERAL)

        assert "Falcon" not in everything_shown([public])
        assert private.ref.private_to == UserRef(TENANT, "ann")

    async def test_what_every_employee_may_read_is_said_in_public(self, company: Company) -> None:
        told = await company.told("How long is parental leave in Taiwan?", where=GENERAL)

        assert "24 months" in told

    async def test_what_is_confidential_is_not_said_where_anyone_can_join(
        self, tmp_path: Path
    ) -> None:
        company = Company(tmp_path)
        acl = an_acl(EVERYBODY, level=Level.CONFIDENTIAL)
        await company.knows(a_document("The merger is with Globex.", acl=acl))

        public, private = await company.asked("Who is the merger with?", where=GENERAL)

        assert "Globex" not in everything_shown([public])
        assert "Globex" in private.final.text

    async def test_a_room_that_the_platform_calls_private_and_the_directory_public_is_public(
        self, company: Company
    ) -> None:
        misnamed = replace(GENERAL, kind=ENG_ROOM.kind)

        posted = await company.asked(QUESTION, user="ann", where=misnamed)

        assert "Falcon" not in everything_shown(posted[:1])

    async def test_somebody_unknown_reads_what_is_public_and_is_told_why(
        self, company: Company
    ) -> None:
        await company.knows(
            a_document("The office opens at nine.", acl=an_acl(PUBLIC, level=Level.PUBLIC))
        )

        (told,) = await company.asked("When does the office open?", user="stranger")
        (untold,) = await company.asked(QUESTION, user="stranger")

        assert "nine" in told.final.text
        assert "could not check" in (told.final.notice or "")
        assert "Falcon" not in everything_shown([untold])

    async def test_a_guest_reads_what_is_public_and_nothing_is_missing(
        self, company: Company
    ) -> None:
        (posted,) = await company.asked("How long is parental leave in Taiwan?", user="gus")

        assert "24 months" not in everything_shown([posted])
        assert posted.final.notice is None

    async def test_while_the_directory_is_down_everybody_is_a_stranger(
        self, company: Company, tmp_path: Path
    ) -> None:
        (tmp_path / "people.yaml").unlink()

        (posted,) = await company.asked(QUESTION, user="ann")
        room = await company.asked(QUESTION, user="ann", where=DEAL_ROOM)

        assert "Falcon" not in everything_shown([posted, *room])
        assert "could not check" in (posted.final.notice or "")
        assert len(room) == 1

    async def test_a_platform_without_private_replies_gets_the_public_one_alone(
        self, tmp_path: Path
    ) -> None:
        company = Company(tmp_path, channel=RecordingChannel(LIMITS_WITHOUT_PRIVATE_REPLIES))
        await company.knows(tape_out())

        (public,) = await company.asked(QUESTION, user="ann", where=DEAL_ROOM)

        assert "Falcon" not in everything_shown([public])


class TestThePublicReplyGivesNoHint:
    @pytest.mark.parametrize("room", [DEAL_ROOM, GENERAL])
    @pytest.mark.parametrize("has_model", [False, True])
    async def test_it_is_the_same_whether_or_not_a_secret_exists(
        self, tmp_path: Path, room: ConversationRef, has_model: bool
    ) -> None:
        with_secret = Company(tmp_path, model=TellingModel() if has_model else None)
        without = Company(tmp_path, model=TellingModel() if has_model else None)
        await with_secret.knows(leave(), tape_out())
        await without.knows(leave())

        for question in (QUESTION, "How long is parental leave?", "And the Falcon tape-out?"):
            public, *private = await with_secret.asked(question, user="ann", where=room)
            (alone,) = await without.asked(question, user="ann", where=room)

            assert versions(public) == versions(alone)
            assert all("May 7" in p.final.text for p in private if "Falcon" in question)

    async def test_a_private_reply_that_fails_leaves_the_public_one_as_it_is(
        self, tmp_path: Path
    ) -> None:
        class FailsInPrivate(RecordingChannel):
            async def post_private(
                self, reply: Reply, to: ConversationRef, user: UserRef, *, answers: str
            ) -> MessageRef:
                raise ChannelUnavailable("no")

        company = Company(tmp_path, channel=FailsInPrivate())
        await company.knows(tape_out(), leave())
        message = a_message(QUESTION, conversation=DEAL_ROOM)
        await company.begin(message)

        await company.inbox.ended(message.event_id)

        (public,) = company.channel.posted
        assert [r.kind for r in public.versions] == [ReplyKind.STATUS, ReplyKind.ANSWER]

    async def test_a_store_that_fails_in_the_private_part_leaves_it_too(
        self, tmp_path: Path
    ) -> None:
        class FailsForEngineers(InMemoryStore):
            async def search(
                self, query: SearchQuery, scope: AccessScope, *, top_k: int
            ) -> list[Passage]:
                if scope.allows(an_acl(ENG)):
                    raise StoreUnavailable("gone")
                return await super().search(query, scope, top_k=top_k)

        company = Company(tmp_path, store=FailsForEngineers())
        await company.knows(tape_out(), leave())
        message = a_message(QUESTION, conversation=DEAL_ROOM)
        await company.begin(message)

        await company.inbox.ended(message.event_id)

        (public,) = company.channel.posted
        assert [r.kind for r in public.versions] == [ReplyKind.STATUS, ReplyKind.ANSWER]
        # The private part is tried again later, and nobody waits for it.
        assert (await company.inbox.state()).unfinished == 1
        assert "24 months" in await company.told("How long is parental leave?", user="sam")

    async def test_the_next_question_does_not_wait_for_the_private_part(
        self, tmp_path: Path
    ) -> None:
        model = WaitingModel("Falcon")
        company = Company(tmp_path, model=model)
        await company.knows(tape_out(), leave())
        first = asyncio.create_task(company.asked(QUESTION, user="ann", where=DEAL_ROOM))
        await model.waits.wait()

        told = await company.told("How long is parental leave?", user="sam", where=DEAL_ROOM)

        assert "24 months" in told
        model.go_on.set()
        assert any("May 7" in posted.final.text for posted in await first)


class TestMemory:
    async def test_a_follow_up_is_understood(self, company: Company) -> None:
        await company.asked("How long is parental leave?")

        assert "36 months" in await company.told("And in Germany?")

    async def test_a_follow_up_is_understood_in_chinese(self, tmp_path: Path) -> None:
        company = Company(tmp_path)
        await company.knows(
            a_document("育嬰留職停薪最長二十四個月。", title="期間"),
            a_document("父親也可以申請育嬰留職停薪。", title="對象"),
        )
        await company.asked("育嬰留職停薪要怎麼申請？")

        (posted,) = await company.asked("那父親呢？")

        assert posted.final.citations[0].chunk.document.title == "對象"
        assert posted.final.language is Language.CHINESE

    async def test_conversations_do_not_share_their_memory(self, company: Company) -> None:
        await company.asked("How long is parental leave in Taiwan?")

        (other,) = await company.asked(
            "And in Germany?", user="ben", where=a_conversation("D-ben", thread="t2")
        )

        assert (await company.state.load_session(dm("ann").key)).turns[0].standalone
        session = await company.state.load_session(other.ref.conversation.key)
        assert session.turns[0].standalone == "And in Germany?"

    async def test_forgotten_is_forgotten(self, company: Company) -> None:
        await company.asked("How long is parental leave in Taiwan?")

        told = await company.told("forget")

        assert told == texts.FORGOTTEN_ALONE[Language.ENGLISH]
        assert (await company.state.load_session(dm("ann").key)).turns == ()

    async def test_a_private_turn_is_never_part_of_a_public_one(self, tmp_path: Path) -> None:
        model = TellingModel()
        company = Company(tmp_path, model=model)
        await company.knows(tape_out(), leave())

        _, private = await company.asked(QUESTION, user="ann", where=DEAL_ROOM)
        shared = await company.state.load_session(DEAL_ROOM.key)
        model.asked.clear()
        posted = await company.asked("And how is it?", user="sam", where=DEAL_ROOM)

        assert "May 7" in private.final.text
        assert "May 7" not in repr(shared)
        assert "May 7" not in "".join(model.asked)
        assert "May 7" not in everything_shown(posted)

    async def test_in_private_the_asker_can_follow_up(self, company: Company) -> None:
        await company.knows(
            a_document("The Falcon tape-out budget is 9 million.", acl=an_acl(ENG), title="Falcon")
        )
        await company.asked(QUESTION, user="ann", where=DEAL_ROOM)

        public, private = await company.asked("And the budget?", user="ann", where=DEAL_ROOM)

        assert "9 million" not in everything_shown([public])
        assert "9 million" in private.final.text

    async def test_a_turn_is_not_used_once_its_passages_may_no_longer_be_read(
        self, tmp_path: Path
    ) -> None:
        model = TellingModel()
        company = Company(tmp_path, model=model)
        await company.knows(tape_out(), leave())
        await company.asked(QUESTION, user="ann")
        await company.store.change_acl("tape-out", an_acl(SALES))
        model.asked.clear()

        posted = await company.asked("And how long is it?", user="ann")

        assert "May 7" not in "".join(model.asked)
        assert "May 7" not in everything_shown(posted)

    async def test_what_a_later_turn_took_from_it_is_not_used_either(self, tmp_path: Path) -> None:
        model = ScriptedModel(
            "The new chip is called Peregrine. [1]",
            "EN: How long is parental leave in the Peregrine team?\nZH: 育嬰假多久？",
            "Parental leave of the Peregrine team is at most 24 months in Taiwan. [1]",
            "EN: How long is parental leave in Germany?\nZH: 育嬰假多久？",
            "Parental leave in Germany is at most 36 months. [1]",
        )
        company = Company(tmp_path, model=model)
        await company.knows(
            a_document("The new chip is called Peregrine.", id="name", acl=an_acl(ENG)), leave()
        )
        await company.asked("What is the new chip called?", user="ann")
        await company.asked("And how long is parental leave?", user="ann")
        second = (await company.state.load_session(dm("ann").key)).turns[1]
        await company.store.change_acl("name", an_acl(SALES))
        asked_before = len(model.asked)

        await company.asked("And in Germany?", user="ann")

        assert "Peregrine" in second.answer
        assert [c for c in second.chunk_ids if c.startswith("leave")]
        assert len(model.asked) > asked_before
        assert "Peregrine" not in repr(model.asked[asked_before:])

    async def test_a_new_question_is_not_polluted_by_the_last_one(self, tmp_path: Path) -> None:
        model = TellingModel()
        company = Company(tmp_path, model=model)
        await company.knows(tape_out(), leave())
        await company.asked(QUESTION, user="ann")
        model.asked.clear()

        await company.asked("How long is parental leave for employees in Taiwan?", user="ann")

        assert len(model.asked) == 1
        assert "May 7" not in model.asked[0].partition("Passage [1]")[0]


class TestTurns:
    async def test_a_message_delivered_twice_is_answered_once(self, company: Company) -> None:
        message = a_message(QUESTION)

        first, again = await company.received(message), await company.received(message)

        assert (len(first), len(again)) == (1, 0)

    async def test_a_message_delivered_twice_at_once_is_answered_once(
        self, company: Company
    ) -> None:
        message = a_message(QUESTION)

        await asyncio.gather(*(company.received(message) for _ in range(3)))

        assert len(company.channel.posted) == 1

    async def test_questions_of_one_conversation_take_turns_and_others_do_not_wait(
        self, tmp_path: Path
    ) -> None:
        model = WaitingModel("Falcon")
        channel = _NotesOrder()
        company = Company(tmp_path, model=model, channel=channel)
        await company.knows(tape_out(), leave())
        second = "How long is parental leave in Taiwan, the first time?"

        slow = asyncio.create_task(company.received(a_message(QUESTION)))
        await model.waits.wait()
        next_one = asyncio.create_task(company.received(a_message(second)))
        await asyncio.wait_for(
            company.received(a_message(second, user="ben", conversation=dm("ben"))), 30
        )
        answered_before = list(channel.answered)
        model.go_on.set()
        await asyncio.gather(slow, next_one)

        assert answered_before == ["D-ben"]
        session = await company.state.load_session(a_conversation().key)
        assert [turn.question for turn in session.turns] == [QUESTION, second]

    async def test_a_waiting_question_is_told_so_at_once(self, tmp_path: Path) -> None:
        model = WaitingModel("Falcon")
        company = Company(tmp_path, model=model)
        await company.knows(tape_out(), leave())
        slow = asyncio.create_task(company.received(a_message(QUESTION)))
        await model.waits.wait()

        second = asyncio.create_task(company.received(a_message("How long is parental leave?")))
        await until(lambda: len(company.channel.posted) == 2)
        status = company.channel.posted[1].final
        model.go_on.set()
        await asyncio.gather(slow, second)

        assert status.kind is ReplyKind.STATUS
        assert "yours follows" in status.text
        assert "24 months" in company.channel.posted[1].final.text

    async def test_a_turn_that_takes_too_long_says_so_and_shows_nothing_afterwards(
        self, tmp_path: Path
    ) -> None:
        model = WaitingModel("Falcon")
        company = Company(tmp_path, model=model, turn_timeout_s=0.3)
        await company.knows(tape_out())

        (posted,) = await company.asked(QUESTION)

        assert "so I stopped" in posted.final.text
        assert posted.final.kind is ReplyKind.NOTICE
        assert model.closed.is_set()

    async def test_a_stopped_turn_says_so_stops_the_model_and_frees_the_conversation(
        self, tmp_path: Path
    ) -> None:
        model = WaitingModel("Falcon")
        company = Company(tmp_path, model=model)
        await company.knows(tape_out(), leave())
        message = a_message(QUESTION)
        turn = asyncio.create_task(company.received(message))
        await model.waits.wait()

        await company.stop(message)
        await turn

        assert model.closed.is_set()
        assert company.channel.posted[0].final.text == "Stopped."
        assert "24 months" in await company.told("How long is parental leave in Taiwan?")
        assert company.channel.posted[0].final.text == "Stopped."

    async def test_what_was_shown_before_stopping_stays(self, tmp_path: Path) -> None:
        model = _StopsHalfway()
        company = Company(tmp_path, model=model)
        await company.knows(leave())
        message = a_message("How long is parental leave in Taiwan?")
        turn = asyncio.create_task(company.received(message))
        await until(lambda: company.channel.posted[0].final.kind is ReplyKind.PARTIAL, model.waits)

        await company.stop(message)
        (posted,) = await turn

        assert "24 months" in posted.final.text
        assert posted.final.kind is ReplyKind.ANSWER
        assert posted.final.notice == "Stopped."

    async def test_stopping_ends_the_turn_when_the_platform_is_down(self, tmp_path: Path) -> None:
        class NoUpdates(RecordingChannel):
            async def update(self, message: MessageRef, reply: Reply) -> None:
                raise ChannelUnavailable("no")

        model = WaitingModel("Falcon")
        company = Company(tmp_path, model=model, channel=NoUpdates())
        await company.knows(tape_out())
        message = a_message(QUESTION)
        turn = asyncio.create_task(company.received(message))
        await model.waits.wait()

        await company.stop(message)
        await turn

        assert model.closed.is_set()

    async def test_a_platform_that_takes_nothing_is_waited_for(self, tmp_path: Path) -> None:
        class TakesNothingAtFirst(RecordingChannel):
            refused = 0

            async def post(self, reply: Reply, to: ConversationRef, *, answers: str) -> MessageRef:
                if self.refused < 2:
                    self.refused += 1
                    raise ChannelUnavailable("no")
                return await super().post(reply, to, answers=answers)

        company = Company(tmp_path, channel=TakesNothingAtFirst())
        await company.knows(leave())

        told = await company.told("How long is parental leave in Taiwan?")

        assert "24 months" in told
        assert await company.inbox.dead() == []

    async def test_a_platform_that_fails_while_the_answer_grows_gets_all_of_it_later(
        self, tmp_path: Path
    ) -> None:
        class FailsOnce(RecordingChannel):
            has_failed = False

            async def update(self, message: MessageRef, reply: Reply) -> None:
                if reply.kind is ReplyKind.PARTIAL and not self.has_failed:
                    self.has_failed = True
                    raise ChannelUnavailable("no")
                await super().update(message, reply)

        channel = FailsOnce()
        company = Company(tmp_path, model=TellingModel(), channel=channel)
        await company.knows(tape_out())

        told = await company.told(QUESTION)

        assert channel.has_failed
        assert "May 7" in told

    async def test_an_answer_grows_and_nothing_is_taken_back(self, tmp_path: Path) -> None:
        company = Company(tmp_path, model=TellingModel())
        await company.knows(
            tape_out("The Falcon tape-out is on May 7.\nThe Falcon tape-out takes a day.")
        )

        (posted,) = await company.asked(QUESTION)

        texts = [reply.text for reply in posted.versions[1:]]
        assert len(texts) == 3
        assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


class TestReadersWhoCome:
    async def test_somebody_who_joins_before_the_reply_reads_nothing_forbidden(
        self, tmp_path: Path
    ) -> None:
        company = await self.a_company(tmp_path, ["ann", "ben"], ["ann", "ben", "sam"])

        posted = await company.asked(QUESTION, user="ann", where=ENG_ROOM)

        assert "Falcon" not in everything_shown(posted[:1])
        assert posted[0].final.kind is ReplyKind.ANSWER

    @pytest.mark.parametrize("has_model", [False, True])
    async def test_a_room_that_keeps_changing_gets_no_answer_and_the_reason(
        self, tmp_path: Path, has_model: bool
    ) -> None:
        few, many = ["ann", "ben"], ["ann", "ben", "sam"]
        company = await self.a_company(
            tmp_path, few, many, few, many, model=TellingModel() if has_model else None
        )

        (posted,) = await company.asked(QUESTION, user="ann", where=ENG_ROOM)

        assert "Falcon" not in everything_shown([posted])
        assert "changed while I was answering" in posted.final.text

    async def test_what_was_begun_is_replaced_once_somebody_joins(self, tmp_path: Path) -> None:
        few, many = ["ann", "ben"], ["ann", "ben", "sam"]
        company = await self.a_company(tmp_path, few, few, many, model=TellingModel())

        posted = await company.asked(QUESTION, user="ann", where=ENG_ROOM)

        assert posted[0].versions[1].kind is ReplyKind.PARTIAL
        assert "Falcon" not in posted[0].final.text
        assert all("Falcon" not in c.chunk.text for c in posted[0].final.citations)

    async def test_somebody_who_joins_and_may_read_it_all_changes_nothing(
        self, tmp_path: Path
    ) -> None:
        company = await self.a_company(tmp_path, ["ann"], ["ann", "ben"])

        (posted,) = await company.asked(QUESTION, user="ann", where=ENG_ROOM)

        assert "May 7" in posted.final.text

    async def test_rights_that_shrink_before_the_reply_hold(self, tmp_path: Path) -> None:
        model = WaitingModel("Falcon")
        company = Company(tmp_path, model=model)
        await company.knows(tape_out(), leave())
        turn = asyncio.create_task(company.asked(QUESTION, user="ann"))
        await model.waits.wait()

        await company.store.change_acl("tape-out", an_acl(SALES))
        model.go_on.set()

        (posted,) = await turn
        assert "Falcon" not in everything_shown([posted])

    async def a_company(
        self, folder: Path, *members: list[str], model: TellingModel | None = None
    ) -> Company:
        company = Company(folder)
        directory = ChangingRooms(YamlDirectory(folder / "people.yaml", TENANT), *members)
        company = Company(folder, directory=directory, model=model)
        await company.knows(tape_out(), leave())
        return company


class TestWithoutASearch:
    @pytest.mark.parametrize("text", ["", "  \n "])
    async def test_an_empty_message_is_answered_with_an_example(
        self, company: Company, text: str
    ) -> None:
        english = await company.told(text)
        message = replace(a_message(text), locale=Language.CHINESE)
        (chinese,) = await company.received(message)

        assert english.startswith("Please write a question")
        assert chinese.final.text.startswith("請輸入問題")

    async def test_a_message_that_is_too_long_is_told_its_length(self, company: Company) -> None:
        told = await company.told("x" * 8_001)

        assert "8001" in told
        assert "8000" in told

    @pytest.mark.parametrize("text", ["help", " HELP ", "/help", "?", "？", "說明"])
    async def test_help_is_one_message_and_no_search(self, company: Company, text: str) -> None:
        (posted,) = await company.asked(text)

        assert len(posted.versions) == 1
        assert posted.final.kind is ReplyKind.NOTICE
        assert "forget" in posted.final.text or "忘記" in posted.final.text

    async def test_a_question_that_holds_a_command_is_a_question(self, company: Company) -> None:
        (posted,) = await company.asked("Who can help me with parental leave in Taiwan?")

        assert posted.final.kind is ReplyKind.ANSWER

    async def test_who_asks_too_much_is_asked_to_wait_and_others_are_not(
        self, tmp_path: Path
    ) -> None:
        company = Company(tmp_path, questions_per_minute=2)
        await company.knows(leave())
        question = "How long is parental leave in Taiwan?"

        mine = [await company.told(question) for _ in range(3)]

        assert ["24 months" in told for told in mine] == [True, True, False]
        assert "wait a moment" in mine[2]
        assert "24 months" in await company.told(question, user="ben")


class TestWhenSomethingIsDown:
    async def test_a_closed_store_is_named_in_a_clear_sentence(self, tmp_path: Path) -> None:
        store = await EmbeddedStore.open(tmp_path / "store", embedder_name=None)
        company = Company(tmp_path, store=store)
        await company.knows(leave())
        await store.close()

        english = await company.told("How long is parental leave?")
        chinese = await company.told("育嬰假可以請多久？")

        assert english.startswith("I cannot reach the document store")
        assert chinese.startswith("目前無法連上文件庫")

    async def test_without_redis_the_answer_comes_with_a_notice(self, tmp_path: Path) -> None:
        redis = open_redis("redis://127.0.0.1:1/0", timeout_s=0.5)
        company = Company(tmp_path, state=RedisState(redis, tenant=TENANT, timeout_s=1))
        await company.knows(leave())

        (posted,) = await company.asked("How long is parental leave in Taiwan?")

        assert "24 months" in posted.final.text
        assert "cannot remember" in (posted.final.notice or "")
        assert "cannot remember" in await company.told("forget")

    async def test_an_unforeseen_failure_gives_a_number_and_no_details(
        self, tmp_path: Path
    ) -> None:
        class Breaks(InMemoryStore):
            async def search(
                self, query: SearchQuery, scope: AccessScope, *, top_k: int
            ) -> list[Passage]:
                raise ZeroDivisionError("secret detail")

        company = Company(tmp_path, store=Breaks())

        (posted,) = await company.asked(QUESTION)

        assert "give the administrator this number" in posted.final.text
        assert [letter.reason for letter in await company.inbox.dead()] == ["ZeroDivisionError"]
        assert "secret detail" not in everything_shown([posted])
        assert "ZeroDivision" not in everything_shown([posted])


class _NotesOrder(RecordingChannel):
    """Also keeps in which conversation an answer came first."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: list[str] = []

    async def update(self, message: MessageRef, reply: Reply) -> None:
        if reply.kind is ReplyKind.ANSWER:
            self.answered.append(message.conversation.channel)
        await super().update(message, reply)


class _StopsHalfway(TellingModel):
    """Tells two sentences and then no more."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = asyncio.Event()

    async def stream(
        self, messages: Sequence[ModelMessage], *, max_tokens: int
    ) -> AsyncIterator[str | Usage]:
        async for part in super().stream(messages, max_tokens=max_tokens):
            yield part
            yield " \n"
            self.waits.set()
            await asyncio.sleep(0.05)
            yield part
            await asyncio.Event().wait()


async def until(holds: Callable[[], bool], ready: asyncio.Event | None = None) -> None:
    async with asyncio.timeout(20):
        if ready is not None:
            await ready.wait()
        while not holds():
            await asyncio.sleep(0.01)
