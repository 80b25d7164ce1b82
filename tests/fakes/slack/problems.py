"""How Slack words what is wrong with a payload."""

from collections.abc import Iterator, Sequence
from typing import Any


def pointer(at: str) -> str:
    return f"[json-pointer:{at}]"


def too_many(items: Sequence[Any], at: str, most: int) -> Iterator[str]:
    if len(items) > most:
        yield f"no more than {most} items allowed {pointer(at)}"


def length_problems(value: Any, at: str, most: int, *, least: int = 0) -> Iterator[str]:
    """None is nothing to complain about."""
    if value is None:
        return
    if not isinstance(value, str):
        yield f"must be a string {pointer(at)}"
    elif len(value) > most:
        yield f"must be less than {most + 1} characters {pointer(at)}"
    elif len(value) < least:
        yield f"must be more than {least - 1} characters {pointer(at)}"


def text_problems(
    text: Any,
    at: str,
    most: int,
    kinds: frozenset[str] | set[str] = frozenset({"plain_text", "mrkdwn"}),
) -> Iterator[str]:
    """Of a text object, which has to be there."""
    if not isinstance(text, dict):
        yield f"missing required field: text object {pointer(at)}"
    elif text.get("type") not in kinds:
        yield f"must be one of {', '.join(sorted(kinds))} {pointer(f'{at}/type')}"
    elif "text" not in text:
        yield f"missing required field: text {pointer(at)}"
    else:
        yield from length_problems(text["text"], f"{at}/text", most, least=1)
