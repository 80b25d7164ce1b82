"""Messages of the page as JSON with a version: what never changes of one, and its reply, apart."""

from datetime import datetime
from typing import Any

from adapters.web.messages import Cited, DirectConversation, WebMessage
from bot.messages import ConversationKind, ConversationRef, Reply, ReplyKind, UserRef
from bot.versioned_json import VersionedJson
from retrieval.types import Band, Language

_json = VersionedJson(1)


def encode_head(message: WebMessage) -> str:
    """All but the reply, and but what is counted and noted about the message."""
    where = message.conversation
    return _json.encode(
        {
            "conversation": [where.platform, where.tenant, where.channel, where.kind, where.thread],
            "at": message.at.isoformat(),
            "author": _person(message.author),
            "author_name": message.author_name,
            "text": message.text,
            "private_to": _person(message.private_to),
            "answers": message.answers,
            "client_id": message.client_id,
        }
    )


def encode_reply(message: WebMessage) -> str:
    """Of what it cites, numbers and ids alone."""
    reply = message.reply
    if reply is None:
        return ""
    return _json.encode(
        {
            "kind": reply.kind,
            "text": reply.text,
            "language": reply.language,
            "cited": [[c.number, c.chunk_id] for c in message.cited],
            "band": reply.band,
            "is_extract": reply.is_extract,
            "notice": reply.notice,
            "suggestions": reply.suggestions,
            "feedback_id": reply.feedback_id,
        }
    )


def decode_message(id: str, head: str, reply: str) -> WebMessage:
    """
    The message, of what `encode_head` and `encode_reply` made.

    Raises:
        ValueError: If another version wrote it.
    """
    try:
        values = _json.decode(head)
        platform, tenant, channel, kind, thread = values["conversation"]
        where = ConversationRef(platform, tenant, channel, ConversationKind(kind), thread)
        said = _json.decode(reply) if reply else None
        return WebMessage(
            id=id,
            conversation=where,
            at=datetime.fromisoformat(values["at"]),
            author=_user(values["author"]),
            author_name=values["author_name"],
            text=values["text"],
            reply=_reply(said) if said else None,
            cited=tuple(Cited(n, chunk_id) for n, chunk_id in said["cited"]) if said else (),
            private_to=_user(values["private_to"]),
            answers=values["answers"],
            client_id=values["client_id"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no message: {error}") from error


def encode_direct(direct: DirectConversation) -> str:
    return _json.encode(
        {"channel": direct.channel, "question": direct.question, "at": direct.at.isoformat()}
    )


def decode_direct(text: str) -> DirectConversation:
    """Raises `ValueError` if another version wrote it."""
    try:
        values = _json.decode(text)
        at = datetime.fromisoformat(values["at"])
        return DirectConversation(values["channel"], values["question"], at)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no conversation: {error}") from error


def _reply(values: dict[str, Any]) -> Reply:
    return Reply(
        kind=ReplyKind(values["kind"]),
        text=values["text"],
        language=Language(values["language"]),
        band=Band(values["band"]) if values["band"] else None,
        is_extract=values["is_extract"],
        notice=values["notice"],
        suggestions=tuple(values["suggestions"]),
        feedback_id=values["feedback_id"],
    )


def _person(user: UserRef | None) -> list[str] | None:
    return [user.tenant, user.id] if user else None


def _user(values: list[str] | None) -> UserRef | None:
    return UserRef(*values) if values else None
