"""Answers buttons, dialogs and refreshed cards, with the rights of whoever pressed and no word of the data."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from adapters.chat.dialog_texts import (
    FEEDBACK_TITLE,
    NOT_ACCEPTED,
    NOT_KEPT,
    SHARE_TITLE,
    THANKS_FOR_FEEDBACK,
)
from adapters.chat.origins import Origins
from adapters.chat.texts import SOURCES
from adapters.teams import cards, verbs
from adapters.teams.asking import TeamsAsking, press_event
from adapters.teams.dialog_texts import CANCELLED, ON_ITS_WAY, UNKNOWN_BUTTON
from adapters.teams.dispatch import InvokeAnswer
from adapters.teams.failures import TEAMS_FAILURES
from adapters.teams.incoming import Activity, Sender, language_of_locale
from adapters.teams.json_values import mapping, text_in
from adapters.teams.languages import TeamsLanguages
from adapters.teams.origin import Origin
from adapters.teams.personal_cards import PersonalCards, personal_view
from adapters.teams.places import Place
from adapters.teams.saving import Saving
from adapters.teams.sharing import Sharing
from bot.given_answers import GivenAnswers
from bot.messages import Feedback, Rating
from bot.recording import id_of_answer
from bot.state import State
from retrieval.errors import ShifuError
from retrieval.types import Language

log = structlog.get_logger()

MayRead = Callable[[Sender, Sequence[str]], Awaitable[bool]]
"""Whether somebody may read all of some chunks now."""

_ANSWER_WITHIN_S = 4.0
"""Teams shows an error after five."""

_CARD = "application/vnd.microsoft.card.adaptive"
_MESSAGE = "application/vnd.microsoft.activity.message"
_ERROR = "application/vnd.microsoft.error"


class Invokes:
    def __init__(
        self,
        asking: TeamsAsking,
        answers: GivenAnswers,
        sharing: Sharing,
        saving: Saving,
        personal_cards: PersonalCards,
        origins: Origins[Origin],
        state: State,
        languages: TeamsLanguages,
        *,
        may_read: MayRead,
        tenant: str,
    ) -> None:
        self._asking = asking
        self._answers = answers
        self._sharing = sharing
        self._saving = saving
        self._personal_cards = personal_cards
        self._origins = origins
        self._state = state
        self._languages = languages
        self._may_read = may_read
        self._tenant = tenant

    async def close(self) -> None:
        await self._sharing.close()

    async def answer(
        self, name: str, activity: Activity, place: Place, sender: Sender
    ) -> InvokeAnswer:
        """In time, whatever happens: what fails is told where the button was pressed."""
        language = await self._languages.of(sender, language_of_locale(activity))
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                match name:
                    case "adaptiveCard/action":
                        return await self._pressed(activity, place, sender, language)
                    case "task/fetch" | "task/submit":
                        return await self._dialog(activity, place, sender, language)
                    case "message/fetchTask":
                        return await self._feedback_asked(activity, place, sender, language)
                    case "message/submitAction":
                        return await self._feedback(activity, place, sender)
                    case "composeExtension/fetchTask":
                        return InvokeAnswer(200, await self._saving.dialog(activity))
                    case "composeExtension/submitAction":
                        return InvokeAnswer(200, await self._saving.submitted(activity))
        except (ShifuError, TimeoutError, *TEAMS_FAILURES) as error:
            log.warning("teams.invoke_failed", invoke=name[:60], error=type(error).__name__)
            return _told(name, NOT_ACCEPTED[language])
        except Exception:
            log.exception("teams.invoke_failed", invoke=name[:60])
            return _told(name, NOT_ACCEPTED[language])
        # What we have not asked for, or what a later Teams has invented.
        return InvokeAnswer(200, {})

    async def _pressed(
        self, activity: Activity, place: Place, sender: Sender, language: Language
    ) -> InvokeAnswer:
        action = mapping(mapping(activity.get("value")).get("action"))
        data = mapping(action.get("data"))
        verb, name = text_in(action, "verb"), "adaptiveCard/action"
        if verb == verbs.REFRESH:
            return await self._refreshed(text_in(data, verbs.EVENT), sender)
        answer_id = text_in(data, verbs.ANSWER)
        moment = text_in(activity, "id") or text_in(activity, "timestamp")
        match verb:
            case verbs.WHY:
                await self._asking.whisper(
                    place,
                    sender,
                    f"/why {answer_id}",
                    event_id=press_event(place, moment),
                    language=language,
                )
                return _told(name, ON_ITS_WAY[language])
            case verbs.COPY:
                record = await self._answers.own(answer_id, sender.ref(self._tenant))
                if record is None or not record.standalone:
                    return _told(name, NOT_KEPT[language])
                event_id = f"teams:copy:{answer_id}/{moment}"
                told = await self._sharing.copy(
                    place, sender, record.standalone, event_id, language
                )
                return _told(name, told)
        return _told(name, UNKNOWN_BUTTON[language])

    async def _refreshed(self, event_id: str, sender: Sender) -> InvokeAnswer:
        """Each person's own view of a card; whoever has none keeps what everybody sees."""
        ref = sender.ref(self._tenant)

        async def may_read(chunk_ids: Sequence[str]) -> bool:
            return await self._may_read(sender, chunk_ids)

        card = await personal_view(self._personal_cards, event_id, ref, may_read)
        if card is None:
            # An error leaves what everybody sees standing.
            none = {"code": "NoPersonalCard", "message": ""}
            return InvokeAnswer(200, {"statusCode": 400, "type": _ERROR, "value": none})
        return InvokeAnswer(200, {"statusCode": 200, "type": _CARD, "value": card})

    async def _dialog(
        self, activity: Activity, place: Place, sender: Sender, language: Language
    ) -> InvokeAnswer:
        data = mapping(mapping(activity.get("value")).get("data"))
        answer_id = text_in(data, verbs.ANSWER)
        match text_in(data, verbs.VERB):
            case verbs.SOURCES:
                found = await self._answers.sources(answer_id, sender.ref(self._tenant))
                if found is None:
                    return _told("task/fetch", NOT_KEPT[language])
                card = cards.sources_card(found, language, now=datetime.now(UTC))
                return _shown(SOURCES[language], card)
            case verbs.SHARE:
                preview = await self._sharing.preview(answer_id, sender)
                if preview is None:
                    return _told("task/fetch", NOT_KEPT[language])
                card = cards.share_card(preview, {verbs.ANSWER: answer_id}, language)
                return _shown(SHARE_TITLE[language], card)
            case verbs.SHARE_CONFIRMED:
                told = await self._sharing.share(answer_id, sender, language)
                return _told("task/submit", told)
            case verbs.CANCELLED:
                return _told("task/submit", CANCELLED[language])
        return _told("task/fetch", UNKNOWN_BUTTON[language])

    async def _feedback_asked(
        self, activity: Activity, place: Place, sender: Sender, language: Language
    ) -> InvokeAnswer:
        # Teams has been seen to send both shapes.
        value = mapping(activity.get("value"))
        value = mapping(value.get("data")) or value
        reaction = text_in(mapping(value.get("actionValue")), "reaction")
        answer_id = await self._answer_at(place, activity)
        if answer_id is None:
            return _told("task/fetch", NOT_KEPT[language])
        await self._rate(answer_id, sender, reaction, "")
        if reaction != "dislike":
            return _told("task/fetch", THANKS_FOR_FEEDBACK[language])
        return _shown(FEEDBACK_TITLE[language], cards.feedback_card(answer_id, language))

    async def _feedback(self, activity: Activity, place: Place, sender: Sender) -> InvokeAnswer:
        value = mapping(mapping(activity.get("value")).get("actionValue"))
        written = _json_in(value.get("feedback"))
        answer_id = await self._answer_at(place, activity)
        if answer_id is None:
            # The dialog's own word, as far as that is an answer which this person reads.
            answer_id = text_in(written, verbs.ANSWER)
            if not await self._answers.sources(answer_id, sender.ref(self._tenant)):
                return InvokeAnswer(200, {})
        reasons = text_in(written, verbs.REASONS)
        said = text_in(written, verbs.COMMENT) or text_in(written, "feedbackText")
        comment = "\n".join(filter(None, (reasons, said)))[: cards.MAX_COMMENT]
        await self._rate(answer_id, sender, text_in(value, "reaction") or "dislike", comment)
        return InvokeAnswer(200, {})

    async def _rate(self, answer_id: str, sender: Sender, reaction: str, comment: str) -> None:
        rating = Rating.HELPFUL if reaction == "like" else Rating.UNHELPFUL
        user = sender.ref(self._tenant)
        feedback = Feedback(answer_id, user, rating, datetime.now(UTC), comment=comment)
        await self._state.save_feedback(feedback)

    async def _answer_at(self, place: Place, activity: Activity) -> str | None:
        """Which answer stands in the message that was rated; Teams tells nothing but the message."""
        message = text_in(activity, "replyToId")
        event_id = await self._origins.event_at(str(place.id), message) if message else None
        if event_id is None:
            return None
        private = await self._origins.reply(event_id, is_private=True)
        is_private = private is not None and private.endswith(message)
        return id_of_answer(self._tenant, event_id, is_private=is_private)


def _told(name: str, text: str) -> InvokeAnswer:
    """*text*, in the shape that the invoke called *name* takes."""
    if name == "adaptiveCard/action":
        return InvokeAnswer(200, {"statusCode": 200, "type": _MESSAGE, "value": text})
    return InvokeAnswer(200, {"task": {"type": "message", "value": text}})


def _shown(title: str, card: Mapping[str, Any]) -> InvokeAnswer:
    value = {"title": title, "card": {"contentType": _CARD, "content": card}}
    return InvokeAnswer(200, {"task": {"type": "continue", "value": value}})


def _json_in(value: Any) -> Activity:
    """What a dialog's inputs are called and hold; Teams hands them over as text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {"feedbackText": value}
    return mapping(value)
