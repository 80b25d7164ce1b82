"""Listeners for the buttons beneath an answer: feedback, why, its sources, share, and a copy to keep."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from adapters.slack import action_ids, modals
from adapters.slack.asking import SlackAsking
from adapters.slack.background import Background
from adapters.slack.client import SLACK_FAILURES, SlackClients, what_failed
from adapters.slack.ids import SlackChannelId, message_event
from adapters.slack.incoming import Ack, Body, Sender, sender_of_action, time_of
from adapters.slack.inert import escaped
from adapters.slack.languages import SlackLanguages
from adapters.slack.listener_texts import (
    ASKED_BY,
    CANNOT_POST_HERE,
    COPY_ON_ITS_WAY,
    NO_SOURCES_LEFT,
    NOT_ACCEPTED,
    NOT_KEPT,
    SHARE_TITLE,
    SHARED,
    SHARED_ALREADY,
    THANKS_FOR_FEEDBACK,
)
from adapters.slack.origins import Origin, Origins
from adapters.slack.render import all_sources
from bot.given_answers import GivenAnswers
from bot.messages import ConversationKind, Feedback, IncomingMessage, Rating
from bot.state import State
from retrieval.errors import ShifuError
from retrieval.types import Language

log = structlog.get_logger()

MAX_COMMENT = 2_000


class ActionRoutes:
    def __init__(
        self,
        asking: SlackAsking,
        clients: SlackClients,
        languages: SlackLanguages,
        origins: Origins,
        state: State,
        answers: GivenAnswers,
        *,
        tenant: str,
    ) -> None:
        self._asking = asking
        self._clients = clients
        self._languages = languages
        self._origins = origins
        self._state = state
        self._answers = answers
        self._tenant = tenant
        self._background = Background()

    def register(self, bolt: AsyncApp) -> None:
        bolt.action(action_ids.FEEDBACK)(self._rated)
        bolt.action(action_ids.WHY)(self._why)
        bolt.action(action_ids.SOURCES)(self._sources)
        bolt.action(action_ids.SHARE)(self._share)
        bolt.action(action_ids.COPY)(self._copy)
        bolt.view(action_ids.SHARE_VIEW)(self._share_confirmed)
        bolt.view(action_ids.FEEDBACK_VIEW)(self._commented)

    async def close(self) -> None:
        await self._background.close()

    async def _rated(self, body: Body, ack: Ack) -> None:
        sender = sender_of_action(body)
        word, _, answer_id = _value(body).partition(":")
        if sender is None or word not in ("up", "down") or not answer_id:
            await ack()
            return
        language = await self._languages.of(sender)
        rating = Rating.HELPFUL if word == "up" else Rating.UNHELPFUL
        user = sender.person.ref(self._tenant)
        await self._state.save_feedback(Feedback(answer_id, user, rating, datetime.now(UTC)))
        await ack()
        if rating is Rating.UNHELPFUL:
            opening = self._open(sender, body, modals.feedback(answer_id, language))
            self._background.start(opening, name="feedback")
        else:
            thanks = self._tell(sender, body, THANKS_FOR_FEEDBACK[language])
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
            place = _Place(body)
            await self._asking.whisper(
                sender,
                place.channel,
                f"/why {_value(body)}",
                _origin(sender, place),
                event_id=f"slack:action:{sender.home}/{sender.user}/{_moment(body)}",
                language=await self._languages.of(sender),
            )
        await ack()

    async def _sources(self, body: Body, ack: Ack) -> None:
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            self._background.start(self._show_sources(sender, body), name="sources")

    async def _show_sources(self, sender: Sender, body: Body) -> None:
        language = await self._languages.of(sender)
        try:
            found = await self._answers.sources(_value(body), sender.person.ref(self._tenant))
        except ShifuError:
            await self._tell(sender, body, NOT_ACCEPTED[language])
            return
        if found is None:
            await self._tell(sender, body, NOT_KEPT[language])
            return
        blocks = all_sources(found, language, now=datetime.now(UTC))
        await self._tell(sender, body, NO_SOURCES_LEFT[language], blocks)

    async def _copy(self, body: Body, ack: Ack) -> None:
        """A private answer vanishes when Slack is loaded anew; in the direct message it stays."""
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            self._background.start(self._send_copy(sender, body), name="copy")

    async def _send_copy(self, sender: Sender, body: Body) -> None:
        answer_id, language = _value(body), await self._languages.of(sender)
        try:
            record = await self._answers.own(answer_id, sender.person.ref(self._tenant))
            if record is None or not record.standalone:
                await self._tell(sender, body, NOT_KEPT[language])
                return
            await self._asking.in_direct_message(
                sender, record.standalone, event_id=f"slack:copy:{answer_id}/{_moment(body)}"
            )
            told = COPY_ON_ITS_WAY[language]
        except ShifuError as error:
            log.warning("slack.copy_failed", error=type(error).__name__)
            told = NOT_ACCEPTED[language]
        except SLACK_FAILURES as error:
            log.warning("slack.copy_failed", reason=what_failed(error))
            told = NOT_ACCEPTED[language]
        await self._tell(sender, body, told)

    async def _share(self, body: Body, ack: Ack) -> None:
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            self._background.start(self._preview(sender, body), name="share")

    async def _preview(self, sender: Sender, body: Body) -> None:
        language = await self._languages.of(sender)
        client = await self._clients.for_team(sender.team, home=sender.home)
        # The trigger lives for three seconds; looking up what everybody may read may take longer.
        loading = modals.loading(SHARE_TITLE[language], language)
        opened = await client.views_open(trigger_id=str(body.get("trigger_id")), view=loading)
        place = _Place(body)
        channel = SlackChannelId(sender.home, place.channel)
        conversation = channel.conversation(self._tenant, ConversationKind.PRIVATE, None)
        user = sender.person.ref(self._tenant)
        try:
            preview = await self._answers.share_preview(_value(body), user, conversation)
        except ShifuError:
            preview, problem = None, NOT_ACCEPTED[language]
        else:
            problem = NOT_KEPT[language]
        if preview is None:
            view = modals.told(SHARE_TITLE[language], problem, language)
        else:
            view = modals.share(preview, f"{place.channel}:{_value(body)}", language)
        await client.views_update(view_id=str(opened["view"]["id"]), view=view)

    async def _share_confirmed(self, body: Body, ack: Ack) -> None:
        sender, view = sender_of_action(body), body["view"]
        channel, _, answer_id = str(view.get("private_metadata") or "").partition(":")
        if sender is None or not channel or not answer_id:
            await ack()
            return
        language = await self._languages.of(sender)
        title = SHARE_TITLE[language]
        # Posting may have to wait for Slack longer than Slack waits for us.
        await ack(response_action="update", view=modals.loading(title, language))

        async def work() -> None:
            told = await self._told_of_sharing(sender, channel, answer_id, language)
            client = await self._clients.for_team(sender.team, home=sender.home)
            shown = modals.told(title, told, language)
            await client.views_update(view_id=str(view.get("id")), view=shown)

        self._background.start(work(), name="share")

    async def _told_of_sharing(
        self, sender: Sender, channel: str, answer_id: str, language: Language
    ) -> str:
        place = SlackChannelId(sender.home, channel)
        claim = f"slack:share:{answer_id}/{channel}"
        try:
            record = await self._answers.own(answer_id, sender.person.ref(self._tenant))
            if record is None or not record.standalone:
                return NOT_KEPT[language]
            if not await self._origins.begin_reply(claim):
                return SHARED_ALREADY[language]
        except ShifuError:
            return NOT_ACCEPTED[language]
        try:
            root = await self._ask_there(sender, place, record.standalone, language)
        except SLACK_FAILURES as error:
            log.warning("slack.not_shared", reason=what_failed(error))
            await self._origins.end_reply(claim)
            return CANNOT_POST_HERE[language]
        except ShifuError:
            await self._origins.end_reply(claim)
            return NOT_ACCEPTED[language]
        await self._origins.note_reply(claim, root, channel=str(place), ts=root)
        return SHARED[language]

    async def _ask_there(
        self, sender: Sender, place: SlackChannelId, question: str, language: Language
    ) -> str:
        """Under the person's name, where everybody sees it; the answer comes in its thread."""
        client = await self._clients.for_team(sender.team, home=sender.home)
        posted = await client.chat_postMessage(
            channel=place.channel,
            text=ASKED_BY[language].format(user=sender.user, question=escaped(question)),
            unfurl_links=False,
            unfurl_media=False,
        )
        root = str(posted["ts"])
        message = IncomingMessage(
            event_id=message_event(place, root),
            user=sender.person.ref(self._tenant),
            conversation=place.conversation(self._tenant, ConversationKind.PRIVATE, root),
            text=question,
            sent_at=time_of(root),
        )
        origin = Origin(
            team=sender.team,
            user=sender.user,
            user_team=sender.user_team,
            channel=place.channel,
            ts=root,
            thread_ts=root,
        )
        await self._asking.put(message, origin)
        return root

    async def _open(self, sender: Sender, body: Body, view: dict[str, Any]) -> None:
        client = await self._clients.for_team(sender.team, home=sender.home)
        await client.views_open(trigger_id=str(body.get("trigger_id")), view=view)

    async def _tell(
        self, sender: Sender, body: Body, text: str, blocks: list[dict[str, Any]] | None = None
    ) -> None:
        """To the one who pressed, beside the message."""
        place = _Place(body)
        client = await self._clients.for_team(sender.team, home=sender.home)
        await client.chat_postEphemeral(
            channel=place.channel,
            user=sender.user,
            thread_ts=place.thread_ts,
            text=text,
            blocks=blocks or None,
        )


class _Place:
    """Where the message stands whose button was pressed."""

    def __init__(self, body: Body) -> None:
        container = body.get("container") or {}
        message = body.get("message") or {}
        channel = container.get("channel_id") or (body.get("channel") or {}).get("id")
        self.channel = str(channel or "")
        self.thread_ts = str(container.get("thread_ts") or message.get("thread_ts") or "") or None
        self.response_url = str(body.get("response_url") or "")


def _origin(sender: Sender, place: _Place) -> Origin:
    return Origin(
        team=sender.team,
        user=sender.user,
        user_team=sender.user_team,
        channel=place.channel,
        thread_ts=place.thread_ts or "",
        response_url=place.response_url,
        is_action=True,
    )


def _action(body: Body) -> Mapping[str, Any]:
    actions = body.get("actions") or [{}]
    return actions[0] if isinstance(actions[0], Mapping) else {}


def _value(body: Body) -> str:
    return str(_action(body).get("value") or "")


def _moment(body: Body) -> str:
    """Tells one press of a button from the next."""
    return str(_action(body).get("action_ts") or body.get("trigger_id"))
