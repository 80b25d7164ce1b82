"""Just enough of Teams to measure against: of what is sent it checks little, and notes when calls come."""

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from tests.fakes.teams import graph_parts, posting, routes
from tests.fakes.teams.builder import Building
from tests.fakes.teams.connector import CONNECTOR
from tests.fakes.teams.graph import Graph
from tests.fakes.teams.login import Login
from tests.fakes.teams.messages import AI_ENTITY
from tests.fakes.teams.platform import Teams
from tests.fakes.teams.signing import ISSUER, Keys
from tests.fakes.teams.speaking import Speaking
from tests.fakes.teams.world import Conversation, Json, Refused, User

# Importing them registers their routes.
_MODULES = (posting, *graph_parts.PARTS)
_STREAMS = {"informative": "status", "streaming": "piece", "final": "end"}


@dataclass(frozen=True, slots=True)
class Call:
    """
    A request to the Bot Connector or to Graph, by this process's clock.

    Attributes:
        kind: `status`, `piece` and `end` of a stream, `typing`, `post`, `update`, `targeted`, `members`…
        place: The conversation as it was addressed, thread and all; empty for Graph.
        message: That it makes or changes.
        is_answer: With the mark of what a machine has written.
    """

    kind: str
    at: float
    place: str = ""
    message: str = ""
    is_answer: bool = False


class LeanTeams(Building, Speaking):
    """
    The double's world, login, keys and Graph; what is sent is taken without looking at it, but for one
    open stream in each chat, and nothing is kept of it.

    Set *latency_s* for every call of the Bot Connector to take that long.
    """

    def __init__(self) -> None:
        super().__init__(
            Teams(app_id="a0000000-0000-4000-8000-000000000000", app_password="secret")
        )
        self.teams.keys = self._keys = Keys(self.teams)
        self.latency_s = 0.0
        self.calls: list[Call] = []
        self._streaming: dict[str, str] = {}
        self._graph = Graph(self.teams)
        self._token = ""
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None

    @property
    def logins(self) -> Counter[str]:
        """How many tokens were asked for, by scope."""
        return Counter(request.scope for request in self.teams.token_requests)

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which everything of Microsoft's is here."""
        origin, hosts = self.teams.origin, json.dumps(["127.0.0.1"])
        settings = {
            "app_id": self.teams.app_id,
            "app_password": self.teams.app_password,
            "app_tenant_id": self.teams.app_tenant,
            "connector_hosts": hosts,
            "file_hosts": hosts,
            "login_url": f"{origin}/login",
            "graph_url": self.teams.graph_url,
            "keys_url": f"{origin}/keys",
            "token_issuer": ISSUER,
            "follow_teams": json.dumps(["*"]),
        }
        return {f"SHIFU_TEAMS__{name.upper()}": value for name, value in settings.items()}

    async def start(self, port: int) -> None:
        app = web.Application()
        Login(self.teams).add_routes(app)
        app.router.add_route("*", "/graph/v1.0/{path:.*}", self._ask_graph)
        app.router.add_route("*", "/amer/{path:v3/.*}", self._connector)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.teams.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        # Teams, too, uses one of its tokens for many deliveries.
        self._token = self._keys.token()
        self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def stop(self) -> None:
        assert self._runner is not None
        assert self._client is not None
        await self._client.close()
        await self._runner.cleanup()

    def message(self, user: User, place: Conversation, text: str, *, mention: bool) -> Json:
        """The activity of a new message, which in a channel begins a thread."""
        id = self.teams.clock.next_id()
        return self._written(user, place, text, id, id, mention, [])

    async def deliver(self, url: str, activity: Json) -> float:
        """Seconds until it was acknowledged at *url*."""
        assert self._client is not None
        body = json.dumps(activity)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        began = time.perf_counter()
        async with self._client.post(url, data=body, headers=headers) as response:
            assert response.status == 202, await response.text()
            return time.perf_counter() - began

    async def _ask_graph(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(Call("Graph", time.time()))
        return await self._graph.handle(request)

    async def _connector(self, request: web.Request) -> web.Response:
        at, body = time.time(), await request.json() if request.body_exists else {}
        path = "/" + request.rel_url.raw_path.split("/", 2)[2]
        found = CONNECTOR.find(request.method, path)
        assert found is not None, path
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        route, params = found
        place = params.get("conversation", "")
        if route.name not in ("send", "update"):
            self.calls.append(Call(route.name, at, place))
            return self._looked_up(route, params, request)
        info = posting.stream_info(body) or {}
        kind = "update" if route.name == "update" else _kind_of(body, info, request)
        id = str(params.get("activity") or info.get("streamId") or self.teams.next_id("1"))
        if kind == "status" and self._streaming.setdefault(place, id) != id:
            return web.json_response(_ONE_STREAM, status=403)
        if kind in ("end", "update") and self._streaming.get(place) == id:
            del self._streaming[place]
        is_answer = any(e.get("type") == AI_ENTITY for e in body.get("entities") or ())
        self.calls.append(Call(kind, at, place, id, is_answer))
        return web.json_response({"id": id}, status=202 if "streamId" in info else 201)

    def _looked_up(
        self, route: routes.Route, params: dict[str, str], request: web.Request
    ) -> web.Response:
        query, tenant = dict(request.query), self.teams.app_tenant
        call = routes.Call(self.teams, route.name, params, query, None, {}, tenant)
        try:
            answer: Any = route.handler(call)
        except Refused as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        return answer if isinstance(answer, web.Response) else web.json_response(answer)


_ONE_STREAM = {
    "error": {
        "code": "ContentStreamNotAllowed",
        "message": "Only one content stream is allowed per chat at a time",
    }
}


def _kind_of(body: Json, info: Json, request: web.Request) -> str:
    if info:
        return _STREAMS[info["streamType"]]
    if body.get("type") == "typing":
        return "typing"
    return "targeted" if request.query.get("isTargetedActivity") == "true" else "post"
