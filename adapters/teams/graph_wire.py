"""How Microsoft Graph is reached: one HTTP session, a token for each tenant, and rest when it wants rest."""

import asyncio
import json
import random
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog
from yarl import URL

from adapters.teams.credentials import Tokens
from adapters.teams.failures import TeamsFailure, what_failed
from adapters.teams.json_values import Json

log = structlog.get_logger()

TIMEOUT_S = 15.0
ATTEMPTS = 4

_THROTTLED = (429, 503)
# Nothing says whether it was done; what only reads may be asked again.
_MAY_BE_DONE = (0, 500, 502, 504)
_PIECE = 65_536


class GraphFailure(TeamsFailure):
    """Graph did not do it; *status* is 0 if it gave no answer that can be read."""

    @classmethod
    def of_response(
        cls, status: int, headers: Mapping[str, str], body: bytes | str
    ) -> "GraphFailure":
        told = TeamsFailure.of_response(status, headers, body)
        return cls(told.status, told.code, told.message, retry_after_s=told.retry_after_s)

    @property
    def is_missing(self) -> bool:
        return self.status in (404, 410)

    @property
    def is_denied(self) -> bool:
        """The app has no permission for it, or is not known in this tenant."""
        return self.status in (401, 403)

    @property
    def is_throttled(self) -> bool:
        return self.status in _THROTTLED


_DOWNLOAD_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=30)
"""Of a large file over a slow line; it must not stop coming."""


class Patience:
    """So many seconds may be waited in all."""

    def __init__(self, seconds: float) -> None:
        self._left_s = seconds

    async def wait(self, seconds: float) -> bool:
        """False, at once, where it would take too long."""
        if seconds > self._left_s:
            return False
        self._left_s -= seconds
        await asyncio.sleep(seconds)
        return True


class GraphWire:
    """Every method raises `GraphFailure`. Redirects are never followed by themselves."""

    def __init__(self, tokens: Tokens | None, *, base_url: str) -> None:
        self._tokens = tokens
        self.base_url = base_url.rstrip("/")
        split = urlsplit(self.base_url)
        self._origin = (split.scheme, split.netloc.lower())
        self._scope = f"{split.scheme}://{split.netloc}/.default"
        self._rests_until: dict[tuple[str, str], float] = {}
        self._session: aiohttp.ClientSession | None = None

    def is_own(self, url: str) -> bool:
        """Whether our token for Graph may go there."""
        split = urlsplit(url)
        return (split.scheme, split.netloc.lower()) == self._origin

    async def ask(
        self,
        tenant_id: str,
        method: str,
        url: URL,
        *,
        patience: Patience,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        only_reads: bool,
    ) -> Json:
        """Again where that helps, as long as there is *patience*; an empty answer is an empty object."""
        # Each service behind Graph counts for itself.
        service = url.path.partition("/v1.0/")[2].partition("/")[0]
        has_renewed = False
        for attempt in range(ATTEMPTS):
            rest_s = self._rests_until.get((tenant_id, service), 0.0) - time.monotonic()
            # Who is asked again and again while it wants to rest will want to rest for longer.
            if rest_s > 0 and not await patience.wait(rest_s):
                raise GraphFailure(429, "throttled", retry_after_s=rest_s)
            try:
                return await self._once(tenant_id, method, url, body, headers or {})
            except GraphFailure as failure:
                pause_s = _pause_s(attempt)
                if failure.is_throttled:
                    pause_s = failure.retry_after_s or pause_s
                    self.rest(tenant_id, service, pause_s)
                elif failure.status == 401 and failure.code != "noToken" and not has_renewed:
                    has_renewed, pause_s = True, 0.0
                elif not only_reads or failure.status not in _MAY_BE_DONE:
                    raise
                if attempt + 1 == ATTEMPTS or not await patience.wait(pause_s):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def rest(self, tenant_id: str, service: str, seconds: float) -> None:
        """
        Nothing is asked of it for so long.

        Args:
            service: The first part of its paths.
        """
        self._rests_until[tenant_id, service] = time.monotonic() + seconds
        log.warning("graph.throttled", service=service, rest_s=round(seconds, 1))

    async def fetch(
        self, tenant_id: str, url: URL, *, max_bytes: int, is_signed: bool = False
    ) -> bytes | URL:
        """
        The content, or where it is; our token goes to Graph alone.

        Args:
            is_signed: Whoever has the address may fetch what is there, and a token would be refused.
        """
        is_ours = self.is_own(str(url)) and not is_signed
        headers = _bearer(await self._token(tenant_id)) if is_ours else {}
        try:
            async with self.session.get(
                url, headers=headers, allow_redirects=False, timeout=_DOWNLOAD_TIMEOUT
            ) as response:
                if 300 <= response.status < 400:
                    return url.join(URL(response.headers.get("Location", ""), encoded=True))
                if response.status >= 400:
                    raise await _failure(response)
                return await _bounded(response, max_bytes)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _no_answer(error) from error

    @property
    def session(self) -> aiohttp.ClientSession:
        """To be asked for within the running loop, which it belongs to."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                connector=aiohttp.TCPConnector(limit=20),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _once(
        self,
        tenant_id: str,
        method: str,
        url: URL,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> Json:
        token = await self._token(tenant_id)
        try:
            async with self.session.request(
                method, url, json=body, headers={**headers, **_bearer(token)}, allow_redirects=False
            ) as response:
                if response.status == 401 and self._tokens and token:
                    # Withdrawn before its time; the next one may do.
                    self._tokens.forget(self._scope, token, tenant_id=tenant_id)
                if response.status >= 300:
                    raise await _failure(response)
                text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _no_answer(error) from error
        try:
            told = json.loads(text) if text.strip() else {}
        except ValueError as error:
            raise GraphFailure(0, "noJson") from error
        if not isinstance(told, dict):
            raise GraphFailure(0, "noObject")
        return told

    async def _token(self, tenant_id: str) -> str:
        if self._tokens is None:
            return ""
        try:
            return await self._tokens.token(self._scope, tenant_id=tenant_id)
        except TeamsFailure as error:
            # A tenant that does not have the app tells it nothing. An expired secret is no such answer.
            status = 401 if "unauthorized_client" in error.code.split() else 0
            log.warning("graph.no_token", reason=what_failed(error))
            raise GraphFailure(status, "noToken", retry_after_s=error.retry_after_s) from error


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _pause_s(attempt: int) -> float:
    return float(0.2 * 2**attempt * (1 + random.random()))


def _no_answer(error: BaseException) -> GraphFailure:
    return GraphFailure(0, "timeout" if isinstance(error, TimeoutError) else "unreachable")


async def _failure(response: aiohttp.ClientResponse) -> GraphFailure:
    return GraphFailure.of_response(response.status, response.headers, await response.read())


async def _bounded(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_chunked(_PIECE):
        content += piece
        if len(content) > max_bytes:
            raise GraphFailure(413, "tooLarge")
    return bytes(content)
