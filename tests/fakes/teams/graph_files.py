"""Graph's files that came with messages: where they lie, who may read them, and what is in them."""

from tests.fakes.teams.activities import content_url, share_id
from tests.fakes.teams.graph import GRAPH, needs, not_found
from tests.fakes.teams.graph_teams import the_channel, the_team
from tests.fakes.teams.platform import Teams
from tests.fakes.teams.routes import Answer, Call
from tests.fakes.teams.world import File, Json, Refused

_READ_FILES = ("Files.Read.All", "Sites.Read.All", "Files.ReadWrite.All")


@GRAPH.add("GET", "/teams/{team}/channels/{channel}/filesFolder")
def files_folder(call: Call) -> Json:
    needs(call, *_READ_FILES)
    channel = the_channel(call)
    drive = drive_of(the_team(call).group_id)
    parent = {"driveId": drive, "driveType": "documentLibrary"}
    return {"id": f"folder-{channel.name}", "name": channel.name, "parentReference": parent}


@GRAPH.add("GET", "/shares/{share}/driveItem")
def shared_item(call: Call) -> Json:
    needs(call, *_READ_FILES)
    file = _shared(call)
    return {
        "id": file.id,
        "name": file.name,
        "size": len(file.content),
        "webUrl": content_url(call.teams, file),
        "file": {"mimeType": file.content_type},
        "parentReference": {"driveId": file.drive, "driveType": "documentLibrary"},
    }


@GRAPH.add("GET", "/shares/{share}/driveItem/content")
def shared_content(call: Call) -> Answer:
    needs(call, *_READ_FILES)
    return _redirected(call, _shared(call))


@GRAPH.add("GET", "/drives/posted-{drive}/items/{item}/content")
def content(call: Call) -> Answer:
    needs(call, *_READ_FILES)
    return _redirected(call, _item(call))


@GRAPH.add("GET", "/drives/posted-{drive}/items/{item}/permissions")
def item_permissions(call: Call) -> Json:
    needs(call, *_READ_FILES)
    file = _item(call)
    if file.permissions is not None:
        return {"value": file.permissions}
    return {"value": library_permissions(call.teams, file.drive)}


@GRAPH.add("GET", "/drives/posted-{drive}/root/permissions")
def root_permissions(call: Call) -> Json:
    needs(call, *_READ_FILES)
    return {"value": library_permissions(call.teams, f"posted-{call.params['drive']}")}


def drive_of(owner: str) -> str:
    """Where files that are posted lie: in the team's library, or in that of the one who posts."""
    return f"posted-{owner}"


def library_permissions(teams: Teams, drive: str) -> list[Json]:
    owner = drive.removeprefix("posted-")
    team = teams.world.team_of_group(owner)
    if team is None:
        return [_permission("owner", "user", owner, teams.world.user(owner).name)]
    return [
        _permission("owner", "siteGroup", "3", f"{team.name} Owners"),
        _permission("write", "siteGroup", "5", f"{team.name} Members"),
    ]


def granted_to(teams: Teams, file: File, people: list[str]) -> list[Json]:
    """Of a file in somebody's own library that is shared with *people*."""
    shared = [_permission("read", "user", id, teams.world.user(id).name) for id in people]
    return [*library_permissions(teams, file.drive), *shared]


def _permission(role: str, kind: str, id: str, name: str) -> Json:
    identity = {"id": id, "displayName": name}
    granted = {"grantedToV2": {kind: identity}}
    return {"id": f"permission-{kind}-{id}", "roles": [role]} | granted


def _shared(call: Call) -> File:
    for file in call.world.files.values():
        if share_id(content_url(call.teams, file)) == call.params["share"] and file.drive:
            return file
    raise Refused(404, "itemNotFound", "The sharing link no longer exists.")


def _item(call: Call) -> File:
    file = call.world.files.get(call.params["item"])
    if file is None or file.drive != f"posted-{call.params['drive']}":
        raise not_found(call.params["item"])
    return file


def _redirected(call: Call, file: File) -> Answer:
    return Answer(302, None, {"Location": call.teams.ticket(file)})
