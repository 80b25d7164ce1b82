"""What one check of an installation found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """*is_ok* None marks something that is off by choice."""

    part: str
    is_ok: bool | None
    text: str
