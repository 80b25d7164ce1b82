"""Many answers streaming at once from one process, and many questions coming in: how late it gets."""

import argparse
import asyncio
import json
import logging
import multiprocessing
import os
import re
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import structlog
import yaml
from aiohttp import web

from adapters.app import Knowledge, open_conversations, open_knowledge, web_application, working
from adapters.settings import DirectorySettings, Settings
from benchmarks.generate import COMPANY, company_questions
from benchmarks.report import Row, ms, p50, p95, p99, show, write_json
from bot.answering import Answerer
from retrieval.ingest.connectors import FolderConnector
from retrieval.models import ModelMessage
from retrieval.pipeline import AnswerPipeline
from retrieval.types import Usage

TENANT = "qinglan"
_PROBE_S = 0.01
_MESSAGES_PER_S, _SENDING_S = 50, 20
_SENTENCE_END = re.compile(r"[.!?。！？]\s*$|\n")
_FENCED = re.compile(r'^(?P<fence>"{3,})\n(?P<text>.*?)\n(?P=fence)$', re.S | re.M)


class SteadyModel:
    """Tells what it was shown, sentence by sentence, at the pace of a model that is read along."""

    name = "steady"

    def __init__(self, *, seconds: float, pieces_per_s: float) -> None:
        self._pieces = round(seconds * pieces_per_s)
        self._pause_s = 1 / pieces_per_s
        self.first_sentence_at: dict[str, float] = {}

    async def stream(
        self, messages: Sequence[ModelMessage], *, max_tokens: int
    ) -> AsyncIterator[str | Usage]:
        content = messages[-1].content
        question = content.rpartition("uestion: ")[2]
        told = [
            f"{line.strip()} [{number}]\n"
            for number, passage in enumerate(_FENCED.finditer(content), start=1)
            for line in passage["text"].splitlines()
            if line.strip()
        ]
        pieces = re.findall(r"\S+\s*|\s+", "".join(told * 3))[: self._pieces]
        for piece in pieces:
            await asyncio.sleep(self._pause_s)
            yield piece
            if _SENTENCE_END.search(piece):
                self.first_sentence_at.setdefault(question, time.time())
        yield Usage(self.name)


