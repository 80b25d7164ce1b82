"""Listeners for the buttons beneath an answer: feedback, why, its sources, and a copy to keep."""

from datetime import UTC, datetime
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from adapters.chat.background import Background
from adapters.chat.dialog_texts import (
    COPY_ON_ITS_WAY,
    NO_SOURCES_LEFT,
    NOT_ACCEPTED,
    NOT_KEPT,
    THANKS_FOR_FEEDBACK,
)
from adapters.slack import action_ids, modals
from adapters.slack.asking import SlackAsking
from adapters.slack.client import SLACK_FAILURES, SlackClients, what_failed
from adapters.slack.incoming import Ack, Body, Sender, sender_of_action
from adapters.slack.languages import SlackLanguages
from adapters.slack.presses import Press
from adapters.slack.render import all_sources
from bot.given_answers import GivenAnswers
from bot.messages import Feedback, Rating
from bot.state import State
from retrieval.errors import ShifuError

log = structlog.get_logger()

MAX_COMMENT = 2_000


class ActionRoutes:
    def __init__(
        self,
        asking: SlackAsking,
        clients: SlackClients,
        languages: SlackLanguages,
        state: State,
        answers: GivenAnswers,
        *,
        tenant: str,
    ) -> None:
        self._asking = asking
        self._clients = clients
        self._languages = languages
        self._state = state
        self._answers = answers
        self._tenant = tenant
        self._background = Background(SLACK_FAILURES, what_failed)

    def register(self, bolt: AsyncApp) -> None:
        bolt.action(action_ids.FEEDBACK)(self._rated)
        bolt.action(action_ids.WHY)(self._why)
        bolt.action(action_ids.SOURCES)(self._sources)
        bolt.action(action_ids.COPY)(self._copy)
        bolt.view(action_ids.FEEDBACK_VIEW)(self._commented)

    async def close(self) -> None:
        await self._background.close()

    async def _rated(self, body: Body, ack: Ack) -> None:
        sender = sender_of_action(body)
        press = Press.of(body)
        word, _, answer_id = press.value.partition(":")
        if sender is None or word not in ("up", "down") or not answer_id:
            await ack()
            return
        language = await self._languages.of(sender)
        rating = Rating.HELPFUL if word == "up" else Rating.UNHELPFUL
        user = sender.person.ref(self._tenant)
        await self._state.save_feedback(Feedback(answer_id, user, rating, datetime.now(UTC)))
        await ack()
        if rating is Rating.UNHELPFUL:
            opening = self._open(sender, press, modals.feedback(answer_id, language))
            self._background.start(opening, name="feedback")
        else:
            thanks = self._tell(sender, press, THANKS_FOR_FEEDBACK[language])
            self._background.start(thanks, name="feedback")

    async def _commented(self, body: Body, ack: Ack) -> None:
        sender, view = sender_of_action(body), body["view"]
        comment = modals.typed(view, "comment")[:MAX_COMMENT]
        if sender is not None:
            user = sender.person.ref(self._tenant)
            answer_id = str(view.get("private_metadata") or "")
            feedback = Feedback(answer_id, user, Rating.UNHELPFUL, datetime.now(UTC), comment)
            await self._state.save_feedback(feedback)
        await ack()

    async def _why(self, body: Body, ack: Ack) -> None:
        sender = sender_of_action(body)
        if sender is not None:
            press = Press.of(body)
            await self._asking.whisper(
                sender,
                press.channel,
                f"/why {press.value}",
                press.origin(sender),
                event_id=f"slack:action:{sender.home}/{sender.user}/{press.moment}",
                language=await self._languages.of(sender),
            )
        await ack()

    async def _sources(self, body: Body, ack: Ack) -> None:
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            self._background.start(self._show_sources(sender, Press.of(body)), name="sources")

    async def _show_sources(self, sender: Sender, press: Press) -> None:
        language = await self._languages.of(sender)
        try:
            found = await self._answers.sources(press.value, sender.person.ref(self._tenant))
        except ShifuError:
            await self._tell(sender, press, NOT_ACCEPTED[language])
            return
        if found is None:
            await self._tell(sender, press, NOT_KEPT[language])
            return
        blocks = all_sources(found, language, now=datetime.now(UTC))
        await self._tell(sender, press, NO_SOURCES_LEFT[language], blocks)

    async def _copy(self, body: Body, ack: Ack) -> None:
        """A private answer vanishes when Slack is loaded anew; in the direct message it stays."""
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            self._background.start(self._send_copy(sender, Press.of(body)), name="copy")

    async def _send_copy(self, sender: Sender, press: Press) -> None:
        language = await self._languages.of(sender)
        try:
            record = await self._answers.own(press.value, sender.person.ref(self._tenant))
            if record is None or not record.standalone:
                await self._tell(sender, press, NOT_KEPT[language])
                return
            await self._asking.in_direct_message(
                sender,
                record.standalone,
                event_id=f"slack:copy:{press.value}/{press.moment}",
            )
            told = COPY_ON_ITS_WAY[language]
        except ShifuError as error:
            log.warning("slack.copy_failed", error=type(error).__name__)
            told = NOT_ACCEPTED[language]
        except SLACK_FAILURES as error:
            log.warning("slack.copy_failed", reason=what_failed(error))
            told = NOT_ACCEPTED[language]
        await self._tell(sender, press, told)

    async def _open(self, sender: Sender, press: Press, view: dict[str, Any]) -> None:
        client = await self._clients.for_team(sender.team, home=sender.home)
        await client.views_open(trigger_id=press.trigger_id, view=view)

    async def _tell(
        self, sender: Sender, press: Press, text: str, blocks: list[dict[str, Any]] | None = None
    ) -> None:
        """To the one who pressed, beside the message."""
        client = await self._clients.for_team(sender.team, home=sender.home)
        await client.chat_postEphemeral(
            channel=press.channel,
            user=sender.user,
            thread_ts=press.thread_ts,
            text=text,
            blocks=blocks or None,
        )
