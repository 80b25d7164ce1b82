"""Following the posts of Teams channels, as jobs of the inbox: each may be broken off anywhere and done again."""

from collections.abc import Sequence
from functools import partial

import structlog

from adapters.teams.channel_posts import ChannelPosts
from adapters.teams.channel_threads import IndexedChannel
from adapters.teams.failures import what_failed
from adapters.teams.graph import GraphFailure
from adapters.teams.reviews import ReviewHandler, name_in
from bot.errors import StateUnavailable, TryLater
from bot.inbox import Inbox
from bot.schedules import Schedule
from bot.worker import Handler, Job
from retrieval.errors import IngestError, StoreUnavailable

log = structlog.get_logger()

REVIEW = "teams-posts"
REVIEW_SCHEDULE = Schedule(REVIEW, "*/15 * * * *")
SYNC = "teams-posts.sync"

_PAUSE_S = 60.0


def post_handlers(
    posts: ChannelPosts, channels: Sequence[IndexedChannel], inbox: Inbox
) -> dict[str, Handler]:
    """By kind of job; `REVIEW` is to be put on a schedule."""
    names = [channel.source for channel in channels]
    review = ReviewHandler(inbox, SYNC, names, partial(posts.remove_others, channels))
    return {REVIEW: review, SYNC: _SyncHandler(posts, channels)}


class _SyncHandler:
    def __init__(self, posts: ChannelPosts, channels: Sequence[IndexedChannel]) -> None:
        self._posts = posts
        self._channels = {channel.source: channel for channel in channels}

    async def handle(self, job: Job) -> None:
        channel = self._channels.get(name_in(job))
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
