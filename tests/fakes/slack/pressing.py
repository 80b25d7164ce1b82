"""Finds an interactive element in blocks, and says what pressing or filling it sends."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.fakes.slack.world import Json


def find_element(blocks: Sequence[Json], action_id: str, value: str | None) -> tuple[str, Json]:
    """The block's id and the element; *value* chooses among elements with the same action id."""
    found = [(b, e) for b, e in elements(blocks) if e.get("action_id") == action_id]
    assert found, f"nothing shown has the action id {action_id!r}"
    for block_id, element in found:
        if value is not None and value == element.get("value"):
            return block_id, element
    return found[0]


def elements(blocks: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    for number, block in enumerate(blocks):
        block_id = block.get("block_id") or f"auto{number}"
        for element in [*block.get("elements", []), block.get("accessory"), block.get("element")]:
            if isinstance(element, dict) and "action_id" in element:
                yield block_id, element
        yield from elements(block.get("child_blocks", []))


def pressed(element: Json, value: str | None, values: Sequence[str]) -> Json:
    """What the `actions` entry of a press holds."""
    kind = element["type"]
    body: Json = {"type": kind, "action_id": element["action_id"]}
    match kind:
        case "button":
            body["text"] = element["text"]
            body |= {"value": element["value"]} if "value" in element else {}
            body |= {"style": element["style"]} if "style" in element else {}
        case "feedback_buttons":
            halves = [element["positive_button"], element["negative_button"]]
            chosen = [h for h in halves if h["value"] == value]
            assert chosen, f"no feedback button has the value {value!r}"
            body |= {"text": chosen[0]["text"], "value": chosen[0]["value"]}
        case "icon_button":
            body |= {"value": element["value"]} if "value" in element else {}
        case _:
            body |= _filled(element, value if not values else list(values))
            body.setdefault("type", kind)
    return body


def state_values(
    blocks: Sequence[Json], values: Mapping[str, Any], *, is_submit: bool = False
) -> Json:
    """`state.values`: of every input that can hold something, by block and action id."""
    state: Json = {}
    known: set[str] = set()
    for number, block in enumerate(blocks):
        block_id = block.get("block_id") or f"auto{number}"
        for id, element in elements([block | {"block_id": block_id}]):
            if element["type"] in ("button", "feedback_buttons", "icon_button", "overflow"):
                continue
            names = {element["action_id"], id}
            known |= names
            given = next((values[name] for name in names if name in values), None)
            filled = _filled(element, given)
            is_required = block["type"] == "input" and not block.get("optional")
            if is_submit and is_required:
                assert _holds(filled), f"{element['action_id']} has to be filled in"
            state.setdefault(id, {})[element["action_id"]] = filled
    unknown = set(values) - known
    assert not unknown, f"no such inputs: {unknown}"
    return state


def _holds(filled: Json) -> bool:
    return any(value not in (None, [], "") for key, value in filled.items() if key != "type")


def _filled(element: Json, given: Any) -> Json:
    kind = element["type"]
    body: Json = {"type": kind}
    if kind in ("static_select", "radio_buttons", "overflow", "external_select"):
        chosen = element.get("initial_option")
        body["selected_option"] = _option(element, given) if given is not None else chosen
    elif kind in ("checkboxes", "multi_static_select"):
        chosen_all = element.get("initial_options", [])
        picked = [given] if isinstance(given, str) else given
        body["selected_options"] = (
            [_option(element, each) for each in picked] if picked is not None else chosen_all
        )
    elif kind in ("users_select", "conversations_select", "channels_select"):
        name = kind.removesuffix("s_select")
        body[f"selected_{name}"] = given or element.get(f"initial_{name}")
    elif kind in ("multi_users_select", "multi_conversations_select", "multi_channels_select"):
        name = kind.removeprefix("multi_").removesuffix("_select")
        body[f"selected_{name}"] = given or element.get(f"initial_{name}", [])
    elif kind == "datepicker":
        body["selected_date"] = given or element.get("initial_date")
    elif kind == "timepicker":
        body["selected_time"] = given or element.get("initial_time")
    else:
        text = given if given is not None else element.get("initial_value")
        if isinstance(text, str):
            assert len(text) <= element.get("max_length", 3_000), "the client lets nobody type that"
            assert not text or len(text) >= element.get("min_length", 0), "too short to be sent"
        body["value"] = text or None
    return body


def _option(element: Json, value: Any) -> Json:
    groups = element.get("option_groups", [])
    options = [*element.get("options", []), *(o for g in groups for o in g["options"])]
    found = [option for option in options if option["value"] == value]
    assert found, f"{element['action_id']} does not offer {value!r}"
    return dict(found[0])
