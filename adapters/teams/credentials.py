"""Our own tokens, by secret, certificate or managed identity; the only file that knows msal."""

import asyncio
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msal  # type: ignore[import-untyped]
import structlog

from adapters.chat.flights import Flights
from adapters.teams.failures import TeamsFailure, retry_after_s

log = structlog.get_logger()

_EARLY_S = 300.0
_TIMEOUT_S = 10.0
_DEADLINE_S = 25.0
_MAX_BODY_BYTES = 1024 * 1024
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?PRIVATE KEY-----", re.DOTALL)
_REASON = re.compile(r"AADSTS\d+")


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """
    How the app proves who it is: exactly one of the three.

    Attributes:
        certificate: A PEM file with the private key and the certificate. It is read anew for each token,
            so that a renewed one needs no restart.
        managed_identity: The identity of the machine we run on, whose client id is the app's.
    """

    secret: str = ""
    certificate: Path | None = None
    managed_identity: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class _Token:
    value: str
    expires_at: float


class Tokens(Protocol):
    """Whatever hands out tokens for ourselves."""

    async def token(self, scope: str, *, tenant_id: str = "") -> str: ...

    def forget(self, scope: str, token: str, *, tenant_id: str = "") -> None: ...


class BotTokens:
    """
    Tokens for ourselves, kept until shortly before they expire.

    Args:
        tenant_id: The Entra tenant where the app is registered.
        login_url: Without the tenant. The secret is sent there and nowhere else.
    """

    def __init__(
        self,
        app_id: str,
        tenant_id: str,
        credentials: Credentials,
        *,
        login_url: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app_id = app_id
        self._tenant_id = tenant_id
        self._credentials = credentials
        self._login_url = login_url.rstrip("/")
        self._clock = clock
        self._tokens: dict[tuple[str, str], _Token] = {}
        self._flights = Flights()

    async def token(self, scope: str, *, tenant_id: str = "") -> str:
        """
        Args:
            scope: Such as `https://graph.microsoft.com/.default`.
            tenant_id: Whose data is to be read, if not the app's own tenant's.

        Raises:
            TeamsFailure: If the login refuses us, or does not answer.
        """
        key = (scope, tenant_id or self._tenant_id)
        known = self._tokens.get(key)
        if known and self._clock() < known.expires_at - _EARLY_S:
            return known.value
        try:
            return await self._flights.once(key, lambda: self._renew(*key))
        except TeamsFailure as error:
            if known and self._clock() < known.expires_at:
                log.warning("teams.token_not_renewed", reason=str(error))
                return known.value
            # Whoever waits for an answer only learns that Teams is away: an operator reads why.
            log.error("teams.no_token", scope=scope, reason=str(error))
            raise

    def forget(self, scope: str, token: str, *, tenant_id: str = "") -> None:
        """Asks for another one next time: this one is not taken any more."""
        key = (scope, tenant_id or self._tenant_id)
        known = self._tokens.get(key)
        if known and known.value == token:
            del self._tokens[key]

    async def close(self) -> None:
        await self._flights.close()

    async def _renew(self, scope: str, tenant_id: str) -> str:
        asked_at = self._clock()
        try:
            # The thread has limits of its own, and ends by itself.
            async with asyncio.timeout(_DEADLINE_S):
                token, lives_s = await asyncio.to_thread(self._ask, scope, tenant_id)
        except TimeoutError:
            raise TeamsFailure(0, "LoginTimeout") from None
        self._tokens[scope, tenant_id] = _Token(token, asked_at + lives_s)
        log.info("teams.token", scope=scope, lives_s=round(lives_s))
        return token

    def _ask(self, scope: str, tenant_id: str) -> tuple[str, float]:
        """The token, and for how many seconds it is one. Blocks."""
        is_identity = self._credentials.managed_identity
        http = _Http() if is_identity else _LoginHttp(self._login_url, tenant_id)
        try:
            # Made anew each time: msal keeps tokens itself, and cannot be made to forget one.
            if isinstance(http, _LoginHttp):
                told = msal.ConfidentialClientApplication(
                    self._app_id,
                    client_credential=_client_credential(self._credentials),
                    authority=http.authority,
                    instance_discovery=False,
                    http_client=http,
                ).acquire_token_for_client([scope])
            else:
                told = msal.ManagedIdentityClient(
                    msal.UserAssignedManagedIdentity(client_id=self._app_id), http_client=http
                ).acquire_token_for_client(resource=scope.removesuffix("/.default"))
            value, lives_s = told.get("access_token"), told.get("expires_in")
            if isinstance(value, str) and value and isinstance(lives_s, int | float):
                return value, float(lives_s)
            raise http.refusal(told)
        except TeamsFailure:
            raise
        except Exception as error:
            # msal's errors have no common root, and their texts may quote what was sent.
            raise http.refusal({"error": type(error).__name__}) from None


def _client_credential(credentials: Credentials) -> str | dict[str, str]:
    if credentials.certificate is None:
        return credentials.secret
    text = credentials.certificate.read_text("ascii")
    key, certificates = _PRIVATE_KEY.search(text), _CERTIFICATE.findall(text)
    if key is None:
        raise TeamsFailure(0, "CertificateWithoutKey")
    if not certificates:
        raise TeamsFailure(0, "KeyWithoutCertificate")
    return {"private_key": key[0], "public_certificate": "\n".join(certificates)}


@dataclass(frozen=True, slots=True)
class _Response:
    """As msal wants it."""

    status_code: int
    text: str
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise TeamsFailure.of_response(self.status_code, self.headers, self.text)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object, **kwargs: object) -> None:
        # What is sent here is a secret.
        return None


