"""The job that looks which sources are wanted, and orders one sync for each."""

from collections.abc import Awaitable, Callable, Iterable

import structlog

from bot.errors import StateUnavailable, TryLater, WrittenByAnotherVersion
from bot.inbox import Inbox
from bot.versioned_json import VersionedJson
from bot.worker import Job
from retrieval.errors import StoreUnavailable

log = structlog.get_logger()

_PAUSE_S = 60.0

_json = VersionedJson(1)


class ReviewHandler:
    """
    Each sync has a line of its own: a large source keeps no other. What belongs to none of them any more
    goes first.

    Args:
        kind: Of the syncs; `name_in` tells which source each is of.
        remove_others: What is there of sources that are not wanted.
    """

    def __init__(
        self,
        inbox: Inbox,
        kind: str,
        names: Iterable[str],
        remove_others: Callable[[], Awaitable[None]],
    ) -> None:
        self._inbox = inbox
        self._kind = kind
        self._names = list(names)
        self._remove_others = remove_others

    async def handle(self, job: Job) -> None:
        try:
            await self._remove_others()
        except (StoreUnavailable, StateUnavailable) as error:
            raise TryLater(_PAUSE_S) from error
        for name in self._names:
            line = f"{self._kind}:{name}"
            id = f"{line}@{job.entry.id}"
            body = _json.encode({"name": name})
            put = await self._inbox.put(id, line, self._kind, body, is_awaited=False)
            if put.is_new and put.ahead > 1:
                # One runs and one waits: the one that waits will see what this one would.
                await self._inbox.stop(id, line)

    async def give_up(self, job: Job) -> None:
        log.error("review.given_up", kind=self._kind)


def name_in(job: Job) -> str:
    """Of the source that a sync is of."""
    try:
        return str(_json.decode(job.entry.body)["name"])
    except (ValueError, KeyError) as error:
        raise WrittenByAnotherVersion from error
