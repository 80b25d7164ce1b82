"""The connection to one Weaviate server: a deadline for every call, a circuit breaker, errors in our words."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import weaviate
from grpc import StatusCode, ssl_channel_credentials  # type: ignore[import-untyped]
from grpc.aio import AioRpcError  # type: ignore[import-untyped]
from httpx import HTTPError, RemoteProtocolError
from weaviate.classes.config import ConsistencyLevel
from weaviate.classes.init import AdditionalConfig, Auth, Timeout
from weaviate.collections import CollectionAsync
from weaviate.config import GrpcConfig, Proxies
from weaviate.exceptions import (
    UnexpectedStatusCodeError,
    WeaviateBaseError,
    WeaviateClosedClientError,
    WeaviateConnectionError,
    WeaviateStartUpError,
    WeaviateTimeoutError,
)

from retrieval.errors import StoreError, StoreUnavailable
from retrieval.weaviate.address import Address
from retrieval.weaviate.breaker import CircuitBreaker

# It logs what it could not write, with the text of the documents.
logging.getLogger("weaviate-client").setLevel(logging.CRITICAL + 1)

WRITE_TIMEOUT_S = 60.0
"""A batch of writes may wait for the server's disk where a question may not."""

_FAILURES_UNTIL_OPEN = 3
_PAUSE_S = 1.0
# gRPC's own back-off grows to two minutes, long after the server is back.
_CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_T = TypeVar("_T")
Collection = CollectionAsync[Any, Any]
Admission = Callable[[], Awaitable[None]]
_SIGNS_OF_LOSS = ("not present in schema", "could not find class", "which does not exist")
_DRIVER_ERRORS = (WeaviateBaseError, HTTPError, AioRpcError, TimeoutError)


class Gone(StoreUnavailable):
    """A collection is not there, or the tenant has no part in it."""


