"""Drives a double that runs in another process: any public method by name, with JSON in and out."""

import dataclasses
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

Resolve = Callable[[Any], Any]
"""What came from the double once, again as the object that it is."""


def control(api: Any, resolved: Resolve) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
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
            args = [resolved(value) for value in body.get("args", [])]
            options = {k: resolved(value) for k, value in body.get("kwargs", {}).items()}
            result = found(*args, **options) if callable(found) else found
            if inspect.isawaitable(result):
                result = await result
        except (AssertionError, TypeError, ValueError, KeyError) as error:
            return web.json_response({"error": repr(error)}, status=400)
        return web.json_response({"result": _plain(result)})

    return handle


class RemoteApi:
    """`await remote.call("method", …)`; what came from the double is passed back as it came."""

    def __init__(self, origin: str) -> None:
        self.origin = origin.rstrip("/")

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return await self._post(name, {"args": args, "kwargs": kwargs})

    async def set(self, name: str, value: Any) -> None:
        await self._post(name, {"value": value})

    async def _post(self, name: str, body: dict[str, Any]) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.origin}/control/{name}", json=body) as response,
        ):
            answer = await response.json()
            assert "error" not in answer, answer["error"]
            return answer["result"]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {f.name: _plain(getattr(value, f.name)) for f in fields}
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str | int | float | bool | None) else str(value)
