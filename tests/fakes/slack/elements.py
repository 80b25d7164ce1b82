"""What Slack accepts as an interactive element."""

from collections.abc import Iterator
from typing import Any

from tests.fakes.slack.problems import length_problems, pointer, text_problems, too_many
from tests.fakes.slack.world import Json

_PLAIN = {"plain_text"}
_OPTIONS = {
    "static_select": 100,
    "multi_static_select": 100,
    "overflow": 5,
    "radio_buttons": 10,
    "checkboxes": 10,
}
_INPUTS = [
    "plain_text_input",
    "rich_text_input",
    "url_text_input",
    "email_text_input",
    "number_input",
    "file_input",
    "datepicker",
    "datetimepicker",
    "timepicker",
    "external_select",
    "multi_external_select",
    "users_select",
    "multi_users_select",
    "conversations_select",
    "multi_conversations_select",
    "channels_select",
    "multi_channels_select",
    "image",
    "workflow_button",
]


def element_problems(element: Any, at: str) -> Iterator[str]:
    if not isinstance(element, dict):
        yield f"missing required field: element {pointer(at)}"
        return
    kind = element.get("type")
    yield from length_problems(element.get("action_id"), f"{at}/action_id", 255, least=1)
    if "placeholder" in element:
        yield from text_problems(element["placeholder"], f"{at}/placeholder", 150, _PLAIN)
    if "confirm" in element:
        yield from _confirm_problems(element["confirm"], f"{at}/confirm")
    if kind == "button":
        yield from text_problems(element.get("text"), f"{at}/text", 75, _PLAIN)
        yield from length_problems(element.get("value"), f"{at}/value", 2_000)
        yield from length_problems(element.get("url"), f"{at}/url", 3_000)
        if element.get("style") not in (None, "primary", "danger"):
            yield f"must be one of danger, primary {pointer(f'{at}/style')}"
    elif kind == "feedback_buttons":
        for half in ("positive_button", "negative_button"):
            button = element.get(half)
            if not isinstance(button, dict):
                yield f"missing required field: {half} {pointer(at)}"
                continue
            where = f"{at}/{half}"
            yield from text_problems(button.get("text"), f"{where}/text", 75, _PLAIN)
            yield from length_problems(button.get("value", ""), f"{where}/value", 2_000, least=1)
            yield from length_problems(button.get("accessibility_label"), f"{where}/label", 75)
    elif kind == "icon_button":
        if element.get("icon") != "trash":
            yield f"unsupported icon {pointer(f'{at}/icon')}"
        yield from text_problems(element.get("text"), f"{at}/text", 75, _PLAIN)
        yield from too_many(element.get("visible_to_user_ids", []), f"{at}/visible_to_user_ids", 10)
    elif kind in _OPTIONS:
        yield from _options_problems(element, at, _OPTIONS[kind])
    elif kind not in _INPUTS:
        yield f"unsupported element: {kind} {pointer(at)}"
    elif kind == "plain_text_input":
        yield from length_problems(element.get("initial_value"), f"{at}/initial_value", 3_000)


def _options_problems(element: Json, at: str, most: int) -> Iterator[str]:
    options = element.get("options")
    if options is None and "option_groups" in element:
        groups = element["option_groups"]
        yield from too_many(groups, f"{at}/option_groups", 100)
        options = [option for group in groups for option in group.get("options", [])]
    if not options:
        yield f"missing required field: options {pointer(at)}"
        return
    yield from too_many(options, f"{at}/options", most)
    for number, option in enumerate(options):
        where = f"{at}/options/{number}"
        yield from text_problems(option.get("text"), f"{where}/text", 75)
        yield from length_problems(option.get("value", ""), f"{where}/value", 150, least=1)
    initial = element.get("initial_option")
    if initial is not None and initial not in options:
        yield f"initial_option is not one of the options {pointer(at)}"


def _confirm_problems(confirm: Json, at: str) -> Iterator[str]:
    yield from text_problems(confirm.get("title"), f"{at}/title", 100, _PLAIN)
    yield from text_problems(confirm.get("text"), f"{at}/text", 300)
    for part in ("confirm", "deny"):
        if part in confirm:
            yield from text_problems(confirm[part], f"{at}/{part}", 30, _PLAIN)
