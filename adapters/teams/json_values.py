"""What Microsoft sends, read with care: what is of another kind than it should be counts as empty."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]
"""An object as we send it."""

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def text_in(values: Mapping[str, Any], key: str) -> str:
    return text(values.get(key))


def is_guid(text: str) -> bool:
    """Whether it is an id of Entra, in lower case; Graph also finds people by other names than their ids."""
    return _GUID.fullmatch(text) is not None
