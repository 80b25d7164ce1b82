"""What one person sees of one conversation, as server-sent events of what they may read now."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from adapters.web.channel import WebChannel
from adapters.web.message_log import Cursor, MessageLog, WebMessage
from adapters.web.render import message_json
from bot.directory import Person
from bot.errors import DirectoryUnavailable
from bot.messages import ConversationRef, UserRef
from retrieval.access import AccessScope, Reader
from retrieval.errors import StoreError
from retrieval.types import Chunk

FetchChunks = Callable[[Sequence[str], AccessScope], Awaitable[list[Chunk]]]
Viewer = Callable[[], Awaitable[Person | None]]
"""Who looks on, as the directory has them now; None once they may not read the conversation."""


class Feed:
    """
    Sends the state of messages, not a history of changes: however slow the reader, at most one
    version of each message waits, and a page that was away gets what changed since.

    Rights are checked when something is sent, and again at every heartbeat: an answer that rests
    on a passage its reader may no longer read is withdrawn from the page.
    """

    def __init__(
        self,
        channel: WebChannel,
        conversation: ConversationRef,
        user: UserRef,
        viewer: Viewer,
        fetch: FetchChunks,
        *,
        heartbeat_s: float,
    ) -> None:
        self._channel = channel
        self._conversation = conversation
        self._user = user
        self._viewer = viewer
        self._fetch = fetch
        self._heartbeat_s = heartbeat_s
        self._reader: Reader | None = None
        self._readable: set[str] = set()
        self._withheld: dict[str, str] = {}

    async def events(self, last_event_id: str) -> AsyncIterator[str]:
        """Ends when the person may not read on, when that cannot be established, or at shutdown."""
        yield "retry: 1000\n\n"
        with self._channel.watching(self._conversation, self._user) as (log, changed):
            cursor, is_check_due = _resumed(last_event_id, log), False
            while not self._channel.is_closed:
                changed.clear()
                try:
                    person = await self._viewer()
                except DirectoryUnavailable:
                    return
                if person is None:
                    yield _event("gone", {})
                    return
                self._note_rights(person.reader)
                if cursor is None:
                    cursor = log.position(self._user)
                    shown = await self._shown(log.seen_by(self._user), person)
                    yield _event("snapshot", {"messages": shown}, id=_id(cursor, log))
                if is_check_due:
                    for shown_anew in await self._rechecked(log, cursor, person):
                        yield _event("message", shown_anew, id=_id(cursor, log))
                changes = log.changes(self._user, cursor)
                shown = await self._shown([message for message, _ in changes], person)
                for (_, cursor), shown_now in zip(changes, shown, strict=True):
                    yield _event("message", shown_now, id=_id(cursor, log))
                is_check_due = not await _is_set(changed, within_s=self._heartbeat_s)
                if is_check_due:
                    yield _event("ping", {})

    def _note_rights(self, reader: Reader) -> None:
        if reader != self._reader:
            self._reader = reader
            self._readable.clear()

    async def _rechecked(
        self, log: MessageLog, cursor: Cursor, person: Person
    ) -> list[dict[str, Any]]:
        """What must be shown differently, because rights or passages have changed since."""
        self._readable.clear()
        before = dict(self._withheld)
        # What has changed since is sent anyway.
        changed = {message.id for message, _ in log.changes(self._user, cursor)}
        messages = [
            m
            for m in log.seen_by(self._user)
            if m.id not in changed and m.reply and m.reply.citations
        ]
        shown = await self._shown(messages, person)
        return [json for json in shown if json["withheld"] != before.get(json["id"])]

    async def _shown(self, messages: Sequence[WebMessage], person: Person) -> list[dict[str, Any]]:
        await self._check(messages, person.reader)
        return [message_json(m, person.ref, withheld=self._withheld.get(m.id)) for m in messages]

    async def _check(self, messages: Sequence[WebMessage], reader: Reader) -> None:
        """Every passage that a reply rests on must be there and be readable for this person now."""
        cited = {m.id: {c.chunk.id for c in m.reply.citations} for m in messages if m.reply}
        unknown = set[str]().union(*cited.values()) - self._readable
        reason = "withdrawn"
        if unknown:
            try:
                found = await self._fetch(sorted(unknown), AccessScope.of([reader]))
                self._readable |= {chunk.id for chunk in found}
            except StoreError:
                reason = "unchecked"
        for message_id, chunk_ids in cited.items():
            if chunk_ids <= self._readable:
                self._withheld.pop(message_id, None)
            else:
                self._withheld[message_id] = reason


def _id(cursor: Cursor, log: MessageLog) -> str:
    return f"{log.epoch}-{cursor.shared}-{cursor.own}"


def _resumed(last_event_id: str, log: MessageLog) -> Cursor | None:
    epoch, *numbers = last_event_id.split("-")
    if epoch != log.epoch or len(numbers) != 2:
        return None
    if not all(n.isascii() and n.isdigit() and len(n) < 16 for n in numbers):
        return None
    return Cursor(*map(int, numbers))


async def _is_set(event: asyncio.Event, *, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False


def _event(name: str, data: dict[str, Any], *, id: str = "") -> str:
    # JSON holds no raw line break, so one data line carries it.
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
