"""Teams, from activity to acknowledgement, first status and answer; the calls that it takes, and memory."""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import Row, ms, p50, p99, ratio, show, write_json
from benchmarks.site import Machine, Send, at_pace, ingested
from benchmarks.teams_site import TeamsSite, a_teams_site
from tests.fakes.teams.world import Json

_ACTIVITIES_PER_S = 50
_VISIBLE = ("status", "post")
_LAST = ("end", "update")
_READS = ("members", "member", "team", "channels")

_IMPORTS = """
import json, sys, time
from pathlib import Path

def resident_mb():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000

import adapters.app
took, size = [], []
for name in ("botbuilder.core", "adapters.teams_app"):
    began, before = time.perf_counter(), resident_mb()
    __import__(name)
    took.append(time.perf_counter() - began)
    size.append(resident_mb() - before)
print(json.dumps([took, size]))
"""


async def accepting(site: TeamsSite, *, seconds: float, questions_per_s: int, name: str) -> Row:
    """
    Activities at an even pace. Some are questions, half of them mentions and half in personal chats; the
    others are people's talk among themselves.
    """
    per_s, number = _ACTIVITIES_PER_S, round(_ACTIVITIES_PER_S * seconds)
    floor = await at_pace([site.healthz] * (number // 3), per_s)
    activities = _activities(site, questions_per_s)
    wanted: list[Send] = [partial(site.deliver, next(activities)) for _ in range(number)]
    first_call = len(site.teams.calls)
    machine, used = Machine(site), site.serve.cpu_s
    took = await at_pace(wanted, per_s)
    return {
        "process": name,
        "questions/s": questions_per_s,
        "activities": len(took),
        "202 p50 ms": ms(p50(took)),
        "p99 ms": ms(p99(took)),
        "max ms": ms(max(took)),
        "over 100 ms": sum(one > 0.1 for one in took),
        "healthz p50 ms": ms(p50(floor)),
        "healthz p99 ms": ms(p99(floor)),
        "p50 ratio": ratio(p50(took), p50(floor)),
        "CPU ms an activity": round((site.serve.cpu_s - used) / len(took) * 1000, 1),
        "calls/s meanwhile": round((len(site.teams.calls) - first_call) / seconds, 1),
        "others' cores": machine.others(),
    }


def _activities(site: TeamsSite, questions_per_s: int) -> Iterator[Json]:
    asking = cycle((site.mention, site.direct))
    for number in count():
        done, due = (n * questions_per_s // _ACTIVITIES_PER_S for n in (number, number + 1))
        yield next(asking)() if due > done else site.talk()


async def first_activities(site: TeamsSite) -> Row:
    """What a process has not done before costs its first activities, fetching Microsoft's keys included."""
    took = [await site.deliver(site.direct()) for _ in range(20)]
    return {"first ms": ms(took[0]), "second ms": ms(took[1]), "p50 ms": ms(p50(took[2:]))}


async def answering(
    site: TeamsSite, *, per_s: float, questions: int, latency_s: float, name: str
) -> Row:
    """Questions, half of them mentions and half in personal chats."""
    site.teams.latency_s = latency_s
    first_call = len(site.teams.calls)
    sent: dict[str, float] = {}
    machine, used = Machine(site), sum(process.cpu_s for process in site.processes)

    async def ask(number: int) -> float:
        activity = site.mention() if number % 2 else site.direct()
        sent[activity["conversation"]["id"]] = time.time()
        return await site.deliver(activity)

    await at_pace([partial(ask, number) for number in range(questions)], per_s)
    await site.quiet()
    calls = site.teams.calls[first_call:]
    site.teams.latency_s = 0.0
    used_s = sum(process.cpu_s for process in site.processes) - used
    began = {c.message: c for c in reversed(calls) if c.kind in _VISIBLE and c.place in sent}
    streamed = {id for id, call in began.items() if call.kind == "status"}
    status = {id: c.at - sent[c.place] for id, c in began.items()}
    final = {
        c.message: c.at - sent[began[c.message].place]
        for c in calls
        if c.kind in _LAST and c.message in began
    }
    kinds = Counter(call.kind for call in calls)
    reads = sum(kinds[kind] for kind in _READS)
    return {
        "process": name,
        "questions/s": per_s,
        "a call takes ms": round(latency_s * 1000),
        "questions": questions,
        "status p50 ms": ms(p50(list(status.values()))),
        "status p99 ms": ms(p99(list(status.values()))),
        "answered": len(final),
        "streamed": len(streamed),
        "streamed answer p50 ms": ms(p50([s for id, s in final.items() if id in streamed])),
        "posted answer p50 ms": ms(p50([s for id, s in final.items() if id not in streamed])),
        "answer p99 ms": ms(p99(list(final.values()))),
        "Connector sends an answer": round((len(calls) - reads - kinds["Graph"]) / questions, 2),
        "reads": round(reads / questions, 2),
        "Graph": round(kinds["Graph"] / questions, 2),
        "which": ", ".join(f"{kind} {n}" for kind, n in kinds.most_common()),
        "CPU ms an answer": round(used_s / questions * 1000, 1),
        "others' cores": machine.others(),
    }


async def memory(home: Path, *, questions: int, has_teams: bool) -> Row:
    """One process that serves and works, after its start and after as many answers, with its logins."""
    async with a_teams_site(home, ["serve"], has_teams=has_teams) as site:
        await asyncio.sleep(3)
        row: dict[str, str | int | float | None] = {
            "process": "with Teams" if has_teams else "without",
            "started MB": site.serve.resident_mb,
        }
        for half in (1, 2):
            if has_teams:
                await _ask_all(site, questions // 2)
            else:
                await site.ask_on_page(questions // 2)
            state = await site.quiet()
            row[f"after {questions // 2 * half} questions MB"] = site.serve.resident_mb
        if has_teams:
            calls = site.teams.calls
            ended = [call for call in calls if call.kind in _LAST]
            row["replies"] = len({call.message for call in ended})
            row["answers among them"] = len({call.message for call in ended if call.is_answer})
            row["given up"] = state.dead
            row |= {f"logins, {scope}": n for scope, n in sorted(site.teams.logins.items())}
        return row


async def _ask_all(site: TeamsSite, questions: int) -> None:
    """As fast as one process answers."""
    for number in range(questions):
        await site.deliver(site.mention() if number % 2 else site.direct())
        await asyncio.sleep(0.1)


def imports(runs: int = 5) -> Row:
    """What the libraries add to a process that has imported the product; the median of *runs*."""
    seen = []
    for _ in range(runs):
        told = subprocess.run([sys.executable, "-c", _IMPORTS], check=True, capture_output=True)
        seen.append(json.loads(told.stdout))
    row: dict[str, str | int | float | None] = {}
    for number, name in enumerate(("botbuilder", "then our adapter")):
        row[f"{name} ms"] = ms(p50([took[number] for took, _ in seen]))
        row[f"{name} MB"] = round(p50([size[number] for _, size in seen]), 1)
    return row


_ARRANGEMENTS = {"serve works": ["serve"], "serve, and work beside it": ["serve", "work"]}


async def _measure(given: argparse.Namespace, home: Path) -> dict[str, list[Row]]:
    results: dict[str, list[Row]] = {}
    if "accept" in given.only:
        accept = partial(accepting, seconds=given.seconds)
        rows = results["acknowledged"] = []
        async with a_teams_site(home, ["serve", "-"]) as site:
            results["first activities of a process"] = [await first_activities(site)]
            for per_s in (20, 50):
                rows.append(await accept(site, questions_per_s=per_s, name="serve, nobody works"))
        for name, commands in _ARRANGEMENTS.items():
            async with a_teams_site(home, commands) as site:
                await _ask_all(site, 20)
                await site.quiet()
                rows.append(await accept(site, questions_per_s=1, name=name))
    if "answer" in given.only:
        rows = results["answered"] = []
        latency_s = given.latency_ms / 1000
        for name, commands in _ARRANGEMENTS.items():
            async with a_teams_site(home, commands) as site:
                for label, calls_take_s, per_s, questions in (
                    (f"{name}, cold", 0.0, 5, 80),
                    (name, 0.0, 1, given.questions),
                    (name, 0.0, 10, 5 * given.questions),
                    (name, latency_s, 1, given.questions),
                    (name, latency_s, 10, 5 * given.questions),
                ):
                    ask = partial(answering, per_s=per_s, questions=questions)
                    rows.append(await ask(site, latency_s=calls_take_s, name=label))
    if "memory" in given.only:
        results["imports"] = [imports()]
        results["memory"] = [
            await memory(home, questions=1_000, has_teams=has_teams) for has_teams in (False, True)
        ]
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("accept", "answer", "memory")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--seconds", type=float, default=60, help="how long activities are sent")
    parser.add_argument("--questions", type=int, default=30, help="at 1/s; five times that at 10/s")
    parser.add_argument("--latency-ms", type=float, default=100, help="of a call, the second time")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="shifu-benchmark-") as folder:
        results = asyncio.run(_measure(given, ingested(Path(folder))))
    for name, rows in results.items():
        show(name.capitalize(), [{k: v for k, v in row.items() if k != "which"} for row in rows])
        for row in rows:
            if "which" in row:
                print(row["which"])
    write_json(given.out, results)
    print("load:", *(round(load, 1) for load in os.getloadavg()))


if __name__ == "__main__":
    main()
