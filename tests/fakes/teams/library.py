"""A document library that exists only in a test: folders, files, and who may read them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.fakes.teams.world import Json

ROOT = "01ROOT"


@dataclass(slots=True)
class Item:
    id: str
    parent: str
    name: str
    content: bytes | None = None
    """None: a folder."""
    version: int = 1
    permissions: list[Json] | None = None
    """None: those of its folder."""
    owner: str = ""
    is_deleted: bool = False
    is_package: bool = False
    has_malware: bool = False
    publication: Json | None = None
    modified_at: float = 1_790_000_000.0
    refusal: tuple[int, str] | None = None
    """What everybody is told who asks for its permissions."""


@dataclass(slots=True)
class Drive:
    """
    Attributes:
        changes: Ids of items in the order in which they changed; a link to later changes is a place in it.
        tells_of_permissions: Which changed permissions are among the changes: `all`, `files` or `none`.
        tells_of_contents: When a folder is deleted, so is told of what was in it.
    """

    id: str
    name: str
    host: str
    site: str
    tenant: str
    items: dict[str, Item] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    shared_changes: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    """Links of earlier ones are not good any more."""
    page_size: int = 200
    listings: list[tuple[list[str], int, int]] = field(default_factory=list)
    """Ids to tell page by page, of changes from one place to another."""
    tells_of_permissions: str = "all"
    tells_of_contents: bool = False
    on_asked: Callable[[str, Item], None] = lambda what, item: None
    """Called before a question for an `item`, its `permissions` or its `content` is answered."""
    _ids: int = 0

    def __post_init__(self) -> None:
        self.items[ROOT] = Item(ROOT, "", "root", permissions=[])
        self.changes.append(ROOT)

    def folder(self, name: str, *, into: str = ROOT, **fields: Any) -> Item:
        return self._add(Item(self._next_id(), into, name, **fields))

    def file(
        self, name: str, content: bytes | str = "words", *, into: str = ROOT, **fields: Any
    ) -> Item:
        raw = content.encode() if isinstance(content, str) else content
        return self._add(Item(self._next_id(), into, name, raw, **fields))

    def write(self, item: Item, content: bytes | str) -> None:
        item.content = content.encode() if isinstance(content, str) else content
        item.modified_at += 60
        self.touch(item)

    def rename(self, item: Item, name: str) -> None:
        item.name = name
        self.touch(item)

    def move(self, item: Item, into: str) -> None:
        item.parent = into
        self.touch(item)

    def delete(self, item: Item) -> None:
        item.is_deleted = True
        self.touch(item)
        if self.tells_of_contents:
            for inner in self.inside(item):
                self.delete(inner)

    def restore(self, item: Item) -> None:
        item.is_deleted = False
        self.touch(item)

    def permit(self, item: Item, *permissions: Json) -> None:
        """From now on these, whatever its folder has."""
        item.permissions = list(permissions)
        self._shared(item)

    def inherit(self, item: Item) -> None:
        """From now on those of its folder."""
        item.permissions = None
        self._shared(item)

    def forget_links(self) -> None:
        """As Graph does after a long time: everything has to be listed anew."""
        self.epoch += 1

    def touch(self, item: Item) -> None:
        item.version += 1
        self.changes.append(item.id)

    def effective(self, item: Item) -> list[Json]:
        """Its permissions, those that it has from its folders marked as such."""
        at, own = item, item.permissions
        while own is None:
            at = self.items[at.parent]
            own = at.permissions
        if at is item:
            return list(own)
        # In document libraries it is not told from where.
        return [{**permission, "inheritedFrom": {}} for permission in own]

    def exists(self, item: Item) -> bool:
        at = item
        while at.id != ROOT:
            if at.is_deleted:
                return False
            at = self.items[at.parent]
        return True

    def files(self) -> list[Item]:
        """Those that somebody finds there now."""
        return [i for i in self.items.values() if i.content is not None and self.exists(i)]

    def inside(self, folder: Item) -> list[Item]:
        return [item for item in self.items.values() if item.parent == folder.id]

    def is_within(self, item: str, folder: str) -> bool:
        while item:
            if item == folder:
                return True
            item = self.items[item].parent
        return False

    def address(self, item: Item) -> str:
        names: list[str] = []
        at = item
        while at.id != ROOT:
            names.append(at.name)
            at = self.items[at.parent]
        return "/".join([self.web_url, *reversed(names)]).replace(" ", "%20")

    @property
    def web_url(self) -> str:
        return f"https://{self.host}/{self.site}/{self.name}".replace(" ", "%20")

    def json(self, item: Item) -> Json:
        told: Json = {
            "id": item.id,
            "name": item.name,
            "eTag": f'"{{{item.id}}},{item.version}"',
            "cTag": f'"c:{{{item.id}}},{item.version}"',
            "webUrl": self.address(item),
            "size": len(item.content or b""),
            "lastModifiedDateTime": _time(item.modified_at),
            "parentReference": {"driveId": self.id, "driveType": "documentLibrary"},
        }
        if item.owner:
            told["createdBy"] = {"user": {"id": item.owner, "displayName": "Somebody"}}
        if item.id == ROOT:
            told["root"] = {}
        else:
            told["parentReference"]["id"] = item.parent
        if item.is_package:
            told["package"] = {"type": "oneNote"}
        elif item.content is None:
            told["folder"] = {"childCount": len(self.inside(item))}
        else:
            told["file"] = {"mimeType": "application/octet-stream"}
        if item.has_malware:
            told["malware"] = {"description": "Virus"}
        if item.permissions is not None:
            told["shared"] = {"scope": "users"} if item.permissions else {}
        return told

    def _add(self, item: Item) -> Item:
        self.items[item.id] = item
        self.changes.append(item.id)
        return item

    def _shared(self, item: Item) -> None:
        is_told = {"all": True, "files": item.content is not None}
        if is_told.get(self.tells_of_permissions, False):
            self.touch(item)
            self.shared_changes[item.id] = len(self.changes)

    def _next_id(self) -> str:
        self._ids += 1
        return f"01ITEM{self._ids:06d}"


def to_user(id: str, *, role: str = "read", **fields: Any) -> Json:
    login = f"i:0#.f|membership|{id}@example.com"
    granted = {"user": {"id": id, "displayName": "Somebody"}, "siteUser": {"loginName": login}}
    return {"id": f"u-{id}-{role}", "roles": [role], "grantedToV2": granted, **fields}


def to_group(id: str, *, role: str = "read", login: str = "", **fields: Any) -> Json:
    granted = {
        "group": {"id": id, "displayName": "Some group"},
        "siteUser": {"loginName": login or f"c:0t.c|tenant|{id}"},
    }
    return {"id": f"g-{id}-{role}", "roles": [role], "grantedToV2": granted, **fields}


def to_site_group(name: str, *, role: str = "read") -> Json:
    granted = {"siteGroup": {"id": "5", "displayName": name, "loginName": name}}
    return {"id": f"s-{name}-{role}", "roles": [role], "grantedToV2": granted}


def to_everyone(tenant: str, *, role: str = "read") -> Json:
    login = f"c:0-.f|rolemanager|spo-grid-all-users/{tenant}"
    user = {"displayName": "Everyone except external users"}
    granted = {"user": user, "siteUser": {"loginName": login, **user}}
    return {"id": "everyone", "roles": [role], "grantedToV2": granted}


def by_link(scope: str, *users: str, kind: str = "view", **fields: Any) -> Json:
    """Redeemed by *users*, or for them alone where the scope is `users`."""
    listed = [{"user": {"id": id, "displayName": "Somebody"}} for id in users]
    link = {"scope": scope, "type": kind, "webUrl": "https://example.sharepoint.com/:x:/s/1"}
    told = {"id": f"l-{scope}-{kind}", "roles": ["read"], "link": link}
    return told | {"grantedToIdentitiesV2": listed, **fields}


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
