"""The commands `shifu teams`: the app package, and what an administrator has to permit."""

from pathlib import Path
from typing import Annotated

import typer

from adapters.console import err, out, print_json
from adapters.settings import load_settings
from adapters.teams.manifest import (
    CHINESE_FILE,
    MESSAGES_PATH,
    ManifestOptions,
    Slash,
    chinese,
    manifest,
)
from adapters.teams.package import MANIFEST_FILE, app_package
from adapters.teams.permissions import GrantedBy, OptIn, Permission, permissions
from adapters.teams_setup import teams_opt_ins

teams_app = typer.Typer(
    help="Make the Teams app: its package, and the list of what it has to be permitted.",
    no_args_is_help=True,
)

_PublicUrl = Annotated[
    str, typer.Option("--public-url", metavar="URL", help="Where Teams reaches this service.")
]
_AppId = Annotated[
    str, typer.Option("--app-id", help="Of the app in Entra. Default: SHIFU_TEAMS__APP_ID.")
]
_Name = Annotated[str, typer.Option("--name", help="What the bot is called.")]
_Company = Annotated[str, typer.Option("--company", help="Whose app it is.")]
_Version = Annotated[
    str, typer.Option("--app-version", help="Higher than that of the package in use.")
]
_Website = Annotated[
    str, typer.Option("--website", metavar="URL", help="Page about it. Default: the public URL.")
]
_Privacy = Annotated[
    str, typer.Option("--privacy", metavar="URL", help="Privacy page. Default: the website.")
]
_Terms = Annotated[
    str, typer.Option("--terms", metavar="URL", help="Terms of use. Default: the privacy page.")
]
_Follow = Annotated[
    bool, typer.Option("--follow", help="May answer follow-ups without a mention; reads along.")
]
_Threads = Annotated[
    bool, typer.Option("--threads", help="May read the thread before a question; reads along.")
]
_ChannelFiles = Annotated[
    bool,
    typer.Option("--channel-files", help="May read files in channels and chats; reads along."),
]
_Index = Annotated[
    bool, typer.Option("--index", help="May make documents of channel posts; reads along.")
]
_SharePoint = Annotated[
    bool, typer.Option("--sharepoint", help="May make documents of SharePoint's libraries.")
]
_Slash = Annotated[
    bool,
    typer.Option("--slash", help="Commands stand in the list that opens with a slash as well."),
]
_Preview = Annotated[
    bool,
    typer.Option("--preview", help="The same in the developer preview of the format."),
]


@teams_app.command("package")
def teams_package(
    public_url: _PublicUrl,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write.", dir_okay=False)
    ] = Path("shifu-teams.zip"),
    app_id: _AppId = "",
    name: _Name = "Shifu",
    company: _Company = "Shifu",
    app_version: _Version = "1.0.0",
    website: _Website = "",
    privacy: _Privacy = "",
    terms: _Terms = "",
    follow: _Follow = False,
    threads: _Threads = False,
    channel_files: _ChannelFiles = False,
    index: _Index = False,
    slash: _Slash = False,
    preview: _Preview = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what it holds as JSON, and write nothing.")
    ] = False,
) -> None:
    """
    Write the file that is uploaded to Teams.

    What the settings turn on is asked for as well.
    """
    options = ManifestOptions(
        app_id=app_id or load_settings().teams.app_id,
        public_url=public_url.rstrip("/"),
        name=name,
        company=company,
        version=app_version,
        website=website,
        privacy=privacy,
        terms=terms,
        opt_ins=_opt_ins(follow, threads, channel_files, index),
        slash=_slash(slash, preview),
    )
    if as_json:
        print_json({MANIFEST_FILE: manifest(options), CHINESE_FILE: chinese(options)})
        return
    output.write_bytes(app_package(options))
    out.print(f"{output}", markup=False)
    err.print(
        f"Upload it in Teams (Apps, Manage your apps, Upload an app) or in the Teams admin center. "
        f"The bot's messaging endpoint in Azure: {options.public_url}{MESSAGES_PATH}\n"
        "What an administrator permits in Entra: shifu teams permissions; then: docs/teams.md",
        markup=False,
    )


@teams_app.command("permissions")
def teams_permissions(
    follow: _Follow = False,
    threads: _Threads = False,
    channel_files: _ChannelFiles = False,
    index: _Index = False,
    sharepoint: _SharePoint = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What has to be permitted, by whom, and what for. What the settings turn on is listed as well."""
    wanted = permissions(_opt_ins(follow, threads, channel_files, index, sharepoint))
    if as_json:
        print_json([_json(permission) for permission in wanted])
        return
    for granted_by, head in _HEADS.items():
        asked = [p for p in wanted if p.granted_by is granted_by]
        if asked:
            out.print(head, markup=False)
        for permission in asked:
            out.print(f"  {permission.name}: {permission.why}", markup=False)


_HEADS = {
    GrantedBy.ADMIN: "In Entra (API permissions, Microsoft Graph, application permissions), with consent:",
    GrantedBy.TEAM: "Stands in the package; the owner of a team grants it for that team by adding the app:",
    GrantedBy.CHAT: "Stands in the package; granted for a chat by adding the app there:",
}


def _json(permission: Permission) -> dict[str, str]:
    return {
        "name": permission.name,
        "why": permission.why,
        "granted_by": permission.granted_by.value,
    }


def _opt_ins(
    follow: bool, threads: bool, channel_files: bool, index: bool, sharepoint: bool = False
) -> frozenset[OptIn]:
    flags = {
        OptIn.FOLLOW: follow,
        OptIn.THREADS: threads,
        OptIn.CHANNEL_FILES: channel_files,
        OptIn.INDEX: index,
        OptIn.SHAREPOINT: sharepoint,
    }
    chosen = {opt_in for opt_in, is_set in flags.items() if is_set}
    return teams_opt_ins(load_settings()) | chosen


def _slash(slash: bool, preview: bool) -> Slash:
    if preview:
        return Slash.PREVIEW
    return Slash.ON if slash else Slash.OFF
