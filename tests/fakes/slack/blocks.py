"""What Slack accepts as blocks: the limits and shapes that it refuses a payload for."""

from collections.abc import Iterator
from typing import Any

from tests.fakes.slack.elements import element_problems
from tests.fakes.slack.problems import length_problems, pointer, text_problems, too_many
from tests.fakes.slack.world import Json, Refused

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MARKDOWN_CHARS = 12_000
# Not documented: 13,297 characters of markdown alone pass, 13,172 beside one divider.
TOTAL_CHARS = 13_297
CHARS_PER_OTHER_BLOCK = 125
TABLE_ROWS, TABLE_COLUMNS, TABLE_CHARS = 100, 20, 10_000

_EVERYWHERE = {"actions", "context", "divider", "header", "image", "input", "rich_text", "section"}
_EVERYWHERE |= {"video", "alert"}
_IN_MESSAGES = {"context_actions", "file", "markdown", "table", "task_card", "plan", "card"}
_IN_MESSAGES |= {"carousel", "container", "auth_provider"}


def check_message_blocks(blocks: Any, *, at: str = "/blocks") -> list[Json]:
    """The blocks themselves, if a message may have them."""
    listed = _listed(blocks)
    problems = list(_problems(listed, at, _EVERYWHERE | _IN_MESSAGES, MESSAGE_BLOCKS))
    if problems:
        raise Refused("invalid_blocks", messages=[f"[ERROR] {p}" for p in problems])
    others = [block for block in listed if block["type"] != "markdown"]
    if total_chars(listed) + CHARS_PER_OTHER_BLOCK * len(others) > TOTAL_CHARS:
        raise Refused("msg_blocks_too_long")
    return listed


def view_problems(view: Json) -> list[str]:
    """Why `views.*` refuse *view*; empty if they do not."""
    found: list[str] = []
    is_modal = view.get("type") == "modal"
    if view.get("type") not in ("modal", "home"):
        return ["unsupported type [json-pointer:/view/type]"]
    if is_modal:
        for part in ("title", "submit", "close"):
            if part in view or part == "title":
                found += text_problems(view.get(part), f"/view/{part}", 24, {"plain_text"})
    limits = {"private_metadata": 3_000, "callback_id": 255, "external_id": 255}
    for name, limit in limits.items():
        found += length_problems(view.get(name), f"/view/{name}", limit)
    blocks = view.get("blocks")
    if not isinstance(blocks, list):
        return [*found, "missing required field: blocks [json-pointer:/view]"]
    found += _problems(blocks, "/view/blocks", _EVERYWHERE, VIEW_BLOCKS)
    has_input = any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)
    if is_modal and has_input and "submit" not in view:
        found.append("missing required field: submit [json-pointer:/view]")
    return found


def total_chars(blocks: list[Json]) -> int:
    """Over every text that is shown."""
    return sum(len(text) for block in blocks for text in _texts(block))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "text" and isinstance(inner, str):
                yield inner
            elif key not in ("value", "action_id", "block_id", "url"):
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _listed(blocks: Any) -> list[Json]:
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise Refused("invalid_blocks_format")
    return blocks


def _problems(blocks: list[Json], at: str, allowed: set[str], most: int) -> Iterator[str]:
    yield from too_many(blocks, at, most)
    ids: set[str] = set()
    for number, block in enumerate(blocks):
        where = f"{at}/{number}"
        kind = block.get("type")
        if kind not in allowed:
            yield f"unsupported block type: {kind} {pointer(where)}"
            continue
        yield from length_problems(block.get("block_id"), f"{where}/block_id", 255)
        if block.get("block_id") in ids:
            yield f"`block_id` already exists: {block['block_id']} {pointer(where)}"
        ids |= {block["block_id"]} if block.get("block_id") else set()
        yield from _block_problems(block, where)
    markdown = [b for b in blocks if b.get("type") == "markdown"]
    if sum(len(str(b.get("text", ""))) for b in markdown) > MARKDOWN_CHARS:
        yield f"must be less than {MARKDOWN_CHARS + 1} characters over all markdown blocks {pointer(at)}"
    if len([b for b in blocks if b.get("type") == "table"]) > 1:
        yield f"only_one_table_allowed {pointer(at)}"


