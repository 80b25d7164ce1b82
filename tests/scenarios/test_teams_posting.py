"""How a reply appears in Teams: one message, whatever Teams refuses and whoever is killed meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapters.chat import texts
from adapters.teams import verbs
from adapters.teams.personal_cards import personal_view
from bot.channel import Channel
from bot.errors import ChannelUnavailable
from bot.messages import MessageRef, Reply, ReplyKind
from retrieval.types import Band, Language
from tests.fakes.teams.messages import Message
from tests.teams_stage import ANN, BEN, CHAT, HOME, ROOM, TeamsStage, a_teams_stage, words_of
from tests.unit.test_slack_render import a_citation

EN = Language.ENGLISH
FIRST = "Press **reset** for three seconds [1]."
WHOLE = FIRST + " Then wait for the green light [1]."

SEARCHING = Reply(ReplyKind.STATUS, "Searching the documents…", EN)
HALF = Reply(ReplyKind.PARTIAL, FIRST, EN)
ANSWER = Reply(
    ReplyKind.ANSWER, WHOLE, EN, citations=(a_citation(),), band=Band.ANSWERED, feedback_id="f1"
)
WITH_TABLE = replace(ANSWER, text=FIRST + "\n\n| Mode | Volts |\n|---|---|\n| idle | 0.9 [1] |")
FULLER = replace(
    ANSWER,
    text="The secret key is under the mat [1].",
    feedback_id="f2",
    citations=(a_citation(1, title="Secrets"),),
)
STOPPED = Reply(ReplyKind.NOTICE, "Stopped.", EN)
WITHDRAWN = Reply(ReplyKind.NOTICE, "I withdrew the answer. Please ask again.", EN)


@pytest.fixture
async def stage() -> AsyncIterator[TeamsStage]:
    async with a_teams_stage() as stage:
        yield stage


async def post(stage: TeamsStage, reply: Reply, channel: Channel | None = None) -> MessageRef:
    return await (channel or stage.channel).post(reply, stage.conversation, answers=stage.event_id)


async def in_steps(stage: TeamsStage, *replies: Reply) -> Message:
    """The one message that they leave."""
    ref = await post(stage, replies[0])
    for reply in replies[1:]:
        await stage.channel.update(ref, reply)
    [message] = stage.replies()
    return message


class TestStreaming:
    async def test_an_answer_appears_as_it_is_written_in_one_message(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()

        ref = await post(stage, SEARCHING)
        [message] = stage.replies()
        assert message.is_streaming
        assert message.status == SEARCHING.text
        await stage.channel.update(ref, HALF)
        assert words_of(message) == FIRST
        await stage.channel.update(ref, ANSWER)

        assert stage.replies() == [message]
        assert not message.is_streaming
        assert words_of(message) == WHOLE
        assert "Manual 1" in str(message.citations)
        assert not message.is_edited
        assert [c.name for c in stage.api.calls("send", "stream", "update", "typing")] == (
            ["stream"] * 3
        )

    async def test_it_carries_label_citations_rating_and_suggestions_at_its_end(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        answer = replace(ANSWER, suggestions=("And the red light?",))

        message = await in_steps(stage, SEARCHING, HALF, answer)

        assert message.ai is not None
        assert message.ai["additionalType"] == ["AIGeneratedContent"]
        assert message.ai["usageInfo"]["name"] == "Internal"
        assert [c["position"] for c in message.citations] == [1]
        assert message.channel_data["feedbackLoop"] == {"type": "custom"}
        suggested = [(a["title"], a["value"]) for a in message.suggested_actions]
        assert suggested == [("And the red light?",) * 2, (texts.WHY[EN], "why")]

    async def test_pieces_come_no_faster_than_teams_takes_them(self, stage: TeamsStage) -> None:
        stage.api.teams.stream_pace_s = 0.2
        stage.channel = stage.another_channel(stream_interval_s=0.3)
        await stage.ask_directly()

        ref = await post(stage, SEARCHING)
        for text in (FIRST, WHOLE, WHOLE + " More [1]."):
            await stage.channel.update(ref, replace(HALF, text=text))
        await stage.channel.update(ref, ANSWER)

        assert [c.status for c in stage.api.calls("stream")] == [201, 202]
        [message] = stage.replies()
        assert words_of(message) == WHOLE

    async def test_a_status_meanwhile_shows_what_is_waited_for_until_there_is_text(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        trying = replace(SEARCHING, text="I keep trying.")

        message = await in_steps(stage, SEARCHING, trying)
        assert message.status == "I keep trying."
        ref = MessageRef(stage.conversation, f"stream:{message.id}")
        await stage.channel.update(ref, HALF)
        await stage.channel.update(ref, SEARCHING)

        assert words_of(message) == FIRST
        assert all(c.status < 300 for c in stage.api.calls("stream"))

    async def test_a_beginning_that_changes_is_held_until_the_end(self, stage: TeamsStage) -> None:
        await stage.ask_directly()

        message = await in_steps(stage, SEARCHING, HALF, replace(HALF, text="Pull it [1]."))
        assert words_of(message) == FIRST
        await stage.channel.update(MessageRef(stage.conversation, f"stream:{message.id}"), ANSWER)

        assert words_of(message) == WHOLE

    async def test_a_withdrawn_answer_leaves_nothing_of_it(self, stage: TeamsStage) -> None:
        await stage.ask_directly()

        message = await in_steps(stage, SEARCHING, HALF, WITHDRAWN)

        assert stage.read(message) == WITHDRAWN.text
        assert message.ai is None
        assert not message.is_streaming

    async def test_a_withdrawn_answer_goes_also_where_the_end_must_repeat_what_was_shown(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)
        stage.api.fail(
            "stream",
            status=403,
            code="ContentStreamNotAllowed",
            message="Request streamed content should contain the previously streamed content",
        )

        await stage.channel.update(ref, WITHDRAWN)

        [message] = stage.replies()
        assert stage.read(message) == WITHDRAWN.text
        assert not message.is_streaming

    async def test_after_two_minutes_it_goes_on_as_the_same_message(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)

        stage.api.advance(121)
        more = replace(HALF, text=WHOLE)
        await stage.channel.update(ref, more)
        [message] = stage.replies()
        assert words_of(message) == WHOLE
        await stage.channel.update(ref, replace(ANSWER, text=WHOLE + " Done [1]."))

        assert stage.replies() == [message]
        assert words_of(message) == WHOLE + " Done [1]."
        assert not message.is_streaming

    @pytest.mark.parametrize("between", [(), (HALF,)])
    async def test_shortly_before_that_it_is_ended_by_us(
        self, stage: TeamsStage, between: tuple[Reply, ...]
    ) -> None:
        stage.channel = stage.another_channel(stream_lasts_s=0.0)
        await stage.ask_directly()

        message = await in_steps(stage, SEARCHING, *between, replace(HALF, text=WHOLE), ANSWER)

        assert words_of(message) == WHOLE
        assert message.stream is not None
        assert message.stream.state == "completed"
        assert all(c.status < 300 for c in stage.api.calls("stream", "update"))

    async def test_what_is_away_too_long_to_end_is_changed(self, stage: TeamsStage) -> None:
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)
        stage.api.advance(121)

        await stage.channel.update(ref, ANSWER)

        [message] = stage.replies()
        assert words_of(message) == WHOLE

    async def test_whoever_presses_stop_is_heard_and_sees_no_more(self, stage: TeamsStage) -> None:
        stopped: list[str] = []

        async def hear(event_id: str) -> None:
            stopped.append(event_id)

        stage.channel.on_stopped = hear
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)
        [message] = stage.replies()
        await stage.api.stop(ANN, message)

        await stage.channel.update(ref, replace(HALF, text=WHOLE))
        await stage.channel.update(ref, replace(HALF, text=WHOLE + " More [1]."))
        await stage.api.until(lambda: stopped)
        assert words_of(message) == FIRST
        await stage.channel.update(ref, replace(HALF, kind=ReplyKind.ANSWER, notice="Stopped."))

        assert stopped == [stage.event_id]
        assert stage.replies() == [message]
        assert words_of(message) == FIRST
        assert "Stopped." in stage.read(message)

    async def test_an_answer_that_comes_after_stop_is_not_shown_any_more(
        self, stage: TeamsStage
    ) -> None:
        stopped: list[str] = []

        async def hear(event_id: str) -> None:
            stopped.append(event_id)

        stage.channel.on_stopped = hear
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        [message] = stage.replies()
        await stage.api.stop(ANN, message)

        await stage.channel.update(ref, ANSWER)
        await stage.api.until(lambda: stopped)
        assert WHOLE not in stage.read(message)
        # What a queue says that hears of it.
        await post(stage, STOPPED, stage.another_channel())

        assert stage.replies() == [message]
        assert stage.read(message) == "Stopped."

    async def test_where_one_answer_is_being_written_the_next_is_posted(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        first = await post(stage, SEARCHING)
        await stage.ask_directly()
        waiting = replace(SEARCHING, text="Yours follows.")

        second = await post(stage, waiting)
        await stage.channel.update(first, ANSWER)
        await stage.channel.update(second, replace(ANSWER, text="The second [1]."))

        assert [words_of(m) for m in stage.replies()] == [WHOLE, "The second [1]."]

    @pytest.mark.parametrize("status", [403, 400, 405, 429])
    async def test_where_teams_does_not_stream_it_is_posted_and_changed(
        self, stage: TeamsStage, status: int
    ) -> None:
        stage.api.fail(
            "stream",
            status=status,
            code="ContentStreamNotAllowed" if status == 403 else "BadRequest",
            message="Content stream is not allowed",
        )
        await stage.ask_directly()

        message = await in_steps(stage, SEARCHING, HALF, ANSWER)

        assert words_of(message) == WHOLE
        assert len(stage.api.calls("stream")) == 1

    async def test_a_limit_that_is_met_costs_a_piece_and_nothing_else(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        stage.api.fail("stream", status=429, retry_after_s=0.05)
        await stage.channel.update(ref, HALF)
        stage.api.fail("stream", status=429, retry_after_s=0.05)

        await stage.channel.update(ref, ANSWER)

        [message] = stage.replies()
        assert words_of(message) == WHOLE

    async def test_a_piece_whose_answer_is_lost_does_not_hold_up_the_next(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        stage.api.fail("stream", drops_answer=True)
        await stage.channel.update(ref, HALF)

        await stage.channel.update(ref, replace(HALF, text=WHOLE))
        await stage.channel.update(ref, replace(HALF, text=WHOLE + " More [1]."))

        [message] = stage.replies()
        assert words_of(message) == WHOLE + " More [1]."

    @pytest.mark.parametrize("times", [1, 2])
    async def test_what_teams_refuses_around_an_answer_does_not_cost_the_answer(
        self, stage: TeamsStage, times: int
    ) -> None:
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        stage.api.fail("stream", status=400, code="BadArgument", times=times)

        await stage.channel.update(ref, ANSWER)

        [message] = stage.replies()
        assert "three seconds" in stage.read(message)
        assert "Manual 1" in stage.read(message)
        assert (message.ai is None) == (times == 2)
        assert not message.is_streaming

    @pytest.mark.parametrize("between", [(), (HALF,)])
    async def test_an_answer_with_a_table_takes_the_place_of_its_stream(
        self, stage: TeamsStage, between: tuple[Reply, ...]
    ) -> None:
        await stage.ask_directly()

        message = await in_steps(stage, SEARCHING, *between, WITH_TABLE)

        assert len(message.cards) == 1
        assert words_of(message) == FIRST
        assert "idle | 0.9 [1]" in stage.read(message)
        assert [c["position"] for c in message.citations] == [1]
        assert message.stream is not None
        assert message.stream.state == "completed"

    async def test_nothing_takes_the_place_of_what_its_reader_has_stopped(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)
        [message] = stage.replies()
        await stage.api.stop(ANN, message)

        await stage.channel.update(ref, WITH_TABLE)

        assert not message.cards
        assert words_of(message) == FIRST

    async def test_who_takes_over_a_stream_ends_it_with_a_table_too(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)

        await stage.another_channel().update(ref, WITH_TABLE)

        [message] = stage.replies()
        assert "idle | 0.9 [1]" in stage.read(message)


class TestWhereSeveralRead:
    @pytest.mark.parametrize("place", [ROOM, CHAT])
    async def test_a_message_is_posted_and_changed(self, stage: TeamsStage, place: str) -> None:
        await stage.ask(place)

        message = await in_steps(stage, SEARCHING, HALF, ANSWER)

        assert len(message.cards) == 1
        assert words_of(message) == WHOLE
        assert "Manual 1" in stage.read(message)
        assert "Press reset for three seconds" in message.body["summary"]
        assert not stage.api.calls("stream")
        assert not message.suggested_actions
        await stage.api.until(lambda: stage.api.typing)

    async def test_in_a_channel_it_stands_in_the_thread_of_the_question(
        self, stage: TeamsStage
    ) -> None:
        said = await stage.ask(ROOM)

        message = await in_steps(stage, SEARCHING, ANSWER)

        assert message.thread == said.id

    async def test_a_channel_without_a_question_gets_a_thread_of_its_own(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask(ROOM)
        stage.conversation = replace(stage.conversation, thread=None)
        stage.event_id = "of a schedule"

        message = await in_steps(stage, ANSWER)

        assert message.thread is None

    async def test_what_comes_between_is_dropped_and_the_end_waits_its_turn(
        self, stage: TeamsStage
    ) -> None:
        stage.channel = stage.another_channel(update_interval_s=0.3)
        await stage.ask(CHAT)

        message = await in_steps(stage, SEARCHING, HALF, replace(HALF, text=WHOLE), ANSWER)

        assert words_of(message) == WHOLE
        # What comes right after the post is the first change, and waits for nothing.
        assert len(stage.api.calls("update")) == 2

    async def test_a_card_that_teams_refuses_does_not_cost_the_answer(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask(CHAT)
        ref = await post(stage, SEARCHING)
        stage.api.fail("update", status=413, code="MessageSizeTooBig")

        await stage.channel.update(ref, ANSWER)

        [message] = stage.replies()
        assert "three seconds" in stage.read(message)
        assert not message.cards
        assert [c["position"] for c in message.citations] == [1]
        assert message.channel_data["feedbackLoop"] == {"type": "custom"}

    async def test_a_thread_that_was_deleted_needs_no_answer(self, stage: TeamsStage) -> None:
        await stage.ask(ROOM)
        stage.api.fail("send", status=404, code="ConversationNotFound")

        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, ANSWER)

        assert stage.replies() == []

    async def test_an_answer_that_was_deleted_stays_away(self, stage: TeamsStage) -> None:
        await stage.ask(ROOM)
        ref = await post(stage, SEARCHING)
        await stage.forget(ref)

        await stage.channel.update(ref, HALF)
        await stage.channel.update(ref, ANSWER)

        assert stage.replies() == []


class TestOneMessage:
    async def test_who_takes_over_a_stream_ends_it_in_the_same_message(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)

        second = stage.another_channel()
        await second.update(MessageRef(ref.conversation, ref.id), replace(HALF, text="Other."))
        [message] = stage.replies()
        await second.update(ref, replace(ANSWER, text="Another answer [1]."))

        assert stage.replies() == [message]
        assert words_of(message) == "Another answer [1]."
        assert not message.is_streaming

    async def test_a_stream_that_cannot_be_ended_yet_is_tried_later(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)
        second = stage.another_channel()
        stage.api.fail(
            "stream",
            status=403,
            code="ContentStreamNotAllowed",
            message="Request streamed content should contain the previously streamed content",
        )
        stage.api.fail("update", status=403, code="ContentStreamNotAllowed")

        with pytest.raises(ChannelUnavailable):
            await second.update(ref, WITHDRAWN)
        stage.api.advance(121)
        await second.update(ref, WITHDRAWN)

        [message] = stage.replies()
        assert stage.read(message) == WITHDRAWN.text

    @pytest.mark.parametrize("is_direct", [True, False])
    async def test_who_was_only_thought_dead_writes_nothing_twice(
        self, stage: TeamsStage, is_direct: bool
    ) -> None:
        await (stage.ask_directly() if is_direct else stage.ask(ROOM))
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)
        await stage.another_channel().update(ref, ANSWER)

        await stage.channel.update(ref, replace(HALF, text=WHOLE))
        await stage.channel.update(ref, ANSWER)

        [message] = stage.replies()
        assert words_of(message) == WHOLE

    @pytest.mark.parametrize("is_direct", [True, False])
    async def test_a_status_replaces_nothing(self, stage: TeamsStage, is_direct: bool) -> None:
        await (stage.ask_directly() if is_direct else stage.ask(ROOM))
        await post(stage, ANSWER)

        await post(stage, SEARCHING, stage.another_channel())

        [message] = stage.replies()
        assert words_of(message) == WHOLE

    @pytest.mark.parametrize("is_direct", [True, False])
    async def test_many_who_post_at_once_post_one_message(
        self, stage: TeamsStage, is_direct: bool
    ) -> None:
        await (stage.ask_directly() if is_direct else stage.ask(ROOM))
        processes = [stage.another_channel() for _ in range(6)]

        refs = await asyncio.gather(*(post(stage, SEARCHING, one) for one in processes))

        assert len(set(refs)) == len(stage.replies()) == 1

    async def test_who_is_cancelled_while_posting_leaves_one_message(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        stage.api.fail("stream", delay_s=0.3)
        posting = asyncio.create_task(post(stage, SEARCHING))
        await stage.api.until(lambda: stage.api.calls("stream"))
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)

        await post(stage, STOPPED)

        [message] = stage.replies()
        assert stage.read(message) == "Stopped."

    async def test_who_is_cancelled_while_writing_shows_nothing_twice(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly()
        ref = await post(stage, SEARCHING)
        stage.api.fail("stream", delay_s=0.2)
        writing = asyncio.create_task(stage.channel.update(ref, HALF))
        await stage.api.until(lambda: len(stage.api.calls("stream")) == 2)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

        await stage.channel.update(ref, ANSWER)

        [message] = stage.replies()
        assert words_of(message) == WHOLE

    async def test_a_message_whose_id_teams_does_not_tell_is_followed_by_the_answer(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask(CHAT)
        stage.api.fail("send", status=200, raw="{}")

        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)
        await stage.channel.update(ref, ANSWER)
        await post(stage, ANSWER, stage.another_channel())

        assert [words_of(m) for m in stage.replies()] == [WHOLE]

    async def test_an_answer_to_a_question_asked_elsewhere_stands_below_it(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask_directly(question="How do I <at>Ben</at> reset it?")

        message = await in_steps(stage, SEARCHING, HALF, ANSWER)

        assert stage.read(message).startswith("> Question: How do I <at>Ben</at> reset it?")
        assert not message.mentions
        assert words_of(message) == WHOLE


class TestForOnePersonAlone:
    async def whisper(self, stage: TeamsStage) -> list[Message]:
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)
        assert stage.replies() == []
        await stage.channel.update(ref, ANSWER)
        # Whoever takes over has the ref alone, or not even that.
        await stage.another_channel().update(ref, ANSWER)
        await post(stage, ANSWER, stage.another_channel())
        return stage.replies()

    @pytest.mark.parametrize("place", [CHAT, ROOM])
    async def test_a_whisper_comes_once_and_whole(self, stage: TeamsStage, place: str) -> None:
        await stage.ask_in_secret(place)

        [message] = await self.whisper(stage)

        assert message.targeted_to == ANN
        assert words_of(message) == WHOLE
        assert "Share here" in stage.read(message)

    async def test_where_the_tenant_has_no_such_messages_it_comes_in_their_own_chat(
        self, stage: TeamsStage
    ) -> None:
        stage.api.targeted(False)
        await stage.ask_in_secret(question="How do I reset it?")

        assert await self.whisper(stage) == []

        [message] = stage.replies("personal", user=ANN)
        assert words_of(message) == WHOLE
        assert "Question: How do I reset it?" in stage.read(message)

    async def test_whoever_has_not_installed_the_app_costs_no_further_tries(
        self, stage: TeamsStage
    ) -> None:
        stage.api.targeted(False)
        stage.api.teams.world.user(ANN).has_app = False
        await stage.ask_in_secret()

        assert await self.whisper(stage) == []

        assert len(stage.api.calls("create")) == 1

    async def say_privately(self, stage: TeamsStage, place: str = ROOM) -> Message:
        """The shared answer."""
        await stage.ask(place)
        await in_steps(stage, SEARCHING, ANSWER)
        shared = stage.replies()[0]
        for channel in (stage.channel, stage.another_channel()):
            await channel.post_private(
                FULLER, stage.conversation, stage.ann, answers=stage.event_id
            )
        return shared

    async def test_a_fuller_answer_is_shown_to_its_person_alone(self, stage: TeamsStage) -> None:
        await self.say_privately(stage)

        _, private = stage.replies()
        assert private.targeted_to == ANN
        assert words_of(private) == FULLER.text
        assert texts.FOR_YOU_ALONE[EN] in stage.read(private)
        assert FULLER.text not in stage.api.everything_seen_by(BEN)

    async def test_elsewhere_it_takes_the_place_of_the_shared_card_for_them(
        self, stage: TeamsStage
    ) -> None:
        stage.api.targeted(False)

        shared = await self.say_privately(stage)

        assert stage.replies() == [shared]
        assert words_of(shared) == WHOLE
        [card] = shared.cards
        assert card["refresh"]["userIds"] == [stage.api.teams.world.user(ANN).mri]
        assert card["refresh"]["action"]["verb"] == verbs.REFRESH
        assert card["refresh"]["action"]["data"] == {verbs.EVENT: stage.event_id}
        before = shared.versions[-2]["attachments"][0]["content"]
        assert {k: v for k, v in card.items() if k != "refresh"} == before
        assert "Secrets" not in stage.api.everything_seen_by(BEN)

        async def yes(chunk_ids: object) -> bool:
            return True

        async def no(chunk_ids: object) -> bool:
            return False

        own = await personal_view(stage.cards, stage.event_id, stage.ann, yes)
        assert "under the mat" in str(own)
        assert texts.FOR_YOU_ALONE[EN] in str(own)
        assert await personal_view(stage.cards, stage.event_id, stage.ben, yes) is None
        assert await personal_view(stage.cards, stage.event_id, stage.ann, no) is None

    async def test_where_nothing_is_known_of_the_shared_card_it_comes_in_their_own_chat(
        self, stage: TeamsStage
    ) -> None:
        stage.api.targeted(False)
        await stage.ask(CHAT)

        await stage.channel.post_private(
            FULLER, stage.conversation, stage.ann, answers=stage.event_id
        )

        assert stage.replies() == []
        [private] = stage.replies("personal", user=ANN)
        assert words_of(private) == FULLER.text
        assert "asked in Chat" in stage.read(private)

    async def test_a_person_who_has_left_gets_it_in_their_own_chat(self, stage: TeamsStage) -> None:
        await stage.ask(CHAT)
        stage.chat.members.remove(ANN)

        await stage.channel.post_private(
            FULLER, stage.conversation, stage.ann, answers=stage.event_id
        )

        assert stage.replies() == []
        assert len(stage.replies("personal", user=ANN)) == 1

    async def test_a_tenant_without_such_messages_is_asked_once_an_hour(
        self, stage: TeamsStage
    ) -> None:
        stage.api.targeted(False)
        for _ in range(2):
            await stage.ask_in_secret()
            await post(stage, ANSWER)

        # With its card, as text with a label, as text alone.
        assert len(stage.api.calls("send_targeted")) == 3

    async def test_a_card_that_teams_refuses_does_not_cost_the_whisper(
        self, stage: TeamsStage
    ) -> None:
        stage.api.fail("send_targeted", status=400, code="BadArgument")
        await stage.ask_in_secret()

        await post(stage, ANSWER)

        [message] = stage.replies()
        assert message.targeted_to == ANN
        assert not message.cards


class TestWhenTeamsIsAway:
    async def test_whoever_posts_hears_of_it(self, stage: TeamsStage) -> None:
        await stage.ask(ROOM)
        await stage.api.down("connector")

        with pytest.raises(ChannelUnavailable):
            await post(stage, SEARCHING)
        await stage.api.up()
        await post(stage, ANSWER)

        assert [words_of(m) for m in stage.replies()] == [WHOLE]

    async def test_they_hear_when_to_come_again(self, stage: TeamsStage) -> None:
        await stage.ask(ROOM)
        stage.api.fail("send", status=429, retry_after_s=120)

        with pytest.raises(ChannelUnavailable) as raised:
            await post(stage, SEARCHING)

        assert raised.value.after_s == 120

    async def test_nobody_waits_longer_than_their_patience(self, stage: TeamsStage) -> None:
        stage.channel = stage.another_channel(patience_s=0.2)
        await stage.ask(ROOM)
        stage.api.fail("send", delay_s=2)

        with pytest.raises(ChannelUnavailable):
            await post(stage, SEARCHING)

    async def test_what_nobody_waits_for_is_passed_over(self, stage: TeamsStage) -> None:
        await stage.ask(ROOM)
        ref = await post(stage, SEARCHING)
        await stage.api.down("connector")
        await stage.channel.update(ref, HALF)
        await stage.api.up()

        await stage.channel.update(ref, ANSWER)

        [message] = stage.replies()
        assert words_of(message) == WHOLE

    async def test_a_conversation_that_nobody_knows_is_no_place_to_post(
        self, stage: TeamsStage
    ) -> None:
        await stage.ask(ROOM)
        unknown = replace(stage.conversation, channel=f"{HOME}/19:unknown@thread.v2")

        with pytest.raises(ChannelUnavailable):
            await stage.channel.post(ANSWER, unknown, answers="of a schedule")
