"""The inbox on Redis 6.2 or newer: what was accepted outlives us, and is handled by whoever lives."""

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from bot import redis_inbox_scripts as scripts
from bot.errors import StateUnavailable
from bot.inbox import DEAD_TTL_S, SEEN_TTL_S, Accepted, DeadLetter, Entry, Hold, QueueState, Taken
from bot.redis_client import RedisClient, answered, close_redis, run_script
from bot.versioned_json import VersionedJson

_json = VersionedJson(1)

_LONGEST_WAIT_S = 1.0
_FIGURES_TIMEOUT_S = 1.0


class RedisInbox:
    """
    `Inbox` under the keys `shifu:{<tenant>:q<n>}:`, each partition in one slot of a Cluster.

    Args:
        redis: From `open_redis`; closed with this inbox. One of its connections serves all who wait
            in this process.
        partitions: Conversations are spread over as many servers of a Cluster. Changed only while
            the queue is empty: each number puts them elsewhere.
        timeout_s: Longest time one operation may take, its repetitions included.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        tenant: str,
        lease_s: float = 6,
        partitions: int = 1,
        timeout_s: float = 8,
    ) -> None:
        self._redis = redis
        self._lease_s = lease_s
        self._timeout_s = timeout_s
        self._prefixes = [f"shifu:{{{tenant}:q{n}}}:" for n in range(partitions)]
        # One partition's scripts push the hints themselves. Several cannot share a key with them,
        # and to wait on several keys of a Cluster takes a connection each: their hints come from
        # us, after the script, by one more key that all wait on. Should we die in between, or
        # that key's server, those who wait look for themselves within a second.
        self._is_split = partitions > 1
        self._hints = (
            f"shifu:{{{tenant}:q}}:hints" if self._is_split else f"{self._prefixes[0]}hints"
        )
        self._first = 0
        # The client gives a socket up that is silent for too long, and would ask anew.
        silence_s = redis.get_connection_kwargs().get("socket_timeout") or 2 * _LONGEST_WAIT_S
        self._longest_wait_s = min(_LONGEST_WAIT_S, silence_s / 2)
        self._waiting = asyncio.Lock()

    @property
    def lease_s(self) -> float:
        return self._lease_s

    async def put(
        self, id: str, conversation: str, kind: str, body: str, *, is_awaited: bool = True
    ) -> Accepted:
        place = self._place(conversation)
        content = _json.encode({"kind": kind, "body": body})
        args = (_token(), _digest(id), id, conversation, content, int(is_awaited), SEEN_TTL_S)
        is_new, takable, ahead, waiting, age_ms = await self._run(scripts.PUT, place, *args)
        if self._is_split:
            # The event is safe already: a partition that is down must not keep its sender waiting.
            others = [n for n in range(len(self._prefixes)) if n != place]
            figures, _ = await asyncio.gather(self._figures(others), self._ring(place, takable))
            waiting += sum(figure[0] for figure in figures)
            age_ms = max([age_ms, *(figure[1] for figure in figures)])
        return Accepted(is_new == 1, ahead, waiting, age_ms / 1000)

    async def take(self, *, wait_s: float) -> Taken | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        taken, _ = await self._claim()
        if taken is not None or wait_s <= 0:
            return taken
        # One of us waits at the server for all; the others queue behind it here.
        try:
            async with asyncio.timeout_at(deadline):
                await self._waiting.acquire()
        except TimeoutError:
            return None
        try:
            while True:
                taken, next_s = await self._claim()
                left_s = deadline - loop.time()
                if taken is not None or left_s <= 0:
                    return taken
                await self._await_hint(min(left_s, next_s))
        finally:
            self._waiting.release()

    async def renew(self, taken: Taken) -> Hold:
        held = await self._on_loan(scripts.RENEW, taken, _ms(self._lease_s))
        return (Hold.LOST, Hold.HELD, Hold.STOPPED)[held]

    async def record(self, taken: Taken, posted: str) -> bool:
        return bool(await self._on_loan(scripts.RECORD, taken, posted))

    async def done(self, taken: Taken) -> bool:
        return await self._end(scripts.DONE, taken)

    async def put_back(self, taken: Taken, *, after_s: float = 0, counts: bool = True) -> bool:
        return await self._end(scripts.PUT_BACK, taken, _ms(after_s), int(counts))

    async def bury(self, taken: Taken, reason: str) -> bool:
        return await self._end(scripts.BURY, taken, _digest(taken.entry.id), reason, DEAD_TTL_S)

    async def stop(self, id: str, conversation: str) -> bool:
        place = self._place(conversation)
        return bool(await self._run(scripts.STOP, place, _token(), conversation, id))

    async def state(self) -> QueueState:
        replies = await self._run_everywhere(scripts.STATE, DEAD_TTL_S)
        waiting, age_ms, unfinished, dead = zip(*replies, strict=True)
        return QueueState(sum(waiting), max(age_ms) / 1000, sum(unfinished), sum(dead))

    async def dead(self) -> list[DeadLetter]:
        replies = await self._run_everywhere(scripts.DEAD)
        letters = [
            DeadLetter(_entry(fields), reason, int(buried) / 1000)
            for reply in replies
            for reason, buried, *fields in reply
        ]
        return sorted(letters, key=lambda letter: -letter.buried_at)

    async def revive(self, id: str) -> bool:
        replies = await self._run_everywhere(scripts.REVIVE, _token(), _digest(id))
        for place, (_, takable) in enumerate(replies):
            await self._ring(place, takable)
        return any(revived for revived, _ in replies)

    async def drop(self, id: str) -> bool:
        return any(await self._run_everywhere(scripts.DROP, _token(), _digest(id)))

    async def close(self) -> None:
        await close_redis(self._redis)

    async def _claim(self) -> tuple[Taken | None, float]:
        """A loan, or after how many seconds to look again."""
        look_again_s, failed = self._longest_wait_s, None
        first, self._first = self._first, self._first + 1
        for n in range(len(self._prefixes)):
            try:
                found = await self._claim_from((first + n) % len(self._prefixes))
            except StateUnavailable as error:
                failed = error  # The others' entries need not wait for this partition.
                continue
            if isinstance(found, Taken):
                return found, 0
            look_again_s = min(look_again_s, found)
        if failed is not None:
            raise failed
        return None, look_again_s

    async def _claim_from(self, place: int) -> Taken | float:
        found = await self._run(scripts.CLAIM, place, _token(), _ms(self._lease_s))
        if isinstance(found, int):
            return found / 1000 if found >= 0 else self._longest_wait_s
        fence, *fields = found
        return Taken(_entry(fields), int(fence))

    async def _await_hint(self, wait_s: float) -> None:
        # To Redis a wait of 0 is one without end.
        hint = self._redis.brpop([self._hints], timeout=max(wait_s, 0.01))
        hinted = await answered(hint, timeout_s=self._timeout_s)
        if hinted:
            self._first = int(hinted[1])

    async def _ring(self, place: int, takable: int) -> None:
        """Wake one who waits, where the script could not."""
        if self._is_split and takable:
            with contextlib.suppress(StateUnavailable):
                await run_script(
                    self._redis, scripts.RING, [self._hints], place, timeout_s=_FIGURES_TIMEOUT_S
                )

    async def _figures(self, places: Sequence[int]) -> list[Any]:
        """The state of those partitions that answer soon."""
        asked = (
            self._run(scripts.STATE, n, DEAD_TTL_S, timeout_s=_FIGURES_TIMEOUT_S) for n in places
        )
        replies = await asyncio.gather(*asked, return_exceptions=True)
        return [reply for reply in replies if not isinstance(reply, BaseException)]

    async def _end(self, script: str, taken: Taken, *args: str | int) -> bool:
        was_held, takable = await self._on_loan(script, taken, _token(), *args)
        await self._ring(self._place(taken.entry.conversation), takable)
        return bool(was_held)

    async def _on_loan(self, script: str, taken: Taken, *args: str | int) -> Any:
        conversation = taken.entry.conversation
        return await self._run(script, self._place(conversation), conversation, taken.fence, *args)

    async def _run_everywhere(self, script: str, *args: str | int) -> list[Any]:
        places = range(len(self._prefixes))
        return await asyncio.gather(*(self._run(script, place, *args) for place in places))

    async def _run(
        self, script: str, place: int, *args: str | int, timeout_s: float | None = None
    ) -> Any:
        keys = [self._prefixes[place]] if self._is_split else [self._prefixes[place], self._hints]
        return await run_script(
            self._redis, script, keys, *args, timeout_s=timeout_s or self._timeout_s
        )

    def _place(self, conversation: str) -> int:
        # Python's own hash differs from process to process.
        return int(_digest(conversation), 16) % len(self._prefixes)


def _entry(fields: Sequence[str | None]) -> Entry:
    id, conversation, content, accepted_ms, tries, posted, awaited = (f or "" for f in fields)
    # What another version wrote is of no kind that anybody here knows.
    kind, body = _decode(content) or ("", content)
    accepted_at = int(accepted_ms or 0) / 1000
    is_awaited = awaited != "0"
    return Entry(
        id, conversation, kind, body, accepted_at, int(tries or 0), posted or None, is_awaited
    )


def _decode(content: str) -> tuple[str, str] | None:
    """Kind and body; None when another version wrote *content*."""
    try:
        values = _json.decode(content)
        return values["kind"], values["body"]
    except (ValueError, KeyError):
        return None


def _digest(text: str) -> str:
    """Platforms choose the ids; a digest keeps keys short whatever they send."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _token() -> str:
    return uuid4().hex


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
