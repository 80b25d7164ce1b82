"""What Teams sends, parsed into values: who said what where. The one place that knows the activities' shape."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.teams.files import attachments_of
from adapters.teams.ids import TeamsPerson, person_ref, split_thread
from adapters.teams.json_values import mapping, sequence, text_in
from adapters.teams.places import CHANNEL, GROUP_CHAT, PERSONAL, Place
from bot.commands import NAMES, Command, language_named
from bot.messages import Attachment, UserRef
from retrieval.types import Language

Activity = Mapping[str, Any]

_AT = re.compile(r"<at\b[^>]*>(.*?)</at>", re.IGNORECASE | re.DOTALL)
_SPACES = re.compile(r"[ \t\u00a0]+")
_ASK = re.compile(r"[/／](?:shifu\s+)?(?:ask|提問|問)\s+", re.IGNORECASE)
# As the list of slash commands writes it, for the sender and the bot alone.
_BARE_ASK = re.compile(r"(?:ask|提問|問)\s+", re.IGNORECASE)
_COMMANDS = frozenset(name for names in NAMES.values() for name in names.values())
_LANGUAGE, _REPORT = NAMES[Command.LANGUAGE].values(), NAMES[Command.REPORT].values()


@dataclass(frozen=True, slots=True)
class Sender:
    """
    Attributes:
        id: `29:…`, by which Teams addresses the person for this bot.
        object_id: Empty if it is not told, as for anonymous guests of meetings.
        tenant_id: The person's own; empty if what is told contradicts itself.
    """

    id: str
    object_id: str
    tenant_id: str
    name: str

    def ref(self, tenant: str) -> UserRef:
        return person_ref(
            tenant, tenant_id=self.tenant_id, object_id=self.object_id, id=self.id or "nobody"
        )

    @property
    def person(self) -> TeamsPerson | None:
        return TeamsPerson.of(self.ref(""))


@dataclass(frozen=True, slots=True)
class TeamsMessage:
    """
    A person's message.

    Attributes:
        conversation: As it came, thread and all.
        thread: The id of the thread's first message; empty outside channels.
        text: Without the mention of the bot, as plain text.
        is_addressed: The bot is mentioned, or nobody else is there.
        mentions_others: Somebody else is mentioned.
        is_targeted: Nobody but the sender and the bot sees it.
        files: Pairs of an attachment's id and the address that hands it out.
    """

    sender: Sender
    place: Place
    conversation: str
    activity_id: str
    thread: str
    text: str
    locale: Language | None
    sent_at: datetime
    is_addressed: bool
    mentions_others: bool
    is_targeted: bool
    attachments: tuple[Attachment, ...]
    files: tuple[tuple[str, str], ...]

    @property
    def starts_thread(self) -> bool:
        return self.thread in ("", self.activity_id)


def message_of(activity: Activity) -> TeamsMessage | None:
    """None for what no person has written."""
    place, sender = place_of(activity), sender_of(activity)
    activity_id = text_in(activity, "id")
    if place is None or sender is None or not activity_id:
        return None
    conversation = text_in(mapping(activity.get("conversation")), "id")
    _, thread = split_thread(conversation)
    bot = mapping(activity.get("recipient"))
    mentions = [
        entity
        for entity in map(mapping, sequence(activity.get("entities")))
        if entity.get("type") == "mention"
    ]
    ours = [m for m in mentions if _mentioned(m) == text_in(bot, "id")]
    attachments, files = attachments_of(activity)
    is_targeted = bot.get("isTargeted") is True
    return TeamsMessage(
        sender=sender,
        place=place,
        conversation=conversation,
        activity_id=activity_id,
        # The first message of a thread comes with its own id behind the channel's, or with none.
        thread=(thread or activity_id) if place.kind == CHANNEL else thread,
        text=_as_command(plain_text(text_in(activity, "text"), ours), is_listed=is_targeted),
        locale=language_of_locale(activity),
        sent_at=time_of(text_in(activity, "timestamp")),
        is_addressed=bool(ours) or place.kind == PERSONAL or is_targeted,
        mentions_others=len(mentions) > len(ours),
        is_targeted=is_targeted and place.kind != PERSONAL,
        attachments=attachments,
        files=files,
    )


def sender_of(activity: Activity) -> Sender | None:
    """None for bots, and for nobody."""
    told = mapping(activity.get("from"))
    id = text_in(told, "id")
    if not id or id.startswith("28:") or told.get("role") == "bot":
        return None
    conversation = mapping(activity.get("conversation"))
    channel_data = mapping(activity.get("channelData"))
    own = text_in(told, "tenantId")
    others = {
        text_in(conversation, "tenantId").lower(),
        text_in(mapping(channel_data.get("tenant")), "id").lower(),
    } - {""}
    # In what organisations share, the places named may be two; then only the person's own word counts.
    tenant_id = own.lower() or (others.pop() if len(others) == 1 else "")
    return Sender(id, text_in(told, "aadObjectId").lower(), tenant_id, text_in(told, "name"))


def place_of(activity: Activity) -> Place | None:
    """Where the bot can answer; None without an address."""
    conversation = mapping(activity.get("conversation"))
    channel_data = mapping(activity.get("channelData"))
    channel, team = mapping(channel_data.get("channel")), mapping(channel_data.get("team"))
    id, _ = split_thread(text_in(conversation, "id"))
    tenant_id = (
        text_in(conversation, "tenantId") or text_in(mapping(channel_data.get("tenant")), "id")
    ).lower()
    service_url = text_in(activity, "serviceUrl")
    if not id or not service_url or not tenant_id:
        return None
    kind = text_in(conversation, "conversationType")
    # Of a new channel Teams tells in an old one: what is said of another is not of this one.
    if text_in(channel, "id") != id:
        channel = {}
    return Place(
        service_url=service_url,
        tenant_id=tenant_id,
        conversation=id,
        kind=kind if kind in (PERSONAL, GROUP_CHAT, CHANNEL) else "",
        bot_id=text_in(mapping(activity.get("recipient")), "id"),
        team=text_in(team, "id") or text_in(channel_data, "teamsTeamId"),
        team_group=text_in(team, "aadGroupId").lower(),
        channel_type=text_in(channel, "type").lower(),
        name=text_in(channel, "name") or text_in(conversation, "name"),
    )


def plain_text(text: str, ours: Sequence[Activity]) -> str:
    """As people read it, without the first mention of the bot; that of others as their names."""
    for mention in ours[:1]:
        written = text_in(mention, "text")
        if written:
            text = text.replace(written, " ", 1)
    text = html.unescape(_AT.sub(r"\1", text))
    lines = (_SPACES.sub(" ", line).strip() for line in text.splitlines())
    return "\n".join(lines).strip()


def language_of_locale(activity: Activity) -> Language | None:
    """Of the person's Teams; None if it is not told."""
    locale = text_in(activity, "locale")
    for entity in map(mapping, sequence(activity.get("entities"))):
        if entity.get("type") == "clientInfo":
            locale = locale or text_in(entity, "locale")
    if not locale:
        return None
    return Language.CHINESE if locale.lower().startswith("zh") else Language.ENGLISH


def time_of(text: str) -> datetime:
    """Now, for what is no time, or lies ahead."""
    now = datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return now
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(at, now)


def _as_command(text: str, *, is_listed: bool) -> str:
    """
    Teams' lists of commands write a command as a bare word, which elsewhere would be a question.

    Args:
        is_listed: It was chosen from the list of slash commands.
    """
    if asked := _ASK.match(text) or (_BARE_ASK.match(text) if is_listed else None):
        return text[asked.end() :]
    word, _, argument = text.partition(" ")
    is_command = text.lower() in _COMMANDS or (word.lower() in _REPORT and bool(argument))
    if word.lower() in _LANGUAGE and argument:
        try:
            language_named(argument)
        except ValueError:
            return text
        is_command = True
    return f"/{text}" if is_command else text


def _mentioned(mention: Activity) -> str:
    return text_in(mapping(mention.get("mentioned")), "id")
