"""What Teams refuses in a message: its size, its AI label, its actions and its attachments."""

import json
import re
from typing import Any

from tests.fakes.teams.cards import CARD_BYTES, check_card, readable
from tests.fakes.teams.messages import AI_ENTITY, CARD, any_of
from tests.fakes.teams.platform import Teams
from tests.fakes.teams.world import Conversation, Json, Refused

MESSAGE_BYTES = 100 * 1024
CITATIONS, NAME_CHARS, ABSTRACT_CHARS, KEYWORD_CHARS, KEYWORDS = 20, 80, 160, 28, 3
SUGGESTED_ACTIONS = 6
_ATTACHMENTS = {
    CARD,
    "application/vnd.microsoft.card.hero",
    "application/vnd.microsoft.card.thumbnail",
    "application/vnd.microsoft.teams.card.list",
    "application/vnd.microsoft.teams.card.file.consent",
    "application/vnd.microsoft.teams.card.file.info",
    "application/vnd.microsoft.teams.file.download.info",
}
_MARK = re.compile(r"\[(\d+)\]")


def size_bytes(body: Any) -> int:
    """The whole payload, as Teams counts it: in UTF-16."""
    return len(json.dumps(body, ensure_ascii=False).encode("utf-16-le"))


def split(body: Json) -> list[Json]:
    """The messages that Teams makes of it: one for the text, and one for each attachment."""
    bare = {key: value for key, value in body.items() if key not in ("text", "attachments")}
    made = [bare | {"text": body["text"]}] if str(body.get("text") or "").strip() else []
    return [*made, *(bare | {"attachments": [one]} for one in body.get("attachments") or [])]


def check_activity(teams: Teams, place: Conversation, body: Json) -> None:
    if size_bytes(body) > MESSAGE_BYTES:
        raise Refused(413, "MessageSizeTooBig", "Message size too large.")
    text, attachments = body.get("text"), body.get("attachments") or []
    if text is not None and not isinstance(text, str):
        raise _bad("text must be a string")
    if not (text or "").strip() and not attachments:
        raise _bad("Activity must include non empty 'text' field or at least 1 attachment")
    if body.get("textFormat") not in (None, "plain", "markdown", "xml"):
        raise _bad("Unknown textFormat")
    for attachment in attachments:
        _check_attachment(attachment)
    _check_mentions(teams, place, body)
    _check_ai(body)
    _check_suggested(place, body.get("suggestedActions"))
    _check_feedback(body.get("channelData") or {})


def _check_attachment(attachment: Any) -> None:
    kind = attachment.get("contentType") if isinstance(attachment, dict) else None
    if kind not in _ATTACHMENTS and not str(kind).startswith("image/"):
        raise _bad(f"Unknown attachment type: {kind}")
    content = attachment.get("content")
    if kind != CARD:
        return
    if not isinstance(content, dict):
        raise _bad("An Adaptive Card is missing")
    if len(json.dumps(content, ensure_ascii=False).encode()) > CARD_BYTES:
        raise Refused(413, "MessageSizeTooBig", "Message size too large.")
    if problems := check_card(content):
        raise Refused(400, "BadArgument", f"Invalid Adaptive Card: {'; '.join(problems)}")


def _check_mentions(teams: Teams, place: Conversation, body: Json) -> None:
    for entity in any_of(body.get("entities"), "mention"):
        shown = str(entity.get("text") or "")
        texts = [str(body.get("text") or ""), *(json.dumps(c) for c in body.get("attachments", []))]
        if not shown.startswith("<at>") or not any(shown in text for text in texts):
            raise _bad("Mention entity is not in the text")
        who = teams.world.find_user(str((entity.get("mentioned") or {}).get("id") or ""))
        if who is None or who not in teams.world.members(place):
            raise _bad("Mentioned person is not in the conversation")


def _check_ai(body: Json) -> None:
    labels = any_of(body.get("entities"), AI_ENTITY)
    if not labels:
        return
    if len(labels) > 1:
        raise _bad("Only one message entity is allowed")
    label = labels[0]
    if label.get("@type") != "Message" or label.get("@context") != "https://schema.org":
        raise _bad("Invalid message entity")
    if label.get("additionalType") not in (None, ["AIGeneratedContent"]):
        raise _bad("Invalid additionalType")
    usage = label.get("usageInfo")
    if usage is not None and (usage.get("@type") != "CreativeWork" or not usage.get("name")):
        raise _bad("Invalid usageInfo")
    citations = label.get("citation") or []
    if len(citations) > CITATIONS:
        raise _bad("Too many citations")
    marked = {int(number) for number in _MARK.findall(all_text(body))}
    positions = [c.get("position") for c in citations]
    if len(set(positions)) != len(positions):
        raise _bad("Citation positions must differ")
    for citation in citations:
        _check_citation(citation, marked)


def _check_citation(citation: Json, marked: set[int]) -> None:
    appearance = citation.get("appearance")
    position = citation.get("position")
    if citation.get("@type") != "Claim" or not isinstance(position, int):
        raise _bad("Invalid citation")
    if not appearance or appearance.get("@type") != "DigitalDocument":
        raise _bad("Citation appearance is empty")
    if position not in marked:
        raise _bad(f"Citation {position} is not in the text")
    name, abstract = appearance.get("name"), appearance.get("abstract")
    if not name or len(name) > NAME_CHARS:
        raise _bad("Citation name is missing or too long")
    if not abstract or len(abstract) > ABSTRACT_CHARS:
        raise _bad("Citation abstract is missing or too long")
    keywords = appearance.get("keywords") or []
    if len(keywords) > KEYWORDS or any(len(word) > KEYWORD_CHARS for word in keywords):
        raise _bad("Too many or too long citation keywords")
    url = appearance.get("url")
    if url is not None and not re.match(r"https?://[^\s]+$", str(url)):
        raise _bad("Citation url is invalid")


def all_text(body: Json) -> str:
    """The text and what cards show of it."""
    cards = [
        a.get("content") for a in body.get("attachments") or [] if a.get("contentType") == CARD
    ]
    return "\n".join([str(body.get("text") or ""), *(readable(card) for card in cards if card)])


def _check_suggested(place: Conversation, suggested: Any) -> None:
    if not suggested:
        return
    actions = suggested.get("actions") or []
    if place.kind != "personal":
        raise _bad("Suggested actions are only for personal chats")
    if not 1 <= len(actions) <= SUGGESTED_ACTIONS:
        raise _bad("Too many suggested actions")
    for action in actions:
        if action.get("type") != "imBack" or not action.get("title") or not action.get("value"):
            raise _bad("Invalid suggested action")


def _check_feedback(data: Json) -> None:
    loop = data.get("feedbackLoop")
    if loop is not None and loop.get("type") not in ("default", "custom"):
        raise _bad("Invalid feedbackLoop")
    if loop is not None and "feedbackLoopEnabled" in data:
        raise _bad("feedbackLoop and feedbackLoopEnabled exclude each other")


def _bad(message: str) -> Refused:
    return Refused(400, "BadArgument", message)
