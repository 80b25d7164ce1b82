"""How the Bot Connector is asked: on Microsoft's own hosts alone, and again where that helps."""

import asyncio
import json
import random
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import structlog
from yarl import URL

from adapters.teams.credentials import Tokens
from adapters.teams.failures import TeamsFailure, wait_s, what_failed
from adapters.teams.hosts import KnownHosts

log = structlog.get_logger()

_TIMEOUT_S = 15.0
_TRIES = 4
_FIRST_PAUSE_S = 0.5
# Teams asks for another try after these, also of what was to be done once.
_REPEATED_STATUSES = frozenset({412, 429, 502, 504})
_REPEATABLE_METHODS = frozenset({"GET", "PUT", "DELETE"})
_MAX_RESPONSE_BYTES = 8 * 1024 * 1024
_MAX_ERROR_BYTES = 16 * 1024
_PIECE_BYTES = 64 * 1024


def connector_session() -> aiohttp.ClientSession:
    """To be made within the loop that it serves, and closed by whoever makes it."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
        # How much goes on at once is for the worker to limit.
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=True,
    )


class OutboxWire:
    """
    Args:
        http: As `connector_session` makes it.
        tokens: None sends none.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        tokens: Tokens | None,
        hosts: KnownHosts,
        *,
        scope: str,
        patience_s: float,
    ) -> None:
        self._http = http
        self._scope = scope
        self._tokens = tokens
        self._hosts = hosts
        self._patience_s = patience_s

    def url(self, service_url: str, path: str) -> str:
        """
        Raises:
            TeamsFailure: `UnknownHost`, before anything is asked there.
        """
        if not self._hosts.has_service(service_url):
            log.error("teams.unknown_host")
            raise TeamsFailure(0, "UnknownHost")
        return service_url.rstrip("/") + path

    async def call(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None = None,
        *,
        is_patient: bool = True,
        is_repeatable: bool = False,
    ) -> Any:
        """
        What was answered, as JSON; nothing, text and pages are as good as `{}`.

        Args:
            url: As `url` makes it.
            is_repeatable: Doing it twice does what doing it once does, though it is a POST.
        """
        content = await self._again(
            method, url, body, is_patient=is_patient, is_repeatable=is_repeatable
        )
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            return {}

    async def _again(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
        max_bytes: int = _MAX_RESPONSE_BYTES,
        *,
        is_patient: bool = True,
        is_repeatable: bool = False,
    ) -> bytes:
        may_repeat = is_repeatable or method in _REPEATABLE_METHODS
        give_up_at = time.monotonic() + (self._patience_s if is_patient else 0)
        attempt, refused_token = 0, ""
        while True:
            token = await self._token(refused_token)
            reason: Exception
            try:
                return await self._once(method, url, body, token, max_bytes)
            except TeamsFailure as error:
                if error.status == 401 and token and not refused_token:
                    # A secret or certificate was replaced, or the token withdrawn before its time.
                    refused_token = token
                    continue
                if error.status not in _REPEATED_STATUSES:
                    raise
                reason = error
            except (aiohttp.ClientError, TimeoutError) as error:
                if not (may_repeat or isinstance(error, aiohttp.ClientConnectorError)):
                    raise
                reason = error
            attempt += 1
            pause_s = _pause_s(attempt, wait_s(reason))
            if attempt == _TRIES or time.monotonic() + pause_s > give_up_at:
                raise reason
            log.info("teams.again", reason=what_failed(reason), pause_s=round(pause_s, 2))
            await asyncio.sleep(pause_s)

    async def _token(self, refused: str) -> str:
        if self._tokens is None:
            return ""
        if refused:
            self._tokens.forget(self._scope, refused)
        return await self._tokens.token(self._scope)

    async def _once(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
        token: str,
        max_bytes: int,
    ) -> bytes:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        async with self._http.request(
            method,
            # As it is: an id may hold what would be quoted once more, or once less.
            URL(url, encoded=True),
            headers=headers,
            data=None if body is None else _json(body),
            allow_redirects=False,
        ) as response:
            if not 200 <= response.status < 300:
                content, _ = await _read(response, _MAX_ERROR_BYTES)
                raise TeamsFailure.of_response(response.status, response.headers, content)
            content, is_whole = await _read(response, max_bytes)
            if not is_whole:
                raise TeamsFailure(response.status, "TooLarge")
            return content


def _json(body: Mapping[str, Any]) -> bytes:
    # Written out, Chinese takes a third of what its escapes take of Teams' limit on the size. Half a
    # character, which a model may end in, would make the rest unsayable.
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> tuple[bytes, bool]:
    """The beginning, and whether it is all."""
    content = bytearray()
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        content += piece
        if len(content) > max_bytes:
            return bytes(content[:max_bytes]), False
    return bytes(content), True


def _pause_s(attempt: int, asked_for_s: float | None) -> float:
    if asked_for_s is not None:
        # All that were refused would come back in the same moment.
        return asked_for_s + random.uniform(0, 0.25)
    return _FIRST_PAUSE_S * float(2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