async def _lateness(into: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _PROBE_S
        await asyncio.sleep(_PROBE_S)
        into.append(loop.time() - due)


async def _serve(given: argparse.Namespace, folder: Path) -> dict[str, list[Row]]:
    settings = Settings(
        home=folder,
        tenant=TENANT,
        directory=DirectorySettings(path=COMPANY / "people.yaml"),
        questions_per_minute=100_000,
    )
    model = SteadyModel(seconds=given.seconds, pieces_per_s=given.pieces_per_s)
    async with open_knowledge(settings) as opened:
        docs = COMPANY / "docs"
        connector = FolderConnector([docs], root=docs, tenant=TENANT, default_acl=None)
        await opened.ingest(connector, on_progress=lambda _: None)
        knowledge = _with_model(opened, model)
        async with open_conversations(settings, knowledge) as conversations:
            runner = web.AppRunner(
                web_application(settings, knowledge, conversations, suggestions={}), access_log=None
            )
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                async with working(settings, conversations, jobs={}, schedules=[]):
                    rows = await _streaming(given, url, model)
                # Nobody works here any more, as in a process that only serves.
                return {"streaming": rows, "accepting": [await _accepting(url)]}
            finally:
                await runner.cleanup()


async def _streaming(given: argparse.Namespace, url: str, model: SteadyModel) -> list[Row]:
    loop = asyncio.get_running_loop()
    spawn = multiprocessing.get_context("spawn")
    rows: list[Row] = []
    # The people are another process: what they cost is not ours.
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        await loop.run_in_executor(pool, people, url, 1, "warm", 60.0)
        for count in given.streams:
            lateness: list[float] = []
            probing = asyncio.create_task(_lateness(lateness))
            used = time.process_time()
            began = time.perf_counter()
            seen = await loop.run_in_executor(pool, people, url, count, f"run{count}", 300.0)
            took = time.perf_counter() - began
            probing.cancel()
            model_at = model.first_sentence_at
            first = [
                at - model_at[question]
                for question, at in seen.first_text_at.items()
                if question in model_at
            ]
            rows.append(
                {
                    "streams": count,
                    "answered": seen.answered,
                    "took s": round(took, 1),
                    "CPU s": round(time.process_time() - used, 1),
                    "loop late p50 ms": ms(p50(lateness)),
                    "p95 ms": ms(p95(lateness)),
                    "p99 ms": ms(p99(lateness)),
                    "max ms": ms(max(lateness)),
                    "accepted p99 ms": ms(p99(seen.accepted)),
                    "text after sentence p50 ms": ms(p50(first)),
                    "after sentence p95 ms": ms(p95(first)),
                    "updates": seen.updates,
                }
            )
    return rows


async def _accepting(url: str) -> Row:
    loop = asyncio.get_running_loop()
    used = time.process_time()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        accepted = await loop.run_in_executor(pool, senders, url)
    return {
        "messages/s": _MESSAGES_PER_S,
        "accepted": len(accepted),
        "p50 ms": ms(p50(accepted)),
        "p99 ms": ms(p99(accepted)),
        "max ms": ms(max(accepted)),
        "CPU ms a message": round((time.process_time() - used) / len(accepted) * 1000, 1),
    }


def senders(url: str) -> list[float]:
    """Seconds until each of many messages, sent at an even pace, was accepted."""
    return asyncio.run(_send(url))


async def _send(url: str) -> list[float]:
    accepted: list[float] = []
    query, headers = {"as": "leo.fang"}, {"Origin": url}
    async with (
        aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as client,
        asyncio.TaskGroup() as group,
    ):

        async def one(number: int) -> None:
            await asyncio.sleep(number / _MESSAGES_PER_S)
            place = f"dm:leo.fang:b{number:06}"
            body = {"conversation": place, "text": "a question", "client_id": f"c{number}"}
            asked = time.perf_counter()
            async with client.post(
                "/api/messages", json=body, params=query, headers=headers
            ) as response:
                assert response.status == 202, await response.text()
            accepted.append(time.perf_counter() - asked)

        for number in range(_MESSAGES_PER_S * _SENDING_S):
            group.create_task(one(number))
    return accepted


def _with_model(opened: Knowledge, model: SteadyModel) -> Knowledge:
    pipeline = AnswerPipeline(opened.store, embedder=opened.embedder, model=model)
    return replace(
        opened, model=model, pipeline=pipeline, answerer=Answerer(pipeline, opened.store, model)
    )


@dataclass
class Seen:
    """What people saw: seconds until a question was accepted, and when its first text was there."""

    accepted: list[float] = field(default_factory=list)
    first_text_at: dict[str, float] = field(default_factory=dict)
    answered: int = 0
    updates: int = 0


def people(url: str, count: int, name: str, patience_s: float) -> Seen:
    """*count* people who each ask one question within two seconds, and read along."""
    return asyncio.run(_people(url, count, name, patience_s))


async def _people(url: str, count: int, name: str, patience_s: float) -> Seen:
    # A person may read along on so many pages only, so everybody takes part.
    users = sorted(yaml.safe_load((COMPANY / "people.yaml").read_text("utf-8"))["users"])
    texts = company_questions()
    seen = Seen()
    timeout = aiohttp.ClientTimeout(total=patience_s)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, timeout=timeout, connector=connector) as client:

        async def one(number: int) -> None:
            query = {"as": users[number % len(users)]}
            headers = {"Origin": url}
            await asyncio.sleep(2 * number / count)
            question = f"{texts[number % len(texts)]} ({name} {number})"
            async with client.post(
                "/api/conversations", json={}, params=query, headers=headers
            ) as response:
                place = (await response.json())["id"]
            async with client.get("/api/events", params={**query, "conversation": place}) as feed:
                asked = time.perf_counter()
                body = {"conversation": place, "text": question, "client_id": f"c{number}"}
                async with client.post(
                    "/api/messages", json=body, params=query, headers=headers
                ) as response:
                    assert response.status == 202, await response.text()
                seen.accepted.append(time.perf_counter() - asked)
                async for reply in _replies(feed):
                    seen.updates += 1
                    if reply["kind"] != "status":
                        seen.first_text_at.setdefault(question, time.time())
                    if reply["kind"] in ("answer", "notice"):
                        seen.answered += reply["kind"] == "answer"
                        if reply["kind"] == "notice":
                            print("NOTICE", reply["text"][:90])
                        return

        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one(number))
    return seen


async def _replies(feed: aiohttp.ClientResponse) -> AsyncIterator[dict[str, str]]:
    async for line in feed.content:
        if line.startswith(b"data:"):
            data = json.loads(line[5:])
            for message in data.get("messages", [data]):
                if message.get("reply"):
                    yield message["reply"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 20, 100])
    parser.add_argument("--seconds", type=float, default=15, help="how long an answer streams")
    parser.add_argument("--pieces-per-s", type=float, default=20, help="words in a second")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    for name in [name for name in os.environ if name.startswith(("SHIFU_", "OPENAI_"))]:
        del os.environ[name]
    with TemporaryDirectory(prefix="shifu-benchmark-") as folder:
        results = asyncio.run(_serve(given, Path(folder)))
    for name, rows in results.items():
        show(name.capitalize(), rows)
    write_json(given.out, results)


if __name__ == "__main__":
    main()
