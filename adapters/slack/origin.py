"""What a Slack event tells beyond our own values."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Origin:
    """
    What a Slack event tells beyond our own values.

    Attributes:
        team: Workspace of the installation; empty where a whole organisation has installed the app.
        user: `U…` of the asker.
        user_team: The asker's own workspace; empty if unknown.
        channel: `C…`, `D…` or `G…`.
        ts: Of the message; empty for a command.
        thread_ts: Root of the thread that the reply belongs to; empty outside threads.
        response_url: Of a command or an action: five uses within 30 minutes.
        is_action: The response URL belongs to a message, which it must never replace.
        action_token: Lets one look through Slack with the asker's own rights.
        question: Of an answer that is shared with a channel: shown with it.
        title: What a direct conversation that begins with this message is called.
    """

    team: str
    user: str
    user_team: str
    channel: str
    ts: str = ""
    thread_ts: str = ""
    response_url: str = ""
    is_action: bool = False
    action_token: str = ""
    question: str = ""
    title: str = ""

    def scrubbed(self) -> Self:
        return replace(self, title="", question="", response_url="", action_token="")
