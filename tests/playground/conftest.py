"""
The product behind Microsoft's Agents Playground: its page stands for the Teams client.

Run by `make test-playground`, which installs the Playground and names its folder.
"""

import asyncio
import json
import os
import re
import shutil
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from playwright.async_api import async_playwright

from bot.embedded_redis import EmbeddedRedis
from tests.fakes.model_server import ModelServer
from tests.installation import ShifuProcess, an_environment
from tests.playground.teams_client import TeamsClient
from tests.redis_servers import free_port

ROOT = Path(__file__).parents[2]
COMPANY = ROOT / "examples" / "company"
FOLDER = os.environ.get("SHIFU_TEST_PLAYGROUND", "")
SHIFU = Path(sys.executable).with_name("shifu")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TENANT = "qinglan"
TENANT_ID = "c0000000-0000-4000-8000-000000000001"
TEAM_GROUP = "70000000-0000-4000-8000-000000000001"
BOT = "Shifu"

# Whose page it is, and who else is there; the Playground wants exactly five others.
ME, *OTHERS = "leo.fang", "david.hsu", "carol.wu", "emma.tsai", "grace.kao", "frank.lo"

_START_S = 60

# Of no interest to a run of all tests, where nobody has asked for it.
collect_ignore_glob = [] if FOLDER else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = _what_is_missing()
    for item in items:
        if reason and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.skip(reason=reason))


def _what_is_missing() -> str:
    if shutil.which("npm") is None:
        return "needs npm: apt-get install npm, or Node.js 18 and later"
    if not (Path(FOLDER) / "node_modules").is_dir():
        return "the Playground is not installed; run: make test-playground"
    if CHROMIUM is None:
        return "needs Chromium: apt-get install chromium fonts-noto-cjk"
    return ""


def object_id(person: str) -> str:
    return f"{[ME, *OTHERS].index(person) + 1:08x}-0000-4000-8000-000000000000"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer() as model:
        yield model


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shifu_url(
    tmp_path_factory: pytest.TempPathFactory, model: ModelServer
) -> AsyncIterator[str]:
    """`shifu serve` in development, with the example company's documents and people."""
    folder = tmp_path_factory.mktemp("shifu")
    people = yaml.safe_load((COMPANY / "people.yaml").read_text(encoding="utf-8"))
    for person in (ME, *OTHERS):
        people["users"][person]["teams"] = f"{TENANT_ID}/{object_id(person)}"
    (folder / "people.yaml").write_text(json.dumps(people), encoding="utf-8")
    with EmbeddedRedis(folder / "redis") as redis:
        environment = an_environment(
            redis.url,
            folder,
            SHIFU_TENANT=TENANT,
            SHIFU_MODEL__BASE_URL=model.base_url,
            SHIFU_TEAMS__DEVELOPMENT="true",
            SHIFU_TEAMS__TENANTS=json.dumps([TENANT_ID]),
        )
        ingesting = await asyncio.create_subprocess_exec(
            *(SHIFU, "ingest", COMPANY / "docs"),
            cwd=folder,
            env=environment,
            stdout=PIPE,
            stderr=STDOUT,
        )
        printed, _ = await ingesting.communicate()
        assert ingesting.returncode == 0, printed.decode()
        process = ShifuProcess("serve", folder, environment)
        process.start()
        try:
            async with aiohttp.ClientSession() as client:
                await process.until_ready(client)
            yield process.url
        finally:
            process.terminate()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def playground_url(
    tmp_path_factory: pytest.TempPathFactory, shifu_url: str
) -> AsyncIterator[str]:
    folder = tmp_path_factory.mktemp("playground")
    settings = folder / "playground.yml"
    settings.write_text(json.dumps(_playground_settings()), encoding="utf-8")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "node",
        Path(FOLDER) / "node_modules/@microsoft/m365agentsplayground/cli.js",
        *("start", "--app-endpoint", f"{shifu_url}/teams/messages", "--channel-id", "msteams"),
        *("--port", str(port), "--disable-telemetry"),
        cwd=folder,
        env=os.environ
        | {
            "TEAMSAPPTESTER_BROWSER": "none",
            "M365_AGENTS_PLAYGROUND_CONFIG_PATH": str(settings),
            "M365_AGENTS_PLAYGROUND_LOGFILE": str(folder / "playground.log"),
        },
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        yield f"http://localhost:{await _port(process)}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _port(process: Process) -> str:
    """It takes another one than it was told where that is taken."""
    assert process.stdout is not None
    printed: list[str] = []
    async with asyncio.timeout(_START_S):
        async for line in process.stdout:
            printed.append(line.decode())
            if found := re.search(r"Listening on (\d+)", printed[-1]):
                return found[1]
    raise AssertionError(f"the Playground ended before it served: {''.join(printed)}")


def _playground_settings() -> dict[str, Any]:
    people = yaml.safe_load((COMPANY / "people.yaml").read_text(encoding="utf-8"))["users"]

    def account(person: str) -> dict[str, str]:
        given, _, family = people[person]["name"].partition(" ")
        return {
            "id": f"29:{person}",
            "name": people[person]["name"],
            # As the Playground spells it.
            "userPrincipleName": f"{person}@qinglan.example",
            "aadObjectId": object_id(person),
            "givenName": given,
            "surname": family,
            "email": f"{person}@qinglan.example",
        }

    return {
        "version": "0.1.1",
        "tenantId": TENANT_ID,
        "bot": {"id": "28:b0000000-0000-4000-8000-000000000001", "name": BOT},
        "currentUser": account(ME),
        "users": [account(person) for person in OTHERS],
        "personalChat": {"id": "a:personal"},
        "groupChat": {"id": "19:group@thread.v2", "name": "Tape-out"},
        "team": {
            "id": "19:team@thread.tacv2",
            "name": "Design",
            "aadGroupId": TEAM_GROUP,
            "channels": [{"id": "19:lint@thread.tacv2", "name": "Lint"}],
        },
    }


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def teams(playground_url: str) -> AsyncIterator[TeamsClient]:
    async with AsyncExitStack() as open_things:
        playwright = await open_things.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            # Containers run as root, where Chromium's sandbox refuses to start.
            executable_path=CHROMIUM,
            args=["--no-sandbox"],
        )
        open_things.push_async_callback(browser.close)
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        # Its fonts come from elsewhere; the tests ask nobody.
        await page.route(re.compile(r"^https?://(?!localhost|127\.0\.0\.1)"), lambda r: r.abort())
        await page.goto(playground_url)
        yield TeamsClient(page)
