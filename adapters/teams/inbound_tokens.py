"""Who may deliver activities: Teams' Bot Connector, for this bot and the tenants that are ours, alone."""

import asyncio
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt
import structlog

from adapters.teams.hosts import KnownHosts
from adapters.teams.json_values import mapping, sequence, text

log = structlog.get_logger()

_CHANNEL_ID = "msteams"

_DAY_S = 86_400.0
# Keys are announced before they are used. Whoever sends tokens with invented keys shall not make us ask
# for them each time.
_REFETCH_S = 300.0
_TRY_AGAIN_S = 10.0
# The keys of yesterday are better than no bot; those of the week before may have been withdrawn.
_STALE_S = 3 * _DAY_S
_FETCH_TIMEOUT_S = 5.0
_LEEWAY_S = 300
_MAX_TOKEN = 16_384
_MAX_KEYS_BYTES = 1024 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]+){2}")


class Denied(Exception):
    """
    Somebody else than Teams, or not for us: to be answered with 401.

    Attributes:
        reason: One word for the log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeysUnavailable(Exception):
    """It cannot be checked now: to be answered with 503, after which Teams delivers it again."""


@dataclass(frozen=True, slots=True)
class _Key:
    key: Any
    endorsements: frozenset[str]


class InboundTokens:
    """
    Args:
        app_id: Whom tokens must be for.
        tenants: Entra tenants whose conversations we take part in.
        hosts: Where the Bot Connector may say it answers.
        http: Asks for the keys.
    """

    def __init__(
        self,
        app_id: str,
        tenants: Collection[str],
        hosts: KnownHosts,
        http: aiohttp.ClientSession,
        *,
        keys_url: str,
        issuer: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app_id = app_id
        self._tenants = frozenset(tenant.lower() for tenant in tenants)
        self._hosts = hosts
        self._http = http
        self._keys_url = keys_url
        self._issuer = issuer
        self._clock = clock
        self._keys: Mapping[str, _Key] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def check(self, header: str, activity: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        The token's claims, if it is good for this very activity.

        Args:
            header: `Authorization`, as it came.

        Raises:
            Denied: With the reason; the sender learns nothing of it.
            KeysUnavailable: If Microsoft's keys cannot be had.
        """
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer":
            raise Denied("scheme")
        if len(token) > _MAX_TOKEN or _TOKEN.fullmatch(token) is None:
            raise Denied("malformed")
        key = await self._key(_key_id(token))
        claims = self._claims(token, key)
        self._check_service_url(claims, activity)
        if activity.get("channelId") != _CHANNEL_ID or _CHANNEL_ID not in key.endorsements:
            raise Denied("channel")
        if conversation_tenant(activity) not in self._tenants:
            raise Denied("tenant")
        return claims

    def _claims(self, token: str, key: _Key) -> Mapping[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=["RS256"],
                audience=self._app_id,
                issuer=self._issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "serviceurl"]},
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Denied(type(error).__name__) from None
        return claims

    def _check_service_url(self, claims: Mapping[str, Any], activity: Mapping[str, Any]) -> None:
        """Our replies, and the bot's token with them, go there."""
        claimed, url = claims["serviceurl"], activity.get("serviceUrl")
        if not isinstance(claimed, str) or not isinstance(url, str) or not url:
            raise Denied("serviceUrl")
        if claimed.rstrip("/") != url.rstrip("/") or not self._hosts.has_service(url):
            raise Denied("serviceUrl")

    async def _key(self, id: str) -> _Key:
        if not self._is_fresh(id):
            async with self._lock:
                # Whoever waited finds what the one before them fetched.
                if not self._is_fresh(id):
                    await self._fetch(id)
        if id not in self._keys:
            raise Denied("key")
        return self._keys[id]

    def _is_fresh(self, id: str) -> bool:
        age_s = self._clock() - self._fetched_at
        return age_s < (_DAY_S if id in self._keys else _REFETCH_S)

    async def _fetch(self, id: str) -> None:
        """Leaves the keys as they are where those still serve, however old."""
        now = self._clock()
        reason = "tried"
        if now - self._tried_at >= _TRY_AGAIN_S:
            self._tried_at = now
            try:
                self._keys = await self._fetched()
                self._fetched_at = self._clock()
                return
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                reason = type(error).__name__
                log.warning("teams.keys_unavailable", reason=reason)
        if id not in self._keys or now - self._fetched_at > _STALE_S:
            raise KeysUnavailable(reason)

    async def _fetched(self) -> Mapping[str, _Key]:
        timeout = aiohttp.ClientTimeout(total=_FETCH_TIMEOUT_S)
        async with self._http.get(
            self._keys_url, timeout=timeout, allow_redirects=False
        ) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            if (response.content_length or 0) > _MAX_KEYS_BYTES:
                raise ValueError("too large")
            told = await response.json(content_type=None)
        keys = dict(_read_keys(sequence(mapping(told).get("keys"))))
        if not keys:
            raise ValueError("no keys")
        return keys


def conversation_tenant(activity: Mapping[str, Any]) -> str:
    """
    The Entra tenant that the conversation belongs to, in lower case; empty if it is not told.

    Where an outsider takes part in a conversation of ours, the rest of the activity may name their
    tenant: what they may read is decided by who they are, not here.
    """
    tenant = mapping(mapping(activity.get("channelData")).get("tenant"))
    told = mapping(activity.get("conversation")).get("tenantId") or tenant.get("id")
    return text(told).lower()


def _key_id(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Denied("malformed") from None
    id = header.get("kid")
    # Before any key is looked for: tokens without a signature, or with one of another kind.
    if header.get("alg") != "RS256" or not isinstance(id, str) or not id:
        raise Denied("algorithm")
    return id


def _read_keys(entries: Iterable[Any]) -> Iterator[tuple[str, _Key]]:
    for entry in entries:
        if not isinstance(entry, Mapping) or entry.get("kty") != "RSA":
            continue
        id, endorsements = entry.get("kid"), entry.get("endorsements")
        if not isinstance(id, str) or not isinstance(endorsements, list):
            continue
        try:
            key = jwt.PyJWK(dict(entry), algorithm="RS256").key
        except (jwt.PyJWTError, ValueError, TypeError):
            # One entry that we do not understand is no reason to refuse the others.
            continue
        yield id, _Key(key, frozenset(e for e in endorsements if isinstance(e, str)))
