"""Drives a double of Teams that runs in another process."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.fakes import remote
from tests.fakes.remote import RemoteApi


def control(api: Any) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """See `remote.control`; messages that came from here are given back."""

    def resolved(value: Any) -> Any:
        if isinstance(value, dict) and "is_from_app" in value:
            return api.teams.log.find(value["conversation"], value["id"])
        return value

    return remote.control(api, resolved)


class RemoteTeamsApi(RemoteApi):
    """`await remote.call("says", "user", "personal", "hello")`"""
