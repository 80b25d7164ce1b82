"""What stands around an answer in Teams: its buttons, dialogs, ratings, and the cards that one person alone sees."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.teams import verbs
from bot.messages import Rating
from tests.builders import ENG, a_document, an_acl
from tests.fakes.teams_api import Message, TeamsApi
from tests.teams_company import (
    ANN,
    BEN,
    DAN,
    GENERAL,
    GROUP_CHAT,
    LAB,
    SAM,
    THEIRS,
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
QUESTION = "At what pressure does the valve open?"


@pytest.fixture
async def api() -> AsyncIterator[TeamsApi]:
    async with TeamsApi() as api:
        furnish(api)
        yield api


@pytest.fixture
async def company(tmp_path: Path, api: TeamsApi, redis_url: str) -> AsyncIterator[TeamsCompany]:
    async with a_teams_company(tmp_path, api, redis_url) as company:
        await company.knows(LEAVE, VALVE)
        yield company


async def _own_answer(company: TeamsCompany) -> Message:
    """Ann's, in the group chat with Sam, who may not read it."""
    asked = await company.api.says(ANN, GROUP_CHAT, QUESTION)
    await company.answered(asked)
    return await company.reply(GROUP_CHAT, after=asked.id, to=ANN)


async def _ten_minutes_later(company: TeamsCompany) -> None:
    """What was looked up of people and places is out of date."""
    redis = company.conversations.redis
    assert redis is not None
    for key in [key async for key in redis.scan_iter("*teams-directory*")]:
        await redis.delete(key)


async def test_a_rating_is_kept_and_its_reasons_are_asked_for(company: TeamsCompany) -> None:
    asked = await company.api.says(ANN, "personal", "How many days of annual leave?")
    answer = await company.answered(asked)

    dialog = await company.api.feedback(
        ANN, answer, "dislike", data={verbs.REASONS: "outdated", verbs.COMMENT: "It is 15 now."}
    )

    assert dialog is not None
    (feedback,) = await company.conversations.state.feedback()
    assert feedback.rating is Rating.UNHELPFUL
    assert "It is 15 now." in feedback.comment
    records = await company.conversations.records.of_user(feedback.user, limit=1)
    assert records[0].id == feedback.feedback_id


@pytest.mark.parametrize("is_wrapped", [True, False])
async def test_praise_is_kept_without_further_questions(
    company: TeamsCompany, is_wrapped: bool
) -> None:
    answer = await company.answered(await company.api.says(ANN, GENERAL, "How many leave days?"))

    dialog = await company.api.feedback(BEN, answer, "like", is_wrapped=is_wrapped)

    assert dialog is not None
    assert dialog.told
    (feedback,) = await company.conversations.state.feedback()
    assert feedback.rating is Rating.HELPFUL


async def test_why_is_shown_to_whoever_presses(company: TeamsCompany) -> None:
    asked = await company.api.says(ANN, LAB, QUESTION)
    answer = await company.answered(asked)

    await company.api.press(BEN, answer, verbs.WHY)

    why = await company.reply(LAB, after=answer.id, to=BEN)
    assert "Pressure valve" in company.text(why)


async def test_why_of_an_answer_that_one_may_not_read_tells_nothing(company: TeamsCompany) -> None:
    own = await _own_answer(company)
    data = own.cards[-1]["actions"][0]["data"]
    forged = company.api.envelope(
        "invoke",
        SAM,
        GROUP_CHAT,
        name="adaptiveCard/action",
        value={"action": {"type": "Action.Execute", "verb": verbs.WHY, "data": data}},
    )

    await company.api.activity(forged)

    told = await company.reply(GROUP_CHAT, after=own.id, to=SAM)
    await company.settled()
    assert "valve" not in company.text(told).lower()
    assert "42 bar" not in company.api.everything_seen_by(SAM)


async def test_sharing_says_what_will_be_missing_and_asks_anew(company: TeamsCompany) -> None:
    asked = await company.api.says(ANN, GROUP_CHAT, QUESTION, targeted=True)
    own = await company.reply(GROUP_CHAT, after=asked.id, to=ANN)

    dialog = await company.api.fetch_dialog(ANN, own, {verbs.VERB: verbs.SHARE})

    assert "Pressure valve" in str(dialog.card)
    assert not company.api.from_app(GROUP_CHAT)[-1].id > own.id
    done = await company.api.submit_dialog(dialog, which={verbs.VERB: verbs.SHARE_CONFIRMED})
    assert done.told
    again = await company.api.submit_dialog(dialog, which={verbs.VERB: verbs.SHARE_CONFIRMED})
    assert again.told != done.told
    await company.settled()
    assert "Ann Lin asks: " in str([m.text for m in company.api.from_app(GROUP_CHAT)])
    assert "42 bar" not in company.api.everything_seen_by(SAM)


