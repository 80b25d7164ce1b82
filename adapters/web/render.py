"""Values to the JSON that the page reads; the one place where a reply or a person is serialised."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.web.messages import Cited, WebMessage
from bot.directory import Person
from bot.messages import Reply, UserRef
from retrieval.access import Level
from retrieval.links import web_link
from retrieval.types import Chunk

Json = dict[str, Any]


def reply_json(reply: Reply, cited: Sequence[Cited], sources: Mapping[str, Json]) -> Json:
    """Without the passages' text: opening a citation fetches it, with the rights of that moment."""
    return {
        "kind": reply.kind,
        "text": reply.text,
        "language": reply.language,
        "band": reply.band,
        "is_extract": reply.is_extract,
        "notice": reply.notice,
        "suggestions": list(reply.suggestions),
        "citations": [{"number": c.number, **sources[c.chunk_id]} for c in cited],
        "can_rate": reply.feedback_id is not None,
    }


def message_json(
    message: WebMessage,
    viewer: UserRef,
    sources: Mapping[str, Json],
    *,
    withheld: str | None = None,
) -> Json:
    """
    A message as *viewer* may see it.

    Args:
        sources: By chunk id, of what they may read; all that is cited, unless *withheld*.
        withheld: Why the reply is not shown (`withdrawn`, `unchecked`); nothing of it is sent then.
    """
    reply = message.reply
    return {
        "id": message.id,
        "client_id": message.client_id if message.author == viewer else None,
        "order": message.order,
        "thread": message.conversation.thread,
        "at": _time(message.at),
        "author": {"id": message.author.id, "name": message.author_name}
        if message.author
        else None,
        "is_mine": message.author == viewer,
        "is_open": message.is_open,
        "is_private": message.private_to is not None,
        "answers": message.answers,
        "text": message.text,
        "reply": reply_json(reply, message.cited, sources) if reply and not withheld else None,
        "withheld": withheld,
        "rating": message.rating,
    }


def person_json(person: Person) -> Json:
    return {
        "id": person.ref.id,
        "name": person.name,
        "title": person.title,
        "groups": list(person.groups),
        "kind": _person_kind(person),
    }


def stranger_json(user: UserRef) -> Json:
    """A member whom the directory does not know."""
    return {"id": user.id, "name": user.id, "title": "", "groups": [], "kind": "guest"}


def passage_json(chunk: Chunk, owners: Mapping[str, str]) -> Json:
    """A passage opened by somebody who may read it. *owners*: names by id, where known."""
    document = chunk.document
    return {
        **source_json(chunk),
        "text": chunk.text,
        "document_id": document.id,
        "owner_name": owners.get(document.owner or "", document.owner),
        "version": document.version,
        "review_at": _time(document.review_at),
        "language": document.language,
        "link": web_link(document.link),
    }


def source_json(chunk: Chunk) -> Json:
    """What a citation shows of its passage, to somebody who may read it."""
    document = chunk.document
    return {
        "chunk_id": chunk.id,
        "title": document.title or document.id,
        "heading_path": list(chunk.heading_path),
        "owner": document.owner,
        "modified_at": _time(document.modified_at),
        # That it is superseded, not by what: the newer document may be closed to the reader.
        "superseded": document.superseded_by is not None,
    }


def _person_kind(person: Person) -> str:
    """To see at a glance; rights come from the reader. Guests are cleared for nothing internal."""
    if person.is_employee:
        return "employee"
    return "guest" if person.reader.clearance is Level.PUBLIC else "contractor"


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
