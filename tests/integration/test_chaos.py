"""Nothing is lost, doubled or mixed up while processes are killed, Redis restarts and documents go away."""

import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.redis_client import open_redis
from bot.redis_state import RedisState
from tests.installation import TENANT, ShifuProcess, WebPerson, an_environment
from tests.redis_servers import Server
from tests.weaviate_server import WeaviateServer, a_weaviate_server

PEOPLE, CONVERSATIONS, QUESTIONS = 10, 50, 500
DELIVERIES = 3
PATIENCE_S = 240
AWAY_S = 20.0


def locker(number: int) -> str:
    return f"The code of locker number{number} is code{number * 7919 % 100_000}x."


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["embedded", "weaviate"])
async def documents(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[WeaviateServer | None]:
    """Where they lie; None for the folder of the installation."""
    if request.param == "embedded":
        yield None
        return
    folder = tmp_path / "weaviate"
    folder.mkdir()
    with a_weaviate_server(folder) as server:
        if not server.can_be_stopped:
            pytest.skip("the Weaviate that runs already is not ours to stop")
        yield server


class Chaos:
    """An installation of two `serve` and two `work`, and people who ask."""

    def __init__(self, folder: Path, redis: Server, weaviate: WeaviateServer | None) -> None:
        self.redis, self.weaviate = redis, weaviate
        more = {}
        if weaviate is not None:
            more = {
                "SHIFU_WEAVIATE__URL": weaviate.url,
                "SHIFU_WEAVIATE__GRPC_URL": weaviate.grpc_url,
                "SHIFU_WEAVIATE__API_KEY": weaviate.api_key or "",
            }
        self.environment = an_environment(redis.url, folder, **more)
        self.folder = folder
        self.serving = [ShifuProcess("serve", folder, self.environment) for _ in range(2)]
        self.processes = [
            *self.serving,
            *(ShifuProcess("work", folder, self.environment) for _ in range(2)),
        ]
        self.random = random.Random(4)
        self.kills = 0
        users: dict[str, object] = {f"user{n}": {} for n in range(PEOPLE)}
        (folder / "people.yaml").write_text(json.dumps({"users": users}))
        (folder / "docs").mkdir()
        for number in range(QUESTIONS):
            text = f"---\nacl: [everyone]\n---\n# Locker number{number}\n\n{locker(number)}\n"
            (folder / "docs" / f"{number}.md").write_text(text)

    def ingest(self) -> None:
        shifu = Path(sys.executable).with_name("shifu")
        subprocess.run(
            [shifu, "ingest", "docs"],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
        )

    async def kill_now_and_then(self, client: aiohttp.ClientSession, seconds: float) -> None:
        """One process at a time, so that somebody is there most of the time."""
        while True:
            await asyncio.sleep(self.random.uniform(0.5, 1.5) * seconds)
            victim = self.random.choice(self.processes)
            victim.kill()
            victim.start()
            self.kills += 1
            await victim.until_ready(client) if self.random.random() < 0.5 else None

    async def restart_redis(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await asyncio.to_thread(self.redis.kill)
        await asyncio.sleep(1)
        await asyncio.to_thread(self.redis.start)

    async def stop_weaviate(self, after_s: float) -> None:
        if self.weaviate is not None:
            await asyncio.sleep(after_s)
            await asyncio.to_thread(self.weaviate.stop)
            await asyncio.sleep(AWAY_S)
            await asyncio.to_thread(self.weaviate.start)


async def test_every_question_gets_exactly_one_final_answer(
    tmp_path: Path, redis: Server, documents: WeaviateServer | None
) -> None:
    chaos = Chaos(tmp_path, redis, documents)
    await asyncio.to_thread(chaos.ingest)
    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(timeout=timeout, read_bufsize=2**24) as client:
        try:
            for process in chaos.processes:
                process.start()
            for process in chaos.processes:
                await process.until_ready(client)
            await _run(chaos, client)
        finally:
            for process in chaos.processes:
                process.kill()


async def _run(chaos: Chaos, client: aiohttp.ClientSession) -> None:
    urls = [process.url for process in chaos.serving]
    people = [WebPerson(client, urls, f"user{n}") for n in range(PEOPLE)]
    places = [
        (person, await person.direct())
        for n in range(CONVERSATIONS)
        for person in [people[n % PEOPLE]]
    ]
    asked: dict[str, list[int]] = {place: [] for _, place in places}
    for number in range(QUESTIONS):
        asked[places[number % CONVERSATIONS][1]].append(number)
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        disturbing = [
            group.create_task(chaos.kill_now_and_then(client, 3)),
            group.create_task(chaos.restart_redis(10)),
            group.create_task(chaos.stop_weaviate(14)),
        ]
        asking = [group.create_task(_ask(person, place, asked[place])) for person, place in places]
        await asyncio.gather(*asking, *disturbing[1:])
        seen = await _answered(places, asked)
        disturbing[0].cancel()

    for place, messages in seen.items():
        _check_conversation(messages, asked[place])
    await _check_sessions(chaos.redis.url, asked)
    print(
        f"{QUESTIONS} questions, {DELIVERIES} deliveries each, {chaos.kills} kills, "
        f"{sum(p.retries for p in people)} requests repeated, {time.monotonic() - started:.0f} s"
    )


async def _ask(person: WebPerson, place: str, numbers: list[int]) -> None:
    """Each event once in its order, and twice more whenever."""
    chance = random.Random(place)

    async def again(number: int) -> None:
        await asyncio.sleep(chance.uniform(0, 6))
        await _deliver(person, place, number, url=chance.randrange(2))

    async with asyncio.TaskGroup() as group:
        for number in numbers:
            await asyncio.sleep(chance.uniform(0.5, 4.0))
            await _deliver(person, place, number, url=chance.randrange(2))
            for _ in range(DELIVERIES - 1):
                group.create_task(again(number))


async def _deliver(person: WebPerson, place: str, number: int, *, url: int) -> None:
    question = f"What is the code of locker number{number}?"
    await person.ask(place, question, f"ask{number}", url=url)


async def _answered(
    places: list[tuple[WebPerson, str]], asked: dict[str, list[int]]
) -> dict[str, list[dict[str, Any]]]:
    """What everybody sees once no question is open any more."""
    seen: dict[str, list[dict[str, Any]]] = {}
    async with asyncio.timeout(PATIENCE_S):
        for person, place in places:
            while place not in seen:
                messages = await person.messages(place)
                questions = [m for m in messages if m["author"]]
                if len(questions) == len(asked[place]) and not any(m["is_open"] for m in questions):
                    seen[place] = messages
                else:
                    await asyncio.sleep(0.5)
    return seen


def _check_conversation(messages: list[dict[str, Any]], numbers: list[int]) -> None:
    replies: dict[str, list[dict[str, Any]]] = {}
    for message in messages:
        if message["answers"]:
            replies.setdefault(message["answers"], []).append(message["reply"])
    questions = [message for message in messages if message["author"]]
    assert [_number(question["text"]) for question in questions] == numbers
    for question in questions:
        (reply,) = replies[question["id"]]
        number = _number(question["text"])
        assert reply["kind"] == "answer", reply
        assert locker(number) in reply["text"], reply


async def _check_sessions(redis_url: str, asked: dict[str, list[int]]) -> None:
    """Each conversation remembers its last questions once each, in their order."""
    redis = open_redis(redis_url)
    state = RedisState(redis, tenant=TENANT)
    prefix = f"shifu:{TENANT}:session:"
    remembered = []
    for key in await redis.keys(f"{prefix}*"):
        session = await state.load_session(str(key).removeprefix(prefix))
        remembered.append([_number(turn.question) for turn in session.turns])
    await state.close()
    expected = [numbers[-12:] for numbers in asked.values()]
    assert sorted(remembered) == sorted(expected)


def _number(text: str) -> int:
    found = re.search(r"number(\d+)", text)
    assert found is not None, text
    return int(found[1])
