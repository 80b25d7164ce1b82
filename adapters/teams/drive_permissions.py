"""Asks Graph who may read files, many at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapters.teams.drive_ledger import DriveItem
from adapters.teams.graph import Graph, GraphFailure, quoted
from adapters.teams.sharepoint_items import SELECT, item_of, with_rights_of
from adapters.teams.sharepoint_permissions import SharePointRules, grants_of

_REFUSALS = frozenset({403, 404, 410, 423})


def is_refusal(failure: GraphFailure) -> bool:
    """Graph has looked, and says no; else it may answer in a minute."""
    return failure.status in _REFUSALS


class PermissionReader:
    """For one library."""

    def __init__(self, graph: Graph, drive: str, rules: SharePointRules) -> None:
        self._graph = graph
        self._path = f"drives/{quoted(drive)}"
        self._rules = rules

    async def read(self, items: Sequence[DriveItem], *, now: float) -> list[DriveItem]:
        """
        The same items with what is known now.

        Raises:
            GraphFailure: Of one of them it is not known, and may be in a minute.
        """
        paths = [f"{self._path}/items/{quoted(item.id)}" for item in items]
        answers = await self._graph.batch([f"{path}/permissions" for path in paths])
        misplaced = [n for n, item in enumerate(items) if item.is_misplaced]
        places = await self._graph.batch([f"{paths[n]}?$select={SELECT}" for n in misplaced])
        placed = dict(zip(misplaced, places, strict=True))
        known = []
        for n, item in enumerate(items):
            found, place = await self._listed(answers[n]), placed.get(n)
            if isinstance(place, GraphFailure):
                found = found if isinstance(found, GraphFailure) else place
            elif place is not None and (renewed := self._renewed(place, item)) is not None:
                item = renewed
            known.append(self._judged(item, found, now))
        return known

    async def _listed(self, answer: Mapping[str, Any] | GraphFailure) -> Any:
        """All permissions of one file, or why they are not known."""
        if isinstance(answer, GraphFailure):
            return answer
        found = answer.get("value")
        if not isinstance(found, list):
            return GraphFailure(0, "noList")
        try:
            if next_link := answer.get("@odata.nextLink"):
                found = [*found, *[more async for more in self._graph.pages(str(next_link))]]
        except GraphFailure as failure:
            return failure
        return [one for one in found if isinstance(one, Mapping)]

    def _judged(self, item: DriveItem, found: Any, now: float) -> DriveItem:
        if isinstance(found, GraphFailure):
            if not is_refusal(found):
                raise found
            refusal = f"SharePoint does not tell who may read it ({found.code or found.status})"
            return replace(
                item,
                rights_at=now,
                principals=frozenset(),
                left_out={},
                refusal=refusal,
                expires_at=0.0,
            )
        grants = grants_of(found, self._rules, now=now)
        return replace(
            item,
            rights_at=now,
            principals=frozenset(grants.principals),
            left_out=grants.left_out,
            refusal="",
            expires_at=grants.expires_at,
        )

    def _renewed(self, raw: Mapping[str, Any], item: DriveItem) -> DriveItem | None:
        """Name and address as they are after a folder above has moved."""
        found = item_of(raw, tenant_id=self._rules.tenant_id, scan=item.scan)
        return with_rights_of(found, item) if found else None
