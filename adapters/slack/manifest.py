"""The app manifest: what an administrator pastes into Slack to create the app."""

from dataclasses import dataclass
from typing import Any

import yaml

from adapters.slack import action_ids
from adapters.slack.permissions import OptIn, events, scopes
from retrieval.errors import ShifuError

MAX_NAME = 35
EVENTS_PATH = "/slack/events"
INSTALL_PATH = "/slack/install"
REDIRECT_PATH = "/slack/oauth_redirect"

_DESCRIPTION = "Answers from company documents, and only from what every reader may read"
_LONG_DESCRIPTION = """\
Ask in a channel, in a direct message, or privately with /ask, in Chinese or English. The answer comes from your \
company's own documents, names its sources, and uses only what every reader of that reply may read.

在頻道、私訊提問，或用 /ask 私下提問，中英文皆可。答案來自公司自己的文件、附上出處，\
而且只使用該則回覆的所有讀者都能閱讀的內容。"""
_AGENT_DESCRIPTION = (
    "Answers questions from company documents, with sources. 根據公司文件回答問題，並附上出處。"
)
_PROMPTS = [
    {"title": "What can you do?", "message": "help"},
    {"title": "你可以做什麼？", "message": "說明"},
]


class ManifestInvalid(ShifuError):
    """Slack would not take the manifest."""


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """
    Attributes:
        http_url: Public address of this service, for events by HTTP. Empty: Socket Mode.
        is_org_wide: May be installed for a whole organisation on Enterprise Grid.
        legacy_assistant: For workspaces that do not have the agent surface yet.
    """

    name: str = "Shifu"
    http_url: str = ""
    opt_ins: frozenset[OptIn] = frozenset()
    is_org_wide: bool = False
    legacy_assistant: bool = False


def manifest(options: ManifestOptions) -> dict[str, Any]:
    """
    Raises:
        ManifestInvalid: If Slack would refuse the name or the address.
    """
    name, url = options.name.strip(), options.http_url.rstrip("/")
    if not 0 < len(name) <= MAX_NAME:
        raise ManifestInvalid(
            f"An app's name has 1 to {MAX_NAME} characters; for example --name Shifu"
        )
    if url and not url.startswith("https://"):
        raise ManifestInvalid(
            "Slack sends events to https addresses only; for example --http https://shifu.example.com"
        )
    request_url = {"request_url": url + EVENTS_PATH} if url else {}
    surface = "assistant" if options.legacy_assistant else "agent"
    wanted_events = events(options.opt_ins, legacy_assistant=options.legacy_assistant)
    return {
        "display_information": {
            "name": name,
            "description": _DESCRIPTION,
            "long_description": _LONG_DESCRIPTION,
            "background_color": "#1f2a44",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": name, "always_online": True},
            f"{surface}_view": {
                f"{surface}_description": _AGENT_DESCRIPTION,
                "suggested_prompts": _PROMPTS,
            },
            "slash_commands": [
                _command("/ask", "Ask privately 私下提問", "question 問題", url),
                _command(
                    "/shifu",
                    "Help, sources, language, forget me 說明、資料來源、語言、忘記我",
                    "help | sources | why | status | language | forget | report",
                    url,
                ),
                _command("/why", "Where the last answer came from 上一則答案的依據", "", url),
            ],
            "shortcuts": [
                {
                    "name": "Save to knowledge 存成知識",
                    "type": "message",
                    "callback_id": action_ids.SAVE_SHORTCUT,
                    "description": "Propose this message as knowledge 提議收錄這則訊息",
                },
                {
                    "name": f"Ask {name}"[:24],
                    "type": "global",
                    "callback_id": action_ids.ASK_SHORTCUT,
                    "description": "Ask privately 私下提問",
                },
            ],
        },
        "oauth_config": {
            **({"redirect_urls": [url + REDIRECT_PATH]} if url else {}),
            "scopes": {"bot": [scope.name for scope in scopes(options.opt_ins)]},
        },
        "settings": {
            "event_subscriptions": {
                **request_url,
                "bot_events": [event.name for event in wanted_events],
            },
            "interactivity": {"is_enabled": True, **request_url},
            "org_deploy_enabled": options.is_org_wide,
            "socket_mode_enabled": not url,
            "token_rotation_enabled": False,
        },
    }


def manifest_yaml(options: ManifestOptions) -> str:
    """The manifest with the reason for each scope and event beside it."""
    reasons = {scope.name: scope.why for scope in scopes(options.opt_ins)}
    reasons |= {
        event.name: event.why
        for event in events(options.opt_ins, legacy_assistant=options.legacy_assistant)
    }
    text = yaml.safe_dump(manifest(options), sort_keys=False, allow_unicode=True, width=110)
    lines = [f"# Made by: shifu slack manifest{_shown(options)}"]
    for line in text.splitlines():
        why = (
            reasons.get(line.strip().removeprefix("- ")) if line.strip().startswith("- ") else None
        )
        lines.append(f"{line}  # {why}" if why else line)
    return "\n".join(lines) + "\n"


def _command(command: str, description: str, hint: str, url: str) -> dict[str, Any]:
    return {
        "command": command,
        **({"url": url + EVENTS_PATH} if url else {}),
        "description": description,
        **({"usage_hint": hint} if hint else {}),
        # Mentions come with the ids that they stand for.
        "should_escape": True,
    }


def _shown(options: ManifestOptions) -> str:
    flags = {
        "--http " + options.http_url: bool(options.http_url),
        "--follow": OptIn.FOLLOW in options.opt_ins,
        "--index": OptIn.INDEX in options.opt_ins,
        "--live-search": OptIn.LIVE_SEARCH in options.opt_ins,
        "--match-email": OptIn.EMAIL in options.opt_ins,
        "--org": options.is_org_wide,
        "--legacy-assistant": options.legacy_assistant,
    }
    return "".join(f" {flag}" for flag, is_set in flags.items() if is_set)
