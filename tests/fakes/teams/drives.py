"""SharePoint in Graph: sites, their libraries, what changed in one, permissions and content."""

from dataclasses import dataclass, field

from tests.fakes.teams.graph import GRAPH, denied, needs, page
from tests.fakes.teams.library import ROOT, Drive, Item
from tests.fakes.teams.platform import Teams
from tests.fakes.teams.routes import Answer, Call
from tests.fakes.teams.world import File, Json, Refused

_READ = ("Files.Read.All", "Sites.Read.All", "Sites.FullControl.All")
_PREFERRED = {"deltashowremovedasdeleted", "deltatraversepermissiongaps"}


@dataclass(slots=True)
class Drives:
    """All sites and libraries; `drives_of(api)` gives those of a double."""

    teams: Teams
    libraries: dict[str, Drive] = field(default_factory=dict)
    is_closed: bool = False
    """The app may not read any of them."""

    def library(
        self,
        name: str = "Shared Documents",
        *,
        site: str = "sites/hr",
        host: str = "example.sharepoint.com",
        tenant: str | None = None,
    ) -> Drive:
        id = f"b!drive-{len(self.libraries) + 1}"
        drive = Drive(id, name, host, site, tenant or self.teams.world.first_tenant)
        self.libraries[id] = drive
        return drive

    def site_id(self, drive: Drive) -> str:
        return f"{drive.host},{drive.site.replace('/', '-')},0"


def drives_of(teams: Teams) -> Drives:
    if teams.drives is None:
        teams.drives = Drives(teams)
    assert isinstance(teams.drives, Drives)
    return teams.drives


@GRAPH.add("GET", "/sites/{host}:/{path:*}", name="site")
def get_site(call: Call) -> Json:
    needs(call, "Sites.Read.All", "Sites.FullControl.All")
    wanted = (call.params["host"].lower(), call.params["path"].lower())
    for drive in _all(call):
        if (drive.host, drive.site.lower()) == wanted:
            return {"id": drives_of(call.teams).site_id(drive), "webUrl": f"https://{drive.host}"}
    raise Refused(404, "itemNotFound", "Requested site could not be found")


@GRAPH.add("GET", "/sites/{id}/drives", name="site_drives")
def get_drives(call: Call) -> Json:
    needs(call, *_READ)
    drives = drives_of(call.teams)
    found = [drive for drive in _all(call) if drives.site_id(drive) == call.params["id"]]
    return page(call, [_drive_json(drive) for drive in found])


@GRAPH.add("GET", "/drives/{drive}", name="drive")
def get_drive(call: Call) -> Json:
    return _drive_json(_drive(call))


@GRAPH.add("GET", "/drives/{drive}/root/delta", name="drive_delta")
def get_delta(call: Call) -> Answer:
    drive = _drive(call)
    preferred = {name.strip() for name in call.headers.get("Prefer", "").split(",")}
    if "deltashowsharingchanges" in preferred and not preferred >= _PREFERRED:
        raise Refused(400, "invalidRequest", "Must also prefer deltashowremovedasdeleted.")
    kind, epoch, place, start = _place(call.query.get("token", f"all-{drive.epoch}-0-0"))
    if epoch != drive.epoch:
        link = f"{_delta_url(call, drive)}?token=all-{drive.epoch}-0-0"
        raise Refused(410, "resyncRequired", "Resync required.", headers={"Location": link})
    if kind != "page":
        # What happens while somebody reads page after page is told by the link at their end.
        ids = list(drive.items) if kind == "all" else _changed(drive, place)
        since = len(drive.changes) if kind == "all" else place
        drive.listings.append((ids, since, len(drive.changes)))
        place = len(drive.listings) - 1
    ids, since, until = drive.listings[place]
    end = start + drive.page_size
    items = [_told(drive, drive.items[id], since, preferred) for id in ids[start:end]]
    token = f"page-{epoch}-{place}-{end}" if end < len(ids) else f"later-{epoch}-{until}-0"
    link = f"{_delta_url(call, drive)}?token={token}"
    key = "@odata.nextLink" if end < len(ids) else "@odata.deltaLink"
    return Answer(200, {"value": items, key: link})


