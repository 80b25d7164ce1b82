"""How we talk to Redis 6.2 or newer: the client's settings, and its failures in our own words."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, cast

from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from bot.errors import StateUnavailable

T = TypeVar("T")


def open_redis(url: str, *, max_connections: int = 50, timeout_s: float = 5) -> Redis:
    """
    A client for *url* (`redis://`, `rediss://` or `unix://`) whose callers wait for a connection.

    A command whose reply is lost is sent up to twice more, so whatever is sent must bear that.

    Raises:
        StateUnavailable: If *url* is none of these.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            decode_responses=True,
            # Proxies and restricted users refuse what the newer protocol asks for on connecting.
            protocol=2,
            max_connections=max_connections,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # The default of ten repetitions makes a dead server cost half a minute.
            retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), 2),
        )
    except ValueError:
        # The cause is left out: it may hold the password.
        raise StateUnavailable(
            "The address of Redis is not understood. It looks like redis://HOST:6379/0, "
            "rediss://USER:PASSWORD@HOST:6379/0 or unix:///PATH/redis.sock (SHIFU_REDIS__URL)."
        ) from None
    return Redis.from_pool(pool)


async def answered(command: Awaitable[T], *, timeout_s: float) -> T:
    """The reply to *command*; `StateUnavailable` when none comes in time, or a refusal."""
    try:
        async with asyncio.timeout(timeout_s):
            return await command
    except (redis_errors.AuthenticationError, redis_errors.NoPermissionError) as error:
        raise StateUnavailable(
            "Redis refuses our user name or password, or the user lacks rights (SHIFU_REDIS__URL)."
        ) from error
    except redis_errors.BusyLoadingError as error:
        raise StateUnavailable("Redis is still loading its data; try again in a moment.") from error
    except redis_errors.OutOfMemoryError as error:
        raise StateUnavailable(
            "Redis has used up its memory: raise its maxmemory, and keep its policy noeviction."
        ) from error
    except redis_errors.ReadOnlyError as error:
        raise StateUnavailable(
            "This Redis is a read-only replica; SHIFU_REDIS__URL must name the primary."
        ) from error
    except redis_errors.ResponseError as error:
        raise StateUnavailable(
            "Redis refuses a command that we need. It must be version 6.2 or newer, and its disk "
            "must not be full."
        ) from error
    except (redis_errors.RedisError, OSError) as error:
        # asyncio's TimeoutError is an OSError.
        raise StateUnavailable("Redis does not answer.") from error


async def run_script(
    redis: Redis, script: str, key: str, *args: str | int, timeout_s: float
) -> int:
    """The number that a Lua *script* over one *key* returns."""
    # Sent in full: a digest would save 300 bytes and has to be mended after each restart.
    evaluated = cast(Awaitable[int], redis.eval(script, 1, key, *map(str, args)))
    return int(await answered(evaluated, timeout_s=timeout_s))