class _Http:
    """
    What msal asks for tokens with: time limits, no redirects, and what was last answered.

    The platform's address for a managed identity is on the machine itself: no proxy is asked.
    """

    _handlers: tuple[urllib.request.BaseHandler, ...] = (urllib.request.ProxyHandler({}),)

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(_NoRedirects(), *self._handlers)
        self._last: _Response | None = None

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> _Response:
        if params:
            url = f"{url}?{urllib.parse.urlencode(params)}"
        return self._open(urllib.request.Request(url, headers=dict(headers or {})))

    def post(
        self,
        url: str,
        *,
        data: Mapping[str, str] | str | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> _Response:
        form = data if isinstance(data, str) else urllib.parse.urlencode(data or {})
        request = urllib.request.Request(url, form.encode(), dict(headers or {}), method="POST")
        return self._open(request)

    def close(self) -> None:
        """Nothing stays open."""

    def refusal(self, told: Mapping[str, Any]) -> TeamsFailure:
        """What was not granted, in codes alone: descriptions name people and apps."""
        error, description = str(told.get("error") or ""), str(told.get("error_description") or "")
        reason = _REASON.search(description)
        code = " ".join(part for part in ("Login", error, reason and reason[0]) if part)
        if self._last is None:
            return TeamsFailure(0, code)
        wait_s = retry_after_s(self._last.headers)
        return TeamsFailure(self._last.status_code, code, retry_after_s=wait_s)

    def _open(self, request: urllib.request.Request) -> _Response:
        self._last = None
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                self._last = _response(response.status, response, response.headers)
        except urllib.error.HTTPError as error:
            with error:
                self._last = _response(error.code, error, error.headers)
        return self._last


class _LoginHttp(_Http):
    """
    Asks the login that is configured, whatever msal would ask.

    msal first looks up a tenant's addresses, which the platform documents as fixed, and takes none
    without TLS, which a login on this machine does not have.
    """

    _handlers = ()

    def __init__(self, login_url: str, tenant_id: str) -> None:
        super().__init__()
        self._token_url = f"{login_url}/{urllib.parse.quote(tenant_id, safe='')}/oauth2/v2.0/token"
        self.authority = "https://" + f"{login_url}/{tenant_id}".partition("://")[2]

    def get(self, url: str, **_: object) -> _Response:
        oauth = f"{self.authority}/oauth2/v2.0"
        told = {"token_endpoint": f"{oauth}/token", "authorization_endpoint": f"{oauth}/authorize"}
        return _Response(200, json.dumps(told), {})

    def post(self, url: str, **kwargs: Any) -> _Response:
        return super().post(self._token_url, **kwargs)


def _response(status: int, body: Any, headers: Any) -> _Response:
    text = body.read(_MAX_BODY_BYTES).decode("utf-8", "replace")
    return _Response(status, text, dict(headers.items()))
