"""A question from Slack on its way in: kept with where it came from, and only then acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

from adapters.chat.origins import Origins
from adapters.chat.threads import Participation, Threads
from adapters.slack.client import SlackClients
from adapters.slack.ids import SlackChannelId, message_event
from adapters.slack.incoming import Sender, SlackMessage
from adapters.slack.markup import mentions_in, plain_text
from adapters.slack.origin import Origin
from bot.messages import ConversationKind, ConversationRef, IncomingMessage
from retrieval.types import Language

log = structlog.get_logger()

Accept = Callable[[IncomingMessage], Awaitable[None]]
"""Keeps a message until it is answered, the same event once; `StateUnavailable` when it cannot."""

Stop = Callable[[str, ConversationRef, Language], Awaitable[None]]
"""Ends the answering of the event called so, in its conversation, and says so."""

ACCEPT_TIMEOUT_S = 2.0
"""Slack waits three seconds for the acknowledgement, and delivers again without it."""

_TITLE_CHARACTERS = 80


class SlackAsking:
    """
    Everything here may be done once more for the same event without harm.

    Raises `StateUnavailable` or `TimeoutError` when nothing is promised yet: Slack delivers again.
    """

    def __init__(
        self,
        accept: Accept,
        stop: Stop,
        clients: SlackClients,
        origins: Origins[Origin],
        threads: Threads,
        *,
        tenant: str,
    ) -> None:
        self._accept = accept
        self._stop = stop
        self._clients = clients
        self._origins = origins
        self._threads = threads
        self._tenant = tenant

    async def ask(
        self, said: SlackMessage, *, bot_user: str, locale: Language | None = None
    ) -> None:
        """
        What somebody said to the bot, in a direct message or by a mention.

        Args:
            locale: The person's language, for words that say nothing of it.
        """
        conversation = self.conversation_of(said)
        event_id = message_event(said.channel, said.ts)
        async with asyncio.timeout(ACCEPT_TIMEOUT_S):
            known = await self._threads.find(conversation.key)
            participation = (known or Participation()).addressed(said.sender.user, event_id)
            await self._threads.keep(conversation.key, participation)
            message = IncomingMessage(
                event_id=event_id,
                user=said.sender.person.ref(self._tenant),
                conversation=conversation,
                text=plain_text(said.text, bot_user),
                sent_at=said.sent_at,
                locale=locale,
                attachments=said.files,
                looking_at=said.looking_at or await self._open_at(said),
                is_mid_thread=bool(said.thread_ts) and not said.is_direct,
            )
            origin = Origin(
                team=said.sender.team,
                user=said.sender.user,
                user_team=said.sender.user_team,
                channel=said.channel.channel,
                ts=said.ts,
                thread_ts=said.root,
                action_token=said.action_token,
                # What a talk is called that begins with it.
                title="" if said.thread_ts else message.text[:_TITLE_CHARACTERS],
            )
            await self._put(message, origin)

    async def follow(self, said: SlackMessage, *, bot_user: str) -> bool:
        """
        What somebody said in a thread without addressing anybody; taken up if it is meant for the bot.
        """
        key = self.conversation_of(said).key
        async with asyncio.timeout(ACCEPT_TIMEOUT_S):
            known = await self._threads.find(key)
        if known is None:
            return False
        mentions = bool(mentions_in(said.text))
        if known.last_event == message_event(said.channel, said.ts):
            is_meant = True
        else:
            is_meant = known.takes_up(said.sender.user, said.text, mentions_somebody=mentions)
        if is_meant:
            await self.ask(said, bot_user=bot_user)
        elif (now := known.interrupted(said.sender.user, mentions_somebody=mentions)) is not None:
            await self._threads.keep(key, now)
        return is_meant

    async def leave(self, said: SlackMessage, *, is_addressed: bool) -> bool:
        """Say no more in that thread; False if there is nothing to say to that, see `Participation.left`."""
        key, event_id = self.conversation_of(said).key, message_event(said.channel, said.ts)
        async with asyncio.timeout(ACCEPT_TIMEOUT_S):
            known = await self._threads.find(key) or Participation()
            left = known.left(said.sender.user, event_id, is_addressed=is_addressed)
            if left is not None:
                await self._threads.keep(key, left)
        return left is not None

    async def whisper(
        self,
        sender: Sender,
        channel: str,
        text: str,
        origin: Origin,
        *,
        event_id: str,
        language: Language,
    ) -> None:
        """Something that nobody else in the channel sees, nor its answer."""
        place = SlackChannelId(sender.home, channel)
        await self.put(
            IncomingMessage(
                event_id=event_id,
                user=sender.person.ref(self._tenant),
                conversation=place.whisper(self._tenant, sender.user),
                text=text,
                sent_at=datetime.now(UTC),
                locale=language,
            ),
            origin,
        )

    async def in_direct_message(
        self,
        sender: Sender,
        text: str,
        *,
        event_id: str,
        language: Language | None = None,
    ) -> None:
        """
        Asked elsewhere; question and answer stand where the person finds them again.

        Raises also what Slack does.
        """
        client = await self._clients.for_team(sender.team, home=sender.home)
        opened = await client.conversations_open(users=sender.user)
        channel = str(opened["channel"]["id"])
        message = IncomingMessage(
            event_id=event_id,
            user=sender.person.ref(self._tenant),
            conversation=self.direct(sender.home, channel),
            text=text,
            sent_at=datetime.now(UTC),
            locale=language,
        )
        origin = Origin(
            team=sender.team,
            user=sender.user,
            user_team=sender.user_team,
            channel=channel,
            question="" if text.startswith("/") else text,
        )
        await self.put(message, origin)

    async def put(self, message: IncomingMessage, origin: Origin) -> None:
        async with asyncio.timeout(ACCEPT_TIMEOUT_S):
            await self._put(message, origin)

    async def stop(
        self,
        sender: Sender,
        channel: str,
        thread_ts: str,
        messages: tuple[str, ...],
        language: Language,
    ) -> None:
        """The person wants no more of the answers that stand in *messages*, or are to come there."""
        place = SlackChannelId(sender.home, channel)
        conversation = self._conversation(place, thread_ts, is_direct=channel.startswith("D"))
        events = [await self._origins.event_at(str(place), ts) for ts in messages]
        if not any(events):
            known = await self._threads.find(conversation.key)
            events = [known.last_event if known else None]
        for event_id in filter(None, events):
            origin = await self._origins.find(event_id)
            if origin is not None and origin.user == sender.user:
                await self._stop(event_id, conversation, language)
                log.info("slack.stopped", event_id=event_id)

    async def note_context(self, sender: Sender, looking_at: tuple[str, ...]) -> None:
        """What the person has open beside the conversation with the bot."""
        async with asyncio.timeout(ACCEPT_TIMEOUT_S):
            await self._threads.note_open(sender.person.ref(self._tenant).key, looking_at)

    async def _open_at(self, said: SlackMessage) -> tuple[str, ...]:
        if not said.is_direct:
            return ()
        return await self._threads.open_at(said.sender.person.ref(self._tenant).key)

    def conversation_of(self, said: SlackMessage) -> ConversationRef:
        return self._conversation(said.channel, said.root, is_direct=said.is_direct)

    def direct(self, home: str, channel: str) -> ConversationRef:
        """Everything that is said in a direct message with the bot is one conversation."""
        return SlackChannelId(home, channel).conversation(
            self._tenant, ConversationKind.DIRECT, None
        )

    def _conversation(
        self, channel: SlackChannelId, thread: str, *, is_direct: bool
    ) -> ConversationRef:
        if is_direct:
            return self.direct(channel.home, channel.channel)
        # Mentions do not say of what kind the channel is; the directory knows when it is public.
        return channel.conversation(self._tenant, ConversationKind.PRIVATE, thread)

    async def _put(self, message: IncomingMessage, origin: Origin) -> None:
        await self._origins.keep(message.event_id, origin)
        await self._accept(message)
        log.info("slack.accepted", event_id=message.event_id)
