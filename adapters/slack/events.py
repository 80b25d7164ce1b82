"""Listeners for what happens in Slack: mentions, messages, the agent's surface, people and channels that change."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp

from adapters.chat.background import Background
from adapters.chat.dialog_texts import LEFT_THREAD
from adapters.chat.threads import is_stop
from adapters.slack.asking import SlackAsking
from adapters.slack.client import SLACK_FAILURES, SlackClients, what_failed
from adapters.slack.home import HomeTab
from adapters.slack.incoming import Body, SlackMessage, hints, message_in, sender_of_event
from adapters.slack.languages import SlackLanguages
from adapters.slack.markup import mentions_in, plain_text
from adapters.slack.prompts import Prompts

log = structlog.get_logger()

Seen = Callable[[Body, str], Awaitable[None]]
"""Hears of an event, with the home of its installation."""

_CHANGES = (
    "member_joined_channel",
    "member_left_channel",
    "subteam_created",
    "subteam_updated",
    "subteam_members_changed",
    "user_change",
    "team_join",
    "channel_rename",
    "channel_archive",
    "channel_unarchive",
    "channel_deleted",
    "channel_shared",
    "channel_unshared",
    "channel_left",
    "group_rename",
    "group_archive",
    "group_unarchive",
    "group_deleted",
    "group_left",
    "channel_convert_to_private",
    "channel_convert_to_public",
)


class EventRoutes:
    """
    Args:
        changed: Forget what was known of somebody or of a channel; heard before anything is answered.
        indexed: Follows the channels whose threads are documents.
        gone: The app was removed from a workspace, or its token revoked.
        follow_channels: In which threads go on without a mention; `*` for all.
    """

    def __init__(
        self,
        asking: SlackAsking,
        clients: SlackClients,
        languages: SlackLanguages,
        home: HomeTab,
        prompts: Prompts,
        *,
        changed: Seen,
        indexed: Seen,
        gone: Callable[[Body], Awaitable[None]],
        follow_channels: Collection[str],
    ) -> None:
        self._asking = asking
        self._clients = clients
        self._languages = languages
        self._home = home
        self._prompts = prompts
        self._changed = changed
        self._indexed = indexed
        self._gone = gone
        self._follow_channels = follow_channels
        self._background = Background(SLACK_FAILURES, what_failed)

    def register(self, bolt: AsyncApp) -> None:
        bolt.event("app_mention")(self._mention)
        bolt.event("message")(self._message)
        bolt.event("app_home_opened")(self._home_opened)
        bolt.event("app_context_changed")(self._context_changed)
        bolt.event("assistant_thread_started")(self._assistant_opened)
        bolt.event("assistant_thread_context_changed")(self._assistant_opened)
        bolt.event("agent_session_stopped")(self._stopped)
        for name in _CHANGES:
            bolt.event(name)(self._has_changed)
        bolt.event("tokens_revoked")(self._is_gone)
        bolt.event("app_uninstalled")(self._is_gone)

    async def close(self) -> None:
        await self._background.close()

    async def _mention(self, body: Body, context: Mapping[str, Any]) -> None:
        said = message_in(body)
        if said is not None:
            await self._addressed(said, context)

    async def _message(self, body: Body, context: Mapping[str, Any]) -> None:
        if body["event"].get("subtype"):
            # Among them are some that tell who reads the channel.
            await self._changed(body["event"], _home(context))
        await self._indexed(body["event"], _home(context))
        said = message_in(body)
        if said is None:
            return
        bot_user = context.get("bot_user_id") or ""
        if said.is_direct:
            await self._ask(said, bot_user)
        elif bot_user and bot_user in mentions_in(said.text):
            # Slack sends it as a mention as well, but not in group direct messages.
            await self._addressed(said, context)
        elif said.thread_ts and self._follows(said.channel.channel):
            if is_stop(plain_text(said.text, bot_user)):
                await self._leave(said, is_addressed=False)
            else:
                await self._asking.follow(said, bot_user=bot_user)

    async def _addressed(self, said: SlackMessage, context: Mapping[str, Any]) -> None:
        bot_user = context.get("bot_user_id") or ""
        if said.thread_ts and is_stop(plain_text(said.text, bot_user)):
            await self._leave(said, is_addressed=True)
        else:
            await self._ask(said, bot_user)

    async def _ask(self, said: SlackMessage, bot_user: str) -> None:
        # A command, or nothing but a mention, does not tell in which language to answer.
        text = plain_text(said.text, bot_user)
        locale = await self._languages.of(said.sender) if not text or text[0] in "/／" else None
        await self._asking.ask(said, bot_user=bot_user, locale=locale)

    async def _leave(self, said: SlackMessage, *, is_addressed: bool) -> None:
        if await self._asking.leave(said, is_addressed=is_addressed):
            self._background.start(self._say_left(said), name="left_thread")

    async def _say_left(self, said: SlackMessage) -> None:
        client = await self._clients.for_team(said.sender.team, home=said.sender.home)
        await client.chat_postEphemeral(
            channel=said.channel.channel,
            user=said.sender.user,
            thread_ts=said.root,
            text=LEFT_THREAD[await self._languages.of(said.sender, said.text)],
        )

    def _follows(self, channel: str) -> bool:
        return "*" in self._follow_channels or channel in self._follow_channels

    async def _home_opened(self, body: Body, context: Mapping[str, Any]) -> None:
        sender = sender_of_event(body)
        event = body["event"]
        if sender is None:
            return
        if event.get("tab") == "messages":
            channel = str(event.get("channel") or "")
            self._background.start(self._prompts.suggest(sender, channel), name="prompts")
        else:
            self._background.start(self._home.publish(sender), name="home")

    async def _context_changed(self, body: Body, context: Mapping[str, Any]) -> None:
        sender = sender_of_event(body)
        if sender is not None:
            event = body["event"]
            looking_at = hints(event.get("context") or event.get("app_context"), sender.home)
            await self._asking.note_context(sender, looking_at)

    async def _assistant_opened(self, body: Body, context: Mapping[str, Any]) -> None:
        """The older surface, where each talk is a thread of its own."""
        thread = body["event"].get("assistant_thread") or {}
        user = thread.get("user_id")
        sender = sender_of_event({**body, "event": {**body["event"], "user": user}})
        if sender is None:
            return
        channel_id = (thread.get("context") or {}).get("channel_id")
        if channel_id:
            entities = {"entities": [{"value": channel_id}]}
            await self._asking.note_context(sender, hints(entities, sender.home))
        if body["event"].get("type") == "assistant_thread_started":
            channel, root = str(thread.get("channel_id") or ""), str(thread.get("thread_ts") or "")
            suggesting = self._prompts.suggest(sender, channel, thread_ts=root)
            self._background.start(suggesting, name="prompts")

    async def _stopped(self, body: Body, context: Mapping[str, Any]) -> None:
        sender, event = sender_of_event(body), body["event"]
        if sender is None:
            return
        messages = event.get("streaming_message_ts") or []
        messages = [messages] if isinstance(messages, str) else messages
        await self._asking.stop(
            sender,
            str(event.get("channel") or ""),
            str(event.get("thread_ts") or ""),
            tuple(ts for ts in messages if isinstance(ts, str)),
            await self._languages.of(sender),
        )

    async def _has_changed(self, body: Body, context: Mapping[str, Any]) -> None:
        await self._changed(body["event"], _home(context))
        await self._indexed(body["event"], _home(context))

    async def _is_gone(self, body: Body, context: Mapping[str, Any]) -> None:
        await self._gone(body)


def _home(context: Mapping[str, Any]) -> str:
    return context.get("enterprise_id") or context.get("team_id") or ""
