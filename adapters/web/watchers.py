"""Who in this process follows which conversation, and is woken when it changes."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.web.messages import EVERYONE


class Watchers:
    def __init__(self) -> None:
        self._places: dict[str, dict[asyncio.Event, str]] = {}

    @contextmanager
    def watching(self, place: str, viewer: str) -> Iterator[asyncio.Event]:
        changed = asyncio.Event()
        self._places.setdefault(place, {})[changed] = viewer
        try:
            yield changed
        finally:
            watchers = self._places[place]
            del watchers[changed]
            if not watchers:
                del self._places[place]

    def is_watched(self, place: str) -> bool:
        return place in self._places

    def wake(self, place: str, audience: str) -> None:
        """A needless wake would shift the viewer's heartbeat, and tell."""
        for watcher, viewer in self._places.get(place, {}).items():
            if audience in (EVERYONE, viewer):
                watcher.set()

    def wake_all(self) -> None:
        for watchers in self._places.values():
            for watcher in watchers:
                watcher.set()
