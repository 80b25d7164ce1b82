"""How we talk to Redis 6.2 or newer, alone, behind Sentinels or as a Cluster; its failures in our own words."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import ExponentialWithJitterBackoff

from bot.errors import StateUnavailable
from bot.redis_failures import what_it_means

T = TypeVar("T")
RedisClient = Redis | RedisCluster


def open_redis(url: str, *, max_connections: int = 150, timeout_s: float = 5) -> RedisClient:
    """
    A client for *url* whose callers wait for a connection; to be closed by `close_redis`.

    A command whose reply is lost is sent up to twice more, so whatever is sent must bear that.

    Args:
        url: `redis://`, `unix://`, `redis+sentinel://HOST,HOST/SERVICE/0`, `redis+cluster://HOST,HOST`,
            and with `rediss` for TLS.

    Raises:
        StateUnavailable: If *url* is none of these.
    """
    options: dict[str, Any] = {
        "decode_responses": True,
        # Proxies and restricted users refuse what the newer protocol asks for on connecting.
        "protocol": 2,
        "max_connections": max_connections,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        # The default of ten repetitions makes a dead server cost half a minute.
        "retry": Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), 2),
    }
    try:
        address = urlsplit(url)
        match address.scheme.split("+"):
            case ["redis" | "rediss", "sentinel"]:
                return _open_by_sentinel(address, options)
            case ["redis" | "rediss", "cluster"]:
                return _open_cluster(address, options)
            case _:
                pool = BlockingConnectionPool.from_url(url, timeout=timeout_s, **options)
                return _client_of(pool)
    except (ValueError, TypeError):
        # The cause is left out: it may hold the password.
        raise StateUnavailable(
            "The address of Redis in SHIFU_REDIS__URL is not understood. It looks like "
            "redis://HOST:6379/0, rediss://USER:PASSWORD@HOST:6379/0, unix:///PATH/redis.sock, "
            "redis+sentinel://USER:PASSWORD@HOST1:26379,HOST2:26379/SERVICE/0 or "
            "redis+cluster://USER:PASSWORD@HOST1:6379,HOST2:6379 (rediss+... for TLS)."
        ) from None


async def close_redis(redis: RedisClient) -> None:
    await redis.aclose()
    if isinstance(redis, RedisCluster):
        # After an error it takes itself for closed, and would leave its connections behind.
        await redis.nodes_manager.aclose()
        await redis.nodes_manager.aclose("startup_nodes")


async def answered(command: Awaitable[T], *, timeout_s: float) -> T:
    """The reply to *command*; `StateUnavailable` when none comes in time, or a refusal."""
    task = asyncio.current_task()
    cancelled_before = task.cancelling() if task else 0
    try:
        async with asyncio.timeout(timeout_s):
            return await command
    # asyncio's TimeoutError is an OSError; a Cluster's errors are not all RedisErrors.
    except (redis_errors.RedisError, redis_errors.RedisClusterException, OSError) as error:
        raise StateUnavailable(what_it_means(error)) from error
    finally:
        # Until Python 3.12 a time limit inside the library may swallow a cancellation that comes
        # when it has just been met; whoever was to end would go on.
        if task and task.cancelling() > cancelled_before:
            raise asyncio.CancelledError


async def run_script(
    redis: RedisClient, script: str, keys: Sequence[str], *args: str | int, timeout_s: float
) -> Any:
    """What a Lua *script* returns. In a Cluster *keys* must share one hash tag."""
    # Sent in full: a digest would save some bytes and has to be mended after each restart.
    evaluated = redis.eval(script, len(keys), *keys, *map(str, args))
    return await answered(evaluated, timeout_s=timeout_s)


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Asks the Sentinels for the primary, and lets callers wait for a connection to it."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        await super().disconnect(inuse_connections)
        if inuse_connections:
            # Closing for good, and not because the primary is another one now.
            await self.sentinel_manager.aclose()


class _PatientCluster(RedisCluster):
    """Lets callers wait for a connection, where the library refuses them."""

    def __init__(self, *, max_connections: int, **options: Any) -> None:
        # Per node; there is room for connections that are just being closed, too.
        super().__init__(max_connections=2 * max_connections, **options)
        self._places = asyncio.Semaphore(max_connections)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        async with self._places:
            # The library chooses a server before it has looked where the keys are: a script that
            # is its first command would go to any of them.
            await self.initialize()
            try:
                return await super().execute_command(*args, **options)
            except AttributeError as error:
                # Over one command's failure the library closes the connections of all others,
                # some of which are then used as if they were open.
                raise redis_errors.ConnectionError("closed meanwhile") from error


def _open_by_sentinel(address: SplitResult, options: dict[str, Any]) -> Redis:
    hosts, given = _hosts_and_options(address, default_port=26379)
    service, _, db = address.path.strip("/").partition("/")
    if not service:
        raise ValueError("no service")
    login = {name: given.pop(name) for name in ("username", "password") if name in given}
    asking = {name: value for name, value in options.items() if name != "max_connections"} | given
    sentinels = Sentinel(hosts, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
    if login:
        # Some set-ups protect the Sentinels with the same password, others leave them open, and
        # an open one refuses a password. Whichever answers first is asked first from then on.
        protected = Sentinel(hosts, sentinel_kwargs=asking | login)  # type: ignore[no-untyped-call]
        sentinels.sentinels.extend(protected.sentinels)
    pool = _SentinelPool(  # type: ignore[no-untyped-call]
        service,
        sentinels,
        timeout=options["socket_timeout"],
        db=int(db or 0),
        **options | given | login,
    )
    return _client_of(pool)


def _open_cluster(address: SplitResult, options: dict[str, Any]) -> RedisCluster:
    hosts, given = _hosts_and_options(address, default_port=6379)
    if address.path.strip("/") not in ("", "0"):
        raise ValueError("a Cluster has no databases")
    nodes = [ClusterNode(host, port) for host, port in hosts]
    cluster: dict[str, Any] = {
        "startup_nodes": nodes,
        # Whether what is left of a broken Cluster may be used is for its servers to decide.
        "require_full_coverage": False,
        # Never close all connections over keys that have moved: to note where they are is enough.
        "reinitialize_steps": 0,
    }
    return _PatientCluster(**cluster | options | given)


def _client_of(pool: BlockingConnectionPool) -> Redis:
    # Connects to nothing yet, but refuses unknown options now and not at the first command.
    pool.connection_class(**pool.connection_kwargs)
    return Redis.from_pool(pool)


def _hosts_and_options(
    address: SplitResult, *, default_port: int
) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    login, at, names = address.netloc.rpartition("@")
    hosts = []
    for name in names.split(","):
        host = urlsplit(f"//{name}")
        if not host.hostname:
            raise ValueError("a host is missing")
        hosts.append((host.hostname, host.port or default_port))
    base = address.scheme.partition("+")[0]
    # One host is enough for the library to read the login and the options behind the "?".
    given: dict[str, Any] = dict(parse_url(f"{base}://{login}{at}?{address.query}"))
    if given.pop("connection_class", None) is SSLConnection:
        given["ssl"] = True
    return hosts, given
