"""Reads one channel's threads from Slack, within its rate limits and across them."""

import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.channel_access import visibility_of
from adapters.slack.client import SLACK_FAILURES, slack_error, wait_s
from adapters.slack.ids import SlackChannelId
from adapters.slack.thread_ledger import Visibility
from adapters.slack.thread_messages import ThreadMessage, message_of

OUTAGE_PAUSE_S = 30.0

_PAGE = 200
_PASSING = frozenset(
    {
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
        "external_channel_migrating",
    }
)
_NAME_TTL_S = 3600.0
_MAX_NAMES = 10_000
_MAX_PARTS = 64


def pause_s(error: BaseException) -> float | None:
    """When to ask Slack again; None for a refusal, which time does not mend."""
    limited = wait_s(error)
    if limited is not None:
        return limited
    code = slack_error(error)
    return OUTAGE_PAUSE_S if not code or code in _PASSING else None


@dataclass(slots=True)
class _Part:
    """The first pages of a long thread, read for one of its moments."""

    changed_at: int
    messages: list[ThreadMessage]
    cursor: str


class ReadSoFar:
    """
    What outlives one sync in this process: names, and the beginnings of threads whose next page has
    to wait for the rate limit. Without it a thread of several pages would never be read to its end.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._names: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._parts: OrderedDict[str, _Part] = OrderedDict()

    def name(self, id: str) -> str | None:
        expires_at, name = self._names.get(id, (0.0, ""))
        return name if self._clock() < expires_at else None

    def keep_name(self, id: str, name: str) -> None:
        self._names[id] = (self._clock() + _NAME_TTL_S, name)
        self._names.move_to_end(id)
        if len(self._names) > _MAX_NAMES:
            self._names.popitem(last=False)

    def take_part(self, document_id: str, changed_at: int) -> _Part:
        part = self._parts.pop(document_id, None)
        return part if part and part.changed_at == changed_at else _Part(changed_at, [], "")

    def keep_part(self, document_id: str, part: _Part) -> None:
        self._parts[document_id] = part
        if len(self._parts) > _MAX_PARTS:
            self._parts.popitem(last=False)


class ThreadReader:
    """Every method raises what `SLACK_FAILURES` names."""

    def __init__(self, client: AsyncWebClient, channel: SlackChannelId, read: ReadSoFar) -> None:
        self._client = client
        self._channel = channel
        self._read = read
        self._link_prefix = ""

    async def thread(self, root: str, changed_at: int) -> list[ThreadMessage]:
        """
        What people said in it, oldest first, with everything up to *changed_at*; the first message
        is the root, if a person wrote it.
        """
        key = f"{self._channel}/{root}"
        part = self._read.take_part(key, changed_at)
        while True:
            try:
                page = await self._client.conversations_replies(
                    channel=self._channel.channel, ts=root, limit=_PAGE, cursor=part.cursor or None
                )
            except SLACK_FAILURES as error:
                if part.cursor and pause_s(error) is not None:
                    self._read.keep_part(key, part)
                raise
            found = (message_of(payload) for payload in page.get("messages") or ())
            part.messages.extend(message for message in found if message)
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor or cursor == part.cursor:
                break
            part.cursor = cursor
        by_ts = {message.ts: message for message in part.messages}
        return sorted(by_ts.values(), key=lambda message: (message.ts != root, float(message.ts)))

    async def names(self, thread: Collection[ThreadMessage]) -> dict[str, str]:
        """Of the people and the open channels that it speaks of, by their ids."""
        names = {}
        for id in sorted(frozenset().union(*(message.people for message in thread))):
            names[id] = await self._name(id, self._person_name)
        for id in sorted(frozenset().union(*(message.channels for message in thread))):
            names[id] = await self._name(id, self._channel_name)
        return {id: name for id, name in names.items() if name}

    async def link(self, root: str) -> str | None:
        """Where it stands in Slack."""
        digits = root.replace(".", "")
        if self._link_prefix:
            return self._link_prefix + digits
        try:
            answer = await self._client.chat_getPermalink(
                channel=self._channel.channel, message_ts=root
            )
        except SlackApiError as error:
            if pause_s(error) is not None:
                raise
            return None
        link = str(answer.get("permalink") or "")
        if not re.match(r"https?://", link):
            return None
        # All links of a channel differ in the time alone: one question is enough.
        if link.endswith(f"/archives/{self._channel.channel}/p{digits}"):
            self._link_prefix = link.removesuffix(digits)
        return link

    async def _name(self, id: str, ask: Callable[[str], Awaitable[str]]) -> str:
        """Empty if Slack does not tell."""
        key = f"{self._channel.home}/{id}"
        if (known := self._read.name(key)) is not None:
            return known
        try:
            name = await ask(id)
        except SlackApiError as error:
            if pause_s(error) is not None:
                raise
            name = ""
        self._read.keep_name(key, name)
        return name

    async def _person_name(self, id: str) -> str:
        user = (await self._client.users_info(user=id)).get("user") or {}
        profile = user.get("profile") or {}
        return str(profile.get("real_name") or user.get("real_name") or user.get("name") or "")

    async def _channel_name(self, id: str) -> str:
        """Of channels that everybody may know of."""
        info = (await self._client.conversations_info(channel=id)).get("channel") or {}
        is_known = visibility_of({**info, "is_member": True}) is Visibility.PUBLIC
        return str(info.get("name") or "") if is_known else ""
