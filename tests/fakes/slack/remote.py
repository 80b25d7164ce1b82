"""Drives a double of Slack that runs in another process."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.fakes import remote
from tests.fakes.remote import RemoteApi


def control(api: Any) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """See `remote.control`; messages and views that came from here are given back."""

    def resolved(value: Any) -> Any:
        if isinstance(value, dict) and "ts" in value and "channel" in value:
            place = api.slack.world.the_channel(value["channel"], value["team"])
            return api.slack.log.find(place, value["ts"])
        if isinstance(value, dict) and value.get("id") in api.slack.views:
            return api.slack.views[value["id"]]
        return value

    return remote.control(api, resolved)


class RemoteSlackApi(RemoteApi):
    """`await remote.call("mention", "U1", "C1", "hello")`; *url*: of the Web API."""

    def __init__(self, url: str) -> None:
        super().__init__(url.removesuffix("/").removesuffix("/api"))
        self.url = url
