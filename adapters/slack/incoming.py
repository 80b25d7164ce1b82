"""What Slack sends, parsed into values: who said what where. The one place that knows its payloads' shape."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.slack.ids import PLATFORM, SlackChannelId, SlackPerson
from bot.messages import Attachment

Payload = Mapping[str, Any]
Body = Payload
Ack = Callable[..., Awaitable[object]]
"""Bolt's: what a listener takes, and how it acknowledges."""

_SUBTYPES_OF_PEOPLE = (None, "file_share", "thread_broadcast")
_MAX_FILES = 100
_MAX_HINTS = 5


@dataclass(frozen=True, slots=True)
class Sender:
    """
    Who did something, and where our app stands.

    Attributes:
        home: Organisation or workspace of the installation.
        team: Workspace of the installation; empty where an organisation has installed it.
        person: With the home that Slack names for the person: another one than ours is a stranger.
        user_team: The person's own workspace as far as told, else empty.
    """

    home: str
    team: str
    person: SlackPerson
    user_team: str

    @property
    def user(self) -> str:
        return self.person.user


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """
    A person's message, as it stands in Slack.

    Attributes:
        thread_ts: Of the thread that it is said in; empty for one that begins none or its own.
        text: With Slack's markup.
    """

    sender: Sender
    channel: SlackChannelId
    ts: str
    thread_ts: str
    text: str
    is_direct: bool
    files: tuple[Attachment, ...]
    looking_at: tuple[str, ...]
    action_token: str

    @property
    def root(self) -> str:
        return self.thread_ts or self.ts

    @property
    def sent_at(self) -> datetime:
        return time_of(self.ts)


def message_in(body: Payload) -> SlackMessage | None:
    """
    The message that an event tells of; None for bots', changed, deleted, and the system's.
    """
    event = _mapping(body.get("event"))
    is_of_person = event.get("subtype") in _SUBTYPES_OF_PEOPLE and not event.get("bot_id")
    sender = sender_of_event(body)
    channel, ts = _text(event.get("channel")), _text(event.get("ts"))
    if not is_of_person or sender is None or not channel or not ts:
        return None
    thread_ts = _text(event.get("thread_ts"))
    kind = _text(event.get("channel_type"))
    return SlackMessage(
        sender=sender,
        channel=SlackChannelId(sender.home, channel),
        ts=ts,
        thread_ts=thread_ts if thread_ts != ts else "",
        text=_text(event.get("text")),
        is_direct=kind == "im" or (not kind and channel.startswith("D")),
        files=tuple(attachments_of(event.get("files"))),
        looking_at=hints(event.get("app_context"), sender.home),
        action_token=_text(
            event.get("action_token") or _mapping(event.get("assistant_thread")).get("action_token")
        ),
    )


def sender_of_event(body: Payload) -> Sender | None:
    event = _mapping(body.get("event"))
    user = event.get("user")
    user = _text(user.get("id") if isinstance(user, Mapping) else user)
    if not user or user == "USLACKBOT":
        return None
    installation = _mapping(next(iter(_sequence(body.get("authorizations"))), None)) or body
    enterprise = _text(installation.get("enterprise_id"))
    team = _text(installation.get("team_id")) or _text(body.get("team_id"))
    user_team = _text(event.get("user_team")) or _text(event.get("source_team"))
    if not user_team and body.get("is_ext_shared_channel"):
        user_team = _text(event.get("team"))
        if not user_team:
            # In a channel shared with others, somebody of whom nothing is told may be anybody.
            return Sender(enterprise or team, team, SlackPerson("unknown", user), "")
    return _sender(enterprise, team, user, user_team)


def sender_of_action(body: Payload) -> Sender | None:
    """Of a command, a button, a shortcut or a modal."""
    person = body.get("user")
    if isinstance(person, Mapping):
        user, user_team = _text(person.get("id")), _text(person.get("team_id"))
    else:
        user, user_team = _text(body.get("user_id")), ""
    if not user:
        return None
    team = body.get("team")
    team_id = _text(team.get("id") if isinstance(team, Mapping) else body.get("team_id"))
    enterprise = body.get("enterprise")
    enterprise_id = _text(
        enterprise.get("id") if isinstance(enterprise, Mapping) else body.get("enterprise_id")
    ) or _text(_mapping(team).get("enterprise_id"))
    return _sender(enterprise_id, team_id, user, user_team)


def _sender(enterprise: str, team: str, user: str, user_team: str) -> Sender | None:
    home = enterprise or team
    if not home:
        return None
    # On Grid the workspaces of one organisation share their people; which those are, the directory
    # asks Slack. Elsewhere another workspace is another company.
    is_ours = not user_team or user_team in (enterprise, team)
    is_grid_workspace = bool(enterprise) and user_team.startswith("T")
    person = SlackPerson(home if is_ours or is_grid_workspace else user_team, user)
    return Sender(home, team, person, user_team)


def hints(context: Any, home: str) -> tuple[str, ...]:
    """Ids of the channels that somebody has open, most relevant first."""
    found = []
    for entity in _sequence(_mapping(context).get("entities")):
        value = _mapping(entity).get("value")
        channel = value.get("channel_id") if isinstance(value, Mapping) else value
        if isinstance(channel, str) and channel[:1] in ("C", "G"):
            found.append(f"{PLATFORM}:{home}/{channel}")
    return tuple(dict.fromkeys(found))[:_MAX_HINTS]


def time_of(ts: str) -> datetime:
    """Now, for what is no time."""
    try:
        return datetime.fromtimestamp(float(ts), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.now(UTC)


def attachments_of(files: Any) -> Iterable[Attachment]:
    """The files of a message; of another organisation's, only the id is told."""
    for file in _sequence(files)[:_MAX_FILES]:
        if isinstance(file, Mapping) and _text(file.get("id")):
            size = file.get("size")
            yield Attachment(
                id=_text(file["id"]),
                name=_text(file.get("name")) or _text(file.get("title")) or _text(file["id"]),
                media_type=_text(file.get("mimetype")),
                size_bytes=size if isinstance(size, int) else 0,
            )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> Payload:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
