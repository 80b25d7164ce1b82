"""What Teams sends: the envelope of every activity, and messages as the clients write them."""

import base64
import html
from typing import Any

from tests.fakes.teams.clock import stamp
from tests.fakes.teams.messages import Message
from tests.fakes.teams.platform import Teams
from tests.fakes.teams.world import Conversation, File, Json, User

DOWNLOAD_INFO = "application/vnd.microsoft.teams.file.download.info"


def envelope(
    teams: Teams,
    kind: str,
    user: User,
    place: Conversation,
    *,
    thread: str | None = None,
    id: str = "",
    **more: Any,
) -> Json:
    """An activity of *kind* that *user* caused in *place*."""
    now = teams.clock.now()
    sender: Json = {"id": user.mri, "name": user.name}
    if not user.is_anonymous:
        sender["aadObjectId"] = user.id
    conversation: Json = {
        "conversationType": place.kind,
        "tenantId": place.tenant,
        "id": f"{place.id};messageid={thread}" if thread else place.id,
    }
    if place.kind != "personal":
        conversation["isGroup"] = True
    if place.kind == "groupChat" and place.name:
        conversation["name"] = place.name
    body: Json = {
        "type": kind,
        "id": id or f"f:{teams.next_id()}",
        "timestamp": stamp(now),
        "localTimestamp": stamp(now),
        "localTimezone": "Asia/Taipei",
        "channelId": "msteams",
        "serviceUrl": teams.service_url,
        "from": sender,
        "conversation": conversation,
        "recipient": {"id": teams.bot_id, "name": teams.bot_name},
        "channelData": channel_data(teams, place),
        "locale": user.locale,
    }
    return merged(body, more)


def channel_data(teams: Teams, place: Conversation) -> Json:
    data: Json = {"tenant": {"id": place.tenant}}
    team = teams.world.team_of(place)
    if team is None:
        return data
    data |= {"teamsChannelId": place.id, "teamsTeamId": team.id}
    data["channel"] = {"id": place.id}
    if place.channel_type != "standard":
        data["channel"]["type"] = place.channel_type
    data["team"] = {"id": team.id}
    if teams.tells_group_ids:
        data["team"]["aadGroupId"] = team.group_id
    return data


def entities(user: User) -> list[Json]:
    """With one of a type that nobody has heard of."""
    language, _, country = user.locale.partition("-")
    info = {
        "type": "clientInfo",
        "locale": user.locale,
        "country": country or language.upper(),
        "platform": "Web",
        "timezone": "Asia/Taipei",
    }
    return [info, {"type": "ClientCapabilities", "requiresBotState": True}]


def mention(teams: Teams) -> tuple[str, Json]:
    """The text that names the app, and the entity that goes with it."""
    shown = f"<at>{html.escape(teams.bot_name)}</at>"
    named = {"id": teams.bot_id, "name": teams.bot_name}
    return shown, {"type": "mention", "text": shown, "mentioned": named}


def html_attachment(teams: Teams, text: str, is_named: bool, files: list[Json]) -> Json:
    """The message once more, as the client shows it, with a tag for every file."""
    span = '<span itemscope itemtype="http://schema.skype.com/Mention" itemid="0">'
    named = f"{span}{html.escape(teams.bot_name)}</span>&nbsp;" if is_named else ""
    tags = "".join(f'<attachment id="{file["id"]}"></attachment>' for file in files)
    content = f"<p>{named}{html.escape(text)}</p>{tags}"
    return {"contentType": "text/html", "content": content}


def download_info(teams: Teams, file: File) -> Json:
    content = {
        "downloadUrl": teams.ticket(file),
        "uniqueId": file.id,
        "fileType": file.name.rpartition(".")[2],
    }
    return {
        "contentType": DOWNLOAD_INFO,
        "contentUrl": content_url(teams, file),
        "name": file.name,
        "content": content,
    }


def inline_image(teams: Teams, file: File) -> Json:
    url = f"{teams.service_url}v3/attachments/{file.id}/views/original"
    return {"contentType": file.content_type, "contentUrl": url}


def content_url(teams: Teams, file: File) -> str:
    """Where the file lies, for people with a browser and rights."""
    return f"{teams.origin}/sites/files/{file.id}/{file.name}"


def share_id(url: str) -> str:
    """What Graph calls a shared address."""
    return "u!" + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def conversation_id(place: Conversation, message: Message) -> str:
    """As activities about *message* name it: in a channel with its thread."""
    if place.kind != "channel":
        return place.id
    return f"{place.id};messageid={message.thread or message.id}"


def merged(body: Json, more: Json) -> Json:
    """*more* over *body*, at every depth."""
    whole = dict(body)
    for key, value in more.items():
        known = whole.get(key)
        is_deep = isinstance(known, dict) and isinstance(value, dict)
        whole[key] = merged(known or {}, value) if is_deep else value
    return whole
