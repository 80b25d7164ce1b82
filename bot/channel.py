"""The channel port: how a reply reaches people on a chat platform; its limits as data; the recording twin."""

from dataclasses import dataclass, field, replace
from typing import Protocol

from bot.messages import ConversationRef, MessageRef, Reply, ReplyKind, UserRef


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """
    What a platform can take.

    Attributes:
        max_characters: Longest text of one reply; the channel splits or shortens what is longer.
        min_update_interval_s: Seconds between two changes of one message.
        has_private_replies: A reply in a shared conversation can be shown to one person alone.
    """

    max_characters: int
    min_update_interval_s: float
    has_private_replies: bool


def shortened(reply: Reply, max_characters: int) -> Reply:
    """The reply with a text that fits: cut where a line or word ends, marked by an ellipsis."""
    if len(reply.text) <= max_characters:
        return reply
    head = reply.text[: max_characters - 1]
    cut = max(head.rfind("\n"), head.rfind(" "))
    # Chinese has no spaces; without a break near the end, cut between two characters.
    if cut > max_characters * 0.8:
        head = head[:cut]
    return replace(reply, text=head.rstrip() + "…")


class Channel(Protocol):
    """
    Raises `ChannelUnavailable` when the platform refuses; a reply is then not posted at all.

    Whatever is posted must show as given: text is data, never the platform's markup for mentions or links.

    A message is answered in one shared reply and at most one private one. *answers* is the event id
    of what is answered: posting under it again, as whoever takes over after a crash does, gives the
    message that is there, with the new reply in it. A status alone never replaces anything.
    """

    @property
    def limits(self) -> ChannelLimits: ...

    async def post(self, reply: Reply, to: ConversationRef, *, answers: str) -> MessageRef:
        """A message that everyone in the conversation sees."""
        ...

    async def post_private(
        self, reply: Reply, to: ConversationRef, user: UserRef, *, answers: str
    ) -> MessageRef:
        """A message in or beside the conversation that *user* alone sees."""
        ...

    async def update(self, message: MessageRef, reply: Reply) -> None:
        """Replace the whole message. Updates of a message that is gone are ignored."""
        ...


@dataclass(slots=True)
class Posted:
    """A message as people saw it: every version, the last one standing."""

    ref: MessageRef
    versions: list[Reply] = field(default_factory=list)

    @property
    def final(self) -> Reply:
        return self.versions[-1]


class RecordingChannel:
    """Keeps what was posted, in order, with all versions."""

    def __init__(self, limits: ChannelLimits | None = None) -> None:
        self._limits = limits or ChannelLimits(40_000, 0.0, has_private_replies=True)
        self.posted: list[Posted] = []

    @property
    def limits(self) -> ChannelLimits:
        return self._limits

    async def post(self, reply: Reply, to: ConversationRef, *, answers: str) -> MessageRef:
        return self._say(reply, MessageRef(to, answers))

    async def post_private(
        self, reply: Reply, to: ConversationRef, user: UserRef, *, answers: str
    ) -> MessageRef:
        return self._say(reply, MessageRef(to, f"{answers}:private", user))

    async def update(self, message: MessageRef, reply: Reply) -> None:
        for posted in self.posted:
            if posted.ref == message:
                posted.versions.append(shortened(reply, self._limits.max_characters))

    def _say(self, reply: Reply, ref: MessageRef) -> MessageRef:
        shown = shortened(reply, self._limits.max_characters)
        known = next((posted for posted in self.posted if posted.ref == ref), None)
        if known is None:
            self.posted.append(Posted(ref, [shown]))
        elif reply.kind is not ReplyKind.STATUS:
            known.versions.append(shown)
        return ref
