"""A reply as a message of Teams: a text that can be streamed, and a card for what a text cannot hold. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from adapters.chat import texts
from adapters.chat.inert import BREAK
from adapters.teams import elements, verbs
from adapters.teams.ai_label import ai_label, is_written_by_ai
from adapters.teams.elements import button, line, linked, opening, pieces, words
from adapters.teams.markdown import Block, Table, blocks, clean, inert, message_markdown, plain
from adapters.teams.texts import BELOW, COPY, FULLER_APART, SHARE_HERE, SOMEWHERE
from bot.channel import shortened
from bot.messages import Reply, ReplyKind
from retrieval.links import web_link
from retrieval.types import Band, Citation, Language

Json = dict[str, Any]

MAX_CHARACTERS = 8_000
"""Of a reply's text, wherever it is shown."""

_LONG_TEXT = 2_500
"""What follows the block that goes beyond this stands in the card: nobody scrolls through one bubble."""

_SOURCES_SHOWN = 3
_TEXT, _STATUS, _PLAIN = 9_000, 900, 12_000
_TITLE, _HEADING, _OWNER, _NOTICE, _ASKED, _FALLBACK = 160, 100, 60, 500, 300, 600
_SUGGESTIONS, _SUGGESTION_TITLE, _SUGGESTION = 6, 60, 500


class Surface(StrEnum):
    """Where a reply is shown."""

    PERSONAL = "personal"
    SHARED = "shared"
    WHISPER = "whisper"
    """What somebody asked without the others seeing it."""
    PRIVATE = "private"
    """A fuller answer beside a shared one."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """
    Attributes:
        text: What of the reply a message's text shows, in Markdown; a stream shows it bit by bit.
        activity: The whole message.
        plain: The same as text alone, should Teams refuse that.
    """

    text: str
    activity: Json
    plain: Json

    @property
    def card(self) -> Json | None:
        attached = self.activity.get("attachments")
        return attached[0]["content"] if attached else None


def rendered(
    reply: Reply,
    surface: Surface,
    *,
    now: datetime,
    asked: str = "",
    to: str = "",
    apart_from: str | None = None,
) -> Rendered:
    """
    Args:
        now: Tells how old the sources are.
        asked: The question, shown above an answer that stands apart from it.
        to: Whom questions are suggested to, `29:…`; nobody if empty.
        apart_from: What the conversation is called in which it was asked, if the answer stands in the
            chat with one person instead; may be empty.
    """
    shown = shortened(reply, MAX_CHARACTERS)
    if reply.kind is ReplyKind.STATUS:
        return _only_text(_fitting(shown.text, _STATUS, inert).strip() or "…")
    above, below = _split(blocks(shown.text), is_whole=reply.is_final)
    text = _fitting("".join(block.raw for block in above), _TEXT, _markdown).rstrip("\r\n")
    head = _head(reply, surface, asked, apart_from)
    if not reply.is_final:
        return _only_text(head + text if text.strip() else "")
    made = _card(reply, surface, below, now, is_apart=apart_from is not None)
    message = head + (text if text.strip() else BELOW[reply.language] if made else "…")
    activity: Json = {"type": "message", "textFormat": "markdown", "text": message}
    if made:
        activity["attachments"] = [elements.attachment(made)]
    answer = text + "".join(block.raw for block in below)
    if label := ai_label(reply, answer.replace(BREAK, ""), now=now):
        activity["entities"] = [label]
    if reply.feedback_id is not None:
        activity["channelData"] = {"feedbackLoop": {"type": "custom"}}
    if surface is Surface.PERSONAL and to and (actions := _suggested(reply.suggestions)):
        activity["suggestedActions"] = {"to": [to], "actions": actions}
    return Rendered(message, activity, _message(_plain(shown, head)))


def personal_card(reply: Reply, *, now: datetime) -> Json:
    """All of a fuller answer as the card that its one reader sees in place of everybody's."""
    shown = shortened(reply, MAX_CHARACTERS)
    made = _card(reply, Surface.PRIVATE, blocks(shown.text), now, is_all=True)
    assert made is not None
    return made


def _split(several: list[Block], *, is_whole: bool) -> tuple[list[Block], list[Block]]:
    """What goes into the text, and what follows it in the card; the same however much follows."""
    length = 0
    for n, block in enumerate(several):
        is_last = n == len(several) - 1
        # Of something unfinished, its last line may yet turn out to be the head of a table.
        is_open = not is_whole and is_last and ("|" in block.raw or type(block) is not Block)
        if isinstance(block, Table) or length > _LONG_TEXT or is_open:
            return several[:n], several[n:]
        length += len(block.raw)
    return several, []


def _markdown(text: str) -> str:
    return message_markdown(blocks(text))


def _head(reply: Reply, surface: Surface, asked: str, apart_from: str | None) -> str:
    language = reply.language
    lines = []
    if surface is Surface.PRIVATE and apart_from is not None:
        place = inert(plain(apart_from))[:_TITLE] or SOMEWHERE[language]
        lines.append(FULLER_APART[language].format(place=place))
    elif surface is Surface.PRIVATE:
        lines.append(texts.FOR_YOU_ALONE[language])
    if asked.strip():
        question = _fitting(asked, _ASKED, lambda text: inert(plain(text)))
        lines.append(texts.ASKED[language].format(question=question))
    return "".join(f"> {text}\n\n" for text in lines)


