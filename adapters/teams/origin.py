"""What an activity of Teams tells beyond our own values."""

from dataclasses import dataclass, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Attributes:
        service_url: Where the Bot Connector of this conversation answers.
        tenant_id: The Entra tenant of the conversation.
        conversation: Without the thread.
        kind: `personal`, `groupChat` or `channel`.
        bot_id: `28:…` of ourselves.
        user: `29:…` of the asker.
        user_object_id: Empty if it is not told; so *user_tenant_id*, the asker's own.
        activity_id: The message that is answered; empty for a press.
        thread: Its first message's id, in channels.
        team: `19:…` of the team; empty outside channels.
        is_targeted: Nobody else saw the question.
        question: Shown above an answer that stands apart from it.
        files: Pairs of an attachment's id and the address that hands it out.
    """

    service_url: str
    tenant_id: str
    conversation: str
    kind: str
    bot_id: str
    user: str
    user_object_id: str = ""
    user_tenant_id: str = ""
    activity_id: str = ""
    thread: str = ""
    team: str = ""
    is_targeted: bool = False
    locale: str = ""
    question: str = ""
    files: tuple[tuple[str, str], ...] = ()

    def scrubbed(self) -> Self:
        """Without words, and without what opens anything."""
        return replace(self, question="", files=())

    @classmethod
    def decode(cls, **fields: Any) -> Self:
        files = tuple((str(id), str(url)) for id, url in fields.pop("files", ()))
        return cls(**fields, files=files)
