"""A scripted OpenAI-compatible server on loopback, with faults on request."""

import asyncio
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from aiohttp import web

Messages = list[dict[str, str]]
ReplyFunction = Callable[[Messages], str]


class Fault(StrEnum):
    SLOW = "slow"
    """The reply comes after `slow_s`."""
    HANG = "hang"
    """Nothing comes, ever."""
    HANG_IN_STREAM = "hang in stream"
    """The first half comes, then nothing."""
    RATE_LIMIT = "429"
    """With `retry_after` in its header."""
    NO_CREDIT = "429, no credit"
    SERVER_ERROR = "500"
    CUT_STREAM = "cut stream"
    """The connection ends in the middle of the reply."""
    ENDED_STREAM = "ended stream"
    """The stream ends properly, but in the middle of the reply."""
    BAD_JSON = "bad json"
    ERROR_IN_STREAM = "error in stream"
    WEB_PAGE = "web page"
    """Some other server answers, cheerfully."""


@dataclass(slots=True)
class Request:
    """What was asked. *dropped* is set once its asker hung up before the end."""

    path: str
    body: dict[str, Any] = field(default_factory=dict)
    dropped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> Messages:
        return list(self.body.get("messages", ()))


class ModelServer:
    """
    `async with ModelServer("first reply", "second") as server: ... server.base_url`

    Replies are given in turn, the last one forever; or set `reply` to a function of the messages.
    Faults queued with `fail` come first, one per request.
    """

    def __init__(self, *replies: str, reply: ReplyFunction | None = None) -> None:
        self._replies = list(replies) or ["Hello."]
        self.reply = reply
        self.models = ["test-model"]
        self.api_key: str | None = None
        """Set: every other key is refused."""
        self.slow_s = 0.2
        self.pause_s = 0.0
        """Between the pieces of a reply."""
        self.retry_after = "0"
        self.refused_options: set[str] = set()
        self.dim = 8
        self.requests: list[Request] = []
        self.has_usage = True
        self._faults: list[Fault] = []
        self._runner: web.AppRunner | None = None
        self._base_url = ""
        self._closing = asyncio.Event()

    @property
    def base_url(self) -> str:
        return self._base_url

    def fail(self, *faults: Fault) -> None:
        """The next requests fail like this, one each."""
        self._faults.extend(faults)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embeddings)
        # Without it aiohttp does not tell a handler that its client is gone.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self._base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        assert self._runner is not None
        await self._runner.cleanup()

    async def _list_models(self, request: web.Request) -> web.Response:
        self.requests.append(Request(request.path))
        refusal = self._refusal(request, None)
        data = [{"id": name, "object": "model", "owned_by": "test"} for name in self.models]
        return refusal or web.json_response({"object": "list", "data": data})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = Request(request.path, await request.json())
        self.requests.append(asked)
        try:
            return await self._answer_chat(request, asked)
        except (ConnectionResetError, asyncio.CancelledError):
            asked.dropped.set()
            raise

    async def _answer_chat(self, request: web.Request, asked: Request) -> web.StreamResponse:
        if refusal := self._refusal(request, asked):
            return refusal
        fault = self._faults.pop(0) if self._faults else None
        if response := await self._whole_fault(fault):
            return response
        text = self._next_reply(asked.messages)
        if not asked.body.get("stream"):
            if fault is Fault.BAD_JSON:
                return web.Response(text='{"choices": [', content_type="application/json")
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            body = {"object": "chat.completion", "choices": [choice]}
            return web.json_response(_envelope(asked) | body | {"usage": _usage(asked, text)})
        return await self._stream(request, asked, text, fault)

    async def _stream(
        self, request: web.Request, asked: Request, text: str, fault: Fault | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def send(data: str) -> None:
            await response.write(f"data: {data}\n\n".encode())
            # Lets the reader take each piece by itself, as from a real model.
            await asyncio.sleep(self.pause_s)

        async def send_delta(delta: dict[str, str], finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            await send(json.dumps(_envelope(asked) | {"choices": [choice]}))

        # Some servers begin with a chunk without a choice.
        await send(json.dumps(_envelope(asked) | {"choices": []}))
        pieces = _pieces(text)
        for number, piece in enumerate(pieces):
            if number == len(pieces) // 2:
                if fault is Fault.HANG_IN_STREAM:
                    await self._closing.wait()
                if fault is Fault.CUT_STREAM:
                    assert request.transport is not None
                    request.transport.abort()
                    return response
                if fault is Fault.ENDED_STREAM:
                    return response
                if fault is Fault.BAD_JSON:
                    await send('{"choices": [')
                if fault is Fault.ERROR_IN_STREAM:
                    await send(json.dumps({"error": {"message": "out of memory: key sk-secret"}}))
            await send_delta({"content": piece})
        await send_delta({}, "stop")
        if self.has_usage and asked.body.get("stream_options", {}).get("include_usage"):
            usage = {"choices": [], "usage": _usage(asked, text)}
            await send(json.dumps(_envelope(asked) | usage))
        await send("[DONE]")
        return response

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        asked = Request(request.path, await request.json())
        self.requests.append(asked)
        if refusal := self._refusal(request, asked):
            return refusal
        fault = self._faults.pop(0) if self._faults else None
        if response := await self._whole_fault(fault):
            return response
        if fault is Fault.BAD_JSON:
            return web.Response(text='{"data": [', content_type="application/json")
        texts = asked.body["input"]
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(text, self.dim)}
            for index, text in enumerate(texts)
        ]
        # The order is not promised.
        return web.json_response({"object": "list", "model": "m", "data": data[::-1]})

    async def _whole_fault(self, fault: Fault | None) -> web.Response | None:
        match fault:
            case Fault.SLOW:
                await asyncio.sleep(self.slow_s)
            case Fault.HANG:
                await self._closing.wait()
            case Fault.RATE_LIMIT:
                response = _error(429, "slow down: key sk-secret", "rate_limit_exceeded")
                response.headers["Retry-After"] = self.retry_after
                return response
            case Fault.NO_CREDIT:
                return _error(429, "you exceeded your quota", "insufficient_quota")
            case Fault.SERVER_ERROR:
                return _error(500, "Traceback: key sk-secret", "server_error")
            case Fault.WEB_PAGE:
                return web.Response(text="<h1>It works!</h1>", content_type="text/html")
            case _:
                pass
        return None

    def _refusal(self, request: web.Request, asked: Request | None) -> web.Response | None:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.api_key is not None and key != self.api_key:
            return _error(401, f"Incorrect API key provided: {key}", "invalid_api_key")
        if asked is None:
            return None
        if asked.body.get("model") not in self.models:
            return _error(404, f"The model {asked.body.get('model')} does not exist", "not_found")
        for option in self.refused_options & asked.body.keys():
            hint = " Use 'max_completion_tokens' instead." if option == "max_tokens" else ""
            return _error(400, f"Unsupported parameter: '{option}'.{hint}", "unsupported_parameter")
        return None

    def _next_reply(self, messages: Messages) -> str:
        if self.reply is not None:
            return self.reply(messages)
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]


def _pieces(text: str) -> Sequence[str]:
    return [text[start : start + 5] for start in range(0, len(text), 5)]


def _envelope(asked: Request) -> dict[str, Any]:
    model = asked.body.get("model", "")
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model}


def _usage(asked: Request, text: str) -> dict[str, int]:
    prompt = sum(len(message["content"]) for message in asked.messages)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": len(text),
        "total_tokens": prompt + len(text),
    }


def _vector(text: str, dim: int) -> list[float]:
    """Not of unit length, and equal for equal texts."""
    return [1.0 + zlib.crc32(f"{n}{text}".encode()) % 100 for n in range(dim)]


def _error(status: int, message: str, code: str) -> web.Response:
    error = {"message": message, "type": code, "code": code, "param": None}
    return web.json_response({"error": error}, status=status)
