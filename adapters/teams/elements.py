"""The parts of our Adaptive Cards, none of which holds markup of others; all cards fit into Teams."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from adapters.teams import verbs
from adapters.teams.json_values import Json
from adapters.teams.markdown import Block, Code, Heading, Table, code, plain, prose_line, runs
from retrieval.types import Language

CARD_TYPE = "application/vnd.microsoft.card.adaptive"

MAX_CARD_BYTES = 27_000
"""Teams takes 28 kB, and does not say how it counts: the larger of both encodings is meant here."""

_VERSION = "1.5"
_FALLBACK = 1_000
_LINE, _CELL, _MAX_COLUMNS = 1_500, 300, 10
_BUTTON, _MAX_URL = 40, 1_000


def size_bytes(element: Any) -> int:
    text = json.dumps(element, ensure_ascii=False)
    return max(len(text.encode("utf-8", "replace")), len(text.encode("utf-16-le", "replace")))


def card(
    body: Sequence[Json],
    actions: Sequence[Json] = (),
    *,
    language: Language,
    fallback: str,
    is_wide: bool = False,
) -> Json:
    """
    Args:
        fallback: For a client that cannot show the card.
    """
    made: Json = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": _VERSION,
        "lang": str(language),
        "fallbackText": plain(fallback[:_FALLBACK]) or "…",
        "body": list(body),
    }
    if actions:
        made["actions"] = list(actions)
    if is_wide:
        made["msteams"] = {"width": "Full"}
    return made


def attachment(content: Json) -> Json:
    return {"contentType": CARD_TYPE, "content": content}


def words(text: str, **style: Any) -> Json:
    """Words of our own. Those of others go through `line`."""
    return {"type": "TextBlock", "text": text, "wrap": True, **style}


def heading(text: str, **style: Any) -> Json:
    return words(text, weight="Bolder", size="Medium", style="heading", **style)


def line(text: str, *, spacing: str = "Small", **style: Any) -> Json:
    """Somebody's words, exactly as they are."""
    return pieces([{"type": "TextRun", "text": plain(text) or "…", **style}], spacing=spacing)


def pieces(inlines: Sequence[Json], *, spacing: str = "Small") -> Json:
    return {"type": "RichTextBlock", "inlines": list(inlines), "spacing": spacing}


def linked(text: str, url: str | None, **style: Any) -> Json:
    """A piece of text that opens a source's own address."""
    run: Json = {"type": "TextRun", "text": plain(text) or "…", **style}
    if url and len(url) <= _MAX_URL:
        run["selectAction"] = {"type": "Action.OpenUrl", "url": url}
    return run


def button(label: str, verb: str, data: Json, **more: Any) -> Json:
    """One that we hear of; the card stays for everybody as it is."""
    return {
        "type": "Action.Execute",
        "title": _short(label, _BUTTON),
        "verb": verb,
        "data": data,
        **more,
    }


def submit(label: str, data: Json) -> Json:
    """Of a dialog, which Teams closes then."""
    return {"type": "Action.Submit", "title": _short(label, _BUTTON), "data": data}


def opening(label: str, verb: str, **values: str) -> Json:
    """A button that opens a dialog; we are asked what stands in it."""
    return submit(label, {"msteams": {"type": "task/fetch"}, **data(verb, **values)})


def text_input(
    id: str,
    label: str,
    *,
    value: str = "",
    max_length: int,
    is_multiline: bool = False,
    required: str = "",
) -> Json:
    """
    Args:
        required: What is said if it stays empty; it may stay empty if that is empty.
    """
    made: Json = {
        "type": "Input.Text",
        "id": id,
        "label": label,
        "isMultiline": is_multiline,
        "maxLength": max_length,
    }
    if value:
        made["value"] = value
    return made | ({"isRequired": True, "errorMessage": required} if required else {})


