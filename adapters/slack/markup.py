"""Slack's markup as the text that people see. Pure."""

import re

_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}

# What people type is escaped, so that whatever stands between real brackets is Slack's.
_MARKED = re.compile(r"<(?P<what>[^<>|]*)(?:\|(?P<label>[^<>]*))?>")


def plain_text(text: str, bot_user: str) -> str:
    """
    *text* as it is read, without the mentions of *bot_user*.

    Links are their label or their address, channels `#name`, people `@name` or, where Slack does
    not tell the name, `@U…`.
    """
    if bot_user:
        mention = rf"<@{re.escape(bot_user)}(?:\|[^<>]*)?>"
        # "@Shifu, how …" addresses; the comma is not part of the question.
        text = re.sub(rf"\A\s*(?:{mention}[\s,:，、：]*)+", "", text)
        text = re.sub(rf"[ \t]*{mention}[ \t]*", " ", text)
    return re.sub(r"&(?:amp|lt|gt);", _character, _MARKED.sub(_shown, text)).strip()


def _character(entity: re.Match[str]) -> str:
    return _ENTITIES[entity.group()]


def _shown(marked: re.Match[str]) -> str:
    what, label = marked["what"], (marked["label"] or "").strip()
    match what[:1]:
        case "@":
            return f"@{label or what[1:]}".replace("@@", "@")
        case "#":
            return f"#{label or what[1:]}".replace("##", "#")
        case "!":
            return label or f"@{what[1:].partition('^')[2] or what[1:]}"
        case _:
            return label or what.removeprefix("mailto:").removeprefix("tel:")


def mentions_in(text: str) -> frozenset[str]:
    """Ids of the people whom *text* calls by name."""
    return frozenset(re.findall(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>", text))
