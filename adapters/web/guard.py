"""Who is asking, whether the request may be carried out, and what a response tells the browser."""

import asyncio
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from adapters.web.texts import preferred_language, text
from bot.directory import Directory, Person
from bot.messages import UserRef
from retrieval.errors import ShifuError
from retrieval.types import Language

MAX_BODY_BYTES = 256 * 1024
BODY_TIMEOUT_S = 15.0


class WebMode(StrEnum):
    PLAYGROUND = "playground"
    """Whoever opens the page acts as anyone in the directory; on this machine only."""
    HEADER = "header"
    """A sign-in proxy in front of us says who is asking."""


@dataclass(frozen=True, slots=True)
class WebAccess:
    """
    Who may use the page.

    Attributes:
        user_header: Holds the user id; the proxy must remove it from what browsers send.
        trusted_proxies: Addresses whose header is believed.
        public_origins: Under which the proxy serves the page; empty: as the `Host` header says.
        frame_ancestors: Origins of the pages that may embed this one.
    """

    mode: WebMode
    listen_host: str
    user_header: str = "X-Forwarded-User"
    trusted_proxies: Sequence[str] = ("127.0.0.0/8", "::1/128")
    public_origins: Sequence[str] = ()
    frame_ancestors: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.mode is WebMode.PLAYGROUND and not _is_loopback(self.listen_host):
            raise ShifuError(
                "The playground lets its visitor act as anyone, so it only listens on this machine "
                f"(127.0.0.1 or localhost), not on {self.listen_host!r}. For others to reach the "
                "page, put a sign-in proxy in front of it and use the mode 'header'."
            )
        for ancestor in self.frame_ancestors:
            if not is_origin(ancestor):
                raise ShifuError(
                    f"{ancestor!r} cannot embed the page: give an origin such as "
                    "'https://intranet.example'."
                )


@dataclass(slots=True)
class ApiError(Exception):
    """Ends a request with a text that the person can act on."""

    status: int
    code: str
    values: dict[str, Any] = field(default_factory=dict)


class Guard:
    """Every request passes here first; a handler then knows that it was this person who asked."""

    def __init__(self, access: WebAccess, directory: Directory, *, tenant: str) -> None:
        self._access = access
        self._directory = directory
        self._tenant = tenant
        self._proxies = [ipaddress.ip_network(n) for n in access.trusted_proxies]

    @property
    def is_playground(self) -> bool:
        return self._access.mode is WebMode.PLAYGROUND

    def check(self, request: web.Request) -> None:
        """Refuse other sites' pages: a rebound host name, a foreign origin, a form."""
        # A name that an attacker points at this machine arrives here as the Host header.
        if self.is_playground and not _is_loopback(_host_name(request.host)):
            raise ApiError(403, "host_refused")
        if request.method in ("GET", "HEAD"):
            return
        if request.content_type != "application/json":
            raise ApiError(415, "json_required")
        origin = request.headers.get("Origin", "")
        if self._access.public_origins:
            is_own = origin in self._access.public_origins
        else:
            parts = urlsplit(origin)
            is_own = parts.scheme in ("http", "https") and parts.netloc == request.host
        if not is_own:
            raise ApiError(403, "origin_refused")

    async def viewer(self, request: web.Request) -> Person:
        """Who is asking."""
        person = await self._directory.person(UserRef(self._tenant, self._user_id(request)))
        if person is None:
            raise ApiError(404 if self.is_playground else 403, "unknown_user")
        return person

    def _user_id(self, request: web.Request) -> str:
        acting_as = request.query.get("as", "")
        if self.is_playground:
            if not acting_as:
                raise ApiError(401, "not_signed_in")
            return acting_as
        if acting_as:
            raise ApiError(403, "acting_refused")
        if not self._is_trusted(request.remote):
            raise ApiError(403, "proxy_refused")
        # Two values: one of them did not come from the proxy.
        values = request.headers.getall(self._access.user_header, [])
        if len(values) != 1 or not values[0].strip():
            raise ApiError(401, "not_signed_in")
        return values[0].strip()

    def _is_trusted(self, remote: str | None) -> bool:
        try:
            address = ipaddress.ip_address(remote or "")
        except ValueError:
            return False
        return any(address in network for network in self._proxies)

    def secured(self, response: web.StreamResponse, *, is_api: bool) -> None:
        """Nothing but our own files runs in the page, and nothing in it talks to anyone but us."""
        ancestors = " ".join(self._access.frame_ancestors) or "'none'"
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
            f"frame-ancestors {ancestors}"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if is_api:
            response.headers["Cache-Control"] = "no-store"


def language_of(request: web.Request) -> Language:
    return preferred_language(request.headers.get("Accept-Language", ""))


def error_response(request: web.Request, error: ApiError) -> web.Response:
    message = text(error.code, language_of(request), **error.values)
    return web.json_response(
        {"error": {"code": error.code, "message": message}},
        status=error.status,
        dumps=lambda value: json.dumps(value, ensure_ascii=False),
    )


class Body:
    """A request's JSON object; a field that is missing or of the wrong form is named in an error."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    @classmethod
    async def read(cls, request: web.Request) -> "Body":
        too_large = ApiError(413, "body_too_large", {"limit": MAX_BODY_BYTES // 1024})
        if (request.content_length or 0) > MAX_BODY_BYTES:
            raise too_large
        raw = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                async for part in request.content.iter_chunked(16_384):
                    raw += part
                    if len(raw) > MAX_BODY_BYTES:
                        raise too_large
        except TimeoutError:
            raise ApiError(408, "body_too_slow") from None
        try:
            fields = json.loads(raw.decode())
            # A lone surrogate is legal JSON but no text: it could be neither stored nor sent.
            json.dumps(fields, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise ApiError(400, "bad_json") from None
        if not isinstance(fields, dict):
            raise ApiError(400, "bad_json")
        return cls(fields)

    def text(self, name: str, *, default: str | None = None) -> str:
        value = self._fields.get(name, default)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise ApiError(400, "bad_request", {"field": name})
        return value

    def id(self, name: str, *, optional: bool = False) -> str | None:
        """An identifier of ours or of the page's making."""
        value = self._fields.get(name)
        if value is None and optional:
            return None
        if not isinstance(value, str) or not is_id(value):
            raise ApiError(400, "bad_request", {"field": name})
        return value


def is_id(value: str) -> bool:
    return (
        0 < len(value) <= 64
        and value.isascii()
        and value.replace("-", "").replace("_", "").isalnum()
    )


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host_name(host: str) -> str:
    """Without the port: `127.0.0.1:8080`, `[::1]:8080`, `localhost`."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def is_origin(value: str) -> bool:
    parts = urlsplit(value)
    return (
        parts.scheme in ("http", "https")
        and value == f"{parts.scheme}://{parts.netloc}"
        and bool(parts.netloc)
        and not any(c.isspace() or c in ";,'\"" for c in value)
    )
