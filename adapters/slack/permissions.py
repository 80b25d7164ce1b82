"""What the app asks Slack for, and why: the one list behind manifest, installation, check and docs."""

from dataclasses import dataclass
from enum import StrEnum


class OptIn(StrEnum):
    """What is off until an administrator wants it."""

    FOLLOW = "follow-ups without a mention"
    INDEX = "threads as documents"
    LIVE_SEARCH = "live search in Slack"
    EMAIL = "people found by their e-mail"


@dataclass(frozen=True, slots=True)
class Scope:
    """
    Attributes:
        only_for: Asked for with any of these; always, if there is none.
        is_needed: Without it no question can be answered; without the others something is missing.
    """

    name: str
    why: str
    only_for: frozenset[OptIn] = frozenset()
    is_needed: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    why: str
    only_for: frozenset[OptIn] = frozenset()
    is_agents: bool = False
    """Told apart by the surface: the agent's, or the older assistant's."""
    is_assistants: bool = False


_READING_ALONG = frozenset({OptIn.FOLLOW, OptIn.INDEX})
_LIVE = frozenset({OptIn.LIVE_SEARCH})

SCOPES = (
    Scope("app_mentions:read", "hears questions that mention it", is_needed=True),
    Scope("assistant:write", "suggests questions and shows what it is doing in its Messages tab"),
    Scope("channels:history", "reads the public thread in which it is mentioned"),
    Scope(
        "channels:read", "sees who reads a public channel, before it answers there", is_needed=True
    ),
    Scope("chat:write", "answers", is_needed=True),
    Scope("commands", "/ask, /shifu, /why and the shortcuts", is_needed=True),
    Scope("files:read", "reads a file that comes with a question, for that answer only"),
    Scope("groups:history", "reads the thread of a private channel in which it is mentioned"),
    Scope("groups:read", "sees who reads a private channel that it is in", is_needed=True),
    Scope("im:history", "hears direct messages", is_needed=True),
    Scope("im:read", "sees whose direct message it is"),
    Scope("im:write", "sends a lasting copy of a private answer as a direct message"),
    Scope("mpim:history", "hears its mention in a group message, and reads the thread"),
    Scope("mpim:read", "sees who reads a group message"),
    Scope(
        "search:read.public",
        "finds messages of public channels that the asker may read, keeps nothing",
        only_for=_LIVE,
    ),
    Scope("usergroups:read", "knows the members of the user groups that an administrator trusts"),
    Scope(
        "users:read", "tells members from guests and from other companies' people", is_needed=True
    ),
    Scope(
        "users:read.email",
        "finds people in the company's directory by their confirmed address",
        only_for=frozenset({OptIn.EMAIL}),
    ),
)

_READERS = "notices when the readers of a channel change"
_ROOM = "notices when a channel is renamed, archived or deleted"

EVENTS = (
    Event("agent_session_stopped", "the Stop button", is_agents=True),
    Event("app_context_changed", "what is open beside the question, for ranking", is_agents=True),
    Event("app_home_opened", "its Home and Messages tabs"),
    Event("app_mention", "questions in channels"),
    Event("app_uninstalled", "forgets its token"),
    Event("assistant_thread_context_changed", "what is open beside it", is_assistants=True),
    Event("assistant_thread_started", "suggests questions", is_assistants=True),
    Event("channel_archive", _ROOM),
    Event("channel_deleted", _ROOM),
    Event("channel_left", _ROOM),
    Event("channel_rename", _ROOM),
    Event("channel_shared", "notices when another company may read along"),
    Event("channel_unarchive", _ROOM),
    Event("channel_unshared", "notices when another company may not read along any more"),
    Event("group_archive", _ROOM),
    Event("group_deleted", _ROOM),
    Event("group_left", _ROOM),
    Event("group_rename", _ROOM),
    Event("group_unarchive", _ROOM),
    Event("member_joined_channel", _READERS),
    Event("member_left_channel", _READERS),
    Event("message.channels", "all that is said in public channels it is in", _READING_ALONG),
    Event("message.groups", "all that is said in private channels it is in", _READING_ALONG),
    Event("message.im", "direct messages to it"),
    Event("message.mpim", "questions in group messages, where Slack tells of no mention"),
    Event("subteam_created", "notices changes of user groups"),
    Event("subteam_members_changed", "notices changes of user groups"),
    Event("subteam_updated", "notices changes of user groups"),
    Event("team_join", "notices new people"),
    Event("tokens_revoked", "forgets its token"),
    Event("user_change", "notices who became a guest, or left"),
)


def scopes(opt_ins: frozenset[OptIn]) -> list[Scope]:
    return [scope for scope in SCOPES if not scope.only_for or scope.only_for & opt_ins]


def events(opt_ins: frozenset[OptIn], *, legacy_assistant: bool) -> list[Event]:
    wanted = [event for event in EVENTS if not event.only_for or event.only_for & opt_ins]
    if legacy_assistant:
        return [event for event in wanted if not event.is_agents]
    return [event for event in wanted if not event.is_assistants]
