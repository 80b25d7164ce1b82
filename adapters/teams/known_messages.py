"""Where a message of ours stands, and what it answers; whoever takes a turn over looks it up."""

from collections import OrderedDict
from dataclasses import dataclass

from adapters.chat.origins import Origins
from adapters.teams.ids import TeamsConversationId, is_whisper
from adapters.teams.origin import Origin
from adapters.teams.outbox import TeamsAddress
from adapters.teams.places import Places
from bot.errors import ChannelUnavailable
from bot.messages import ConversationRef

_MAX_KNOWN = 2_000


@dataclass(frozen=True, slots=True)
class Known:
    """
    Attributes:
        event_id: None where it is forgotten, and so is *origin*.
    """

    address: TeamsAddress
    event_id: str | None
    origin: Origin | None

    def user(self, object_id: str) -> str:
        """Their `29:…`, if the question was theirs; else nothing."""
        origin = self.origin
        is_theirs = origin is not None and origin.user_object_id.lower() == object_id.lower()
        return origin.user if origin is not None and is_theirs else ""


class KnownMessages:
    """All methods raise `StateUnavailable`, and `ChannelUnavailable` for a place that nobody knows."""

    def __init__(self, origins: Origins[Origin], places: Places) -> None:
        self._origins = origins
        self._places = places
        self._known: OrderedDict[tuple[str, str], Known] = OrderedDict()

    async def of_event(self, event_id: str, to: ConversationRef) -> Known:
        """For a reply to that event which is still to be posted."""
        origin = await self._origins.find(event_id)
        return Known(await self._address(to, origin), event_id, origin)

    async def at(self, conversation: ConversationRef, id: str) -> Known:
        """What is known of a message that was posted."""
        known = self._known.get((conversation.channel, id))
        if known is None:
            event_id = await self._origins.event_at(conversation.channel, id)
            origin = await self._origins.find(event_id) if event_id else None
            known = Known(await self._address(conversation, origin), event_id, origin)
            self.remember(conversation, id, known)
        return known

    def remember(self, conversation: ConversationRef, id: str, known: Known) -> None:
        self._known[conversation.channel, id] = known
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    async def _address(self, to: ConversationRef, origin: Origin | None) -> TeamsAddress:
        at = TeamsConversationId.of(to)
        is_there = origin is not None and origin.conversation == at.conversation
        thread = "" if is_whisper(to) else to.thread or ""
        if not thread and is_there and origin is not None:
            thread = origin.thread
        # The latest activity told where it answers; that may have moved since the question.
        place = await self._places.find(at)
        if place is not None:
            return TeamsAddress.of_place(place, thread)
        if origin is None:
            raise ChannelUnavailable("Nobody knows where in Teams this conversation is.")
        return TeamsAddress(
            origin.service_url, at.conversation, thread, at.tenant_id, origin.bot_id
        )
