"""Threads of a Teams channel as documents: which channel, who reads it, what a thread says. Pure."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from adapters.teams.graph import quoted
from adapters.teams.graph_messages import GraphMessage, message_of, time_of
from adapters.teams.json_values import mapping, text_in
from retrieval.access import Acl, Level, Principal, group_principal
from retrieval.analysis import language_of
from retrieval.ingest.connectors import LoadedDocument
from retrieval.types import Document

PREFIX = "teams-channel:"

_FORMAT = "1:"
"""Of how a thread is written down; with another one all are written anew."""

_TITLE_CHARACTERS = 80
_MARKUP = re.compile(r"[\s*_`~<>\[\]#|\\]+")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_LINE_START = re.compile(r"^\s*(?:#{1,6}\s|>\s?|[-*+]\s|\d{1,3}[.)]\s|`{3,}\w*)\s*")
_EMPHASIS = re.compile(r"\*\*|__|`|\\(?=[^\w\s])")


@dataclass(frozen=True, slots=True)
class IndexedChannel:
    """
    A channel whose threads are documents.

    Attributes:
        tenant_id: The Entra tenant that it belongs to.
        team_group: The id of its team's group in Entra.
        channel: `19:…@thread.tacv2`.
    """

    tenant_id: str
    team_group: str
    channel: str

    @classmethod
    def of(cls, name: str, tenant_id: str) -> Self:
        """*name*: `<team's group>/<channel>`, as it stands in the settings."""
        team_group, _, channel = name.partition("/")
        return cls(tenant_id, team_group, channel)

    @property
    def source(self) -> str:
        return f"{PREFIX}{self.tenant_id}/{self.channel}"

    @property
    def path(self) -> str:
        """In Graph."""
        return f"teams/{quoted(self.team_group)}/channels/{quoted(self.channel)}"

    def document_id(self, root: str) -> str:
        return f"{self.source}/{root}"

    def root_of(self, document_id: str) -> str:
        return document_id.removeprefix(f"{self.source}/")

    def acl(self, tenant: str) -> Acl:
        return Acl(frozenset({channel_principal(tenant, self)}), Level.INTERNAL)


def channel_principal(tenant: str, channel: IndexedChannel) -> Principal:
    """Whoever is a member of the channel at this moment; the directory says who that is."""
    # No name of a company's group holds a colon, so none can pose as a channel.
    return group_principal(tenant, channel.source)


def thread_document(
    channel: IndexedChannel,
    root: Mapping[str, Any],
    replies: Sequence[Mapping[str, Any]],
    *,
    tenant: str,
) -> LoadedDocument | None:
    """
    What people wrote, oldest first. Takes some milliseconds for each message.

    None if the first message is not a person's, or is deleted; and where nobody says anything but to a
    bot: what is asked is no knowledge.

    Args:
        root: The first message as Graph tells it, *replies* the others in any order.
        tenant: Our organisation.
    """
    first = _said(root, channel)
    if first is None:
        return None
    by_id = {found.id: found for reply in replies if (found := _said(reply, channel))}
    said = [first, *sorted(by_id.values(), key=lambda one: (one.at, one.id))]
    if not any(one.text and not one.is_for_bot for one in said):
        return None
    subject = _one_line(text_in(root, "subject"))
    shown = [one for one in said if one.text]
    title = _title([subject, *(line for one in shown for line in one.text.splitlines())])
    heading = [f"**{_MARKUP.sub(' ', subject).strip()}**"] if subject else []
    markdown = "\n\n".join([*heading, *(one.markdown for one in shown)])
    link, owner = first.permalink, first.owner
    digest = hashlib.sha256("\x1f".join([title, markdown, link or "", owner or ""]).encode())
    document = Document(
        id=channel.document_id(first.id),
        source=channel.source,
        title=title,
        acl=channel.acl(tenant),
        content_hash=_FORMAT + digest.hexdigest()[:32],
        link=link,
        owner=owner,
        language=language_of("\n".join(one.text for one in shown)[:10_000]),
        modified_at=max(one.changed_at for one in shown),
    )
    return LoadedDocument(document, markdown)


@dataclass(frozen=True, slots=True)
class _Said:
    id: str
    text: str
    author: str
    owner: str | None
    permalink: str | None
    at: datetime
    changed_at: datetime
    is_for_bot: bool

    @property
    def markdown(self) -> str:
        name = f"**{self.author}** " if self.author else ""
        # A list or code is one only at the beginning of a line.
        return f"{name}({self.at:%Y-%m-%d %H:%M} UTC):\n\n{self.text}"


def _said(payload: Mapping[str, Any], channel: IndexedChannel) -> _Said | None:
    message = message_of(payload, tenant_id=channel.tenant_id)
    if message is None:
        return None
    user = mapping(mapping(payload.get("from")).get("user"))
    edited_at = time_of(payload.get("lastEditedDateTime"))
    return _Said(
        id=message.id,
        text=message.text,
        author=_MARKUP.sub(" ", text_in(user, "displayName")).strip(),
        owner=message.author.account if message.author else None,
        permalink=message.permalink,
        at=message.at,
        changed_at=max(message.at, edited_at) if edited_at else message.at,
        is_for_bot=_is_for_bot(message),
    )


def _is_for_bot(message: GraphMessage) -> bool:
    mentioned = (mapping(mapping(mention).get("mentioned")) for mention in message.mentions)
    return any(one.get("application") for one in mentioned)


def _title(lines: Sequence[str]) -> str:
    """The first line that says something."""
    plain = (
        _one_line(_EMPHASIS.sub("", _LINK.sub(r"\1", _LINE_START.sub("", line)))) for line in lines
    )
    title = next((line for line in plain if any(map(str.isalnum, line))), "…")
    return title if len(title) <= _TITLE_CHARACTERS else title[: _TITLE_CHARACTERS - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(text.split())
