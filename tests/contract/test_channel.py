"""What every chat platform's channel must do, checked by what people then see."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest

from adapters.web.channel import WebChannel
from adapters.web.message_log import MAX_MESSAGES
from adapters.web.redis_logs import RedisMessageLogs
from bot.channel import Channel, ChannelLimits, RecordingChannel
from bot.messages import ConversationKind, ConversationRef, MessageRef, Reply, ReplyKind, UserRef
from bot.redis_client import close_redis, open_redis
from retrieval.types import Language
from tests.builders import TENANT as TEST_TENANT
from tests.fakes.web_site import TENANT, WebSite
from tests.slack_stage import SlackStage, a_slack_stage
from tests.teams_stage import CHAT, TeamsStage, a_teams_stage


class Stage(Protocol):
    """A channel with a conversation that ANN and BEN read, and their eyes."""

    conversation: ConversationRef
    elsewhere: str
    """Another channel of theirs."""
    ann: UserRef
    ben: UserRef

    @property
    def channel(self) -> Channel: ...

    async def seen_by(self, user: UserRef) -> list[str]:
        """The texts that *user* sees in the conversation now, in order."""
        ...

    async def forget(self, message: MessageRef) -> None:
        """Let the message be gone, as when somebody deletes it."""
        ...


EVENT = "event-1"


def a_reply(text: str, kind: ReplyKind = ReplyKind.ANSWER) -> Reply:
    return Reply(kind, text, Language.ENGLISH)


class ChannelContract:
    async def test_what_is_posted_is_seen_by_every_reader_of_the_conversation(
        self, stage: Stage
    ) -> None:
        await stage.channel.post(a_reply("hello"), stage.conversation, answers=EVENT)

        assert await stage.seen_by(stage.ann) == ["hello"]
        assert await stage.seen_by(stage.ben) == ["hello"]

    async def test_a_private_reply_is_seen_by_its_person_alone(self, stage: Stage) -> None:
        await stage.channel.post_private(
            a_reply("for Ann"), stage.conversation, stage.ann, answers=EVENT
        )

        assert await stage.seen_by(stage.ann) == ["for Ann"]
        assert await stage.seen_by(stage.ben) == []

    async def test_an_update_of_a_private_reply_stays_private(self, stage: Stage) -> None:
        ref = await stage.channel.post_private(
            a_reply("…"), stage.conversation, stage.ann, answers=EVENT
        )

        await stage.channel.update(ref, a_reply("for Ann"))

        assert await stage.seen_by(stage.ann) == ["for Ann"]
        assert await stage.seen_by(stage.ben) == []

    async def test_an_update_replaces_the_whole_text(self, stage: Stage) -> None:
        ref = await stage.channel.post(
            a_reply("looking", ReplyKind.STATUS), stage.conversation, answers=EVENT
        )

        await stage.channel.update(ref, a_reply("half an answer", ReplyKind.PARTIAL))
        await stage.channel.update(ref, a_reply("the answer"))

        assert await stage.seen_by(stage.ben) == ["the answer"]

    async def test_posting_the_same_answer_twice_is_one_message_with_the_new_content(
        self, stage: Stage
    ) -> None:
        first = await stage.channel.post(
            a_reply("half", ReplyKind.PARTIAL), stage.conversation, answers=EVENT
        )

        second = await stage.channel.post(a_reply("whole"), stage.conversation, answers=EVENT)

        assert first == second
        assert await stage.seen_by(stage.ben) == ["whole"]

    async def test_the_private_answer_is_another_message_and_again_one(self, stage: Stage) -> None:
        shared = await stage.channel.post(a_reply("for all"), stage.conversation, answers=EVENT)
        refs = {
            await stage.channel.post_private(
                a_reply(text), stage.conversation, stage.ann, answers=EVENT
            )
            for text in ("for Ann", "more for Ann")
        }

        assert len(refs | {shared}) == 2
        assert await stage.seen_by(stage.ann) == ["for all", "more for Ann"]
        assert await stage.seen_by(stage.ben) == ["for all"]

    async def test_a_status_posted_again_replaces_nothing(self, stage: Stage) -> None:
        ref = await stage.channel.post(a_reply("the answer"), stage.conversation, answers=EVENT)

        again = await stage.channel.post(
            a_reply("looking", ReplyKind.STATUS), stage.conversation, answers=EVENT
        )
        await stage.channel.update(again, a_reply("another answer"))

        assert again == ref
        assert await stage.seen_by(stage.ben) == ["another answer"]

    async def test_an_update_of_a_message_that_is_gone_is_ignored(self, stage: Stage) -> None:
        ref = await stage.channel.post(a_reply("one"), stage.conversation, answers=EVENT)
        await stage.forget(ref)

        await stage.channel.update(ref, a_reply("two"))

        assert not {"one", "two"} & set(await stage.seen_by(stage.ben))

    @pytest.mark.parametrize(
        "text",
        [
            "<@U123> <!channel> <!everyone> @everyone <at>Ben</at>",
            "<b>bold</b> <script>alert(1)</script> &amp; &lt;",
            "[words](https://example.com) <https://example.com|words> ![x](https://example.com/p)",
            "*stars* _lines_ ~waves~ `code` > quote",
            "繁體中文，「引號」與 emoji 🙂\u200d、全形：！",
            "line one\n\nline two\r\n\tindented\u2028separated",
        ],
    )
    async def test_text_is_data_and_shown_as_it_is(self, stage: Stage, text: str) -> None:
        await stage.channel.post(a_reply(text), stage.conversation, answers=EVENT)

        assert await stage.seen_by(stage.ben) == [text]

    async def test_messages_keep_their_order_also_when_updated(self, stage: Stage) -> None:
        refs = [
            await stage.channel.post(
                a_reply(f"status {n}", ReplyKind.STATUS), stage.conversation, answers=f"event-{n}"
            )
            for n in range(5)
        ]

        for n in (3, 0, 4, 1, 2):
            await stage.channel.update(refs[n], a_reply(f"answer {n}"))

        assert await stage.seen_by(stage.ben) == [f"answer {n}" for n in range(5)]

    @pytest.mark.parametrize("piece", ["many words ", "很多字"])
    async def test_a_reply_beyond_the_limit_is_shown_from_its_beginning_within_the_limit(
        self, stage: Stage, piece: str
    ) -> None:
        limit = stage.channel.limits.max_characters
        text = piece * (2 * limit // len(piece))

        ref = await stage.channel.post(a_reply(text), stage.conversation, answers=EVENT)
        posted = await stage.seen_by(stage.ben)
        await stage.channel.update(ref, a_reply(text))
        updated = await stage.seen_by(stage.ben)

        for shown in (posted, updated):
            assert all(len(part) <= limit for part in shown)
            assert shown[0][: limit // 2] == text[: limit // 2]

    async def test_a_reply_at_the_limit_is_shown_whole(self, stage: Stage) -> None:
        text = "x" * stage.channel.limits.max_characters

        await stage.channel.post(a_reply(text), stage.conversation, answers=EVENT)

        assert await stage.seen_by(stage.ben) == [text]

    async def test_a_conversation_sees_nothing_of_another(self, stage: Stage) -> None:
        other = ConversationRef(
            stage.conversation.platform,
            stage.conversation.tenant,
            stage.elsewhere,
            ConversationKind.PRIVATE,
        )

        await stage.channel.post(a_reply("elsewhere"), other, answers=EVENT)

        assert await stage.seen_by(stage.ben) == []


class RecordingStage:
    def __init__(self) -> None:
        self.channel = RecordingChannel(ChannelLimits(1_000, 0.0, has_private_replies=True))
        self.conversation = ConversationRef("test", TEST_TENANT, "room", ConversationKind.PRIVATE)
        self.elsewhere = "elsewhere"
        self.ann = UserRef(TEST_TENANT, "ann")
        self.ben = UserRef(TEST_TENANT, "ben")

    async def seen_by(self, user: UserRef) -> list[str]:
        return [
            posted.final.text
            for posted in self.channel.posted
            if posted.ref.conversation == self.conversation
            and posted.ref.private_to in (None, user)
        ]

    async def forget(self, message: MessageRef) -> None:
        self.channel.posted = [p for p in self.channel.posted if p.ref != message]


class WebStage:
    """Looks through the page's own eyes: the event stream over HTTP."""

    def __init__(self, site: WebSite, *, channel: WebChannel | None = None) -> None:
        self._site = site
        self.channel = channel or site.channel
        self.conversation = ConversationRef(
            "web", TENANT, "#verification", ConversationKind.PRIVATE, thread="t1"
        )
        self.elsewhere = "elsewhere"
        self.ann = UserRef(TENANT, "carol.wu")
        self.ben = UserRef(TENANT, "leo.fang")

    async def seen_by(self, user: UserRef) -> list[str]:
        query = {"as": user.id, "conversation": self.conversation.channel}
        async with (
            asyncio.timeout(10),
            # A snapshot is one line, and may be long.
            aiohttp.ClientSession(read_bufsize=2**22) as client,
            client.get(f"{self._site.url}/api/events", params=query) as response,
        ):
            messages = await _snapshot(response)
        return [m["reply"]["text"] for m in messages]

    async def forget(self, message: MessageRef) -> None:
        # The page keeps so many messages; the oldest goes.
        for n in range(MAX_MESSAGES):
            await self.channel.post(a_reply("newer"), self.conversation, answers=f"later-{n}")


