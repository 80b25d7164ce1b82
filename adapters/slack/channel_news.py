"""What an event tells of a channel that is indexed. Pure, and at ease with any payload."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from adapters.slack.thread_messages import ThreadMessage, message_of

Event = Mapping[str, Any]

_TS = re.compile(r"(\d{1,10})\.(\d{1,6})")

_MAY_NARROW = frozenset({"channel_convert_to_private", "channel_shared"})
_CHANGES = re.compile(
    r"(?:channel|group)_(?:archive|unarchive|deleted|left|unshared|convert_to_public)"
    r"|member_(?:joined|left)_channel"
)


class What(Enum):
    CHANGED = auto()
    """Something in the thread, which is a document only if it is known as one."""
    FOUND = auto()
    """Something in the thread that may make a document of it."""
    SHORTENED = auto()
    """What is indexed of the thread holds something that was deleted."""
    GONE = auto()
    """The whole thread."""
    NARROWED = auto()
    """Fewer may read the channel than before."""
    CHANNEL = auto()
    """Something about the channel, which has to be looked at."""


@dataclass(frozen=True, slots=True)
class News:
    """
    Attributes:
        root: `ts` of the thread's first message; empty where it is about the channel.
        at: Microseconds since the epoch by Slack's clock.
        is_private: The event knows the channel as a private one.
    """

    channel: str
    what: What
    root: str = ""
    at: int = 0
    is_private: bool = False


def micros(ts: object) -> int | None:
    """The moment that a `ts` stands for; None for what is none."""
    match = _TS.fullmatch(ts) if isinstance(ts, str) else None
    return int(match[1]) * 1_000_000 + int(match[2].ljust(6, "0")) if match else None


def news_in(event: Event) -> News | None:
    """None for what changes nothing that is indexed."""
    channel = event.get("channel")
    if isinstance(channel, Mapping):
        channel = channel.get("id")
    if not isinstance(channel, str) or not channel:
        return None
    names = [name for key in ("type", "subtype") if isinstance(name := event.get(key), str)]
    if not _MAY_NARROW.isdisjoint(names):
        return News(channel, What.NARROWED)
    if any(_CHANGES.fullmatch(name) for name in names):
        return News(channel, What.CHANNEL)
    if event.get("type") not in ("message", "app_mention"):
        return None
    told = _thread_news(event)
    if told is None:
        return None
    what, root, at = told
    is_private = event.get("channel_type") in ("group", "mpim")
    return News(channel, what, root, at, is_private)


def _thread_news(event: Event) -> tuple[What, str, int] | None:
    at = micros(event.get("event_ts")) or micros(event.get("ts"))
    match event.get("subtype"):
        case "message_changed" | "message_replied":
            inner = _mapping(event.get("message"))
        case "message_deleted":
            inner = _mapping(event.get("previous_message")) or {"ts": event.get("deleted_ts")}
        case _:
            inner = event
    ts, thread = inner.get("ts"), inner.get("thread_ts")
    root = thread or ts
    if at is None or not isinstance(root, str) or micros(root) is None:
        return None
    is_reply = root != ts
    if inner.get("subtype") == "tombstone":
        # What is left of a deleted message that has replies.
        return (What.SHORTENED if is_reply else What.GONE), root, at
    message = message_of(inner)
    if event.get("subtype") == "message_deleted":
        if not is_reply:
            return What.GONE, root, at
        return (What.SHORTENED, root, at) if message else None
    if event.get("subtype") == "message_replied":
        return What.FOUND, root, at
    if message is None:
        return None
    return (What.FOUND if is_reply or _is_evidence(message) else What.CHANGED), root, at


def _is_evidence(message: ThreadMessage) -> bool:
    return message.is_long or message.reply_count > 0


def _mapping(value: object) -> Event:
    return value if isinstance(value, Mapping) else {}
