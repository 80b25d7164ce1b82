"""Listeners for the buttons beneath an answer: feedback, why, share, copy, and questions to go on with."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from adapters.slack import modals
from adapters.slack.asking import SlackAsking
from adapters.slack.background import Background
from adapters.slack.client import SLACK_FAILURES, SlackClients, slack_error, what_failed
from adapters.slack.ids import SlackChannelId, message_event
from adapters.slack.incoming import Sender, sender_of_action, time_of
from adapters.slack.languages import Languages
from adapters.slack.listener_texts import (
    ASKED_BY,
    CANNOT_POST_HERE,
    COPY_ON_ITS_WAY,
    NOT_ACCEPTED,
    NOT_KEPT,
    SHARE_TITLE,
    SHARED_ALREADY,
    THANKS_FOR_FEEDBACK,
)
from adapters.slack.markup import escaped
from adapters.slack.origins import Origin
from bot.errors import StateUnavailable
from bot.messages import ConversationKind, Feedback, IncomingMessage, Rating
from bot.records import Records
from bot.sharing import Sharing
from bot.state import State
from retrieval.errors import ShifuError
from retrieval.types import Language

log = structlog.get_logger()

Body = Mapping[str, Any]
Ack = Callable[..., Awaitable[object]]

MAX_COMMENT = 2_000
_SHARE_AGAIN_S = 600


class ActionRoutes:
    def __init__(
        self,
        asking: SlackAsking,
        clients: SlackClients,
        languages: Languages,
        state: State,
        records: Records,
        sharing: Sharing,
        *,
        tenant: str,
    ) -> None:
        self._asking = asking
        self._clients = clients
        self._languages = languages
        self._state = state
        self._records = records
        self._sharing = sharing
        self._tenant = tenant
        self._background = Background()

    def register(self, bolt: AsyncApp) -> None:
        bolt.action("shifu_feedback")(self._rated)
        bolt.action("shifu_why")(self._why)
        bolt.action("shifu_sources")(self._why)
        bolt.action("shifu_share")(self._share)
        bolt.action("shifu_copy")(self._copy)
        bolt.action(modals.SUGGESTION)(self._suggestion)
        bolt.view(modals.SHARE_VIEW)(self._share_confirmed)
        bolt.view(modals.FEEDBACK)(self._commented)

    async def close(self) -> None:
        await self._background.close()

    async def _rated(self, body: Body, ack: Ack) -> None:
        sender, value = sender_of_action(body), _value(body)
        word, _, answer_id = value.partition(":")
        if sender is None or word not in ("up", "down") or not answer_id:
            await ack()
            return
        language = await self._languages.of(sender)
        rating = Rating.HELPFUL if word == "up" else Rating.UNHELPFUL
        user = sender.person.ref(self._tenant)
        await self._state.save_feedback(Feedback(answer_id, user, rating, datetime.now(UTC)))
        await ack()
        if rating is Rating.UNHELPFUL:
            view = modals.feedback(answer_id, language)
            self._background.start(self._open(sender, body, view), name="feedback")
        else:
            thanks = THANKS_FOR_FEEDBACK[language]
            self._background.start(self._tell(sender, body, thanks), name="feedback")

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
            await self._whisper(sender, body, f"/why {_value(body)}")
        await ack()

    async def _suggestion(self, body: Body, ack: Ack) -> None:
        """Asked as if the person had written it there."""
        sender, place = sender_of_action(body), _place(body)
        if sender is not None and place.channel:
            await self._take_suggestion(sender, place, body)
        await ack()

    async def _take_suggestion(self, sender: Sender, place: "_Place", body: Body) -> None:
        action_ts = str(_action(body).get("action_ts") or body.get("trigger_id"))
        channel = SlackChannelId(sender.home, place.channel)
        if place.is_ephemeral:
            await self._whisper(sender, body, _value(body))
            return
        is_direct = place.channel.startswith("D")
        conversation = (
            self._asking.direct(sender.home, place.channel)
            if is_direct
            else channel.conversation(self._tenant, ConversationKind.PRIVATE, place.root)
        )
        message = IncomingMessage(
            event_id=message_event(channel, f"action-{action_ts}"),
            user=sender.person.ref(self._tenant),
            conversation=conversation,
            text=_value(body),
            sent_at=time_of(action_ts),
        )
        await self._asking.put(message, _origin(sender, place))

    async def _copy(self, body: Body, ack: Ack) -> None:
        """A private answer vanishes when Slack is loaded anew; in the direct message it stays."""
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            self._background.start(self._send_copy(sender, body), name="copy")

    async def _send_copy(self, sender: Sender, body: Body) -> None:
        answer_id, language = _value(body), await self._languages.of(sender)
        user = sender.person.ref(self._tenant)
        try:
            record = await self._records.find(answer_id)
            if record is None or record.user != user:
                await self._tell(sender, body, NOT_KEPT[language])
                return
            client = await self._clients.for_team(sender.team, home=sender.home)
            opened = await client.conversations_open(users=sender.user)
            channel = str(opened["channel"]["id"])
            message = IncomingMessage(
                event_id=f"slack:copy:{answer_id}",
                user=user,
                conversation=self._asking.direct(sender.home, channel),
                text=record.question,
                sent_at=datetime.now(UTC),
            )
            origin = Origin(
                team=sender.team,
                user=sender.user,
                user_team=sender.user_team,
                channel=channel,
                question=record.question,
            )
            await self._asking.put(message, origin)
            await self._tell(sender, body, COPY_ON_ITS_WAY[language])
        except (ShifuError, *SLACK_FAILURES) as error:
            log.warning("slack.copy_failed", reason=what_failed(error))
            await self._tell(sender, body, NOT_ACCEPTED[language])

    async def _share(self, body: Body, ack: Ack) -> None:
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            self._background.start(self._preview(sender, body), name="share")

    async def _preview(self, sender: Sender, body: Body) -> None:
        language = await self._languages.of(sender)
        client = await self._clients.for_team(sender.team, home=sender.home)
        # The trigger lives for three seconds, looking up what everybody may read may take longer.
        loading = modals.loading(SHARE_TITLE[language], language)
        opened = await client.views_open(trigger_id=str(body.get("trigger_id")), view=loading)
        view_id, place = str(opened["view"]["id"]), _place(body)
        channel = SlackChannelId(sender.home, place.channel)
        conversation = channel.conversation(self._tenant, ConversationKind.PRIVATE, None)
        user = sender.person.ref(self._tenant)
        try:
            preview = await self._sharing.preview(_value(body), user, conversation)
        except ShifuError:
            preview, problem = None, NOT_ACCEPTED[language]
        else:
            problem = NOT_KEPT[language]
        if preview is None:
            view = modals.told(SHARE_TITLE[language], problem, language)
        else:
            metadata = f"{place.channel}:{_value(body)}"
            view = modals.share(preview, metadata, language)
        await client.views_update(view_id=view_id, view=view)

    async def _share_confirmed(self, body: Body, ack: Ack) -> None:
        sender, view = sender_of_action(body), body["view"]
        channel, _, answer_id = str(view.get("private_metadata") or "").partition(":")
        if sender is None or not channel or not answer_id:
            await ack()
            return
        language = await self._languages.of(sender)
        try:
            problem = await self._shared(sender, channel, answer_id, language)
        except (StateUnavailable, TimeoutError):
            problem = NOT_ACCEPTED[language]
        except SLACK_FAILURES as error:
            log.warning("slack.not_shared", reason=what_failed(error))
            problem = CANNOT_POST_HERE[language]
        if problem is None:
            await ack()
        else:
            told = modals.told(SHARE_TITLE[language], problem, language)
            await ack(response_action="update", view=told)

    async def _shared(
        self, sender: Sender, channel: str, answer_id: str, language: Language
    ) -> str | None:
        """What is wrong, or nothing: the question stands in the channel and is being answered there."""
        record = await self._records.find(answer_id)
        if record is None or record.user != sender.person.ref(self._tenant):
            return NOT_KEPT[language]
        key = f"slack.share:{answer_id}:{channel}"
        if not await self._state.allow(key, limit=1, per_s=_SHARE_AGAIN_S):
            return SHARED_ALREADY[language]
        place = SlackChannelId(sender.home, channel)
        client = await self._clients.for_team(sender.team, home=sender.home)
        question = escaped(record.question)
        posted = await client.chat_postMessage(
            channel=channel,
            text=ASKED_BY[language].format(user=sender.user, question=question),
            unfurl_links=False,
            unfurl_media=False,
        )
        root = str(posted["ts"])
        message = IncomingMessage(
            event_id=message_event(place, root),
            user=record.user,
            conversation=place.conversation(self._tenant, ConversationKind.PRIVATE, root),
            text=record.question,
            sent_at=time_of(root),
        )
        origin = Origin(
            team=sender.team,
            user=sender.user,
            user_team=sender.user_team,
            channel=channel,
            ts=root,
            thread_ts=root,
        )
        await self._asking.put(message, origin)
        return None

    async def _whisper(self, sender: Sender, body: Body, text: str) -> None:
        place = _place(body)
        action_ts = str(_action(body).get("action_ts") or body.get("trigger_id"))
        event_id = f"slack:action:{sender.home}/{sender.user}/{action_ts}"
        await self._asking.whisper(
            sender,
            place.channel,
            text,
            _origin(sender, place),
            event_id=event_id,
            language=await self._languages.of(sender),
        )

    async def _open(self, sender: Sender, body: Body, view: dict[str, Any]) -> None:
        client = await self._clients.for_team(sender.team, home=sender.home)
        await client.views_open(trigger_id=str(body.get("trigger_id")), view=view)

    async def _tell(self, sender: Sender, body: Body, text: str) -> None:
        """To the one who pressed, beside the message."""
        place = _place(body)
        client = await self._clients.for_team(sender.team, home=sender.home)
        try:
            await client.chat_postEphemeral(
                channel=place.channel, user=sender.user, thread_ts=place.thread_ts, text=text
            )
        except SLACK_FAILURES as error:
            log.info("slack.not_told", error=slack_error(error))


class _Place:
    """Where the message stands whose button was pressed."""

    def __init__(self, body: Body) -> None:
        container = body.get("container") or {}
        message = body.get("message") or {}
        self.channel = str(
            container.get("channel_id") or (body.get("channel") or {}).get("id") or ""
        )
        self.ts = str(container.get("message_ts") or "")
        self.thread_ts = str(container.get("thread_ts") or message.get("thread_ts") or "") or None
        self.is_ephemeral = bool(container.get("is_ephemeral"))
        self.response_url = str(body.get("response_url") or "")

    @property
    def root(self) -> str:
        return self.thread_ts or self.ts


def _place(body: Body) -> _Place:
    return _Place(body)


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
