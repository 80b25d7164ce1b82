"""The access filter of a search: a scope as conditions on the rows, by way of the access lists that exist."""

import asyncio
import time
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from weaviate.classes.config import ConsistencyLevel
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.collections.classes.filters import FilterReturn

from retrieval.access import AccessScope, Acl, Principal, Reader
from retrieval.weaviate.batches import PAGE_ROWS, insert
from retrieval.weaviate.connection import Connection
from retrieval.weaviate.rows import acl_from, acl_properties, exact, row_id

FEW_SETS = 300
"""As long as no more access lists are allowed, naming them is cheaper than spelling out several clauses."""

_SCOPES_KEPT = 512
_REFRESH_S = 1.0
# Clocks of a cluster's nodes differ; what was made within this of the newest is read again.
_CLOCK_SKEW = timedelta(seconds=30)
# Not the epoch: Weaviate compares times as strings, and the first of them had fewer digits.
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class AccessSets:
    """
    The access lists in use, by set id, as far as this process has read them.

    A set id is the hash of its content, so a verdict stays right; a list that is not known yet
    allows nothing. What this process writes it knows at once, what others write within a second.
    """

    def __init__(self, connection: Connection, collection: str) -> None:
        self._connection = connection
        self._collection = collection
        self._acls: dict[str, Acl] = {}
        self._by_principal: defaultdict[Principal, list[str]] = defaultdict(list)
        self._verdicts: OrderedDict[AccessScope, frozenset[str]] = OrderedDict()
        self._newest: datetime | None = None
        self._refreshed_at = float("-inf")
        self._one_refresh = asyncio.Lock()

    async def filter(self, scope: AccessScope) -> FilterReturn | None:
        """The condition on rows that *scope* puts; None if no row can meet it."""
        clauses = list(scope.clauses)
        if not all(clause.principals for clause in clauses):
            return None
        if len(clauses) == 1:
            return _clause_filter(clauses[0])
        await self.refresh()
        allowed = self._verdict(scope)
        if not allowed:
            return None
        if len(allowed) <= max(FEW_SETS, sum(len(clause.principals) for clause in clauses)):
            return Filter.by_property("acl_set").contains_any(sorted(allowed))
        return Filter.all_of([_clause_filter(clause) for clause in clauses])

    async def publish(self, acls: Iterable[Acl]) -> None:
        """Make lists known to every process, before any row names them."""
        new = {acl.set_id: acl for acl in acls if acl.set_id not in self._acls}
        await insert(
            self._connection,
            self._collection,
            [
                DataObject(properties=acl_properties(acl), uuid=row_id(set_id))
                for set_id, acl in new.items()
            ],
            level=ConsistencyLevel.QUORUM,
        )
        for set_id, acl in new.items():
            self._learn(set_id, acl)

    async def refresh(self) -> None:
        """Read what others have published, unless that was done a moment ago."""
        if time.monotonic() - self._refreshed_at < _REFRESH_S:
            return
        async with self._one_refresh:
            began = time.monotonic()
            if began - self._refreshed_at < _REFRESH_S:
                return
            if self._newest is None or not await self._read_newer(self._newest):
                await self._read_all()
            self._refreshed_at = began

    def _verdict(self, scope: AccessScope) -> frozenset[str]:
        found = self._verdicts.get(scope)
        if found is None:
            found = frozenset(i for i in self._candidates(scope) if scope.allows(self._acls[i]))
            self._verdicts[scope] = found
            if len(self._verdicts) > _SCOPES_KEPT:
                self._verdicts.popitem(last=False)
        else:
            self._verdicts.move_to_end(scope)
        return found

    def _candidates(self, scope: AccessScope) -> set[str]:
        # Every clause must meet a list, so the clause that meets the fewest bounds the work.
        sets = self._by_principal
        fewest = min(
            scope.clauses, key=lambda clause: sum(len(sets.get(p, ())) for p in clause.principals)
        )
        return {set_id for p in fewest.principals for set_id in sets.get(p, ())}

    async def _read_newer(self, newest: datetime) -> bool:
        """Whether that was all there is."""
        since = Filter.by_creation_time().greater_than(newest - _CLOCK_SKEW)
        found = await self._connection.ask(
            self._collection,
            lambda sets: sets.query.fetch_objects(
                filters=since, limit=PAGE_ROWS, return_metadata=MetadataQuery(creation_time=True)
            ),
            "reading access lists",
        )
        self._take(found.objects)
        return len(found.objects) < PAGE_ROWS

    async def _read_all(self) -> None:
        after = uuid.UUID(int=0)
        self._newest = self._newest or _LONG_AGO
        while True:
            found = await self._connection.ask(
                self._collection,
                lambda sets, after=after: sets.query.fetch_objects(  # type: ignore[misc]
                    after=after, limit=PAGE_ROWS, return_metadata=MetadataQuery(creation_time=True)
                ),
                "reading access lists",
            )
            self._take(found.objects)
            if len(found.objects) < PAGE_ROWS:
                return
            after = found.objects[-1].uuid

    def _take(self, rows: Iterable[Any]) -> None:
        for row in rows:
            acl = acl_from(row.properties)
            self._learn(acl.set_id, acl)
            made = row.metadata.creation_time
            if made is not None and (self._newest is None or made > self._newest):
                self._newest = made

    def _learn(self, set_id: str, acl: Acl) -> None:
        if set_id in self._acls:
            return
        self._acls[set_id] = acl
        for principal in acl.principals:
            self._by_principal[principal].append(set_id)
        self._verdicts.clear()


def _clause_filter(clause: Reader) -> FilterReturn:
    meets = Filter.by_property("acl").contains_any([exact(p) for p in sorted(clause.principals)])
    return meets & Filter.by_property("level").less_or_equal(int(clause.clearance))