@GRAPH.add("GET", "/drives/{drive}/items/{item}", name="drive_item")
def get_item(call: Call) -> Json:
    drive, item = _item(call, "item")
    told = drive.json(item)
    wanted = call.query.get("$select", "").split(",")
    if "publication" in wanted and item.publication:
        told["publication"] = item.publication
    return {k: v for k, v in told.items() if not wanted[0] or k in wanted or k == "@odata.type"}


@GRAPH.add("GET", "/drives/{drive}/items/{item}/permissions", name="drive_permissions")
def get_permissions(call: Call) -> Json:
    drive, item = _item(call, "permissions")
    if item.refusal:
        raise Refused(*item.refusal)
    return page(call, drive.effective(item))


@GRAPH.add("GET", "/drives/{drive}/items/{item}/content", name="drive_content")
def get_content(call: Call) -> Answer:
    _, item = _item(call, "content")
    if item.content is None:
        raise Refused(400, "invalidRequest", "Cannot get content for a folder.")
    file = File(item.id, item.name, item.content)
    call.teams.world.files[item.id] = file
    # Another host than Graph's, which must not see its token.
    url = call.teams.ticket(file).replace("127.0.0.1", "localhost")
    return Answer(302, None, {"Location": url})


def _all(call: Call) -> list[Drive]:
    return [d for d in drives_of(call.teams).libraries.values() if d.tenant == call.tenant_id]


def _drive(call: Call) -> Drive:
    needs(call, *_READ)
    drives = drives_of(call.teams)
    if drives.is_closed:
        raise denied()
    drive = drives.libraries.get(call.params["drive"])
    if drive is None or drive.tenant != call.tenant_id:
        raise Refused(404, "itemNotFound", "The resource could not be found.")
    return drive


def _item(call: Call, what: str) -> tuple[Drive, Item]:
    drive = _drive(call)
    item = drive.items.get(call.params["item"])
    if item is not None:
        drive.on_asked(what, item)
    if item is None or not drive.exists(item):
        raise Refused(404, "itemNotFound", "The resource could not be found.")
    return drive, item


def _changed(drive: Drive, since: int) -> list[str]:
    """Once each, the folders above too, in which nothing has changed."""
    found: dict[str, None] = {}
    for id in drive.changes[since:]:
        chain = []
        at = id
        while at:
            chain.append(at)
            at = drive.items[at].parent
        found |= dict.fromkeys(reversed(chain))
    return list(found)


def _told(drive: Drive, item: Item, since: int, preferred: set[str]) -> Json:
    if not drive.exists(item):
        told: Json = {"id": item.id, "deleted": {"state": "deleted"}}
        return told | {"parentReference": {"driveId": drive.id, "id": item.parent}}
    told = drive.json(item)
    del told["cTag"]
    if "hierarchicalsharing" not in preferred and item.id != ROOT:
        told["shared"] = {"scope": "users"}
    is_fresh = drive.shared_changes.get(item.id, -1) > since
    if is_fresh and "deltashowsharingchanges" in preferred:
        told["@microsoft.graph.sharedChanged"] = "True"
    return told


def _place(token: str) -> tuple[str, int, int, int]:
    kind, epoch, place, start = token.split("-")
    return kind, int(epoch), int(place), int(start)


def _delta_url(call: Call, drive: Drive) -> str:
    return f"{call.teams.graph_url}/v1.0/drives/{drive.id}/root/delta"


def _drive_json(drive: Drive) -> Json:
    return {
        "id": drive.id,
        "name": drive.name,
        "driveType": "documentLibrary",
        "webUrl": drive.web_url,
    }
