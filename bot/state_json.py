"""Sessions, feedback and messages as JSON with a version, for any store that keeps text."""

from datetime import datetime
from typing import Any

import structlog

from bot.messages import (
    ConversationKind,
    ConversationRef,
    Feedback,
    IncomingMessage,
    Rating,
    Session,
    Turn,
    UserRef,
)
from bot.versioned_json import VersionedJson
from retrieval.types import Language

_json = VersionedJson(1)

log = structlog.get_logger()


def encode_session(session: Session) -> str:
    return _json.encode(
        {
            "turns": [
                {
                    "event_id": turn.event_id,
                    "question": turn.question,
                    "standalone": turn.standalone,
                    "answer": turn.answer,
                    "chunk_ids": turn.chunk_ids,
                    "language": turn.language,
                    "at": turn.at.isoformat(),
                }
                for turn in session.turns
            ]
        }
    )


def decode_session(text: str) -> Session:
    """The session in *text*; an empty one when another version wrote it, as if it had expired."""
    try:
        return Session(tuple(_turn(turn) for turn in _json.decode(text)["turns"]))
    except (ValueError, KeyError, TypeError):
        log.warning("session.unreadable", size_bytes=len(text))
        return Session()


def _turn(values: dict[str, Any]) -> Turn:
    return Turn(
        event_id=values["event_id"],
        question=values["question"],
        standalone=values["standalone"],
        answer=values["answer"],
        chunk_ids=tuple(values["chunk_ids"]),
        language=Language(values["language"]),
        at=datetime.fromisoformat(values["at"]),
    )


def encode_feedback(feedback: Feedback) -> str:
    return _json.encode(
        {
            "feedback_id": feedback.feedback_id,
            "tenant": feedback.user.tenant,
            "user": feedback.user.id,
            "rating": feedback.rating,
            "at": feedback.at.isoformat(),
            "comment": feedback.comment,
        }
    )


def decode_feedback(text: str) -> Feedback | None:
    """The feedback in *text*; None when another version wrote it."""
    try:
        values = _json.decode(text)
        return Feedback(
            feedback_id=values["feedback_id"],
            user=UserRef(values["tenant"], values["user"]),
            rating=Rating(values["rating"]),
            at=datetime.fromisoformat(values["at"]),
            comment=values["comment"],
        )
    except (ValueError, KeyError, TypeError):
        log.warning("feedback.unreadable", size_bytes=len(text))
        return None


def encode_message(message: IncomingMessage, **more: str) -> str:
    """*more*: what else belongs to it, as `decode_message` returns it."""
    where = message.conversation
    return _json.encode(
        {
            "event_id": message.event_id,
            "tenant": message.user.tenant,
            "user": message.user.id,
            "conversation": {
                "platform": where.platform,
                "tenant": where.tenant,
                "channel": where.channel,
                "kind": where.kind,
                "thread": where.thread,
            },
            "text": message.text,
            "sent_at": message.sent_at.isoformat(),
            "locale": message.locale,
            "more": more,
        }
    )


def decode_message(text: str) -> tuple[IncomingMessage, dict[str, str]]:
    """
    The message, and what else was put beside it.

    Raises:
        ValueError: If another version wrote it.
    """
    try:
        values = _json.decode(text)
        where = values["conversation"]
        message = IncomingMessage(
            event_id=values["event_id"],
            user=UserRef(values["tenant"], values["user"]),
            conversation=ConversationRef(
                platform=where["platform"],
                tenant=where["tenant"],
                channel=where["channel"],
                kind=ConversationKind(where["kind"]),
                thread=where["thread"],
            ),
            text=values["text"],
            sent_at=datetime.fromisoformat(values["sent_at"]),
            locale=Language(values["locale"]) if values["locale"] else None,
        )
        return message, dict(values["more"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"no message: {error}") from error