def choices(
    id: str,
    label: str,
    options: Iterable[tuple[str, str]],
    *,
    value: str = "",
    is_many: bool = False,
) -> Json:
    """*options*: pairs of what is kept and what is read."""
    made: Json = {
        "type": "Input.ChoiceSet",
        "id": id,
        "label": label,
        "style": "expanded",
        "isMultiSelect": is_many,
        "wrap": True,
        "choices": [{"title": title, "value": key} for key, title in options],
    }
    return made | ({"value": value} if value else {})


def data(verb: str, **values: str) -> Json:
    """What tells the buttons apart that have no verb of their own."""
    return {verbs.VERB: verb, **values}


ELLIPSIS: Json = line("…", spacing="None")


def prose(several: Sequence[Block], *, room_bytes: int) -> list[Json]:
    """As much of an answer as there is *room* for, from its beginning; `ELLIPSIS` tells of the rest."""
    made: list[Json] = []
    room_bytes -= size_bytes(ELLIPSIS)
    for block in several:
        for element in _elements(block):
            size = size_bytes(element) + 2
            if size > room_bytes:
                rows = _fitting_rows(element, room_bytes)
                return [*made, *rows, ELLIPSIS]
            made.append(element)
            room_bytes -= size
    return made


def _elements(block: Block) -> list[Json]:
    if isinstance(block, Table):
        return [_table(block)]
    if isinstance(block, Heading):
        return [pieces(runs(block.text[:_LINE], weight="Bolder", size="Medium"), spacing="Medium")]
    if isinstance(block, Code):
        return [_code_line(text, is_first=n == 0) for n, text in enumerate(block.code_lines)]
    made: list[Json] = []
    for raw in block.lines:
        text, is_quoted = prose_line(raw)
        style = {"isSubtle": True} if is_quoted else {}
        for part in _parts(text):
            made.append(pieces(runs(part, **style), spacing="None" if made else "Medium"))
    return made


def _parts(text: str) -> list[str]:
    """Lines that are not so long that one of them could take all of the room."""
    made = []
    while len(text) > _LINE:
        cut = text.rfind(" ", _LINE // 2, _LINE)
        cut = cut if cut > 0 else _LINE
        made.append(text[:cut])
        text = text[cut:].lstrip(" ")
    return [part for part in [*made, text] if part]


def _code_line(text: str, *, is_first: bool) -> Json:
    # Spaces at its beginning would be dropped.
    indented = text.expandtabs(4)
    blank = len(indented) - len(indented.lstrip(" "))
    shown = "\u00a0" * blank + code(indented.strip())
    run = {"type": "TextRun", "text": shown or "\u00a0", "fontType": "Monospace"}
    return pieces([run], spacing="Small" if is_first else "None")


def _table(block: Table) -> Json:
    head, *rest = [row[:_MAX_COLUMNS] for row in block.rows]
    widths = [
        min(max(len(row[column]) for row in (head, *rest)), 40) // 8 + 1
        for column in range(len(head))
    ]
    return {
        "type": "Table",
        "columns": [{"width": width} for width in widths],
        "firstRowAsHeaders": True,
        "gridStyle": "default",
        "rows": [_row(head, weight="Bolder"), *(_row(row) for row in rest)],
    }


def _row(cells: Sequence[str], **style: Any) -> Json:
    return {
        "type": "TableRow",
        "cells": [
            {"type": "TableCell", "items": [pieces(runs(cell[:_CELL] or "\u00a0", **style))]}
            for cell in cells
        ],
    }


def _fitting_rows(element: Json, room_bytes: int) -> list[Json]:
    if element["type"] != "Table":
        return []
    rows = list(element["rows"])
    while len(rows) > 1:
        rows = rows[: len(rows) // 2] if len(rows) > 8 else rows[:-1]
        if size_bytes(shorter := {**element, "rows": rows}) <= room_bytes:
            return [shorter] if len(rows) > 1 else []
    return []


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
