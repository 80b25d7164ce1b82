"""What all parts of the double share: the world, the messages, the clock and what was called."""

import base64
import json
import secrets
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes.teams.clock import Clock
from tests.fakes.teams.faults import Faults
from tests.fakes.teams.messages import Message, MessageLog
from tests.fakes.teams.world import Conversation, File, Json, User, World

if TYPE_CHECKING:
    from tests.fakes.teams.delivery import Deliveries
    from tests.fakes.teams.signing import Keys
    from tests.fakes.teams.subscriptions import Subscriptions

BOT_SCOPE = "https://api.botframework.com/.default"
DOWNLOAD_LIFE_S = 3_600.0
TOKEN_LIFE_S = 3_599.0


@dataclass(slots=True)
class RecordedCall:
    """One request; `code` is empty when Teams did what it was asked."""

    name: str
    method: str
    path: str
    body: Any
    query: dict[str, str]
    at: float
    status: int = 200
    code: str = ""
    answer: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class TokenRequest:
    tenant: str
    scope: str
    way: str
    """`secret`, `certificate` or `managed identity`."""
    status: int
    at: float


@dataclass(slots=True)
class Grant:
    tenant: str
    scope: str
    expires_at: float


@dataclass(slots=True)
class PressAnswer:
    """What the app answered when somebody pressed a button of a card."""

    user: str
    message: str
    verb: str
    body: Json


@dataclass(slots=True)
class Typing:
    conversation: str
    thread: str | None
    at: float


class Teams:
    def __init__(self, *, app_id: str, app_password: str) -> None:
        self.app_id = app_id
        self.app_password = app_password
        self.app_certificate: str | None = None
        """The public half, as PEM; set: the app may prove itself with the private half."""
        self.app_tenant = ""
        self.bot_name = "Shifu"
        self.world = World()
        self.log = MessageLog()
        self.clock = Clock()
        self.faults = Faults(self.clock)
        self.calls: list[RecordedCall] = []
        self.token_requests: list[TokenRequest] = []
        self.grants: dict[str, Grant] = {}
        self.typing: list[Typing] = []
        self.presses: list[PressAnswer] = []
        self.drives: Any = None
        """What a double of document libraries keeps here."""
        self.channel_deltas: Any = None
        """What a double of changes in channels keeps here."""
        self.origin = ""
        self.region = "amer"
        self.stream_pace_s = 1.0
        self.least_page = 50
        """Teams gives no smaller page; a test with few people may want one."""
        self.extension_timeout_s = 5.0
        self.checks_tokens = True
        self.tells_group_ids = True
        """Activities from a team name its group; not all of Teams' do."""
        self.deliveries: Deliveries
        self.keys: Keys
        self.subscriptions: Subscriptions
        self._ids = count(1)

    @property
    def bot_id(self) -> str:
        return f"28:{self.app_id}"

    @property
    def service_url(self) -> str:
        return f"{self.origin}/{self.region}/"

    @property
    def graph_url(self) -> str:
        return f"{self.origin}/graph"

    def next_id(self, prefix: str = "") -> str:
        return f"{prefix}{next(self._ids):08d}"

    def personal(self, user: User) -> Conversation:
        """The chat of one person with the app, which exists even before it is installed."""
        id = f"a:1{user.mri.removeprefix('29:')}"
        if id not in self.world.conversations:
            place = Conversation(id, "personal", user.tenant, members=[user.id])
            self.world.conversations[id] = place
        return self.world.conversations[id]

    def grant(self, tenant: str, scope: str) -> str:
        """A token that says, as those for Graph do, what an administrator has agreed to."""
        agreed = self.world.tenants[tenant].permissions if tenant in self.world.tenants else set()
        roles = {} if scope == BOT_SCOPE or not agreed else {"roles": sorted(agreed)}
        claims = base64.urlsafe_b64encode(json.dumps(roles).encode()).decode().rstrip("=")
        token = f"token.{claims}.{secrets.token_urlsafe(24)}"
        self.grants[token] = Grant(tenant, scope, self.clock.now() + TOKEN_LIFE_S)
        return token

    def ticket(self, file: File) -> str:
        """A pre-signed address that ends after an hour."""
        ticket = secrets.token_urlsafe(12)
        file.tickets[ticket] = self.clock.now() + DOWNLOAD_LIFE_S
        return f"{self.origin}/download/{file.id}?tempauth={ticket}"

    def record(self, name: str, request: web.Request, body: Any = None) -> RecordedCall:
        query, path = dict(request.query), request.rel_url.raw_path
        headers = {key.title(): value for key, value in request.headers.items()}
        call = RecordedCall(
            name, request.method, path, body, query, self.clock.now(), headers=headers
        )
        self.calls.append(call)
        return call

    def post(
        self, place: Conversation, author: str, body: Json, *, is_from_app: bool, **fields: Any
    ) -> Message:
        id = fields.pop("id", None) or self.clock.next_id()
        return self.log.add(
            Message(
                id=id,
                conversation=place.id,
                author=author,
                is_from_app=is_from_app,
                created_at=self.clock.now(),
                body=body,
                **fields,
            )
        )
