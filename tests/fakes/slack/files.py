"""`files.info`, downloads and the three steps of an upload."""

from typing import Any

from aiohttp import web

from tests.fakes.slack.chat import content
from tests.fakes.slack.methods import TIER_4, Call, method
from tests.fakes.slack.platform import Slack
from tests.fakes.slack.shapes import file_json
from tests.fakes.slack.world import File, Json, Refused

LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body></body></html>"


@method("files.info", "files:read", per_minute=TIER_4, takes_json=False)
def info(call: Call) -> Json:
    file = call.slack.world.files.get(str(call.require("file")))
    if file is None or not _is_seen(call, file):
        raise Refused("file_not_found")
    return {"file": file_json(call.slack.origin, file), "comments": []}


@method("files.getUploadURLExternal", "files:write", per_minute=TIER_4)
def get_upload_url(call: Call) -> Json:
    length = call.number("length", 0)
    if length <= 0:
        raise Refused("invalid_arguments")
    id = call.slack.next_id("F")
    call.slack.uploads[id] = {"name": str(call.require("filename")), "length": length}
    return {"upload_url": f"{call.slack.origin}/upload/v1/{id}", "file_id": id}


@method("files.completeUploadExternal", "files:write", per_minute=TIER_4)
def complete_upload(call: Call) -> Json:
    asked: Any = call.require("files")
    done: list[File] = []
    for item in asked:
        upload = call.slack.uploads.get(item.get("id", ""))
        if upload is None or "content" not in upload:
            raise Refused("file_not_found")
        file = File(
            item["id"], item.get("title") or upload["name"], upload["content"], "text/plain",
            call.teams[0], call.install.bot_user,
        )  # fmt: skip
        call.slack.world.files[file.id] = file
        done.append(file)
    shown = [file_json(call.slack.origin, file) for file in done]
    if call.args.get("channel_id"):
        channel = call.writable_channel("channel_id")
        text, _ = content({"text": call.args.get("initial_comment") or " "})
        for file in done:
            file.channels.append(channel.id)
        call.slack.post(
            channel,
            call.install.bot_user,
            bot_id=call.install.bot_id,
            text=text.strip(),
            files=shown,
            thread_ts=call.args.get("thread_ts"),
        )
    return {"files": shown}


async def take_upload(slack: Slack, request: web.Request) -> web.Response:
    upload = slack.uploads.get(request.match_info["id"])
    if upload is None:
        return web.Response(status=404)
    data = await request.read()
    if len(data) != upload["length"]:
        return web.Response(status=400, text="the length is not what was announced")
    upload["content"] = data
    return web.Response(text=f"OK - {len(data)}")


async def download(slack: Slack, request: web.Request) -> web.Response:
    """Without the right to read it: a login page, and a cheerful 200."""
    team, _, id = request.match_info["key"].partition("-")
    file = slack.world.files.get(id)
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    install = slack.world.install_of_token(token)
    is_allowed = (
        file is not None
        and file.team == team
        and install is not None
        and not install.is_revoked
        and "files:read" in install.scopes
        and _is_seen(Call(slack, {}, install), file)
    )
    if not is_allowed or file is None:
        return web.Response(text=LOGIN_PAGE, content_type="text/html")
    return web.Response(body=file.content, content_type=file.mimetype)


def _is_seen(call: Call, file: File) -> bool:
    """The app reads a file only where it is in a conversation that the file was shared in."""
    if file.user == call.install.bot_user:
        return True
    for id in file.channels:
        channel = call.slack.world.find_channel(id, call.teams)
        if channel is not None and call.is_in(channel):
            return True
    return False
