"""A table of routes that HTTP requests and the parts of a Graph batch are both found in."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from aiohttp import web

from tests.fakes.teams.world import Json, Tenant, World

if TYPE_CHECKING:
    from tests.fakes.teams.platform import Teams


@dataclass(slots=True)
class Answer:
    status: int
    body: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)


Handled = Answer | Json | web.StreamResponse | None
Handler = Callable[["Call"], Handled | Awaitable[Handled]]
H = TypeVar("H", bound=Callable[..., Any])


@dataclass(slots=True)
class Call:
    """One request, with its path taken apart."""

    teams: "Teams"
    name: str
    params: dict[str, str]
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    tenant_id: str = ""
    """Of the token that it came with."""
    path: str = ""

    @property
    def world(self) -> World:
        return self.teams.world

    @property
    def tenant(self) -> Tenant:
        return self.teams.world.tenants[self.tenant_id]


@dataclass(slots=True)
class Route:
    method: str
    pattern: str
    name: str
    handler: Handler
    regex: re.Pattern[str]


class Routes:
    """Patterns such as `/users/{id}/messages`; `{path:*}` takes slashes too."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def add(self, method: str, pattern: str, name: str = "") -> Callable[[H], H]:
        def register(handler: H) -> H:
            regex = re.compile(_regex(pattern), re.IGNORECASE)
            self._routes.append(Route(method, pattern, name or pattern, handler, regex))
            # What says more comes first, whichever part was imported before.
            self._routes.sort(key=lambda route: -len(re.sub(r"{[^}]*}", "", route.pattern)))
            return handler

        return register

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
        """*raw_path* with its percent signs, so that an escaped slash stays within its part."""
        for route in self._routes:
            if route.method == method and (match := route.regex.fullmatch(raw_path)):
                return route, {name: unquote(text) for name, text in match.groupdict().items()}
        return None


def _regex(pattern: str) -> str:
    pieces = re.split(r"(\{\w+(?::\*)?\})", pattern)
    out = ""
    for piece in pieces:
        if piece.startswith("{"):
            name, _, rest = piece[1:-1].partition(":")
            out += f"(?P<{name}>.+)" if rest else f"(?P<{name}>[^/]+)"
        else:
            out += re.escape(piece)
    return out
