"""Follows one document library: what is in it, page by page, and then who may read what has changed."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from adapters.teams.drive_ledger import DriveItem, DriveLedger, DriveState
from adapters.teams.drive_permissions import PermissionReader
from adapters.teams.graph import Graph, GraphFailure, quoted
from adapters.teams.sharepoint_items import (
    SELECT,
    below,
    connected,
    item_of,
    may_concern_others,
    with_rights_of,
)
from adapters.teams.sharepoint_permissions import SharePointRules
from retrieval.errors import IngestError

log = structlog.get_logger()

SWEEP_EVERY_S = 3600.0
"""What Graph tells of changed permissions is not all there is: links and folders are often left out."""
RESCAN_EVERY_S = 7 * 86_400.0

_PREFER = {
    "Prefer": "deltashowremovedasdeleted, deltatraversepermissiongaps, deltashowsharingchanges, "
    "hierarchicalsharing"
}
_RESTARTS = 3
_AT_ONCE = 20
_PER_TURN = 2000


class Rights(Protocol):
    """Takes away in the store, while the permissions are still being read, what somebody had and has no more."""

    async def keep_only(self, items: Collection[str]) -> None: ...

    async def narrow(self, item: DriveItem) -> None: ...


class SyncedElsewhere(IngestError):
    """Somebody else follows the same library at this moment."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """
    Attributes:
        sweep_every_s: The permissions of everything are read again after that time, at 0 each time.
        rescan_every_s: The whole library is listed again after that time.
    """

    sweep_every_s: float = SWEEP_EVERY_S
    rescan_every_s: float = RESCAN_EVERY_S


INTERVALS = Intervals()


class DriveMirror:
    """
    The ledger's entry of one library.

    Killed at any moment it goes on where it was: each page is written together with the link to the next one.
    """

    def __init__(
        self,
        graph: Graph,
        ledger: DriveLedger,
        drive: str,
        rules: SharePointRules,
        *,
        intervals: Intervals = INTERVALS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._graph = graph
        self._ledger = ledger
        self._drive = drive
        self._path = f"drives/{quoted(drive)}"
        self._rules = rules
        self._reader = PermissionReader(graph, drive, rules)
        self._intervals = intervals
        self._clock = clock
        self._state = DriveState()
        self._items: dict[str, DriveItem] = {}

    async def refresh(
        self, rights: Rights, *, is_wanted: Callable[[DriveItem], bool]
    ) -> list[DriveItem]:
        """
        All files, in the order of their ids; of those that are wanted, who may read them now.

        Raises:
            GraphFailure: What has been learnt so far is kept.
            SyncedElsewhere: The same.
            StateUnavailable: The same.
        """
        self._state = await self._ledger.state(self._drive) or DriveState()
        self._items = await self._ledger.items(self._drive)
        await self._follow()
        files = [item.id for item in self._items.values() if not item.is_folder]
        await rights.keep_only(files)
        await self._read_rights(rights, is_wanted)
        return [self._items[id] for id in sorted(files)]

    async def item(self, id: str) -> tuple[DriveItem | None, Mapping[str, Any]]:
        """As it is at this moment, with everything that Graph tells."""
        path = f"{self._path}/items/{quoted(id)}?$select={SELECT},publication"
        raw = await self._graph.get(path)
        return self._parsed(raw), raw

    async def content(self, id: str, *, max_bytes: int) -> bytes:
        path = f"{self._path}/items/{quoted(id)}/content"
        return await self._graph.download(path, max_bytes=max_bytes)

    async def with_rights(self, item: DriveItem) -> DriveItem:
        """
        With its permissions read anew.

        Raises:
            GraphFailure: They are not known, and may be in a minute.
        """
        [found] = await self._reader.read([item], now=self._clock())
        # Else the next sync would go by those that were read before.
        await self._write(self._state, put=[found])
        return found

    async def _follow(self) -> None:
        if self._clock() - self._state.scanned_at >= self._intervals.rescan_every_s:
            await self._begin_scan()
        restarts = 0
        while True:
            # What happens while page after page is read, or after that was interrupted, comes with the
            # link at the end: only a round that began with such a link brings us to this moment.
            is_last = self._state.is_current
            try:
                await self._follow_to_the_end()
            except GraphFailure as failure:
                if failure.status != 410 or not self._state.link or restarts >= _RESTARTS:
                    raise
                # Too long ago, or too much has changed: everything is listed anew.
                restarts += 1
                log.info("sharepoint.resync", drive=self._drive)
                await self._begin_scan()
                continue
            if is_last:
                break
        await self._finish_round()

    async def _follow_to_the_end(self) -> None:
        seen: set[str] = set()
        while True:
            link = self._state.link
            if link in seen:
                raise GraphFailure(0, "endlessPages")
            seen.add(link)
            page = await self._graph.page(link or f"{self._path}/root/delta", headers=_PREFER)
            if page.next_link is None and page.delta_link is None:
                raise GraphFailure(0, "noDeltaLink")
            is_end = page.next_link is None
            link = (page.delta_link if is_end else page.next_link) or ""
            await self._take_in(page.items, link=link, is_current=is_end)
            if is_end:
                return

    async def _begin_scan(self) -> None:
        state = replace(
            self._state,
            link="",
            is_current=False,
            scan=self._state.scan + 1,
            scanned_at=self._clock(),
        )
        await self._write(state)

    async def _take_in(
        self, page: Sequence[Mapping[str, Any]], *, link: str, is_current: bool
    ) -> None:
        """One page; an item that is on it more than once is as it was told last."""
        put: dict[str, DriveItem] = {}
        drop: set[str] = set()
        unsure: set[str] = set()
        moved: set[str] = set()
        for raw in page:
            id = str(raw.get("id") or "")
            item, before = self._parsed(raw), self._items.get(id)
            is_unsure, is_moved = may_concern_others(raw, item, before)
            unsure |= {id} if is_unsure else set()
            moved |= {id} if is_moved else set()
            if item is None:
                put.pop(id, None)
                drop.add(id)
                self._items.pop(id, None)
            else:
                put[id] = with_rights_of(item, before) if before else item
                drop.discard(id)
                self._items[id] = put[id]
        for id in below(self._items, unsure | moved):
            put[id] = self._items[id].unread()
        for id in below(self._items, moved):
            put[id] = replace(put[id], is_misplaced=True)
        state = replace(self._state, link=link, is_current=is_current)
        await self._write(state, put=put.values(), drop=drop)

    async def _finish_round(self) -> None:
        """What a full listing did not bring is gone; so is what hangs on a folder that is gone."""
        seen = {id: item for id, item in self._items.items() if not self._is_unseen(item)}
        kept = connected(seen)
        gone = [id for id in self._items if id not in kept]
        if gone:
            await self._write(self._state, drop=gone)

    def _is_unseen(self, item: DriveItem) -> bool:
        return item.scan != self._state.scan

    async def _read_rights(self, rights: Rights, is_wanted: Callable[[DriveItem], bool]) -> None:
        now = self._clock()
        is_due = now - self._state.sweep_at >= self._intervals.sweep_every_s
        has_other_rules = self._state.rules != self._rules.fingerprint
        if has_other_rules or (is_due and not self._is_sweeping()):
            await self._write(replace(self._state, sweep_at=now, rules=self._rules.fingerprint))
        wanted = [i for i in self._items.values() if not i.is_folder and is_wanted(i)]
        left = sorted((i for i in wanted if self._has_to_be_read(i)), key=lambda i: i.rights_at)
        for start in range(0, len(left), _AT_ONCE):
            known = await self._reader.read(left[start : start + _AT_ONCE], now=self._clock())
            # First the store: a right that is gone is gone there, also if we are killed in between.
            for item in known:
                await rights.narrow(item)
            await self._write(self._state, put=known)
        await self._write(replace(self._state, rights_at=now))

    def _is_sweeping(self) -> bool:
        """A reading of all permissions that was interrupted not long ago."""
        state, now = self._state, self._clock()
        return state.rights_at < state.sweep_at and now - state.sweep_at < SWEEP_EVERY_S

    def _has_to_be_read(self, item: DriveItem) -> bool:
        has_ended = 0 < item.expires_at <= self._clock()
        return (
            item.rights_at == 0
            or item.rights_at < self._state.sweep_at
            or item.is_misplaced
            or has_ended
        )

    def _parsed(self, raw: Mapping[str, Any]) -> DriveItem | None:
        return item_of(raw, tenant_id=self._rules.tenant_id, scan=self._state.scan)

    async def _write(
        self, state: DriveState, *, put: Iterable[DriveItem] = (), drop: Collection[str] = ()
    ) -> None:
        """In pieces that do not keep Redis for long; only the last of them brings us further."""
        items, gone = list(put), list(drop)
        for start in range(0, max(len(items), len(gone)), _PER_TURN):
            end = start + _PER_TURN
            if end < max(len(items), len(gone)):
                await self._turn(self._state, put=items[start:end], drop=gone[start:end])
            else:
                items, gone = items[start:], gone[start:]
        await self._turn(state, put=items, drop=gone)

    async def _turn(
        self, state: DriveState, *, put: Collection[DriveItem], drop: Collection[str]
    ) -> None:
        state = replace(state, turn=self._state.turn + 1)
        if not await self._ledger.turn(self._drive, state, put=put, drop=drop):
            raise SyncedElsewhere(
                f"{self._drive}: is being brought up to date by somebody else at this moment; "
                "nothing is lost, try again later"
            )
        self._state = state
        for id in drop:
            self._items.pop(id, None)
        self._items |= {item.id: item for item in put}
