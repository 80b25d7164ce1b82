"""What a person reads in a message, and whom it notifies."""

import html
import re
from collections.abc import Iterator
from typing import Any

from tests.fakes.slack.messages import Message
from tests.fakes.slack.world import Json, World

_CONTROL = re.compile(r"<([@#!]?)([^<>|]+)(?:\|([^<>]*))?>")
_LINK = re.compile(r"(?<!\\)\[((?:\\.|[^\]\\])*)\]\(<?([^)\s>]+)>?\)")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_RANGES = ("channel", "here", "everyone")


def text_of(message: Message, world: World) -> str:
    """With live mentions as `@name`, links as `label (address)`, and nothing of the markup."""
    if not message.blocks:
        return _mrkdwn(message.text, world)
    return "\n".join(text for block in message.blocks for text in _block(block, world) if text)


def notified_by(message: Message, world: World) -> set[str]:
    """Users, user groups and `channel`, `here` or `everyone`: all that live markup calls."""
    texts = [message.text, *_strings(message.blocks)]
    found: set[str] = set()
    for text in texts:
        for sign, body, _ in _CONTROL.findall(text):
            if sign == "@":
                found.add(body)
            elif sign == "!" and body.startswith("subteam^"):
                found.add(body.removeprefix("subteam^"))
            elif sign == "!" and body in _RANGES:
                found.add(body)
    return found | set(_rich_mentions(message.blocks))


def _block(block: Json, world: World) -> Iterator[str]:
    kind = block.get("type")
    if kind == "markdown":
        yield _markdown(str(block.get("text", "")), world)
    elif kind == "table":
        for row in block["rows"]:
            yield " | ".join(" ".join(_block(cell, world)) for cell in row)
    elif kind in ("raw_text", "raw_number"):
        yield str(block.get("text", block.get("value", "")))
    elif kind in ("rich_text", "rich_text_section", "rich_text_list", "rich_text_quote"):
        glue = "" if kind == "rich_text_section" else "\n"
        yield glue.join(text for e in block["elements"] for text in _block(e, world))
    elif kind == "rich_text_preformatted":
        yield "".join(text for e in block["elements"] for text in _block(e, world))
    elif kind in ("text", "link", "user", "usergroup", "channel", "broadcast", "emoji"):
        yield _rich_element(block, world)
    elif kind in ("task_card", "task_update"):
        yield str(block.get("title", ""))
        for part in ("details", "output"):
            yield from _any(block.get(part), world)
        for source in block.get("sources", ()):
            yield f"{source.get('text', '')} ({source.get('url', '')})"
    elif kind == "plan":
        yield str(block.get("title", ""))
        for task in block.get("tasks", ()):
            yield from _block({"type": "task_card", **task}, world)
    elif kind == "image":
        yield str(block.get("alt_text", ""))
    else:
        yield from _parts(block, world)


def _parts(block: Json, world: World) -> Iterator[str]:
    """Everything readable of a block that is made of text objects and elements."""
    if block.get("type") == "plain_text":
        yield str(block.get("text", ""))
        return
    if block.get("type") == "mrkdwn":
        yield _mrkdwn(str(block.get("text", "")), world)
        return
    for name in ("label", "title", "subtitle", "text", "body", "fields", "accessory", "element"):
        yield from _any(block.get(name), world)
    for name in ("elements", "positive_button", "negative_button", "options", "child_blocks"):
        yield from _any(block.get(name), world)


def _any(value: Any, world: World) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _block(value, world)
    elif isinstance(value, list):
        for item in value:
            yield from _any(item, world)
    elif isinstance(value, str):
        yield value


def _rich_element(element: Json, world: World) -> str:
    match element["type"]:
        case "user":
            return _mention("@", element["user_id"], "", world)
        case "usergroup":
            return _mention("!", f"subteam^{element['usergroup_id']}", "", world)
        case "channel":
            return _mention("#", element["channel_id"], "", world)
        case "broadcast":
            return f"@{element['range']}"
        case "emoji":
            return f":{element['name']}:"
        case "link":
            label = element.get("text")
            return f"{label} ({element['url']})" if label else str(element["url"])
        case _:
            return str(element.get("text", ""))


def _mrkdwn(text: str, world: World) -> str:
    shown = _CONTROL.sub(lambda found: _mention(found[1], found[2], found[3] or "", world), text)
    return html.unescape(shown)


def _markdown(text: str, world: World) -> str:
    text = _CONTROL.sub(lambda found: _mention(found[1], found[2], found[3] or "", world), text)
    text = _LINK.sub(r"\1 (\2)", text)
    text = re.sub(r"^#{1,6} ", "", text, flags=re.MULTILINE)
    text = re.sub(r"(?<!\\)\*\*|(?<!\\)__|(?<!\\)`+", "", text)
    return html.unescape(_ESCAPED.sub(r"\1", text))


def _mention(sign: str, body: str, label: str, world: World) -> str:
    if sign == "@":
        return "@" + next((u.name for u in world.users.values() if u.id == body), body)
    if sign == "#":
        return "#" + next((c.name for c in world.channels.values() if c.id == body), body)
    if sign == "!" and body.startswith("subteam^"):
        id = body.removeprefix("subteam^")
        return "@" + next((g.handle for g in world.usergroups.values() if g.id == id), id)
    if sign == "!":
        return f"@{body}" if body in _RANGES else (label or body)
    return f"{label} ({body})" if label else body


def _strings(value: Any) -> Iterator[str]:
    """Texts in which Slack would resolve markup; plain text is not one of them."""
    if isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        if value.get("type") in ("mrkdwn", "markdown") and isinstance(value.get("text"), str):
            yield value["text"]
        for inner in value.values():
            if isinstance(inner, dict | list):
                yield from _strings(inner)


def _rich_mentions(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _rich_mentions(item)
    elif isinstance(value, dict):
        for kind, key in (
            ("user", "user_id"),
            ("usergroup", "usergroup_id"),
            ("broadcast", "range"),
        ):
            if value.get("type") == kind and key in value:
                yield value[key]
        for inner in value.values():
            yield from _rich_mentions(inner)
