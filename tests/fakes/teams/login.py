"""Where the app gets its tokens, and where the keys of Teams are published."""

import asyncio
from typing import Any

import jwt
from aiohttp import web

from tests.fakes.teams.platform import TOKEN_LIFE_S, Teams, TokenRequest
from tests.fakes.teams.serving import Serving
from tests.fakes.teams.world import Json

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
IDENTITY_HEADER = "identity-header"


class Login:
    def __init__(self, teams: Teams) -> None:
        self._teams = teams
        self._serving = Serving(teams, "keys")

    def add_routes(self, app: web.Application) -> None:
        router = app.router
        router.add_post("/login/{tenant}/oauth2/v2.0/token", self._token)
        router.add_get("/login/{tenant}/v2.0/.well-known/openid-configuration", self._metadata)
        router.add_get("/login/common/discovery/instance", self._instances)
        router.add_get("/keys", self._keys)
        router.add_get("/v1/.well-known/openidconfiguration", self._key_metadata)
        router.add_get("/msi/token", self._managed)

    async def _token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        tenant, scope = request.match_info["tenant"], str(form.get("scope") or "")
        way = "certificate" if "client_assertion" in form else "secret"
        if "login" in self._teams.faults.down:
            return self._answer(tenant, scope, way, 503, None)
        fault = self._teams.faults.next(("login", "*"))
        if fault and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault and fault.status:
            body: dict[str, object] = {
                "error": fault.code or "temporarily_unavailable",
                "error_description": "",
            }
            return self._answer(tenant, scope, way, fault.status, body, fault.retry_after_s)
        problem = self._problem(tenant, form)
        if problem is not None:
            status, error, code, text = problem
            body = {"error": error, "error_codes": [code]}
            body["error_description"] = f"AADSTS{code}: {text} Trace ID: 0 Timestamp: now"
            return self._answer(tenant, scope, way, status, body)
        token = self._teams.grant(tenant, scope)
        return self._answer(tenant, scope, way, 200, _granted(token))

    def _problem(self, tenant: str, form: Json) -> tuple[int, str, int, str] | None:
        if tenant not in self._teams.world.tenants and tenant != "botframework.com":
            return 400, "invalid_request", 90002, f"Tenant '{tenant}' not found."
        if form.get("grant_type") != "client_credentials":
            return 400, "unsupported_grant_type", 70003, "The grant type is not supported."
        if form.get("client_id") != self._teams.app_id:
            return 400, "unauthorized_client", 700016, "Application was not found in the directory."
        if not str(form.get("scope") or "").endswith("/.default"):
            return 400, "invalid_scope", 70011, "The provided value for scope is not valid."
        if "client_assertion" in form:
            return self._assertion_problem(form)
        if form.get("client_secret") != self._teams.app_password:
            return 401, "invalid_client", 7000215, "Invalid client secret provided."
        return None

    def _assertion_problem(self, form: Json) -> tuple[int, str, int, str] | None:
        certificate = self._teams.app_certificate
        refused = (401, "invalid_client", 700027, "Client assertion failed signature validation.")
        if certificate is None or form.get("client_assertion_type") != _ASSERTION:
            return refused
        options: Any = {"verify_aud": False, "require": ["exp", "iss", "sub", "aud"]}
        try:
            claims = jwt.decode(
                str(form["client_assertion"]), certificate, ["RS256", "PS256"], options=options
            )
        except jwt.PyJWTError:
            return refused
        names_app = claims["iss"] == claims["sub"] == self._teams.app_id
        return None if names_app else refused

    def _answer(
        self,
        tenant: str,
        scope: str,
        way: str,
        status: int,
        body: Json | None,
        retry_after_s: float | None = None,
    ) -> web.Response:
        at = self._teams.clock.now()
        self._teams.token_requests.append(TokenRequest(tenant, scope, way, status, at))
        if body is None:
            return web.Response(status=status, text="<html>Service unavailable</html>")
        headers = {"Retry-After": f"{retry_after_s:g}"} if retry_after_s is not None else None
        return web.json_response(body, status=status, headers=headers)

    async def _managed(self, request: web.Request) -> web.Response:
        resource = request.query.get("resource", "")
        if request.headers.get("X-IDENTITY-HEADER") != IDENTITY_HEADER:
            body: Json = {"statusCode": 401, "message": "header missing"}
            return self._answer("", resource, "managed identity", 401, body)
        tenant = self._teams.app_tenant or self._teams.world.first_tenant
        token = self._teams.grant(tenant, f"{resource.rstrip('/')}/.default")
        expires_on = str(int(self._teams.clock.now() + TOKEN_LIFE_S))
        granted = _granted(token) | {"expires_on": expires_on, "resource": resource}
        return self._answer(tenant, resource, "managed identity", 200, granted)

    async def _metadata(self, request: web.Request) -> web.Response:
        base = f"{self._teams.origin}/login/{request.match_info['tenant']}"
        return web.json_response(
            {
                "issuer": f"{base}/v2.0",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
            }
        )

    async def _instances(self, request: web.Request) -> web.Response:
        asked = request.query.get("authorization_endpoint", "").removesuffix(
            "/oauth2/v2.0/authorize"
        )
        endpoint = f"{asked}/v2.0/.well-known/openid-configuration"
        return web.json_response({"tenant_discovery_endpoint": endpoint, "metadata": []})

    async def _keys(self, request: web.Request) -> web.StreamResponse:
        record = self._teams.record("keys", request)
        return await self._serving.serve(request, record, self._teams.keys.jwks)

    async def _key_metadata(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": "https://api.botframework.com",
                "jwks_uri": f"{self._teams.origin}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )


def _granted(token: str) -> Json:
    life = int(TOKEN_LIFE_S)
    return {
        "token_type": "Bearer",
        "expires_in": life,
        "ext_expires_in": life,
        "access_token": token,
    }
