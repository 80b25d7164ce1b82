"""Work that is done once for all who ask for it at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from itertools import count
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flights:
    """Goes on with what was begun also when nobody waits for it any more: the next will ask again."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def once(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What *work* returns or raises, be it that somebody else has begun it."""
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(work())
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _landed(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            # Said to be seen: whoever waited has it, and nobody may have.
            task.exception()


class Batches(Generic[T]):
    """
    Look-ups that are asked for in the same moment, made as one.

    A batch is closed before its look-up begins, so that nobody gets what was true before they asked.
    """

    def __init__(
        self, flights: Flights, look_up: Callable[[str, frozenset[str]], Awaitable[T]]
    ) -> None:
        self._flights = flights
        self._look_up = look_up
        self._open: dict[str, tuple[int, set[str]]] = {}
        self._numbers = count()

    async def with_others(self, place: str, member: str) -> T:
        """The look-up at *place* of *member* and of whom others ask for right now."""
        if place not in self._open:
            self._open[place] = (next(self._numbers), set())
        number, members = self._open[place]
        members.add(member)
        return await self._flights.once((self, place, number), lambda: self._run(place, members))

    async def _run(self, place: str, members: set[str]) -> T:
        await asyncio.sleep(0)
        del self._open[place]
        return await self._look_up(place, frozenset(members))
