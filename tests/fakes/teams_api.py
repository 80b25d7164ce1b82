"""
A double of Teams on loopback: it holds a world, refuses what Teams refuses, and delivers what people do.

It is the Bot Connector, Microsoft Graph, the login and the signing keys in one server.
`async with TeamsApi() as api:` in a test, or `python -m tests.fakes.teams_api --port N` as its own
process, which other processes drive with `RemoteTeamsApi`.
"""

import argparse
import asyncio
import sys
from types import TracebackType
from typing import Any, Self

from tests.fakes.teams.builder import Building
from tests.fakes.teams.changing import Changing
from tests.fakes.teams.delivery import Attempt, Deliveries, Delivery
from tests.fakes.teams.dialogs import Dialog, Dialogs
from tests.fakes.teams.faulty import Failing
from tests.fakes.teams.messages import Message
from tests.fakes.teams.observing import Observing
from tests.fakes.teams.platform import RecordedCall, Teams, TokenRequest, Typing
from tests.fakes.teams.remote import RemoteTeamsApi, control
from tests.fakes.teams.server import Server
from tests.fakes.teams.signing import ISSUER, Keys
from tests.fakes.teams.speaking import Speaking
from tests.fakes.teams.subscriptions import Notification, Subscription, Subscriptions
from tests.fakes.teams.world import Conversation, File, Group, Team, Tenant, User

__all__ = [
    "ISSUER",
    "Attempt",
    "Conversation",
    "Delivery",
    "Dialog",
    "File",
    "Group",
    "Message",
    "Notification",
    "RecordedCall",
    "RemoteTeamsApi",
    "Subscription",
    "Team",
    "TeamsApi",
    "Tenant",
    "TokenRequest",
    "Typing",
    "User",
]


class TeamsApi(Building, Changing, Speaking, Dialogs, Failing, Observing):
    """
    One Teams with one app. Set `bot_url` to where the app takes activities.

    Args:
        answer_timeout_s: Teams waits 15 s for an answer.
        retry_factor: Shortens the pauses between the deliveries of one activity.
    """

    def __init__(
        self,
        *,
        app_id: str = "a0000000-0000-4000-8000-000000000000",
        app_password: str = "app-password",
        answer_timeout_s: float = 15.0,
        retry_factor: float = 0.01,
        port: int = 0,
    ) -> None:
        super().__init__(Teams(app_id=app_id, app_password=app_password))
        self.teams.keys = Keys(self.teams)
        self.teams.subscriptions = Subscriptions(self.teams)
        self.teams.deliveries = Deliveries(
            self.teams, answer_timeout_s=answer_timeout_s, retry_factor=retry_factor
        )
        self._port = port
        self._server = Server(self.teams, control(self))

    @property
    def origin(self) -> str:
        return self.teams.origin

    @property
    def service_url(self) -> str:
        """Where the app is told to answer."""
        return self.teams.service_url

    @property
    def graph_url(self) -> str:
        """What to give a client in place of `https://graph.microsoft.com`."""
        return self.teams.graph_url

    @property
    def login_url(self) -> str:
        """What to give a client in place of `https://login.microsoftonline.com`."""
        return f"{self.teams.origin}/login"

    @property
    def keys_url(self) -> str:
        return f"{self.teams.origin}/keys"

    @property
    def issuer(self) -> str:
        return ISSUER

    @property
    def app_id(self) -> str:
        return self.teams.app_id

    @property
    def app_password(self) -> str:
        return self.teams.app_password

    @property
    def bot_id(self) -> str:
        return self.teams.bot_id

    @property
    def bot_url(self) -> str | None:
        """Where activities are delivered."""
        return self.teams.deliveries.bot_url

    @bot_url.setter
    def bot_url(self, url: str | None) -> None:
        self.teams.deliveries.bot_url = url

    @property
    def stream_pace_s(self) -> float:
        """How far apart the steps of a stream have to be."""
        return self.teams.stream_pace_s

    @stream_pace_s.setter
    def stream_pace_s(self, seconds: float) -> None:
        self.teams.stream_pace_s = seconds

    @property
    def least_page(self) -> int:
        """Teams gives rosters in pages of 50 at least; a test with few people may want less."""
        return self.teams.least_page

    @least_page.setter
    def least_page(self, size: int) -> None:
        self.teams.least_page = size

    @property
    def region(self) -> str:
        """`amer`, `emea`, `apac` or `in`: part of the service URL, which changes with it."""
        return self.teams.region

    @region.setter
    def region(self, region: str) -> None:
        self.teams.region = region

    @property
    def tells_group_ids(self) -> bool:
        """Messages from a team name its group in Entra, as not all of Teams' do."""
        return self.teams.tells_group_ids

    @tells_group_ids.setter
    def tells_group_ids(self, on: bool) -> None:
        self.teams.tells_group_ids = on

    @property
    def app_certificate(self) -> str | None:
        """The public half, as PEM; set: the app may prove itself with the private half."""
        return self.teams.app_certificate

    @app_certificate.setter
    def app_certificate(self, pem: str | None) -> None:
        self.teams.app_certificate = pem

    def token(self, **overrides: Any) -> str:
        """What the app takes for a token of Teams; see `Keys.token` for ways to forge."""
        return self.teams.keys.token(**overrides)

    async def start(self) -> None:
        await self._server.start(self._port)

    async def close(self) -> None:
        await self.teams.deliveries.close()
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
        await self.close()


async def _serve(port: int) -> None:
    async with TeamsApi(port=port) as api:
        print(api.origin, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    try:
        asyncio.run(_serve(parser.parse_args().port))
    except KeyboardInterrupt:
        sys.exit(0)
