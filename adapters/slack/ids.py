"""How Slack's ids become ours and back. Pure."""

from dataclasses import dataclass
from typing import Self

from bot.messages import ConversationKind, ConversationRef, UserRef

PLATFORM = "slack"

_PERSON = "slack:"
_WHISPER = "ask:"

EXTERNAL = "slack:external"
"""Stands for whoever outside may read a channel that is shared with another organisation."""


@dataclass(frozen=True, slots=True)
class SlackPerson:
    """
    Attributes:
        home: The organisation on Enterprise Grid (`E…`), else the workspace (`T…`).
    """

    home: str
    user: str

    def ref(self, tenant: str) -> UserRef:
        return UserRef(tenant, f"{_PERSON}{self.home}/{self.user}")

    @classmethod
    def of(cls, ref: UserRef) -> Self | None:
        """None for people of other platforms, and for nobody in particular."""
        home, slash, user = ref.id.removeprefix(_PERSON).partition("/")
        return cls(home, user) if ref.id.startswith(_PERSON) and home and slash and user else None


@dataclass(frozen=True, slots=True)
class SlackChannelId:
    home: str
    channel: str

    def __str__(self) -> str:
        return f"{self.home}/{self.channel}"

    def conversation(
        self, tenant: str, kind: ConversationKind, thread: str | None
    ) -> ConversationRef:
        return ConversationRef(PLATFORM, tenant, str(self), kind, thread)

    def whisper(self, tenant: str, user: str) -> ConversationRef:
        """What one person asks in a channel without anybody else seeing question or answer."""
        return self.conversation(tenant, ConversationKind.DIRECT, f"{_WHISPER}{user}")

    @classmethod
    def of(cls, conversation: ConversationRef) -> Self:
        home, _, channel = conversation.channel.partition("/")
        return cls(home, channel)


def is_whisper(conversation: ConversationRef) -> bool:
    return conversation.thread is not None and conversation.thread.startswith(_WHISPER)


def message_event(channel: SlackChannelId, ts: str) -> str:
    """One id for all events that tell of the same message."""
    return f"{PLATFORM}:{channel}/{ts}"
