"""An answer as one Adaptive Card, which holds all of it: Teams makes two messages of a text with a card. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from adapters.chat import texts
from adapters.teams import elements, verbs
from adapters.teams.ai_label import is_written_by_ai
from adapters.teams.elements import button, line, linked, opening, pieces, words
from adapters.teams.json_values import Json
from adapters.teams.markdown import Table, blocks, clean, plain
from adapters.teams.texts import COPY, SHARE_HERE
from bot.channel import shortened
from bot.messages import Reply
from retrieval.links import web_link
from retrieval.types import Band, Citation, Language

SOURCES_SHOWN = 3
"""Below an answer; a button leads to all."""

_TITLE, _HEADING, _OWNER, _NOTICE, _FALLBACK = 160, 100, 60, 500, 600


class Surface(StrEnum):
    """Where a reply is shown."""

    PERSONAL = "personal"
    SHARED = "shared"
    WHISPER = "whisper"
    """What somebody asked without the others seeing it."""
    PRIVATE = "private"
    """A fuller answer beside a shared one."""


@dataclass(frozen=True, slots=True)
class AnswerCard:
    """
    Attributes:
        text: What people read in it of the answer itself.
        is_whole: All of the answer found room.
    """

    content: Json
    text: str
    is_whole: bool


def answer_card(
    reply: Reply,
    surface: Surface,
    above: Sequence[str],
    *,
    now: datetime,
    is_apart: bool = False,
    is_in_place: bool = False,
) -> AnswerCard:
    """
    Args:
        above: Lines over the answer.
        now: Tells how old the sources are.
        is_apart: It stands elsewhere than its question.
        is_in_place: One person sees it in place of everybody's card, whose message has the AI label.
    """
    language = reply.language
    several = blocks(reply.text)
    top = [line(text, isSubtle=True, size="Small") for text in above]
    told = notes(reply)
    if is_in_place and is_written_by_ai(reply):
        told.append(texts.WRITTEN_BY_AI[language])
    foot = _sources(reply, now) + [line(text, isSubtle=True, size="Small") for text in told]
    buttons = _buttons(reply, surface, is_apart=is_apart)
    titles = [f"[{c.number}] {title(c)}" for c in reply.citations[:SOURCES_SHOWN]]
    fallback = " ".join([shortened(reply, _FALLBACK).text, *titles])
    is_wide = any(isinstance(block, Table) for block in several)

    def whole(middle: list[Json]) -> Json:
        body = [*top, *middle, *foot]
        return elements.card(
            body or [elements.ELLIPSIS],
            buttons,
            language=language,
            fallback=fallback,
            is_wide=is_wide,
        )

    room = elements.MAX_CARD_BYTES - elements.size_bytes(whole([elements.ELLIPSIS]))
    middle = elements.prose(several, room_bytes=room)
    text = "\n".join(filter(None, map(_read, middle)))
    return AnswerCard(whole(middle), text, middle[-1:] != [elements.ELLIPSIS])


def title(citation: Citation) -> str:
    document = citation.chunk.document
    return plain(document.title or document.id)[:_TITLE]


def sources_title(reply: Reply) -> str:
    is_answer = reply.band is None or reply.band is Band.ANSWERED
    return (texts.SOURCES if is_answer else texts.FURTHER)[reply.language]


def notes(reply: Reply) -> list[str]:
    """What the reader has to know of how the answer came about."""
    language = reply.language
    told = [clean(reply.notice)[:_NOTICE]] if reply.notice else []
    if reply.band is Band.UNSURE:
        told.append(texts.UNSURE[language])
    if reply.is_extract and reply.band is Band.ANSWERED:
        told.append(texts.EXTRACT[language])
    return told


def source(citation: Citation, language: Language, *, now: datetime) -> Json:
    """What one cited document is, how old, and whose; opened by its title."""
    document = citation.chunk.document
    style = {"size": "Small"}
    more: list[str] = []
    if citation.chunk.heading_path:
        more.append(plain(" › ".join(citation.chunk.heading_path[-2:]))[:_HEADING])
    if document.owner:
        more.append(plain(document.owner)[:_OWNER])
    if document.modified_at:
        more.append(texts.age(document.modified_at, now, language))
    number = {"type": "TextRun", "text": f"[{citation.number}] ", **style}
    inlines = [number, linked(title(citation), web_link(document.link), **style)]
    if more := [part for part in more if part]:
        about = " · " + " · ".join(more)
        inlines.append({"type": "TextRun", "text": about, "isSubtle": True, **style})
    if document.superseded_by is not None:
        newer = f" · {texts.SUPERSEDED[language]}"
        inlines.append({"type": "TextRun", "text": newer, "color": "Attention", **style})
    return pieces(inlines)


def _sources(reply: Reply, now: datetime) -> list[Json]:
    cited = reply.citations[:SOURCES_SHOWN]
    if not cited:
        return []
    caption = words(sources_title(reply), weight="Bolder", size="Small", spacing="Medium")
    return [caption, *(source(citation, reply.language, now=now) for citation in cited)]


def _buttons(reply: Reply, surface: Surface, *, is_apart: bool) -> list[Json]:
    language, id = reply.language, reply.feedback_id
    if id is None:
        return []
    data = {verbs.ANSWER: id}
    buttons = [button(texts.WHY[language], verbs.WHY, data)]
    if len(reply.citations) > SOURCES_SHOWN:
        label = texts.ALL_SOURCES[language].format(n=len(reply.citations))
        buttons.insert(0, opening(label, verbs.SOURCES, **data))
    if surface is Surface.WHISPER:
        buttons.append(opening(SHARE_HERE[language], verbs.SHARE, **data))
    if surface is Surface.PRIVATE and not is_apart:
        buttons.append(button(COPY[language], verbs.COPY, data))
    return buttons


def _read(element: Json) -> str:
    """The text of an element, or of all cells of a table."""
    if element["type"] == "RichTextBlock":
        return "".join(run["text"] for run in element["inlines"])
    cells = (cell for row in element["rows"] for cell in row["cells"])
    return "\n".join(_read(item) for cell in cells for item in cell["items"])
