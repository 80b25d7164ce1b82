"""Shares a private answer: what will be missing is shown first, then it is asked anew where everybody sees it."""

import asyncio

import structlog

from adapters.chat.dialog_texts import (
    COPY_ON_ITS_WAY,
    NOT_ACCEPTED,
    NOT_KEPT,
    SHARED,
    SHARED_ALREADY,
)
from adapters.chat.origins import Origins
from adapters.teams.asking import TeamsAsking
from adapters.teams.dialog_texts import (
    ASKED_BY,
    CANNOT_POST_HERE,
    CANNOT_WRITE_TO_YOU,
    SHARE_UNDER_WAY,
)
from adapters.teams.failures import TEAMS_FAILURES, TeamsFailure, what_failed
from adapters.teams.ids import TeamsConversationId
from adapters.teams.incoming import Sender
from adapters.teams.origin import Origin
from adapters.teams.outbox import TeamsAddress, TeamsOutbox
from adapters.teams.places import PERSONAL, Place, Places
from bot.audience import Audience
from bot.given_answers import GivenAnswers, SharePreview
from bot.messages import ConversationKind
from bot.records import AnswerRecord
from retrieval.errors import ShifuError
from retrieval.types import Language

log = structlog.get_logger()

_TOLD_WITHIN_S = 3.0
_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)


class Sharing:
    def __init__(
        self,
        asking: TeamsAsking,
        answers: GivenAnswers,
        outbox: TeamsOutbox,
        origins: Origins[Origin],
        places: Places,
        audience: Audience,
        *,
        tenant: str,
    ) -> None:
        self._asking = asking
        self._answers = answers
        self._outbox = outbox
        self._origins = origins
        self._places = places
        self._audience = audience
        self._tenant = tenant
        self._under_way: set[asyncio.Task[str]] = set()

    async def preview(self, answer_id: str, sender: Sender) -> SharePreview | None:
        """None for an answer that is not the sender's, not kept, or was asked where nobody else is."""
        found = await self._shareable(answer_id, sender)
        if found is None:
            return None
        _, place = found
        shared = place.id.ref(self._tenant, ConversationKind.PRIVATE, None)
        return await self._answers.share_preview(answer_id, sender.ref(self._tenant), shared)

    async def share(self, answer_id: str, sender: Sender, language: Language) -> str:
        """
        What to tell the one who shares, in time for their dialog; it is done to its end all the same.
        """
        sharing = asyncio.create_task(self._share(answer_id, sender, language))
        self._under_way.add(sharing)
        sharing.add_done_callback(self._done)
        try:
            async with asyncio.timeout(_TOLD_WITHIN_S):
                return await asyncio.shield(sharing)
        except TimeoutError:
            return SHARE_UNDER_WAY[language]

    async def close(self) -> None:
        """Wait for what is being shared."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _done(self, sharing: asyncio.Task[str]) -> None:
        self._under_way.discard(sharing)
        if not sharing.cancelled() and (error := sharing.exception()):
            log.error("teams.sharing_failed", error=type(error).__name__)

    async def _share(self, answer_id: str, sender: Sender, language: Language) -> str:
        found = await self._shareable(answer_id, sender)
        if found is None:
            return NOT_KEPT[language]
        record, place = found
        there = place.id.ref(self._tenant, ConversationKind.PRIVATE, None)
        if not await self._audience.reads(record.user, there):
            # Who has left, or cannot be told from who has, says nothing there any more.
            return CANNOT_POST_HERE[language]
        claim = f"teams:share:{answer_id}/{place.id}"
        if not await self._origins.begin_reply(claim):
            return SHARED_ALREADY[language]
        try:
            root = await self._post_question(record, place, sender, language)
        except TEAMS_FAILURES as error:
            log.warning("teams.not_shared", reason=what_failed(error))
            await self._origins.end_reply(claim)
            return CANNOT_POST_HERE[language]
        except ShifuError:
            await self._origins.end_reply(claim)
            return NOT_ACCEPTED[language]
        return await self._ask_there(claim, record, place, sender, root, language)

    async def copy(
        self, place: Place, sender: Sender, question: str, event_id: str, language: Language
    ) -> str:
        """
        Ask it anew in the personal chat, where the answer stays; what to tell whoever wants that.

        Raises:
            StateUnavailable: It cannot be kept now; it may be asked for again.
        """
        try:
            direct = await self._direct_chat(place, sender)
        except TEAMS_FAILURES as error:
            log.warning("teams.not_copied", reason=what_failed(error))
            return CANNOT_WRITE_TO_YOU[language]
        await self._asking.in_personal_chat(
            direct, sender, question, event_id=event_id, language=language
        )
        return COPY_ON_ITS_WAY[language]

    async def _direct_chat(self, place: Place, sender: Sender) -> Place:
        """The chat of the bot with one person, which begins with this if there is none."""
        person = sender.person
        known = await self._places.direct(person) if person else None
        if known is not None:
            return known[0]
        id = await self._outbox.open_direct(
            place.service_url, place.tenant_id, place.bot_id, sender.id
        )
        return Place(place.service_url, place.tenant_id, id, PERSONAL, place.bot_id)

    async def _shareable(self, answer_id: str, sender: Sender) -> tuple[AnswerRecord, Place] | None:
        record = await self._answers.own(answer_id, sender.ref(self._tenant))
        if record is None or not record.standalone:
            return None
        place = await self._places.find(TeamsConversationId.of(record.conversation))
        return None if place is None or place.kind == PERSONAL else (record, place)

    async def _ask_there(
        self,
        claim: str,
        record: AnswerRecord,
        place: Place,
        sender: Sender,
        root: str,
        language: Language,
    ) -> str:
        """The question stands there: it is not to be posted twice, and not to stay without an answer."""
        for pause_s in (*_PAUSES_S, None):
            try:
                await self._origins.note_reply(claim, root, channel=str(place.id), message=root)
                await self._asking.in_thread(place, sender, record.standalone, root=root)
                return SHARED[language]
            except (ShifuError, TimeoutError):
                log.warning("teams.shared_question_not_kept")
                if pause_s is not None:
                    await asyncio.sleep(pause_s)
        return NOT_ACCEPTED[language]

    async def _post_question(
        self, record: AnswerRecord, place: Place, sender: Sender, language: Language
    ) -> str:
        """Under the person's name; in a channel the answer comes in the thread of it."""
        text = ASKED_BY[language].format(name=sender.name, question=record.standalone)
        # As plain text: nothing in it is a mention, a link or markup.
        message = {"type": "message", "textFormat": "plain", "text": text}
        root = await self._outbox.send(TeamsAddress.of_place(place), message)
        if not root:
            raise TeamsFailure(200, "NoActivityId")
        return root
