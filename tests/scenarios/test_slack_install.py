"""Installing the app into several workspaces, and what `shifu doctor` says of it, against the double."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import BaseTestServer, TestServer
from cryptography.fernet import Fernet
from redis.asyncio import Redis

from adapters.doctor import examine
from adapters.finding import Finding
from adapters.settings import load_settings
from adapters.slack.authorize import authorize_from, forget_uninstalled
from adapters.slack.checks import SlackExpectations, check_slack
from adapters.slack.client import SlackApi, SlackClients
from adapters.slack.installations import InMemoryInstallations
from adapters.slack.oauth import OAuthOptions, SlackInstaller
from adapters.slack.permissions import OptIn, scopes
from adapters.slack.redis_installations import RedisInstallations
from adapters.slack.redis_login_states import RedisLoginStates
from adapters.slack.single_installation import SingleInstallation
from bot.redis_client import close_redis, open_redis
from bot.state import InMemoryState
from tests.fakes.slack_api import SlackApi as Slack

_tenants = count(1)
KEY = Fernet.generate_key().decode()
COOKIE = "slack-app-oauth-state"


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with Slack() as slack:
        slack.workspace("T1", name="青嵐")
        yield slack


@pytest.fixture
async def api(slack: Slack) -> AsyncIterator[SlackApi]:
    api = SlackApi(slack.url)
    yield api
    await api.close()


class Browser:
    """Somebody's browser, and the bot's pages that it visits."""

    def __init__(self, session: ClientSession, server: BaseTestServer) -> None:
        self._session = session
        self._server = server
        self.cookie = ""

    async def install(self, team: str) -> tuple[int, str]:
        """From our page to Slack's, where Allow is pressed, and back."""
        return await self.come_back(await self.allow(team))

    async def allow(self, team: str) -> dict[str, str]:
        ours = self._server.make_url("/slack/install").with_query(team=team)
        async with self._session.get(ours, allow_redirects=False) as reply:
            self.cookie = reply.headers["Set-Cookie"].partition(";")[0]
            to_slack = reply.headers["Location"]
        async with self._session.get(to_slack, allow_redirects=False) as reply:
            return {k: v[0] for k, v in parse_qs(urlsplit(reply.headers["Location"]).query).items()}

    async def come_back(self, query: dict[str, str]) -> tuple[int, str]:
        url = self._server.make_url("/slack/oauth_redirect").with_query(query)
        async with self._session.get(url, headers={"Cookie": self.cookie}) as reply:
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
            return reply.status, await reply.text()


