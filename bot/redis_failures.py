"""What a failure of Redis means: a sentence for people, who can do something about it."""

import re

from redis import exceptions as redis_errors
from redis.asyncio.sentinel import MasterNotFoundError


def what_it_means(error: Exception) -> str:
    """Never holds anything of *error*'s own text, which may name hosts and keys."""
    for kinds, sentence in _BY_KIND:
        if isinstance(error, kinds):
            return sentence
    for pattern, sentence in _BY_TEXT:
        if re.search(pattern, str(error)):
            return sentence
    if isinstance(error, redis_errors.ResponseError):
        return "Redis refuses a command that we need. It must be version 6.2 or newer."
    return "Redis does not answer."


_FULL = "Redis has used up its memory: raise its maxmemory, and keep its policy noeviction."
_REPLICA = (
    "This Redis is a read-only replica. If its primary is just changing, that is over in a moment; "
    "else SHIFU_REDIS__URL must name the primary."
)
_BROKEN_CLUSTER = (
    "A part of the Redis Cluster has no primary now. A fail-over takes some seconds; if this "
    "stays, `redis-cli cluster nodes` on one of its servers says which one is missing."
)

_BY_KIND: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (
        (redis_errors.AuthenticationError, redis_errors.NoPermissionError),
        "Redis refuses our user name or password, or the user lacks rights (SHIFU_REDIS__URL).",
    ),
    (redis_errors.BusyLoadingError, "Redis is still loading its data; try again in a moment."),
    (redis_errors.OutOfMemoryError, _FULL),
    (redis_errors.ReadOnlyError, _REPLICA),
    (
        MasterNotFoundError,
        "No Sentinel that answers names a working primary. A fail-over takes some seconds; if this stays, "
        "look at the Sentinels' addresses and the name of the service in SHIFU_REDIS__URL.",
    ),
    ((redis_errors.ClusterDownError, redis_errors.SlotNotCoveredError), _BROKEN_CLUSTER),
    (
        redis_errors.MovedError,
        "This Redis is one of a Cluster: SHIFU_REDIS__URL must begin with redis+cluster://.",
    ),
    (
        (redis_errors.AskError, redis_errors.TryAgainError, redis_errors.ClusterError),
        "The Redis Cluster is moving keys between its servers; try again in a moment.",
    ),
)
# Redis 6.2 wraps what went wrong inside a script into a text of its own.
_BY_TEXT = (
    (r"\bOOM\b", _FULL),
    (r"\bREADONLY\b", _REPLICA),
    (r"\bCLUSTERDOWN\b", _BROKEN_CLUSTER),
    (
        r"\bUNBLOCKED\b|previous master",
        "Redis is changing its primary; try again in a moment.",
    ),
    (
        r"\bMISCONF\b",
        "Redis cannot write to its disk: make room there; it then goes on by itself.",
    ),
    (
        r"\bNOREPLICAS\b",
        "Redis takes no writes while too few of its replicas are connected "
        "(its setting min-replicas-to-write).",
    ),
    (
        r"Cluster mode is not enabled|cluster support disabled",
        "This Redis is no Cluster: SHIFU_REDIS__URL must begin with redis:// or redis+sentinel://.",
    ),
    (
        r"(?i)unknown command .?sentinel",
        "What SHIFU_REDIS__URL names as Sentinels are none; for a single Redis it is redis://.",
    ),
)