class Connection:
    """
    One tenant's way to a server.

    Every call says what it is for, has a deadline, and fails with a `StoreError`. All that we ask
    of the server is safe to ask twice, so the driver may repeat a call that found no server.
    """

    admit_change: Admission | None = None
    """Awaited before each request that changes rows."""

    def __init__(
        self, address: Address, *, api_key: str | None, tenant: str, timeout_s: float
    ) -> None:
        self._address = address
        self._api_key = api_key
        self._tenant = tenant
        self._timeout_s = timeout_s
        self._breaker = CircuitBreaker(failures=_FAILURES_UNTIL_OPEN, pause_s=_PAUSE_S)
        self._client: weaviate.WeaviateAsyncClient | None = None
        self._retired: list[weaviate.WeaviateAsyncClient] = []
        self._collections: dict[tuple[str, ConsistencyLevel], Collection] = {}
        self._is_suspect = False

    async def open(self) -> None:
        """
        Raises:
            StoreUnavailable: If no server answers.
            StoreError: If it refuses the key, or is no Weaviate.
        """
        await self._guarded(self._connect, "opening the store", self._timeout_s)

    async def ask(
        self,
        collection: str,
        work: Callable[[Collection], Awaitable[_T]],
        what: str,
        *,
        level: ConsistencyLevel = ConsistencyLevel.QUORUM,
        timeout_s: float | None = None,
    ) -> _T:
        """
        What *work* makes of the tenant's part of *collection*.

        Args:
            what: For the error's text, as in "a search took over 5 s".
        """

        async def asked() -> _T:
            return await work(self._handle(collection, level))

        return await self._guarded(asked, what, timeout_s or self._timeout_s)

    async def change(
        self,
        collection: str,
        work: Callable[[Collection], Awaitable[_T]],
        what: str,
        *,
        level: ConsistencyLevel = ConsistencyLevel.ALL,
    ) -> _T:
        """As `ask`, for what changes rows: it may have to wait, and has more time."""
        if self.admit_change is not None:
            await self.admit_change()
        return await self.ask(collection, work, what, level=level, timeout_s=WRITE_TIMEOUT_S)

    async def administer(
        self, work: Callable[[weaviate.WeaviateAsyncClient], Awaitable[_T]], what: str
    ) -> _T:
        """What *work* makes of the whole server, for schemas and tenants."""

        async def administered() -> _T:
            return await work(self._connected())

        return await self._guarded(administered, what, WRITE_TIMEOUT_S)

    async def close(self) -> None:
        clients = [*self._retired, *([self._client] if self._client else [])]
        self._client, self._retired, self._collections = None, [], {}
        for client in clients:
            await client.close()

    async def _guarded(self, work: Callable[[], Awaitable[_T]], what: str, timeout_s: float) -> _T:
        if not self._breaker.admits():
            raise StoreUnavailable(f"Weaviate at {self._address.rest} does not answer")
        try:
            async with asyncio.timeout(timeout_s):
                if self._is_suspect and self._breaker.is_open:
                    await self._renew()
                result = await _twice_if_cut_off(work)
        except _DRIVER_ERRORS as error:
            translated = self._in_our_words(error, what, timeout_s)
            if _is_outage(error):
                self._is_suspect = self._is_suspect or isinstance(error, TimeoutError)
                self._breaker.failed()
            raise translated from error
        self._breaker.succeeded()
        self._is_suspect = False
        return result

    async def _connect(self) -> None:
        client = self._new_client()
        try:
            await client.connect()
        except BaseException:
            await client.close()
            raise
        if self._client is not None:
            self._retired.append(self._client)
        self._client, self._collections = client, {}

    async def _renew(self) -> None:
        # What hangs without being refused may be a connection to a machine that is gone, which the
        # kernel would go on believing in for a quarter of an hour.
        await self._connect()
        self._is_suspect = False
        for client in self._retired[:-1]:
            await client.close()
        del self._retired[:-1]

    def _new_client(self) -> weaviate.WeaviateAsyncClient:
        rest, grpc = self._address.rest, self._address.grpc
        return weaviate.use_async_with_custom(
            rest.host,
            rest.port,
            rest.is_secure,
            grpc.host,
            grpc.port,
            grpc.is_secure,
            auth_credentials=Auth.api_key(self._api_key) if self._api_key else None,
            additional_config=AdditionalConfig(
                # Otherwise httpx would not look at SSL_CERT_FILE.
                trust_env=rest.is_secure,
                proxies=Proxies(),
                timeout=Timeout(
                    init=self._timeout_s, query=self._timeout_s, insert=WRITE_TIMEOUT_S
                ),
                grpc_config=GrpcConfig(
                    channel_options=_CHANNEL_OPTIONS,
                    credentials=_root_certificates() if grpc.is_secure else None,
                ),
            ),
            # They would ask the Python package index for the newest version.
            skip_init_checks=True,
        )

    def _connected(self) -> weaviate.WeaviateAsyncClient:
        if self._client is None:
            raise WeaviateClosedClientError
        return self._client

    def _handle(self, name: str, level: ConsistencyLevel) -> Collection:
        found = self._collections.get((name, level))
        if found is None:
            collection: Collection = self._connected().collections.use(name)
            found = collection.with_tenant(self._tenant).with_consistency_level(level)
            self._collections[name, level] = found
        return found

    def _in_our_words(self, error: Exception, what: str, timeout_s: float) -> StoreError:
        server = f"Weaviate at {self._address.rest}"
        text = str(error)
        code = _rpc_code(error)
        status = error.status_code if isinstance(error, UnexpectedStatusCodeError) else None
        if isinstance(error, WeaviateClosedClientError):
            return StoreUnavailable("the store has been closed")
        if status == 401 or code is StatusCode.UNAUTHENTICATED:
            return StoreError(f"{server} refuses the key; check SHIFU_WEAVIATE__API_KEY")
        if status == 403 or code is StatusCode.PERMISSION_DENIED:
            return StoreError(
                f"{server} does not let this key do {what}; give its user all rights on our collections"
            )
        # Both also happen while the server starts, before it has caught up: it may be asked again.
        if "tenant not found" in text or "tenant not active" in text:
            return Gone(
                f"{server} has no active tenant {self._tenant!r}; it is made when the store is opened, "
                "so restart, or activate it if somebody put it to sleep"
            )
        if any(sign in text for sign in _SIGNS_OF_LOSS):
            return Gone(
                f"{server} does not know a collection of ours; if it is not just starting, restart "
                "shifu to have the collection made anew"
            )
        if isinstance(error, TimeoutError) or code is StatusCode.DEADLINE_EXCEEDED:
            return StoreUnavailable(f"{what} took over {timeout_s:.3g} s: {server} does not answer")
        if status in (404, 405):
            return StoreError(
                f"what answers at {self._address.rest} is no Weaviate; check SHIFU_WEAVIATE__URL"
            )
        if _is_outage(error):
            doubt = ", or its certificate is not trusted; SSL_CERT_FILE names your authority's"
            hint = doubt if self._address.rest.is_secure and code is None else ""
            return StoreUnavailable(f"{what} failed: {server} does not answer{hint}")
        return StoreUnavailable(
            f"{what} failed: {server} does not answer as it should ({_brief(error)})"
        )


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status that made a `StoreError`; None if it was something else."""
    cause = error.__cause__ if error is not None else None
    return cause.status_code if isinstance(cause, UnexpectedStatusCodeError) else None


def _is_outage(error: Exception) -> bool:
    """Whether the server is away, rather than unwilling."""
    if isinstance(error, UnexpectedStatusCodeError):
        return error.status_code in (502, 503, 504)
    if code := _rpc_code(error):
        return code in (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED)
    return isinstance(
        error,
        (
            TimeoutError,
            HTTPError,
            WeaviateConnectionError,
            WeaviateTimeoutError,
            WeaviateStartUpError,
        ),
    )


async def _twice_if_cut_off(work: Callable[[], Awaitable[_T]]) -> _T:
    try:
        return await work()
    except RemoteProtocolError:
        # The server closed a kept-alive connection at the very moment we used it again.
        return await work()


def _root_certificates() -> Any:
    # gRPC brings authorities of its own; a company's is named once, for REST and for gRPC.
    path = os.environ.get("SSL_CERT_FILE")
    return ssl_channel_credentials(Path(path).read_bytes() if path else None)


def _rpc_code(error: BaseException) -> StatusCode | None:
    """The driver turns gRPC errors into sentences; the code is only on the error behind them."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, AioRpcError):
        behind = behind.__cause__ or behind.__context__
    return None if behind is None else behind.code()


def _brief(error: Exception) -> str:
    """Its name and code. Its text may repeat what was asked or written, and ends in a log."""
    code = _rpc_code(error)
    return type(error).__name__ if code is None else f"{type(error).__name__}, {code.name}"
