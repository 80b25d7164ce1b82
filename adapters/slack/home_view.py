"""The home tab as a value: what somebody may ask and read, their questions, language and privacy. Pure."""

from collections.abc import Sequence
from typing import Any

from adapters.chat.dialog_texts import CANCEL
from adapters.slack import action_ids
from adapters.slack.listener_texts import (
    HOME_ADMIN,
    HOME_ASK,
    HOME_FORGET,
    HOME_FORGET_CONFIRM,
    HOME_GROUPS,
    HOME_HELLO,
    HOME_INDEX,
    HOME_INTRO,
    HOME_LANGUAGE,
    HOME_LANGUAGES,
    HOME_NO_GROUPS,
    HOME_NO_RECENT,
    HOME_NO_SOURCES,
    HOME_PRIVACY,
    HOME_PRIVACY_TEXT,
    HOME_QUEUE,
    HOME_READ,
    HOME_RECENT,
    HOME_REPORTS,
    HOME_REVIEW,
    HOME_SOURCE,
    HOME_SOURCES,
    HOME_UNANSWERED,
    HOME_UNANSWERED_ELSEWHERE,
    HOME_UNAVAILABLE,
    HOME_UNKNOWN,
)
from bot.overview import AdminOverview, Overview
from bot.suggestions import Suggestion
from retrieval.types import Language

View = dict[str, Any]

LANGUAGE_VALUES = {None: "auto", Language.CHINESE: "zh", Language.ENGLISH: "en"}

MAX_SUGGESTIONS = 3
_MAX_LIST = 20
_MAX_TEXT, _BUTTON = 2_900, 75


def home_view(overview: Overview, suggested: Sequence[Suggestion], language: Language) -> View:
    asking = [_button(HOME_ASK[language], action_ids.HOME_ASK)]
    asking += [
        _button(suggestion.title, f"{action_ids.HOME_SUGGESTION}{number}", suggestion.question)
        for number, suggestion in enumerate(suggested[:MAX_SUGGESTIONS])
    ]
    blocks = [
        _header(HOME_HELLO[language]),
        {"type": "section", "text": {"type": "mrkdwn", "text": HOME_INTRO[language]}},
        {"type": "actions", "elements": asking},
        _header(HOME_READ[language]),
        _section(_rights(overview, language)),
        _section(_sources(overview, language)),
        _header(HOME_RECENT[language]),
        _section(_recent(overview, language)),
        _language(overview.language, language),
        _header(HOME_PRIVACY[language]),
        _section(HOME_PRIVACY_TEXT[language]),
        {"type": "actions", "elements": [_forget(language)]},
    ]
    if overview.admin is not None:
        blocks += _admin(overview.admin, language)
    return {"type": "home", "blocks": blocks}


def _rights(overview: Overview, language: Language) -> str:
    if overview.is_known is None:
        return HOME_UNAVAILABLE[language]
    if not overview.is_known:
        return HOME_UNKNOWN[language]
    if not overview.groups:
        return HOME_NO_GROUPS[language]
    separator = "、" if language is Language.CHINESE else ", "
    return HOME_GROUPS[language].format(groups=separator.join(overview.groups))


def _sources(overview: Overview, language: Language) -> str:
    if overview.sources is None:
        return HOME_UNAVAILABLE[language]
    lines = [
        HOME_SOURCE[language].format(
            name=source.name,
            documents=source.documents,
            date=source.newest_at.date().isoformat() if source.newest_at else "–",
        )
        for source in overview.sources
    ]
    listed = _bullets(lines) or HOME_NO_SOURCES[language]
    return f"{HOME_SOURCES[language]}\n{listed}"


def _recent(overview: Overview, language: Language) -> str:
    if overview.recent is None:
        return HOME_UNAVAILABLE[language]
    lines = [
        f"{asked.text} ({asked.at.date().isoformat()})" for asked in overview.recent if asked.text
    ]
    return _bullets(lines) or HOME_NO_RECENT[language]


def _language(chosen: Language | None, language: Language) -> View:
    options = [
        {"text": _plain(text), "value": value} for value, text in HOME_LANGUAGES[language].items()
    ]
    value = LANGUAGE_VALUES[chosen]
    return {
        "type": "section",
        "text": _plain(HOME_LANGUAGE[language]),
        "accessory": {
            "type": "static_select",
            "action_id": action_ids.HOME_LANGUAGE,
            "options": options,
            "initial_option": next(option for option in options if option["value"] == value),
        },
    }


def _forget(language: Language) -> View:
    confirm = {
        "title": _plain(HOME_FORGET[language]),
        "text": _plain(HOME_FORGET_CONFIRM[language]),
        "confirm": _plain(HOME_FORGET[language]),
        "deny": _plain(CANCEL[language]),
        "style": "danger",
    }
    return {
        **_button(HOME_FORGET[language], action_ids.HOME_FORGET),
        "style": "danger",
        "confirm": confirm,
    }


def _admin(admin: AdminOverview, language: Language) -> list[View]:
    lines = []
    if admin.queue is not None:
        lines.append(
            HOME_QUEUE[language].format(waiting=admin.queue.waiting, dead=admin.queue.dead)
        )
    if admin.index is not None:
        lines.append(
            HOME_INDEX[language].format(
                documents=admin.index.documents,
                chunks=admin.index.chunks,
                without=admin.index.chunks_without_vector,
            )
        )
    if admin.submissions is not None:
        lines.append(HOME_REVIEW[language].format(count=admin.submissions))
    blocks = [
        _header(HOME_ADMIN[language]),
        _section("\n".join(lines) or HOME_UNAVAILABLE[language]),
    ]
    if admin.unanswered is None or admin.reports is None:
        blocks.append(_section(HOME_UNAVAILABLE[language]))
    unanswered = [asked.text for asked in admin.unanswered or () if asked.text]
    text = _bullets(unanswered)
    if admin.unanswered_elsewhere:
        elsewhere = HOME_UNANSWERED_ELSEWHERE[language].format(count=admin.unanswered_elsewhere)
        text = f"{text}\n{elsewhere}".strip()
    if text:
        blocks += [_header(HOME_UNANSWERED[language]), _section(text)]
    reports = [f"{report.by}: {report.text}" for report in admin.reports or ()]
    if reports:
        blocks += [_header(HOME_REPORTS[language]), _section(_bullets(reports))]
    return blocks


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"• {' '.join(line.split())[:200]}" for line in lines[:_MAX_LIST])


def _button(text: str, action: str, value: str = "") -> View:
    label = text if len(text) <= _BUTTON else text[: _BUTTON - 1] + "…"
    return {"type": "button", "text": _plain(label), "action_id": action, "value": value or action}


def _header(text: str) -> View:
    return {"type": "header", "text": _plain(text)}


def _section(text: str) -> View:
    # Plain text: questions and names of groups are no markup.
    return {"type": "section", "text": _plain(text[:_MAX_TEXT])}


def _plain(text: str) -> View:
    return {"type": "plain_text", "text": text}
