"""Follows the channels whose threads are documents: what events tell goes to the ledger, and work to the inbox."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.slack.channel_news import News, What, news_in
from adapters.slack.ids import PLATFORM, SlackChannelId
from adapters.slack.thread_ledger import Backfill, ThreadLedger, Visibility
from bot.inbox import Inbox
from bot.versioned_json import VersionedJson

REVIEW = "slack.index"
SYNC = "slack.index_sync"
BACKFILL = "slack.index_backfill"
SHRINK = "slack.index_shrink"

REVIEW_SCHEDULE = "*/15 * * * *"
"""What events have told is done at once; this finds what none told."""

_QUIET_S = 5.0
# Clocks of several processes differ a little.
_GRACE_S = 1.0

_json = VersionedJson(1)


@dataclass(frozen=True, slots=True)
class Order:
    """
    The body of our jobs.

    Attributes:
        due: Seconds since the epoch before which the job waits for more to happen.
    """

    channel: SlackChannelId
    due: float = 0.0

    def encode(self) -> str:
        home, channel = self.channel.home, self.channel.channel
        return _json.encode({"home": home, "channel": channel, "due": self.due})

    @classmethod
    def decode(cls, body: str) -> "Order":
        """Raises `ValueError` for what another version wrote."""
        values = _json.decode(body)
        return cls(SlackChannelId(values["home"], values["channel"]), float(values["due"]))


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """
    Attributes:
        threads: Listed at the moment.
        backfill: None before the first page.
    """

    channel: SlackChannelId
    visibility: Visibility | None
    threads: int
    backfill: Backfill | None


class Indexing:
    """
    Args:
        channels: Ids of the channels that an administrator has approved.
    """

    def __init__(
        self,
        ledger: ThreadLedger,
        inbox: Inbox,
        *,
        channels: Collection[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ledger = ledger
        self._inbox = inbox
        self.approved = frozenset(channels)
        self._clock = clock

    async def seen(self, event: Mapping[str, Any], home: str) -> None:
        """
        Hear of an event; twice and out of order does no harm.

        Raises:
            StateUnavailable: It could not be noted; it must come again.
        """
        news = news_in(event)
        if news is None or not home or news.channel not in self.approved:
            return
        channel = SlackChannelId(home, news.channel)
        match news.what:
            case What.NARROWED:
                await self.narrow(channel)
            case What.CHANNEL:
                await self.order_sync(channel)
            case What.GONE:
                await self.ledger.drop(str(channel), news.root, by=news.at, for_good=True)
                await self._order_shrink(channel, f"{news.root}/{news.at}")
                await self.order_sync(channel)
            case What.SHORTENED | What.FOUND | What.CHANGED:
                await self._touch(channel, news)

    async def order_review(self) -> None:
        """Look at every channel that is, was or will be indexed; for the start, and after a change of settings."""
        await self._put(REVIEW, f"job:{REVIEW}", f"{self._clock():.3f}", "")

    async def narrow(self, channel: SlackChannelId) -> None:
        """Fewer may read it than before: at once for members alone, then find out."""
        await self.ledger.narrow(str(channel))
        epoch = (await self.ledger.standing(str(channel))).epoch
        await self._order_shrink(channel, f"epoch {epoch}")
        await self.order_sync(channel)

    async def order_sync(self, channel: SlackChannelId) -> None:
        """Soon, when nothing has happened for a moment; once for everything that happens until then."""
        moment = int(self._clock() // _QUIET_S)
        order = Order(channel, due=(moment + 1) * _QUIET_S + _GRACE_S)
        await self._put(SYNC, f"{SYNC}:{channel}", str(moment), order.encode())

    async def order_backfill(self, channel: SlackChannelId) -> None:
        line = f"{BACKFILL}:{channel}"
        await self._put(BACKFILL, line, f"{self._clock():.3f}", Order(channel).encode())

    async def begin_backfill(self, channel: SlackChannelId) -> None:
        """One pass through its whole history."""
        threads = await self.ledger.threads(str(channel))
        known_by = max(threads.values(), default=0)
        await self.ledger.save_backfill(str(channel), Backfill(known_by=known_by, at=self._clock()))
        await self.order_backfill(channel)

    async def backfill_status(self) -> list[IndexStatus]:
        """Of every channel that is indexed."""
        statuses = []
        for name in await self.ledger.channels():
            home, _, id = name.partition("/")
            standing = await self.ledger.standing(name)
            threads = await self.ledger.threads(name)
            backfill = await self.ledger.backfill(name)
            channel = SlackChannelId(home, id)
            statuses.append(IndexStatus(channel, standing.visibility, len(threads), backfill))
        return statuses

    async def _touch(self, channel: SlackChannelId, news: News) -> None:
        is_new, is_shorter = news.what is What.FOUND, news.what is What.SHORTENED
        touched = await self.ledger.touch(
            str(channel), news.root, news.at, is_new=is_new, is_shorter=is_shorter
        )
        if news.is_private and touched.visibility is Visibility.PUBLIC:
            # Slack does not tell in every way that a channel was made private; its messages do.
            await self.narrow(channel)
        if touched.is_listed:
            if is_shorter:
                await self._order_shrink(channel, f"{news.root}/{news.at}")
            await self.order_sync(channel)

    async def _order_shrink(self, channel: SlackChannelId, reason: str) -> None:
        # In a line of its own: a sync of the channel may take minutes, or wait for a rate limit.
        await self._put(SHRINK, f"{SHRINK}:{channel}", reason, Order(channel).encode())

    async def _put(self, kind: str, line: str, moment: str, body: str) -> None:
        id = f"{line}@{moment}"
        put = await self._inbox.put(id, line, kind, body, is_awaited=False)
        if put.is_new and put.ahead > 1:
            # One runs and one waits: the one that waits will see what this one would.
            await self._inbox.stop(id, line)


def is_ours(source: str) -> bool:
    return source.startswith(f"{PLATFORM}:")
