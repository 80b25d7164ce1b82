"""From what Graph tells of a library's files to ledger items, and how they hang together. Pure."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from adapters.teams.drive_ledger import DriveItem
from adapters.teams.json_values import mapping, text_in
from adapters.teams.sharepoint_permissions import person
from retrieval.ingest.convert import CONVERSION_VERSION

SELECT = (
    "id,name,size,eTag,webUrl,file,folder,package,root,deleted,malware,parentReference,"
    "lastModifiedDateTime,createdBy,shared,remoteItem"
)

_SHARED_CHANGED = "@microsoft.graph.sharedChanged"
_FORMAT = "sharepoint-1"


def item_of(raw: Mapping[str, Any], *, tenant_id: str, scan: int) -> DriveItem | None:
    """None for what is neither file nor folder of this library: deleted, a link to another one, unknown."""
    is_root = isinstance(raw.get("root"), Mapping)
    is_folder = is_root or any(isinstance(raw.get(kind), Mapping) for kind in ("folder", "package"))
    is_file = isinstance(raw.get("file"), Mapping)
    parent = text_in(mapping(raw.get("parentReference")), "id")
    id, name = text_in(raw, "id"), text_in(raw, "name")
    is_gone = "deleted" in raw or "remoteItem" in raw or not id
    if is_gone or not (is_folder or is_file) or not (is_root or (parent and name)):
        return None
    size = raw.get("size")
    creator = person(tenant_id, mapping(raw.get("createdBy")).get("user"))
    return DriveItem(
        id=id,
        parent="" if is_root else parent,
        name=name,
        is_folder=is_folder,
        size_bytes=size if isinstance(size, int) else 0,
        # Changes more often than the content, but the tag of that is not told together with changes.
        tag=text_in(raw, "eTag"),
        link=text_in(raw, "webUrl"),
        modified_at=text_in(raw, "lastModifiedDateTime"),
        owner=creator.account if creator else "",
        problem="SharePoint has found malware in it; remove it" if "malware" in raw else "",
        shared=_digest(raw.get("shared")) if is_folder and not is_root else "",
        scan=scan,
    )


def may_concern_others(
    raw: Mapping[str, Any], item: DriveItem | None, before: DriveItem | None
) -> tuple[bool, bool]:
    """Whether the rights of what is in a folder may be others now, and whether its place is another."""
    if before is None or not before.is_folder or item is None:
        return False, False
    is_moved = (item.parent, item.name) != (before.parent, before.name)
    is_shared_anew = bool(raw.get(_SHARED_CHANGED)) or item.shared != before.shared
    return is_moved or is_shared_anew, is_moved


def below(items: Mapping[str, DriveItem], folders: Collection[str]) -> set[str]:
    """Ids of the items somewhere in one of *folders*."""
    children = _children(items)
    found: set[str] = set()
    left = list(folders)
    while left:
        fresh = [id for id in children.get(left.pop(), ()) if id not in found]
        found.update(fresh)
        left += fresh
    return found


def connected(items: Mapping[str, DriveItem]) -> dict[str, DriveItem]:
    """
    Those whose folders lead up to the library's root.

    When a folder is deleted, Graph does not reliably tell of what was in it.
    """
    roots = {id for id, item in items.items() if not item.parent}
    return {id: items[id] for id in sorted(roots | below(items, roots))}


def content_hash(item: DriveItem) -> str:
    """Another one whenever a document made of the file would be another."""
    told = (item.tag, item.name, item.link, item.modified_at, item.owner)
    return f"{_FORMAT}:{CONVERSION_VERSION}:{_digest(told)}"


def with_rights_of(item: DriveItem, before: DriveItem) -> DriveItem:
    """What is known of the permissions until they are read anew."""
    return replace(
        item,
        principals=before.principals,
        left_out=before.left_out,
        refusal=before.refusal,
        expires_at=before.expires_at,
    )


def _children(items: Mapping[str, DriveItem]) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {}
    for id, item in items.items():
        if item.parent:
            children.setdefault(item.parent, []).append(id)
    return children


def _digest(value: object) -> str:
    if value is None:
        return ""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
