"""What all parts of the double share: the world, the messages, the clock and what was called."""

import secrets
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.fakes.slack.clock import Clock
from tests.fakes.slack.faults import Faults
from tests.fakes.slack.messages import Message, MessageLog
from tests.fakes.slack.world import Channel, Json, User, World

if TYPE_CHECKING:
    from tests.fakes.slack.delivery import Deliveries

TRIGGER_LIFE_S = 3.0
RESPONSE_URL_LIFE_S = 1_800.0
RESPONSE_URL_USES = 5


@dataclass(slots=True)
class RecordedCall:
    """One request to the Web API; `error` is None when Slack did it."""

    method: str
    args: Json
    home: str | None
    at: float
    status: int = 200
    error: str | None = None
    answer: Json = field(default_factory=dict)
    user_agent: str = ""


@dataclass(slots=True)
class View:
    """A modal or a Home tab; `versions` are the payloads it had."""

    id: str
    kind: str
    user: str
    team: str
    view: Json
    hash: str
    versions: list[Json] = field(default_factory=list)
    is_open: bool = True
    errors: dict[str, str] = field(default_factory=dict)
    """What the app found wrong with the last submission, by block id."""


@dataclass(slots=True)
class Status:
    """What a thread said the app was doing; `api` tells which of the two methods set it."""

    channel: str
    thread_ts: str | None
    status: str
    api: str
    at: float
    loading_messages: list[str] = field(default_factory=list)
    title: str = ""


@dataclass(slots=True)
class Trigger:
    user: str
    team: str
    expires_at: float
    is_used: bool = False


@dataclass(slots=True)
class ResponseUrl:
    channel: Channel
    user: User
    source: Message | None
    """The message whose button was pressed; a command has none, so nothing to replace."""
    thread_ts: str | None
    expires_at: float
    uses: int = 0


class Slack:
    def __init__(self, *, signing_secret: str, app_id: str, app_token: str) -> None:
        self.signing_secret = signing_secret
        self.app_id = app_id
        self.app_token = app_token
        self.client_id, self.client_secret = "111.222", "client-secret"
        self.world = World()
        self.log = MessageLog()
        self.clock = Clock()
        self.faults = Faults(self.clock)
        self.calls: list[RecordedCall] = []
        self.views: dict[str, View] = {}
        self.statuses: list[Status] = []
        self.titles: dict[tuple[str, str | None], str] = {}
        self.prompts: list[Json] = []
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.uploads: dict[str, Json] = {}
        self.oauth_codes: dict[str, Json] = {}
        self.search_results: Json = {}
        self.action_tokens: set[str] = set()
        self.origin = ""
        self.sends_channel_messages = False
        self.sends_own_messages = False
        self.deliveries: Deliveries
        self._ids = count(1)

    def next_id(self, prefix: str) -> str:
        return f"{prefix}{next(self._ids):08d}"

    def new_trigger(self, user: User, team: str) -> str:
        id = f"{next(self._ids)}.{secrets.token_hex(8)}"
        self.triggers[id] = Trigger(user.id, team, self.clock.now() + TRIGGER_LIFE_S)
        return id

    def new_response_url(
        self,
        channel: Channel,
        user: User,
        *,
        source: Message | None = None,
        thread_ts: str | None = None,
    ) -> str:
        id = secrets.token_hex(12)
        expires_at = self.clock.now() + RESPONSE_URL_LIFE_S
        self.response_urls[id] = ResponseUrl(channel, user, source, thread_ts, expires_at)
        return f"{self.origin}/respond/{channel.team}/{id}"

    def post(self, channel: Channel, user: str, **fields: Any) -> Message:
        message = Message(
            ts=self.clock.next_ts(), channel=channel.id, team=channel.team, user=user, **fields
        )
        return self.log.add(message)
