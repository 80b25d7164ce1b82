"""A thread's messages, as Slack gives them, and the document that they make. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.slack.markup import plain_text

_OF_PEOPLE = (None, "file_share", "thread_broadcast", "me_message")
_LONG = 80
_TITLE_CHARACTERS = 80

_WIDE_FROM = "\u2e80"
# What a line would begin in Markdown that it does not begin in Slack.
_HEADING = re.compile(r"^(\s*)(#{1,6}\s|=+\s*$|-{2,}\s*$)", re.M)
_FENCE = re.compile(r"[ \t]*```[ \t]*")
_BLOCK = re.compile(r"\s*(?:```|[-*+•]\s|\d{1,3}[.)]\s|\|)")
_NAME_MARKUP = re.compile(r"[\s*_`~<>\[\]#|\\]+")
_PERSON = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_CHANNEL = re.compile(r"<#([CG][A-Z0-9]+)(?:\|[^<>]*)?>")


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """
    Something that a person said.

    Attributes:
        text: With Slack's markup.
        files: Their names alone.
        reply_count: As Slack counts, bots included; 0 where it does not say.
    """

    ts: str
    thread_ts: str
    user: str
    text: str
    edited_ts: str
    files: tuple[str, ...]
    reply_count: int
    latest_reply: str

    @property
    def is_reply(self) -> bool:
        return bool(self.thread_ts) and self.thread_ts != self.ts

    @property
    def is_long(self) -> bool:
        """Enough to be worth finding, though nobody replied."""
        text = plain_text(self.text, "")
        return sum(2 if character >= _WIDE_FROM else 1 for character in text) > _LONG

    @property
    def people(self) -> frozenset[str]:
        """Whose names it needs."""
        return frozenset({self.user, *_PERSON.findall(self.text)})

    @property
    def channels(self) -> frozenset[str]:
        return frozenset(_CHANNEL.findall(self.text))


def message_of(payload: Mapping[str, Any]) -> ThreadMessage | None:
    """None for bots' messages and for the system's."""
    ts, user = _text(payload, "ts"), _text(payload, "user")
    is_of_bot = bool(payload.get("bot_id")) or user == "USLACKBOT"
    if payload.get("subtype") not in _OF_PEOPLE or is_of_bot or not ts or not user:
        return None
    edited, files = payload.get("edited"), payload.get("files")
    count = payload.get("reply_count")
    return ThreadMessage(
        ts=ts,
        thread_ts=_text(payload, "thread_ts"),
        user=user,
        text=_text(payload, "text"),
        edited_ts=_text(edited, "ts") if isinstance(edited, Mapping) else "",
        files=tuple(
            name
            for file in (files if isinstance(files, list) else ())
            if isinstance(file, Mapping)
            and (name := _one_line(_text(file, "name") or _text(file, "title")))
        ),
        reply_count=count if isinstance(count, int) else 0,
        latest_reply=_text(payload, "latest_reply"),
    )


def is_document(thread: Sequence[ThreadMessage]) -> bool:
    """Whether somebody replied, or the first message says enough by itself."""
    return len(thread) > 1 or thread[0].is_long


def title_of(root: ThreadMessage, names: Mapping[str, str]) -> str:
    """Its first line; for a mere file that file's name."""
    lines = [line for line in map(_one_line, _plain(root.text, names).splitlines()) if line]
    title = (lines or list(root.files) or ["…"])[0]
    return title if len(title) <= _TITLE_CHARACTERS else title[: _TITLE_CHARACTERS - 1] + "…"


def markdown_of(thread: Sequence[ThreadMessage], names: Mapping[str, str]) -> str:
    """
    Every message after its author and time, oldest first.

    Args:
        names: Of people and channels by id; what is missing is not named.
    """
    return "\n\n".join(_shown(message, names) for message in thread)


def modified_at(thread: Sequence[ThreadMessage]) -> datetime:
    return max(_time(ts) for m in thread for ts in (m.ts, m.edited_ts) if ts)


def _shown(message: ThreadMessage, names: Mapping[str, str]) -> str:
    name = _NAME_MARKUP.sub(" ", names.get(message.user, message.user)).strip() or message.user
    head = f"**{name}** ({_time(message.ts):%Y-%m-%d %H:%M} UTC):"
    text = _as_markdown(_plain(message.text, names))
    files = "\n".join(f"📎 {file}" for file in message.files)
    body = "\n\n".join(part for part in (text, files) if part)
    # A list or code is one only at the beginning of a line.
    return f"{head}\n\n{body}" if _BLOCK.match(body) else f"{head} {body}"


def _plain(text: str, names: Mapping[str, str]) -> str:
    """
    Markup replaced by names. A channel's label in the text is not used: Slack shows the name of a
    private channel to its members alone.
    """
    text = _PERSON.sub(lambda found: f"@{_escaped(names.get(found[1], found[1]))}", text)
    text = _CHANNEL.sub(lambda found: f"#{_escaped(names.get(found[1], '…'))}", text)
    return plain_text(text, "")


def _escaped(name: str) -> str:
    return _one_line(name).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _as_markdown(text: str) -> str:
    """With code in fences of their own, all of them closed, and no headings, which Slack does not have."""
    parts = _FENCE.split(text)
    if len(parts) % 2 == 0:
        parts[-2:] = [f"{parts[-2]}\n{parts[-1]}"]
    shown = []
    for n, part in enumerate(parts):
        if n % 2:
            shown.append("```\n" + part.strip("\n") + "\n```")
        elif part.strip():
            shown.append(_HEADING.sub(r"\1\\\2", part.strip("\n")))
    return "\n\n".join(shown)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _time(ts: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(ts), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _text(payload: Mapping[str, Any], key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""
