"""Listeners for sharing a private answer: what will be missing is shown first, then it is asked anew in the channel."""

import structlog
from slack_bolt.async_app import AsyncApp

from adapters.chat.background import Background
from adapters.chat.dialog_texts import NOT_ACCEPTED, NOT_KEPT, SHARE_TITLE, SHARED, SHARED_ALREADY
from adapters.chat.inert import escaped
from adapters.chat.origins import Origins
from adapters.slack import action_ids, modals
from adapters.slack.asking import SlackAsking
from adapters.slack.client import SLACK_FAILURES, SlackClients, what_failed
from adapters.slack.ids import SlackChannelId, message_event
from adapters.slack.incoming import Ack, Body, Sender, sender_of_action, time_of
from adapters.slack.languages import SlackLanguages
from adapters.slack.listener_texts import ASKED_BY, CANNOT_POST_HERE
from adapters.slack.origin import Origin
from adapters.slack.presses import Press
from bot.given_answers import GivenAnswers
from bot.messages import ConversationKind, IncomingMessage
from retrieval.errors import ShifuError
from retrieval.types import Language

log = structlog.get_logger()


class ShareRoutes:
    def __init__(
        self,
        asking: SlackAsking,
        clients: SlackClients,
        languages: SlackLanguages,
        origins: Origins[Origin],
        answers: GivenAnswers,
        *,
        tenant: str,
    ) -> None:
        self._asking = asking
        self._clients = clients
        self._languages = languages
        self._origins = origins
        self._answers = answers
        self._tenant = tenant
        self._background = Background(SLACK_FAILURES, what_failed)

    def register(self, bolt: AsyncApp) -> None:
        bolt.action(action_ids.SHARE)(self._share)
        bolt.view(action_ids.SHARE_VIEW)(self._share_confirmed)

    async def close(self) -> None:
        await self._background.close()

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
        press = Press.of(body)
        opened = await client.views_open(trigger_id=press.trigger_id, view=loading)
        channel = SlackChannelId(sender.home, press.channel)
        conversation = channel.conversation(self._tenant, ConversationKind.PRIVATE, None)
        user = sender.person.ref(self._tenant)
        try:
            preview = await self._answers.share_preview(press.value, user, conversation)
        except ShifuError:
            preview, problem = None, NOT_ACCEPTED[language]
        else:
            problem = NOT_KEPT[language]
        if preview is None:
            view = modals.told(SHARE_TITLE[language], problem, language)
        else:
            view = modals.share(preview, f"{press.channel}:{press.value}", language)
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
        await self._origins.note_reply(claim, root, channel=str(place), message=root)
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
