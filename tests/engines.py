"""What the scenarios run on: the in-memory twins, or with `--engines production` Weaviate and Redis."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast
from uuid import uuid4

from bot.inbox import Accepted, Inbox, InMemoryInbox, Taken
from bot.records import InMemoryRecords, Records
from bot.redis_client import close_redis, open_redis
from bot.redis_inbox import RedisInbox
from bot.redis_records import RedisRecords
from bot.redis_state import RedisState
from bot.state import InMemoryState, State
from retrieval.store import ChunkStore, InMemoryStore
from tests.weaviate_server import WeaviateServer


class Engines(Protocol):
    """New and empty ones at each call; `close` ends all, in the event loop that used them."""

    def store(self, embedder_name: str | None) -> ChunkStore: ...

    def state(self) -> State: ...

    def inbox(self) -> Inbox: ...

    def records(self) -> Records: ...

    async def close(self) -> None: ...


class InMemoryEngines:
    def store(self, embedder_name: str | None) -> ChunkStore:
        return InMemoryStore()

    def state(self) -> State:
        return InMemoryState()

    def inbox(self) -> Inbox:
        return InMemoryInbox(lease_s=0.3)

    def records(self) -> Records:
        return InMemoryRecords()

    async def close(self) -> None:
        return None


class ProductionEngines:
    """Everything gets a tenant of its own."""

    def __init__(self, weaviate: WeaviateServer, redis_url: str) -> None:
        self._weaviate = weaviate
        self._redis_url = redis_url
        self._opened: list[Callable[[], Awaitable[None]]] = []

    def store(self, embedder_name: str | None) -> ChunkStore:
        async def opened() -> ChunkStore:
            return await self._weaviate.open_store(embedder_name=embedder_name)

        store = _LateStore(opened)
        self._opened.append(store.close_if_open)
        return cast(ChunkStore, store)

    def state(self) -> State:
        state = RedisState(open_redis(self._redis_url), tenant=f"t{uuid4().hex}")
        self._opened.append(state.close)
        return state

    def inbox(self) -> Inbox:
        inbox = RedisInbox(open_redis(self._redis_url), tenant=f"t{uuid4().hex}", lease_s=1.5)
        self._opened.append(inbox.close)
        return inbox

    def records(self) -> Records:
        redis = open_redis(self._redis_url)
        self._opened.append(lambda: close_redis(redis))
        return RedisRecords(redis, tenant=f"t{uuid4().hex}")

    async def close(self) -> None:
        while self._opened:
            await self._opened.pop()()


class _LateStore:
    """A store that is opened by its first use, since a test makes it where nothing can be awaited."""

    def __init__(self, open_: Callable[[], Awaitable[ChunkStore]]) -> None:
        self._open = open_
        self._opening = asyncio.Lock()
        self._store: ChunkStore | None = None

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            async with self._opening:
                self._store = self._store or await self._open()
            return await getattr(self._store, name)(*args, **kwargs)

        return call

    async def close_if_open(self) -> None:
        if self._store is not None:
            await self._store.close()


class WatchedInbox:
    """An inbox that tells when an entry has come to its end."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._ends: dict[str, asyncio.Event] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inbox, name)

    async def put(
        self, id: str, conversation: str, kind: str, body: str, *, is_awaited: bool = True
    ) -> Accepted:
        self._ends.setdefault(id, asyncio.Event())
        return await self._inbox.put(id, conversation, kind, body, is_awaited=is_awaited)

    async def done(self, taken: Taken) -> bool:
        is_done = await self._inbox.done(taken)
        self._ends[taken.entry.id].set()
        return is_done

    async def bury(self, taken: Taken, reason: str) -> bool:
        is_buried = await self._inbox.bury(taken, reason)
        self._ends[taken.entry.id].set()
        return is_buried

    async def ended(self, id: str) -> None:
        """At once for what was never put."""
        if id in self._ends:
            await self._ends[id].wait()

    async def followers_ended(self, id: str) -> None:
        """Whatever was put because of the entry *id*."""
        for follower in [known for known in self._ends if known.startswith(f"{id}:")]:
            await self.ended(follower)


class Cable:
    """An inbox as one worker reaches it, until that is killed."""

    def __init__(self, inbox: WatchedInbox) -> None:
        self._inbox = inbox
        self.is_cut = False

    def __getattr__(self, name: str) -> Any:
        reached = getattr(self._inbox, name)
        if not callable(reached):
            return reached

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self.is_cut:
                await asyncio.Event().wait()
            return await reached(*args, **kwargs)

        return call


current: Engines = InMemoryEngines()
"""What a `Company` is made of that names nothing else; set by the fixture of the scenarios."""
