"""Wakes those who follow conversations in this process for what any process writes, through Redis."""

import asyncio

import structlog
from redis import exceptions as redis_errors
from redis.asyncio import RedisCluster
from redis.asyncio.client import PubSub

from adapters.web.watchers import Watchers
from bot.redis_client import RedisClient

log = structlog.get_logger()

_SILENCE_S = 10.0
_PAUSE_S = 0.5


class Wakeups:
    """
    One subscription for all watchers. A wake-up says which conversation changed, and whether for
    everyone or for whom; never what.
    """

    def __init__(self, redis: RedisClient, channel: str, watchers: Watchers) -> None:
        self._redis = redis
        self._channel = channel
        self._watchers = watchers
        self._task: asyncio.Task[None] | None = None
        self._is_heard = True

    def start(self) -> None:
        """Once somebody watches; a process that only writes has no use for it."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        # The client waits by `wait_for`, which up to Python 3.11 may swallow a cancellation.
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_PAUSE_S)

    async def _run(self) -> None:
        while True:
            try:
                async with await self._subscription() as subscription:
                    await subscription.subscribe(self._channel)
                    await self._listen(subscription)
            except Exception:
                # Of a lost server a Cluster's client raises this and that; the task must outlive it.
                # Meanwhile those who watch look at every heartbeat.
                if self._is_heard:
                    log.warning("web.wakeups_lost", exc_info=True)
                self._is_heard = False
            await asyncio.sleep(_PAUSE_S)

    async def _subscription(self) -> PubSub:
        if not isinstance(self._redis, RedisCluster):
            return self._redis.pubsub()
        await self._redis.initialize()
        # One server hears what is published at any.
        return self._redis.pubsub(node=self._redis.get_random_node())

    async def _listen(self, subscription: PubSub) -> None:
        """Until the connection is lost, which a silent one is found to be by asking."""
        has_asked = False
        while True:
            message = await subscription.get_message(timeout=_SILENCE_S)
            if message is None:
                if has_asked:
                    raise redis_errors.ConnectionError("no answer")
                await subscription.ping()
            elif message["type"] == "subscribe":
                # At first and after each reconnect: what was published before was not heard.
                self._is_heard = True
                self._watchers.wake_all()
            elif message["type"] == "message":
                place, _, audience = str(message["data"]).partition("|")
                self._watchers.wake(place, audience)
            has_asked = message is None
