"""Just enough of Slack to measure against: it checks nothing, and notes when acknowledgements and calls come."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

TEAM, BOT = "T1", "UBOT"
APP_TOKEN, BOT_TOKEN, SIGNING_SECRET = "xapp-1", "xoxb-1", "signing-secret"

Json = dict[str, Any]

_ACK_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the Web API, by this process's clock. *ts*: of the message that it makes or changes."""

    method: str
    at: float
    thread_ts: str
    ts: str


class LeanSlack:
    """
    One workspace in which everybody named is a full member, and our app is in every channel.

    Set *latency_s* for every call of the Web API to take that long.

    Args:
        channels: Their members.
    """

    def __init__(self, users: Mapping[str, str], channels: Mapping[str, list[str]]) -> None:
        self._users = users
        self._channels = channels
        self.latency_s = 0.0
        self.calls: list[Call] = []
        self.url = ""
        self._ids = count(1)
        self._last_ts = 0
        self._socket: web.WebSocketResponse | None = None
        self._has_socket = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None

    async def start(self, port: int) -> None:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/link", self._link)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/api/"
        self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def stop(self) -> None:
        assert self._runner is not None
        assert self._client is not None
        await self._client.close()
        await self._runner.cleanup()

    async def connected(self) -> None:
        async with asyncio.timeout(_ACK_PATIENCE_S):
            await self._has_socket.wait()

    def next_ts(self) -> str:
        self._last_ts = max(time.time_ns() // 1000, self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06}"

    def event(self, kind: str, user: str, channel: str, text: str, ts: str) -> Json:
        """The payload of `app_mention` or `message`."""
        event = {"type": kind, "user": user, "text": text, "ts": ts, "team": TEAM}
        event |= {"channel": channel, "event_ts": ts}
        if kind == "message":
            event["channel_type"] = "im" if channel.startswith("D") else "channel"
            event["client_msg_id"] = f"c{next(self._ids)}"
        authorization = {"enterprise_id": None, "team_id": TEAM, "user_id": BOT, "is_bot": True}
        return {
            "type": "event_callback",
            "team_id": TEAM,
            "api_app_id": "A1",
            "event_id": f"Ev{next(self._ids):08}",
            "event_time": int(time.time()),
            "event": event,
            "authorizations": [authorization | {"is_enterprise_install": False}],
            "is_ext_shared_channel": False,
        }

    async def by_http(self, url: str, payload: Json, *, retry: int = 0) -> float:
        """Seconds until the event was acknowledged at *url*."""
        assert self._client is not None
        body, sent = json.dumps(payload), str(int(time.time()))
        base = f"v0:{sent}:{body}".encode()
        digest = hmac.new(SIGNING_SECRET.encode(), base, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": sent,
            "X-Slack-Signature": f"v0={digest}",
        }
        if retry:
            headers |= {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"}
        began = time.perf_counter()
        async with self._client.post(url, data=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            return time.perf_counter() - began

    async def by_socket(self, payload: Json, *, retry: int = 0) -> float:
        assert self._socket is not None
        id = f"env{next(self._ids)}"
        envelope: Json = {"envelope_id": id, "type": "events_api", "payload": payload}
        envelope |= {"accepts_response_payload": False, "retry_attempt": retry, "retry_reason": ""}
        text = json.dumps(envelope)
        answered = self._waiting[id] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        await self._socket.send_str(text)
        await asyncio.wait_for(answered, _ACK_PATIENCE_S)
        return time.perf_counter() - began

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1, "debug_info": {}})
        self._socket = socket
        self._has_socket.set()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                id = json.loads(message.data).get("envelope_id", "")
                answered = self._waiting.pop(id, None)
                if answered is not None and not answered.done():
                    answered.set_result(None)
        return socket

    async def _api(self, request: web.Request) -> web.Response:
        method, at = request.match_info["method"], time.time()
        args: Json = dict(request.query)
        if request.content_type == "application/json":
            args |= await request.json()
        else:
            args |= await request.post()
        is_new = method in ("chat.postMessage", "chat.startStream")
        ts = self.next_ts() if is_new else str(args.get("ts") or "")
        self.calls.append(Call(method, at, str(args.get("thread_ts") or ""), ts))
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        known = self._answers.get(method)
        answer = known(args) if known else {"ts": ts, "channel": args.get("channel")}
        return web.json_response({"ok": True} | answer)

    @property
    def _answers(self) -> Mapping[str, Callable[[Json], Json]]:
        return {
            "auth.test": lambda _: {"team_id": TEAM, "user_id": BOT, "bot_id": "B1"},
            "apps.connections.open": lambda _: {
                "url": self.url.replace("http", "ws", 1).replace("/api/", "/link")
            },
            "users.info": lambda args: {"user": self._user(args["user"])},
            "users.list": lambda _: {"members": [self._user(id) for id in self._users]},
            "conversations.info": lambda args: {"channel": self._channel(args["channel"])},
            "conversations.members": lambda args: {"members": self._members(args["channel"])},
        }

    def _user(self, id: str) -> Json:
        name = self._users.get(id, id)
        profile = {"real_name": name, "team": TEAM}
        return {"id": id, "team_id": TEAM, "name": name, "profile": profile, "is_bot": id == BOT}

    def _channel(self, id: str) -> Json:
        is_im = id.startswith("D")
        return {"id": id, "name": id.lower(), "is_im": is_im, "is_private": not is_im}

    def _members(self, channel: str) -> list[str]:
        # Everybody's direct message with the bot is called as they are.
        return [BOT, *self._channels.get(channel, [f"U{channel[1:]}"])]
