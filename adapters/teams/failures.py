"""What Teams, Graph and the login refuse, as one kind of error that tells nothing of anybody."""

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

_CODE = re.compile(r"[A-Za-z0-9_.\- ]{1,80}")
_MAX_MESSAGE = 500
_MAX_RETRY_AFTER_S = 3_600.0


class TeamsFailure(Exception):
    """
    A service of Microsoft's did not do what we asked.

    Attributes:
        status: Of the HTTP response; 0 if none was had.
        code: Such as `BotNotInConversationRoster`; empty if none was told.
        message: In their words; some refusals differ in nothing else. Not for logs, nor for people.
        retry_after_s: When they want to be asked again, if they say so.
    """

    def __init__(
        self, status: int, code: str = "", message: str = "", *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{status or 'none'} {code}".strip())
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s

    @classmethod
    def of_response(
        cls, status: int, headers: Mapping[str, str], body: bytes | str
    ) -> "TeamsFailure":
        """Whatever the body is: JSON of theirs, a proxy's page, or nothing."""
        code, message = _told(body)
        return cls(status, code, message, retry_after_s=retry_after_s(headers))


_PASSING = frozenset({401, 408, 412, 429})

TEAMS_FAILURES = (TeamsFailure, aiohttp.ClientError, TimeoutError)
"""What a call to Microsoft raises when it does not succeed, whoever is to blame."""


def is_final(error: TeamsFailure) -> bool:
    """It will be refused as often as it is tried."""
    return 400 <= error.status < 500 and error.status not in _PASSING


def what_failed(error: BaseException) -> str:
    """For logs: status and code, or the kind of error, without addresses, names or tokens."""
    return str(error) if isinstance(error, TeamsFailure) else type(error).__name__


def wait_s(error: BaseException) -> float | None:
    """After which time they want to be asked again, if they said so."""
    return error.retry_after_s if isinstance(error, TeamsFailure) else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long to wait by the header of a response, in seconds or as a date; None if it says nothing."""
    text = next((v for name, v in headers.items() if name.lower() == "retry-after"), "").strip()
    if not text:
        return None
    try:
        if text.replace(".", "", 1).isdecimal():
            seconds = float(text)
        else:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), _MAX_RETRY_AFTER_S)


def _told(body: bytes | str) -> tuple[str, str]:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError):
        return "", text.strip()[:_MAX_MESSAGE]
    if not isinstance(told, Mapping):
        return "", ""
    error = told.get("error")
    if isinstance(error, str):
        # The login's shape: {"error": "invalid_client", "error_description": "AADSTS…"}.
        return _code(error), str(told.get("error_description") or "")[:_MAX_MESSAGE]
    fields = error if isinstance(error, Mapping) else told
    return _code(fields.get("code")), str(fields.get("message") or "")[:_MAX_MESSAGE]


def _code(value: Any) -> str:
    # Codes go to logs: what does not look like one stays out of them.
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""
