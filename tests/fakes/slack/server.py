"""The HTTP side: the Web API, files, uploads, response URLs, OAuth and the WebSocket."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.fakes.slack import apps, assistant, chat, conversations, files, people, streams, views
from tests.fakes.slack.methods import METHODS, Call, Method
from tests.fakes.slack.platform import RecordedCall, Slack
from tests.fakes.slack.responses import take_response
from tests.fakes.slack.world import Install, Json, Refused

__all__ = ["Server"]

# Importing them registers their methods.
_MODULES = (apps, assistant, chat, conversations, files, people, streams, views)
_STRUCTURED = {"blocks", "attachments", "chunks", "files", "metadata", "prompts", "unfurls", "view"}

Control = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    def __init__(self, slack: Slack, control: Control) -> None:
        self._slack = slack
        self._control = control
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    async def start(self, port: int) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/link/", self._slack.deliveries.sockets.handle)
        app.router.add_get("/files-pri/{key}/{name:.*}", self._download)
        app.router.add_post("/upload/v1/{id}", self._upload)
        app.router.add_post("/respond/{team}/{id}", self._respond)
        app.router.add_get("/oauth/v2/authorize", self._authorize)
        app.router.add_post("/control/{name}", self._control)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
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
            await self._listen(int(self._slack.origin.rpartition(":")[2]))

    async def _listen(self, port: int) -> None:
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True)
        await self._site.start()
        self._slack.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _api(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        args, from_json = await _arguments(request)
        args |= _client_of(request)
        token = _token(request, args)
        install = self._slack.world.install_of_token(token) if token else None
        record = RecordedCall(
            name, args, install.home if install else None, self._slack.clock.now()
        )
        record.user_agent = request.headers.get("User-Agent", "")
        self._slack.calls.append(record)
        fault = self._slack.faults.next(name)
        if fault and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if self._slack.faults.is_down:
            record.status, record.error = 503, "down"
            return web.Response(status=503, text="<html>Service unavailable</html>")
        if fault and fault.status is not None:
            record.status, record.error = fault.status, "http_error"
            if fault.status == 429:
                return self._limited(record, fault.retry_after_s or 1)
            return web.Response(status=fault.status, text="upstream error")
        wait_s = self._slack.faults.retry_after_s(name, install.home if install else "")
        if wait_s is not None:
            return self._limited(record, wait_s)
        try:
            if fault and fault.error is not None:
                raise Refused(fault.error)
            record.answer = self._answer(name, args, token, install, from_json)
        except Refused as refusal:
            record.error, record.answer = refusal.error, refusal.body
        if fault and fault.late_s:
            await asyncio.sleep(fault.late_s)
        if fault and fault.drops_answer:
            assert request.transport is not None
            request.transport.abort()
        scopes = {"x-oauth-scopes": ",".join(sorted(install.scopes))} if install else None
        return web.json_response(record.answer, headers=scopes)

    def _answer(
        self, name: str, args: Json, token: str | None, install: Install | None, from_json: bool
    ) -> Json:
        if name in self._slack.faults.missing:
            raise Refused("unknown_method", req_method=name)
        if name == "oauth.v2.access":
            return {"ok": True} | apps.exchange_code(self._slack, args)
        found = METHODS.get(name)
        if found is None:
            raise Refused("unknown_method", req_method=name)
        if args.pop("invalid_json", False):
            raise Refused("invalid_json")
        install = self._authenticated(found, token, install)
        seen = args if found.takes_json or not from_json else {}
        call = Call(self._slack, dict(seen), install)
        if found.scopes:
            call.needs_scope(*found.scopes)
        return {"ok": True} | found.handler(call)

    def _authenticated(self, found: Method, token: str | None, install: Install | None) -> Install:
        if not token:
            raise Refused("not_authed")
        is_app_token = token == self._slack.app_token
        if found.name == "apps.connections.open":
            if not is_app_token:
                raise Refused("not_allowed_token_type" if install else "invalid_auth")
            return Install("", token, "", "", self._slack.app_id, frozenset())
        if is_app_token:
            raise Refused("not_allowed_token_type")
        if install is None:
            raise Refused("invalid_auth")
        if install.is_revoked:
            raise Refused("token_revoked")
        return install

    def _limited(self, record: RecordedCall, wait_s: int) -> web.Response:
        record.status, record.error = 429, "ratelimited"
        return web.json_response(
            {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": str(wait_s)}
        )

    async def _download(self, request: web.Request) -> web.StreamResponse:
        return await files.download(self._slack, request)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        return await files.take_upload(self._slack, request)

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        return await take_response(self._slack, request)

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        """The page where somebody presses Allow, which this person always does."""
        world, wanted = self._slack.world, request.query
        team = wanted.get("team") or world.first_team
        install = next((i for i in world.installs if i.home == team), None)
        if wanted.get("client_id") != self._slack.client_id or install is None:
            return web.Response(status=400, text="invalid_client_id")
        code = self._slack.next_id("code-")
        redirect_uri = wanted.get("redirect_uri", "")
        user = wanted.get("as", "UADMIN")
        self._slack.oauth_codes[code] = {
            "install": install, "redirect_uri": redirect_uri, "user": user,
        }  # fmt: skip
        query = f"code={code}&state={wanted.get('state', '')}"
        raise web.HTTPFound(f"{redirect_uri}?{query}")


def _client_of(request: web.Request) -> Json:
    """The client's id and secret, which OAuth takes in the header of basic authentication."""
    header = request.headers.get("Authorization", "")
    if not header.startswith("Basic "):
        return {}
    id, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return {"client_id": id, "client_secret": secret}


def _token(request: web.Request, args: Json) -> str | None:
    header = request.headers.get("Authorization", "")
    if header.startswith("Bearer "):
        return header.removeprefix("Bearer ")
    token = args.pop("token", None)
    return str(token) if token else None


async def _arguments(request: web.Request) -> tuple[Json, bool]:
    """What was sent, and whether it came as JSON."""
    args: dict[str, Any] = dict(request.query)
    from_json = request.content_type == "application/json"
    if from_json:
        body = await request.text()
        try:
            args |= json.loads(body) if body else {}
        except (TypeError, ValueError):
            args["invalid_json"] = True
    elif request.method == "POST":
        args |= dict(await request.post())
    for name in _STRUCTURED & args.keys():
        if isinstance(args[name], str):
            try:
                args[name] = json.loads(args[name])
            except ValueError:
                continue
    return args, from_json and not request.query
