"""What `shifu doctor` says of an installation in Teams, against the double."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from adapters.doctor import examine
from adapters.finding import Finding
from adapters.settings import load_settings
from adapters.teams.checks import TeamsExpectations, check_teams
from adapters.teams.credentials import BotTokens, Credentials
from adapters.teams.permissions import OptIn, permissions
from tests.fakes.teams.platform import BOT_SCOPE
from tests.fakes.teams_api import TeamsApi

TENANT = "10000000-0000-4000-8000-000000000001"
SISTER = "10000000-0000-4000-8000-000000000002"

Expecting = Callable[..., TeamsExpectations]


@pytest.fixture
async def api() -> AsyncIterator[TeamsApi]:
    async with TeamsApi() as api:
        api.tenant(TENANT)
        yield api


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture
def expecting(api: TeamsApi) -> Expecting:
    def expecting(
        *opt_ins: OptIn, tenants: tuple[str, ...] = (TENANT,), graph: bool = True, keys: str = ""
    ) -> TeamsExpectations:
        return TeamsExpectations(
            app_id=api.app_id,
            tenants=tenants,
            keys_url=keys or api.keys_url,
            graph_url=api.graph_url if graph else "",
            scope=BOT_SCOPE,
            opt_ins=frozenset(opt_ins),
        )

    return expecting


def tokens(api: TeamsApi, *, secret: str = "", app_id: str = "", tenant: str = TENANT) -> BotTokens:
    return BotTokens(
        app_id or api.app_id,
        tenant,
        Credentials(secret=secret or api.app_password),
        login_url=api.login_url,
    )


def found(findings: list[Finding], part: str) -> Finding:
    return next(finding for finding in findings if finding.part == part)


async def test_all_is_well(
    api: TeamsApi, http: aiohttp.ClientSession, expecting: Expecting
) -> None:
    api.tenant(TENANT, permissions=[p.name for p in permissions(frozenset(OptIn))])

    findings = await check_teams(http, tokens(api), expecting(*OptIn))

    assert [(f.part, f.is_ok) for f in findings] == [
        ("teams", True),
        ("teams keys", True),
        ("teams clock", True),
        ("teams graph", True),
    ]
    assert api.app_id in findings[0].text
    asked = [p for p in permissions(frozenset(OptIn)) if not p.is_in_manifest]
    assert f"all {len(asked)} permissions" in findings[3].text


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"secret": "its-id"}, "the secret is wrong"),
        ({"app_id": "b0000000-0000-4000-8000-000000000000"}, "no such app"),
        ({"tenant": "90000000-0000-4000-8000-000000000009"}, "no such tenant"),
    ],
)
async def test_what_the_login_refuses_is_explained(
    api: TeamsApi,
    http: aiohttp.ClientSession,
    expecting: Expecting,
    wrong: dict[str, str],
    advice: str,
) -> None:
    findings = await check_teams(http, tokens(api, **wrong), expecting())

    finding = found(findings, "teams")
    assert finding.is_ok is False
    assert advice in finding.text
    assert "AADSTS" in finding.text
    assert "its-id" not in " ".join(f.text for f in findings)
    assert found(findings, "teams keys").is_ok


async def test_a_missing_permission_is_named_with_what_it_is_for(
    api: TeamsApi, http: aiohttp.ClientSession, expecting: Expecting
) -> None:
    api.tenant(TENANT, permissions={"User.Read.All"})

    finding = found(await check_teams(http, tokens(api), expecting()), "teams graph")

    assert finding.is_ok is False
    assert "GroupMember.Read.All (knows which groups" in finding.text
    assert "Grant admin consent" in finding.text
    assert "User.Read.All" not in finding.text


async def test_what_one_can_do_without_does_not_fail(
    api: TeamsApi, http: aiohttp.ClientSession, expecting: Expecting
) -> None:
    api.tenant(TENANT, permissions={"User.Read.All", "GroupMember.ReadWrite.All"})

    plain = found(await check_teams(http, tokens(api), expecting()), "teams graph")
    wanting = found(
        await check_teams(http, tokens(api), expecting(OptIn.SHAREPOINT)), "teams graph"
    )

    assert plain.is_ok is True
    assert plain.text.startswith("without: Member.Read.Hidden")
    assert wanting.is_ok is False
    assert "Sites.Read.All" in wanting.text


async def test_sharepoint_may_be_opened_site_by_site(
    api: TeamsApi, http: aiohttp.ClientSession, expecting: Expecting
) -> None:
    granted = {"User.Read.All", "GroupMember.Read.All", "Member.Read.Hidden", "Sites.Selected"}
    api.tenant(TENANT, permissions=granted)

    findings = await check_teams(http, tokens(api), expecting(OptIn.SHAREPOINT))

    assert found(findings, "teams graph").is_ok is True


async def test_no_permission_at_all_is_no_list_in_the_token(
    api: TeamsApi, http: aiohttp.ClientSession, expecting: Expecting
) -> None:
    api.tenant(TENANT, permissions=())

    finding = found(await check_teams(http, tokens(api), expecting()), "teams graph")

    assert finding.is_ok is False
    assert "User.Read.All" in finding.text


async def test_each_tenant_of_ours_is_looked_at(
    api: TeamsApi, http: aiohttp.ClientSession, expecting: Expecting
) -> None:
    api.tenant(SISTER, permissions=())

    findings = await check_teams(http, tokens(api), expecting(tenants=(TENANT, SISTER)))

    assert found(findings, f"teams graph {TENANT}").is_ok is True
    assert found(findings, f"teams graph {SISTER}").is_ok is False


async def test_a_wrong_clock_is_noticed_before_activities_are_refused(
    api: TeamsApi, http: aiohttp.ClientSession, expecting: Expecting
) -> None:
    def late() -> datetime:
        return datetime.now(UTC) - timedelta(minutes=7)

    finding = found(await check_teams(http, tokens(api), expecting(), clock=late), "teams clock")

    assert finding.is_ok is False
    assert "NTP" in finding.text


async def test_keys_that_cannot_be_had_are_told_with_their_address(
    api: TeamsApi, http: aiohttp.ClientSession, expecting: Expecting
) -> None:
    nowhere = "http://127.0.0.1:9/keys"
    for wrong in (nowhere, f"{api.origin}/v1/.well-known/openidconfiguration"):
        finding = found(await check_teams(http, tokens(api), expecting(keys=wrong)), "teams keys")

        assert finding.is_ok is False
        assert wrong in finding.text or "SHIFU_TEAMS__KEYS_URL" in finding.text


async def test_without_graph_it_says_who_is_known(
    api: TeamsApi, http: aiohttp.ClientSession, expecting: Expecting
) -> None:
    findings = await check_teams(http, tokens(api), expecting(graph=False))

    assert found(findings, "teams graph").is_ok is None
    assert {request.scope for request in api.token_requests} == {BOT_SCOPE}


class TestDoctor:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHIFU_HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)

    async def test_it_looks_at_teams_as_the_settings_say(
        self, api: TeamsApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {
            "APP_ID": api.app_id,
            "APP_TENANT_ID": TENANT,
            "APP_PASSWORD": api.app_password,
            "LOGIN_URL": api.login_url,
            "KEYS_URL": api.keys_url,
            "GRAPH_URL": api.graph_url,
        }.items():
            monkeypatch.setenv(f"SHIFU_TEAMS__{name}", value)

        findings = [f for f in await examine(load_settings()) if f.part.startswith("teams")]

        assert [f.is_ok for f in findings] == [True] * 4, findings

    async def test_off_and_development_are_no_failures(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        off = await examine(load_settings())
        monkeypatch.setenv("SHIFU_TEAMS__DEVELOPMENT", "true")
        developing = await examine(load_settings())

        assert found(off, "teams").is_ok is None
        assert "docs/teams.md" in found(off, "teams").text
        assert found(developing, "teams").is_ok is None
        assert "development" in found(developing, "teams").text