async def test_a_copy_stands_in_the_personal_chat(company: TeamsCompany) -> None:
    own = await _own_answer(company)

    await company.api.press(ANN, own, verbs.COPY)

    def copied() -> Message | None:
        mine = company.api.from_app("personal", user=ANN)
        return next((m for m in mine if "42 bar" in company.text(m)), None)

    assert QUESTION in company.text(await company.api.until(copied))


async def test_where_targeted_messages_are_not_taken_the_card_is_ones_own(
    company: TeamsCompany,
) -> None:
    company.api.targeted(False)
    asked = await company.api.says(ANN, GROUP_CHAT, QUESTION)
    await company.answered(asked)
    await company.settled()

    seen = await company.api.opens(ANN, GROUP_CHAT)
    await company.api.opens(SAM, GROUP_CHAT)

    assert "42 bar" in str([company.text(m, seen_by=ANN) for m in seen])
    assert "42 bar" not in company.api.everything_seen_by(SAM)
    assert "42 bar" not in company.api.everything_seen_by(BEN)


async def test_a_card_of_ones_own_is_not_shown_to_whoever_may_not_read_it_any_more(
    company: TeamsCompany,
) -> None:
    company.api.targeted(False)
    asked = await company.api.says(ANN, GROUP_CHAT, QUESTION)
    answer = await company.answered(asked)
    await company.settled()
    assert "42 bar" in str(await company.api.refresh(ANN, answer))
    answer.personal.clear()
    await company.api.disable(ANN)
    await _ten_minutes_later(company)
    seen = await company.api.refresh(ANN, answer)

    assert seen is not None
    assert "42 bar" not in str(seen)


async def test_a_targeted_question_is_answered_to_the_asker_alone(company: TeamsCompany) -> None:
    asked = await company.api.says(ANN, GROUP_CHAT, QUESTION, targeted=True)

    own = await company.reply(GROUP_CHAT, after=asked.id, to=ANN)

    await company.settled()
    assert "42 bar" in company.text(own)
    assert "42 bar" not in company.api.everything_seen_by(SAM)


async def test_who_owns_the_thread_goes_on_without_a_mention_where_that_is_set(
    tmp_path: Path, api: TeamsApi, redis_url: str
) -> None:
    async with a_teams_company(tmp_path, api, redis_url, follow_teams=["*"]) as company:
        await company.knows(LEAVE)
        api.teams.world.conversations[GENERAL].hears_all = True
        first = await api.says(ANN, GENERAL, "How many days of annual leave?")
        await company.answered(first)

        more = await api.says(
            ANN, GENERAL, "And is annual leave paid?", reply_to=first, mention=False
        )
        await company.answered(more)
        other = await api.says(SAM, GENERAL, "Lunch, anyone?", reply_to=first, mention=False)
        await company.settled()

        assert not [m for m in api.from_app(GENERAL, first) if m.id > other.id]


async def test_a_message_that_is_worth_keeping_waits_for_review(company: TeamsCompany) -> None:
    said = await company.api.says(BEN, GROUP_CHAT, "Always vent the pump first.", mention=False)
    await company.answered(await company.api.says(BEN, GROUP_CHAT, "How many leave days?"))

    dialog = await company.api.fetch_task(ANN, said, "save")
    assert dialog.is_open
    done = await company.api.submit_task(
        dialog, {verbs.TITLE: "Pump", verbs.TEXT: "Always vent the pump first."}
    )

    assert "Always vent the pump first." in str(done.card)
    (waiting,) = await company.conversations.review.waiting(limit=5)
    assert waiting.text == "Always vent the pump first."
    gone = await company.api.submit_dialog(done, which={verbs.VERB: verbs.WITHDRAW})
    assert gone.told
    assert not await company.conversations.review.waiting(limit=5)
    outsider = await company.api.fetch_task(DAN, said, "save")
    assert not outsider.is_open or "pump" not in str(outsider.card).lower()


async def test_another_companys_conversation_is_refused(company: TeamsCompany) -> None:
    theirs = company.api.chat("19:theirs@thread.v2", [XAVER], tenant=THEIRS)

    await company.api.says(XAVER, theirs, "What do you know?")

    assert company.api.deliveries[-1].status == 401
    assert not company.api.from_app(theirs)
