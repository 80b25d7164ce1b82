"""The HTTP side: the Bot Connector, Graph, the login, the keys and downloads."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.fakes.teams import connector, graph_parts, posting
from tests.fakes.teams.connector import CONNECTOR
from tests.fakes.teams.graph import Graph
from tests.fakes.teams.login import Login
from tests.fakes.teams.platform import BOT_SCOPE, Teams
from tests.fakes.teams.routes import Call, Handled
from tests.fakes.teams.serving import Serving, granted
from tests.fakes.teams.world import Json, Refused

__all__ = ["Server"]

# Importing them registers their routes.
_MODULES = (connector, posting, *graph_parts.PARTS)
# Changing and deleting count as sending.
_SENDS = {"send", "stream", "typing", "update", "delete"}

Control = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    def __init__(self, teams: Teams, control: Control) -> None:
        self._teams = teams
        self._control = control
        self._serving = Serving(teams, "connector")
        self._downloads = Serving(teams, "downloads")
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    async def start(self, port: int) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        Login(self._teams).add_routes(app)
        app.router.add_get("/download/{id}", self._download)
        app.router.add_post("/control/{name}", self._control)
        app.router.add_route("*", "/graph/v1.0/{path:.*}", Graph(self._teams).handle)
        app.router.add_route("*", "/{region:amer|emea|apac|in}/{path:v3/.*}", self._connector)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await self._listen(port)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def stop_listening(self) -> None:
        """Connections are refused from now on; the port stays this one's."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    async def listen_again(self) -> None:
        if self._site is None:
            await self._listen(int(self._teams.origin.rpartition(":")[2]))

    async def _listen(self, port: int) -> None:
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True)
        await self._site.start()
        self._teams.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _connector(self, request: web.Request) -> web.StreamResponse:
        path = "/" + request.rel_url.raw_path.split("/", 2)[2].rstrip("/")
        body = await _json(request)
        found = CONNECTOR.find(request.method, path)
        kind = _kind(found[0].name if found else "unknown", body)
        is_targeted = request.query.get("isTargetedActivity") == "true"
        name = f"{kind}_targeted" if is_targeted else kind
        params = found[1] if found else {}

        def work() -> Handled | Awaitable[Handled]:
            if found is None:
                raise Refused(404, "NotFound", "No such route.")
            tenant, query = self._authenticated(request), dict(request.query)
            headers = dict(request.headers)
            return found[0].handler(
                Call(self._teams, name, params, query, body, headers, tenant, path)
            )

        return await self._serving.serve(
            request,
            self._teams.record(name, request, body),
            work,
            limits=("send",) if kind in _SENDS else (),
            key=params.get("conversation", ""),
        )

    def _authenticated(self, request: web.Request) -> str:
        if not self._teams.checks_tokens:
            return self._teams.world.first_tenant
        grant = granted(self._teams, request)
        home = self._teams.app_tenant or self._teams.world.first_tenant
        # Of an app of one tenant, a token of another tenant is worth nothing.
        is_ours = grant is not None and grant.tenant in (home, "botframework.com")
        if grant is None or not is_ours or grant.scope != BOT_SCOPE:
            raise Refused(401, "Unauthorized", "Authorization has been denied for this request.")
        return grant.tenant

    async def _download(self, request: web.Request) -> web.StreamResponse:
        record = self._teams.record("download", request)
        return await self._downloads.serve(request, record, lambda: self._file(request))

    def _file(self, request: web.Request) -> web.Response:
        """Pre-signed: a token in the header is one credential too many, as for SharePoint."""
        file = self._teams.world.files.get(request.match_info["id"])
        if file is None:
            return web.Response(status=404)
        ends_at = file.tickets.get(request.query.get("tempauth", ""), 0.0)
        if "Authorization" in request.headers or ends_at < self._teams.clock.now():
            return web.Response(status=401)
        return web.Response(body=file.content, content_type=file.content_type)


def _kind(name: str, body: Any) -> str:
    """A send may be a step of a stream, or say no more than that the app is typing."""
    if name == "send" and isinstance(body, dict):
        if posting.stream_info(body) is not None:
            return "stream"
        if body.get("type") == "typing":
            return "typing"
    return name


async def _json(request: web.Request) -> Json | list[Any] | None:
    if not request.body_exists:
        return None
    try:
        parsed: Json | list[Any] = json.loads(await request.text())
        return parsed
    except ValueError:
        return None
