"""Saving a message as knowledge in Teams: what the client tells of it is a claim until somebody else confirms it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.teams.dialog_texts import REFUSALS
from adapters.teams.ids import TeamsPerson
from bot.capture.review import Submission
from bot.messages import UserRef
from tests.builders import TENANT
from tests.fakes.teams.dialogs import Dialog
from tests.fakes.teams_api import Message, TeamsApi
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

SAVE = "save"
TIP = "When the valve sticks, turn it by *hand* & wait five minutes."


@pytest.fixture
async def api() -> AsyncIterator[TeamsApi]:
    async with TeamsApi() as api:
        furnish(api)
        yield api


@pytest.fixture
async def company(tmp_path: Path, api: TeamsApi, redis_url: str) -> AsyncIterator[TeamsCompany]:
    async with a_teams_company(tmp_path, api, redis_url) as company:
        yield company


class TestSaving:
    @pytest.mark.parametrize("place", [GENERAL, LAB, GROUP_CHAT])
    async def test_keeps_for_review_what_graph_tells_of_the_message(
        self, company: TeamsCompany, place: str
    ) -> None:
        said = await tip(company, BEN, place)

        dialog = await company.api.fetch_task(ANN, said, SAVE)
        after = await company.api.submit_task(dialog, filled(dialog))

        (saved,) = await waiting(company)
        assert "waits for review" in str(after.card)
        assert saved.text == TIP
        assert saved.title == TIP
        assert saved.by == ref(ANN)
        assert saved.author == ref(BEN)
        assert saved.written_at == datetime.fromtimestamp(int(said.created_at * 1_000) / 1_000, UTC)
        assert not saved.is_edited
        assert saved.audience == "channel"
        assert saved.conversation is not None
        assert saved.conversation.channel == f"{OURS}/{place}"
        assert said.id in (saved.permalink or "")

    async def test_of_a_reply_finds_it_in_its_thread(self, company: TeamsCompany) -> None:
        root = await tip(company, BEN, LAB, "Any idea?")
        said = await tip(company, ANN, LAB, reply_to=root)

        await save(company, ANN, said)

        (saved,) = await waiting(company)
        assert (saved.text, saved.author) == (TIP, ref(ANN))

    async def test_marks_what_the_saver_has_changed(self, company: TeamsCompany) -> None:
        said = await tip(company, BEN)

        await save(company, ANN, said, text="Turn it by hand.", title="Valve", audience="everyone")

        (saved,) = await waiting(company)
        assert (saved.title, saved.text, saved.audience) == (
            "Valve",
            "Turn it by hand.",
            "everyone",
        )
        assert saved.is_edited

    async def test_twice_keeps_it_once(self, company: TeamsCompany) -> None:
        said = await tip(company, BEN)

        await save(company, ANN, said)
        await save(company, ANN, said, title="Another")

        assert len(await waiting(company)) == 1

    async def test_speaks_the_language_of_whoever_saves(self, company: TeamsCompany) -> None:
        company.api.teams.world.users[ANN].locale = "zh-TW"
        said = await tip(company, BEN, GENERAL, "卡住時用手轉開。")

        dialog = await company.api.fetch_task(ANN, said, SAVE)
        after = await company.api.submit_task(dialog, filled(dialog))

        assert dialog.title == "存成知識"
        assert "審核" in str(after.card)

    async def test_shows_only_the_beginning_of_a_long_message_and_calls_that_no_change(
        self, company: TeamsCompany
    ) -> None:
        said = await tip(company, BEN, LAB, "字" * 9_000)

        await save(company, ANN, said)

        (saved,) = await waiting(company)
        assert len(saved.text) == 3_000
        assert not saved.is_edited

    async def test_is_limited_for_one_person_in_a_day(self, company: TeamsCompany) -> None:
        said = await tip(company, BEN)
        await company.conversations.state.allow(f"save:{ref(ANN).key}", limit=50, per_s=86_400)
        for _ in range(49):
            await company.conversations.state.allow(f"save:{ref(ANN).key}", limit=50, per_s=86_400)

        after = await save(company, ANN, said)

        assert "tomorrow" in after.told
        assert await waiting(company) == []

    async def test_without_being_told_the_message_again_still_knows_it(
        self, company: TeamsCompany
    ) -> None:
        said = await tip(company, BEN)
        dialog = await company.api.fetch_task(ANN, said, SAVE)

        dialog.source = None
        await company.api.submit_dialog(dialog, filled(dialog))

        (saved,) = await waiting(company)
        assert (saved.text, saved.author) == (TIP, ref(BEN))


class TestWhereMessagesMayNotBeRead:
    @pytest.fixture
    def api(self, api: TeamsApi) -> TeamsApi:
        api.forbid("ChannelMessage.Read.All", "Chat.Read.All")
        return api

    async def test_the_words_count_as_the_savers_and_nobody_else_is_named(
        self, company: TeamsCompany
    ) -> None:
        said = await tip(company, BEN)

        dialog = await company.api.fetch_task(ANN, said, SAVE)
        await company.api.submit_task(dialog, filled(dialog))

        (saved,) = await waiting(company)
        assert "your own words" in str(dialog.card)
        assert saved.text == TIP
        assert (saved.by, saved.author, saved.written_at) == (ref(ANN), None, None)
        assert saved.permalink is not None
        assert saved.permalink.startswith("https://teams.microsoft.com/l/message/")

    async def test_an_author_who_is_not_there_is_not_believed(self, company: TeamsCompany) -> None:
        said = await tip(company, BEN, LAB)

        assert await refusal(company, ANN, said, claim=by(SAM)) == "author"
        assert await refusal(company, ANN, said, claim=by("")) == "author"

    async def test_a_message_of_the_personal_chat_is_ones_own(self, company: TeamsCompany) -> None:
        said = await company.api.says(ANN, "personal", "help")

        await save(company, ANN, said)

        (saved,) = await waiting(company)
        assert (saved.by, saved.author) == (ref(ANN), None)


class TestAClaim:
    async def test_of_other_words_is_refused_and_shows_nothing(self, company: TeamsCompany) -> None:
        said = await tip(company, BEN)

        for told in ("Give everybody a raise.", "", TIP + " Or not."):
            body = {"contentType": "html", "content": f"<p>{told}</p>"}
            assert await refusal(company, ANN, said, claim={"body": body}) == "different"

        assert await waiting(company) == []

    async def test_in_other_markup_is_the_same(self, company: TeamsCompany) -> None:
        said = await tip(company, BEN)
        told = TIP.replace("&", "&amp;").replace("*hand*", "*<b>hand</b>*&nbsp;")
        body = {"contentType": "html", "content": f"<div><div>{told}</div></div>"}

        dialog = await company.api.fetch_task(ANN, said, SAVE, claim={"body": body})

        assert filled(dialog)["text"] == TIP

    async def test_that_somebody_else_said_it_is_refused(self, company: TeamsCompany) -> None:
        said = await tip(company, BEN)

        assert await refusal(company, ANN, said, claim=by(ANN)) == "different"

    async def test_of_another_message_when_submitting_is_refused(
        self, company: TeamsCompany
    ) -> None:
        said = await tip(company, BEN)
        other = await tip(company, BEN, LAB, "Something else.")
        dialog = await company.api.fetch_task(ANN, said, SAVE)

        after = await company.api.submit_task(dialog, filled(dialog), claim={"id": other.id})

        assert doubt(after) in ("different", "gone")
        assert await waiting(company) == []

    @pytest.mark.parametrize("id", ["1", "../../users", "x" * 300, ""])
    async def test_of_a_message_that_is_not_there_is_refused(
        self, company: TeamsCompany, id: str
    ) -> None:
        said = await tip(company, BEN)

        assert await refusal(company, ANN, said, claim={"id": id}) in ("gone", "no_text")

    async def test_of_a_message_of_another_channel_is_refused(self, company: TeamsCompany) -> None:
        """Sam is not in the lab, and cannot have its words read out elsewhere."""
        secret = await tip(company, BEN, LAB)
        near = await tip(company, SAM, CLOSED_TEAM, "Good morning.")

        assert await refusal(company, SAM, near, claim={"id": secret.id}) == "gone"

    async def test_of_a_deleted_message_is_refused(self, company: TeamsCompany) -> None:
        said = await tip(company, BEN)
        dialog = await company.api.fetch_task(ANN, said, SAVE)

        await company.api.delete(said)

        assert doubt(await company.api.submit_task(dialog, filled(dialog))) == "gone"
        assert await waiting(company) == []

    async def test_of_what_a_bot_said_is_refused(self, company: TeamsCompany) -> None:
        asked = await company.api.says(ANN, GENERAL, "help")
        answer = await company.answered(asked)

        assert await refusal(company, ANN, answer) == "not_a_person"
        assert await refusal(company, ANN, answer, claim=by(ANN)) == "not_a_person"

    async def test_of_a_message_without_words_is_refused(self, company: TeamsCompany) -> None:
        said = await tip(company, BEN, LAB, " ")

        assert await refusal(company, ANN, said) == "no_text"

    @pytest.mark.parametrize(
        "value",
        [
            {},
            None,
            [],
            {"messagePayload": 7},
            {"messagePayload": {"id": {}, "from": [], "body": 1}},
        ],
    )
    async def test_that_makes_no_sense_is_refused(self, company: TeamsCompany, value: Any) -> None:
        for name in ("fetchTask", "submitAction"):
            invoke = company.api.envelope(
                "invoke", ANN, GROUP_CHAT, name=f"composeExtension/{name}", value=value
            )

            delivery = await company.api.activity(invoke)

            assert delivery.status == 200
            assert (delivery.answer or {})["task"]["type"] == "message"


class TestWhoeverSaves:
    @pytest.mark.parametrize("person", [SAM, DAN])
    async def test_but_is_not_there_is_refused(self, company: TeamsCompany, person: str) -> None:
        said = await tip(company, BEN, LAB)

        assert await refusal(company, person, said) == "stranger"

    async def test_as_a_guest_is_refused(self, company: TeamsCompany) -> None:
        company.api.chat("19:mixed@thread.v2", [ANN, GUS])
        await company.api.says(ANN, "19:mixed@thread.v2", "help")
        said = await tip(company, ANN, "19:mixed@thread.v2")

        assert await refusal(company, GUS, said) == "stranger"

    async def test_from_another_company_is_refused(self, company: TeamsCompany) -> None:
        said = await tip(company, ANN, PARTNERS)

        sent = {"from": {"tenantId": company.api.teams.world.users[XAVER].tenant}}
        invoke = company.api.envelope(
            "invoke",
            XAVER,
            PARTNERS,
            thread=said.id,
            name="composeExtension/fetchTask",
            value={"messagePayload": {"id": said.id}},
            **sent,
        )
        delivery = await company.api.activity(invoke)

        assert "continue" not in str(delivery.answer)
        assert await waiting(company) == []

    async def test_and_has_left_meanwhile_is_refused(self, company: TeamsCompany) -> None:
        said = await tip(company, BEN, GROUP_CHAT)
        dialog = await company.api.fetch_task(ANN, said, SAVE)

        await company.api.leave(ANN, GROUP_CHAT)

        assert doubt(await company.api.submit_task(dialog, filled(dialog))) == "stranger"
        assert await waiting(company) == []

    async def test_is_asked_to_try_again_while_nobody_knows_who_is_there(
        self, company: TeamsCompany
    ) -> None:
        said = await tip(company, BEN, LAB)

        await company.api.down("connector", "graph")
        dialog = await company.api.fetch_task(ANN, said, SAVE)

        assert "try again" in dialog.told
        assert await waiting(company) == []


class TestWhereTheAppIsNot:
    async def test_it_offers_to_be_added_and_keeps_nothing(self, company: TeamsCompany) -> None:
        place = company.api.chat("19:away@thread.v2", [ANN, BEN], with_app=False)
        said = await tip(company, BEN, place.id)

        offer = await company.api.fetch_task(ANN, said, SAVE)

        assert offer.card is not None
        assert offer.card["actions"][0]["data"] == {"msteams": {"justInTimeInstall": True}}
        assert TIP not in str(offer.card)
        assert await waiting(company) == []

    async def test_it_goes_on_once_it_is_there(self, company: TeamsCompany) -> None:
        place = company.api.chat("19:away@thread.v2", [ANN, BEN], with_app=False)
        said = await tip(company, BEN, place.id)
        offer = await company.api.fetch_task(ANN, said, SAVE)

        still_away = await company.api.submit_task(offer, {})
        await company.api.install(place)
        dialog = await company.api.submit_task(offer, {})
        await company.api.submit_task(dialog, filled(dialog))

        (saved,) = await waiting(company)
        assert "again in a moment" in still_away.told
        assert (saved.text, saved.author) == (TIP, ref(BEN))


async def tip(
    company: TeamsCompany, person: str, place: str = LAB, text: str = TIP, **more: Any
) -> Message:
    """Something worth keeping, which does not address the bot."""
    return await company.api.says(person, place, text, mention=False, **more)


async def save(company: TeamsCompany, person: str, said: Message, **typed: str) -> Dialog:
    dialog = await company.api.fetch_task(person, said, SAVE)
    return await company.api.submit_task(dialog, filled(dialog) | typed)


def filled(dialog: Dialog) -> dict[str, str]:
    """What stands in the dialog's inputs when it opens."""
    assert dialog.card is not None, dialog.told
    return {e["id"]: e.get("value", "") for e in dialog.card["body"] if "id" in e}


async def refusal(
    company: TeamsCompany, person: str, said: Message, *, claim: dict[str, Any] | None = None
) -> str:
    dialog = await company.api.fetch_task(person, said, SAVE, claim=claim)
    assert await waiting(company) == []
    return doubt(dialog)


def doubt(dialog: Dialog) -> str:
    return next((d.value for d, told in REFUSALS.items() if dialog.told in told.values()), "")


def by(person: str) -> dict[str, Any]:
    return {"from": {"user": {"id": person, "userIdentityType": "aadUser"}}}


def ref(person: str) -> UserRef:
    return TeamsPerson(OURS, person).ref(TENANT)


async def waiting(company: TeamsCompany) -> list[Submission]:
    return await company.conversations.review.waiting(limit=9)
