"""Sessions and feedback as JSON with a version, for any store that keeps text."""

import json
from datetime import datetime
from typing import Any

import structlog

from bot.messages import Feedback, Rating, Session, Turn, UserRef
from retrieval.types import Language

log = structlog.get_logger()

_VERSION = 1


def encode_session(session: Session) -> str:
    return _encode(
        {
            "turns": [
                {
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
        return Session(tuple(_turn(turn) for turn in _decode(text)["turns"]))
    except (ValueError, KeyError, TypeError):
        log.warning("session.unreadable", size_bytes=len(text))
        return Session()


def _turn(values: dict[str, Any]) -> Turn:
    return Turn(
        question=values["question"],
        standalone=values["standalone"],
        answer=values["answer"],
        chunk_ids=tuple(values["chunk_ids"]),
        language=Language(values["language"]),
        at=datetime.fromisoformat(values["at"]),
    )


def encode_feedback(feedback: Feedback) -> str:
    return _encode(
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
        values = _decode(text)
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


def _encode(values: dict[str, Any]) -> str:
    return json.dumps({"v": _VERSION, **values}, ensure_ascii=False, separators=(",", ":"))


def _decode(text: str) -> dict[str, Any]:
    values = json.loads(text)
    if not isinstance(values, dict) or values.get("v") != _VERSION:
        raise ValueError("written by another version")
    return values
