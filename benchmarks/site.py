"""The example company as processes of the product, whatever it is asked through; and what the machine was busy with."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from benchmarks.generate import COMPANY, company_questions
from bot.inbox import QueueState
from bot.redis_client import close_redis, open_redis
from bot.redis_inbox import RedisInbox
from tests.installation import TENANT, ShifuProcess, WebPerson, an_environment
from tests.redis_servers import Server

Send = Callable[[], Awaitable[float]]
"""Sends something, and tells the seconds until it was acknowledged."""

# Above those that systems hand out to outgoing connections.
PORT = 61_300

_QUIET_S = 90.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class MeasuredProcess(ShifuProcess):
    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        return _cpu_s(self.pid)

    @property
    def resident_mb(self) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        line = next(line for line in lines if line.startswith("VmRSS"))
        return round(int(line.split()[1]) / 1000)


class Site:
    """One process that takes events in, and perhaps another that answers, on a Redis of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[MeasuredProcess] = []
        self.rng = random.Random(7)
        self.client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self.redis = Server(folder / "redis", "--appendonly", "yes")
        self._asked = count()
        self._texts = company_questions()

    @property
    def serve(self) -> MeasuredProcess:
        return self.processes[0]

    async def start(
        self, home: Path, people: Mapping[str, Any], commands: Sequence[str], **settings: str
    ) -> None:
        """
        Args:
            home: With the documents; it is copied.
            commands: `serve` first; alone it answers as well. `-` after it: nobody does.
        """
        text = yaml.safe_dump(people, allow_unicode=True)
        (self.folder / "people.yaml").write_text(text, "utf-8")
        self.redis.start()
        settings["SHIFU_WORK__IN_SERVE"] = "true" if len(commands) == 1 else "false"
        environment = an_environment(self.redis.url, self.folder, **settings)
        shutil.copytree(home, environment["SHIFU_HOME"])
        for number, command in enumerate(c for c in commands if c != "-"):
            process = MeasuredProcess(command, self.folder, environment, PORT + 1 + number)
            self.processes.append(process)
            process.start()
            await process.until_ready(self.client)

    async def stop(self) -> None:
        for process in self.processes:
            process.kill()
        self.redis.kill()
        await self.client.close()

    def question(self) -> str:
        number = next(self._asked)
        return f"{self._texts[number % len(self._texts)]} ({number})"

    async def healthz(self) -> float:
        """Seconds; the least that any request takes."""
        began = time.perf_counter()
        async with self.client.get(f"{self.serve.url}/healthz") as response:
            assert response.status == 200
            return time.perf_counter() - began

    async def ask_on_page(self, questions: int) -> None:
        names = sorted(yaml.safe_load((self.folder / "people.yaml").read_text("utf-8"))["users"])
        for number in range(questions):
            person = WebPerson(self.client, [self.serve.url], names[number % len(names)])
            await person.ask(await person.direct(), self.question(), f"c{number}")
            await asyncio.sleep(0.05)

    async def quiet(self) -> QueueState:
        """Wait until everything is answered."""
        inbox = RedisInbox(open_redis(self.redis.url), tenant=TENANT)
        try:
            async with asyncio.timeout(_QUIET_S):
                while True:
                    state = await inbox.state()
                    if not state.unfinished:
                        return state
                    await asyncio.sleep(0.2)
        finally:
            await inbox.close()

    async def forget_uses(self) -> None:
        """As if the last minute had been quiet: answers may be streamed again."""
        redis = open_redis(self.redis.url)
        async for key in redis.scan_iter(f"shifu:{TENANT}:uses:*"):
            await redis.delete(key)
        await close_redis(redis)


def company_people() -> dict[str, Any]:
    """The example company's directory, to be added to."""
    people: dict[str, Any] = yaml.safe_load((COMPANY / "people.yaml").read_text("utf-8"))
    return people


def ingested(folder: Path) -> Path:
    """The example company's documents, ready to be copied as any site's home."""
    environment = an_environment("", folder, SHIFU_DIRECTORY__PATH=str(COMPANY / "people.yaml"))
    del environment["SHIFU_REDIS__URL"]
    shifu = Path(sys.executable).with_name("shifu")
    command = [str(shifu), "ingest", str(COMPANY / "docs")]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return Path(environment["SHIFU_HOME"])


async def at_pace(sending: Sequence[Send], per_s: float) -> list[float]:
    """Whoever is late does not hold up the others."""
    began, took = time.perf_counter(), []

    async def one(number: int, send: Send) -> None:
        due = began + number / per_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        took.append(await send())

    async with asyncio.TaskGroup() as group:
        for number, send in enumerate(sending):
            group.create_task(one(number, send))
    return took


class Machine:
    """What else went on while something was measured."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._began, self._busy, self._ours = time.perf_counter(), _busy_s(), self._own_s()

    def others(self) -> float:
        """Cores that were busy with what is not ours."""
        took = time.perf_counter() - self._began
        busy, ours = _busy_s() - self._busy, self._own_s() - self._ours
        return round(max(busy - ours, 0) / took, 2)

    def _own_s(self) -> float:
        pids = [process.pid for process in self._site.processes]
        redis = self._site.redis._process
        return sum(map(_cpu_s, [*pids, os.getpid(), *([redis.pid] if redis else [])]))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _busy_s() -> float:
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_S
