"""What a workspace cannot do, so that it is not asked again and again."""

import time
from collections.abc import Callable

_REMEMBERED_S = 3_600

_NEVER = frozenset(
    {
        "unknown_method",
        "method_not_supported_for_channel_type",
        "not_allowed_token_type",
        "missing_scope",
        "feature_not_enabled",
        "feature_disabled",
        "not_supported",
        "paid_only",
        "team_not_eligible",
        "access_denied",
        "deprecated_endpoint",
        "method_deprecated",
        "enterprise_is_restricted",
    }
)


class Unsupported:
    """Remembers for an hour, in this process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}

    def __contains__(self, use: tuple[str, str]) -> bool:
        """*use*: a workspace and a method."""
        return self._clock() < self._until.get(use, 0.0)

    def learn(self, use: tuple[str, str], error: str) -> None:
        """Remember *use*, if *error* says that it is the same for every call."""
        if error in _NEVER:
            self.avoid(use, for_s=_REMEMBERED_S)

    def avoid(self, use: tuple[str, str], *, for_s: float) -> None:
        self._until[use] = self._clock() + for_s
