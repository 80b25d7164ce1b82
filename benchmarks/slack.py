"""Slack, from event to acknowledgement, first status and answer; the calls that it takes, and memory."""

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import yaml

from benchmarks.generate import COMPANY, company_questions
from benchmarks.lean_slack import APP_TOKEN, BOT, BOT_TOKEN, SIGNING_SECRET, TEAM, Json, LeanSlack
from benchmarks.report import Row, ms, p50, p99, ratio, show, write_json
from bot.redis_client import open_redis
from bot.redis_inbox import RedisInbox
from tests.installation import TENANT, ShifuProcess, WebPerson, an_environment
from tests.redis_servers import Server

_EVENTS_PER_S = 50
_MEMBERS = 15
_QUIET_S = 90.0
# Above those that systems hand out to outgoing connections.
_PORT = 61_300
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Deliver = Callable[[Json, int], Awaitable[float]]
"""One event to the app, and which delivery of it this is; the seconds to its acknowledgement."""


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
                while (await inbox.state()).unfinished:
                    await asyncio.sleep(0.2)
        finally:
            await inbox.close()


@asynccontextmanager
async def a_site(
    home: Path, commands: list[str], *, has_slack: bool = True
) -> AsyncIterator[Site]:
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


def _ingest(folder: Path) -> Path:
    """The example company's documents, ready to be copied as any site's home."""
    environment = an_environment("", folder, SHIFU_DIRECTORY__PATH=str(COMPANY / "people.yaml"))
    del environment["SHIFU_REDIS__URL"]
    shifu = Path(sys.executable).with_name("shifu")
    command = [shifu, "ingest", str(COMPANY / "docs")]
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


async def accepting(site: Site, *, seconds: float, way: str, is_heavy: bool, name: str) -> Row:
    """
    Events at an even pace. *is_heavy*: 2 of 5 are new questions, and 2 of 5 tell of those again; else 1
    in 50 is, told of twice, and the others are people's talk among themselves.
    """
    deliver: Deliver = site.by_http if way == "HTTP" else site.by_socket
    floor = await _at_pace(
        [lambda: site.slack.get(f"{site.serve.url}/healthz")] * round(_EVENTS_PER_S * seconds / 3)
    )
    events = _heavy(site, deliver) if is_heavy else _light(site, deliver)
    wanted = [next(events) for _ in range(round(_EVENTS_PER_S * seconds))]
    machine, used = Machine(site), site.serve.cpu_s
    took = await _at_pace(wanted)
    return {
        "process": name,
        "way": way,
        "questions/s": 20 if is_heavy else 1,
        "events": len(took),
        "ack p50 ms": ms(p50(took)),
        "p99 ms": ms(p99(took)),
        "max ms": ms(max(took)),
        "over 100 ms": sum(one > 0.1 for one in took),
        "healthz p50 ms": ms(p50(floor)),
        "healthz p99 ms": ms(p99(floor)),
        "p50 ratio": ratio(p50(took), p50(floor)),
        "CPU ms an event": round((site.serve.cpu_s - used) / len(took) * 1000, 1),
        "others' cores": machine.others(),
    }


def _heavy(site: Site, deliver: Deliver) -> Iterator[Callable[[], Awaitable[float]]]:
    while True:
        _, (mention, again) = site.mention()
        _, (direct,) = site.direct()
        for payload, retry in ((mention, 0), (again, 0), (direct, 0), (direct, 1)):
            yield lambda payload=payload, retry=retry: deliver(payload, retry)  # type: ignore[misc]
        talk = site.talk()
        yield lambda talk=talk: deliver(talk, 0)  # type: ignore[misc]


def _light(site: Site, deliver: Deliver) -> Iterator[Callable[[], Awaitable[float]]]:
    while True:
        _, told = site.mention()
        for payload in [*told, *(site.talk() for _ in range(_EVENTS_PER_S - 2))]:
            yield lambda payload=payload: deliver(payload, 0)  # type: ignore[misc]


async def _at_pace(sending: list[Callable[[], Awaitable[float]]]) -> list[float]:
    """Whoever is late does not hold up the others."""
    began, took = time.perf_counter(), []

    async def one(number: int, send: Callable[[], Awaitable[float]]) -> None:
        due = began + number / _EVENTS_PER_S
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        took.append(await send())

    async with asyncio.TaskGroup() as group:
        for number, send in enumerate(sending):
            group.create_task(one(number, send))
    return took


async def first_events(site: Site) -> Row:
    """What a process has not done before costs its first events, asking Slack whose token it has included."""
    took = []
    for _ in range(20):
        _, (payload,) = site.direct()
        took.append(await site.by_http(payload))
    return {"first ms": ms(took[0]), "second ms": ms(took[1]), "p50 ms": ms(p50(took[2:]))}


