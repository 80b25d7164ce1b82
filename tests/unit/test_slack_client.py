"""How requests to Slack share a session, wait for rate limits, and are not said twice."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from slack_sdk.errors import SlackApiError

from adapters.slack.authorize import authorize_from
from adapters.slack.client import (
    SLACK_FAILURES,
    NotInstalled,
    SlackApi,
    SlackClients,
    slack_error,
    wait_s,
    what_failed,
)
from adapters.slack.installations import InMemoryInstallations, Installation, Installations
from adapters.slack.single_installation import SingleInstallation
from bot.errors import ChannelUnavailable

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKEN = "xoxb-geheim"


@dataclass
class Endpoint:
    """Says what it was told to say, in order, and then that all is well."""

    replies: list[Reply] = field(default_factory=list)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, authorization and team of each."""
    peers: set[object] = field(default_factory=set)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        team = str(form.get("team_id") or request.query.get("team_id") or "")
        method = request.match_info["method"]
        self.calls.append((method, request.headers.get("Authorization", ""), team))
        assert request.transport
        self.peers.add(request.transport.get_extra_info("peername"))
        return await (self.replies.pop(0) if self.replies else fine)(request)

    @property
    def methods(self) -> list[str]:
        return [method for method, _, _ in self.calls]


async def fine(_: web.Request) -> web.StreamResponse:
    told = {"ok": True, "team_id": "T1", "user_id": "UBOT", "bot_id": "B1", "team": "Qinglan"}
    return web.json_response(told, headers={"x-oauth-scopes": "users:read,chat:write"})


async def rate_limited(_: web.Request) -> web.StreamResponse:
    return web.json_response(
        {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "0"}
    )


async def rate_limited_for_long(_: web.Request) -> web.StreamResponse:
    return web.json_response({}, status=429, headers={"Retry-After": "600"})


async def broken(_: web.Request) -> web.StreamResponse:
    return web.Response(status=503, text="<html>oops</html>", content_type="text/html")


async def hung_up(request: web.Request) -> web.StreamResponse:
    assert request.transport
    request.transport.close()
    return web.Response()


