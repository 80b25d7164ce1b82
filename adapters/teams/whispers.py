"""Replies that one person alone sees: where they asked, in place of the shared card, or in their own chat."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from adapters.chat.once import Posted
from adapters.teams import verbs
from adapters.teams.failures import TeamsFailure, is_final, what_failed
from adapters.teams.ids import TeamsConversationId, TeamsPerson
from adapters.teams.json_values import Json
from adapters.teams.outbox import TeamsAddress, TeamsOutbox
from adapters.teams.personal_cards import PersonalCard, PersonalCards
from adapters.teams.places import PERSONAL, Place, Places
from adapters.teams.posts import Posts, note_refused
from adapters.teams.render import Rendered
from adapters.teams.streams import REFUSED

log = structlog.get_logger()

TARGETED, CARD, DIRECT, NOWHERE = "targeted:", "card:", "direct:", "nowhere:"
"""How a private reply was said; what follows is the id of a message that holds it alone."""

_WITHOUT_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Beside:
    """
    The shared answer that a fuller one belongs to.

    Attributes:
        message: Its id; empty where there is none that could be changed.
        card: The fuller one, for its person to see in place of what everybody sees.
    """

    event_id: str
    message: str
    card: PersonalCard


class Whispers:
    """All methods raise `StateUnavailable` and one of `TEAMS_FAILURES`."""

    def __init__(
        self,
        outbox: TeamsOutbox,
        places: Places,
        cards: PersonalCards,
        posts: Posts,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._places = places
        self._cards = cards
        self._posts = posts
        self._clock = clock
        self._without: dict[str, float] = {}
        self._with: set[str] = set()

    def needs_cards(self, tenant_id: str) -> bool:
        """Nothing shows yet that the tenant can do without."""
        return tenant_id not in self._with

    async def say(
        self,
        to: TeamsAddress,
        person: TeamsPerson | None,
        there: Rendered,
        apart: Callable[[str], Rendered],
        *,
        user: str = "",
        beside: Beside | None = None,
    ) -> Posted:
        """
        Args:
            there: As it is shown in the conversation.
            person: None for somebody without an account, who has no other place.
            apart: As it is shown in the person's own chat, by the name of the conversation.
            user: `29:…`, if known.
        """
        place = TeamsConversationId(to.tenant_id, to.conversation)
        direct = await self._places.direct(person) if person else None
        user = user or (direct[1] if direct else "")
        if user and (id := await self._targeted(to, user, there)) is not None:
            return Posted(TARGETED + id, str(place), id)
        if user and beside and await self._refreshed(to, user, beside):
            return Posted(CARD + beside.event_id, str(place), "")
        found = await self._places.find(place)
        shown = apart(found.name if found else "")
        known = direct[0] if direct else None
        posted = await self._directly(to, person, user, known, shown) if person else None
        # Neither there nor here may we speak to them: nobody can change that by trying again.
        return posted or Posted(NOWHERE, str(place), "")

    async def _targeted(self, to: TeamsAddress, user: str, shown: Rendered) -> str | None:
        """None where Teams does not do that."""
        if self._clock() < self._without.get(to.tenant_id, 0.0):
            return None
        refused: TeamsFailure | None = None
        for activity in shown.versions:
            try:
                id = await self._outbox.send_targeted(to, user, activity)
            except TeamsFailure as error:
                if not is_final(error):
                    raise
                log.info("teams.not_targeted", error=what_failed(error))
                if error.status not in REFUSED:
                    return None
                refused = error
                continue
            if refused:
                note_refused(refused)
            self._with.add(to.tenant_id)
            return id
        # Text alone is not to blame: the tenant does not have it.
        self._without[to.tenant_id] = self._clock() + _WITHOUT_S
        self._with.discard(to.tenant_id)
        return None

    async def _refreshed(self, to: TeamsAddress, user: str, beside: Beside) -> bool:
        """The shared message as it is, but that its card asks us once more for this one person."""
        shared = await self._cards.shared(beside.event_id) if beside.message else None
        changed = _asking_anew(shared, user, beside.event_id) if shared else None
        if changed is None:
            return False
        await self._cards.keep(beside.event_id, beside.card)
        try:
            await self._outbox.update(to, beside.message, changed)
        except TeamsFailure as error:
            if not is_final(error):
                raise
            log.info("teams.not_refreshed", error=what_failed(error))
            await self._cards.drop(beside.event_id)
            return False
        return True

    async def _directly(
        self,
        to: TeamsAddress,
        person: TeamsPerson,
        user: str,
        known: Place | None,
        shown: Rendered,
    ) -> Posted | None:
        """None where they do not want us, or have not got us."""
        for direct in (known, None) if known else (None,):
            try:
                place = direct or await self._open(to, person, user)
                id = await self._posts.post(TeamsAddress.of_place(place), shown)
                return Posted(DIRECT + id, str(place.id), id)
            except TeamsFailure as error:
                if not is_final(error):
                    raise
                log.info("teams.not_said_directly", error=what_failed(error))
        return None

    async def _open(self, to: TeamsAddress, person: TeamsPerson, user: str) -> Place:
        id = await self._outbox.open_direct(
            to.service_url, to.tenant_id, to.bot_id, user or person.object_id
        )
        place = Place(to.service_url, to.tenant_id, id, PERSONAL, to.bot_id)
        if user:
            await self._places.note_direct(person, place, user)
        return place


def _asking_anew(activity: Json, user: str, event_id: str) -> Json | None:
    """None for a message without a card, which nobody could see differently."""
    attachments = activity.get("attachments") or []
    if len(attachments) != 1:
        return None
    refresh = {
        "action": {
            "type": "Action.Execute",
            "title": "…",
            "verb": verbs.REFRESH,
            "data": {verbs.EVENT: event_id},
        },
        "userIds": [user],
    }
    card = {**attachments[0]["content"], "refresh": refresh}
    return {**activity, "attachments": [{**attachments[0], "content": card}]}
