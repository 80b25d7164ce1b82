"""How events reach the bot: signed, once, in the right workspace; and what is not Slack's is refused."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.builders import a_document
from tests.fakes.slack_api import SlackApi
from tests.slack_company import SlackCompany, a_slack_company, furnish

LEAVE = a_document(
    "Employees get 14 days of annual leave per year.", id="hr/leave", title="Annual leave"
)
QUESTION = "How many days of annual leave?"


@pytest.fixture
async def api() -> AsyncIterator[SlackApi]:
    async with SlackApi() as api:
        furnish(api)
        yield api


@pytest.fixture
async def company(tmp_path: Path, api: SlackApi, redis_url: str) -> AsyncIterator[SlackCompany]:
    async with a_slack_company(tmp_path, api, redis_url, http=True) as company:
        await company.knows(LEAVE)
        yield company


def an_event(**changes: Any) -> dict[str, Any]:
    event = {
        "type": "app_mention",
        "user": "U1",
        "text": f"<@UBOT> {QUESTION}",
        "ts": "1700000000.000100",
        "channel": "CGEN",
        **changes,
    }
    return {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": event}


async def post(company: SlackCompany, body: str, headers: dict[str, str]) -> int:
    assert company.api.request_url is not None
    async with aiohttp.ClientSession() as client:
        headers = {"Content-Type": "application/json", **headers}
        async with client.post(company.api.request_url, data=body, headers=headers) as response:
            return response.status


class TestWhatIsNotSlacks:
    @pytest.mark.parametrize("body", ["{", "", "[1, 2]", '"text"', "\x00", '{"event": 7}'])
    async def test_nonsense_is_a_bad_request_and_no_failure(
        self, company: SlackCompany, body: str
    ) -> None:
        unsigned = await post(company, body, {})
        signed = await post(company, body, company.api.signed(body))

        assert unsigned in (400, 401)
        assert signed == (200 if not body or body.startswith('{"') else 400)

    async def test_a_wrong_signature_is_refused_and_its_body_not_logged(
        self, company: SlackCompany
    ) -> None:
        body = json.dumps(an_event(text="the secret word"))

        with capture_logs() as logs:
            wrong = {**company.api.signed(body), "X-Slack-Signature": "v0=0000"}
            status = await post(company, body, wrong)
            missing = await post(company, body, {})

        assert (status, missing) == (401, 401)
        assert "secret word" not in str(logs)
        await company.settled()
        assert not company.api.from_app("CGEN")

    async def test_an_old_request_is_refused(self, company: SlackCompany) -> None:
        body = json.dumps(an_event())

        status = await post(company, body, company.api.signed(body, at=time.time() - 400))

        assert status == 401
        await company.settled()
        assert not company.api.from_app("CGEN")

    async def test_what_is_too_large_is_refused(self, company: SlackCompany) -> None:
        assert await post(company, "x" * (4 * 2**20), {}) == 413

    async def test_another_workspaces_events_are_not_answered(self, company: SlackCompany) -> None:
        body = json.dumps({**an_event(), "team_id": "T9"})

        await post(company, body, company.api.signed(body))

        await company.settled()
        assert not company.api.from_app("CGEN")
        assert not company.api.from_app("CGEN")


class TestWhatIsNoQuestion:
    @pytest.mark.parametrize(
        "changes",
        [
            {"bot_id": "B7"},
            {"type": "message", "subtype": "bot_message", "channel_type": "im"},
            {"type": "message", "subtype": "channel_join"},
            {"user": "UBOT"},
            {"user": None},
            {"type": "something_new"},
            {"ts": 12},
            {"channel": {"id": "CGEN"}},
        ],
    )
    async def test_it_is_acknowledged_and_left_alone(
        self, company: SlackCompany, changes: dict[str, Any]
    ) -> None:
        body = json.dumps(an_event(**changes))

        status = await post(company, body, company.api.signed(body))

        assert status == 200
        await company.settled()
        assert not company.api.from_app("CGEN")


async def test_what_cannot_be_kept_is_not_acknowledged_and_comes_again(
    company: SlackCompany,
) -> None:
    assert company.conversations.redis is not None
    body = json.dumps(an_event(ts="1700000000.000200"))
    await company.conversations.redis.config_set("maxmemory", "1")
    try:
        status = await post(company, body, company.api.signed(body))
    finally:
        await company.conversations.redis.config_set("maxmemory", "0")
    again = await post(company, body, company.api.signed(body))

    assert status == 500
    assert again == 200
    await company.settled()


async def test_an_organisation_wide_installation_answers_in_each_workspace(
    tmp_path: Path, redis_url: str
) -> None:
    async with SlackApi() as api:
        for team in ("T1", "T2"):
            api.workspace(team, enterprise="E1")
        api.install("E1", bot_user="UBOT", token="xoxb-1", is_enterprise_install=True)
        api.user("W1", "Ann Lin", team="T1", teams=["T1", "T2"])
        api.user("W2", "Ben Chen", team="T2", teams=["T2"])
        api.channel("C1", "one", "private", ["W1"], team="T1")
        api.channel("C2", "two", "private", ["W2"], team="T2")
        people = {
            "groups": {"eng": ["ann"]},
            "users": {"ann": {"slack": "E1/W1"}, "ben": {"slack": "E1/W2"}},
        }
        async with a_slack_company(tmp_path, api, redis_url, people=people) as company:
            await company.knows(LEAVE)

            for user, channel in (("W1", "C1"), ("W2", "C2")):
                asked = await api.mention(user, channel, QUESTION)
                assert "14 days" in company.text(await company.answered(asked))


async def test_a_slack_without_the_newer_methods_is_answered_in(
    tmp_path: Path, redis_url: str
) -> None:
    async with SlackApi() as api:
        furnish(api)
        api.without(
            "chat.startStream",
            "chat.appendStream",
            "chat.stopStream",
            "agents.sessions.setStatus",
            "agents.sessions.rename",
            "assistant.threads.setStatus",
            "assistant.threads.setTitle",
            "assistant.threads.setSuggestedPrompts",
            "usergroups.list",
            "views.publish",
        )
        async with a_slack_company(tmp_path, api, redis_url) as company:
            await company.knows(LEAVE)
            await api.home_opened("U1", "messages")
            await api.home_opened("U1", "home")

            asked = await api.mention("U1", "CGEN", QUESTION)
            in_person = await api.direct_message("U1", QUESTION)

            assert "14 days" in company.text(await company.answered(asked))
            assert "14 days" in company.text(await company.reply(in_person.channel))
            await company.settled()
            assert len(api.from_app("CGEN")) == 1


async def test_the_process_starts_while_slack_is_down(tmp_path: Path, redis_url: str) -> None:
    async with SlackApi() as api:
        furnish(api)
        await api.down(refuses_connections=True)
        coming = asyncio.create_task(_up_after(api, 2))
        async with a_slack_company(tmp_path, api, redis_url) as company:
            await coming
            await company.knows(LEAVE)

            asked = await api.mention("U1", "CGEN", QUESTION)

            assert "14 days" in company.text(await company.answered(asked))


async def _up_after(api: SlackApi, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await api.up()
