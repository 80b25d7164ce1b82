"""What the page does over the wire, for tests that need no browser."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL

from tests.fakes.web_site import WebSite

Json = dict[str, Any]


class Browser:
    """What the page does over the wire, for one person."""

    def __init__(self, site: WebSite, client: aiohttp.ClientSession, user: str) -> None:
        self.site, self.client, self.user = site, client, user
        self.headers = {"Origin": site.url, "Content-Type": "application/json"}
        self._ids = 0

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        async with self.client.get(self._url(path, **query)) as response:
            return response.status, await response.json()

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        async with self.client.post(
            self._url(path), data=data, headers={**self.headers, **headers}
        ) as response:
            return response.status, await response.json()

    async def ask(self, conversation: str, text: str, **body: str) -> Json:
        self._ids += 1
        request = {"conversation": conversation, "text": text, "client_id": f"c{self._ids}", **body}
        status, answer = await self.post("/api/messages", request)
        assert status == 202, answer
        return dict(answer)

    async def stop(self, conversation: str, asked: Json) -> tuple[int, Any]:
        """*asked*: what `ask` returned."""
        body = {"conversation": conversation, "message": asked["message"]}
        return await self.post("/api/stop", body)

    async def direct(self) -> str:
        status, body = await self.post("/api/conversations", {})
        assert status == 201
        return str(body["id"])

    @asynccontextmanager
    async def following(self, conversation: str, last: str = "") -> AsyncIterator["Following"]:
        headers = {"Last-Event-ID": last} if last else {}
        async with (
            asyncio.timeout(10),
            self.client.get(
                self._url("/api/events", conversation=conversation), headers=headers
            ) as response,
        ):
            yield Following(response)

    async def seen(self, conversation: str) -> list[Json]:
        async with self.following(conversation) as feed:
            return await feed.until(lambda _: True)

    async def answered(self, conversation: str) -> list[Json]:
        """All messages, once no question is open any more."""
        async with self.following(conversation) as feed:
            return await feed.until(lambda ms: bool(ms) and not any(m["is_open"] for m in ms))

    def _url(self, path: str, **query: str) -> URL:
        parameters = {**query, "as": self.user} if self.user else query
        return URL(f"{self.site.url}{path}", encoded=True).with_query(parameters)


class Following:
    """Puts a stream's events together as the page does."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.messages: dict[str, Json] = {}
        self.last_id = ""
        self.names: list[str] = []

    async def until(self, holds: Callable[[list[Json]], bool]) -> list[Json]:
        async for name, data in self.events():
            if name == "snapshot":
                self.messages = {m["id"]: m for m in data["messages"]}
            elif name == "message":
                self.messages[data["id"]] = data
            shown = sorted(self.messages.values(), key=lambda m: m["order"])
            if holds(shown):
                return shown
        raise AssertionError(f"the stream ended after {self.names}")

    async def events(self) -> AsyncIterator[tuple[str, Json]]:
        name = ""
        async for raw in self.response.content:
            line = raw.decode().rstrip("\n")
            field, _, value = line.partition(": ")
            if field == "id":
                self.last_id = value
            elif field == "event":
                name = value
            elif field == "data":
                self.names.append(name)
                yield name, json.loads(value)
