"""How a reply appears in Slack: one message, whatever Slack refuses and whoever is killed meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapters.chat.dialog_texts import SHARE_TITLE
from adapters.chat.origins import InMemoryOrigins
from adapters.slack.listener_texts import COPY
from adapters.slack.origin import Origin
from bot.channel import Channel
from bot.errors import ChannelUnavailable, StateUnavailable
from bot.messages import MessageRef, Reply, ReplyKind
from bot.state import InMemoryState
from retrieval.types import Band, Language
from tests.builders import a_document
from tests.fakes.slack_api import Message
from tests.slack_stage import ANN, BEN, ROOM, SlackStage, a_slack_stage, words_of
from tests.unit.test_slack_render import a_citation

EN = Language.ENGLISH
FIRST = "Press **reset** for three seconds [1]."
WHOLE = FIRST + " Then wait for the green light [1]."

SEARCHING = Reply(ReplyKind.STATUS, "Searching the documents…", EN)
HALF = Reply(ReplyKind.PARTIAL, FIRST, EN)
ANSWER = Reply(
    ReplyKind.ANSWER, WHOLE, EN, citations=(a_citation(),), band=Band.ANSWERED, feedback_id="f1"
)
WITHDRAWN = Reply(ReplyKind.NOTICE, "I withdrew the answer. Please ask again.", EN)


@pytest.fixture
async def stage() -> AsyncIterator[SlackStage]:
    async with a_slack_stage() as stage:
        yield stage


async def post(stage: SlackStage, reply: Reply, channel: Channel | None = None) -> MessageRef:
    return await (channel or stage.channel).post(reply, stage.conversation, answers=stage.event_id)


async def in_steps(stage: SlackStage, *replies: Reply) -> Message:
    """The one message that they leave."""
    ref = await post(stage, replies[0])
    for reply in replies[1:]:
        await stage.channel.update(ref, reply)
    [message] = stage.replies()
    return message


class TestStreaming:
    async def test_an_answer_appears_as_it_is_written_in_one_message(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()

        ref = await post(stage, SEARCHING)
        [message] = stage.replies()
        assert message.is_streaming
        assert SEARCHING.text in stage.read(message)
        await stage.channel.update(ref, HALF)
        assert words_of(message) == FIRST
        await stage.channel.update(ref, ANSWER)

        assert stage.replies() == [message]
        assert not message.is_streaming
        assert words_of(message) == WHOLE
        assert "Manual 1" in stage.read(message)
        assert [c.method for c in stage.api.calls()] == [
            "chat.startStream",
            "chat.appendStream",
            "chat.stopStream",
        ]
        assert not stage.api.notified_by(message)

    async def test_it_stands_in_the_thread_of_the_question(self, stage: SlackStage) -> None:
        await stage.ask()

        message = await in_steps(stage, SEARCHING, ANSWER)

        assert message.thread_ts == stage.conversation.thread

    async def test_in_a_direct_message_it_stands_below_its_question_and_slack_is_told(
        self, stage: SlackStage
    ) -> None:
        await stage.ask_directly(title="How do I reset it?")

        message = await in_steps(stage, SEARCHING, HALF, ANSWER)
        await stage.api.until(lambda: [s.status for s in stage.api.statuses][-1:] == ["active"])

        assert message.thread_ts
        assert words_of(message) == WHOLE
        assert [s.status for s in stage.api.statuses] == ["processing", "active"]
        assert stage.api.statuses[0].title == "How do I reset it?"

    async def test_where_there_are_no_sessions_the_older_title_is_set_and_nothing_else_fails(
        self, stage: SlackStage
    ) -> None:
        stage.api.without("agents.sessions.setStatus")
        for number in (1, 2):
            await stage.ask_directly(title=f"Question {number}")
            ref = await post(stage, SEARCHING)
            await stage.api.until(lambda: len(stage.api.titles) == number)  # noqa: B023
            await stage.channel.update(ref, ANSWER)

        assert [words_of(m) for m in stage.replies()] == [WHOLE, WHOLE]
        assert len(stage.api.calls("agents.sessions.setStatus")) == 1

    async def test_a_withdrawn_answer_leaves_nothing_of_it(self, stage: SlackStage) -> None:
        await stage.ask()

        message = await in_steps(stage, SEARCHING, HALF, WITHDRAWN)

        assert stage.read(message) == WITHDRAWN.text
        assert not message.is_streaming

    async def test_what_was_shown_stays_when_the_answer_is_stopped(self, stage: SlackStage) -> None:
        await stage.ask()

        stopped = replace(HALF, kind=ReplyKind.ANSWER, notice="Stopped.")
        message = await in_steps(stage, SEARCHING, HALF, stopped)

        assert words_of(message) == FIRST
        assert "Stopped." in stage.read(message)

    async def test_a_beginning_that_changes_is_held_until_the_end(self, stage: SlackStage) -> None:
        await stage.ask()

        other = replace(HALF, text="Pull the lever [1].")
        message = await in_steps(stage, SEARCHING, HALF, other)
        assert words_of(message) == FIRST
        await stage.channel.update(MessageRef(stage.conversation, f"stream:{message.ts}"), ANSWER)

        assert words_of(message) == WHOLE

    async def test_pieces_come_no_faster_than_slack_takes_them(self, stage: SlackStage) -> None:
        await stage.ask()
        stage.channel = stage.another_channel(append_interval_s=3_600)

        message = await in_steps(stage, SEARCHING, HALF, replace(HALF, text=WHOLE), ANSWER)

        assert not stage.api.calls("chat.appendStream")
        assert words_of(message) == WHOLE

    async def test_a_status_meanwhile_shows_what_is_waited_for(self, stage: SlackStage) -> None:
        await stage.ask()

        trying = Reply(ReplyKind.STATUS, "I keep trying.", EN)
        message = await in_steps(stage, SEARCHING, trying)

        assert "I keep trying." in stage.read(message)
        assert SEARCHING.text not in stage.read(message)

    async def test_a_chinese_answer_is_chinese_throughout(self, stage: SlackStage) -> None:
        await stage.ask("怎麼重置？")
        answer = replace(ANSWER, text="按住 **reset** 三秒 [1]。", language=Language.CHINESE)

        message = await in_steps(stage, replace(SEARCHING, language=Language.CHINESE), answer)

        for expected in ("已搜尋文件", "按住", "來源", "3 個月前更新", "有幫助"):
            assert expected in stage.read(message)


class TestWithoutStreaming:
    async def is_whole(self, stage: SlackStage, *between: Reply) -> Message:
        message = await in_steps(stage, SEARCHING, *between, ANSWER)
        assert words_of(message) == WHOLE
        assert "Manual 1" in stage.read(message)
        assert not message.is_streaming
        return message

    async def test_a_workspace_that_cannot_stream_is_asked_once_an_hour(
        self, stage: SlackStage
    ) -> None:
        stage.api.without("chat.startStream", "chat.appendStream", "chat.stopStream")
        for _ in range(3):
            await stage.ask()
            await stage.channel.update(await post(stage, SEARCHING), ANSWER)

        assert [words_of(m) for m in stage.replies()] == [WHOLE] * 3
        assert len(stage.api.calls("chat.startStream")) == 1

    async def test_where_a_scope_is_missing_it_is_posted(self, stage: SlackStage) -> None:
        stage.api.fail("chat.startStream", error="missing_scope")
        await stage.ask()

        await self.is_whole(stage, HALF)

    async def test_beyond_slacks_limit_nobody_waits_for_a_stream(self, stage: SlackStage) -> None:
        stage.api.rate_limit("chat.startStream", per_minute=0, retry_after_s=30)
        await stage.ask()

        await self.is_whole(stage, HALF)

        assert len(stage.api.calls("chat.startStream")) == 1

    async def test_all_processes_together_keep_within_the_limit(self, stage: SlackStage) -> None:
        for _ in range(25):
            await stage.ask()
            await post(stage, SEARCHING, stage.another_channel())

        assert len(stage.api.calls("chat.startStream")) == 18
        assert len(stage.replies()) == 25

    async def test_it_is_posted_when_nobody_can_count_the_streams(self, stage: SlackStage) -> None:
        class Away(InMemoryState):
            async def allow(self, key: str, *, limit: int, per_s: int) -> bool:
                raise StateUnavailable

        stage.state = Away()
        stage.channel = stage.another_channel()
        await stage.ask()

        await self.is_whole(stage)

    async def test_where_nothing_is_known_of_the_question_it_is_posted(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        stage.event_id = "of a schedule"

        message = await self.is_whole(stage)

        assert message.thread_ts == stage.conversation.thread
        assert not stage.api.calls("chat.startStream")

    @pytest.mark.parametrize("when", [0, 1])
    async def test_a_stream_that_slack_has_ended_goes_on_as_a_message(
        self, stage: SlackStage, when: int
    ) -> None:
        await stage.ask()
        ref = await post(stage, SEARCHING)
        steps = [HALF, ANSWER]
        for n, reply in enumerate(steps):
            if n == when:
                stage.api.advance(400)
            await stage.channel.update(ref, reply)

        [message] = stage.replies()
        assert words_of(message) == WHOLE
        assert not message.is_streaming

    async def test_after_the_person_pressed_stop_no_more_is_shown_until_the_end(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)
        [message] = stage.replies()
        await stage.api.stop_pressed(ANN, message)

        await stage.channel.update(ref, replace(HALF, text=WHOLE))
        assert words_of(message) == FIRST
        await stage.channel.update(ref, replace(HALF, kind=ReplyKind.ANSWER, notice="Stopped."))

        assert stage.replies() == [message]
        assert words_of(message) == FIRST
        assert "Stopped." in stage.read(message)

    async def test_what_comes_between_is_dropped_and_the_end_waits_its_turn(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        stage.channel = stage.another_channel(streaming=False, update_interval_s=0.3)

        message = await in_steps(stage, SEARCHING, HALF, replace(HALF, text=WHOLE), ANSWER)

        assert words_of(message) == WHOLE
        # What comes right after the post is the first change, and waits for nothing.
        assert len(stage.api.calls("chat.update")) == 2

    async def test_a_message_that_may_not_be_changed_any_more_is_replaced(
        self, stage: SlackStage
    ) -> None:
        stage.channel = stage.another_channel(streaming=False)
        await stage.ask()
        stage.api.fail("chat.update", error="edit_window_closed")

        await self.is_whole(stage)

    async def test_an_answer_that_slack_does_not_take_as_blocks_comes_as_text(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        ref = await post(stage, SEARCHING)
        stage.api.fail("chat.stopStream", error="invalid_blocks")
        stage.api.fail("chat.update", error="streaming_state_conflict")
        stage.api.fail("chat.update", error="invalid_blocks")

        await stage.channel.update(ref, ANSWER)

        [message] = stage.replies()
        assert "three seconds" in stage.read(message)
        assert "Manual 1" in stage.read(message)


class TestOneMessage:
    @pytest.mark.parametrize("can_stream", [True, False])
    async def test_who_takes_over_goes_on_in_the_same_message(
        self, stage: SlackStage, can_stream: bool
    ) -> None:
        await stage.ask()
        first = stage.another_channel(streaming=can_stream)
        ref = await post(stage, SEARCHING, first)
        await first.update(ref, HALF)

        second = stage.another_channel()
        await second.update(MessageRef(ref.conversation, ref.id), replace(HALF, text="Other."))
        [message] = stage.replies()
        assert words_of(message) == "Other."
        await second.update(ref, ANSWER)

        assert stage.replies() == [message]
        assert words_of(message) == WHOLE

    async def test_who_was_only_thought_dead_writes_nothing_twice(self, stage: SlackStage) -> None:
        await stage.ask()
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)
        await stage.another_channel().update(ref, ANSWER)

        await stage.channel.update(ref, ANSWER)

        [message] = stage.replies()
        assert words_of(message) == WHOLE

    async def test_a_status_replaces_nothing(self, stage: SlackStage) -> None:
        await stage.ask()
        await post(stage, ANSWER)

        await post(stage, SEARCHING, stage.another_channel())

        [message] = stage.replies()
        assert words_of(message) == WHOLE

    async def test_many_who_post_at_once_post_one_message(self, stage: SlackStage) -> None:
        await stage.ask()
        processes = [stage.another_channel() for _ in range(6)]

        refs = await asyncio.gather(*(post(stage, SEARCHING, one) for one in processes))

        assert len(set(refs)) == len(stage.replies()) == 1

    async def test_who_is_cancelled_while_posting_leaves_one_message(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        stage.api.fail("chat.startStream", delay_s=0.3)
        posting = asyncio.create_task(post(stage, SEARCHING))
        await stage.api.until(lambda: stage.api.calls("chat.startStream"))
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)

        await post(stage, replace(WITHDRAWN, text="Stopped."))

        [message] = stage.replies()
        assert words_of(message) == "Stopped."

    async def test_who_is_cancelled_while_appending_shows_nothing_twice(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        ref = await post(stage, SEARCHING)
        stage.api.fail("chat.appendStream", delay_s=0.2)
        appending = asyncio.create_task(stage.channel.update(ref, HALF))
        await stage.api.until(lambda: stage.api.calls("chat.appendStream"))
        appending.cancel()
        await asyncio.gather(appending, return_exceptions=True)

        await stage.channel.update(ref, ANSWER)

        [message] = stage.replies()
        assert words_of(message) == WHOLE

    async def test_an_append_whose_answer_is_lost_shows_nothing_twice(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        stage.api.fail("chat.appendStream", drops_answer=True)

        message = await in_steps(stage, SEARCHING, HALF, ANSWER)

        assert words_of(message) == WHOLE

    async def test_a_question_that_was_deleted_needs_no_answer(self, stage: SlackStage) -> None:
        await stage.ask()
        for said in stage.api.messages(ROOM):
            said.is_deleted = True

        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, ANSWER)

        assert stage.replies() == []

    async def test_an_answer_that_was_deleted_stays_away(self, stage: SlackStage) -> None:
        await stage.ask()
        ref = await post(stage, SEARCHING)
        [message] = stage.replies()
        message.is_deleted = True

        await stage.channel.update(ref, HALF)
        await stage.channel.update(ref, ANSWER)

        assert stage.replies() == []

    async def test_a_shared_answer_stands_below_its_question_whoever_finishes_it(
        self, stage: SlackStage
    ) -> None:
        await stage.ask(question="How do I <!channel> reset it?")
        ref = await post(stage, SEARCHING)

        await stage.another_channel().update(ref, ANSWER)

        [message] = stage.replies()
        assert stage.read(message).startswith("Question: How do I <!channel> reset it?")
        assert not stage.api.notified_by(message)


class TestForOnePersonAlone:
    async def whisper(self, stage: SlackStage, channel: str = ROOM) -> list[Message]:
        await stage.ask_by_command(channel)
        ref = await post(stage, SEARCHING)
        await stage.channel.update(ref, HALF)
        assert stage.replies(channel) == []
        await stage.channel.update(ref, ANSWER)
        # Whoever takes over has the ref alone, or not even that.
        await stage.another_channel().update(ref, ANSWER)
        await post(stage, ANSWER, stage.another_channel())
        return stage.replies(channel)

    async def test_a_whisper_comes_once_and_whole(self, stage: SlackStage) -> None:
        [message] = await self.whisper(stage)

        assert message.ephemeral_to == ANN
        assert words_of(message) == WHOLE
        assert SHARE_TITLE[EN] in stage.read(message)
        assert len(stage.api.calls("response_url")) == 1

    async def test_when_its_address_is_used_up_it_is_posted(self, stage: SlackStage) -> None:
        stage.api.fail("response_url", error="expired_url")

        [message] = await self.whisper(stage)

        assert message.ephemeral_to == ANN
        assert stage.api.calls("chat.postEphemeral")

    async def test_where_the_bot_is_no_member_it_comes_as_a_direct_message(
        self, stage: SlackStage
    ) -> None:
        stage.api.channel("C0CLOSED", "closed", "private", [ANN], with_app=False)
        stage.api.fail("response_url", error="used_url")

        assert await self.whisper(stage, "C0CLOSED") == []

        [message] = stage.replies(stage.api.dm(ANN))
        assert words_of(message) == WHOLE

    async def test_a_message_whose_button_was_pressed_stays(self, stage: SlackStage) -> None:
        await stage.ask()
        public = await in_steps(stage, SEARCHING, ANSWER)
        pressed = await stage.api.action(public, "shifu_why", user=BEN)
        await stage.ask_by_command()
        origin = await stage.origins.find(stage.event_id)
        assert origin
        stage.event_id = "why"
        url = pressed.payload["response_url"]
        await stage.origins.keep("why", replace(origin, response_url=url, is_action=True))

        await post(stage, replace(WITHDRAWN, text="Because."))

        assert words_of(public) == WHOLE
        assert [words_of(m) for m in stage.replies()] == [WHOLE, "Because."]

    async def test_an_address_that_fails_says_that_nothing_was_shown(
        self, stage: SlackStage
    ) -> None:
        await stage.ask_by_command()
        stage.api.fail("response_url", status=503)

        with pytest.raises(ChannelUnavailable):
            await post(stage, ANSWER)
        await post(stage, ANSWER)

        assert len(stage.replies()) == 1

    async def test_a_private_answer_beside_a_shared_one_offers_a_copy(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        await in_steps(stage, SEARCHING, ANSWER)

        await stage.channel.post_private(
            replace(ANSWER, text="For Ann."), stage.conversation, stage.ann, answers=stage.event_id
        )

        private = stage.replies()[-1]
        assert (private.ephemeral_to, private.thread_ts) == (ANN, stage.conversation.thread)
        assert COPY[EN] in stage.read(private)
        assert await stage.seen_by(stage.ben) == [WHOLE]

    async def test_who_has_left_meanwhile_gets_it_as_a_direct_message(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        await in_steps(stage, SEARCHING, ANSWER)
        await stage.api.leave(ANN, ROOM)

        await stage.channel.post_private(
            replace(ANSWER, text="For Ann."), stage.conversation, stage.ann, answers=stage.event_id
        )

        [private] = stage.replies(stage.api.dm(ANN))
        assert words_of(private) == "For Ann."
        assert len(stage.replies()) == 1


class TestSlackAway:
    @pytest.mark.parametrize("refuses_connections", [True, False])
    async def test_a_reply_that_cannot_be_posted_says_so_and_comes_later(
        self, stage: SlackStage, refuses_connections: bool
    ) -> None:
        await stage.ask()
        await stage.api.down(refuses_connections=refuses_connections)
        with pytest.raises(ChannelUnavailable):
            await post(stage, SEARCHING)

        await stage.api.up()
        await post(stage, ANSWER, stage.another_channel())

        [message] = stage.replies()
        assert words_of(message) == WHOLE

    async def test_an_end_that_cannot_be_shown_says_so_and_is_shown_later(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        ref = await post(stage, SEARCHING)
        await stage.api.down(refuses_connections=True)
        await stage.channel.update(ref, HALF)
        with pytest.raises(ChannelUnavailable):
            await stage.channel.update(ref, ANSWER)

        await stage.api.up()
        await stage.channel.update(ref, ANSWER)

        [message] = stage.replies()
        assert words_of(message) == WHOLE

    async def test_nobody_waits_for_ever_for_a_slack_that_does_not_answer(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        stage.api.fail("*", times=100, delay_s=60)
        channel = stage.another_channel(patience_s=0.3)

        with pytest.raises(ChannelUnavailable, match="in time"):
            async with asyncio.timeout(10):
                await post(stage, SEARCHING, channel)

    async def test_it_waits_as_long_as_slack_says(self, stage: SlackStage) -> None:
        stage.channel = stage.another_channel(streaming=False)
        await stage.ask()
        stage.api.fail("chat.postMessage", status=429, retry_after_s=1)
        stage.api.fail("chat.update", status=429, retry_after_s=1)

        message = await in_steps(stage, SEARCHING, ANSWER)

        assert words_of(message) == WHOLE
        tries = stage.api.calls("chat.postMessage", "chat.update")
        assert [call.status for call in tries] == [429, 200, 429, 200]

    async def test_a_wait_that_is_too_long_is_told(self, stage: SlackStage) -> None:
        stage.channel = stage.another_channel(streaming=False)
        await stage.ask()
        stage.api.fail("chat.postMessage", status=429, retry_after_s=600)

        with pytest.raises(ChannelUnavailable):
            await post(stage, ANSWER)

    async def test_where_the_app_is_not_installed_nothing_is_posted(
        self, stage: SlackStage
    ) -> None:
        await stage.ask()
        stage.conversation = replace(stage.conversation, channel="T9/C1")
        stage.event_id = "elsewhere"

        with pytest.raises(ChannelUnavailable, match="not installed"):
            await post(stage, ANSWER)

    async def test_when_nobody_knows_what_was_posted_nothing_is(self, stage: SlackStage) -> None:
        class Away(InMemoryOrigins[Origin]):
            async def reply(self, event_id: str, *, is_private: bool = False) -> str | None:
                raise StateUnavailable("Redis does not answer.")

        await stage.ask()
        stage.origins = Away()

        with pytest.raises(ChannelUnavailable, match="Redis"):
            await post(stage, ANSWER, stage.another_channel())
        assert stage.replies() == []


class TestTexts:
    @pytest.mark.parametrize(
        "piece", ["word ", "很長的字", "<!channel> ", "[x](https://evil.io) ", "```\n"]
    )
    @pytest.mark.parametrize("steps", [[SEARCHING], []])
    async def test_a_long_answer_fits(
        self, stage: SlackStage, piece: str, steps: list[Reply]
    ) -> None:
        await stage.ask()
        long = a_document("x", title=piece * 200).chunks[0]
        citations = tuple(replace(a_citation(n), chunk=long) for n in (1, 2, 3, 4))
        answer = replace(ANSWER, text=piece * 8_000, citations=citations, notice=piece * 500)

        message = await in_steps(stage, *steps, answer)

        assert words_of(message)[:4_000] == (piece * 8_000)[:4_000]
        assert not stage.api.notified_by(message)

    async def test_a_posted_answer_has_no_previews(self, stage: SlackStage) -> None:
        await stage.ask()

        message = await in_steps(stage, ANSWER)

        assert not message.unfurl_links
        assert not message.unfurl_media
