"""Slack's own search with the asker's rights: results for one answer, which Slack does not let anybody keep."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.client import SLACK_FAILURES, slack_error
from adapters.slack.incoming import time_of
from adapters.slack.markup import plain_text
from adapters.slack.origin import Origin
from retrieval.access import Acl
from retrieval.analysis import language_of
from retrieval.ingest.clean import visible
from retrieval.ingest.redact import redact
from retrieval.types import Chunk, Document

log = structlog.get_logger()

_RESULTS = 20
_LONGEST_QUERY, _LONGEST_RESULT = 500, 4_000


async def search_slack(client: AsyncWebClient, origin: Origin, query: str) -> Sequence[Chunk]:
    """
    What *query* finds in the public channels that the asker may read; nothing when Slack says no.

    Slack allows it for as long as the message that brought the token is fresh.
    """
    if not origin.action_token or not query.strip():
        return ()
    try:
        response = await client.api_call(
            "assistant.search.context",
            json={
                "query": query[:_LONGEST_QUERY],
                "action_token": origin.action_token,
                "content_types": ["messages"],
                "channel_types": ["public_channel"],
                "limit": _RESULTS,
            },
        )
    except SLACK_FAILURES as error:
        log.info("slack.live_search_failed", error=slack_error(error) or type(error).__name__)
        return ()
    results = response.get("results")
    found = results.get("messages") if isinstance(results, Mapping) else None
    messages = found if isinstance(found, list) else []
    return [chunk for each in messages if (chunk := _chunk(each, origin)) is not None]


def _chunk(message: Any, origin: Origin) -> Chunk | None:
    if not isinstance(message, Mapping) or message.get("is_author_bot"):
        return None
    channel, ts = _text(message.get("channel_id")), _text(message.get("message_ts"))
    text, _ = redact(visible(plain_text(_text(message.get("content")), "")))
    text = text.strip()[:_LONGEST_RESULT]
    # The question finds itself.
    if not text or (channel, ts) == (origin.channel, origin.ts):
        return None
    name, link = _text(message.get("channel_name")), _text(message.get("permalink"))
    document = Document(
        id=f"live:{uuid.uuid4().hex}",
        source="live",
        title=visible(f"#{name}" if name else "Slack"),
        acl=Acl(frozenset()),
        content_hash="",
        link=link if link.startswith("https://") else None,
        owner=visible(_text(message.get("author_name"))) or None,
        language=language_of(text),
        modified_at=time_of(ts) if ts else None,
    )
    return Chunk(f"{document.id}#0", document, 0, text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
