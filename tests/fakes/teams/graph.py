"""Microsoft Graph: tokens, permissions, paging, batches, and where its parts put their routes."""

import json
from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from yarl import URL

from tests.fakes.teams.platform import BOT_SCOPE, Teams
from tests.fakes.teams.routes import Call, Handled, Routes
from tests.fakes.teams.serving import Serving, granted
from tests.fakes.teams.world import Conversation, Json, Refused, Team, Tenant

GRAPH = Routes()
"""A part adds its routes with `@GRAPH.add("GET", "/users/{id}")` and is imported in `graph_parts.py`."""

BATCH_REQUESTS = 20


def needs(call: Call, *permissions: str, of: Team | Conversation | None = None) -> None:
    """Any one of *permissions*: of the whole tenant, or granted for one team or chat alone."""
    granted = call.tenant.permissions | (of.permissions if of is not None else set())
    if not granted & set(permissions):
        raise denied()


def denied() -> Refused:
    message = "Insufficient privileges to complete the operation."
    return Refused(403, "Authorization_RequestDenied", message)


def not_found(id: str) -> Refused:
    message = f"Resource '{id}' does not exist or one of its queried reference-property objects"
    return Refused(404, "Request_ResourceNotFound", f"{message} are not present.")


def page(call: Call, items: list[Json], *, default: int = 100, most: int = 999) -> Json:
    """One page of *items*, with the way to the next."""
    try:
        size = int(call.query.get("$top", default))
    except ValueError:
        raise Refused(400, "Request_BadRequest", "Invalid page size.") from None
    if not 1 <= size <= most:
        raise Refused(400, "Request_BadRequest", "Invalid page size specified.")
    start = int(call.query.get("$skiptoken", "0"))
    body: Json = {"value": [_selected(call, item) for item in items[start : start + size]]}
    if start + size < len(items):
        query = call.query | {"$skiptoken": str(start + size)}
        base = f"{call.teams.graph_url}/v1.0{call.path}"
        body["@odata.nextLink"] = f"{base}?{urlencode(query, safe='$')}"
    return body


def selected(call: Call, item: Json, default: tuple[str, ...]) -> Json:
    """What `$select` asks for, or the few properties that come without it."""
    wanted = [name.strip() for name in call.query.get("$select", "").split(",") if name.strip()]
    return {name: item[name] for name in wanted or default if name in item}


class Graph:
    def __init__(self, teams: Teams) -> None:
        self._teams = teams
        self._serving = Serving(teams, "graph")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text() if request.body_exists else ""
        try:
            body = json.loads(text) if text else None
        except ValueError:
            body = None
        url = request.rel_url
        path = "/" + url.raw_path.split("/", 3)[3]
        if path == "/$batch" and request.method == "POST":
            record = self._teams.record("graph:/$batch", request, body)
            return await self._serving.serve(request, record, lambda: self._batch(request, body))
        return await self._one(request, request.method, path, dict(url.query), body)

    async def _one(
        self,
        request: web.Request,
        method: str,
        path: str,
        query: dict[str, str],
        body: Any,
        headers: dict[str, str] | None = None,
    ) -> web.StreamResponse:
        found = GRAPH.find(method, path)
        name = f"graph:{found[0].name if found else path}"
        record = self._teams.record(name, request, body)
        record.method, record.path, record.query = method, path, query

        def work() -> Handled | Awaitable[Handled]:
            tenant = self._tenant(request)
            if found is None:
                raise Refused(400, "BadRequest", f"Resource not found for the segment '{path}'.")
            sent = dict(request.headers) | (headers or {})
            return found[0].handler(
                Call(self._teams, name, found[1], query, body, sent, tenant.id, path)
            )

        return await self._serving.serve(request, record, work)

    def _tenant(self, request: web.Request) -> Tenant:
        grant = granted(self._teams, request)
        tenant = self._teams.world.tenants.get(grant.tenant) if grant else None
        if grant is None or grant.scope == BOT_SCOPE or tenant is None:
            message = "Access token is missing, expired or for another audience."
            raise Refused(401, "InvalidAuthenticationToken", message)
        return tenant

    async def _batch(self, request: web.Request, body: Any) -> Json:
        """Answers come in another order than the questions, as they may."""
        self._tenant(request)
        asked = (body or {}).get("requests") or []
        if not 1 <= len(asked) <= BATCH_REQUESTS:
            message = f"Number of batch request steps exceeds the maximum of {BATCH_REQUESTS}."
            raise Refused(400, "MaximumValueExceeded", message)
        answers = []
        for one in asked:
            url = URL("/" + str(one["url"]).lstrip("/"))
            query, inner = dict(url.query), one.get("body")
            done = await self._one(
                request, one["method"], url.raw_path, query, inner, one.get("headers")
            )
            told: Json = {"id": one["id"], "status": done.status, "headers": dict(done.headers)}
            text = done.text if isinstance(done, web.Response) else None
            answers.append(told | ({"body": json.loads(text)} if text and text[0] in "{[" else {}))
        return {"responses": answers[::-1]}


def _selected(call: Call, item: Json) -> Json:
    names = call.query.get("$select")
    if not names:
        return item
    kept = {name.strip() for name in names.split(",")} | {"@odata.type"}
    return {name: value for name, value in item.items() if name in kept}
