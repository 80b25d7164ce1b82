"""Following the posts of Teams channels, as jobs of the inbox: each may be broken off anywhere and done again."""

from collections.abc import Sequence

import structlog

from adapters.teams.channel_posts import ChannelPosts
from adapters.teams.channel_threads import IndexedChannel
from adapters.teams.failures import what_failed
from adapters.teams.graph import GraphFailure
from bot.errors import StateUnavailable, TryLater, WrittenByAnotherVersion
from bot.inbox import Inbox
from bot.schedules import Schedule
from bot.versioned_json import VersionedJson
from bot.worker import Handler, Job
from retrieval.errors import IngestError, StoreUnavailable

log = structlog.get_logger()

REVIEW = "teams-posts"
REVIEW_SCHEDULE = Schedule(REVIEW, "*/15 * * * *")
SYNC = "teams-posts.sync"

_PAUSE_S = 60.0

_json = VersionedJson(1)


def post_handlers(
    posts: ChannelPosts, channels: Sequence[IndexedChannel], inbox: Inbox
) -> dict[str, Handler]:
    """By kind of job; `REVIEW` is to be put on a schedule."""
    return {
        REVIEW: _ReviewHandler(posts, channels, inbox),
        SYNC: _SyncHandler(posts, channels),
    }


class _ReviewHandler:
    """Removes what is not wanted any more, and orders one job for each channel, in a line of its own."""

    def __init__(
        self, posts: ChannelPosts, channels: Sequence[IndexedChannel], inbox: Inbox
    ) -> None:
        self._posts = posts
        self._channels = channels
        self._inbox = inbox

    async def handle(self, job: Job) -> None:
        try:
            await self._posts.remove_others(self._channels)
        except (StoreUnavailable, StateUnavailable) as error:
            raise TryLater(_PAUSE_S) from error
        for channel in self._channels:
            line = f"{SYNC}:{channel.source}"
            id = f"{line}@{job.entry.id}"
            body = _json.encode({"channel": channel.source})
            put = await self._inbox.put(id, line, SYNC, body, is_awaited=False)
            if put.is_new and put.ahead > 1:
                # One runs and one waits: the one that waits will see what this one would.
                await self._inbox.stop(id, line)

    async def give_up(self, job: Job) -> None:
        log.error("teams.posts_given_up", what="review")


class _SyncHandler:
    def __init__(self, posts: ChannelPosts, channels: Sequence[IndexedChannel]) -> None:
        self._posts = posts
        self._channels = {channel.source: channel for channel in channels}

    async def handle(self, job: Job) -> None:
        channel = self._channels.get(_channel_in(job))
        if channel is None:
            # It is not wanted any more; the next review removes what there is of it.
            return
        try:
            await self._posts.sync(channel)
        except GraphFailure as failure:
            log.warning("teams.posts_wait", channel=channel.source, reason=what_failed(failure))
            raise TryLater(failure.retry_after_s or _PAUSE_S) from failure
        except (StoreUnavailable, StateUnavailable) as error:
            raise TryLater(_PAUSE_S) from error
        except IngestError as error:
            # The next one is due anyway, and looks again.
            log.error("teams.posts_refused", reason=str(error))

    async def give_up(self, job: Job) -> None:
        log.error("teams.posts_given_up", what="sync")


def _channel_in(job: Job) -> str:
    try:
        return str(_json.decode(job.entry.body)["channel"])
    except (ValueError, KeyError) as error:
        raise WrittenByAnotherVersion from error
