"""Where a button was pressed, and what it stands for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from adapters.slack.incoming import Body, Sender
from adapters.slack.origin import Origin


@dataclass(frozen=True, slots=True)
class Press:
    """
    Attributes:
        value: Of the button.
        moment: Tells one press from the next.
        channel: Where the message stands, in its thread *thread_ts*.
    """

    value: str
    moment: str
    channel: str
    thread_ts: str | None
    response_url: str
    trigger_id: str

    @classmethod
    def of(cls, body: Body) -> Self:
        actions = body.get("actions") or [{}]
        action: Mapping[str, Any] = actions[0] if isinstance(actions[0], Mapping) else {}
        container, message = body.get("container") or {}, body.get("message") or {}
        channel = container.get("channel_id") or (body.get("channel") or {}).get("id")
        return cls(
            value=str(action.get("value") or ""),
            moment=str(action.get("action_ts") or body.get("trigger_id")),
            channel=str(channel or ""),
            thread_ts=str(container.get("thread_ts") or message.get("thread_ts") or "") or None,
            response_url=str(body.get("response_url") or ""),
            trigger_id=str(body.get("trigger_id")),
        )

    def origin(self, sender: Sender) -> Origin:
        return Origin(
            team=sender.team,
            user=sender.user,
            user_team=sender.user_team,
            channel=self.channel,
            thread_ts=self.thread_ts or "",
            response_url=self.response_url,
            is_action=True,
        )
