"""Several processes of the product on one Redis: who answers, who takes over, and what an operator sees."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.redis_client import open_redis
from bot.redis_inbox import RedisInbox
from tests.fakes.model_server import Fault, ModelServer
from tests.installation import TENANT, ShifuProcess, WebPerson, an_environment
from tests.redis_servers import Server

QUESTION = "When does the garage open?"


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path / "redis", "--appendonly", "yes")
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as client:
        yield client


class Site:
    """A folder with one document and one person, and processes that share it."""

    def __init__(self, folder: Path, redis: Server, **settings: str) -> None:
        self.folder = folder
        self.environment = an_environment(redis.url, folder, **settings)
        (folder / "people.yaml").write_text("users: {ann: {}}\n")
        (folder / "docs").mkdir()
        (folder / "docs" / "parking.md").write_text("# Parking\n\nThe garage opens at 7.\n")
        self.shifu("ingest", "docs", "--acl", "everyone")
        self.processes: list[ShifuProcess] = []

    def shifu(self, *arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("shifu")), *arguments]
        ended = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.decode()

    def queue(self) -> Any:
        return json.loads(self.shifu("queue", "--json"))

    async def start(self, client: aiohttp.ClientSession, command: str) -> ShifuProcess:
        process = ShifuProcess(command, self.folder, self.environment)
        self.processes.append(process)
        process.start()
        await process.until_ready(client)
        return process

    async def __aenter__(self) -> "Site":
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()


async def answer_to(person: WebPerson, place: str, *, kind: str = "answer") -> str:
    async with asyncio.timeout(60):
        while True:
            replies = [m["reply"] for m in await person.messages(place) if m["reply"]]
            if replies and replies[-1]["kind"] == kind:
                return str(replies[-1]["text"])
            await asyncio.sleep(0.1)


async def test_a_page_that_does_not_work_itself_is_answered_by_a_worker_and_by_no_other_before(
    tmp_path: Path, redis: Server, client: aiohttp.ClientSession
) -> None:
    async with Site(tmp_path, redis, SHIFU_WORK__IN_SERVE="false") as site:
        page = await site.start(client, "serve")
        ann = WebPerson(client, [page.url], "ann")
        place = await ann.direct()
        await ann.ask(place, QUESTION, "c1")

        waiting = site.queue()["waiting"]
        worker = await site.start(client, "work")
        answer = await answer_to(ann, place)
        async with client.get(f"{worker.url}/queue") as response:
            left = await response.json()

        assert waiting == 1
        assert "opens at 7" in answer
        assert left["unfinished"] == 0


async def test_what_a_stopping_process_does_not_finish_another_one_does(
    tmp_path: Path, redis: Server, client: aiohttp.ClientSession
) -> None:
    async with ModelServer("The garage opens at 7. [1]") as model:
        settings = {"SHIFU_MODEL__BASE_URL": model.base_url, "SHIFU_WORK__DRAIN_S": "0.5"}
        async with Site(tmp_path, redis, SHIFU_WORK__IN_SERVE="false", **settings) as site:
            page, first = await site.start(client, "serve"), await site.start(client, "work")
            model.fail(Fault.HANG)
            ann = WebPerson(client, [page.url], "ann")
            place = await ann.direct()
            await ann.ask(place, QUESTION, "c1")
            async with asyncio.timeout(20):
                while not any(request.messages for request in model.requests):
                    await asyncio.sleep(0.05)

            code = await asyncio.to_thread(first.terminate)
            await site.start(client, "work")
            answer = await answer_to(ann, place)

            assert code == 0
            assert "opens at 7" in answer
            assert len([m for m in await ann.messages(place) if m["reply"]]) == 1
            assert site.queue()["unfinished"] == 0


async def test_an_operator_sees_retries_and_drops_what_was_given_up(
    tmp_path: Path, redis: Server
) -> None:
    async with Site(tmp_path, redis) as site:
        inbox = RedisInbox(open_redis(redis.url), tenant=TENANT)
        for id in ("e1", "e2"):
            await inbox.put(id, id, "turn", "body")
            taken = await inbox.take(wait_s=1)
            assert taken is not None
            await inbox.bury(taken, "ZeroDivisionError")

        listed = site.shifu("queue")
        dropped = site.shifu("queue", "drop", "e1")
        retried = site.shifu("queue", "retry", "e2")
        state = await inbox.state()
        await inbox.close()

        assert "2 given up" in listed
        assert "ZeroDivisionError" in listed
        assert "body" not in listed
        assert (dropped, retried) == ("dropped\n", "1 put back\n")
        assert (state.waiting, state.dead) == (1, 0)


async def test_a_redis_that_takes_nothing_more_is_not_ready_however_often_one_asks(
    tmp_path: Path, redis: Server, client: aiohttp.ClientSession
) -> None:
    async with Site(tmp_path, redis) as site:
        page = await site.start(client, "serve")
        assert await page.is_ready(client)

        redis.client().config_set("maxmemory", "1")

        assert not await page.is_ready(client)
        assert not await page.is_ready(client)
