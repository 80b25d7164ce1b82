"""Which requests to Slack are sent again, when, and how often."""

import asyncio
import random
from typing import Any

import aiohttp
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState

_MAX_RETRY_AFTER_S = 30.0
_SECOND_TRY_AFTER_S = 0.2

# Sent twice, these do what they do once. Whatever is not known to be here might say something twice.
_READS = (
    ".info",
    ".list",
    ".conversations",
    ".members",
    ".history",
    ".replies",
    ".test",
    ".getPermalink",
)
_REPEATABLE = frozenset(
    {
        "agents.sessions.rename",
        "agents.sessions.setStatus",
        "apps.connections.open",
        "assistant.search.context",
        "assistant.threads.setStatus",
        "assistant.threads.setSuggestedPrompts",
        "assistant.threads.setTitle",
        "auth.revoke",
        "chat.delete",
        "chat.update",
        "conversations.open",
        "users.lookupByEmail",
        "views.publish",
    }
)


def retry_handlers() -> list[AsyncRetryHandler]:
    return [RateLimitRetry(), LostRequestRetry()]


def retry_after_s(headers: Any) -> float | None:
    """How long Slack wants us to wait, from the headers of a reply; None if it does not say."""
    for name, value in headers.items():
        if name.lower() == "retry-after":
            text = value[0] if isinstance(value, list) else value
            try:
                return max(0.0, float(text))
            except ValueError:
                return None
    return None


class _PausingRetry(AsyncRetryHandler):
    """The SDK's handler, with a pause of our own instead of its growing one."""

    def _pause_s(self, response: HttpResponse | None) -> float:
        raise NotImplementedError

    async def prepare_for_next_attempt_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> None:
        state.next_attempt_requested = True
        await asyncio.sleep(self._pause_s(response))
        state.increment_current_attempt()


class RateLimitRetry(_PausingRetry):
    """Waits as long as Slack says; gives up on what nobody would wait for."""

    def __init__(self) -> None:
        super().__init__(max_retry_count=2)

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if response is None or response.status_code != 429:
            return False
        return (retry_after_s(response.headers) or 1.0) <= _MAX_RETRY_AFTER_S

    def _pause_s(self, response: HttpResponse | None) -> float:
        wait_s = retry_after_s(response.headers) if response else None
        # All that were refused would come back in the same moment.
        return (1.0 if wait_s is None else wait_s) + random.uniform(0, 0.5)


class LostRequestRetry(_PausingRetry):
    """Sends again what did not get through, if Slack cannot have acted on it or may do so twice."""

    def __init__(self) -> None:
        super().__init__(max_retry_count=1)

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if isinstance(error, aiohttp.ClientConnectorError):
            return True
        is_lost = isinstance(error, aiohttp.ClientOSError | aiohttp.ServerConnectionError)
        is_broken = response is not None and response.status_code >= 500
        return (is_lost or is_broken) and _is_repeatable(request.url)

    def _pause_s(self, response: HttpResponse | None) -> float:
        return _SECOND_TRY_AFTER_S


def _is_repeatable(url: str) -> bool:
    method = url.rstrip("/").rpartition("/")[2]
    return method in _REPEATABLE or method.endswith(_READS)
