"""A reply as a message of Teams: text alone or one card alone, for both together become two messages. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.chat import texts
from adapters.chat.inert import BREAK
from adapters.teams import elements
from adapters.teams.ai_label import ai_label, marked
from adapters.teams.answer_cards import (
    SOURCES_SHOWN,
    AnswerCard,
    Surface,
    answer_card,
    notes,
    sources_title,
    title,
)
from adapters.teams.json_values import Json
from adapters.teams.markdown import Block, Table, blocks, clean, inert, message_markdown, plain
from adapters.teams.texts import FULLER_APART, SOMEWHERE
from bot.channel import shortened
from bot.commands import NAMES, Command
from bot.messages import Reply, ReplyKind

MAX_CHARACTERS = 8_000
"""Of a reply's text, wherever it is shown."""

_TEXT, _STATUS, _PLAIN, _SUMMARY = 9_000, 900, 12_000, 200
_PLACE, _ASKED = 160, 300
_SUGGESTION_TITLE, _SUGGESTION = 60, 500

_SUGGESTIONS = 3
"""Teams shows no more."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """
    Attributes:
        text: What of the reply a text can show, in Markdown; a stream shows it bit by bit.
        versions: The whole message; then what to try when Teams refuses it, with ever less around its text.
    """

    text: str
    versions: tuple[Json, ...]

    @property
    def activity(self) -> Json:
        return self.versions[0]

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
    reply = shortened(reply, MAX_CHARACTERS)
    if reply.kind is ReplyKind.STATUS:
        return _only(_fitting(reply.text, _STATUS, inert).strip() or "…")
    several = blocks(reply.text)
    above = _above(reply, surface, asked, apart_from)
    head = "".join(f"> {inert(line)}\n\n" for line in above)
    text = _before_a_table(several, is_whole=reply.is_final)
    text = _fitting(text, _TEXT, _markdown).rstrip("\r\n")
    shown = head + text if text.strip() else ""
    if not reply.is_final:
        return _only(shown)
    made = _card(reply, surface, several, above, now, is_apart=apart_from is not None)
    if made is not None:
        activity: Json = {"type": "message", "attachments": [elements.attachment(made.content)]}
        if summary := _fitting(" ".join(made.text.split()), _SUMMARY, inert):
            activity["summary"] = summary
        activity |= _around(reply, made.text, now)
    else:
        text = (text if text.strip() else "…") + _unmarked(reply, text)
        shown = head + text + _notes(reply)
        activity = _message(shown) | _around(reply, text, now)
        # Beside a card Teams shows none.
        if surface is Surface.PERSONAL and to and (actions := _suggested(reply)):
            activity["suggestedActions"] = {"to": [to], "actions": actions}
    plain_text = _plain(reply, head)
    labelled = _message(plain_text) | _around(reply, plain_text, now)
    versions = [activity, labelled, _message(plain_text)]
    return Rendered(shown, tuple(v for n, v in enumerate(versions) if v not in versions[:n]))


def personal_card(reply: Reply, *, now: datetime) -> Json:
    """All of a fuller answer as the card that its one reader sees in place of everybody's."""
    reply = shortened(reply, MAX_CHARACTERS)
    above = [texts.FOR_YOU_ALONE[reply.language]]
    return answer_card(reply, Surface.PRIVATE, above, now=now, is_in_place=True).content


def _above(reply: Reply, surface: Surface, asked: str, apart_from: str | None) -> list[str]:
    language = reply.language
    lines = []
    if surface is Surface.PRIVATE and apart_from is not None:
        place = plain(apart_from)[:_PLACE] or SOMEWHERE[language]
        lines.append(FULLER_APART[language].format(place=place))
    elif surface is Surface.PRIVATE:
        lines.append(texts.FOR_YOU_ALONE[language])
    if question := plain(asked):
        question = question if len(question) <= _ASKED else question[: _ASKED - 1] + "…"
        lines.append(texts.ASKED[language].format(question=question))
    return lines


def _card(
    reply: Reply,
    surface: Surface,
    several: Sequence[Block],
    above: Sequence[str],
    now: datetime,
    *,
    is_apart: bool,
) -> AnswerCard | None:
    """None for what is better shown as text, whose sources Teams shows by itself."""
    has_table = any(isinstance(block, Table) for block in several)
    is_plain = surface is Surface.PERSONAL or reply.kind is ReplyKind.NOTICE
    has_more = reply.citations or notes(reply) or reply.feedback_id is not None
    if not has_table and (is_plain or not has_more):
        return None
    made = answer_card(reply, surface, above, now=now, is_apart=is_apart)
    # A text holds more than a card.
    return made if made.is_whole or has_table else None


def _before_a_table(several: Sequence[Block], *, is_whole: bool) -> str:
    """What a text can show; the same however much follows."""
    made = []
    for n, block in enumerate(several):
        is_last = n == len(several) - 1
        # Of something unfinished, its last line may yet turn out to be the head of a table.
        is_open = not is_whole and is_last and ("|" in block.raw or type(block) is not Block)
        if isinstance(block, Table) or is_open:
            break
        made.append(block.raw)
    return "".join(made)


def _markdown(text: str) -> str:
    return message_markdown(blocks(text))


def _around(reply: Reply, shown: str, now: datetime) -> Json:
    """
    What Teams itself shows around a message.

    Args:
        shown: What is read in it.
    """
    around: Json = {}
    if label := ai_label(reply, shown.replace(BREAK, ""), now=now):
        around["entities"] = [label]
    if reply.feedback_id is not None:
        around["channelData"] = {"feedbackLoop": {"type": "custom"}}
    return around


def _unmarked(reply: Reply, text: str) -> str:
    """The sources that no sentence names, so that Teams shows them too."""
    if reply.kind is ReplyKind.NOTICE:
        return ""
    numbers = marked(text.replace(BREAK, ""))
    rest = [c for c in reply.citations[:SOURCES_SHOWN] if c.number not in numbers]
    if not rest:
        return ""
    named = " · ".join(f"{inert(title(citation))} [{citation.number}]" for citation in rest)
    return f"\n\n**{sources_title(reply)}** {named}"


def _notes(reply: Reply) -> str:
    lines = [inert(" ".join(note.split())) for note in notes(reply)]
    return "\n\n" + "  \n".join(f"_{line}_" for line in lines if line) if lines else ""


def _suggested(reply: Reply) -> list[Json]:
    """Questions that follow; and the one that is a button where there is a card."""
    language = reply.language
    made = []
    if reply.feedback_id is not None:
        # The word is a command, and stands in the chat as if it had been written.
        why = {"title": texts.WHY[language], "value": NAMES[Command.WHY][language]}
        made.append({"type": "imBack", **why})
    questions = []
    for question in reply.suggestions[: _SUGGESTIONS - len(made)]:
        if value := " ".join(clean(question).split())[:_SUGGESTION]:
            cut = len(value) > _SUGGESTION_TITLE
            label = value[: _SUGGESTION_TITLE - 1] + "…" if cut else value
            questions.append({"type": "imBack", "title": label, "value": value})
    return [*questions, *made]


def _plain(reply: Reply, head: str) -> str:
    cited = [f"[{c.number}] {title(c)}" for c in reply.citations[:SOURCES_SHOWN]]
    whole = "\n\n".join([reply.text, *notes(reply), *cited])
    return head + (_fitting(whole, _PLAIN, inert).strip() or "…")


def _only(text: str) -> Rendered:
    return Rendered(text, (_message(text),))


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
