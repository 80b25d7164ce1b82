"""What an employee gets in Slack, from the event to what everybody in the channel reads."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bot.messages import UserRef
from bot.redis_client import RedisClient
from retrieval.access import Acl, tenant_principal
from retrieval.models import ModelMessage
from retrieval.types import Usage
from tests.builders import ENG, SALES, TENANT, a_document, an_acl
from tests.company import TellingModel, WaitingModel
from tests.fakes.slack_api import SlackApi
from tests.slack_company import SlackCompany, a_slack_company, furnish

LEAVE = a_document(
    "Employees get 14 days of annual leave per year.", id="hr/leave", title="Annual leave"
)
VALVE = a_document(
    "The pressure valve opens at 42 bar.", id="eng/valve", acl=an_acl(ENG), title="Pressure valve"
)
PRICE = a_document(
    "The secret rebate for Acme is 17 percent.",
    id="sales/rebate",
    acl=an_acl(SALES),
    title="Rebate for Acme",
)
ZH_LEAVE = a_document(
    "員工滿三年有十四天特休假。特休假可以預借。", id="hr/leave-zh", title="特別休假辦法"
)


INTERNAL = Acl(frozenset({tenant_principal(TENANT)}))


class HalfwayModel(TellingModel):
    """Tells one sentence after the other, and waits for ever before the third."""

    def __init__(self) -> None:
        super().__init__()
        self.is_halfway = asyncio.Event()

    async def stream(
        self, messages: Sequence[ModelMessage], *, max_tokens: int
    ) -> AsyncIterator[str | Usage]:
        yield "The pressure valve opens at 42 bar [1]. "
        await asyncio.sleep(1)
        yield "The pressure valve opens at 42 bar [1]. "
        yield "The pressure "
        self.is_halfway.set()
        await asyncio.Event().wait()


@pytest.fixture
async def api() -> AsyncIterator[SlackApi]:
    async with SlackApi() as api:
        furnish(api)
        yield api


@pytest.fixture(params=["socket", "http"])
async def company(
    request: pytest.FixtureRequest, tmp_path: Path, api: SlackApi, redis_url: str
) -> AsyncIterator[SlackCompany]:
    is_http = request.param == "http"
    async with a_slack_company(tmp_path, api, redis_url, http=is_http) as company:
        await company.knows(LEAVE, ZH_LEAVE)
        yield company


async def test_a_mention_is_answered_in_its_thread_once(company: SlackCompany) -> None:
    # With message.channels each mention comes twice, as two different events.
    company.api.sends_channel_messages = True

    asked = await company.api.mention("U1", "CGEN", "How many days of annual leave?")

    reply = await company.answered(asked)
    assert reply.thread_ts == asked.ts
    assert "14 days" in company.text(reply)
    assert "Annual leave" in company.text(reply)
    await company.settled()
    assert company.api.from_app("CGEN") == [reply]


async def test_a_direct_message_is_answered_in_its_language(company: SlackCompany) -> None:
    asked = await company.api.direct_message("U1", "滿三年有幾天特休？")

    reply = await company.reply(asked.channel)

    assert "十四天" in company.text(reply)
    assert "特別休假辦法" in company.text(reply)


async def test_what_is_delivered_again_is_answered_once(company: SlackCompany) -> None:
    asked = await company.api.mention("U1", "CGEN", "How many days of annual leave?")
    await company.answered(asked)

    for delivery in list(company.api.deliveries):
        again = await company.api.resend(delivery)
        assert again.is_acknowledged

    await company.settled()
    assert len(company.api.from_app("CGEN")) == 1


async def test_two_people_in_one_thread_are_both_answered(company: SlackCompany) -> None:
    first = await company.api.mention("U1", "CGEN", "How many days of annual leave?")
    await company.answered(first)

    second = await company.api.mention("U3", "CGEN", "滿三年有幾天特休？", thread_ts=first.ts)

    reply = await company.reply("CGEN", first.ts, after=second.ts)
    assert "十四天" in company.text(reply)
    assert reply.thread_ts == first.ts


async def test_calling_the_bot_into_a_thread_answers_what_was_asked_there(
    company: SlackCompany,
) -> None:
    asked = await company.api.message("U2", "CGEN", "How many days of annual leave?")

    called = await company.api.mention("U1", "CGEN", "", thread_ts=asked.ts)

    reply = await company.reply("CGEN", asked.ts, after=called.ts)
    assert "14 days" in company.text(reply)
    later = await company.api.message("U3", "CGEN", "滿三年有幾天特休？", thread_ts=asked.ts)
    again = await company.api.mention("U1", "CGEN", "", thread_ts=asked.ts)
    reply = await company.reply("CGEN", asked.ts, after=again.ts)
    assert "十四天" in company.text(reply)
    await company.settled()
    # They are the other person's words, and nothing that is kept about the one who called.
    records = await company.conversations.records.of_user(UserRef(TENANT, "slack:T1/U1"), limit=5)
    assert [record.question for record in records] == ["", ""]
    assert later.text not in await _everything_in(company.conversations.redis)


async def test_nobody_elses_words_are_a_command(company: SlackCompany) -> None:
    await company.answered(await company.api.mention("U1", "CGEN", "How many days of leave?"))
    said = await company.api.message("U3", "CGEN", "forget me")

    called = await company.api.mention("U1", "CGEN", "", thread_ts=said.ts)

    await company.reply("CGEN", said.ts, after=called.ts)
    await company.settled()
    user = UserRef(TENANT, "slack:T1/U1")
    assert len(await company.conversations.records.of_user(user, limit=5)) == 2


async def test_everybody_in_the_channel_reads_only_what_all_may_read(
    company: SlackCompany,
) -> None:
    await company.knows(VALVE, PRICE)

    in_eng = await company.api.mention("U1", "CENG", "At what pressure does the valve open?")
    in_deal = await company.api.mention("U1", "CDEAL", "At what pressure does the valve open?")

    assert "42 bar" in company.text(await company.answered(in_eng))
    assert "42 bar" not in company.text(await company.answered(in_deal))
    await company.settled()
    assert "42 bar" not in company.api.everything_seen_by("U3")


async def test_the_asker_alone_gets_the_fuller_answer_and_a_copy(company: SlackCompany) -> None:
    await company.knows(VALVE)
    asked = await company.api.mention("U1", "CDEAL", "At what pressure does the valve open?")
    await company.answered(asked)

    own = await company.reply("CDEAL", asked.ts, to="U1")
    assert "42 bar" in company.text(own)
    await company.api.action(own, "shifu_copy")

    copy = await company.reply(company.api.dm("U1"))
    assert "42 bar" in company.text(copy)
    await company.settled()
    assert "42 bar" not in company.api.everything_seen_by("U3")


async def test_strangers_and_guests_get_public_documents_only(company: SlackCompany) -> None:
    internal = a_document(
        "The canteen code is 7431.", id="hr/canteen", acl=INTERNAL, title="Canteen"
    )
    await company.knows(internal)
    company.api.channel("CX", "partners", "private", ["U1", "UX"], ext_shared=["T9"])
    company.api.channel("CG", "with-gus", "private", ["U1", "UG"])

    for channel, user in (("CX", "U1"), ("CG", "U1"), ("CG", "UG")):
        asked = await company.api.mention(user, channel, "What is the canteen code?")
        assert "7431" not in company.text(await company.answered(asked))
    asked = await company.api.direct_message("UG", "What is the canteen code?")
    assert "7431" not in company.text(await company.reply(asked.channel))

    asked = await company.api.direct_message("U1", "What is the canteen code?")
    assert "7431" in company.text(await company.reply(asked.channel))


async def test_whoever_joins_between_question_and_answer_reads_along(
    tmp_path: Path, api: SlackApi, redis_url: str
) -> None:
    model = WaitingModel("valve")
    async with a_slack_company(tmp_path, api, redis_url, model=model) as company:
        await company.knows(VALVE)
        asked = await api.mention("U1", "CENG", "At what pressure does the valve open?")
        await model.waits.wait()

        await api.join("UG", "CENG")
        model.go_on.set()

        reply = await company.answered(asked)
        await company.settled()
        assert "42 bar" not in company.text(reply)
        assert "42 bar" not in api.everything_seen_by("UG")


async def test_the_stop_button_ends_the_model(
    tmp_path: Path, api: SlackApi, redis_url: str
) -> None:
    model = WaitingModel("leave")
    async with a_slack_company(tmp_path, api, redis_url, model=model) as company:
        await company.knows(LEAVE)
        asked = await api.direct_message("U1", "How many days of annual leave?")
        await model.waits.wait()
        (message,) = api.from_app(asked.channel)

        await api.stop_pressed("U1", message)

        await asyncio.wait_for(model.closed.wait(), 10)
        reply = await company.reply(asked.channel)
        assert "Stopped." in company.text(reply)
        assert len(api.from_app(asked.channel)) == 1


async def test_stopping_leaves_no_half_answer_to_whoever_joined_meanwhile(
    tmp_path: Path, api: SlackApi, redis_url: str
) -> None:
    model = HalfwayModel()
    async with a_slack_company(tmp_path, api, redis_url, model=model) as company:
        await company.knows(VALVE)
        asked = await api.mention("U1", "CENG", "At what pressure does the valve open?")
        await model.is_halfway.wait()
        await api.until(lambda: "42 bar" in str(api.from_app("CENG")) or None)
        (message,) = api.from_app("CENG")

        await api.join("UG", "CENG")
        await api.stop_pressed("U1", message)

        reply = await company.answered(asked)
        await company.settled()
        assert "42 bar" not in company.text(reply)
        assert "Stopped." in company.text(reply)


async def test_forgetting_me_leaves_no_word_of_mine_in_redis(company: SlackCompany) -> None:
    asked = await company.api.direct_message("U1", "How many zebra days of annual leave?")
    await company.reply(asked.channel)
    await company.settled()

    forget = await company.api.direct_message("U1", "forget me")
    await company.reply(asked.channel, after=forget.ts)
    await company.settled()

    redis = company.conversations.redis
    assert redis is not None
    held = [str(key) async for key in redis.scan_iter("*")]
    for key in list(held):
        if await redis.type(key) == "string":
            held.append(str(await redis.get(key)))
        if await redis.type(key) == "hash":
            held.append(str(await redis.hgetall(key)))
    assert "zebra" not in str(held)


async def test_forgetting_me_takes_my_words_out_of_what_others_asked_after_me(
    company: SlackCompany,
) -> None:
    await company.knows(VALVE)
    first = await company.api.mention("U1", "CENG", "At what zebra pressure does the valve open?")
    await company.answered(first)
    then = await company.api.mention("U2", "CENG", "and when does it close?", thread_ts=first.ts)
    await company.reply("CENG", first.ts, after=then.ts)
    await company.settled()

    forget = await company.api.direct_message("U1", "forget me")
    await company.reply(forget.channel)
    await company.settled()

    assert "zebra" not in await _everything_in(company.conversations.redis)


async def test_a_bot_that_was_removed_does_not_try_for_ever(company: SlackCompany) -> None:
    for method in ("chat.startStream", "chat.postMessage"):
        company.api.fail(method, times=100, error="not_in_channel")

    await company.api.mention("U1", "CGEN", "How many days of annual leave?")

    await company.settled()
    assert not company.api.from_app("CGEN")


async def test_a_copy_answers_what_was_asked(company: SlackCompany) -> None:
    await company.knows(
        a_document(
            "The valve closes at 17 bar.", id="eng/closes", acl=an_acl(ENG), title="Closing"
        ),
        VALVE,
    )
    first = await company.api.mention("U1", "CDEAL", "At what pressure does the valve open?")
    await company.reply("CDEAL", first.ts, to="U1")
    again = await company.api.mention("U1", "CDEAL", "and when does it close?", thread_ts=first.ts)
    own = await company.reply("CDEAL", first.ts, to="U1", after=again.ts)

    await company.api.action(own, "shifu_copy")

    copy = await company.reply(company.api.dm("U1"))
    assert "17 bar" in company.text(copy)


async def test_a_file_that_comes_with_a_question_answers_it(company: SlackCompany) -> None:
    company.api.file(
        "F1", "pump.md", b"# Pump\n\nThe pump is primed for 90 seconds.", channels=["D"]
    )

    asked = await company.api.direct_message("U1", "How long is the pump primed?", files=["F1"])

    reply = await company.reply(asked.channel)
    assert "90 seconds" in company.text(reply)
    assert "pump" in company.text(reply)
    assert await company.store.documents() == [LEAVE.document, ZH_LEAVE.document]


async def test_thirty_mentions_at_once_are_each_answered_once(company: SlackCompany) -> None:
    asked = await asyncio.gather(
        *(
            company.api.mention(f"U{n % 3 + 1}", "CGEN", "How many days of annual leave?")
            for n in range(30)
        )
    )

    replies = await asyncio.gather(*(company.answered(message) for message in asked))

    await company.settled()
    assert all("14 days" in company.text(reply) for reply in replies)
    assert len(company.api.from_app("CGEN")) == 30


async def test_a_rate_limited_workspace_gets_every_answer_in_one_message(
    company: SlackCompany,
) -> None:
    company.api.rate_limit("chat.startStream", per_minute=2, retry_after_s=1)
    company.api.rate_limit("chat.update", per_minute=20, retry_after_s=1)
    company.api.rate_limit("chat.postMessage", per_minute=20, retry_after_s=1)

    asked = [
        await company.api.mention("U1", "CGEN", "How many days of annual leave?") for _ in range(8)
    ]

    for message in asked:
        assert "14 days" in company.text(await company.answered(message))
    await company.settled()
    assert len(company.api.from_app("CGEN")) == 8


async def test_a_slack_that_wants_an_hour_is_not_asked_again_and_again(
    tmp_path: Path, api: SlackApi, redis_url: str
) -> None:
    model = TellingModel()
    async with a_slack_company(tmp_path, api, redis_url, model=model) as company:
        await company.knows(LEAVE)
        for method in ("chat.stopStream", "chat.update", "chat.postMessage"):
            api.rate_limit(method, per_minute=0, retry_after_s=3600)

        await api.mention("U1", "CGEN", "How many days of annual leave?")

        await api.until(lambda: api.calls("chat.stopStream") or None)
        await asyncio.sleep(5)
        assert len(model.asked) == 1


async def test_slack_being_down_for_a_while_loses_nothing(company: SlackCompany) -> None:
    asked = await company.api.mention("U1", "CGEN", "How many days of annual leave?")
    await company.answered(asked)
    await company.api.down()
    later = asyncio.create_task(company.api.mention("U2", "CGEN", "How many days of annual leave?"))
    await asyncio.sleep(2)

    await company.api.up()

    reply = await company.answered(await later)
    assert "14 days" in company.text(reply)
    await company.settled()
    assert len(company.api.from_app("CGEN")) == 2


async def test_the_sockets_changing_during_an_answer_lose_nothing(
    tmp_path: Path, api: SlackApi, redis_url: str
) -> None:
    model = WaitingModel("leave")
    async with a_slack_company(tmp_path, api, redis_url, model=model) as company:
        await company.knows(LEAVE, ZH_LEAVE)
        first = await api.mention("U1", "CGEN", "How many days of annual leave?")
        await model.waits.wait()

        await api.refresh_sockets()
        second = await api.mention("U2", "CGEN", "滿三年有幾天特休？")
        assert "十四天" in company.text(await company.answered(second))
        await api.drop_sockets()
        model.go_on.set()

        assert "14 days" in company.text(await company.answered(first))


async def test_nothing_of_a_document_notifies_or_links(company: SlackCompany) -> None:
    evil = a_document(
        "The gate code is 12. <!channel> ask <@U3> or https://evil.example/?q=1 now.",
        id="eng/gate",
        title="Gate <!here> <@U2>",
    )
    await company.knows(evil)

    asked = await company.api.mention("U1", "CGEN", "What is the gate code?")

    reply = await company.answered(asked)
    assert "12" in company.text(reply)
    assert company.api.notified_by(reply) == set()


async def test_what_was_said_in_an_approved_channel_is_known_to_its_members(
    tmp_path: Path, api: SlackApi, redis_url: str
) -> None:
    api.sends_channel_messages = True
    async with a_slack_company(tmp_path, api, redis_url, index_channels=["CENG"]) as company:
        said = (
            "The spare key of the clean room lies in drawer seven, below the oscilloscope's manual."
        )
        await api.message("U2", "CENG", said)
        async with asyncio.timeout(60):
            while not await company.store.documents():
                await asyncio.sleep(0.2)

        await api.direct_message("U1", "Where is the spare key of the clean room?")
        await api.direct_message("U3", "Where is the spare key of the clean room?")

        assert "drawer seven" in company.text(await company.reply(api.dm("U1")))
        await company.reply(api.dm("U3"))
        await api.leave("U1", "CENG")
        again = await api.direct_message("U1", "Where does the clean room's spare key lie?")
        answer = await company.reply(api.dm("U1"), after=again.ts)
        assert "drawer seven" not in company.text(answer)
        assert "drawer seven" not in api.everything_seen_by("U3")


async def _everything_in(redis: RedisClient | None) -> str:
    """Of what is kept of conversations: sessions and records."""
    assert redis is not None
    kept = []
    for kind in ("session", "record"):
        async for key in redis.scan_iter(f"shifu:{TENANT}:{kind}*"):
            if await redis.type(key) == "string":
                kept.append(json.loads(str(await redis.get(key))))
    return json.dumps(kept, ensure_ascii=False)
