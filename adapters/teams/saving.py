"""The action "Save to knowledge": a dialog on a message, and what comes back from it, for review."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from adapters.chat.dialog_texts import NOT_KEPT, SAVE_TITLE, TOO_MANY_SAVED
from adapters.teams.cards import AUDIENCES, MAX_TEXT, MAX_TITLE, review_card, save_card
from adapters.teams.claims import Claim, Claims, Doubt, Doubtful, Verified
from adapters.teams.dialog_texts import (
    INSTALL,
    INSTALL_OFFER,
    INSTALLED,
    OWN_WORDS,
    REFUSALS,
    WITHDRAWN,
)
from adapters.teams.elements import attachment, card, line
from adapters.teams.incoming import Sender, language_of_locale, sender_of
from adapters.teams.json_values import Json, mapping, text_in
from adapters.teams.languages import TeamsLanguages
from adapters.teams.verbs import AUDIENCE, SUBMISSION, TEXT, TITLE, VERB, WITHDRAW
from bot.capture.review import ReviewQueue, Submission
from bot.state import State
from retrieval.ingest.clean import visible
from retrieval.types import Language

log = structlog.get_logger()


_SAVED_PER_DAY = 50
_TITLE_CHARACTERS = 80

# What Teams puts into the answer to our offer to be added, and back.
_INSTALL = "justInTimeInstall"
_CLAIM = "messagePayload"


class Saving:
    """
    Both methods answer with the body that Teams waits for, for up to five seconds.

    They raise a `ShifuError` where what they need is away; then nothing is kept.
    """

    def __init__(
        self, claims: Claims, languages: TeamsLanguages, state: State, review: ReviewQueue
    ) -> None:
        self._claims = claims
        self._languages = languages
        self._state = state
        self._review = review

    async def dialog(self, invoke: Mapping[str, Any]) -> Json:
        """For `composeExtension/fetchTask`."""
        return await self._opened(invoke, await self._language(invoke))

    async def submitted(self, invoke: Mapping[str, Any]) -> Json:
        """For `composeExtension/submitAction`: everything is checked once more, as if nothing had been."""
        language = await self._language(invoke)
        value = mapping(invoke.get("value"))
        data = mapping(value.get("data"))
        if text_in(data, VERB) == WITHDRAW:
            return await self._withdrawn(text_in(data, SUBMISSION), sender_of(invoke), language)
        if mapping(data.get("msteams")).get(_INSTALL):
            return await self._opened(invoke, language, was_offered=True)
        # Not every client tells the message a second time.
        told = value.get(_CLAIM) or data.get(_CLAIM)
        claim = Claim.of({**invoke, "value": {_CLAIM: told}})
        title, text = _typed(data, TITLE, MAX_TITLE), _typed(data, TEXT, MAX_TEXT)
        try:
            if claim is None or not title or not text:
                raise Doubtful(Doubt.NO_TEXT)
            verified = await self._claims.check(claim, is_to_be_shown=False)
        except Doubtful as refusal:
            return _refused(refusal.doubt, language, was_offered=True)
        if not await self._state.allow(
            f"save:{verified.saver.key}", limit=_SAVED_PER_DAY, per_s=86_400
        ):
            return _told(TOO_MANY_SAVED[language])
        submission = _submission(verified, title, text, _typed(data, AUDIENCE, 20))
        await self._review.submit(submission)
        log.info("teams.saved", is_original=verified.is_original)
        return _continued(review_card(submission, language), SAVE_TITLE[language])

    async def _withdrawn(self, id: str, by: Sender | None, language: Language) -> Json:
        """By whoever has offered it, and nobody else."""
        submission = await self._review.find(id)
        if submission is None or by is None or submission.by != by.ref(submission.by.tenant):
            return _told(NOT_KEPT[language])
        await self._review.remove(id)
        log.info("teams.withdrawn")
        return _told(WITHDRAWN[language])

    async def _opened(
        self, invoke: Mapping[str, Any], language: Language, *, was_offered: bool = False
    ) -> Json:
        claim = Claim.of(invoke)
        try:
            if claim is None:
                raise Doubtful(Doubt.NO_TEXT)
            verified = await self._claims.check(claim, is_to_be_shown=True)
            if not verified.text:
                raise Doubtful(Doubt.NO_TEXT)
        except Doubtful as refusal:
            return _refused(refusal.doubt, language, was_offered=was_offered)
        shown = save_card(
            verified.text.splitlines()[0][:_TITLE_CHARACTERS],
            verified.text,
            {_CLAIM: claim.reminder},
            language,
            hint="" if verified.is_original else OWN_WORDS[language],
        )
        return _continued(shown, SAVE_TITLE[language])

    async def _language(self, invoke: Mapping[str, Any]) -> Language:
        return await self._languages.of(sender_of(invoke), language_of_locale(invoke))


def _submission(verified: Verified, title: str, text: str, audience: str) -> Submission:
    is_edited = verified.is_original and _words(text) != _words(visible(verified.text)[:MAX_TEXT])
    return Submission(
        id=f"teams:{verified.conversation.channel}/{verified.message}/{verified.saver.id}",
        title=title,
        text=text,
        audience=audience if audience in AUDIENCES else AUDIENCES[0],
        by=verified.saver,
        at=datetime.now(UTC),
        permalink=verified.permalink,
        conversation=verified.conversation,
        author=verified.author,
        written_at=verified.at,
        is_edited=is_edited,
    )


def _refused(doubt: Doubt, language: Language, *, was_offered: bool) -> Json:
    log.info("teams.save_refused", doubt=doubt.value)
    if doubt is not Doubt.ABSENT:
        return _told(REFUSALS[doubt][language])
    if was_offered:
        # Once more would be for ever: Teams tells of the new member a moment later.
        return _told(INSTALLED[language])
    title = SAVE_TITLE[language]
    button = {
        "type": "Action.Submit",
        "title": INSTALL[language],
        "data": {"msteams": {_INSTALL: True}},
    }
    offer = INSTALL_OFFER[language]
    return _continued(card([line(offer)], [button], language=language, fallback=offer), title)


def _typed(data: Mapping[str, Any], key: str, most: int) -> str:
    return visible(text_in(data, key)).strip()[:most]


def _words(text: str) -> list[str]:
    return text.split()


def _told(text: str) -> Json:
    return {"task": {"type": "message", "value": text}}


def _continued(content: Json, title: str) -> Json:
    task = {"title": title, "height": "large", "width": "medium", "card": attachment(content)}
    return {"task": {"type": "continue", "value": task}}
