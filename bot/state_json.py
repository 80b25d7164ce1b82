"""Sessions, feedback and messages as JSON with a version, for any store that keeps text."""

from datetime import datetime
from typing import Any

import structlog

from bot.messages import (
    Attachment,
    ConversationKind,
    ConversationRef,
    Feedback,
    IncomingMessage,
    Preferences,
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
                    "asker": [turn.asker.tenant, turn.asker.id] if turn.asker else None,
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
    asker = values.get("asker")
    return Turn(
        event_id=values["event_id"],
        question=values["question"],
        standalone=values["standalone"],
        answer=values["answer"],
        chunk_ids=tuple(values["chunk_ids"]),
        language=Language(values["language"]),
        at=datetime.fromisoformat(values["at"]),
        asker=UserRef(*asker) if asker else None,
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
            "about": feedback.about,
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
            about=values.get("about"),
        )
    except (ValueError, KeyError, TypeError):
        log.warning("feedback.unreadable", size_bytes=len(text))
        return None


def encode_preferences(preferences: Preferences) -> str:
    return _json.encode({"language": preferences.language})


def decode_preferences(text: str) -> Preferences:
    """The preferences in *text*; none when another version wrote it."""
    try:
        language = _json.decode(text)["language"]
        return Preferences(Language(language) if language else None)
    except (ValueError, KeyError, TypeError):
        log.warning("preferences.unreadable", size_bytes=len(text))
        return Preferences()


def encode_message(message: IncomingMessage, **more: str) -> str:
    """*more*: what else belongs to it, as `decode_message` returns it."""
    return _json.encode(
        {
            "event_id": message.event_id,
            "tenant": message.user.tenant,
            "user": message.user.id,
            "conversation": conversation_values(message.conversation),
            "text": message.text,
            "sent_at": message.sent_at.isoformat(),
            "locale": message.locale,
            "attachments": [
                [file.id, file.name, file.media_type, file.size_bytes]
                for file in message.attachments
            ],
            "looking_at": message.looking_at,
            "is_mid_thread": message.is_mid_thread,
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
        message = IncomingMessage(
            event_id=values["event_id"],
            user=UserRef(values["tenant"], values["user"]),
            conversation=conversation_in(values["conversation"]),
            text=values["text"],
            sent_at=datetime.fromisoformat(values["sent_at"]),
            locale=Language(values["locale"]) if values["locale"] else None,
            # What was put before these were thought of has none of them.
            attachments=tuple(Attachment(*file) for file in values.get("attachments", ())),
            looking_at=tuple(values.get("looking_at", ())),
            is_mid_thread=values.get("is_mid_thread", False),
        )
        return message, dict(values["more"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"no message: {error}") from error


def conversation_values(conversation: ConversationRef) -> dict[str, Any]:
    return {
        "platform": conversation.platform,
        "tenant": conversation.tenant,
        "channel": conversation.channel,
        "kind": conversation.kind,
        "thread": conversation.thread,
    }


def conversation_in(values: dict[str, Any]) -> ConversationRef:
    """From `conversation_values`; raises as looking up and parsing do."""
    return ConversationRef(
        platform=values["platform"],
        tenant=values["tenant"],
        channel=values["channel"],
        kind=ConversationKind(values["kind"]),
        thread=values["thread"],
    )