class TestInstalling:
    @pytest.fixture
    async def redis(self, redis_url: str) -> AsyncIterator[Redis]:
        client = open_redis(redis_url)
        assert isinstance(client, Redis)
        yield client
        await close_redis(client)

    @pytest.fixture
    def tenant(self) -> str:
        return f"oauth{next(_tenants)}"

    @pytest.fixture
    def installations(self, redis: Redis, tenant: str) -> RedisInstallations:
        return RedisInstallations(redis, tenant=tenant, keys=[KEY])

    @pytest.fixture
    async def browser(
        self,
        slack: Slack,
        api: SlackApi,
        redis: Redis,
        tenant: str,
        installations: RedisInstallations,
    ) -> AsyncIterator[Browser]:
        for team, enterprise in (("T2", None), ("T3", None), ("T4", "E1"), ("T5", "E1")):
            slack.workspace(team, enterprise=enterprise, name=f"<b>{team}</b>")
        for team in ("T1", "T2", "T3"):
            slack.install(team, token=f"xoxb-geheim-{team}")
        slack.install("E1", token="xoxb-geheim-E1", is_enterprise_install=True)
        app = web.Application()
        options = OAuthOptions(
            client_id=slack.client_id,
            client_secret=slack.client_secret,
            scopes=[scope.name for scope in scopes(frozenset())],
            teams=["T1", "T2", "E1"],
        )
        SlackInstaller(
            api,
            installations,
            login_states=RedisLoginStates(redis, tenant=tenant),
            state=InMemoryState(),
            options=options,
        ).mount(app)
        async with TestServer(app) as server, ClientSession() as session:
            yield Browser(session, server)

    async def test_two_workspaces_install_it_and_each_is_answered_with_its_own_token(
        self, slack: Slack, api: SlackApi, browser: Browser, installations: RedisInstallations
    ) -> None:
        pages = [await browser.install(team) for team in ("T1", "T2")]

        assert [status for status, _ in pages] == [200, 200]
        assert "安裝完成" in pages[0][1]
        assert "青嵐" in pages[0][1]
        assert "Installed" in pages[0][1]
        assert "&lt;b&gt;T2&lt;/b&gt;" in pages[1][1]
        authorize = authorize_from(installations, teams=["T1", "T2"])
        found = [await authorize(None, team) for team in ("T1", "T2")]
        assert [one and one.bot_token for one in found] == ["xoxb-geheim-T1", "xoxb-geheim-T2"]
        client = await SlackClients(api, installations).for_team("T2")
        assert (await client.auth_test())["team_id"] == "T2"

    async def test_a_whole_organisation_installs_it_at_once(
        self, api: SlackApi, browser: Browser, installations: RedisInstallations
    ) -> None:
        status, _ = await browser.install("E1")

        assert status == 200
        found = await authorize_from(installations, teams=["E1"])("E1", "T5")
        assert found
        assert found.bot_token == "xoxb-geheim-E1"
        assert await SlackClients(api, installations).homes() == ["E1"]

    async def test_a_workspace_that_is_not_ours_is_told_so_and_its_token_given_back(
        self, slack: Slack, browser: Browser, installations: RedisInstallations
    ) -> None:
        status, text = await browser.install("T3")

        assert status == 403
        assert "這個工作區不能安裝" in text
        assert "Not for this workspace" in text
        assert await installations.all() == []
        assert [call.home for call in slack.calls("auth.revoke")] == ["T3"]

    async def test_a_login_counts_once_and_in_its_own_browser(
        self, browser: Browser, installations: RedisInstallations
    ) -> None:
        query = await browser.allow("T1")
        cookie, browser.cookie = browser.cookie, f"{COOKIE}=another"
        elsewhere = await browser.come_back(query)
        browser.cookie = cookie
        await browser.come_back(query)
        query["code"] = (await browser.allow("T2"))["code"]
        browser.cookie = cookie

        again = await browser.come_back(query)

        assert elsewhere[0] == 400
        assert again[0] == 401
        assert "Please start again" in elsewhere[1]
        assert [one.key for one in await installations.all()] == ["T1"]

    async def test_whoever_presses_cancel_or_makes_things_up_gets_a_page(
        self, browser: Browser, installations: RedisInstallations
    ) -> None:
        query = await browser.allow("T1")

        cancelled = await browser.come_back({"error": "access_denied"})
        odd = await browser.come_back({"error": "<script>alert(1)</script>"})
        made_up = await browser.come_back(query | {"code": "made-up"})
        nothing = await browser.come_back({})

        assert "已取消安裝" in cancelled[1]
        assert "<script" not in odd[1]
        assert made_up[0] == 401
        assert "did not approve" in made_up[1]
        assert nothing[0] == 400
        assert await installations.all() == []

    async def test_slack_being_away_is_no_error_page_of_ours(
        self, slack: Slack, browser: Browser
    ) -> None:
        query = await browser.allow("T1")
        await slack.down(refuses_connections=True)

        status, text = await browser.come_back(query)

        await slack.up()
        assert status == 503
        assert "xoxb" not in text
        assert "現在無法完成安裝" in text

    async def test_nobody_fills_redis_by_starting_installations(
        self, browser: Browser, redis: Redis, tenant: str
    ) -> None:
        for _ in range(30):
            await browser.allow("T1")

        with pytest.raises(KeyError):
            await browser.allow("T1")

        keys = [str(key) async for key in redis.scan_iter(f"shifu:{tenant}:slack:login:*")]
        assert len(keys) == 30
        assert all([0 < await redis.ttl(key) <= 600 for key in keys])

    async def test_nothing_of_it_is_logged_with_a_token_or_code(
        self,
        slack: Slack,
        browser: Browser,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        query = await browser.allow("T1")
        slack.fail("auth.test", error="internal_error")
        await browser.come_back(query)
        await browser.install("T3")
        await browser.install("T1")

        printed = capsys.readouterr()
        said = caplog.text + printed.out + printed.err

        assert "slack.install_refused" in said
        assert "xoxb" not in said
        assert query["code"] not in said
        assert query["state"] not in said

    async def test_uninstalling_ends_it(
        self, slack: Slack, browser: Browser, installations: RedisInstallations
    ) -> None:
        await browser.install("T1")
        body = {
            "type": "event_callback",
            "team_id": "T1",
            "event": {"type": "app_uninstalled"},
            "event_time": int(datetime.now(UTC).timestamp()) + 5,
        }

        await forget_uninstalled(installations, body)

        assert await installations.all() == []


class TestDoctor:
    @pytest.fixture
    def expected(self, slack: Slack) -> SlackExpectations:
        return SlackExpectations(slack.app_token, "", frozenset())

    async def test_where_all_is_well_it_says_where_and_as_whom(
        self, slack: Slack, api: SlackApi, expected: SlackExpectations
    ) -> None:
        slack.install()
        slack.user("U1")
        slack.channel("C1", "general", members=["U1"])
        slack.channel("C2", "plans", "private", members=["U1"])
        slack.channel("C3", "elsewhere", members=["U1"], with_app=False)
        slack.usergroup("S1", "engineering", ["U1"])

        found = await check_slack(api, SingleInstallation(api, "xoxb-T1"), expected)

        assert [finding.is_ok for finding in found] == [True] * 6
        said = text_of(found)
        assert "slack: 青嵐 (T1), as UBOT" in said
        assert "slack user groups: 1, of which 0 are trusted" in said
        assert "slack channels: in #general, #plans" in said
        assert "elsewhere" not in said
        assert "over Socket Mode, which opens" in said
        assert "xoxb" not in said

    @pytest.mark.parametrize(
        ("gone", "opt_in", "is_ok"),
        [("chat:write", None, False), ("files:read", None, True), (None, OptIn.EMAIL, False)],
    )
    async def test_a_missing_scope_is_named_with_what_it_is_for(
        self, slack: Slack, api: SlackApi, gone: str | None, opt_in: OptIn | None, is_ok: bool
    ) -> None:
        slack.install(scopes={scope.name for scope in scopes(frozenset())} - {gone})
        wanted = frozenset({opt_in} if opt_in else ())
        missing = gone or "users:read.email"
        why = next(scope.why for scope in scopes(frozenset(OptIn)) if scope.name == missing)

        found = await check_slack(
            api, SingleInstallation(api, "xoxb-T1"), SlackExpectations("", "secret", wanted)
        )

        finding = named(found, "slack scopes")
        assert finding.is_ok is is_ok
        assert f"{missing} ({why})" in finding.text
        assert named(found, "slack events").text == "by HTTP to /slack/events, signed"

    async def test_a_clock_that_is_wrong_is_told_before_slacks_events_are_refused(
        self, slack: Slack, api: SlackApi, expected: SlackExpectations
    ) -> None:
        slack.install()

        found = await check_slack(
            api,
            SingleInstallation(api, "xoxb-T1"),
            expected,
            clock=lambda: datetime.now(UTC) + timedelta(minutes=4),
        )

        assert named(found, "slack clock").is_ok is False
        assert "NTP" in named(found, "slack clock").text

    @pytest.mark.parametrize("token", ["xoxb-wrong", ""])
    async def test_a_wrong_token_names_the_setting(
        self, slack: Slack, api: SlackApi, token: str
    ) -> None:
        slack.install()

        found = await check_slack(
            api, SingleInstallation(api, token), SlackExpectations("xapp-wrong", "", frozenset())
        )

        assert "SHIFU_SLACK__BOT_TOKEN" in named(found, "slack").text
        assert "SHIFU_SLACK__APP_TOKEN" in named(found, "slack events").text
        assert "wrong" not in text_of(found).replace("slack", "")

    async def test_without_events_it_says_how_they_could_come(
        self, slack: Slack, api: SlackApi
    ) -> None:
        slack.install()
        slack.fail("usergroups.list", error="plan_upgrade_required")

        found = await check_slack(
            api, SingleInstallation(api, "xoxb-T1"), SlackExpectations("", "", frozenset())
        )

        assert "SHIFU_SLACK__SIGNING_SECRET" in named(found, "slack events").text
        assert named(found, "slack user groups").is_ok is None

    async def test_what_the_settings_name_must_be_there(self, slack: Slack, api: SlackApi) -> None:
        slack.install()
        slack.user("U1")
        slack.channel("C1", "general", members=["U1"])
        slack.channel("C2", "plans", members=["U1"], with_app=False)
        slack.usergroup("S1", "engineering", ["U1"])
        expected = SlackExpectations(
            slack.app_token,
            "",
            frozenset(),
            user_groups=["engineering", "sales"],
            channels=[(id, "SHIFU_SLACK__INDEX_CHANNELS") for id in ("C1", "C2", "*")],
        )

        found = await check_slack(api, SingleInstallation(api, "xoxb-T1"), expected)

        assert named(found, "slack user groups").text.startswith("sales: not in this workspace")
        absent = [finding for finding in found if finding.is_ok is False]
        assert any("not in C2" in finding.text for finding in absent)
        assert len(absent) == 2

    async def test_slack_being_away_hides_nothing_else(
        self, slack: Slack, api: SlackApi, expected: SlackExpectations
    ) -> None:
        slack.install()
        await slack.down()

        found = await check_slack(api, SingleInstallation(api, "xoxb-T1"), expected)

        assert [finding.is_ok for finding in found] == [False, False]
        assert "status 503" in named(found, "slack").text

    async def test_each_workspace_is_looked_at_by_itself(
        self, slack: Slack, api: SlackApi, expected: SlackExpectations
    ) -> None:
        for team in ("T4", "T5"):
            slack.workspace(team, enterprise="E1")
        slack.install("T1")
        slack.install("E1", is_enterprise_install=True)
        slack.user("U1", team="T4")
        slack.channel("C4", "grid", members=["U1"], team="T4")
        installed = [await SingleInstallation(api, token).all() for token in ("xoxb-T1", "xoxb-E1")]
        await api.client("xoxb-T1").auth_revoke()

        found = await check_slack(
            api, InMemoryInstallations(*[one for [one] in installed]), expected
        )

        assert "install the app again" in named(found, "slack T1").text
        assert named(found, "slack E1").is_ok
        assert named(found, "slack channels T4").text == "in #grid"
        assert named(found, "slack channels T5").is_ok is None

    async def test_the_command_finds_all_of_it_by_the_settings(
        self, slack: Slack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str
    ) -> None:
        slack.install()
        settings = {
            "HOME": str(tmp_path),
            "REDIS__URL": redis_url,
            "EMBEDDINGS__PROVIDER": "none",
            "SLACK__BOT_TOKEN": "xoxb-T1",
            "SLACK__APP_TOKEN": slack.app_token,
            "SLACK__API_URL": slack.url,
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"SHIFU_{name}", value)

        found = await examine(load_settings())

        assert named(found, "slack").is_ok
        assert named(found, "slack scopes").is_ok
        assert named(found, "slack events").is_ok

    async def test_for_several_workspaces_it_says_what_is_not_set_and_what_cannot_be_read(
        self, slack: Slack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str
    ) -> None:
        settings = {
            "HOME": str(tmp_path),
            "TENANT": f"oauth{next(_tenants)}",
            "REDIS__URL": redis_url,
            "EMBEDDINGS__PROVIDER": "none",
            "SLACK__CLIENT_ID": slack.client_id,
            "SLACK__API_URL": slack.url,
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"SHIFU_{name}", value)
        before = named(await examine(load_settings()), "slack")
        redis = open_redis(redis_url)
        slack.install()
        [lost] = await SingleInstallation(api := SlackApi(slack.url), "xoxb-T1").all()
        await api.close()
        other_key = Fernet.generate_key().decode()
        await RedisInstallations(redis, tenant=settings["TENANT"], keys=[other_key]).save(lost)
        await close_redis(redis)
        monkeypatch.setenv("SHIFU_SLACK__CLIENT_SECRET", slack.client_secret)
        monkeypatch.setenv("SHIFU_SLACK__TEAMS", '["T1"]')
        monkeypatch.setenv("SHIFU_SLACK__INSTALLATION_KEYS", json.dumps([KEY]))

        after = [f for f in await examine(load_settings()) if f.part == "slack"]

        assert before.is_ok is False
        assert "SHIFU_SLACK__INSTALLATION_KEYS" in before.text
        assert "T1: encrypted with a key" in after[0].text
        assert "/slack/install" in after[1].text


def named(found: list[Finding], part: str) -> Finding:
    return next(finding for finding in found if finding.part == part)


def text_of(found: list[Finding]) -> str:
    return "\n".join(f"{finding.part}: {finding.text}" for finding in found)


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("BOT_TOKEN", "APP_TOKEN", "SIGNING_SECRET", "API_URL", "CLIENT_ID"):
        monkeypatch.delenv(f"SLACK_{name}", raising=False)