async def answering(
    site: Site, *, per_s: float, questions: int, latency_s: float, name: str
) -> Row:
    """Questions, half of them mentions and half direct messages, by HTTP, each in a thread of its own."""
    site.slack.latency_s = latency_s
    first_call = len(site.slack.calls)
    sent: dict[str, float] = {}
    machine, used = Machine(site), [process.cpu_s for process in site.processes]

    async def one(number: int) -> None:
        await asyncio.sleep(number / per_s)
        ts, told = site.mention() if number % 2 else site.direct()
        sent[ts] = time.time()
        await asyncio.gather(*(site.by_http(payload) for payload in told))

    async with asyncio.TaskGroup() as group:
        for number in range(questions):
            group.create_task(one(number))
    await site.quiet()
    calls = site.slack.calls[first_call:]
    site.slack.latency_s = 0.0
    used_s = sum(p.cpu_s for p in site.processes) - sum(used)
    began = [c for c in calls if c.method in ("chat.startStream", "chat.postMessage")]
    messages = {c.ts: c for c in began}
    status = [c.at - sent[c.thread_ts] for c in began if c.thread_ts in sent]
    ends: dict[str, float] = {}
    for call in calls:
        if call.method in ("chat.stopStream", "chat.update") and call.ts in messages:
            ends[call.ts] = call.at
    streamed = {c.ts for c in began if c.method == "chat.startStream"}
    final = {ts: at - sent[messages[ts].thread_ts] for ts, at in ends.items()}
    return {
        "process": name,
        "questions/s": per_s,
        "a call takes ms": round(latency_s * 1000),
        "questions": questions,
        "status p50 ms": ms(p50(status)),
        "status p99 ms": ms(p99(status)),
        "answered": len(final),
        "streamed": len(streamed),
        "streamed answer p50 ms": ms(p50([s for ts, s in final.items() if ts in streamed])),
        "posted answer p50 ms": ms(p50([s for ts, s in final.items() if ts not in streamed])),
        "answer p99 ms": ms(p99(list(final.values()))),
        "calls an answer": round(len(calls) / questions, 2),
        "which": ", ".join(f"{m} {n}" for m, n in Counter(c.method for c in calls).most_common()),
        "CPU ms an answer": round(used_s / questions * 1000, 1),
        "others' cores": machine.others(),
    }


async def memory(home: Path, *, questions: int, has_slack: bool) -> Row:
    """One process that serves and works, after its start and after as many answers."""
    async with a_site(home, ["serve"], has_slack=has_slack) as site:
        await asyncio.sleep(3)
        before = site.serve.resident_mb
        if has_slack:
            await _ask_all(site, questions)
        else:
            await _ask_all_on_page(site, questions)
        await site.quiet()
        return {
            "process": "with Slack" if has_slack else "without",
            "started MB": before,
            f"after {questions} questions MB": site.serve.resident_mb,
        }


async def _ask_all(site: Site, questions: int) -> None:
    for number in range(questions):
        _, told = site.mention() if number % 2 else site.direct()
        for payload in told:
            await site.by_http(payload)
        await asyncio.sleep(0.05)


async def _ask_all_on_page(site: Site, questions: int) -> None:
    names = sorted(set(site.users.values()))
    async with aiohttp.ClientSession() as client:
        for number in range(questions):
            person = WebPerson(client, [site.serve.url], names[number % len(names)])
            await person.ask(await person.direct(), site.question(), f"c{number}")
            await asyncio.sleep(0.05)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _busy_s() -> float:
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_S


_ARRANGEMENTS = {"serve works": ["serve"], "serve, and work beside it": ["serve", "work"]}


async def _measure(given: argparse.Namespace, home: Path) -> dict[str, list[Row]]:
    results: dict[str, list[Row]] = {}
    seconds = given.seconds
    if "accept" in given.only:
        rows = results["acknowledged"] = []
        async with a_site(home, ["serve", "-"]) as site:
            results["first events of a process"] = [await first_events(site)]
            for way in ("HTTP", "Socket Mode"):
                options = {"seconds": seconds, "way": way, "name": "serve, nobody works"}
                rows.append(await accepting(site, is_heavy=True, **options))
        for name, commands in _ARRANGEMENTS.items():
            async with a_site(home, commands) as site:
                await _ask_all(site, 20)
                await site.quiet()
                for way in ("HTTP", "Socket Mode"):
                    options = {"seconds": seconds, "way": way, "name": name}
                    rows.append(await accepting(site, is_heavy=False, **options))
                    await site.quiet()
    if "answer" in given.only:
        rows = results["answered"] = []
        for name, commands in _ARRANGEMENTS.items():
            async with a_site(home, commands) as site:
                await _ask_all(site, 40)
                await site.quiet()
                for latency_s in (0.0, given.latency_ms / 1000):
                    for per_s, questions in ((1, given.questions), (10, 5 * given.questions)):
                        options = {"per_s": per_s, "questions": questions, "latency_s": latency_s}
                        rows.append(await answering(site, name=name, **options))
    if "memory" in given.only:
        results["memory"] = [
            await memory(home, questions=500, has_slack=has_slack) for has_slack in (False, True)
        ]
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("accept", "answer", "memory")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--seconds", type=float, default=60, help="how long events are sent")
    parser.add_argument("--questions", type=int, default=30, help="at 1/s; five times that at 10/s")
    parser.add_argument("--latency-ms", type=float, default=100, help="of a call, the second time")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="shifu-benchmark-") as folder:
        results = asyncio.run(_measure(given, _ingest(Path(folder))))
    for name, rows in results.items():
        show(name.capitalize(), rows)
        for row in rows:
            if "which" in row:
                print(row["which"])
    write_json(given.out, results)
    print(json.dumps({"load": os.getloadavg()}))


if __name__ == "__main__":
    main()
