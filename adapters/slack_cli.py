"""The commands `shifu slack`: the app's manifest, and a key."""

from typing import Annotated

import typer

from adapters.console import err, out, print_json
from adapters.settings import load_settings
from retrieval.errors import ShifuError

slack_app = typer.Typer(
    help="Create the Slack app: its manifest, and a key for several workspaces.",
    no_args_is_help=True,
)

_CREATE = "Create the app from it at https://api.slack.com/apps?new_app=1 (From a manifest); then: docs/slack.md"


@slack_app.command("manifest")
def slack_manifest(
    http_url: Annotated[
        str,
        typer.Option(
            "--http",
            metavar="URL",
            help="Public address, for events by HTTP. Default: Socket Mode.",
        ),
    ] = "",
    name: Annotated[str, typer.Option("--name", help="What the bot is called.")] = "Shifu",
    follow: Annotated[
        bool,
        typer.Option("--follow", help="May answer follow-ups without a mention; reads along."),
    ] = False,
    index: Annotated[
        bool, typer.Option("--index", help="May make documents of threads; reads along.")
    ] = False,
    live_search: Annotated[
        bool, typer.Option("--live-search", help="May search Slack with the asker's rights.")
    ] = False,
    match_email: Annotated[
        bool, typer.Option("--match-email", help="May find people by their e-mail address.")
    ] = False,
    org: Annotated[
        bool,
        typer.Option("--org", help="May be installed for a whole Enterprise Grid organisation."),
    ] = False,
    legacy_assistant: Annotated[
        bool,
        typer.Option("--legacy-assistant", help="For a workspace without the agent surface."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """
    Print the manifest from which Slack makes the app, each permission with its reason.

    What the settings turn on is asked for as well.
    """
    from adapters.slack.manifest import ManifestOptions, manifest, manifest_yaml
    from adapters.slack.permissions import OptIn
    from adapters.slack_setup import slack_opt_ins

    flags = {
        OptIn.FOLLOW: follow,
        OptIn.INDEX: index,
        OptIn.LIVE_SEARCH: live_search,
        OptIn.EMAIL: match_email,
    }
    chosen = {opt_in for opt_in, is_set in flags.items() if is_set}
    options = ManifestOptions(
        name=name,
        http_url=http_url,
        opt_ins=slack_opt_ins(load_settings()) | chosen,
        is_org_wide=org,
        legacy_assistant=legacy_assistant,
    )
    if as_json:
        print_json(manifest(options))
    else:
        out.print(manifest_yaml(options), end="", markup=False)
    err.print(_CREATE, markup=False)


@slack_app.command("key")
def slack_key() -> None:
    """Make a key that the tokens of several workspaces are encrypted with in Redis."""
    from cryptography.fernet import Fernet

    out.print(Fernet.generate_key().decode(), markup=False)
    err.print(
        "Put it first into SHIFU_SLACK__INSTALLATION_KEYS, a list in JSON, and keep it: without it "
        "the workspaces have to be installed again.",
        markup=False,
    )


@slack_app.command("index")
def slack_index(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How far the channels of SHIFU_SLACK__INDEX_CHANNELS are indexed."""
    import asyncio

    from adapters.slack_setup import index_status

    try:
        found = asyncio.run(index_status(load_settings()))
    except ShifuError as error:
        err.print(f"shifu: {error}", markup=False)
        raise typer.Exit(2) from error
    if as_json:
        print_json(found)
        return
    if not found:
        out.print("No channel is indexed; docs/slack.md says how to approve one.", markup=False)
    for channel in found:
        read = "all of its history" if channel["is_done"] else "not all of its history yet"
        out.print(
            f"{channel['channel']}: {channel['threads']} threads, {read}, read by {channel['readers']}",
            markup=False,
        )
