"""Reads what a channel held before we followed it, page by page, as a job of the inbox."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from adapters.slack.channel_news import micros
from adapters.slack.client import SLACK_FAILURES, what_failed
from adapters.slack.ids import SlackChannelId
from adapters.slack.index_work import IndexWork, order_of
from adapters.slack.thread_ledger import Backfill
from adapters.slack.thread_messages import ThreadMessage, message_of
from adapters.slack.thread_reader import pause_s
from bot.errors import TryLater
from bot.worker import Job

log = structlog.get_logger()

_HISTORY_PAGE = 200


class BackfillHandler:
    """Reads a channel's history page by page, newest first; each page is noted before the next."""

    def __init__(self, work: IndexWork) -> None:
        self._work = work

    async def handle(self, job: Job) -> None:
        channel, ledger = order_of(job).channel, self._work.indexing.ledger
        reached = await self._work.reached(channel)
        while reached and (await ledger.standing(str(channel))).visibility is not None:
            backfill = await ledger.backfill(str(channel))
            if backfill is None or backfill.is_done:
                return
            try:
                page = await reached[0].conversations_history(
                    channel=channel.channel, limit=_HISTORY_PAGE, latest=backfill.before or None
                )
            except SLACK_FAILURES as error:
                if (later_s := pause_s(error)) is not None:
                    raise TryLater(later_s) from error
                log.warning(
                    "slack.backfill_refused", channel=str(channel), reason=what_failed(error)
                )
                await self._work.indexing.order_sync(channel)
                return
            messages = [m for m in page.get("messages") or () if isinstance(m, Mapping)]
            await self._note(channel, backfill, messages, has_more=bool(page.get("has_more")))

    async def give_up(self, job: Job) -> None:
        log.error("slack.index_given_up", what="backfill")

    async def _note(
        self,
        channel: SlackChannelId,
        backfill: Backfill,
        payloads: list[Mapping[str, Any]],
        *,
        has_more: bool,
    ) -> None:
        ledger, name = self._work.indexing.ledger, str(channel)
        times = [ts for p in payloads if isinstance(ts := p.get("ts"), str) and micros(ts)]
        oldest = min(times, key=lambda ts: micros(ts) or 0, default="")
        is_done = not has_more or not oldest
        found = {
            message.ts: changed_at
            for payload in payloads
            if (message := message_of(payload))
            and not message.is_reply
            and (message.is_long or message.reply_count)
            and (changed_at := _changed_at(message))
        }
        await ledger.found(name, found)
        # Every thread between this page's ends is on it; what is known there and is not on it was
        # deleted while no event could reach us.
        newest_us = micros(backfill.before) or None
        oldest_us = 0 if is_done else micros(oldest) or 0
        for root, at in (await ledger.threads(name)).items():
            begun = micros(root) or 0
            is_within = oldest_us <= begun and (newest_us is None or begun < newest_us)
            if is_within and root not in found and at <= backfill.known_by:
                await ledger.drop(name, root, by=backfill.known_by, for_good=True)
        await ledger.save_backfill(
            name,
            replace(
                backfill,
                before=oldest or backfill.before,
                pages=backfill.pages + 1,
                threads=backfill.threads + len(found),
                is_done=is_done,
                at=self._work.clock(),
            ),
        )
        if is_done:
            log.info("slack.backfill_done", channel=name, threads=backfill.threads + len(found))
        await self._work.indexing.order_sync(channel)


def _changed_at(message: ThreadMessage) -> int:
    moments = (micros(ts) for ts in (message.ts, message.latest_reply, message.edited_ts))
    return max((moment for moment in moments if moment), default=0)
