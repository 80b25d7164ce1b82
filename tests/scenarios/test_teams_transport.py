"""How activities reach the bot: who may deliver them, and what is kept before it is acknowledged."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.settings import ConfigurationError
from tests.builders import a_document
from tests.fakes.teams_api import TeamsApi
from tests.redis_servers import Server
from tests.teams_company import ANN, GENERAL, OURS, THEIRS, TeamsCompany, a_teams_company, furnish

LEAVE = a_document(
    "Employees get 14 days of annual leave per year.", id="hr/leave", title="Annual leave"
)


@pytest.fixture
async def api() -> AsyncIterator[TeamsApi]:
    async with TeamsApi() as api:
        furnish(api)
        yield api


@pytest.fixture
async def company(tmp_path: Path, api: TeamsApi, redis_url: str) -> AsyncIterator[TeamsCompany]:
    async with a_teams_company(tmp_path, api, redis_url) as company:
        await company.knows(LEAVE)
        yield company


async def _posted(
    company: TeamsCompany,
    body: Any,
    *,
    token: str | None = None,
    raw: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, str]:
    headers = (headers or {}) | ({} if token is None else {"Authorization": token})
    assert company.api.bot_url is not None
    async with aiohttp.ClientSession() as http:
        sent = http.post(company.api.bot_url, data=raw, headers=headers) if raw else None
        sent = sent or http.post(company.api.bot_url, json=body, headers=headers)
        async with sent as response:
            return response.status, await response.text()


def _asked(api: TeamsApi, **over: Any) -> dict[str, Any]:
    return api.envelope("message", ANN, "personal", id="1", text="How many days?") | over


FORGED: dict[str, tuple[Any, dict[str, Any]]] = {
    "no header": (None, {}),
    "another scheme": ("Basic {}", {}),
    "garbage": ("Bearer a.b.c", {}),
    "expired": ({"exp": 1_000}, {}),
    "no expiry": ({"drop": ("exp",)}, {}),
    "for another bot": ({"aud": "b0000000-0000-4000-8000-000000000000"}, {}),
    "by another issuer": ({"iss": f"https://sts.windows.net/{OURS}/"}, {}),
    "an emulator's": ({"iss": "https://login.microsoftonline.com/botframework.com/v2.0"}, {}),
    "with a key nobody published": ({"key": 9}, {}),
    "signed with the public key": ({"algorithm": "HS256"}, {}),
    "unsigned": ({"algorithm": "none"}, {}),
    "for another service": ({"serviceurl": "https://smba.trafficmanager.net/emea/"}, {}),
    "for no service": ({"drop": ("serviceurl",)}, {}),
    "without a service URL": ({}, {"serviceUrl": ""}),
    "to another host": (
        {"serviceurl": "https://evil.example/"},
        {"serviceUrl": "https://evil.example/"},
    ),
    "of another tenant": (
        {},
        {"conversation": {"id": "a:1", "tenantId": THEIRS, "conversationType": "personal"}},
    ),
    "of no tenant": ({}, {"conversation": {"id": "a:1"}, "channelData": {}}),
    "of another channel": ({}, {"channelId": "webchat"}),
    "of no channel": ({}, {"channelId": ""}),
}


@pytest.mark.parametrize("name", FORGED)
async def test_what_is_not_from_teams_is_refused_and_does_nothing(
    company: TeamsCompany, name: str
) -> None:
    forgery, over = FORGED[name]
    token = forgery if not isinstance(forgery, dict) else f"Bearer {company.api.token(**forgery)}"

    status, text = await _posted(company, _asked(company.api, **over), token=token)

    await company.settled()
    assert status == 401
    assert "Traceback" not in text
    assert not company.api.messages("personal", user=ANN)
    assert not company.api.calls("send", "typing", "stream")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'"hello"', b"[" * 100_000, b"\xff\xfe"]
)
async def test_nonsense_is_a_bad_request_and_no_failure(company: TeamsCompany, raw: bytes) -> None:
    token = f"Bearer {company.api.token()}"

    status, text = await _posted(company, None, token=token, raw=raw or b" ")

    assert status == 400
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "over",
    [
        {"type": "somethingNew"},
        {"type": "event", "name": "application/vnd.microsoft.meetingStart"},
        {"type": "messageReaction", "reactionsAdded": [{"type": "like"}]},
        {"type": "message", "from": {}},
        {"type": "message", "text": None},
        {"type": "message", "entities": "none", "attachments": 7},
        {"type": None},
        {"type": "conversationUpdate", "membersAdded": "everybody"},
        {"type": "invoke", "name": "signin/verifyState", "value": {}},
        {"type": "invoke", "name": "task/fetch", "value": []},
        {"type": "invoke", "name": "adaptiveCard/action", "value": {"action": 1}},
        {"type": "invoke", "name": "composeExtension/submitAction"},
        {"type": "installationUpdate", "action": 3},
    ],
)
async def test_what_we_do_not_know_is_acknowledged_and_left_alone(
    company: TeamsCompany, over: dict[str, Any]
) -> None:
    token = f"Bearer {company.api.token()}"

    status, _ = await _posted(company, _asked(company.api, **over), token=token)

    assert status in (200, 202)


async def test_while_redis_is_away_people_are_told(tmp_path: Path, api: TeamsApi) -> None:
    server = Server(tmp_path / "redis")
    server.start()
    async with a_teams_company(tmp_path, api, server.url) as company:
        await company.knows(LEAVE)
        server.kill()

        await api.says(ANN, "personal", "How many days of annual leave?")

        (told,) = api.from_app("personal", user=ANN)
        assert "try again" in company.text(told)
        assert api.deliveries[-1].status == 202
        server.start()
        await asyncio.sleep(1)
    server.kill()


async def test_a_development_bot_listens_to_this_machine_alone(
    tmp_path: Path, api: TeamsApi, redis_url: str
) -> None:
    off: dict[str, Any] = {
        "app_id": "",
        "app_password": "",
        "app_tenant_id": "",
        "development": True,
    }
    async with a_teams_company(
        tmp_path, api, redis_url, **off, tenants=[OURS], use_graph=False
    ) as company:
        await company.knows(LEAVE)
        activity = _asked(api, serviceUrl="https://smba.trafficmanager.net/emea/")
        assert (await _posted(company, activity))[0] == 401

        for strange in (
            {"X-Forwarded-For": "203.0.113.7"},
            {"Origin": "https://evil.example"},
            {"Host": "evil.example"},
        ):
            assert (await _posted(company, _asked(api), headers=strange))[0] == 401

        status, _ = await _posted(company, _asked(api))

        assert status == 202


async def test_half_a_configuration_is_refused_with_what_is_missing(
    tmp_path: Path, api: TeamsApi, redis_url: str
) -> None:
    with pytest.raises(ConfigurationError, match="SHIFU_TEAMS__APP_TENANT_ID"):
        async with a_teams_company(tmp_path, api, redis_url, app_tenant_id=""):
            pass
    with pytest.raises(ConfigurationError, match="SHIFU_TEAMS__APP_PASSWORD"):
        async with a_teams_company(tmp_path, api, redis_url, app_password=""):
            pass


async def test_all_turns_need_one_token(company: TeamsCompany) -> None:
    for n in range(5):
        await company.answered(await company.api.says(ANN, GENERAL, f"How many leave days? {n}"))

    assert len([r for r in company.api.token_requests if "botframework" in r.scope]) == 1


async def test_half_a_character_in_an_id_is_a_bad_request(company: TeamsCompany) -> None:
    token = f"Bearer {company.api.token()}"
    activity = _asked(company.api)
    activity["conversation"]["id"] = "a:\ud800"

    assert (await _posted(company, activity, token=token))[0] == 400


async def test_what_is_not_packed_as_it_says_is_a_bad_request(company: TeamsCompany) -> None:
    assert company.api.bot_url is not None
    headers = {"Content-Encoding": "gzip", "Authorization": f"Bearer {company.api.token()}"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(company.api.bot_url, data=b"{}", headers=headers) as response,
    ):
        assert response.status == 400
