"""What one person sees of one conversation, as server-sent events of what they may read now."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.web.message_log import MessageLogs
from adapters.web.messages import Cursor, WebMessage
from adapters.web.render import Json, message_json, source_json
from bot.directory import Person
from bot.messages import ConversationRef, UserRef
from retrieval.access import AccessScope, Reader
from retrieval.errors import StoreError
from retrieval.types import Chunk

FetchChunks = Callable[[Sequence[str], AccessScope], Awaitable[list[Chunk]]]
Viewer = Callable[[], Awaitable[Person | None]]
"""Who looks on, as the directory has them now; None once they may not read the conversation."""

LONGEST_OPEN = timedelta(hours=1)
"""A process that dies between showing a question and having it accepted leaves it open."""
_MAX_KNOWN = 1_000


class Feed:
    """
    Sends the state of messages, not a history of changes: however slow the reader, at most one
    version of each message waits, and a page that was away gets what changed since.

    Rights are checked when something is sent, and again at every heartbeat: an answer that rests
    on a passage its reader may no longer read is withdrawn from the page.
    """

    def __init__(
        self,
        logs: MessageLogs,
        conversation: ConversationRef,
        user: UserRef,
        viewer: Viewer,
        fetch: FetchChunks,
        *,
        heartbeat_s: float,
    ) -> None:
        self._logs = logs
        self._conversation = conversation
        self._user = user
        self._viewer = viewer
        self._fetch = fetch
        self._heartbeat_s = heartbeat_s
        self._reader: Reader | None = None
        self._sources: dict[str, Json] = {}
        self._cited: dict[str, set[str]] = {}
        self._withheld: dict[str, str] = {}
        self._is_ended = False

    def end(self) -> None:
        """At shutdown; whoever watches must be woken."""
        self._is_ended = True

    async def events(self, last_event_id: str) -> AsyncGenerator[str, None]:
        """
        Ends when the person may not read on, or at shutdown.

        Raises:
            DirectoryUnavailable: If who reads cannot be established.
            StateUnavailable: If the messages cannot be had.
        """
        with self._logs.watching(self._conversation, self._user) as changed:
            resumed, is_check_due = Cursor.parse(last_event_id), False
            cursor: Cursor | None = None
            head = "retry: 1000\n\n"
            while not self._is_ended:
                changed.clear()
                person = await self._viewer()
                if person is None:
                    yield head + _event("gone", {})
                    return
                self._note_rights(person.reader)
                reading = await self._logs.read(self._conversation, self._user, cursor)
                self._note_citations(reading.messages)
                if cursor is None and resumed is not None:
                    # All is read at first, to know what must be checked from now on.
                    cursor, reading = resumed, reading.since(resumed)
                if head:
                    yield head
                    head = ""
                if cursor is None or reading.is_whole:
                    cursor = reading.position
                    shown = await self._shown(reading.messages, person)
                    yield _event("snapshot", {"messages": shown}, id=cursor)
                else:
                    if is_check_due:
                        for shown_anew in await self._rechecked(reading.messages, person):
                            yield _event("message", shown_anew, id=cursor)
                    changes = reading.in_order(cursor)
                    shown = await self._shown([message for message, _ in changes], person)
                    for (_, cursor), shown_now in zip(changes, shown, strict=True):
                        yield _event("message", shown_now, id=cursor)
                is_check_due = not await _is_set(changed, within_s=self._heartbeat_s)
                if is_check_due:
                    yield _event("ping", {})

    def _note_rights(self, reader: Reader) -> None:
        if reader != self._reader:
            self._reader = reader
            self._sources.clear()

    def _note_citations(self, messages: Iterable[WebMessage]) -> None:
        for message in messages:
            self._cited.pop(message.id, None)
            if message.cited:
                self._cited[message.id] = {c.chunk_id for c in message.cited}
        for id in list(self._cited)[:-_MAX_KNOWN]:
            del self._cited[id]

    async def _rechecked(
        self, changed: Sequence[WebMessage], person: Person
    ) -> list[dict[str, Any]]:
        """What must be shown differently, because rights or passages have changed since."""
        self._sources.clear()
        before = dict(self._withheld)
        await self._check(self._cited, person.reader)
        # What has changed since is sent anyway.
        different = {
            id
            for id in self._cited.keys() - {message.id for message in changed}
            if self._withheld.get(id) != before.get(id)
        }
        if not different:
            return []
        reading = await self._logs.read(self._conversation, self._user)
        return await self._shown([m for m in reading.messages if m.id in different], person)

    async def _shown(self, messages: Sequence[WebMessage], person: Person) -> list[dict[str, Any]]:
        cited = {m.id: {c.chunk_id for c in m.cited} for m in messages if m.reply}
        await self._check(cited, person.reader)
        oldest = datetime.now(UTC) - LONGEST_OPEN
        current = [replace(m, is_open=m.is_open and m.at > oldest) for m in messages]
        return [
            message_json(m, person.ref, self._sources, withheld=self._withheld.get(m.id))
            for m in current
        ]

    async def _check(self, cited: Mapping[str, set[str]], reader: Reader) -> None:
        """Every passage that a reply rests on must be there and be readable for this person now."""
        unknown = set[str]().union(*cited.values()) - self._sources.keys()
        reason = "withdrawn"
        if unknown:
            try:
                found = await self._fetch(sorted(unknown), AccessScope.of([reader]))
                self._sources |= {chunk.id: source_json(chunk) for chunk in found}
            except StoreError:
                reason = "unchecked"
        for message_id, chunk_ids in cited.items():
            if chunk_ids <= self._sources.keys():
                self._withheld.pop(message_id, None)
            else:
                self._withheld[message_id] = reason


async def _is_set(event: asyncio.Event, *, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False


def _event(name: str, data: dict[str, Any], *, id: Cursor | None = None) -> str:
    # JSON holds no raw line break, so one data line carries it.
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
