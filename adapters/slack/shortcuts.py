"""Listeners for the shortcuts: asking from anywhere, and saving a message as knowledge."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from adapters.slack import modals
from adapters.slack.asking import SlackAsking
from adapters.slack.background import Background
from adapters.slack.client import SLACK_FAILURES, SlackClients, what_failed
from adapters.slack.ids import SlackChannelId
from adapters.slack.incoming import Sender, sender_of_action
from adapters.slack.languages import Languages
from adapters.slack.listener_texts import (
    ASK_MODAL,
    NOT_ACCEPTED,
    NOTHING_TO_SAVE,
    QUESTION_ON_ITS_WAY,
    SAVE_TITLE,
    SAVED_FOR_REVIEW,
)
from adapters.slack.markup import plain_text
from adapters.slack.origins import Origin
from bot.capture.review import ReviewQueue, Submission
from bot.errors import StateUnavailable
from bot.messages import ConversationKind, IncomingMessage
from bot.records import Records
from retrieval.errors import ShifuError

log = structlog.get_logger()

Body = Mapping[str, Any]
Ack = Callable[..., Awaitable[object]]

_TITLE_CHARACTERS = 80


class ShortcutRoutes:
    def __init__(
        self,
        asking: SlackAsking,
        clients: SlackClients,
        languages: Languages,
        records: Records,
        review: ReviewQueue,
        *,
        tenant: str,
    ) -> None:
        self._asking = asking
        self._clients = clients
        self._languages = languages
        self._records = records
        self._review = review
        self._tenant = tenant
        self._background = Background()

    def register(self, bolt: AsyncApp) -> None:
        bolt.shortcut(modals.ASK)(self._ask)
        bolt.shortcut(modals.SAVE)(self._save)
        bolt.view(modals.ASK)(self._asked)
        bolt.view(modals.SAVE)(self._saved)

    async def close(self) -> None:
        await self._background.close()

    async def _ask(self, body: Body, ack: Ack) -> None:
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            self._background.start(self._open_ask(sender, body), name="ask")

    async def _open_ask(self, sender: Sender, body: Body) -> None:
        language = await self._languages.of(sender)
        client = await self._clients.for_team(sender.team, home=sender.home)
        loading = modals.loading(ASK_MODAL[language][0], language)
        opened = await client.views_open(trigger_id=str(body.get("trigger_id")), view=loading)
        try:
            recent = await self._records.of_user(sender.person.ref(self._tenant), limit=3)
        except ShifuError:
            recent = []
        view = modals.ask([record.question for record in recent], language)
        await client.views_update(view_id=str(opened["view"]["id"]), view=view)

    async def _asked(self, body: Body, ack: Ack) -> None:
        sender, view = sender_of_action(body), body["view"]
        question = modals.typed(view, "question")
        if sender is None or not question:
            await ack()
            return
        language = await self._languages.of(sender, question)
        try:
            await self._put(sender, question, event_id=f"slack:modal:{view.get('id')}")
            told = QUESTION_ON_ITS_WAY[language]
        except (ShifuError, *SLACK_FAILURES) as error:
            log.warning("slack.modal_not_accepted", reason=what_failed(error))
            told = NOT_ACCEPTED[language]
        title = ASK_MODAL[language][0]
        await ack(response_action="update", view=modals.told(title, told, language))

    async def _put(self, sender: Sender, question: str, *, event_id: str) -> None:
        """The answer stands in the direct message, where it can be found again."""
        client = await self._clients.for_team(sender.team, home=sender.home)
        opened = await client.conversations_open(users=sender.user)
        channel = str(opened["channel"]["id"])
        message = IncomingMessage(
            event_id=event_id,
            user=sender.person.ref(self._tenant),
            conversation=self._asking.direct(sender.home, channel),
            text=question,
            sent_at=datetime.now(UTC),
        )
        origin = Origin(
            team=sender.team,
            user=sender.user,
            user_team=sender.user_team,
            channel=channel,
            question=question,
        )
        await self._asking.put(message, origin)

    async def _save(self, body: Body, ack: Ack) -> None:
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            self._background.start(self._open_save(sender, body), name="save")

    async def _open_save(self, sender: Sender, body: Body) -> None:
        message = body.get("message") or {}
        text = plain_text(str(message.get("text") or ""), "")
        language = await self._languages.of(sender, text)
        client = await self._clients.for_team(sender.team, home=sender.home)
        title = SAVE_TITLE[language]
        opened = await client.views_open(
            trigger_id=str(body.get("trigger_id")), view=modals.loading(title, language)
        )
        if text:
            first = text.splitlines()[0][:_TITLE_CHARACTERS]
            channel = str((body.get("channel") or {}).get("id") or "")
            metadata = f"{channel}:{message.get('ts') or ''}"
            view = modals.save(first, text, metadata, language)
        else:
            view = modals.told(title, NOTHING_TO_SAVE[language], language)
        await client.views_update(view_id=str(opened["view"]["id"]), view=view)

    async def _saved(self, body: Body, ack: Ack) -> None:
        sender, view = sender_of_action(body), body["view"]
        if sender is None:
            await ack()
            return
        language = await self._languages.of(sender, modals.typed(view, "text"))
        channel, _, ts = str(view.get("private_metadata") or "").partition(":")
        place = SlackChannelId(sender.home, channel)
        submission = Submission(
            id=f"slack:{place}/{ts}/{sender.user}",
            title=modals.typed(view, "title"),
            text=modals.typed(view, "text"),
            audience=modals.typed(view, "audience"),
            by=sender.person.ref(self._tenant),
            permalink=await self._permalink(sender, channel, ts),
            at=datetime.now(UTC),
            conversation=place.conversation(self._tenant, ConversationKind.PRIVATE, None),
        )
        try:
            await self._review.submit(submission)
            told = SAVED_FOR_REVIEW[language]
        except (StateUnavailable, TimeoutError):
            told = NOT_ACCEPTED[language]
        title = SAVE_TITLE[language]
        await ack(response_action="update", view=modals.told(title, told, language))

    async def _permalink(self, sender: Sender, channel: str, ts: str) -> str | None:
        try:
            client = await self._clients.for_team(sender.team, home=sender.home)
            found = await client.chat_getPermalink(channel=channel, message_ts=ts)
            return str(found["permalink"])
        except (ShifuError, *SLACK_FAILURES):
            return None
