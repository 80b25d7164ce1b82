"""What somebody's Teams says of a message that is to be kept, and how much of it is true."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from adapters.teams.graph import Graph, quoted
from adapters.teams.graph_messages import (
    GraphMessage,
    author_of,
    letters_of,
    message_of,
    message_path,
    text_of,
)
from adapters.teams.graph_wire import GraphFailure
from adapters.teams.ids import TeamsPerson, split_thread
from adapters.teams.incoming import Sender, place_of, sender_of
from adapters.teams.json_values import Json, mapping, sequence, text_in
from adapters.teams.places import CHANNEL, Place, Places
from bot.directory import Directory
from bot.messages import ConversationKind, ConversationRef, UserRef

_LINK = "https://teams.microsoft.com/l/message"
_MESSAGE_ID = re.compile(r"[A-Za-z0-9:._\-]{1,200}")


class Doubt(StrEnum):
    """Why nothing is kept."""

    ABSENT = "absent"
    """The bot is not there, so nobody can tell it who reads."""
    STRANGER = "stranger"
    """Whoever wants it kept is no member, or unknown to us."""
    AUTHOR = "author"
    """Whoever is said to have written it is no member."""
    DIFFERENT = "different"
    """It reads otherwise in Teams, or is somebody else's."""
    GONE = "gone"
    NOT_A_PERSON = "not_a_person"
    NO_TEXT = "no_text"
    UNSURE = "unsure"
    """Not to be told at the moment."""


class Doubtful(Exception):
    def __init__(self, doubt: Doubt) -> None:
        super().__init__(doubt.value)
        self.doubt = doubt


@dataclass(frozen=True, slots=True)
class Claim:
    """
    What a client tells, none of which is certain but *sender* and *place*.

    Attributes:
        root: The first message of the thread, in channels.
        author: None for whoever has no account that is told.
        body: As Graph tells a message's; empty if the client tells none.
    """

    sender: Sender
    place: Place
    message: str
    root: str
    author: TeamsPerson | None
    is_of_app: bool
    body: Mapping[str, Any]
    mentions: Sequence[Any]

    @classmethod
    def of(cls, invoke: Mapping[str, Any]) -> "Claim | None":
        """None for what names nobody, no place, or no message."""
        sender, place = sender_of(invoke), place_of(invoke)
        payload = mapping(mapping(invoke.get("value")).get("messagePayload"))
        message = text_in(payload, "id")
        if sender is None or place is None or not _MESSAGE_ID.fullmatch(message):
            return None
        _, thread = split_thread(text_in(mapping(invoke.get("conversation")), "id"))
        root = thread or text_in(payload, "replyToId") or message
        told_by = mapping(payload.get("from"))
        return cls(
            sender=sender,
            place=place,
            message=message,
            root=root if place.kind == CHANNEL else "",
            author=author_of(payload, tenant_id=place.tenant_id),
            is_of_app=bool(told_by.get("application")),
            body=mapping(payload.get("body")),
            mentions=sequence(payload.get("mentions")),
        )

    @property
    def reminder(self) -> Json:
        """The claim without the text, for a dialog to bring back."""
        author = self.author
        user = {"id": author.object_id, "tenantId": author.tenant_id} if author else None
        return {"id": self.message, "replyToId": self.root, "from": {"user": user}}


@dataclass(frozen=True, slots=True)
class Verified:
    """
    Attributes:
        text: Markdown; of Graph where *is_original*, else what the client tells: whoever wants it kept says it.
        author: None unless Graph names one.
        at: When it was written; None unless Graph tells.
    """

    saver: UserRef
    conversation: ConversationRef
    message: str
    text: str
    is_original: bool
    author: UserRef | None
    at: datetime | None
    permalink: str


class Claims:
    """
    Args:
        graph: None: nothing can be read again, and nobody is named as an author.
        tenant: Our organisation.
    """

    def __init__(
        self, directory: Directory, places: Places, graph: Graph | None, *, tenant: str
    ) -> None:
        self._directory = directory
        self._places = places
        self._graph = graph
        self._tenant = tenant

    async def check(self, claim: Claim, *, is_to_be_shown: bool) -> Verified:
        """
        Nothing is told of a message to somebody whose client does not tell the same of it: ids can be
        guessed, and what was said before somebody joined a chat may be hidden from them.

        Args:
            is_to_be_shown: The text, to whoever claims; else a claim without a text will do.

        Raises:
            Doubtful: With the reason.
            DirectoryUnavailable, StateUnavailable: Who is there cannot be established now.
        """
        known = await self._places.find(claim.place.id)
        place = claim.place.told_by(known)
        where = place.id.ref(self._tenant, ConversationKind.PRIVATE, None)
        saver = claim.sender.ref(self._tenant)
        if known is None:
            # It may be long since anything was heard from there; who is there, Teams itself tells then.
            await self._places.note(place)
        try:
            await self._check_people(claim, where, saver)
        except Doubtful as refusal:
            if known is None and refusal.doubt is Doubt.ABSENT:
                await self._places.forget(place.id)
            raise
        message = await self._read_again(claim, place)
        if message is not None:
            is_same = letters_of(message.body) == letters_of(claim.body)
            may_lack_text = not claim.body and not is_to_be_shown
            if message.author != claim.author or not (is_same or may_lack_text):
                raise Doubtful(Doubt.DIFFERENT)
        author = message.author if message else None
        return Verified(
            saver=saver,
            conversation=where,
            message=claim.message,
            text=message.text if message else text_of(claim.body, claim.mentions),
            is_original=message is not None,
            author=author.ref(self._tenant) if author else None,
            at=message.at if message else None,
            permalink=(message.permalink if message else None) or link_to(claim, place),
        )

    async def _check_people(self, claim: Claim, where: ConversationRef, saver: UserRef) -> None:
        room = await self._directory.room(where)
        if room is None:
            raise Doubtful(Doubt.ABSENT)
        if saver not in room.members or await self._directory.person(saver) is None:
            raise Doubtful(Doubt.STRANGER)
        if claim.is_of_app:
            raise Doubtful(Doubt.NOT_A_PERSON)
        if claim.author is None or claim.author.ref(self._tenant) not in room.members:
            raise Doubtful(Doubt.AUTHOR)

    async def _read_again(self, claim: Claim, place: Place) -> GraphMessage | None:
        """None where we have no right to."""
        path = message_path(place, claim.root, claim.message)
        if self._graph is None or path is None:
            return None
        try:
            payload = await self._graph.of(place.tenant_id).get(path)
        except GraphFailure as error:
            if error.is_denied:
                return None
            raise Doubtful(Doubt.GONE if error.is_missing else Doubt.UNSURE) from error
        if payload.get("deletedDateTime"):
            raise Doubtful(Doubt.GONE)
        message = message_of(payload, tenant_id=place.tenant_id)
        if message is None:
            raise Doubtful(Doubt.NOT_A_PERSON)
        return message


def link_to(claim: Claim, place: Place) -> str:
    """Opens the message in Teams, for whoever may read it there."""
    context = {"tenantId": place.tenant_id}
    if place.kind == CHANNEL:
        context |= {"parentMessageId": claim.root}
        context |= {"groupId": place.team_group} if place.team_group else {}
    else:
        context["context"] = '{"contextType":"chat"}'
    message = quoted(claim.message)
    return f"{_LINK}/{quoted(place.conversation)}/{message}?{urlencode(context)}"
