"""One message for one event, whichever process posts it, and though whoever waits for it is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from adapters.chat.origins import POSTING_S, Replies
from bot.errors import StateUnavailable

log = structlog.get_logger()

_LOOK_AGAIN_S = 0.1
_LONGEST_S = POSTING_S - 2


@dataclass(frozen=True, slots=True)
class Posted:
    """
    Attributes:
        ref: What whoever changes the message needs.
        channel: In which it stands.
        message: Its id there; empty if the platform has not told it.
    """

    ref: str
    channel: str
    message: str


class Once:
    """
    The platforms know no key under which a repeated post would be the same message: a post whose answer is
    lost, or whose sender is killed before noting it, is made again.
    """

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._posting: set[asyncio.Task[str]] = set()

    async def post(
        self, event_id: str, post: Callable[[], Awaitable[Posted]], *, is_private: bool = False
    ) -> tuple[str, bool]:
        """
        Returns:
            The *ref* of the message, and whether it was posted now.

        Raises:
            StateUnavailable: Nobody knows whether it was posted before; nothing was.
        """
        while True:
            known = await self._replies.reply(event_id, is_private=is_private)
            if known is not None:
                return known, False
            if await self._replies.begin_reply(event_id, is_private=is_private):
                # To its end, also if nobody waits for it any more: half a request cannot be taken back.
                posting = asyncio.create_task(self._post(event_id, post, is_private=is_private))
                self._posting.add(posting)
                posting.add_done_callback(self._done)
                return await asyncio.shield(posting), True
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def close(self) -> None:
        """Wait for what is being posted."""
        await asyncio.gather(*self._posting, return_exceptions=True)

    async def _post(
        self, event_id: str, post: Callable[[], Awaitable[Posted]], *, is_private: bool
    ) -> str:
        try:
            async with asyncio.timeout(_LONGEST_S):
                posted = await post()
        except BaseException:
            await self._give_way(event_id, is_private=is_private)
            raise
        try:
            await self._replies.note_reply(
                event_id,
                posted.ref,
                channel=posted.channel,
                message=posted.message,
                is_private=is_private,
            )
        except StateUnavailable:
            # It stands there; only a second process could not know.
            log.warning("chat.reply_not_noted")
        return posted.ref

    async def _give_way(self, event_id: str, *, is_private: bool) -> None:
        try:
            await self._replies.end_reply(event_id, is_private=is_private)
        except StateUnavailable:
            log.warning("chat.reply_not_ended")

    def _done(self, posting: asyncio.Task[str]) -> None:
        self._posting.discard(posting)
        # Whoever waited has it raised; if nobody does, it is no news.
        if not posting.cancelled():
            posting.exception()
