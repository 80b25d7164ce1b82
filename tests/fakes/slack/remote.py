"""Drives a double that runs in another process: any public method by name, with JSON in and out."""

import dataclasses
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

from tests.fakes.slack.messages import Message
from tests.fakes.slack.platform import View


def control(api: Any) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """What `POST /control/<method>` does: `{"args": [...], "kwargs": {...}}`, or reading a property."""

    async def handle(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        body = await request.json()
        if name.startswith("_") or not hasattr(api, name):
            return web.json_response({"error": f"no {name}"}, status=404)
        try:
            if "value" in body:
                setattr(api, name, body["value"])
                return web.json_response({"result": None})
            found = getattr(api, name)
            args = [_resolved(api, value) for value in body.get("args", [])]
            options = {k: _resolved(api, value) for k, value in body.get("kwargs", {}).items()}
            result = found(*args, **options) if callable(found) else found
            if inspect.isawaitable(result):
                result = await result
        except (AssertionError, TypeError, ValueError, KeyError) as error:
            return web.json_response({"error": repr(error)}, status=400)
        return web.json_response({"result": _plain(result)})

    return handle


class RemoteSlackApi:
    """`await remote.call("mention", "U1", "C1", "hello")`; messages are passed back as they came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._origin = url.removesuffix("/").removesuffix("/api")

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return await self._post(name, {"args": args, "kwargs": kwargs})

    async def set(self, name: str, value: Any) -> None:
        await self._post(name, {"value": value})

    async def _post(self, name: str, body: dict[str, Any]) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self._origin}/control/{name}", json=body) as response,
        ):
            answer = await response.json()
            assert "error" not in answer, answer["error"]
            return answer["result"]


def _resolved(api: Any, value: Any) -> Any:
    """A message or a view that came from here, again as the object that it is."""
    if isinstance(value, dict) and "ts" in value and "channel" in value:
        place = api.slack.world.the_channel(value["channel"], value["team"])
        return api.slack.log.find(place, value["ts"])
    if isinstance(value, dict) and value.get("id") in api.slack.views:
        return api.slack.views[value["id"]]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, (Message, View)) or dataclasses.is_dataclass(value):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
