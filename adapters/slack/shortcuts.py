"""Listeners for the shortcuts: asking from anywhere, and saving a message as knowledge."""

from datetime import UTC, datetime

import structlog
from slack_bolt.async_app import AsyncApp

from adapters.chat.background import Background
from adapters.chat.dialog_texts import (
    NOT_ACCEPTED,
    NOTHING_TO_SAVE,
    SAVE_TITLE,
    SAVED_FOR_REVIEW,
    TOO_MANY_SAVED,
)
from adapters.slack import action_ids, modals
from adapters.slack.asking import SlackAsking
from adapters.slack.client import SLACK_FAILURES, SlackClients, what_failed
from adapters.slack.ids import SlackChannelId
from adapters.slack.incoming import Ack, Body, Sender, sender_of_action
from adapters.slack.languages import SlackLanguages
from adapters.slack.listener_texts import ASK_MODAL, QUESTION_ON_ITS_WAY
from adapters.slack.markup import plain_text
from bot.capture.review import ReviewQueue, Submission
from bot.messages import ConversationKind
from bot.records import Records
from bot.state import State
from retrieval.errors import ShifuError

log = structlog.get_logger()

_TITLE_CHARACTERS = 80
_SAVED_PER_DAY = 50


class ShortcutRoutes:
    def __init__(
        self,
        asking: SlackAsking,
        clients: SlackClients,
        languages: SlackLanguages,
        state: State,
        records: Records,
        review: ReviewQueue,
        *,
        tenant: str,
    ) -> None:
        self._asking = asking
        self._clients = clients
        self._languages = languages
        self._state = state
        self._records = records
        self._review = review
        self._tenant = tenant
        self._background = Background(SLACK_FAILURES, what_failed)

    def register(self, bolt: AsyncApp) -> None:
        bolt.shortcut(action_ids.ASK_SHORTCUT)(self._ask)
        bolt.action(action_ids.HOME_ASK)(self._ask)
        bolt.shortcut(action_ids.SAVE_SHORTCUT)(self._save)
        bolt.view(action_ids.ASK_VIEW)(self._asked)
        bolt.view(action_ids.SAVE_VIEW)(self._saved)

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
        view = modals.ask([r.question for r in recent if r.question], language)
        await client.views_update(view_id=str(opened["view"]["id"]), view=view)

    async def _asked(self, body: Body, ack: Ack) -> None:
        sender, view = sender_of_action(body), body["view"]
        question = modals.typed(view, "question")
        if sender is None or not question:
            await ack()
            return
        language = await self._languages.of(sender, question)
        title, view_id = ASK_MODAL[language][0], str(view.get("id"))
        await ack(response_action="update", view=modals.loading(title, language))

        async def work() -> None:
            try:
                await self._asking.in_direct_message(
                    sender, question, event_id=f"slack:modal:{view_id}"
                )
                told = QUESTION_ON_ITS_WAY[language]
            except ShifuError as error:
                log.warning("slack.modal_not_accepted", error=type(error).__name__)
                told = NOT_ACCEPTED[language]
            except SLACK_FAILURES as error:
                log.warning("slack.modal_not_accepted", reason=what_failed(error))
                told = NOT_ACCEPTED[language]
            client = await self._clients.for_team(sender.team, home=sender.home)
            await client.views_update(view_id=view_id, view=modals.told(title, told, language))

        self._background.start(work(), name="ask")

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
        title, view_id = SAVE_TITLE[language], str(view.get("id"))
        await ack(response_action="update", view=modals.loading(title, language))

        async def work() -> None:
            try:
                told = SAVED_FOR_REVIEW if await self._submit(sender, view) else TOO_MANY_SAVED
            except (ShifuError, TimeoutError):
                told = NOT_ACCEPTED
            client = await self._clients.for_team(sender.team, home=sender.home)
            shown = modals.told(title, told[language], language)
            await client.views_update(view_id=view_id, view=shown)

        self._background.start(work(), name="save")

    async def _submit(self, sender: Sender, view: Body) -> bool:
        """False for more of one person than anybody could review."""
        channel, _, ts = str(view.get("private_metadata") or "").partition(":")
        place, user = SlackChannelId(sender.home, channel), sender.person.ref(self._tenant)
        if not await self._state.allow(f"save:{user.key}", limit=_SAVED_PER_DAY, per_s=86_400):
            return False
        await self._review.submit(
            Submission(
                id=f"slack:{place}/{ts}/{sender.user}",
                title=modals.typed(view, "title"),
                text=modals.typed(view, "text"),
                audience=modals.typed(view, "audience"),
                by=user,
                at=datetime.now(UTC),
                permalink=await self._permalink(sender, channel, ts),
                conversation=place.conversation(self._tenant, ConversationKind.PRIVATE, None),
            )
        )
        return True

    async def _permalink(self, sender: Sender, channel: str, ts: str) -> str | None:
        try:
            client = await self._clients.for_team(sender.team, home=sender.home)
            found = await client.chat_getPermalink(channel=channel, message_ts=ts)
            return str(found["permalink"])
        except (ShifuError, *SLACK_FAILURES):
            return None
