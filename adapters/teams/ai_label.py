"""The one entity by which Teams marks a message as AI's, shows its citations, and how far it may travel. Pure."""

import re
from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from adapters.chat import texts
from adapters.teams.json_values import Json
from adapters.teams.markdown import plain
from adapters.teams.texts import LABELS
from bot.messages import Reply
from retrieval.access import Level
from retrieval.links import web_link
from retrieval.types import Band, Citation, Document

MAX_CITATIONS = 20
_NAME, _ABSTRACT, _KEYWORD, _KEYWORDS, _MAX_URL = 80, 160, 28, 3, 500
_MARKER = re.compile(r"\[(\d{1,6})\]")

# What Teams has pictures for.
_ICONS = {
    "pdf": "PDF",
    "doc": "Microsoft Word",
    "docx": "Microsoft Word",
    "xls": "Microsoft Excel",
    "xlsx": "Microsoft Excel",
    "ppt": "Microsoft PowerPoint",
    "pptx": "Microsoft PowerPoint",
    "txt": "Text",
    "zip": "ZIP",
}


def ai_label(reply: Reply, shown: str, *, now: datetime) -> Json | None:
    """
    Args:
        shown: What of the answer's own text people read; only what is marked in it is cited.
    """
    numbers = marked(shown)
    cited = {c.number: c for c in reversed(reply.citations) if c.number in numbers}
    claims = [_claim(cited[number], reply, now) for number in sorted(cited)[:MAX_CITATIONS]]
    usage = _usage(reply)
    if not (claims or usage or is_written_by_ai(reply)):
        return None
    label: Json = {
        "type": "https://schema.org/Message",
        "@type": "Message",
        "@context": "https://schema.org",
        "@id": "",
    }
    if is_written_by_ai(reply):
        label["additionalType"] = ["AIGeneratedContent"]
    if claims:
        label["citation"] = claims
    return label | ({"usageInfo": usage} if usage else {})


def marked(text: str) -> frozenset[int]:
    """The numbers of the sources that *text* names."""
    return frozenset(int(number) for number in _MARKER.findall(text))


def is_written_by_ai(reply: Reply) -> bool:
    return reply.band in (Band.ANSWERED, Band.UNSURE) and not reply.is_extract


def _claim(citation: Citation, reply: Reply, now: datetime) -> Json:
    document = citation.chunk.document
    appearance: Json = {
        "@type": "DigitalDocument",
        "name": _cut(plain(document.title or document.id), _NAME),
        "abstract": _cut(plain(citation.chunk.text), _ABSTRACT),
    }
    keywords = [plain(document.owner or "")]
    if document.modified_at:
        keywords.append(texts.age(document.modified_at, now, reply.language))
    if document.superseded_by is not None:
        keywords.append(texts.SUPERSEDED[reply.language])
    if keywords := [_cut(word, _KEYWORD) for word in keywords if word][:_KEYWORDS]:
        appearance["keywords"] = keywords
    link = web_link(document.link)
    if link and len(link) <= _MAX_URL:
        appearance["url"] = link
    if icon := _icon(document):
        appearance["image"] = {"@type": "ImageObject", "name": icon}
    return {"@type": "Claim", "position": citation.number, "appearance": appearance}


def _usage(reply: Reply) -> Json | None:
    """By the most sensitive of the documents that it rests on."""
    # What somebody attached to the question has no level of its own.
    levels = [c.chunk.acl.level for c in reply.citations if not c.chunk.is_transient]
    level = max(levels, default=Level.PUBLIC)
    if level not in LABELS:
        return None
    name, description = LABELS[level][reply.language]
    return {"@type": "CreativeWork", "name": name, "description": description}


def _icon(document: Document) -> str | None:
    link = web_link(document.link)
    path = urlsplit(link).path if link else document.id
    return _ICONS.get(PurePosixPath(path).suffix[1:].lower())


def _cut(text: str, most: int) -> str:
    text = text if len(text) <= most else text[: most - 1].rstrip() + "…"
    return text or "…"