def _card(
    reply: Reply,
    surface: Surface,
    rest: Sequence[Block],
    now: datetime,
    *,
    is_apart: bool = False,
    is_all: bool = False,
) -> Json | None:
    """
    What belongs below a message's text; None if nothing does.

    Args:
        is_all: There is no text: the card stands for the whole message.
    """
    language = reply.language
    foot = [*_sources(reply, now), *_notes(reply, is_all=is_all)]
    buttons = _buttons(reply, surface, is_apart=is_apart)
    if not (rest or foot or buttons or is_all):
        return None
    top = [line(texts.FOR_YOU_ALONE[language], isSubtle=True, size="Small")] if is_all else []
    titles = [_title(citation) for citation in reply.citations[:_SOURCES_SHOWN]]
    fallback = " ".join([shortened(reply, _FALLBACK).text, *titles])
    is_wide = any(isinstance(block, Table) for block in rest)

    def whole(middle: list[Json]) -> Json:
        body = [*top, *middle, *foot]
        return elements.card(body, buttons, language=language, fallback=fallback, is_wide=is_wide)

    room = elements.MAX_CARD_BYTES - elements.size_bytes(whole([]))
    return whole(elements.prose(rest, room_bytes=room))


def _notes(reply: Reply, *, is_all: bool) -> list[Json]:
    """What the reader has to know of how the answer came about."""
    language = reply.language
    lines = [clean(reply.notice)[:_NOTICE]] if reply.notice else []
    if reply.band is Band.UNSURE:
        lines.append(texts.UNSURE[language])
    if reply.is_extract and reply.band is Band.ANSWERED:
        lines.append(texts.EXTRACT[language])
    elif is_all and is_written_by_ai(reply):
        # Elsewhere Teams itself says so, above the message.
        lines.append(texts.WRITTEN_BY_AI[language])
    return [line(text, isSubtle=True, size="Small") for text in lines]


def _sources(reply: Reply, now: datetime) -> list[Json]:
    """The first ones; a button leads to all."""
    cited = reply.citations[:_SOURCES_SHOWN]
    if not cited:
        return []
    is_answer = reply.band is None or reply.band is Band.ANSWERED
    title = (texts.SOURCES if is_answer else texts.FURTHER)[reply.language]
    caption = words(title, weight="Bolder", size="Small", spacing="Medium")
    return [caption, *(source(citation, reply.language, now=now) for citation in cited)]


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
    inlines = [number, linked(_title_of(citation), web_link(document.link), **style)]
    if more := [part for part in more if part]:
        about = " · " + " · ".join(more)
        inlines.append({"type": "TextRun", "text": about, "isSubtle": True, **style})
    if document.superseded_by is not None:
        newer = f" · {texts.SUPERSEDED[language]}"
        inlines.append({"type": "TextRun", "text": newer, "color": "Attention", **style})
    return pieces(inlines)


def _buttons(reply: Reply, surface: Surface, *, is_apart: bool) -> list[Json]:
    language, id = reply.language, reply.feedback_id
    if id is None:
        return []
    data = {verbs.ANSWER: id}
    buttons = [button(texts.WHY[language], verbs.WHY, data)]
    if len(reply.citations) > _SOURCES_SHOWN:
        label = texts.ALL_SOURCES[language].format(n=len(reply.citations))
        buttons.insert(0, opening(label, verbs.SOURCES, **data))
    if surface is Surface.WHISPER:
        buttons.append(opening(SHARE_HERE[language], verbs.SHARE, **data))
    if surface is Surface.PRIVATE and not is_apart:
        buttons.append(button(COPY[language], verbs.COPY, data))
    return buttons


def _suggested(questions: Sequence[str]) -> list[Json]:
    made = []
    for question in questions[:_SUGGESTIONS]:
        if value := " ".join(clean(question).split())[:_SUGGESTION]:
            cut = len(value) > _SUGGESTION_TITLE
            title = value[: _SUGGESTION_TITLE - 1] + "…" if cut else value
            made.append({"type": "imBack", "title": title, "value": value})
    return made


def _plain(reply: Reply, head: str) -> str:
    notes = [reply.notice] if reply.notice else []
    cited = [_title(citation) for citation in reply.citations[:_SOURCES_SHOWN]]
    whole = "\n\n".join([reply.text, *notes, *cited])
    return head + (_fitting(whole, _PLAIN, inert).strip() or "…")


def _title(citation: Citation) -> str:
    return f"[{citation.number}] {_title_of(citation)}"


def _title_of(citation: Citation) -> str:
    document = citation.chunk.document
    return plain(document.title or document.id)[:_TITLE]


def _only_text(text: str) -> Rendered:
    return Rendered(text, _message(text), _message(text))


def _message(text: str) -> Json:
    return {"type": "message", "textFormat": "markdown", "text": text}


def _fitting(text: str, most: int, shown: Callable[[str], str]) -> str:
    """What *shown* makes of as much of *text* as gives at most so many characters."""
    result = shown(text)
    end = len(text)
    while len(result) > most:
        end = min(end - 1, most, end * most // len(result))
        result = shown(text[:end].rstrip() + "…")
    return result
