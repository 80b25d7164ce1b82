"""The channel port for Teams: streamed to one person, posted and changed for several, whispered once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import structlog

from adapters.chat.background import Background
from adapters.chat.once import Once, Posted
from adapters.chat.origins import Origins
from adapters.teams.answer_cards import Surface
from adapters.teams.failures import TEAMS_FAILURES, TeamsFailure, wait_s, what_failed
from adapters.teams.ids import TeamsConversationId, TeamsPerson, is_whisper
from adapters.teams.known_messages import Known, KnownMessages
from adapters.teams.origin import Origin
from adapters.teams.outbox import TeamsAddress, TeamsOutbox
from adapters.teams.personal_cards import PersonalCard, PersonalCards
from adapters.teams.places import Places
from adapters.teams.posts import UPDATE_INTERVAL_S, Posts
from adapters.teams.render import MAX_CHARACTERS, Rendered, personal_card, rendered
from adapters.teams.streams import LASTS_S, LOOK_EVERY_S, STREAM_INTERVAL_S, Shown, Streams
from adapters.teams.whispers import Beside, Whispers
from bot.channel import ChannelLimits
from bot.errors import ChannelUnavailable, StateUnavailable
from bot.messages import ConversationKind, ConversationRef, MessageRef, Reply, ReplyKind, UserRef
from bot.texts import STOPPED

log = structlog.get_logger()

LIMITS = ChannelLimits(
    max_characters=MAX_CHARACTERS,
    min_update_interval_s=STREAM_INTERVAL_S,
    has_private_replies=True,
)

PATIENCE_S = 30.0
"""For one reply, with all that Teams lets us wait."""

_MEANWHILE_S = 5.0

# Refs of messages; what is an id alone was posted in whole. All end in what identifies them.
_STREAM, _PRIVATE, _GONE, _UNTOLD = "stream:", "private:", "gone:", "untold:"

_NO_MESSAGE = (_GONE, _UNTOLD)

_LONGEST_PAUSE_S = 120.0
"""Whatever Teams asks for: until then nobody else in the conversation is answered."""

_NO_PLACE = frozenset({"BotNotInConversationRoster", "MessageWritesBlocked", "BotDisabledByAdmin"})


async def _nobody(_: str) -> None:
    return None


class TeamsChannel:
    """
    Used by whoever answers, in any process. Posts what it is given: who may read it is not for it to say.

    Of what one person alone sees, the first reply stands.

    Attributes:
        on_stopped: Is told the event whose answer its reader has stopped in Teams.
    """

    def __init__(
        self,
        outbox: TeamsOutbox,
        origins: Origins[Origin],
        places: Places,
        cards: PersonalCards,
        *,
        streaming: bool = True,
        suggesting: bool = True,
        update_interval_s: float = UPDATE_INTERVAL_S,
        stream_interval_s: float = STREAM_INTERVAL_S,
        stream_lasts_s: float = LASTS_S,
        look_every_s: float = LOOK_EVERY_S,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.on_stopped: Callable[[str], Awaitable[None]] = _nobody
        self._outbox = outbox
        self._origins = origins
        self._cards = cards
        self._suggesting = suggesting
        self._patience_s = patience_s
        self._look_every_s = look_every_s
        self._watching: set[asyncio.Task[None]] = set()
        self._clock = clock
        self._posts = Posts(outbox, interval_s=update_interval_s)
        self._streams = Streams(
            outbox, is_on=streaming, interval_s=stream_interval_s, lasts_s=stream_lasts_s
        )
        self._whispers = Whispers(outbox, places, cards, self._posts)
        self._once = Once(origins)
        self._background = Background(TEAMS_FAILURES, what_failed)
        self._known = KnownMessages(origins, places)

    @property
    def limits(self) -> ChannelLimits:
        return LIMITS

    async def post(self, reply: Reply, to: ConversationRef, *, answers: str) -> MessageRef:
        async with self._in_time():
            if is_whisper(to):
                if reply.is_final:
                    await self._whisper(reply, to, answers)
                return MessageRef(to, _PRIVATE + answers)
            id, is_new = await self._once.post(answers, lambda: self._begin(reply, to, answers))
            ref = MessageRef(to, id)
            if not is_new and reply.kind is not ReplyKind.STATUS:
                await self._change(ref, reply)
            elif is_new and reply.is_final:
                await self._origins.scrub(answers)
            return ref

    async def post_private(
        self, reply: Reply, to: ConversationRef, user: UserRef, *, answers: str
    ) -> MessageRef:
        async with self._in_time():
            if reply.is_final:
                await self._say_privately(reply, to, user, answers)
            return MessageRef(to, _PRIVATE + answers, user)

    async def update(self, message: MessageRef, reply: Reply) -> None:
        kind, event_id = message.id[: len(_PRIVATE)], message.id[len(_PRIVATE) :]
        async with self._in_time():
            if kind != _PRIVATE:
                await self._change(message, reply)
            elif reply.is_final and message.private_to is not None:
                await self._say_privately(reply, message.conversation, message.private_to, event_id)
            elif reply.is_final:
                await self._whisper(reply, message.conversation, event_id)

    async def close(self) -> None:
        """Wait for what is being posted; the outbox stays open."""
        await self._once.close()
        await self._background.close()
        for watching in self._watching:
            watching.cancel()

    async def _begin(self, reply: Reply, to: ConversationRef, event_id: str) -> Posted:
        known = await self._known.of_event(event_id, to)
        shown = self._rendered(reply, to, known)
        try:
            posted = await self._begin_there(shown, reply, to, known.address, event_id)
        except TeamsFailure as error:
            if error.status != 404 and error.code not in _NO_PLACE:
                raise
            # The thread was deleted, or the bot removed: there is no place any more to answer in.
            log.warning("teams.no_place_to_answer", error=what_failed(error))
            return Posted(_GONE + event_id, to.channel, "")
        if not posted.message:
            # It stands there, and cannot be changed: what follows is another message.
            return Posted(_UNTOLD + event_id, to.channel, "")
        self._known.remember(to, posted.message, known)
        if reply.is_final:
            await self._keep_shared(to, event_id, shown)
        return posted

    async def _begin_there(
        self,
        shown: Rendered,
        reply: Reply,
        to: ConversationRef,
        address: TeamsAddress,
        event_id: str,
    ) -> Posted:
        is_status = reply.kind is ReplyKind.STATUS
        if is_status and to.kind is ConversationKind.DIRECT:
            id = await self._streams.start(address, shown)
            if id is not None:
                self._watch(address, id, event_id)
                return Posted(_STREAM + id, to.channel, id)
        if is_status:
            self._background.start(self._type(address), name="typing")
        id = await self._posts.post(address, shown)
        return Posted(id, to.channel, id)

    def _watch(self, address: TeamsAddress, id: str, event_id: str) -> None:
        """Until the message is finished: its reader may want no more of it before there is a word."""

        async def watch() -> None:
            seen = Shown.LATER
            while seen not in (Shown.NOT_HERE, Shown.STOPPED):
                await asyncio.sleep(self._look_every_s / 2)
                with suppress(*TEAMS_FAILURES):
                    seen = await self._streams.look(address, id, every_s=self._look_every_s)
            if seen is Shown.STOPPED:
                self._tell_stopped(event_id)

        watching = asyncio.create_task(watch())
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)

    async def _type(self, address: TeamsAddress) -> None:
        await self._outbox.send(address, {"type": "typing"}, is_patient=False)

    async def _change(self, message: MessageRef, reply: Reply) -> None:
        if message.id.startswith(_GONE):
            return
        if message.id.startswith(_UNTOLD):
            await self._show_untold(message, reply)
            return
        to, id = message.conversation, message.id.removeprefix(_STREAM)
        known = await self._known.at(to, id)
        shown = self._rendered(reply, to, known)
        is_stream = message.id.startswith(_STREAM)
        if not reply.is_final:
            is_status = reply.kind is ReplyKind.STATUS
            await self._show_meanwhile(known, id, shown, is_stream=is_stream, is_status=is_status)
            return
        if is_stream:
            # What Stop itself leaves is half an answer, too.
            is_answer = reply.kind is ReplyKind.ANSWER and reply.notice not in STOPPED.values()
            await self._finish(known, id, shown, is_answer=is_answer)
        else:
            await self._posts.show(known.address, id, shown)
        if known.event_id is not None:
            await self._keep_shared(to, known.event_id, shown)
            await self._origins.scrub(known.event_id)

    async def _finish(self, known: Known, id: str, shown: Rendered, *, is_answer: bool) -> None:
        is_known = self._streams.is_stopped(known.address, id)
        ended = await self._streams.finish(known.address, id, shown)
        if ended is Shown.STOPPED and not is_known:
            self._tell_stopped(known.event_id)
        if ended is Shown.YES or (ended is Shown.STOPPED and is_answer):
            return
        try:
            await self._posts.show(known.address, id, shown)
        except TeamsFailure as error:
            if not self._streams.is_stopped(known.address, id):
                raise
            # What stands there is what its reader wanted to see of it.
            log.info("teams.stopped_as_it_is", error=what_failed(error))

    async def _show_untold(self, message: MessageRef, reply: Reply) -> None:
        if not reply.is_final:
            return
        event_id = message.id.removeprefix(_UNTOLD)
        to = message.conversation
        known = await self._known.of_event(event_id, to)
        shown = self._rendered(reply, to, known)
        id = await self._posts.post(known.address, shown)
        await self._origins.note_reply(
            event_id, id or _GONE + event_id, channel=to.channel, message=id
        )

    async def _show_meanwhile(
        self, known: Known, id: str, shown: Rendered, *, is_stream: bool, is_status: bool
    ) -> None:
        """Whatever goes wrong with it, what follows shows more."""
        if not shown.text.strip():
            return
        try:
            async with asyncio.timeout(_MEANWHILE_S):
                seen = Shown.NOT_HERE
                if is_stream:
                    address = known.address
                    seen = await self._streams.go_on(address, id, shown, is_status=is_status)
                if seen is Shown.STOPPED:
                    self._tell_stopped(known.event_id)
                elif seen is Shown.NOT_HERE:
                    await self._posts.show_meanwhile(known.address, id, shown)
        except TEAMS_FAILURES as error:
            log.info("teams.not_shown_meanwhile", error=what_failed(error))

    def _tell_stopped(self, event_id: str | None) -> None:
        async def tell() -> None:
            if event_id is not None:
                await self.on_stopped(event_id)

        # Beside the turn, which is cancelled by it.
        self._background.start(tell(), name="stopped")

    async def _whisper(self, reply: Reply, to: ConversationRef, event_id: str) -> None:
        async def say() -> Posted:
            known = await self._known.of_event(event_id, to)
            address, origin = known.address, known.origin
            id = (to.thread or "").partition(":")[2]
            is_account = not id.startswith("29:")
            tenant_id = origin.user_tenant_id if origin else ""
            person = TeamsPerson(tenant_id or address.tenant_id, id) if is_account else None
            now, asked = self._clock(), origin.question if origin else ""
            return await self._whispers.say(
                address,
                person,
                rendered(reply, Surface.WHISPER, now=now),
                lambda name: rendered(
                    reply, Surface.WHISPER, now=now, asked=asked, apart_from=name
                ),
                user=known.user(id) if is_account else id,
            )

        await self._once.post(event_id, say, is_private=True)
        await self._origins.scrub(event_id)

    async def _say_privately(
        self, reply: Reply, to: ConversationRef, user: UserRef, event_id: str
    ) -> None:
        person = TeamsPerson.of(user)
        if person is None:
            raise ChannelUnavailable("Teams does not know this person.")

        async def say() -> Posted:
            known = await self._known.of_event(event_id, to)
            now = self._clock()
            shared = await self._origins.reply(event_id) or ""
            chunks = tuple(c.chunk.id for c in reply.citations if not c.chunk.is_transient)
            card = PersonalCard(user, personal_card(reply, now=now), chunks)
            return await self._whispers.say(
                known.address,
                person,
                rendered(reply, Surface.PRIVATE, now=now),
                lambda name: rendered(reply, Surface.PRIVATE, now=now, apart_from=name),
                user=known.user(person.object_id),
                beside=Beside(event_id, "" if shared.startswith(_NO_MESSAGE) else shared, card),
            )

        await self._once.post(event_id, say, is_private=True)

    async def _keep_shared(self, to: ConversationRef, event_id: str, shown: Rendered) -> None:
        """For whoever gets a card of their own in its place; nobody does without this."""
        at = TeamsConversationId.of(to)
        is_shared = to.kind is not ConversationKind.DIRECT
        if shown.card is None or not is_shared or not self._whispers.needs_cards(at.tenant_id):
            return
        try:
            await self._cards.keep_shared(event_id, shown.activity)
        except StateUnavailable:
            log.warning("teams.shared_card_not_kept")

    def _rendered(self, reply: Reply, to: ConversationRef, known: Known) -> Rendered:
        origin = known.origin
        is_direct = to.kind is ConversationKind.DIRECT
        return rendered(
            reply,
            Surface.PERSONAL if is_direct else Surface.SHARED,
            now=self._clock(),
            asked=origin.question if origin else "",
            to=origin.user if origin and self._suggesting else "",
        )

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience_s):
                yield
        except ChannelUnavailable:
            raise
        except StateUnavailable as error:
            raise ChannelUnavailable(str(error)) from error
        except TEAMS_FAILURES as error:
            raise ChannelUnavailable(what_failed(error), after_s=_pause_s(error)) from error


def _pause_s(error: BaseException) -> float | None:
    asked = wait_s(error)
    return None if asked is None else min(asked, _LONGEST_PAUSE_S)