def _block_problems(block: Json, at: str) -> Iterator[str]:
    match block["type"]:
        case "section":
            yield from _section_problems(block, at)
        case "header":
            yield from text_problems(block.get("text"), f"{at}/text", 150, {"plain_text"})
        case "markdown":
            if not isinstance(block.get("text"), str) or not block["text"]:
                yield f"must be more than 0 characters {pointer(f'{at}/text')}"
        case "context":
            yield from _context_problems(block, at)
        case "actions":
            yield from _element_list(block, at, 25)
        case "context_actions":
            yield from _element_list(block, at, 5, {"feedback_buttons", "icon_button"})
        case "input":
            yield from text_problems(block.get("label"), f"{at}/label", 2_000, {"plain_text"})
            yield from element_problems(block.get("element"), f"{at}/element")
            if "hint" in block:
                yield from text_problems(block["hint"], f"{at}/hint", 2_000, {"plain_text"})
        case "image":
            if not block.get("image_url") and not block.get("slack_file"):
                yield f"missing required field: image_url {pointer(at)}"
            if not block.get("alt_text"):
                yield f"missing required field: alt_text {pointer(at)}"
        case "table":
            yield from _table_problems(block, at)
        case "rich_text":
            if not isinstance(block.get("elements"), list):
                yield f"missing required field: elements {pointer(at)}"
        case "container" | "carousel":
            yield from too_many(block.get("elements") or block.get("child_blocks") or [], at, 10)
        case _:
            pass


def _section_problems(block: Json, at: str) -> Iterator[str]:
    fields = block.get("fields")
    if "text" not in block and not fields:
        yield f"missing required field: text {pointer(at)}"
    if "text" in block:
        yield from text_problems(block["text"], f"{at}/text", 3_000)
    for number, item in enumerate(fields or ()):
        yield from text_problems(item, f"{at}/fields/{number}", 2_000)
    yield from too_many(fields or [], f"{at}/fields", 10)
    if "accessory" in block:
        yield from element_problems(block["accessory"], f"{at}/accessory")


def _context_problems(block: Json, at: str) -> Iterator[str]:
    elements = block.get("elements") or []
    if not elements:
        yield f"missing required field: elements {pointer(at)}"
    yield from too_many(elements, f"{at}/elements", 10)
    for number, element in enumerate(elements):
        where = f"{at}/elements/{number}"
        if element.get("type") != "image":
            yield from text_problems(element, where, 2_000)
        elif not element.get("image_url") or not element.get("alt_text"):
            yield f"missing required field: image_url or alt_text {pointer(where)}"


def _element_list(block: Json, at: str, most: int, kinds: set[str] | None = None) -> Iterator[str]:
    elements = block.get("elements") or []
    if not elements:
        yield f"missing required field: elements {pointer(at)}"
    yield from too_many(elements, f"{at}/elements", most)
    ids = [e.get("action_id") for e in elements if e.get("action_id")]
    if len(ids) != len(set(ids)):
        yield f"`action_id` already exists {pointer(f'{at}/elements')}"
    for number, element in enumerate(elements):
        where = f"{at}/elements/{number}"
        if kinds is not None and element.get("type") not in kinds:
            yield f"unsupported element: {element.get('type')} {pointer(where)}"
        else:
            yield from element_problems(element, where)


def _table_problems(block: Json, at: str) -> Iterator[str]:
    rows = block.get("rows")
    if not isinstance(rows, list) or not rows:
        yield f"missing required field: rows {pointer(at)}"
        return
    yield from too_many(rows, f"{at}/rows", TABLE_ROWS)
    chars = 0
    for number, row in enumerate(rows):
        yield from too_many(row, f"{at}/rows/{number}", TABLE_COLUMNS)
        for column, cell in enumerate(row):
            where = f"{at}/rows/{number}/{column}"
            if cell.get("type") not in ("raw_text", "raw_number", "rich_text"):
                yield f"unsupported cell: {cell.get('type')} {pointer(where)}"
            if cell.get("type") == "raw_text" and not cell.get("text"):
                yield f"must be more than 0 characters {pointer(where)}"
            chars += sum(len(text) for text in _texts(cell))
    if chars > TABLE_CHARS:
        yield f"must be less than {TABLE_CHARS + 1} characters over all cells {pointer(at)}"
