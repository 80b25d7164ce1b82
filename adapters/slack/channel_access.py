"""Who reads what is indexed of a channel. Pure."""

from collections.abc import Mapping
from typing import Any

from adapters.slack.directory import channel_principal
from adapters.slack.facts import ChannelFacts
from adapters.slack.ids import PLATFORM, SlackChannelId
from adapters.slack.thread_ledger import Visibility
from retrieval.access import Acl, Level, tenant_principal

SOURCE_PREFIX = f"{PLATFORM}:"

NOBODY = Acl(frozenset(), Level.INTERNAL)


def channel_acl(tenant: str, channel: SlackChannelId, visibility: Visibility | None) -> Acl:
    if visibility is None:
        return NOBODY
    readers = {channel_principal(tenant, channel)}
    if visibility is Visibility.PUBLIC:
        readers.add(tenant_principal(tenant))
    return Acl(frozenset(readers), Level.INTERNAL)


def visibility_of(info: Mapping[str, Any]) -> Visibility | None:
    """
    What `conversations.info` tells of a channel; None: nothing of it may be indexed.

    Members alone, unless everything speaks for a channel that all employees and nobody else can join.
    """
    facts = ChannelFacts.of(info)
    if facts.is_direct or info.get("is_archived") or not info.get("is_member"):
        return None
    is_open = bool(info.get("is_channel")) and info.get("is_private") is False
    is_narrower = facts.is_private or facts.is_external or bool(info.get("is_group"))
    return Visibility.PUBLIC if is_open and not is_narrower else Visibility.MEMBERS


def source_of(channel: SlackChannelId) -> str:
    return f"{SOURCE_PREFIX}{channel}"


def document_id(channel: SlackChannelId, root: str) -> str:
    return f"{SOURCE_PREFIX}{channel}/{root}"


def channel_of(name: str) -> SlackChannelId | None:
    """From `<home>/<C…>`, or from a source of ours."""
    home, slash, channel = name.removeprefix(SOURCE_PREFIX).partition("/")
    return SlackChannelId(home, channel) if slash and home and channel else None
