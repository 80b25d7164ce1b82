"""One client for every OpenAI-compatible server: waits that end, few retries, failures in our words."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

import openai
from openai import AsyncOpenAI

from retrieval.errors import ModelError, ModelMisconfigured, ModelUnavailable

T = TypeVar("T")

_ATTEMPTS = 2
_LISTING_TIMEOUT_S = 3.0
# Somebody is waiting: a server that wants us back later than this is an unavailable one.
_LONGEST_PAUSE_S = 2.0
_RETRIED_STATUS = frozenset({408, 409, 429})


def open_client(
    base_url: str | None, api_key: str, *, timeout_s: float = 30, setting: str = "SHIFU_MODEL"
) -> AsyncOpenAI:
    """
    A client whose waits end.

    Args:
        base_url: Up to and including `/v1`; None is OpenAI itself.
        api_key: Empty for servers that want none.
        timeout_s: Longest silence of the server, also between two pieces of a stream.
        setting: What the names of the settings begin with, for error texts.

    Raises:
        ModelMisconfigured: If the address or the key cannot be one.
    """
    if base_url is not None and not _is_address(base_url):
        raise ModelMisconfigured(
            f"{setting}__BASE_URL must be an address such as http://localhost:8000/v1."
        )
    key = api_key.strip()
    if not (key.isascii() and key.isprintable()):
        raise ModelMisconfigured(
            f"{setting}__API_KEY holds characters that no key has; copy it again."
        )
    # The library's own retries wait up to two minutes when a server says so.
    return AsyncOpenAI(
        base_url=base_url,
        api_key=key or "none",
        timeout=openai.Timeout(timeout_s, connect=5.0),
        max_retries=0,
    )


async def only_model(client: AsyncOpenAI) -> str | None:
    """The model that the server offers, when it lists exactly one; None also when it does not tell."""
    try:
        listed = await client.models.list(timeout=_LISTING_TIMEOUT_S)
        names = [model.id for model in listed.data]
    except (openai.OpenAIError, ValueError, TypeError, AttributeError):
        return None
    return names[0] if len(names) == 1 else None


async def with_retries(call: Callable[[], Awaitable[T]]) -> T:
    """What *call* returns, tried once more when that may help and costs little time."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await call()
        except (openai.APIConnectionError, openai.APIStatusError) as error:
            pause_s = _pause_s(error)
            if pause_s is None or attempt == _ATTEMPTS:
                raise
        await asyncio.sleep(pause_s)
    raise AssertionError("the last attempt returns or raises")


def translated(error: Exception, *, model: str, address: str, setting: str) -> ModelError:
    """
    *error* as somebody who runs the assistant can act on it.

    The text of the driver and of the server stays in the cause: it may quote the key.
    """
    host = urlsplit(address).netloc.rpartition("@")[2]
    match error:
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return ModelMisconfigured(
                f"The model's server at {host} refuses our key. Check {setting}__API_KEY."
            )
        case openai.NotFoundError():
            return ModelMisconfigured(
                f"The model's server at {host} knows no model {model!r}, or its address is "
                f"another. Check {setting}__NAME and {setting}__BASE_URL, which ends in /v1."
            )
        case openai.RateLimitError(code="insufficient_quota"):
            return ModelMisconfigured("The account at the model's server has no credit left.")
        case openai.RateLimitError():
            return ModelUnavailable("The model's server takes no more requests just now.")
        case openai.APIStatusError() if error.status_code < 500:
            if "context" in (error.code or "") or "context length" in error.message:
                return ModelMisconfigured(
                    f"The question and its passages are longer than {model!r} can read."
                )
            return ModelMisconfigured(
                f"The model's server at {host} does not accept our request "
                f"(status {error.status_code}). Does it serve {model!r}?"
            )
        case openai.APIStatusError():
            return ModelUnavailable(f"The model's server failed (status {error.status_code}).")
        case openai.APITimeoutError():
            return ModelUnavailable("The model's server did not answer in time.")
        case openai.APIConnectionError():
            return ModelUnavailable(
                f"The model's server at {host} cannot be reached, or hung up. Is it running, and "
                f"is {setting}__BASE_URL right?"
            )
        case openai.APIError():
            return ModelUnavailable("The model's server reported an error instead of an answer.")
        case _:
            return ModelUnavailable("The model's server sent something that cannot be read.")


def _pause_s(error: openai.APIConnectionError | openai.APIStatusError) -> float | None:
    """How long to wait before trying again; None when that would be in vain."""
    if isinstance(error, openai.APITimeoutError):
        return None
    if isinstance(error, openai.APIConnectionError):
        return 0.1
    if error.status_code < 500 and error.status_code not in _RETRIED_STATUS:
        return None
    wanted = error.response.headers.get("retry-after")
    try:
        pause_s = float(wanted) if wanted else 0.3
    except ValueError:  # a date
        return None
    return pause_s if 0 <= pause_s <= _LONGEST_PAUSE_S else None


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