async def _snapshot(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    async for line in response.content:
        if line.startswith(b"data: "):
            found: list[dict[str, Any]] = json.loads(line[6:])["messages"]
            return found
    raise AssertionError("the stream ended without a snapshot")


class TestRecordingChannel(ChannelContract):
    @pytest.fixture
    def stage(self) -> Stage:
        return RecordingStage()


class TestWebChannel(ChannelContract):
    @pytest.fixture
    async def stage(self, tmp_path: Path) -> AsyncIterator[Stage]:
        async with WebSite(tmp_path).running() as site:
            yield WebStage(site)


class TestWebChannelOnRedis(ChannelContract):
    """Posted in one process, seen in another."""

    @pytest.fixture
    async def stage(self, tmp_path: Path, redis_url: str) -> AsyncIterator[Stage]:
        redis, tenant = open_redis(redis_url), tmp_path.name
        here, there = (RedisMessageLogs(redis, tenant=tenant) for _ in range(2))
        async with WebSite(tmp_path, logs=here).running() as site:
            yield WebStage(site, channel=WebChannel(there))
        await close_redis(redis)


class FirstPrivateReplyStands(ChannelContract):
    """Of what one person alone sees."""

    async def test_an_update_of_a_private_reply_stays_private(self, stage: Stage) -> None:
        ref = await stage.channel.post_private(
            a_reply("for Ann"), stage.conversation, stage.ann, answers=EVENT
        )

        await stage.channel.update(ref, a_reply("for Ann again"))

        assert await stage.seen_by(stage.ann) == ["for Ann"]
        assert await stage.seen_by(stage.ben) == []

    async def test_the_private_answer_is_another_message_and_again_one(self, stage: Stage) -> None:
        shared = await stage.channel.post(a_reply("for all"), stage.conversation, answers=EVENT)
        refs = {
            await stage.channel.post_private(
                a_reply(text), stage.conversation, stage.ann, answers=EVENT
            )
            for text in ("for Ann", "more for Ann")
        }

        assert len(refs | {shared}) == 2
        assert await stage.seen_by(stage.ann) == ["for all", "for Ann"]
        assert await stage.seen_by(stage.ben) == ["for all"]


class TestSlackChannel(FirstPrivateReplyStands):
    # What Slack shows to one person alone it neither keeps nor changes.
    @pytest.fixture
    async def stage(self) -> AsyncIterator[Stage]:
        async with a_slack_stage() as stage:
            await stage.ask(event_id=EVENT)
            yield stage


class TestSlackChannelWithoutStreaming(TestSlackChannel):
    @pytest.fixture
    async def stage(self) -> AsyncIterator[Stage]:
        async with a_slack_stage() as stage:
            stage.channel = stage.another_channel(streaming=False)
            await stage.ask(event_id=EVENT)
            yield stage


class TestSlackChannelTakenOver(TestSlackChannel):
    """Each call goes to another process than the one before."""

    @pytest.fixture
    async def stage(self) -> AsyncIterator[Stage]:
        async with a_slack_stage() as stage:
            await stage.ask(event_id=EVENT)
            yield _TakenOver(stage)


class _TakenOver:
    def __init__(self, stage: SlackStage | TeamsStage) -> None:
        self._stage = stage
        self.conversation, self.elsewhere = stage.conversation, stage.elsewhere
        self.ann, self.ben = stage.ann, stage.ben
        self.seen_by, self.forget = stage.seen_by, stage.forget

    @property
    def channel(self) -> Channel:
        return self._stage.another_channel()


class TestTeamsChannel(FirstPrivateReplyStands):
    @pytest.fixture
    async def stage(self) -> AsyncIterator[Stage]:
        async with a_teams_stage() as stage:
            await stage.ask(event_id=EVENT)
            yield stage


class TestTeamsChannelInAGroupChat(FirstPrivateReplyStands):
    @pytest.fixture
    async def stage(self) -> AsyncIterator[Stage]:
        async with a_teams_stage() as stage:
            await stage.ask(CHAT, event_id=EVENT)
            yield stage


class TestTeamsChannelTakenOver(FirstPrivateReplyStands):
    """Each call goes to another process than the one before."""

    @pytest.fixture
    async def stage(self) -> AsyncIterator[Stage]:
        async with a_teams_stage() as stage:
            await stage.ask(event_id=EVENT)
            yield _TakenOver(stage)
