"""
A double of Slack on loopback: it holds a world, refuses what Slack refuses, and delivers what people do.

`async with SlackApi() as api:` in a test, or `python -m tests.fakes.slack_api --port N` as its own
process, which other processes drive with `RemoteSlackApi`.
"""

import argparse
import asyncio
import sys
from types import TracebackType
from typing import Self

from tests.fakes.slack.builder import Building
from tests.fakes.slack.changing import Changing
from tests.fakes.slack.delivery import Deliveries, Delivery
from tests.fakes.slack.faulty import Failing
from tests.fakes.slack.interacting import Interacting
from tests.fakes.slack.messages import Message
from tests.fakes.slack.methods import METHODS
from tests.fakes.slack.observing import Observing
from tests.fakes.slack.platform import RecordedCall, Slack, Status, View
from tests.fakes.slack.remote import RemoteSlackApi, control
from tests.fakes.slack.server import Server
from tests.fakes.slack.speaking import Speaking
from tests.fakes.slack.surfaces import Surfaces

__all__ = [
    "METHODS",
    "Delivery",
    "Message",
    "RecordedCall",
    "RemoteSlackApi",
    "SlackApi",
    "Status",
    "View",
]


class SlackApi(Building, Changing, Speaking, Surfaces, Interacting, Failing, Observing):
    """
    One Slack with one app: `api.url` is the client's base URL, `api.request_url` where HTTP deliveries go.

    Args:
        ack_timeout_s: Slack waits 3 s for an acknowledgement.
        retry_factor: Shortens the minutes between the deliveries of one event.
    """

    def __init__(
        self,
        *,
        signing_secret: str = "signing-secret",
        app_id: str = "A1",
        app_token: str = "xapp-1",
        ack_timeout_s: float = 3.0,
        retry_factor: float = 0.001,
        port: int = 0,
    ) -> None:
        super().__init__(Slack(signing_secret=signing_secret, app_id=app_id, app_token=app_token))
        self.slack.deliveries = Deliveries(
            self.slack, ack_timeout_s=ack_timeout_s, retry_factor=retry_factor
        )
        self._port = port
        self._server = Server(self.slack, control(self))

    @property
    def url(self) -> str:
        """What to give a client as `base_url`."""
        return f"{self.slack.origin}/api/"

    @property
    def origin(self) -> str:
        return self.slack.origin

    @property
    def signing_secret(self) -> str:
        return self.slack.signing_secret

    @property
    def app_token(self) -> str:
        return self.slack.app_token

    @property
    def client_id(self) -> str:
        return self.slack.client_id

    @property
    def client_secret(self) -> str:
        return self.slack.client_secret

    @property
    def request_url(self) -> str | None:
        """Set: deliveries go there by HTTP. None: to the Socket Mode connections."""
        return self.slack.deliveries.request_url

    @request_url.setter
    def request_url(self, url: str | None) -> None:
        self.slack.deliveries.request_url = url

    @property
    def sends_channel_messages(self) -> bool:
        """The app is subscribed to every message of the channels that it is in."""
        return self.slack.sends_channel_messages

    @sends_channel_messages.setter
    def sends_channel_messages(self, on: bool) -> None:
        self.slack.sends_channel_messages = on

    @property
    def sends_own_messages(self) -> bool:
        """The app's own posts come back as events, as they do in Slack."""
        return self.slack.sends_own_messages

    @sends_own_messages.setter
    def sends_own_messages(self, on: bool) -> None:
        self.slack.sends_own_messages = on

    async def start(self) -> None:
        await self._server.start(self._port)

    async def stop(self) -> None:
        await self.slack.deliveries.close()
        await self._server.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()


async def _serve(port: int) -> None:
    async with SlackApi(port=port) as api:
        print(api.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    try:
        asyncio.run(_serve(parser.parse_args().port))
    except KeyboardInterrupt:
        sys.exit(0)
