"""What Teams accepts as an Adaptive Card, what a person reads in one, and what can be pressed."""

import re
from collections.abc import Iterator
from typing import Any

from tests.fakes.teams.world import Json

CARD_BYTES = 28 * 1024
VERSIONS = {"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"}
REFRESHED_FOR = 60
# What has to be there, by type of element.
_ELEMENTS: dict[str, tuple[str, ...]] = {
    "TextBlock": ("text",),
    "RichTextBlock": ("inlines",),
    "TextRun": ("text",),
    "Image": ("url",),
    "ImageSet": ("images",),
    "Media": ("sources",),
    "Container": ("items",),
    "ColumnSet": (),
    "Column": (),
    "FactSet": ("facts",),
    "ActionSet": ("actions",),
    "Table": ("columns", "rows"),
    "TableRow": ("cells",),
    "TableCell": ("items",),
    "CodeBlock": ("codeSnippet",),
    "Icon": ("name",),
    "Badge": (),
    "Input.Text": ("id",),
    "Input.Number": ("id",),
    "Input.Date": ("id",),
    "Input.Time": ("id",),
    "Input.Toggle": ("id", "title"),
    "Input.ChoiceSet": ("id", "choices"),
}
_ACTIONS: dict[str, tuple[str, ...]] = {
    "Action.OpenUrl": ("url",),
    "Action.Submit": (),
    "Action.Execute": ("verb",),
    "Action.ShowCard": ("card",),
    "Action.ToggleVisibility": ("targetElements",),
}
_NESTED = ("body", "items", "columns", "rows", "cells", "images", "inlines", "actions")
_ADDRESS = re.compile(r"https?://\S+$")


def check_card(card: Json) -> list[str]:
    """Why Teams would not show it; empty if it would."""
    return list(_problems(card))


def readable(card: Any) -> str:
    """All text that a person reads in it, a line for each element."""
    return "\n".join(text for text in _texts(card) if text)


def actions_in(card: Any) -> list[Json]:
    """Everything that can be pressed, also in cards within it and on elements themselves."""
    if isinstance(card, list):
        return [action for inner in card for action in actions_in(inner)]
    if not isinstance(card, dict):
        return []
    own = [card] if str(card.get("type", "")).startswith("Action.") else []
    inner = [value for key, value in card.items() if key not in ("data", "refresh", "fallback")]
    return own + actions_in([value for value in inner if isinstance(value, dict | list)])


def _problems(card: Json) -> Iterator[str]:
    if card.get("type") != "AdaptiveCard":
        yield f"type {card.get('type')}"
    if card.get("version") not in VERSIONS:
        yield f"version {card.get('version')}"
    if not card.get("body") and not card.get("actions"):
        yield "an empty card"
    refresh = card.get("refresh")
    if refresh is not None:
        if (refresh.get("action") or {}).get("type") != "Action.Execute":
            yield "refresh needs an Action.Execute"
        if not (refresh.get("action") or {}).get("verb"):
            yield "refresh needs a verb"
        if len(refresh.get("userIds") or []) > REFRESHED_FOR:
            yield "too many userIds"
        if card.get("version") in ("1.0", "1.1", "1.2", "1.3"):
            yield "refresh needs version 1.4"
    inputs = [e.get("id") for e in _all_elements(card) if str(e.get("type")).startswith("Input.")]
    if len(set(inputs)) != len(inputs):
        yield "two inputs of one id"
    yield from _inner_problems(card)


def _inner_problems(parent: Json) -> Iterator[str]:
    for key in _NESTED:
        listed = parent.get(key)
        if listed is None:
            continue
        if not isinstance(listed, list):
            yield f"{key} is no list"
            continue
        for element in listed:
            if key == "columns" and parent.get("type") == "Table":
                continue
            if key == "inlines" and isinstance(element, str):
                continue
            yield from _element_problems(element, key)
    if parent.get("selectAction"):
        yield from _element_problems(parent["selectAction"], "actions")


def _element_problems(element: Any, key: str) -> Iterator[str]:
    if not isinstance(element, dict):
        yield f"{element!r} is no element"
        return
    kinds = {"columns": "Column", "rows": "TableRow", "cells": "TableCell", "images": "Image"}
    kind = str(element.get("type") or kinds.get(key, ""))
    known = _ACTIONS if key == "actions" else _ELEMENTS
    if kind not in known:
        if not element.get("fallback"):
            yield f"unknown element {kind}"
        return
    for name in known[kind]:
        if name not in element:
            yield f"{kind} without {name}"
    if kind == "TextBlock" and not isinstance(element.get("text"), str):
        yield "TextBlock without text"
    if kind == "Action.OpenUrl" and not _ADDRESS.match(str(element.get("url"))):
        yield "Action.OpenUrl without an address"
    if kind == "Image" and not re.match(r"(https?://|data:image/)", str(element.get("url"))):
        yield "Image without an address"
    if kind == "FactSet":
        for fact in element.get("facts") or []:
            if not isinstance(fact.get("title"), str) or not isinstance(fact.get("value"), str):
                yield "a fact without title or value"
    if kind == "Input.ChoiceSet":
        for choice in element.get("choices") or []:
            if not choice.get("title") or not isinstance(choice.get("value"), str):
                yield "a choice without title or value"
    if kind == "Action.ShowCard":
        yield from _inner_problems(element.get("card") or {})
    yield from _inner_problems(element)


def _all_elements(parent: Any) -> Iterator[Json]:
    if isinstance(parent, list):
        for inner in parent:
            yield from _all_elements(inner)
    elif isinstance(parent, dict):
        yield parent
        for key, inner in parent.items():
            if key not in ("data", "refresh", "fallback"):
                yield from _all_elements(inner)


def _texts(element: Any) -> Iterator[str]:
    if isinstance(element, list):
        for inner in element:
            yield from _texts(inner)
        return
    if isinstance(element, str):
        yield element
        return
    if not isinstance(element, dict):
        return
    kind = element.get("type")
    if kind == "RichTextBlock":
        yield "".join(t for inline in element.get("inlines", ()) for t in _texts(inline))
        return
    if kind == "TableRow" or (kind is None and "cells" in element):
        yield " | ".join(" ".join(_texts(cell.get("items"))) for cell in element.get("cells", ()))
        return
    for key in ("text", "title", "label", "placeholder", "altText", "codeSnippet"):
        if isinstance(element.get(key), str):
            yield element[key]
    if str(kind).startswith("Input.") and isinstance(element.get("value"), str):
        yield element["value"]
    for fact in element.get("facts") or ():
        yield f"{fact.get('title')}: {fact.get('value')}"
    for choice in element.get("choices") or ():
        yield str(choice.get("title"))
    for key in _NESTED:
        if key != "columns" or kind != "Table":
            yield from _texts(element.get(key))
    if isinstance(element.get("card"), dict):
        yield from _texts(element["card"])
