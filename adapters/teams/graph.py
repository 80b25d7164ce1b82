"""A small client of Microsoft Graph: what it is asked here, page by page, in batches, and files."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlencode

from yarl import URL

from adapters.teams.credentials import Tokens
from adapters.teams.graph_wire import ATTEMPTS, GraphFailure, GraphWire, Patience
from adapters.teams.hosts import KnownHosts
from adapters.teams.json_values import Json, mapping

__all__ = ["Graph", "GraphCall", "GraphFailure", "GraphPage", "quoted"]

_BATCH = 20
_MAX_PAGES = 2_000
_MAX_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class GraphCall:
    """One question of a batch; only such as change nothing."""

    path: str
    method: str = "GET"
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class GraphPage:
    """
    Attributes:
        next_link: Of the page after this one; None on the last.
        delta_link: Asks later for what has changed since; on the last page of a delta query.
    """

    items: list[Json]
    next_link: str | None = None
    delta_link: str | None = None


def quoted(segment: str) -> str:
    """A part of a path, whatever it holds."""
    return quote(segment, safe="")


class Graph:
    """
    Every method raises `GraphFailure`.

    Paths are relative to `v1.0`, their parts `quoted`. Links are those that Graph gave; they are followed
    on its own host alone, since our token goes with them.

    Args:
        tenant_id: Whose data is asked for; empty: of the tenant that the app is registered in.
        patience_s: So long in all one call waits for Graph to be ready again. A person who waits for an
            answer has little, a nightly job much.
        file_hosts: Other hosts than Graph's own that content may come from; it sends us there for it.
    """

    def __init__(
        self,
        wire: GraphWire,
        *,
        tenant_id: str = "",
        patience_s: float = 3.0,
        file_hosts: Sequence[str] = (),
    ) -> None:
        self._wire = wire
        self.tenant_id = tenant_id
        self._patience_s = patience_s
        self._file_hosts = tuple(file_hosts)

    @classmethod
    def open(
        cls,
        tokens: Tokens | None,
        *,
        base_url: str,
        tenant_id: str = "",
        file_hosts: Sequence[str] = (),
    ) -> Self:
        wire = GraphWire(tokens, base_url=base_url)
        return cls(wire, tenant_id=tenant_id, file_hosts=file_hosts)

    def of(self, tenant_id: str = "", *, patience_s: float | None = None) -> "Graph":
        """The same for another tenant, or with another patience; it is closed with this one."""
        return Graph(
            self._wire,
            tenant_id=tenant_id or self.tenant_id,
            patience_s=self._patience_s if patience_s is None else patience_s,
            file_hosts=self._file_hosts,
        )

    async def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        return await self._ask("GET", self._url(path, params), headers=headers)

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, only_reads: bool = False
    ) -> Json:
        """*only_reads*: nothing is changed by it, so it may be sent again when no answer comes."""
        return await self._ask("POST", self._url(path), body=body or {}, only_reads=only_reads)

    async def patch(self, path: str, body: Mapping[str, Any]) -> Json:
        return await self._ask("PATCH", self._url(path), body=body)

    async def delete(self, path: str) -> None:
        await self._ask("DELETE", self._url(path))

    async def page(
        self,
        path_or_link: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> GraphPage:
        told = await self.get(path_or_link, params=params, headers=headers)
        items = told.get("value")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise GraphFailure(0, "noList")
        return GraphPage(
            items, self._link(told.get("@odata.nextLink")), self._link(told.get("@odata.deltaLink"))
        )

    async def pages(
        self,
        path_or_link: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Json]:
        """The items of all pages. When it raises, those that came are not all."""
        seen: set[str] = set()
        for _ in range(_MAX_PAGES):
            page = await self.page(path_or_link, params=params, headers=headers)
            for item in page.items:
                yield item
            if page.next_link is None:
                return
            if page.next_link in seen:
                break
            seen.add(page.next_link)
            path_or_link, params = page.next_link, None
        raise GraphFailure(0, "endlessPages")

    async def batch(self, calls: Sequence[str | GraphCall]) -> list[Json | GraphFailure]:
        """An answer for each of *calls*, in their order; each fails for itself."""
        asked = [GraphCall(call) if isinstance(call, str) else call for call in calls]
        answers: list[Json | GraphFailure] = []
        for start in range(0, len(asked), _BATCH):
            answers += await self._one_batch(asked[start : start + _BATCH])
        return answers

    async def download(self, path_or_url: str, *, max_bytes: int) -> bytes:
        """Fails with status 413 for more than *max_bytes*; other hosts than those known are not asked."""
        url = self._url(path_or_url) if "://" not in path_or_url else URL(path_or_url, encoded=True)
        known = KnownHosts(self._file_hosts)
        for n in range(_MAX_REDIRECTS + 1):
            if not self._wire.is_own(str(url)) and not known.has(str(url)):
                raise GraphFailure(0, "foreignHost")
            found = await self._wire.fetch(
                self.tenant_id, url, max_bytes=max_bytes, is_signed=n > 0
            )
            if isinstance(found, bytes):
                return found
            url = found
        raise GraphFailure(0, "tooManyRedirects")

    async def close(self) -> None:
        await self._wire.close()

    async def _ask(
        self,
        method: str,
        url: URL,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        only_reads: bool = False,
    ) -> Json:
        return await self._wire.ask(
            self.tenant_id,
            method,
            url,
            patience=Patience(self._patience_s),
            body=body,
            headers=headers,
            # Whatever else there is may be done twice.
            only_reads=only_reads or method != "POST",
        )

    async def _one_batch(self, asked: Sequence[GraphCall]) -> list[Json | GraphFailure]:
        answers: dict[int, Json | GraphFailure] = {}
        patience = Patience(self._patience_s)
        unanswered = list(range(len(asked)))
        for _ in range(ATTEMPTS):
            told = await self.post(
                "$batch", {"requests": [_request(n, asked[n]) for n in unanswered]}, only_reads=True
            )
            responses = told.get("responses")
            if not isinstance(responses, list):
                raise GraphFailure(0, "noList")
            found = {r.get("id"): r for r in responses if isinstance(r, dict)}
            answers |= {n: _answer(found.get(str(n))) for n in unanswered}
            throttled = {
                n: answer.retry_after_s or 1.0
                for n in unanswered
                if isinstance(answer := answers[n], GraphFailure) and answer.is_throttled
            }
            if not throttled:
                break
            rest_s = max(throttled.values())
            self._wire.rest(self.tenant_id, "$batch", rest_s)
            if not await patience.wait(rest_s):
                break
            unanswered = list(throttled)
        return [answers[n] for n in range(len(asked))]

    def _url(self, path_or_link: str, params: Mapping[str, str] | None = None) -> URL:
        text = path_or_link
        if "://" not in text:
            text = f"{self._wire.base_url}/v1.0/{path_or_link.lstrip('/')}"
        elif not self._wire.is_own(text):
            raise GraphFailure(0, "foreignHost")
        if params:
            text += ("&" if "?" in text else "?") + urlencode(params, safe="$,()'", quote_via=quote)
        return URL(text, encoded=True)

    def _link(self, link: Any) -> str | None:
        if link is not None and not (isinstance(link, str) and self._wire.is_own(link)):
            raise GraphFailure(0, "foreignHost")
        return link


def _request(n: int, call: GraphCall) -> Json:
    request: Json = {"id": str(n), "method": call.method, "url": "/" + call.path.lstrip("/")}
    headers = dict(call.headers or {})
    if call.body is not None:
        request["body"] = call.body
        headers["Content-Type"] = "application/json"
    return {**request, "headers": headers} if headers else request


def _answer(response: Any) -> Json | GraphFailure:
    """What is not answered, or not with an object, has failed."""
    if not isinstance(response, Mapping) or not isinstance(status := response.get("status"), int):
        return GraphFailure(0, "noAnswer")
    body = response.get("body")
    if 200 <= status < 300:
        return body if isinstance(body, dict) else GraphFailure(0, "noObject")
    headers = mapping(response.get("headers"))
    return GraphFailure.of_response(status, headers, json.dumps(body))