def refused(error: str) -> Reply:
    async def say(_: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": False, "error": error})

    return say


@pytest.fixture
async def slack() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_route("*", "/api/{method}", endpoint.answer)
    async with TestServer(app) as server:
        endpoint.url = str(server.make_url("/api/"))
        yield endpoint


@pytest.fixture
async def api(slack: Endpoint) -> AsyncIterator[SlackApi]:
    api = SlackApi(slack.url)
    yield api
    await api.close()


def installed(*installations: Installation) -> Installations:
    return InMemoryInstallations(*installations)


IN_T1 = Installation("", "T1", "xoxb-1", "UBOT1")
IN_T2 = Installation("", "T2", "xoxb-2", "UBOT2")
IN_E1 = Installation("E1", "", "xoxb-org", "UORG")


class TestClients:
    async def test_each_workspace_has_its_token_and_all_share_a_connection(
        self, slack: Endpoint, api: SlackApi
    ) -> None:
        clients = SlackClients(api, installed(IN_T1, IN_T2))

        for team in ("T1", "T2"):
            await (await clients.for_team(team)).users_info(user="U1")

        assert [call[1:] for call in slack.calls] == [("Bearer xoxb-1", ""), ("Bearer xoxb-2", "")]
        assert len(slack.peers) == 1
        assert clients.session is api.session

    async def test_the_token_of_an_organisation_says_for_which_workspace_it_is_used(
        self, slack: Endpoint, api: SlackApi
    ) -> None:
        clients = SlackClients(api, installed(IN_E1))

        for client in (
            await clients.for_team("T7", home="E1"),
            await clients.for_team("T7"),
            await clients.for_home("E1"),
        ):
            await client.users_info(user="U1")

        assert [call[1:] for call in slack.calls] == [
            ("Bearer xoxb-org", "T7"),
            ("Bearer xoxb-org", "T7"),
            ("Bearer xoxb-org", ""),
        ]

    async def test_nobody_else_gets_a_token(self, api: SlackApi) -> None:
        clients = SlackClients(api, installed(IN_T1))

        for client in (clients.for_team("T2"), clients.for_home("E1"), clients.for_team("")):
            with pytest.raises(NotInstalled):
                await client

        assert await clients.bot_user("T1") == "UBOT1"
        assert await clients.homes() == ["T1"]

    async def test_a_proxy_of_the_environment_is_not_for_what_is_excepted(
        self, slack: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        api = SlackApi(slack.url)

        await api.client(TOKEN).users_info(user="U1")
        await api.close()

        assert slack.methods == ["users.info"]


class TestRepetition:
    async def test_a_rate_limit_is_waited_for(self, slack: Endpoint, api: SlackApi) -> None:
        slack.replies = [rate_limited, rate_limited]

        await api.client(TOKEN).chat_postMessage(channel="C1", text="hi")

        assert slack.methods == ["chat.postMessage"] * 3

    async def test_a_long_rate_limit_is_for_the_caller_to_wait_for(
        self, slack: Endpoint, api: SlackApi
    ) -> None:
        slack.replies = [rate_limited_for_long]

        with pytest.raises(SlackApiError) as raised:
            await api.client(TOKEN).users_info(user="U1")

        assert slack_error(raised.value) == "ratelimited"
        assert wait_s(raised.value) == 600
        assert len(slack.calls) == 1

    @pytest.mark.parametrize("failure", [hung_up, broken])
    async def test_what_may_be_repeated_is(
        self, slack: Endpoint, api: SlackApi, failure: Reply
    ) -> None:
        slack.replies = [failure]

        await api.client(TOKEN).chat_update(channel="C1", ts="1.1", text="hi")

        assert slack.methods == ["chat.update"] * 2

    @pytest.mark.parametrize("failure", [hung_up, broken])
    async def test_a_message_that_may_have_arrived_is_not_sent_again(
        self, slack: Endpoint, api: SlackApi, failure: Reply
    ) -> None:
        slack.replies = [failure]

        with pytest.raises(SLACK_FAILURES):
            await api.client(TOKEN).chat_postMessage(channel="C1", text="hi")

        assert slack.methods == ["chat.postMessage"]

    async def test_nothing_that_fails_tells_a_token(
        self, slack: Endpoint, api: SlackApi, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        slack.replies = [refused("channel_not_found"), broken, hung_up, rate_limited_for_long]
        said = []

        for _ in range(4):
            with pytest.raises(SLACK_FAILURES) as raised:
                await api.client(TOKEN).chat_postMessage(channel="C1", text="secret plan")
            said.append(what_failed(raised.value))

        assert said == [
            "Slack answers 'channel_not_found'",
            "Slack answers with HTTP status 503",
            "Slack cannot be reached",
            "Slack answers 'ratelimited'",
        ]
        assert TOKEN not in caplog.text
        assert "secret plan" not in caplog.text


class TestSingleInstallation:
    async def test_slack_is_asked_once_whose_token_it_is(
        self, slack: Endpoint, api: SlackApi
    ) -> None:
        single = SingleInstallation(api, TOKEN)

        found = [await single.find("", "T1") for _ in range(3)]

        assert (
            found
            == [
                Installation("", "T1", TOKEN, "UBOT", "B1", ("chat:write", "users:read"), "Qinglan")
            ]
            * 3
        )
        assert slack.methods == ["auth.test"]
        assert await single.find("", "T2") is None
        assert TOKEN not in repr(found)

    async def test_a_token_that_is_not_valid_any_more_says_what_to_do(
        self, slack: Endpoint, api: SlackApi
    ) -> None:
        slack.replies = [refused("token_revoked")]

        with pytest.raises(NotInstalled, match="SHIFU_SLACK__BOT_TOKEN") as raised:
            await SingleInstallation(api, TOKEN).find("", "T1")

        assert TOKEN not in str(raised.value)

    async def test_events_are_not_answered_with_a_token_that_is_not_valid(
        self, slack: Endpoint, api: SlackApi
    ) -> None:
        slack.replies = [refused("token_revoked"), broken, broken]
        authorize = authorize_from(SingleInstallation(api, TOKEN))

        assert await authorize(None, "T1") is None
        with pytest.raises(ChannelUnavailable):
            await authorize(None, "T1")
        assert await authorize(None, "T1")

    async def test_the_token_of_another_organisation_is_refused(self, api: SlackApi) -> None:
        with pytest.raises(NotInstalled, match="SHIFU_SLACK__TEAMS"):
            await SingleInstallation(api, TOKEN, teams=["T9"]).find("", "T1")

        assert await SingleInstallation(api, TOKEN, teams=["T1"]).find("", "T1")

    async def test_slack_being_away_does_not_mean_that_the_app_is_gone(
        self, slack: Endpoint, api: SlackApi
    ) -> None:
        slack.replies = [broken, broken]
        single = SingleInstallation(api, TOKEN)

        with pytest.raises(ChannelUnavailable):
            await single.find("", "T1")

        assert await single.find("", "T1")

    async def test_after_an_uninstallation_slack_is_asked_again(
        self, slack: Endpoint, api: SlackApi
    ) -> None:
        single = SingleInstallation(api, TOKEN)
        await single.find("", "T1")
        slack.replies = [refused("account_inactive")]

        await single.remove("", "T1")

        with pytest.raises(NotInstalled):
            await single.find("", "T1")
