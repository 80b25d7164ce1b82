"""Slack's modals as values: for feedback, sharing, asking and saving. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.chat.dialog_texts import (
    CANCEL,
    FEEDBACK_LABEL,
    FEEDBACK_TITLE,
    SAVE_AUDIENCE,
    SAVE_AUDIENCES,
    SAVE_CUT,
    SAVE_HINT,
    SAVE_LABELS,
    SAVE_TITLE,
    SEND,
    SHARE,
    SHARE_MISSING,
    SHARE_NOTHING_MISSING,
    SHARE_QUESTION,
    SHARE_TITLE,
    SHARE_UNCHECKED,
)
from adapters.slack import action_ids
from adapters.slack.listener_texts import (
    ASK_MODAL,
    ASK_PLACEHOLDER,
    CLOSE,
    LOADING,
)
from bot.conversation import MAX_QUESTION_CHARACTERS
from bot.given_answers import SharePreview
from retrieval.types import Language

View = dict[str, Any]

_MAX_SHOWN = 10
_MAX_INPUT, _MAX_SECTION, _MAX_TITLE = 3_000, 2_900, 150
AUDIENCES = ("channel", "everyone", "me")


def loading(title: str, language: Language) -> View:
    return _modal(title, [_section(LOADING[language])], language)


def told(title: str, text: str, language: Language) -> View:
    return _modal(title, [_section(text)], language)


def feedback(answer_id: str, language: Language) -> View:
    return _modal(
        FEEDBACK_TITLE[language],
        [_input("comment", FEEDBACK_LABEL[language], multiline=True, optional=True)],
        language,
        submit=SEND[language],
        callback=action_ids.FEEDBACK_VIEW,
        metadata=answer_id,
    )


def share(preview: SharePreview, metadata: str, language: Language) -> View:
    blocks = [_section(SHARE_QUESTION[language].format(question=preview.question))]
    if not preview.is_checked:
        blocks.append(_section(SHARE_UNCHECKED[language]))
    elif preview.missing:
        shown = "\n".join(f"• {title}" for title in preview.missing[:_MAX_SHOWN])
        text = SHARE_MISSING[language].format(
            readers=preview.readers, missing=len(preview.missing), shared=preview.shared
        )
        blocks += [_section(text), _section(shown)]
    else:
        blocks.append(_section(SHARE_NOTHING_MISSING[language].format(readers=preview.readers)))
    return _modal(
        SHARE_TITLE[language],
        blocks,
        language,
        submit=SHARE[language],
        callback=action_ids.SHARE_VIEW,
        metadata=metadata,
    )


def ask(recent: Sequence[str], language: Language) -> View:
    """A question for a private answer; *recent*: the person's own, to ask once more."""
    title, label = ASK_MODAL[language]
    blocks = [
        _input(
            "question",
            label,
            multiline=True,
            placeholder=ASK_PLACEHOLDER[language],
            max_length=min(_MAX_INPUT, MAX_QUESTION_CHARACTERS),
        )
    ]
    if recent:
        lines = "\n".join(f"• {question[:200]}" for question in recent[:3])
        blocks.append({"type": "context", "elements": [_plain(lines)]})
    return _modal(title, blocks, language, submit=SEND[language], callback=action_ids.ASK_VIEW)


def save(title: str, text: str, metadata: str, language: Language) -> View:
    """What is to become knowledge, once somebody has approved it."""
    title_label, text_label = SAVE_LABELS[language]
    options = [
        {"text": _plain(label), "value": value}
        for value, label in zip(AUDIENCES, SAVE_AUDIENCES[language], strict=True)
    ]
    audience = {
        "type": "input",
        "block_id": "audience",
        "label": _plain(SAVE_AUDIENCE[language]),
        "element": {
            "type": "static_select",
            "action_id": "audience",
            "options": options,
            "initial_option": options[0],
        },
    }
    is_cut = len(text) > _MAX_INPUT
    hints = [SAVE_CUT[language].format(most=_MAX_INPUT)] if is_cut else []
    hints.append(SAVE_HINT[language])
    return _modal(
        SAVE_TITLE[language],
        [
            _input("title", title_label, initial=title[:_MAX_TITLE], max_length=_MAX_TITLE),
            _input("text", text_label, multiline=True, initial=text[:_MAX_INPUT]),
            audience,
            {"type": "context", "elements": [_plain(hint) for hint in hints]},
        ],
        language,
        submit=SEND[language],
        callback=action_ids.SAVE_VIEW,
        metadata=metadata,
    )


def typed(view: Mapping[str, Any], block: str) -> str:
    """What was typed into an input, or chosen; empty if nothing was."""
    element = view.get("state", {}).get("values", {}).get(block, {}).get(block, {})
    chosen = element.get("selected_option") or {}
    return str(element.get("value") or chosen.get("value") or "").strip()


def _modal(
    title: str,
    blocks: list[View],
    language: Language,
    *,
    submit: str | None = None,
    callback: str = "shifu_told",
    metadata: str = "",
) -> View:
    view: View = {
        "type": "modal",
        "callback_id": callback,
        "title": _plain(title[:24]),
        "close": _plain(CANCEL[language] if submit else CLOSE[language]),
        "blocks": blocks,
        "private_metadata": metadata,
    }
    if submit:
        view["submit"] = _plain(submit)
    return view


def _section(text: str) -> View:
    # Plain text: whatever a title or a question holds, it is no markup.
    return {"type": "section", "text": _plain(text[:_MAX_SECTION] or " ")}


def _input(
    block: str,
    label: str,
    *,
    multiline: bool = False,
    optional: bool = False,
    initial: str = "",
    placeholder: str = "",
    max_length: int = _MAX_INPUT,
) -> View:
    element: View = {
        "type": "plain_text_input",
        "action_id": block,
        "multiline": multiline,
        "max_length": max_length,
    }
    if initial:
        element["initial_value"] = initial
    if placeholder:
        element["placeholder"] = _plain(placeholder)
    return {
        "type": "input",
        "block_id": block,
        "optional": optional,
        "label": _plain(label),
        "element": element,
    }


def _plain(text: str) -> View:
    return {"type": "plain_text", "text": text}
