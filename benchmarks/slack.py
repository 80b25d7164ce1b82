"""Slack, from event to acknowledgement, first status and answer; the calls that it takes, and memory."""

import argparse
import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.lean_slack import Json
from benchmarks.report import Row, ms, p50, p99, ratio, show, write_json
from benchmarks.site import Machine, at_pace, ingested
from benchmarks.slack_site import SlackSite, a_slack_site

_EVENTS_PER_S = 50

Deliver = Callable[[Json, int], Awaitable[float]]
"""One event to the app, and which delivery of it this is; the seconds to its acknowledgement."""


async def accepting(site: SlackSite, *, seconds: float, way: str, is_heavy: bool, name: str) -> Row:
    """
    Events at an even pace. *is_heavy*: 2 of 5 are new questions, and 2 of 5 tell of those again; else 1
    in 50 is, told of twice, and the others are people's talk among themselves.
    """
    deliver: Deliver = site.by_http if way == "HTTP" else site.by_socket
    floor = await at_pace([site.healthz] * round(_EVENTS_PER_S * seconds / 3), _EVENTS_PER_S)
    events = _heavy(site, deliver) if is_heavy else _light(site, deliver)
    wanted = [next(events) for _ in range(round(_EVENTS_PER_S * seconds))]
    machine, used = Machine(site), site.serve.cpu_s
    took = await at_pace(wanted, _EVENTS_PER_S)
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


def _heavy(site: SlackSite, deliver: Deliver) -> Iterator[Callable[[], Awaitable[float]]]:
    while True:
        _, (mention, again) = site.mention()
        _, (direct,) = site.direct()
        for payload, retry in ((mention, 0), (again, 0), (direct, 0), (direct, 1)):
            yield partial(deliver, payload, retry)
        yield partial(deliver, site.talk(), 0)


def _light(site: SlackSite, deliver: Deliver) -> Iterator[Callable[[], Awaitable[float]]]:
    while True:
        _, told = site.mention()
        for payload in [*told, *(site.talk() for _ in range(_EVENTS_PER_S - 2))]:
            yield partial(deliver, payload, 0)


async def first_events(site: SlackSite) -> Row:
    """What a process has not done before costs its first events, asking Slack whose token it has included."""
    took = []
    for _ in range(20):
        _, (payload,) = site.direct()
        took.append(await site.by_http(payload))
    return {"first ms": ms(took[0]), "second ms": ms(took[1]), "p50 ms": ms(p50(took[2:]))}


async def answering(
    site: SlackSite, *, per_s: float, questions: int, latency_s: float, name: str
) -> Row:
    """Questions, half of them mentions and half direct messages, by HTTP, each in a thread of its own."""
    await site.forget_uses()
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
    async with a_slack_site(home, ["serve"], has_slack=has_slack) as site:
        await asyncio.sleep(3)
        before = site.serve.resident_mb
        if has_slack:
            await _ask_all(site, questions)
        else:
            await site.ask_on_page(questions)
        await site.quiet()
        return {
            "process": "with Slack" if has_slack else "without",
            "started MB": before,
            f"after {questions} questions MB": site.serve.resident_mb,
        }


async def _ask_all(site: SlackSite, questions: int) -> None:
    for number in range(questions):
        _, told = site.mention() if number % 2 else site.direct()
        for payload in told:
            await site.by_http(payload)
        await asyncio.sleep(0.05)


_ARRANGEMENTS = {"serve works": ["serve"], "serve, and work beside it": ["serve", "work"]}


async def _measure(given: argparse.Namespace, home: Path) -> dict[str, list[Row]]:
    results: dict[str, list[Row]] = {}
    seconds = given.seconds
    if "accept" in given.only:
        rows = results["acknowledged"] = []
        async with a_slack_site(home, ["serve", "-"]) as site:
            results["first events of a process"] = [await first_events(site)]
            for way in ("HTTP", "Socket Mode"):
                options = {"seconds": seconds, "way": way, "name": "serve, nobody works"}
                rows.append(await accepting(site, is_heavy=True, **options))
        for name, commands in _ARRANGEMENTS.items():
            async with a_slack_site(home, commands) as site:
                await _ask_all(site, 20)
                await site.quiet()
                for way in ("HTTP", "Socket Mode"):
                    options = {"seconds": seconds, "way": way, "name": name}
                    rows.append(await accepting(site, is_heavy=False, **options))
                    await site.quiet()
    if "answer" in given.only:
        rows = results["answered"] = []
        for name, commands in _ARRANGEMENTS.items():
            async with a_slack_site(home, commands) as site:
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
