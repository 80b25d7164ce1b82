"""The cards of our dialogs and of answers to buttons: sources, sharing, feedback, saving and review. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.chat.dialog_texts import (
    CANCEL,
    FEEDBACK_LABEL,
    FEEDBACK_TITLE,
    NO_SOURCES_LEFT,
    SAVE_AUDIENCE,
    SAVE_AUDIENCES,
    SAVE_CUT,
    SAVE_HINT,
    SAVE_LABELS,
    SAVE_TITLE,
    SAVED_FOR_REVIEW,
    SEND,
    SHARE,
    SHARE_MISSING,
    SHARE_NOTHING_MISSING,
    SHARE_QUESTION,
    SHARE_UNCHECKED,
)
from adapters.teams import verbs
from adapters.teams.answer_cards import source
from adapters.teams.dialog_texts import (
    FEEDBACK_REASONS,
    FEEDBACK_REASONS_LABEL,
    REQUIRED,
    REVIEW_AUDIENCE,
    REVIEW_CUT,
    REVIEW_LINK,
    REVIEW_TITLE,
    SOURCES_NONE,
    WITHDRAW,
)
from adapters.teams.elements import (
    ELLIPSIS,
    MAX_CARD_BYTES,
    card,
    choices,
    heading,
    line,
    linked,
    pieces,
    prose,
    size_bytes,
    submit,
    text_input,
    words,
)
from adapters.teams.json_values import Json
from adapters.teams.markdown import blocks, clean
from adapters.teams.texts import SHARE_HERE
from bot.capture.review import Submission
from bot.given_answers import SharePreview
from retrieval.links import web_link
from retrieval.types import Citation, Language

AUDIENCES = ("channel", "everyone", "me")

MAX_TITLE, MAX_TEXT = 150, 3_000
"""Characters of what is saved."""

MAX_COMMENT = 2_000
_ALL_SOURCES, _MAX_MISSING, _MAX_QUESTION, _MAX_TOLD = 20, 10, 2_000, 4_000


def told_card(text: str, language: Language) -> Json:
    """Our own words in answer to a press; lines stay lines."""
    lines = [part for part in clean(text)[:_MAX_TOLD].split("\n") if part.strip()]
    return card([line(part) for part in lines] or [line("…")], language=language, fallback=text)


def sources_card(citations: Sequence[Citation], language: Language, now: datetime) -> Json:
    """What is cited, for somebody who has asked to see it all."""
    if not citations:
        return told_card(SOURCES_NONE[language], language)
    title = NO_SOURCES_LEFT[language]
    body = [words(title, weight="Bolder")]
    made = card(body, language=language, fallback=title)
    room = MAX_CARD_BYTES - size_bytes(made)
    for citation in citations[:_ALL_SOURCES]:
        shown = source(citation, language, now=now)
        room -= size_bytes(shown) + 2
        if room < 0:
            break
        made["body"].append(shown)
    return made


def share_card(preview: SharePreview, data: Mapping[str, str], language: Language) -> Json:
    """
    What will be missing, before anything is shared.

    Args:
        data: Comes back with the verb of whichever button is pressed.
    """
    # The question stands on its own: it is somebody's words, and ours are around it.
    before = SHARE_QUESTION[language].partition("{question}")[0].strip()
    question = clean(preview.question)[:_MAX_QUESTION]
    body = [heading(SHARE_HERE[language]), words(before), line(question, isSubtle=True)]
    if not preview.is_checked:
        body.append(words(SHARE_UNCHECKED[language]))
    elif preview.missing:
        told = SHARE_MISSING[language].format(
            readers=preview.readers, missing=len(preview.missing), shared=preview.shared
        )
        titles = [line(f"• {title[:300]}") for title in preview.missing[:_MAX_MISSING]]
        body += [words(told), *titles]
    else:
        body.append(words(SHARE_NOTHING_MISSING[language].format(readers=preview.readers)))
    buttons = [
        submit(SHARE[language], {**data, verbs.VERB: verbs.SHARE_CONFIRMED}),
        submit(CANCEL[language], {**data, verbs.VERB: verbs.CANCELLED}),
    ]
    return card(body, buttons, language=language, fallback=before)


def feedback_card(answer_id: str, language: Language) -> Json:
    """A dialog of its own, since Teams' knows no reasons; an empty *answer_id* is left out."""
    reasons = [(key, label[language]) for key, label in FEEDBACK_REASONS.items()]
    body = [
        choices(verbs.REASONS, FEEDBACK_REASONS_LABEL[language], reasons, is_many=True),
        text_input(
            verbs.COMMENT, FEEDBACK_LABEL[language], max_length=MAX_COMMENT, is_multiline=True
        ),
    ]
    data = {verbs.ANSWER: answer_id} if answer_id else {}
    title = FEEDBACK_TITLE[language]
    return card(body, [submit(SEND[language], data)], language=language, fallback=title)


def save_card(
    title: str,
    text: str,
    data: Mapping[str, Any],
    language: Language,
    *,
    audience: str = AUDIENCES[0],
    hint: str = "",
) -> Json:
    """
    What is to become knowledge, once somebody has approved it.

    Args:
        data: Comes back with the inputs.
        hint: What else there is to know, such as that nobody could check who said it.
    """
    title_label, text_label = SAVE_LABELS[language]
    audiences = list(zip(AUDIENCES, SAVE_AUDIENCES[language], strict=True))
    required = REQUIRED[language]
    text, title = clean(text), " ".join(clean(title).split())
    hints = [SAVE_CUT[language].format(most=MAX_TEXT)] if len(text) > MAX_TEXT else []
    hints += [hint] if hint else []
    body = [
        text_input(
            verbs.TITLE,
            title_label,
            value=title[:MAX_TITLE],
            max_length=MAX_TITLE,
            required=required,
        ),
        text_input(
            verbs.TEXT,
            text_label,
            value=text[:MAX_TEXT],
            max_length=MAX_TEXT,
            is_multiline=True,
            required=required,
        ),
        choices(verbs.AUDIENCE, SAVE_AUDIENCE[language], audiences, value=audience),
        *(line(part, isSubtle=True, size="Small") for part in [*hints, SAVE_HINT[language]]),
    ]
    buttons = [submit(SEND[language], dict(data))]
    return card(body, buttons, language=language, fallback=SAVE_TITLE[language])


def review_card(submission: Submission, language: Language) -> Json:
    """What somebody has offered, as it waits for a decision; they may still take it back."""
    audiences = dict(zip(AUDIENCES, SAVE_AUDIENCES[language], strict=True))
    audience = audiences.get(submission.audience, submission.audience)
    below = [line(REVIEW_AUDIENCE[language].format(audience=audience[:300]), isSubtle=True)]
    if link := web_link(submission.permalink):
        below.append(pieces([linked(REVIEW_LINK[language], link)]))
    data = {verbs.VERB: verbs.WITHDRAW, verbs.SUBMISSION: submission.id}
    buttons = [submit(WITHDRAW[language], data)]
    title = REVIEW_TITLE[language]
    cut = words(REVIEW_CUT[language], isSubtle=True, size="Small")

    def whole(middle: list[Json]) -> Json:
        name = line(submission.title[:MAX_TITLE], weight="Bolder")
        body = [heading(title), line(SAVED_FOR_REVIEW[language]), name, *middle, *below]
        return card(body, buttons, language=language, fallback=title)

    room = MAX_CARD_BYTES - size_bytes(whole([cut]))
    shown = prose(blocks(submission.text), room_bytes=room)
    return whole([*shown, cut] if shown[-1:] == [ELLIPSIS] else shown)
