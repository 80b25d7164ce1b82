"""Socket Mode: the WebSocket connections of the app, their envelopes and acknowledgements."""

import asyncio
import json
import secrets
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.slack.platform import Slack
from tests.fakes.slack.world import Json, Refused

MAX_SOCKETS = 10


class Sockets:
    def __init__(self, slack: Slack) -> None:
        self._slack = slack
        self._tickets: set[str] = set()
        self._open: list[web.WebSocketResponse] = []
        self._waiting: dict[str, tuple[web.WebSocketResponse, asyncio.Future[Any]]] = {}
        self._turn = 0
        self._changed = asyncio.Condition()
        self.disconnect_warning_s = 0.05
        self.opened = 0
        """Connections since the start."""

    @property
    def count(self) -> int:
        return len(self._open)

    def new_url(self) -> str:
        if len(self._open) >= MAX_SOCKETS:
            raise Refused("too_many_websockets")
        ticket = secrets.token_hex(8)
        self._tickets.add(ticket)
        return f"{self._slack.origin.replace('http', 'ws', 1)}/link/?ticket={ticket}"

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            raise web.HTTPForbidden(text="the ticket is used or unknown")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json(self._hello())
        self.opened += 1
        async with self._changed:
            self._open.append(socket)
            self._changed.notify_all()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._acknowledge(message.data)
        finally:
            await self._gone(socket)
        return socket

    async def ask(self, envelope: Json) -> Any:
        """
        Send *envelope* to one of the connections, in turn, and wait for its acknowledgement.

        Waits for a connection where there is none now; the caller sets the deadline.

        Raises:
            ConnectionError: If the connection ends before the acknowledgement, or nobody ever connected.
        """
        if not self.opened:
            raise ConnectionError("nobody ever connected")
        async with self._changed:
            await self._changed.wait_for(lambda: self._open)
        self._turn += 1
        socket = self._open[self._turn % len(self._open)]
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[envelope["envelope_id"]] = (socket, answered)
        try:
            await socket.send_json(envelope)
            return await answered
        finally:
            self._waiting.pop(envelope["envelope_id"], None)

    async def refresh(self) -> None:
        """Tell every connection to come back on a new one, then close it."""
        sockets = list(self._open)
        for socket in sockets:
            await socket.send_json(
                {"type": "disconnect", "reason": "refresh_requested", "debug_info": {"host": "x"}}
            )
        await asyncio.sleep(self.disconnect_warning_s)
        for socket in sockets:
            await socket.close()

    async def drop(self) -> None:
        """Cut every connection without a word."""
        for socket in list(self._open):
            await socket.close(code=1011)

    async def disable(self) -> None:
        """An administrator switched Socket Mode off."""
        for socket in list(self._open):
            await socket.send_json({"type": "disconnect", "reason": "link_disabled"})
            await socket.close()

    async def connected(self, count: int = 1) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._open) >= count)

    async def close(self) -> None:
        for socket in list(self._open):
            await socket.close()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self._open) + 1,
            "debug_info": {"host": "applink-1", "approximate_connection_time": 18_060},
            "connection_info": {"app_id": self._slack.app_id},
        }

    def _acknowledge(self, text: str) -> None:
        answer = json.loads(text)
        _, answered = self._waiting.get(answer.get("envelope_id", ""), (None, None))
        if answered is not None and not answered.done():
            answered.set_result(answer.get("payload"))

    async def _gone(self, socket: web.WebSocketResponse) -> None:
        async with self._changed:
            self._open.remove(socket)
            self._changed.notify_all()
        for owner, answered in list(self._waiting.values()):
            if owner is socket and not answered.done():
                answered.set_exception(ConnectionError("the socket closed"))
