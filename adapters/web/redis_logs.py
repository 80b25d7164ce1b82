"""The page's messages on Redis 6.2 or newer: written by any process, shown by every one."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any, cast

import structlog
from redis import exceptions as redis_errors

from adapters.web import log_scripts as scripts
from adapters.web.message_log import MAX_MESSAGES
from adapters.web.messages import (
    EVERYONE,
    Change,
    Cursor,
    DirectConversation,
    Reading,
    WebMessage,
    person_key,
    place_key,
)
from adapters.web.stored_json import (
    decode_direct,
    decode_message,
    encode_direct,
    encode_head,
    encode_reply,
)
from adapters.web.wakeups import Wakeups
from adapters.web.watchers import Watchers
from bot.messages import ConversationKind, ConversationRef, Rating, ReplyKind, UserRef
from bot.redis_client import RedisClient, answered

log = structlog.get_logger()

IDLE_TTL_S = 14 * 86_400
MAX_DIRECTS = 200


class RedisMessageLogs:
    """
    `MessageLogs` under the keys `shifu:<tenant>:web:`.

    Args:
        redis: From `open_redis`, which gives the connections; not closed here.
        idle_ttl_s: A conversation in which nothing is said for so long is forgotten.
        timeout_s: Longest time one operation may take, its repetitions included.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        tenant: str,
        max_messages: int = MAX_MESSAGES,
        idle_ttl_s: int = IDLE_TTL_S,
        timeout_s: float = 8,
    ) -> None:
        self._redis = redis
        self.prefix = f"shifu:{tenant}:web:"
        self._max_messages = max_messages
        self._ttl_ms = idle_ttl_s * 1000
        self._timeout_s = timeout_s
        self._watchers = Watchers()
        self._channel = f"{self.prefix}changes"
        self._wakeups = Wakeups(redis, self._channel, self._watchers)

    async def say(self, question: WebMessage) -> None:
        await self._write(scripts.SAY, question.conversation, question.id, encode_head(question))
        if question.conversation.kind is ConversationKind.DIRECT and question.author:
            await self._note_direct(question.author, question)

    async def retract(self, conversation: ConversationRef, id: str) -> None:
        await self._write(scripts.RETRACT, conversation, id)

    async def post(self, message: WebMessage) -> None:
        # After what an update takes, so that the script tells the two apart.
        await self._write(
            scripts.PUT,
            message.conversation,
            *_content(message),
            encode_head(message),
            message.audience,
            message.answers or "",
        )

    async def update(self, message: WebMessage) -> None:
        await self._write(scripts.PUT, message.conversation, *_content(message))

    async def rate(self, message: WebMessage, user: UserRef, rating: Rating) -> None:
        await self._write(
            scripts.RATE, message.conversation, message.id, person_key(user), rating.value
        )

    async def find(
        self, conversation: ConversationRef, id: str, viewer: UserRef
    ) -> WebMessage | None:
        fields = [f"head:{id}", f"body:{id}", f"state:{id}"]
        kept = await self._ask(self._redis.hmget(self._keys(conversation)[0], fields))
        change = _change([id, *kept], person_key(viewer))
        return change.message if change else None

    async def read(
        self, conversation: ConversationRef, viewer: UserRef, after: Cursor | None = None
    ) -> Reading:
        cursor, person = after or Cursor(""), person_key(viewer)
        epoch, shared, own, is_whole, *kept = await self._run(
            scripts.READ,
            self._keys(conversation),
            [self._ttl_ms, _new_epoch(), person, cursor.epoch, cursor.shared, cursor.own],
        )
        changes = [change for entry in kept if (change := _change(entry, person))]
        return Reading(Cursor(epoch, shared, own), tuple(changes), is_whole=bool(is_whole))

    async def directs(self, user: UserRef) -> list[DirectConversation]:
        texts = await self._ask(self._redis.hvals(self._direct_keys(user)[0]))
        found = []
        for text in texts:
            try:
                found.append(decode_direct(text))
            except ValueError:
                log.warning("web.direct_unreadable", size_bytes=len(text))
        return sorted(found, key=lambda direct: direct.at, reverse=True)

    @contextmanager
    def watching(self, conversation: ConversationRef, viewer: UserRef) -> Iterator[asyncio.Event]:
        self._wakeups.start()
        place, person = place_key(conversation), person_key(viewer)
        with self._watchers.watching(place, person) as changed:
            yield changed

    def wake_all(self) -> None:
        self._watchers.wake_all()

    async def close(self) -> None:
        """Ends the subscription; the client goes on."""
        await self._wakeups.close()

    async def _note_direct(self, user: UserRef, question: WebMessage) -> None:
        channel = question.conversation.channel
        direct = encode_direct(DirectConversation(channel, question.text, question.at))
        now_ms = int(question.at.timestamp() * 1000)
        values: list[str | int] = [channel, direct, now_ms, self._ttl_ms, MAX_DIRECTS]
        await self._run(scripts.NOTE_DIRECT, self._direct_keys(user), values)

    def _keys(self, conversation: ConversationRef) -> list[str]:
        # The braces keep both keys in one slot of a cluster.
        place = f"{self.prefix}{{{place_key(conversation)}}}"
        return [f"{place}:log", f"{place}:index"]

    def _direct_keys(self, user: UserRef) -> list[str]:
        person = f"{self.prefix}{{{person_key(user)}}}"
        return [f"{person}:directs", f"{person}:directs-used"]

    async def _write(self, script: str, conversation: ConversationRef, *values: str) -> None:
        common: list[str | int] = [self._ttl_ms, self._max_messages, _new_epoch(), self._channel]
        place = place_key(conversation)
        await self._run(script, self._keys(conversation), [*common, place, *values])

    async def _run(self, script: str, keys: Sequence[str], values: Sequence[str | int]) -> Any:
        arguments = [*keys, *map(str, values)]

        async def run() -> Any:
            try:
                return await _sent(self._redis.evalsha(_sha(script), len(keys), *arguments))
            except redis_errors.NoScriptError:
                # A server that has just started; this lets it know the script.
                return await _sent(self._redis.eval(script, len(keys), *arguments))

        return await self._ask(run())

    async def _ask(self, command: Any) -> Any:
        return await answered(_sent(command), timeout_s=self._timeout_s)


def _content(message: WebMessage) -> list[str]:
    is_final = message.reply is None or message.reply.is_final
    is_status = message.reply is not None and message.reply.kind is ReplyKind.STATUS
    kind = "final" if is_final else "status" if is_status else "partial"
    return [message.id, encode_reply(message), kind]


def _change(kept: Sequence[str | None], viewer: str) -> Change | None:
    """Of id, head, body and state; None for what *viewer* does not see, or another version wrote."""
    id, head, body, kept_state = kept
    if not id or head is None or kept_state is None:
        return None
    try:
        state = json.loads(kept_state)
        if state["audience"] not in (EVERYONE, viewer):
            return None
        numbers, rating = state["numbers"], state["ratings"].get(viewer)
        message = replace(
            decode_message(id, head, body or ""),
            order=float(state["order"]),
            is_open=state["is_open"],
            rating=Rating(rating) if rating else None,
        )
        return Change(message, int(numbers.get(EVERYONE, 0)), int(numbers.get(viewer, 0)))
    except (ValueError, KeyError, TypeError):
        log.warning("web.message_unreadable", size_bytes=len(head))
        return None


def _new_epoch() -> str:
    return secrets.token_hex(4)


def _sent(command: Any) -> Awaitable[Any]:
    """The client's signatures serve its synchronous twin as well."""
    return cast(Awaitable[Any], command)


@cache
def _sha(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
