"""The example company in Slack as processes of the product, beside a lean Slack; and what the machine was busy with."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import yaml

from benchmarks.generate import COMPANY, company_questions
from benchmarks.lean_slack import APP_TOKEN, BOT, BOT_TOKEN, SIGNING_SECRET, TEAM, Json, LeanSlack
from bot.redis_client import close_redis, open_redis
from bot.redis_inbox import RedisInbox
from tests.installation import TENANT, ShifuProcess, an_environment
from tests.redis_servers import Server

_MEMBERS = 15
_QUIET_S = 90.0
# Above those that systems hand out to outgoing connections.
_PORT = 61_300
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


@dataclass
class Site:
    """The example company in Slack: one process that takes events in, and perhaps another that answers."""

    slack: LeanSlack
    redis: Server
    folder: Path
    users: dict[str, str]
    channels: dict[str, list[str]]
    processes: list[MeasuredProcess] = field(default_factory=list)
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    asked: Iterator[int] = field(default_factory=lambda: count())
    texts: list[str] = field(default_factory=company_questions)

    @property
    def serve(self) -> MeasuredProcess:
        return self.processes[0]

    def by_http(self, payload: Json, retry: int = 0) -> Awaitable[float]:
        return self.slack.by_http(f"{self.serve.url}/slack/events", payload, retry=retry)

    def by_socket(self, payload: Json, retry: int = 0) -> Awaitable[float]:
        return self.slack.by_socket(payload, retry=retry)

    def question(self) -> str:
        number = next(self.asked)
        return f"{self.texts[number % len(self.texts)]} ({number})"

    def mention(self) -> tuple[str, list[Json]]:
        """Its ts, and the two events by which Slack tells of it."""
        channel = self.rng.choice(list(self.channels))
        user, ts = self.rng.choice(self.channels[channel]), self.slack.next_ts()
        text = f"<@{BOT}> {self.question()}"
        kinds = ("app_mention", "message")
        return ts, [self.slack.event(kind, user, channel, text, ts) for kind in kinds]

    def direct(self) -> tuple[str, list[Json]]:
        user, ts = self.rng.choice(list(self.users)), self.slack.next_ts()
        return ts, [self.slack.event("message", user, f"D{user[1:]}", self.question(), ts)]

    def talk(self) -> Json:
        """What people say to each other: nothing for the bot."""
        channel = self.rng.choice(list(self.channels))
        user = self.rng.choice(self.channels[channel])
        return self.slack.event("message", user, channel, "see you at three", self.slack.next_ts())

    async def quiet(self) -> None:
        """Wait until everything is answered."""
        inbox = RedisInbox(open_redis(self.redis.url), tenant=TENANT)
        try:
            async with asyncio.timeout(_QUIET_S):
                while True:
                    if not (await inbox.state()).unfinished:
                        return
                    await asyncio.sleep(0.2)
        finally:
            await inbox.close()

    async def forget_uses(self) -> None:
        """As if the last minute had been quiet: answers may be streamed again."""
        redis = open_redis(self.redis.url)
        async for key in redis.scan_iter(f"shifu:{TENANT}:uses:*"):
            await redis.delete(key)
        await close_redis(redis)


@asynccontextmanager
async def a_site(home: Path, commands: list[str], *, has_slack: bool = True) -> AsyncIterator[Site]:
    """
    The processes *commands* on a Redis of their own, with nothing known to them yet.

    Args:
        home: With the documents; it is copied.
        commands: `serve` first; alone it answers as well. `-` after it: nobody does.
    """
    people = yaml.safe_load((COMPANY / "people.yaml").read_text("utf-8"))
    names = list(people["users"])
    users = {f"U{number:03}": names[number % len(names)] for number in range(200)}
    for name, person in people["users"].items():
        person["slack"] = [f"{TEAM}/{id}" for id, owner in users.items() if owner == name]
    rng = random.Random(3)
    channels = {f"C{n:03}": rng.sample(list(users), _MEMBERS) for n in range(20)}
    slack = LeanSlack(users, channels)
    await slack.start(_PORT)
    with TemporaryDirectory(prefix="shifu-benchmark-") as place:
        folder = Path(place)
        (folder / "people.yaml").write_text(yaml.safe_dump(people), "utf-8")
        redis = Server(folder / "redis", "--appendonly", "yes")
        redis.start()
        more = {"SHIFU_WORK__IN_SERVE": "true" if len(commands) == 1 else "false"}
        if has_slack:
            more |= {
                "SHIFU_SLACK__BOT_TOKEN": BOT_TOKEN,
                "SHIFU_SLACK__APP_TOKEN": APP_TOKEN,
                "SHIFU_SLACK__SIGNING_SECRET": SIGNING_SECRET,
                "SHIFU_SLACK__API_URL": slack.url,
            }
        environment = an_environment(redis.url, folder, **more)
        site = Site(slack, redis, folder, users, channels)
        try:
            shutil.copytree(home, environment["SHIFU_HOME"])
            async with aiohttp.ClientSession() as client:
                for number, command in enumerate(c for c in commands if c != "-"):
                    port = _PORT + 1 + number
                    process = MeasuredProcess(command, folder, environment, port)
                    site.processes.append(process)
                    process.start()
                    await process.until_ready(client)
            if has_slack:
                await slack.connected()
            yield site
        finally:
            for process in site.processes:
                process.kill()
            redis.kill()
            await slack.stop()


def ingested(folder: Path) -> Path:
    """The example company's documents, ready to be copied as any site's home."""
    environment = an_environment("", folder, SHIFU_DIRECTORY__PATH=str(COMPANY / "people.yaml"))
    del environment["SHIFU_REDIS__URL"]
    shifu = Path(sys.executable).with_name("shifu")
    command = [str(shifu), "ingest", str(COMPANY / "docs")]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return Path(environment["SHIFU_HOME"])


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
