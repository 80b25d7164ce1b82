"""Graph tells us of people and groups that change: what was asked for, kept up, and taken in."""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiohttp import web

from adapters.chat.directory_cache import DirectoryCache
from adapters.teams.directory import TeamsDirectory
from adapters.teams.failures import what_failed
from adapters.teams.graph import Graph, GraphFailure, quoted
from adapters.teams.json_values import mapping, sequence, text_in
from adapters.teams.manifest import NOTIFICATIONS_PATH
from bot.errors import StateUnavailable, TryLater
from bot.schedules import Schedule
from bot.worker import Job

log = structlog.get_logger()

SUBSCRIBE = "teams-subscriptions"
SUBSCRIBE_SCHEDULE = Schedule(SUBSCRIBE, "7 * * * *")

RESOURCES = ("users", "groups")

# Graph would keep them for four weeks; whoever switches us off is left in peace sooner.
_LIFE = timedelta(days=7)
_RENEWED_WITH = timedelta(days=5)
_SECRET_TTL_S = 30 * 86_400
_OUTAGE_PAUSE_S = 300.0
_STATE_PAUSE_S = 30.0
_MAX_TOKEN = 4_096
_MOST_AT_ONCE = 1_000


class Subscriptions:
    """
    What Graph is asked to tell us, in every tenant that is ours.

    Each goes with a secret that Graph repeats: whoever does not know it tells us nothing. The secrets
    are kept beside what they protect; when they are lost together, new ones are agreed on.

    Args:
        url: Where Graph reaches `NotificationRoutes`, from outside.
    """

    def __init__(
        self,
        graph: Graph,
        cache: DirectoryCache,
        *,
        url: str,
        tenants: Iterable[str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._graph = graph
        self._cache = cache
        self._url = url
        self._tenants = sorted(tenants)
        self._clock = clock

    async def keep_up(self) -> None:
        """
        Ask for what is missing, and for longer.

        Raises:
            GraphFailure: If something was refused, or not answered; the rest was kept up.
            StateUnavailable: If secrets cannot be kept.
        """
        failures = []
        for tenant_id in self._tenants:
            for resource in RESOURCES:
                try:
                    await self._keep_up(self._graph.of(tenant_id), resource)
                except GraphFailure as failure:
                    log.warning(
                        "graph.not_subscribed", resource=resource, reason=what_failed(failure)
                    )
                    failures.append(failure)
        # What will pass comes before what will not.
        if failures:
            raise min(failures, key=_is_lasting)

    async def are_genuine(self, told: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those that repeat the secret. Raises `StateUnavailable`."""
        keyed = [(_key(_tenant_of(one), _kind_of(one)), one) for one in told]
        found = await self._cache.find(list(dict.fromkeys(key for key, _ in keyed)))
        genuine = []
        for key, one in keyed:
            secret, repeated = found.texts.get(key, ""), text_in(one, "clientState")
            if secret and hmac.compare_digest(secret.encode(), repeated.encode("utf-8", "replace")):
                genuine.append(one)
        return genuine

    async def _keep_up(self, graph: Graph, resource: str) -> None:
        now = self._clock()
        known = [
            one
            async for one in graph.pages("subscriptions")
            if text_in(one, "notificationUrl") == self._url
            and text_in(one, "resource").strip("/") == resource
            and _end_of(one) > now
        ]
        secret, is_new = await self._secret(graph.tenant_id, resource)
        if is_new:
            # They repeat a secret that nobody knows any more.
            for one in known:
                await graph.delete(f"subscriptions/{quoted(text_in(one, 'id'))}")
            known = []
        if not known:
            await graph.post("subscriptions", self._asked(resource, secret))
            log.info("graph.subscribed", resource=resource)
        elif all(_end_of(one) - now < _RENEWED_WITH for one in known):
            path = f"subscriptions/{quoted(text_in(known[0], 'id'))}"
            await graph.patch(path, {"expirationDateTime": self._end()})

    async def _secret(self, tenant_id: str, resource: str) -> tuple[str, bool]:
        """Kept before anything is asked for, so that the first notification finds it."""
        key = _key(tenant_id, resource)
        found = await self._cache.find([key])
        secret = found.texts.get(key) or secrets.token_urlsafe(32)
        await self._cache.keep({key: secret}, ttl_s=_SECRET_TTL_S, as_of=found.as_of)
        return secret, key not in found.texts

    def _asked(self, resource: str, secret: str) -> dict[str, Any]:
        return {
            "changeType": "updated,deleted",
            "resource": resource,
            "notificationUrl": self._url,
            "lifecycleNotificationUrl": self._url,
            "expirationDateTime": self._end(),
            "clientState": secret,
            "latestSupportedTlsVersion": "v1_2",
        }

    def _end(self) -> str:
        return (self._clock() + _LIFE).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class SubscriptionsHandler:
    """Keeps them up, as a job that is due at set times."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions

    async def handle(self, job: Job) -> None:
        try:
            await self._subscriptions.keep_up()
        except StateUnavailable as error:
            raise TryLater(_STATE_PAUSE_S) from error
        except GraphFailure as failure:
            # The next one is due anyway, and may find that somebody has done something about it.
            if not _is_lasting(failure):
                raise TryLater(failure.retry_after_s or _OUTAGE_PAUSE_S) from failure

    async def give_up(self, job: Job) -> None:
        log.error("graph.subscriptions_given_up")


class NotificationRoutes:
    """
    Where Graph tells us.

    Args:
        lapsed: Is called when a subscription has ended, or soon will: it has to be kept up now.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        directory: TeamsDirectory,
        lapsed: Callable[[], Awaitable[None]],
    ) -> None:
        self._subscriptions = subscriptions
        self._directory = directory
        self._lapsed = lapsed

    def mount(self, app: web.Application, path: str = NOTIFICATIONS_PATH) -> None:
        app.router.add_post(path, self.take)

    async def take(self, request: web.Request) -> web.Response:
        if token := request.query.get("validationToken"):
            # Anybody may have it said: as plain text it is nothing but that.
            headers = {"X-Content-Type-Options": "nosniff"}
            return web.Response(text=token[:_MAX_TOKEN], headers=headers)
        try:
            body = await request.json()
        except (ValueError, RecursionError, LookupError):
            return web.Response(status=400)
        listed = sequence(mapping(body).get("value"))[:_MOST_AT_ONCE]
        told = [one for one in listed if isinstance(one, Mapping)]
        try:
            genuine = await self._subscriptions.are_genuine(told)
            for one in genuine:
                await self._take(one)
        except UnicodeError:
            return web.Response(status=400)
        except StateUnavailable:
            # Graph tells us again.
            return web.Response(status=503)
        if len(genuine) < len(told):
            log.warning("graph.notifications_not_genuine", count=len(told) - len(genuine))
        return web.Response(status=202)

    async def _take(self, told: Mapping[str, Any]) -> None:
        tenant_id, kind = _tenant_of(told), _kind_of(told)
        match text_in(told, "lifecycleEvent"):
            case "":
                id = _id_of(told)
                if kind == "users" and id:
                    await self._directory.person_changed(tenant_id, id)
                else:
                    await self._directory.group_changed(tenant_id, id)
            case "missed":
                await self._directory.group_changed(tenant_id, "")
            case _:
                await self._lapsed()


def _is_lasting(failure: GraphFailure) -> bool:
    return 400 <= failure.status < 500 and not failure.is_throttled


def _end_of(subscription: Mapping[str, Any]) -> datetime:
    """That of one which does not say it is long past."""
    try:
        end = datetime.fromisoformat(text_in(subscription, "expirationDateTime"))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return end if end.tzinfo else end.replace(tzinfo=UTC)


def _tenant_of(told: Mapping[str, Any]) -> str:
    return text_in(told, "tenantId").lower()


def _kind_of(told: Mapping[str, Any]) -> str:
    return text_in(told, "resource").strip("/").partition("/")[0].lower()


def _id_of(told: Mapping[str, Any]) -> str:
    id = text_in(mapping(told.get("resourceData")), "id")
    return id or text_in(told, "resource").strip("/").partition("/")[2]


def _key(tenant_id: str, resource: str) -> str:
    return f"subscription:{tenant_id}/{resource}"
