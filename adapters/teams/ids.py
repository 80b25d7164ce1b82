"""How Teams' ids become ours and back. Pure."""

from dataclasses import dataclass
from typing import Self

from bot.messages import ConversationKind, ConversationRef, UserRef
from retrieval.access import Principal, group_principal, user_principal

PLATFORM = "teams"

_PERSON = "teams:"
_UNKNOWN = "teams:unknown/"
_WHISPER = "ask:"
_THREAD = ";messageid="


@dataclass(frozen=True, slots=True)
class TeamsPerson:
    """
    Somebody with an account in Entra; ids in lower case.

    Attributes:
        tenant_id: The Entra tenant of the account.
        object_id: `aadObjectId`; the ids `29:…` are another for each bot, and identify nobody.
    """

    tenant_id: str
    object_id: str

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.object_id}"

    @property
    def account(self) -> str:
        """As the company's directory names it."""
        return f"{_PERSON}{self}"

    def ref(self, tenant: str) -> UserRef:
        return UserRef(tenant, self.account)

    @classmethod
    def of(cls, ref: UserRef) -> Self | None:
        """None for people of other platforms, and for whoever has no account that is known."""
        tenant_id, slash, object_id = ref.id.removeprefix(_PERSON).partition("/")
        is_known = ref.id.startswith(_PERSON) and not ref.id.startswith(_UNKNOWN)
        return cls(tenant_id, object_id) if is_known and tenant_id and slash and object_id else None


def unknown_person(tenant: str, id: str) -> UserRef:
    """Whom no directory knows: anonymous, federated without an account that is told, a bot."""
    return UserRef(tenant, _UNKNOWN + id)


def person_ref(tenant: str, *, tenant_id: str, object_id: str, id: str) -> UserRef:
    """
    Args:
        tenant_id: Of the person's own account; empty if it is not told.
        object_id: Empty if it is not told.
        id: `29:…`, for whoever is not known otherwise.
    """
    if not tenant_id or not object_id or "/" in tenant_id or "/" in object_id:
        return unknown_person(tenant, id)
    return TeamsPerson(tenant_id.lower(), object_id.lower()).ref(tenant)


@dataclass(frozen=True, slots=True)
class TeamsConversationId:
    """
    Attributes:
        tenant_id: The Entra tenant that the conversation belongs to.
        conversation: Without the thread.
    """

    tenant_id: str
    conversation: str

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.conversation}"

    def ref(self, tenant: str, kind: ConversationKind, thread: str | None) -> ConversationRef:
        return ConversationRef(PLATFORM, tenant, str(self), kind, thread)

    def whisper(self, tenant: str, object_id: str) -> ConversationRef:
        """What one person asks in a conversation without anybody else seeing question or answer."""
        return self.ref(tenant, ConversationKind.DIRECT, f"{_WHISPER}{object_id}")

    @classmethod
    def of(cls, conversation: ConversationRef) -> Self:
        tenant_id, _, id = conversation.channel.partition("/")
        return cls(tenant_id, id)


def is_whisper(conversation: ConversationRef) -> bool:
    return conversation.thread is not None and conversation.thread.startswith(_WHISPER)


def split_thread(conversation: str) -> tuple[str, str]:
    """The conversation, and the id of the thread's first message in it, or nothing."""
    id, _, thread = conversation.partition(_THREAD)
    return id, thread


def with_thread(conversation: str, thread: str) -> str:
    """As the Bot Connector calls the place where a thread goes on."""
    return f"{conversation}{_THREAD}{thread}" if thread else conversation


def message_event(conversation: str, activity: str) -> str:
    """
    One id for all deliveries of a message.

    Args:
        conversation: As it came, thread and all.
    """
    return f"{PLATFORM}:{conversation}/{activity}"


def entra_group_principal(tenant: str, group_id: str) -> Principal:
    """Whoever is in a group of Entra; access lists of SharePoint are made of these."""
    return group_principal(tenant, f"entra:{group_id.lower()}")


def teams_user_principal(tenant: str, person: TeamsPerson) -> Principal:
    """Whoever owns the account, be it that the company knows them by another name, too."""
    return user_principal(tenant, person.account)
