"""Graph's change notifications: who asked to be told of what, and the telling."""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from tests.fakes.teams.clock import stamp
from tests.fakes.teams.graph import GRAPH, needs, not_found
from tests.fakes.teams.platform import Teams
from tests.fakes.teams.routes import Answer, Call
from tests.fakes.teams.world import Json, Refused

VALIDATION_TIMEOUT_S = 10.0
# In minutes; of people and groups, and of what is Teams' own.
LONGEST, LONGEST_OF_TEAMS = 41_760, 4_320
_NEEDED = {
    "users": ("User.Read.All",),
    "groups": ("GroupMember.Read.All", "Group.Read.All"),
    "teams": ("TeamMember.Read.All", "ChannelMember.Read.All", "Team.ReadBasic.All"),
    "chats": ("Chat.Read.All", "ChatMember.Read.All"),
    "drives": ("Files.Read.All", "Sites.Read.All"),
    "sites": ("Sites.Read.All",),
}


@dataclass(slots=True)
class Subscription:
    id: str
    tenant: str
    resource: str
    changes: frozenset[str]
    notification_url: str
    lifecycle_url: str
    client_state: str
    expires_at: float

    def json(self) -> Json:
        return {
            "id": self.id,
            "resource": self.resource,
            "changeType": ",".join(sorted(self.changes)),
            "notificationUrl": self.notification_url,
            "lifecycleNotificationUrl": self.lifecycle_url or None,
            "expirationDateTime": stamp(self.expires_at),
            # Graph keeps what only the two of them know to itself.
            "clientState": None,
        }


@dataclass(slots=True)
class Notification:
    """One that was sent, and what the app answered."""

    subscription: str
    body: Json
    status: int | None = None


class Subscriptions:
    def __init__(self, teams: Teams) -> None:
        self._teams = teams
        self.open: dict[str, Subscription] = {}
        self.sent: list[Notification] = []

    def changed(self, tenant: str, resource: str, change: str, data: Json) -> None:
        """Tell those who asked of *resource*, or of all of its kind, behind what goes on here."""
        for subscription in list(self.open.values()):
            asked = subscription.resource.strip("/").split("?")[0].lower()
            names = resource.lower()
            is_asked = asked == names or names.startswith(f"{asked}/")
            is_open = subscription.expires_at > self._teams.clock.now()
            is_meant = subscription.tenant == tenant and change in subscription.changes
            if is_asked and is_open and is_meant:
                self._teams.deliveries.spawn(self.tell(subscription, resource, change, data))

    async def tell(
        self,
        subscription: Subscription,
        resource: str,
        change: str,
        data: Json,
        *,
        client_state: str | None = None,
        url: str | None = None,
        **more: Any,
    ) -> Notification:
        """*client_state*: in place of the true one, as somebody else would."""
        told: Json = {
            "subscriptionId": subscription.id,
            "clientState": subscription.client_state if client_state is None else client_state,
            "tenantId": subscription.tenant,
            "resource": resource,
            "subscriptionExpirationDateTime": stamp(subscription.expires_at),
        }
        told |= {"changeType": change, "resourceData": data} if change else {}
        sent = Notification(subscription.id, {"value": [told | more]})
        self.sent.append(sent)
        timeout = aiohttp.ClientTimeout(total=VALIDATION_TIMEOUT_S)
        try:
            async with self._teams.deliveries.session.post(
                url or subscription.notification_url, json=sent.body, timeout=timeout
            ) as response:
                sent.status = response.status
        except (aiohttp.ClientError, TimeoutError):
            sent.status = None
        return sent

    async def validate(self, url: str) -> None:
        """Whoever is to be told has to say so first."""
        token = f"Validation: Testing client application {secrets.token_urlsafe(8)}"
        refused = Refused(400, "ValidationError", "Subscription validation request failed.")
        timeout = aiohttp.ClientTimeout(total=VALIDATION_TIMEOUT_S)
        try:
            async with self._teams.deliveries.session.post(
                url, params={"validationToken": token}, timeout=timeout
            ) as response:
                text, kind = await response.text(), response.content_type
                if response.status != 200 or text != token or kind != "text/plain":
                    raise refused
        except (aiohttp.ClientError, TimeoutError):
            raise refused from None


@GRAPH.add("POST", "/subscriptions")
async def create(call: Call) -> Answer:
    body: Any = call.body or {}
    resource = str(body.get("resource") or "").strip("/")
    kind = resource.split("/")[0].split("?")[0].lower()
    if kind not in _NEEDED or not body.get("changeType") or not body.get("notificationUrl"):
        raise Refused(400, "InvalidRequest", "The subscription is incomplete.")
    needs(call, *_NEEDED[kind])
    changes = frozenset(str(body["changeType"]).split(","))
    if not changes <= {"created", "updated", "deleted"} or len(body.get("clientState") or "") > 128:
        raise Refused(400, "InvalidRequest", "The subscription is invalid.")
    expires_at = _expiry(call, kind, body)
    urls = [str(body["notificationUrl"]), str(body.get("lifecycleNotificationUrl") or "")]
    await asyncio.gather(*(call.teams.subscriptions.validate(url) for url in urls if url))
    subscription = Subscription(
        id=f"subscription-{call.teams.next_id()}",
        tenant=call.tenant_id,
        resource=resource,
        changes=changes,
        notification_url=urls[0],
        lifecycle_url=urls[1],
        client_state=str(body.get("clientState") or ""),
        expires_at=expires_at,
    )
    call.teams.subscriptions.open[subscription.id] = subscription
    return Answer(201, subscription.json())


@GRAPH.add("GET", "/subscriptions")
def listed(call: Call) -> Json:
    found = call.teams.subscriptions.open.values()
    return {"value": [s.json() for s in found if s.tenant == call.tenant_id]}


@GRAPH.add("GET", "/subscriptions/{id}")
def get(call: Call) -> Json:
    return _found(call).json()


@GRAPH.add("PATCH", "/subscriptions/{id}")
def renew(call: Call) -> Json:
    subscription = _found(call)
    kind = subscription.resource.split("/")[0].lower()
    subscription.expires_at = _expiry(call, kind, call.body or {})
    return subscription.json()


@GRAPH.add("DELETE", "/subscriptions/{id}")
def delete(call: Call) -> Answer:
    del call.teams.subscriptions.open[_found(call).id]
    return Answer(204)


def _found(call: Call) -> Subscription:
    found = call.teams.subscriptions.open.get(call.params["id"])
    now = call.teams.clock.now()
    if found is None or found.tenant != call.tenant_id or found.expires_at < now:
        raise not_found(call.params["id"])
    return found


def _expiry(call: Call, kind: str, body: Json) -> float:
    try:
        at = datetime.fromisoformat(str(body.get("expirationDateTime"))).timestamp()
    except ValueError:
        raise Refused(400, "InvalidRequest", "expirationDateTime is invalid.") from None
    longest = LONGEST_OF_TEAMS if kind in ("teams", "chats") else LONGEST
    if not 0 < at - call.teams.clock.now() <= longest * 60:
        raise Refused(400, "InvalidRequest", "Subscription expiration is out of range.")
    return at
