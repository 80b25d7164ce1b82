"""Messages as Graph gives them, parsed into values, and the paths that lead to them. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from typing import Any

from adapters.teams.graph import quoted
from adapters.teams.ids import TeamsPerson
from adapters.teams.json_values import mapping, sequence, text, text_in
from adapters.teams.places import CHANNEL, GROUP_CHAT, Place
from retrieval.errors import IngestError
from retrieval.ingest.clean import parseable, visible
from retrieval.ingest.html import html_to_markdown
from retrieval.links import web_link

Payload = Mapping[str, Any]

_MOST_CHARACTERS = 120_000
"""Of a body: more than Teams lets anybody write."""

_FILE = "reference"
_ACCOUNT = "aadUser"

_MENTION = re.compile(r'<at\b[^>]*?\bid="(\d+)"[^>]*>(.*?)</at>', re.I | re.S)
_EMOJI = re.compile(r'<emoji\b[^>]*?\balt="([^"]*)"[^>]*>(?:</emoji>)?', re.I)
_CODE = re.compile(r"<(/?)codeblock\b[^>]*>", re.I)
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class PostedFile:
    """A file that came with a message: it lies in SharePoint or OneDrive, at *url*."""

    id: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class GraphMessage:
    """
    Something that a person wrote.

    Attributes:
        author: None for whoever has no account that is told: anonymous people, and some of other
            organisations.
        body: As it stands in Teams.
        permalink: None in chats, of which Graph tells none.
    """

    id: str
    author: TeamsPerson | None
    body: Payload
    mentions: Sequence[Any]
    at: datetime
    files: tuple[PostedFile, ...]
    permalink: str | None

    @property
    def text(self) -> str:
        """Markdown, without the mentions of bots. Takes some milliseconds for a long one."""
        return text_of(self.body, self.mentions)


def message_path(place: Place, thread: str, message: str) -> str | None:
    """
    Args:
        thread: Its first message, in channels.

    Returns:
        None where Graph has no messages for us: a personal chat with the bot, a team not told of.
    """
    if place.kind == GROUP_CHAT and message:
        return f"chats/{quoted(place.conversation)}/messages/{quoted(message)}"
    channel = channel_path(place)
    if channel is None or not message:
        return None
    root = f"{channel}/messages/{quoted(thread or message)}"
    return root if thread in ("", message) else f"{root}/replies/{quoted(message)}"


def channel_path(place: Place) -> str | None:
    if place.kind != CHANNEL or not place.team_group:
        return None
    return f"teams/{quoted(place.team_group)}/channels/{quoted(place.conversation)}"


def message_of(payload: Payload, *, tenant_id: str) -> GraphMessage | None:
    """
    None for what bots, connectors and the system wrote, and for what is deleted.

    Args:
        tenant_id: Of the conversation; the author's where Graph names none.
    """
    sender = mapping(payload.get("from"))
    user = mapping(sender.get("user"))
    id, at = text_in(payload, "id"), time_of(payload.get("createdDateTime"))
    is_message = payload.get("messageType", "message") == "message"
    is_there = is_message and not payload.get("deletedDateTime") and bool(id) and at is not None
    if not is_there or at is None or not user or sender.get("application"):
        return None
    return GraphMessage(
        id=id,
        author=author_of(payload, tenant_id=tenant_id),
        body=mapping(payload.get("body")),
        mentions=sequence(payload.get("mentions")),
        at=at,
        files=files_of(payload),
        permalink=web_link(text_in(payload, "webUrl")),
    )


def files_of(payload: Payload) -> tuple[PostedFile, ...]:
    found = []
    for attachment in map(mapping, sequence(payload.get("attachments"))):
        id, url = text_in(attachment, "id"), text_in(attachment, "contentUrl")
        if attachment.get("contentType") == _FILE and id and url:
            found.append(PostedFile(id.lower(), text_in(attachment, "name"), url))
    return tuple(found)


def author_of(payload: Payload, *, tenant_id: str) -> TeamsPerson | None:
    user = mapping(mapping(payload.get("from")).get("user"))
    id, told = text_in(user, "id"), text_in(user, "tenantId")
    has_account = user.get("userIdentityType") in (None, _ACCOUNT) or bool(told)
    if not has_account or not id or "/" in id + told:
        return None
    return TeamsPerson((told or tenant_id).lower(), id.lower())


def text_of(body: Payload, mentions: Sequence[Any] = ()) -> str:
    """Markdown of what *body* shows; empty for what cannot be read."""
    content = text_in(body, "content")[:_MOST_CHARACTERS]
    if body.get("contentType") != "html":
        return visible(content).strip()
    bots = {str(m.get("id")) for m in map(mapping, mentions) if _is_of_bot(m)}
    html = parseable(content)
    html = _MENTION.sub(lambda found: "" if found[1] in bots else f"@{found[2]}", html)
    html = _CODE.sub(r"<\1pre>", _EMOJI.sub(r"\1", html))
    try:
        return visible(html_to_markdown(html)[1]).replace("\xa0", " ").strip()
    except IngestError:
        return ""


def letters_of(body: Payload) -> str:
    """
    What tells whether two renderings are of the same message: its letters and digits.

    Whoever asks Teams, by whatever way, gets markup and blanks of another kind.
    """
    content = text_in(body, "content")[:_MOST_CHARACTERS]
    if body.get("contentType") == "html":
        content = unescape(_TAG.sub("", content))
    return "".join(filter(str.isalnum, content)).casefold()


def time_of(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _is_of_bot(mention: Payload) -> bool:
    return bool(mapping(mention.get("mentioned")).get("application"))
