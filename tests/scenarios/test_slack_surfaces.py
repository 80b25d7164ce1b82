"""Commands, buttons, modals, the home tab, the agent's surface and threads that go on: as people use them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from retrieval.access import Acl, tenant_principal
from tests.builders import ENG, TENANT, a_document, an_acl
from tests.fakes.slack_api import Message, SlackApi, View
from tests.slack_company import SlackCompany, a_slack_company, furnish

INTERNAL = Acl(frozenset({tenant_principal(TENANT)}))
LEAVE = a_document(
    "Employees get 14 days of annual leave per year.",
    id="hr/leave",
    title="Annual leave",
    acl=INTERNAL,
)
VALVE = a_document(
    "The pressure valve opens at 42 bar.", id="eng/valve", acl=an_acl(ENG), title="Pressure valve"
)
OVERVIEW = a_document(
    "What the eng group looks after.", id="eng/overview", acl=an_acl(ENG), title="Valves of eng"
)
QUESTION = "At what pressure does the valve open?"


@pytest.fixture
async def api() -> AsyncIterator[SlackApi]:
    async with SlackApi() as api:
        furnish(api)
        yield api


@pytest.fixture
async def company(tmp_path: Path, api: SlackApi, redis_url: str) -> AsyncIterator[SlackCompany]:
    async with a_slack_company(tmp_path, api, redis_url, follow_channels=["CENG"]) as company:
        await company.knows(LEAVE, VALVE, OVERVIEW)
        yield company


async def modal(api: SlackApi, title: str) -> View:
    """The one that is open, once it shows more than that it is loading."""

    def found() -> View | None:
        views = [view for view in api.views if view.kind == "modal" and view.is_open]
        texts = [api.text_of_view(view) for view in views]
        ready = [v for v, t in zip(views, texts, strict=True) if title in t and "moment…" not in t]
        return ready[-1] if ready else None

    view = await api.until(found)
    assert view is not None
    return view


class TestCommands:
    async def test_ask_is_answered_to_the_asker_alone(self, company: SlackCompany) -> None:
        await company.api.command("U1", "CDEAL", "/ask", QUESTION)

        answer = await company.api.until(lambda: _with(company, "CDEAL", "42 bar"))

        assert answer.ephemeral_to == "U1"
        await company.settled()
        assert "42 bar" not in company.api.everything_seen_by("U3")
        # The question, as Slack shows nobody what was typed; and its answer.
        assert len(company.api.visible_to("U1", "CDEAL")) == 2

    async def test_ask_works_where_the_bot_is_not(self, company: SlackCompany) -> None:
        company.api.channel("CALIEN", "alien", "private", ["U1"], with_app=False)

        await company.api.command("U1", "CALIEN", "/ask", QUESTION)

        answer = await company.api.until(lambda: _with(company, "CALIEN", "42 bar"))
        assert answer.ephemeral_to == "U1"

    async def test_ask_without_a_question_says_how(self, company: SlackCompany) -> None:
        delivery = await company.api.command("U1", "CGEN", "/ask", "  ")

        assert "/ask" in str(delivery.answer)

    @pytest.mark.parametrize(
        ("word", "told"),
        [
            ("help", "/ask QUESTION"),
            ("", "/shifu forget me"),
            ("sources", "3 documents"),
            ("status", "Documents: reachable"),
            ("language zh", "中文"),
            ("說明", "/ask 問題"),
            ("report It is 43.", "administrators"),
            ("nonsense", "no command"),
        ],
    )
    async def test_shifu_tells_and_does_what_it_is_asked(
        self, company: SlackCompany, word: str, told: str
    ) -> None:
        await company.api.command("U1", "CGEN", "/shifu", word)

        await company.api.until(lambda: _private_with(company, "CGEN", told))
        await company.settled()
        posted = company.api.from_app("CGEN")
        assert [m.ephemeral_to for m in posted] == ["U1", "U1"]

    async def test_the_language_that_is_set_holds_from_then_on(self, company: SlackCompany) -> None:
        await company.api.command("U1", "CGEN", "/shifu", "language zh")
        await company.settled()

        delivery = await company.api.command("U1", "CGEN", "/ask", "")

        assert "問題" in str(delivery.answer)

    async def test_why_names_the_sources_of_the_last_answer(self, company: SlackCompany) -> None:
        asked = await company.api.mention("U1", "CENG", QUESTION)
        await company.answered(asked)
        await company.settled()

        await company.api.command("U1", "CENG", "/why")

        told = await company.api.until(lambda: _private_with(company, "CENG", "Pressure valve"))
        assert "2 people" in company.text(told)

    async def test_redis_being_away_is_said(self, company: SlackCompany) -> None:
        assert company.conversations.redis is not None
        await company.conversations.redis.config_set("maxmemory", "1")
        try:
            delivery = await company.api.command("U1", "CGEN", "/ask", QUESTION)
        finally:
            await company.conversations.redis.config_set("maxmemory", "0")

        assert "could not take this" in str(delivery.answer)


class TestButtons:
    async def test_why_is_shown_to_whoever_presses(self, company: SlackCompany) -> None:
        asked = await company.api.mention("U1", "CENG", QUESTION)
        answer = await company.answered(asked)
        await company.settled()

        await company.api.action(answer, "shifu_why", user="U2")

        told = await company.api.until(lambda: _private_with(company, "CENG", "Pressure valve"))
        assert told.ephemeral_to == "U2"
        assert company.text(answer) == company.text(company.api.from_app("CENG", asked.ts)[0])

    async def test_feedback_is_kept_and_its_reason_asked_for(self, company: SlackCompany) -> None:
        asked = await company.api.mention("U1", "CENG", QUESTION)
        answer = await company.answered(asked)

        await company.api.action(answer, "shifu_feedback", user="U2", value=_down(answer))
        view = await modal(company.api, "What was wrong?")
        await company.api.submit_view(view, {"comment": "It is 43."})

        (feedback,) = await company.conversations.state.feedback()
        assert (feedback.rating.value, feedback.comment) == ("unhelpful", "It is 43.")

    async def test_sharing_says_what_will_be_missing_and_writes_anew(
        self, company: SlackCompany
    ) -> None:
        await company.api.command("U1", "CDEAL", "/ask", QUESTION)
        answer = await company.api.until(lambda: _with(company, "CDEAL", "42 bar"))

        await company.api.action(answer, "shifu_share")
        view = await modal(company.api, "Share in channel")
        assert "Pressure valve" in company.api.text_of_view(view)
        assert "cannot be read by everyone" in company.api.text_of_view(view)
        delivery = await company.api.submit_view(view)

        assert delivery.is_acknowledged
        question = await company.api.until(lambda: _shared_question(company, "CDEAL"))
        shared = await company.reply("CDEAL", question.ts, after=question.ts)
        assert "42 bar" not in company.text(shared)
        await company.settled()
        assert "42 bar" not in company.api.everything_seen_by("U3")
        assert "Pressure valve" not in company.api.everything_seen_by("U3")

    async def test_sharing_where_everybody_may_read_it_answers_there(
        self, company: SlackCompany
    ) -> None:
        await company.api.command("U1", "CENG", "/ask", QUESTION)
        answer = await company.api.until(lambda: _with(company, "CENG", "42 bar"))

        await company.api.action(answer, "shifu_share")
        view = await modal(company.api, "Share in channel")
        await company.api.submit_view(view)
        question = await company.api.until(lambda: _shared_question(company, "CENG"))
        await company.api.close_view(await modal(company.api, "stands in the channel"))
        await company.api.action(answer, "shifu_share")
        again = await modal(company.api, "Share in channel")
        await company.api.submit_view(again)

        await modal(company.api, "already")
        shared = await company.reply("CENG", question.ts, after=question.ts)
        assert "42 bar" in company.text(shared)
        await company.settled()
        public = [m for m in company.api.from_app("CENG") if m.ephemeral_to is None]
        assert public == [question, shared]

    async def test_sharing_where_the_bot_is_not_says_how_and_works_then(
        self, company: SlackCompany
    ) -> None:
        company.api.channel("CALIEN", "alien", "private", ["U1", "U2"], with_app=False)
        await company.api.command("U1", "CALIEN", "/ask", QUESTION)
        answer = await company.api.until(lambda: _with(company, "CALIEN", "42 bar"))
        await company.api.action(answer, "shifu_share")
        await company.api.submit_view(await modal(company.api, "Share in channel"))
        view = await modal(company.api, "/invite")
        await company.api.close_view(view)

        await company.api.join("UBOT", "CALIEN")
        await company.api.action(answer, "shifu_share")
        await company.api.submit_view(await modal(company.api, "Share in channel"))

        question = await company.api.until(lambda: _shared_question(company, "CALIEN"))
        shared = await company.reply("CALIEN", question.ts, after=question.ts)
        assert "42 bar" in company.text(shared)

    async def test_asking_why_of_somebody_elses_answer_tells_nothing(
        self, company: SlackCompany
    ) -> None:
        asked = await company.api.mention("U1", "CENG", QUESTION)
        answer = await company.answered(asked)
        await company.settled()
        answer_id = _down(answer).partition(":")[2]

        await company.api.command("U3", "CGEN", "/shifu", f"why {answer_id}")

        await company.settled()
        assert "Pressure valve" not in company.api.everything_seen_by("U3")


class TestModals:
    async def test_the_shortcut_asks_and_the_answer_is_a_direct_message(
        self, company: SlackCompany
    ) -> None:
        await company.api.shortcut("U1", "shifu_ask")
        view = await modal(company.api, "Ask Shifu")

        await company.api.submit_view(view, {"question": QUESTION})

        reply = await company.reply(company.api.dm("U1"))
        assert "42 bar" in company.text(reply)

    async def test_a_suggestion_of_the_home_tab_is_answered_in_person(
        self, company: SlackCompany
    ) -> None:
        await company.api.home_opened("U1", "home")
        view = await company.api.until(lambda: company.api.home("U1"))

        await company.api.action(view, "shifu_home_suggestion0")

        reply = await company.reply(company.api.dm("U1"))
        assert "eng group looks after" in company.text(reply)

    async def test_a_message_that_is_worth_keeping_waits_for_review(
        self, company: SlackCompany
    ) -> None:
        said = await company.api.message("U2", "CENG", "Bleed the pump before each start.")
        await company.api.shortcut("U1", "shifu_save", said)
        view = await modal(company.api, "Save to knowledge")

        await company.api.submit_view(view, {"title": "Pump"})

        await modal(company.api, "waits for review")
        (submission,) = await company.conversations.review.waiting(limit=5)
        assert (submission.title, submission.text) == ("Pump", "Bleed the pump before each start.")
        assert submission.permalink
        assert submission.conversation is not None
        assert submission.conversation.channel == "T1/CENG"
        assert not await company.store.documents(source="slack")


class TestHome:
    async def test_it_shows_what_is_mine_and_changes_the_language(
        self, company: SlackCompany
    ) -> None:
        await company.api.direct_message("U1", QUESTION)
        await company.reply(company.api.dm("U1"))
        await company.settled()

        await company.api.home_opened("U1", "home")
        view = await company.api.until(lambda: company.api.home("U1"))
        shown = company.api.text_of_view(view)
        assert "eng" in shown
        assert QUESTION in shown
        await company.api.action(view, "shifu_home_language", value="zh")

        await company.api.until(lambda: "你好" in str(company.api.home("U1")) or None)

    async def test_forgetting_leaves_nothing(self, company: SlackCompany) -> None:
        await company.api.direct_message("U1", QUESTION)
        await company.reply(company.api.dm("U1"))
        await company.settled()
        await company.api.home_opened("U1", "home")
        view = await company.api.until(lambda: company.api.home("U1"))

        await company.api.action(view, "shifu_home_forget")

        await company.api.until(
            lambda: len(company.api.from_app(company.api.dm("U1"))) == 2 or None
        )
        await company.settled()
        home = await company.api.until(lambda: company.api.home("U1"))
        await company.api.until(lambda: QUESTION not in company.api.text_of_view(home) or None)

    async def test_strangers_see_nothing_of_ours(self, company: SlackCompany) -> None:
        await company.api.home_opened("UG", "home")

        view = await company.api.until(lambda: company.api.home("UG"))
        assert "Annual" not in company.api.text_of_view(view)
        assert "eng" not in company.api.text_of_view(view).split()


class TestAgentSurface:
    async def test_opening_it_suggests_what_fits_the_person(self, company: SlackCompany) -> None:
        await company.api.home_opened("U1", "messages")

        prompts = await company.api.until(lambda: company.api.prompts or None)

        titles = [prompt["title"] for prompt in prompts[-1]["prompts"]]
        assert titles == ["Valves of eng", "What may I ask about?", "What can you do?"]

    async def test_it_suggests_nothing_that_the_person_may_not_read(
        self, company: SlackCompany
    ) -> None:
        await company.api.home_opened("U3", "messages")

        prompts = await company.api.until(lambda: company.api.prompts or None)

        assert "Valves of eng" not in str(prompts)

    async def test_a_follow_up_needs_no_thread(self, company: SlackCompany) -> None:
        await company.api.direct_message("U1", QUESTION)
        first = await company.reply(company.api.dm("U1"))
        await company.settled()

        await company.api.direct_message("U1", "And how many days of annual leave?")

        second = await company.reply(company.api.dm("U1"), after=first.ts)
        assert "14 days" in company.text(second)


class TestThreadsThatGoOn:
    async def test_the_asker_goes_on_without_a_mention_until_told_to_stop(
        self, company: SlackCompany
    ) -> None:
        company.api.sends_channel_messages = True
        asked = await company.api.mention("U1", "CENG", QUESTION)
        await company.answered(asked)
        more = await company.api.message(
            "U1", "CENG", "How many days of annual leave?", thread_ts=asked.ts
        )
        reply = await company.reply("CENG", asked.ts, after=more.ts)
        assert "14 days" in company.text(reply)
        await company.settled()

        await company.api.message("U1", "CENG", "thanks, stop", thread_ts=asked.ts)
        await company.api.message("U1", "CENG", QUESTION, thread_ts=asked.ts)

        await company.settled()
        public = [m for m in company.api.from_app("CENG", asked.ts) if m.ephemeral_to is None]
        assert len(public) == 2

    async def test_it_keeps_quiet_when_people_talk_to_each_other(
        self, company: SlackCompany
    ) -> None:
        company.api.sends_channel_messages = True
        asked = await company.api.mention("U1", "CENG", QUESTION)
        await company.answered(asked)

        await company.api.message("U1", "CENG", "thanks!", thread_ts=asked.ts)
        await company.api.message("U1", "CENG", "<@U2> is that right?", thread_ts=asked.ts)
        await company.api.message("U2", "CENG", "Yes, since May.", thread_ts=asked.ts)
        await company.api.message("U1", "CENG", "And which valve?", thread_ts=asked.ts)

        await company.settled()
        assert len(company.api.from_app("CENG", asked.ts)) == 1

    async def test_whoever_mentions_the_bot_may_tell_it_to_stop(
        self, company: SlackCompany
    ) -> None:
        company.api.sends_channel_messages = True
        asked = await company.api.mention("U1", "CENG", QUESTION)
        await company.answered(asked)

        await company.api.mention("U2", "CENG", "stop", thread_ts=asked.ts)
        told = await company.api.until(lambda: _private_with(company, "CENG", "I say no more"))
        await company.api.message("U1", "CENG", QUESTION, thread_ts=asked.ts)

        assert told.ephemeral_to == "U2"
        await company.settled()
        public = [m for m in company.api.from_app("CENG", asked.ts) if m.ephemeral_to is None]
        assert len(public) == 1

    async def test_elsewhere_nothing_is_answered_without_a_mention(
        self, company: SlackCompany
    ) -> None:
        company.api.sends_channel_messages = True
        asked = await company.api.mention("U1", "CGEN", "How many days of annual leave?")
        await company.answered(asked)

        await company.api.message("U1", "CGEN", "And in the second year?", thread_ts=asked.ts)

        await company.settled()
        assert len(company.api.from_app("CGEN", asked.ts)) == 1


def _with(company: SlackCompany, channel: str, words: str) -> Message | None:
    posted = company.api.from_app(channel)
    return next((m for m in posted if words in company.text(m)), None)


def _private_with(company: SlackCompany, channel: str, words: str) -> Message | None:
    posted = [m for m in company.api.from_app(channel) if m.ephemeral_to]
    return next((m for m in posted if words in company.text(m)), None)


def _shared_question(company: SlackCompany, channel: str) -> Message | None:
    return _with(company, channel, "asks:")


def _down(answer: Message) -> str:
    """The value of the button that says that it did not help."""
    elements = [element for block in answer.blocks for element in block.get("elements", ())]
    buttons = next(e for e in elements if e.get("type") == "feedback_buttons")
    return str(buttons["negative_button"]["value"])
