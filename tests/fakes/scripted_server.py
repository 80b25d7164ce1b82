"""A server on loopback that answers as it was told, and remembers what it was asked."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Request:
    """
    Attributes:
        target: Path and query as they were on the wire.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")


@dataclass(frozen=True, slots=True)
class Answer:
    """
    Attributes:
        breaks_off: The connection ends before anything is answered.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    breaks_off: bool = False


def told(value: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), named)


class ScriptedServer:
    """Gives *answers* one after the other, then the last one again and again."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.hold: asyncio.Event | None = None
        """Set: nothing is answered before it happens."""
        self._answers: deque[Answer] = deque([Answer()])

    def answers(self, *answers: Answer) -> None:
        self._answers = deque(answers)

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.target}" for request in self.requests]

    @asynccontextmanager
    async def open(self) -> AsyncIterator["ScriptedServer"]:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = request.headers.copy()
        self.requests.append(Request(request.method, request.raw_path, headers, body))
        answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        if self.hold is not None:
            await self.hold.wait()
        if answer.breaks_off and request.transport is not None:
            request.transport.abort()
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
