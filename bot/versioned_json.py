"""What we keep as JSON with a version, for any store that keeps text."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class VersionedJson:
    """Objects of one *version*, which each kind of content counts for itself."""

    version: int

    def encode(self, values: dict[str, Any]) -> str:
        # In ASCII: half a surrogate pair, which chat clients do send, has no UTF-8.
        return json.dumps({"v": self.version, **values}, separators=(",", ":"))

    def decode(self, text: str) -> dict[str, Any]:
        """Raises `ValueError` for what another version wrote."""
        values = json.loads(text)
        if not isinstance(values, dict) or values.get("v") != self.version:
            raise ValueError("written by another version")
        return values
