"""A reply as Slack's blocks. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from adapters.chat import texts
from adapters.chat.dialog_texts import SHARE_TITLE
from adapters.chat.inert import escaped, inert_markdown, inert_mrkdwn, one_line
from adapters.slack import action_ids
from adapters.slack.listener_texts import COPY, HELPFUL, UNHELPFUL
from bot.channel import shortened
from bot.messages import Reply, ReplyKind
from retrieval.links import web_link
from retrieval.types import Band, Citation, Language

Json = dict[str, Any]

MAX_CHARACTERS = 8_000
"""Of a reply's text. A message holds some 13,000 over all blocks; sources and buttons need the rest."""

_SOURCES_SHOWN, _ALL_SOURCES = 3, 20
_MARKDOWN, _FALLBACK, _PLAIN = 8_500, 3_000, 12_000
_TITLE, _HEADING, _OWNER, _NOTICE, _ASKED = 160, 100, 60, 500, 300
_CONTEXT, _BUTTON = 1_950, 75
# Slack documents no number: 13,297 characters pass, and fewer for every block that is no Markdown.
_MESSAGE, _PER_BLOCK = 13_100, 125


class Surface(StrEnum):
    """Where a reply is shown."""

    CHANNEL = "channel"
    DIRECT = "direct"
    WHISPER = "whisper"
    """What somebody asked without the others seeing it."""
    PRIVATE = "private"
    """A fuller answer beside a shared one."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """
    Attributes:
        text: For notifications and screen readers; Slack shows the blocks instead.
        markdown: The reply's own text, which a stream shows bit by bit; may be empty.
        head: Blocks above it.
        tail: Blocks below it.
        plain: All of it without blocks, in Slack's own markup.
    """

    text: str
    markdown: str
    head: tuple[Json, ...]
    tail: tuple[Json, ...]
    plain: str

    @property
    def blocks(self) -> list[Json]:
        body = [{"type": "markdown", "text": self.markdown}] if self.markdown else []
        return [*self.head, *body, *self.tail]


def rendered(
    reply: Reply, surface: Surface, *, now: datetime, asked: str = "", is_shareable: bool = False
) -> Rendered:
    """
    Args:
        now: Tells how old the sources are.
        asked: The question, shown above an answer that stands apart from it.
        is_shareable: There is a channel in which the asker may share it.
    """
    shown = shortened(reply, MAX_CHARACTERS)
    if reply.kind is ReplyKind.STATUS:
        text = _fitting(shown.text, _NOTICE, inert_mrkdwn).strip() or "…"
        status = _context(_fitting(shown.text, _NOTICE, one_line))
        return Rendered(text, "", (), (status,) if status else (), text)
    markdown = _fitting(shown.text, _MARKDOWN, inert_markdown)
    markdown = markdown if markdown.strip() else ""
    lines = _lines_below(reply)
    head: tuple[Json, ...] = ()
    tail: tuple[Json, ...] = ()
    if reply.is_final:
        head = _head(reply, surface, asked)
        notes = _context("\n".join(lines))
        fixed = [*([notes] if notes else []), *_buttons(reply, surface, is_shareable=is_shareable)]
        used = len(markdown) + sum(_weight(block) for block in (*head, *fixed))
        sources = _sources(reply, now, _MESSAGE - used - _PER_BLOCK)
        tail = (*sources, *fixed)
    fallback = _fitting(shown.text, _FALLBACK, inert_mrkdwn).strip() or "…"
    return Rendered(fallback, markdown, head, tail, _plain(shown, lines, asked))


def _head(reply: Reply, surface: Surface, asked: str) -> tuple[Json, ...]:
    language = reply.language
    lines = [texts.FOR_YOU_ALONE[language]] if surface is Surface.PRIVATE else []
    if asked.strip():
        question = _fitting(asked, _ASKED, one_line)
        lines.append(texts.ASKED[language].format(question=question))
    block = _context("\n".join(lines))
    return (block,) if block else ()


def _lines_below(reply: Reply) -> list[str]:
    """What the reader has to know of how the answer came about; plain text."""
    language = reply.language
    lines = [_fitting(reply.notice, _NOTICE, one_line)] if reply.notice else []
    if reply.band is Band.UNSURE:
        lines.append(texts.UNSURE[language])
    if reply.is_extract and reply.band is Band.ANSWERED:
        lines.append(texts.EXTRACT[language])
    elif reply.band in (Band.ANSWERED, Band.UNSURE):
        lines.append(texts.WRITTEN_BY_AI[language])
    return lines


def _sources(reply: Reply, now: datetime, room: int) -> list[Json]:
    """The first ones, each with its link as long as there is *room* for it, in characters."""
    cited = reply.citations[:_SOURCES_SHOWN]
    if not cited:
        return []
    language = reply.language
    is_answer = reply.band is None or reply.band is Band.ANSWERED
    lines = [texts.SOURCES[language] if is_answer else texts.FURTHER[language]]
    lines += [_source(citation, reply, now, link=None) for citation in cited]
    room = min(room, _CONTEXT) - sum(len(line) + 1 for line in lines)
    for number, citation in enumerate(cited, start=1):
        link = web_link(citation.chunk.document.link)
        if link is None:
            continue
        linked = _source(citation, reply, now, link=link)
        if len(linked) - len(lines[number]) <= room:
            room -= len(linked) - len(lines[number])
            lines[number] = linked
    # Verbatim: Slack makes no links of its own.
    text = {"type": "mrkdwn", "text": "\n".join(lines), "verbatim": True}
    return [{"type": "context", "elements": [text]}]


def all_sources(citations: Sequence[Citation], language: Language, *, now: datetime) -> list[Json]:
    """What *citations* are, however many, for somebody who has asked to see them all."""
    reply = Reply(ReplyKind.NOTICE, "", language)
    blocks: list[Json] = []
    for citation in citations[:_ALL_SOURCES]:
        line = _source(citation, reply, now, link=web_link(citation.chunk.document.link))
        if len(line) > _CONTEXT:
            line = _source(citation, reply, now, link=None)
        text = {"type": "mrkdwn", "text": line, "verbatim": True}
        blocks.append({"type": "context", "elements": [text]})
    return blocks


def _source(citation: Citation, reply: Reply, now: datetime, *, link: str | None) -> str:
    document = citation.chunk.document
    title = _mrkdwn(document.title or document.id, _TITLE) or "…"
    parts = [f"<{escaped(link)}|{title}>" if link else title]
    if citation.chunk.heading_path:
        parts.append(_mrkdwn(" › ".join(citation.chunk.heading_path[-2:]), _HEADING))
    if document.owner:
        parts.append(_mrkdwn(document.owner, _OWNER))
    if document.modified_at:
        parts.append(texts.age(document.modified_at, now, reply.language))
    if document.superseded_by is not None:
        parts.append(f"*{texts.SUPERSEDED[reply.language]}*")
    return f"[{citation.number}] " + " · ".join(filter(None, parts))


def _buttons(reply: Reply, surface: Surface, *, is_shareable: bool) -> list[Json]:
    language, id = reply.language, reply.feedback_id
    if id is None:
        return []
    rating = {
        "type": "feedback_buttons",
        "action_id": action_ids.FEEDBACK,
        "positive_button": {"text": _plain_text(HELPFUL[language]), "value": f"up:{id}"},
        "negative_button": {"text": _plain_text(UNHELPFUL[language]), "value": f"down:{id}"},
    }
    buttons = [_button(texts.WHY[language], action_ids.WHY, id)]
    if len(reply.citations) > _SOURCES_SHOWN:
        label = texts.ALL_SOURCES[language].format(n=len(reply.citations))
        buttons.insert(0, _button(label, action_ids.SOURCES, id))
    if surface is Surface.WHISPER and is_shareable:
        buttons.append(_button(SHARE_TITLE[language], action_ids.SHARE, id))
    if surface is Surface.PRIVATE:
        buttons.append(_button(COPY[language], action_ids.COPY, id))
    return [{"type": "context_actions", "elements": [rating]}, _actions(buttons)]


def _plain(reply: Reply, lines: Sequence[str], asked: str) -> str:
    parts = [texts.ASKED[reply.language].format(question=one_line(asked)[:_ASKED])] if asked else []
    parts += [reply.text, *lines]
    if reply.is_final:
        parts += [
            f"[{c.number}] {one_line(c.chunk.document.title or c.chunk.document.id)[:_TITLE]}"
            for c in reply.citations[:_SOURCES_SHOWN]
        ]
    return _fitting("\n".join(filter(None, parts)), _PLAIN, inert_mrkdwn).strip() or "…"


def _fitting(text: str, most: int, shown: Callable[[str], str]) -> str:
    """What *shown* makes of as much of *text* as gives at most so many characters."""
    result = shown(text)
    end = len(text)
    while len(result) > most:
        end = min(end - 1, most, end * most // len(result))
        result = shown(text[:end].rstrip() + "…")
    return result


def _mrkdwn(text: str, most: int) -> str:
    return _fitting(one_line(text), most, inert_mrkdwn)


def _context(text: str) -> Json | None:
    """Small print in which nothing is markup."""
    text = text[:_CONTEXT].strip()
    return {"type": "context", "elements": [_plain_text(text)]} if text else None


def _actions(elements: list[Json]) -> Json:
    return {"type": "actions", "elements": elements}


def _button(label: str, action: str, value: str) -> Json:
    label = label if len(label) <= _BUTTON else label[: _BUTTON - 1] + "…"
    return {
        "type": "button",
        "action_id": action,
        "text": _plain_text(label),
        "value": value,
    }


def _plain_text(text: str) -> Json:
    return {"type": "plain_text", "text": text, "emoji": False}


def _weight(value: Any) -> int:
    """How much of a message's room a block takes, in characters."""
    return _PER_BLOCK + sum(len(text) for text in _texts(value))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        inner = [text for key, v in value.items() if key != "text" for text in _texts(v)]
        text = value.get("text")
        return [*inner, text] if isinstance(text, str) else [*inner, *_texts(text)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []
