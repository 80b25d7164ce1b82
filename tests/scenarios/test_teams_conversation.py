"""What an employee gets in Teams, from the activity to what everybody in the conversation reads."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.messages import UserRef
from retrieval.access import Acl, tenant_principal
from tests.builders import ENG, SALES, TENANT, a_document, an_acl
from tests.company import WaitingModel
from tests.fakes.teams_api import TeamsApi
from tests.teams_company import (
    ANN,
    BEN,
    CLOSED_TEAM,
    DAN,
    GENERAL,
    GROUP_CHAT,
    GUS,
    LAB,
    OURS,
    PARTNERS,
    SAM,
    XAVER,
    TeamsCompany,
    a_teams_company,
    furnish,
)

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
CANTEEN = a_document(
    "The canteen code is 7431.",
    id="hr/canteen",
    acl=Acl(frozenset({tenant_principal(TENANT)})),
    title="Canteen",
)
ZH_LEAVE = a_document(
    "員工滿三年有十四天特休假。特休假可以預借。", id="hr/leave-zh", title="特別休假辦法"
)


@pytest.fixture
async def api() -> AsyncIterator[TeamsApi]:
    async with TeamsApi() as api:
        furnish(api)
        yield api


@pytest.fixture
async def company(tmp_path: Path, api: TeamsApi, redis_url: str) -> AsyncIterator[TeamsCompany]:
    async with a_teams_company(tmp_path, api, redis_url) as company:
        await company.knows(LEAVE, ZH_LEAVE)
        yield company


async def test_a_mention_is_answered_in_its_thread_once(company: TeamsCompany) -> None:
    asked = await company.api.says(ANN, GENERAL, "How many days of annual leave?")

    answer = await company.answered(asked)

    await company.settled()
    assert "14 days" in company.text(answer)
    assert company.api.from_app(GENERAL, asked) == [answer]
    assert [d.status for d in company.api.deliveries] == [202]


async def test_a_personal_chat_is_answered_in_its_language_and_as_it_is_written(
    company: TeamsCompany,
) -> None:
    asked = await company.api.says(ANN, "personal", "滿三年有幾天特休？")

    answer = await company.answered(asked)

    assert "十四天" in company.text(answer)
    assert "特別休假辦法" in str(answer.entities)
    assert answer.stream is not None


async def test_what_one_could_go_on_with_is_offered_of_what_one_may_read(
    company: TeamsCompany,
) -> None:
    await company.knows(
        a_document(
            "Unpaid leave of days is agreed with your manager.", id="u", title="Unpaid leave"
        ),
        a_document(
            "Sales leave days are paid double.", id="s", acl=an_acl(SALES), title="Leave in sales"
        ),
    )

    asked = await company.api.says(ANN, "personal", "How many days of annual leave?")

    offered = str((await company.answered(asked)).suggested_actions)
    assert "Unpaid leave" in offered
    assert "Leave in sales" not in offered
    shared = await company.api.says(ANN, GENERAL, "How many days of annual leave?")
    assert not (await company.answered(shared)).suggested_actions


async def test_what_is_delivered_again_is_answered_once(company: TeamsCompany) -> None:
    asked = await company.api.says(ANN, GENERAL, "How many days of annual leave?")
    await company.answered(asked)

    for delivery in list(company.api.deliveries):
        await company.api.resend(delivery)

    await company.settled()
    assert len(company.api.from_app(GENERAL)) == 1


async def test_two_people_in_one_thread_are_both_answered(company: TeamsCompany) -> None:
    first = await company.api.says(ANN, GENERAL, "How many days of annual leave?")
    await company.answered(first)

    second = await company.api.says(SAM, GENERAL, "滿三年有幾天特休？", reply_to=first)

    reply = await company.answered(second)
    assert "十四天" in company.text(reply)
    assert reply.thread == first.id


async def test_everybody_who_reads_it_may_read_what_it_says(company: TeamsCompany) -> None:
    await company.knows(VALVE, PRICE)

    in_lab = await company.api.says(ANN, LAB, "At what pressure does the valve open?")
    in_team = await company.api.says(ANN, CLOSED_TEAM, "At what pressure does the valve open?")
    in_chat = await company.api.says(ANN, GROUP_CHAT, "At what pressure does the valve open?")

    assert "42 bar" in company.text(await company.answered(in_lab))
    assert "42 bar" not in company.text(await company.answered(in_team))
    assert "42 bar" not in company.text(await company.answered(in_chat))
    await company.settled()
    assert "42 bar" not in company.api.everything_seen_by(SAM)


async def test_the_asker_alone_gets_the_fuller_answer(company: TeamsCompany) -> None:
    await company.knows(VALVE)

    asked = await company.api.says(ANN, GROUP_CHAT, "At what pressure does the valve open?")

    await company.answered(asked)
    own = await company.reply(GROUP_CHAT, after=asked.id, to=ANN)
    assert "42 bar" in company.text(own)
    await company.settled()
    assert "42 bar" not in company.api.everything_seen_by(SAM)
    assert "42 bar" not in company.api.everything_seen_by(BEN)


@pytest.mark.parametrize(
    ("person", "place"),
    [(GUS, "personal"), (XAVER, PARTNERS), (ANN, PARTNERS)],
)
async def test_guests_and_people_of_other_companies_leave_public_documents_only(
    company: TeamsCompany, person: str, place: str
) -> None:
    await company.knows(CANTEEN)

    asked = await company.api.says(person, place, "What is the canteen code?")

    assert "7431" not in company.text(await company.answered(asked))
    asked = await company.api.says(DAN, "personal", "What is the canteen code?")
    assert "7431" in company.text(await company.answered(asked))


async def test_a_guest_in_a_team_narrows_what_is_said_there(company: TeamsCompany) -> None:
    await company.knows(CANTEEN)
    await company.api.join(GUS, CLOSED_TEAM)

    asked = await company.api.says(ANN, CLOSED_TEAM, "What is the canteen code?")

    assert "7431" not in company.text(await company.answered(asked))


async def test_whoever_joins_between_question_and_answer_reads_along(
    tmp_path: Path, api: TeamsApi, redis_url: str
) -> None:
    model = WaitingModel("valve")
    async with a_teams_company(tmp_path, api, redis_url, model=model) as company:
        await company.knows(VALVE)
        asked = await api.says(ANN, LAB, "At what pressure does the valve open?")
        await model.waits.wait()

        await api.join(SAM, LAB)
        model.go_on.set()

        reply = await company.answered(asked)
        await company.settled()
        assert "42 bar" not in company.text(reply)
        assert "42 bar" not in api.everything_seen_by(SAM)


async def test_stop_ends_the_model_and_leaves_one_message(
    tmp_path: Path, api: TeamsApi, redis_url: str
) -> None:
    model = WaitingModel("leave")
    async with a_teams_company(tmp_path, api, redis_url, model=model) as company:
        await company.knows(LEAVE)
        asked = await api.says(ANN, "personal", "How many days of annual leave?")
        await model.waits.wait()
        (message,) = api.from_app(asked.conversation)

        await api.stop(ANN, message)

        await asyncio.wait_for(model.closed.wait(), 20)
        await company.settled()
        assert len(api.from_app(asked.conversation)) == 1
        assert "14 days" not in company.text(message)


async def test_when_graph_is_throttled_only_public_documents_are_used_and_that_is_said(
    company: TeamsCompany,
) -> None:
    await company.knows(CANTEEN)
    company.api.fail("graph", times=1_000, status=429, retry_after_s=30)

    asked = await company.api.says(ANN, LAB, "What is the canteen code?")

    reply = await company.answered(asked)
    assert "7431" not in company.text(reply)
    assert "could not check" in company.text(reply)


async def test_teams_being_down_for_a_while_loses_nothing(company: TeamsCompany) -> None:
    company.api.fail("send", times=6, status=502)

    asked = await company.api.says(ANN, GENERAL, "How many days of annual leave?")

    assert "14 days" in company.text(await company.answered(asked))
    await company.settled()
    assert len(company.api.from_app(GENERAL)) == 1


async def test_thirty_mentions_at_once_are_each_answered_once(company: TeamsCompany) -> None:
    asked = [
        await company.api.says(ANN, GENERAL, f"How many days of annual leave? {n}")
        for n in range(30)
    ]

    for question in asked:
        assert "14 days" in company.text(await company.answered(question))
    await company.settled()
    assert len(company.api.from_app(GENERAL)) == 30


async def test_forgetting_me_leaves_no_word_of_mine_in_redis(company: TeamsCompany) -> None:
    asked = await company.api.says(ANN, "personal", "How many zebra days of annual leave?")
    await company.answered(asked)
    await company.settled()

    forget = await company.api.says(ANN, "personal", "forget me")
    await company.answered(forget)
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


async def test_a_bot_that_was_removed_does_not_try_for_ever(company: TeamsCompany) -> None:
    company.api.fail("send", times=100, status=403, code="BotNotInConversationRoster")

    await company.api.says(ANN, GENERAL, "How many days of annual leave?")

    await company.settled()
    assert not company.api.from_app(GENERAL)


async def test_a_file_that_comes_with_a_question_answers_it(company: TeamsCompany) -> None:
    company.api.file("F1", "pump.md", b"# Pump\n\nThe pump is primed for 90 seconds.")

    asked = await company.api.says(ANN, "personal", "How long is the pump primed?", files=["F1"])

    assert "90 seconds" in company.text(await company.answered(asked))


@pytest.mark.parametrize(
    ("word", "said"),
    [("help", "forget me"), ("說明", "我"), ("sources", "documents"), ("status", "Memory")],
)
async def test_the_commands_are_bare_words(company: TeamsCompany, word: str, said: str) -> None:
    asked = await company.api.says(ANN, "personal", word)

    assert said in company.text(await company.answered(asked))


async def test_the_language_that_is_set_holds_from_then_on(company: TeamsCompany) -> None:
    await company.answered(await company.api.says(ANN, "personal", "language zh"))

    asked = await company.api.says(ANN, GENERAL, "How many days of annual leave?")

    assert "來源" in company.text(await company.answered(asked)) or "原句" in company.text(
        await company.answered(asked)
    )


async def test_calling_the_bot_into_a_thread_answers_what_was_asked_there(
    company: TeamsCompany,
) -> None:
    asked = await company.api.says(BEN, GENERAL, "How many days of annual leave?", mention=False)

    called = await company.api.says(ANN, GENERAL, "", reply_to=asked)

    assert "14 days" in company.text(await company.answered(called))


async def test_nothing_of_a_document_notifies_or_links(company: TeamsCompany) -> None:
    await company.knows(
        a_document(
            "The zebra rule: <at>Ben Chen</at> [pays](https://evil.example) <b>all</b> https://evil.example/x.",
            id="zebra",
            title="<at>Ben</at> [x](https://evil.example)",
        )
    )

    asked = await company.api.says(ANN, GENERAL, "What is the zebra rule?")

    answer = await company.answered(asked)
    assert "zebra rule" in company.text(answer)
    assert not [e for e in answer.entities if e.get("type") == "mention"]
    # In the card the title stands as plain text, which Teams never reads as markup.
    assert "evil" not in answer.text


async def test_a_picture_is_not_fetched_wherever_it_is_said_to_lie(
    company: TeamsCompany,
) -> None:
    roster = f"{company.api.service_url}v3/conversations/{LAB}/pagedmembers"
    picture = {"contentType": "image/png", "name": "roster.txt", "contentUrl": roster}

    asked = await company.api.says(
        GUS, "personal", "Who is in the roster?", activity={"attachments": [picture]}
    )

    answer = await company.answered(asked)
    assert "Ann" not in company.text(answer)
    assert not company.api.calls("members")


async def test_what_is_told_of_another_channel_is_not_told_of_this_one(
    company: TeamsCompany,
) -> None:
    await company.knows(CANTEEN)
    about_others: list[tuple[str, dict[str, object]]] = [
        (GENERAL, {"channel": {"id": "19:new@thread.tacv2", "type": "private"}}),
        (PARTNERS, {"channel": {"id": GENERAL, "type": "standard"}}),
    ]
    for place, data in about_others:
        told = company.api.envelope("conversationUpdate", ANN, place)
        told["channelData"] = {**told["channelData"], **data, "eventType": "channelCreated"}
        await company.api.activity(told)
    nothing = company.api.envelope("conversationUpdate", ANN, PARTNERS)
    del nothing["conversation"]["conversationType"]
    nothing["channelData"] = {"tenant": nothing["channelData"]["tenant"]}
    await company.api.activity(nothing)

    asked = await company.api.says(ANN, PARTNERS, "What is the canteen code?")

    assert "7431" not in company.text(await company.answered(asked))
    assert "7431" not in company.api.everything_seen_by(XAVER)


async def test_a_report_is_kept(company: TeamsCompany) -> None:
    for text in ("report the number is wrong", "回報 數字錯了"):
        await company.answered(await company.api.says(ANN, "personal", text))

    reports = await company.conversations.state.feedback()
    assert {report.comment for report in reports} == {"the number is wrong", "數字錯了"}


async def test_told_to_stop_it_says_so_once_and_keeps_quiet(company: TeamsCompany) -> None:
    first = await company.api.says(ANN, GENERAL, "How many days of annual leave?")
    answer = await company.answered(first)

    await company.api.says(ANN, GENERAL, "thanks, stop", reply_to=first)

    said = await company.reply(GENERAL, first, after=answer.id)
    await company.settled()
    assert "no more in this thread" in company.text(said)
    assert len(company.api.from_app(GENERAL, first)) == 2


async def test_nobody_elses_words_are_a_command(company: TeamsCompany) -> None:
    await company.answered(await company.api.says(ANN, GENERAL, "How many days of leave?"))
    said = await company.api.says(SAM, GENERAL, "forget me", mention=False)

    called = await company.api.says(ANN, GENERAL, "", reply_to=said)

    await company.answered(called)
    await company.settled()
    ann = UserRef(TENANT, f"teams:{OURS}/{ANN}")
    assert len(await company.conversations.records.of_user(ann, limit=5)) == 2


async def test_a_throttled_chat_gets_every_answer_in_one_message(company: TeamsCompany) -> None:
    company.api.fail("send", times=3, status=429, retry_after_s=1)

    asked = [await company.api.says(ANN, GENERAL, f"How many leave days? {n}") for n in range(3)]

    for question in asked:
        assert "14 days" in company.text(await company.answered(question))
    await company.settled()
    assert len(company.api.from_app(GENERAL)) == 3


async def test_a_teams_that_wants_an_hour_is_not_asked_again_and_again(
    company: TeamsCompany,
) -> None:
    company.api.fail("send", times=1_000, status=429, retry_after_s=3_600)

    await company.api.says(ANN, GENERAL, "How many days of annual leave?")
    await asyncio.sleep(4)

    assert len(company.api.calls("send")) <= 3


async def test_it_says_hello_once_to_whom_it_is_added(company: TeamsCompany) -> None:
    for place in (GROUP_CHAT, DAN):
        for _ in range(2):
            await company.api.install(
                DAN if place == DAN else company.api.teams.world.conversations[place]
            )

    hello = await company.api.until(lambda: next(iter(company.api.from_app(GROUP_CHAT)), None))
    await company.settled()
    assert "Shifu" in company.text(hello)
    assert len(company.api.from_app(GROUP_CHAT)) == 1
    assert not company.api.from_app("personal", user=DAN)
