"""The app manifest: what Teams shows of the app, where it may be added, and what it asks for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from adapters.teams.json_values import is_guid
from adapters.teams.permissions import OptIn, permissions
from bot.commands import NAMES, Command
from retrieval.errors import ShifuError
from retrieval.types import Language

MESSAGES_PATH = "/teams/messages"
NOTIFICATIONS_PATH = "/teams/notifications"
SAVE_COMMAND = "saveToKnowledge"
"""Id of the message action, as its invokes name it."""
COLOR_ICON, OUTLINE_ICON, CHINESE_FILE = "color.png", "outline.png", "zh-tw.json"
MAX_NAME = 30
MAX_COMPANY = 32

_VERSION = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}")
_SCHEMAS = "https://developer.microsoft.com/json-schemas/teams/"
EN, ZH = Language.ENGLISH, Language.CHINESE


class ManifestInvalid(ShifuError):
    """Teams would not take the manifest."""


class Slash(StrEnum):
    """Whether the commands stand in the list that opens with a slash; the format's version follows."""

    OFF = "1.27"
    ON = "1.29"
    PREVIEW = "devPreview"
    """As on, in the format for developers: for a Teams that does not take the other yet."""


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """
    Attributes:
        app_id: Of the app registration in Entra, and so of the bot.
        public_url: Where Teams reaches this service.
        version: Of the app; Teams takes a changed package only under a higher one.
        website: Page about the app; the service's own address, unless there is one.
        privacy, terms: Pages of the company; the website, unless there is one.
    """

    app_id: str
    public_url: str
    name: str = "Shifu"
    company: str = "Shifu"
    version: str = "1.0.0"
    website: str = ""
    privacy: str = ""
    terms: str = ""
    opt_ins: frozenset[OptIn] = frozenset()
    slash: Slash = Slash.OFF


# Every word is a command's name in that language: what is chosen from the list is sent as it stands.
ASK: Mapping[Language, str] = {EN: "ask", ZH: "提問"}
_ASK_WHAT = {EN: "Ask a question; only you see the answer", ZH: "提問，答案只有你看得到"}
_WHAT_FOR: Mapping[Command, Mapping[Language, str]] = {
    Command.HELP: {EN: "What I can do here", ZH: "我在這裡可以做什麼"},
    Command.SOURCES: {EN: "What you may ask me about", ZH: "你可以問我哪些資料"},
    Command.WHY: {
        EN: "Where the last answer came from, and whose rights held",
        ZH: "上一則答案的依據，以及採用誰的權限",
    },
    Command.STATUS: {EN: "Whether everything works", ZH: "一切是否正常"},
    Command.LANGUAGE: {EN: "Your language: zh, en or auto", ZH: "你的語言：zh、en 或 auto"},
    Command.FORGET: {EN: "Forget what was said here", ZH: "忘記這裡說過的內容"},
    Command.REPORT: {
        EN: "Tell the administrators what is wrong with the last answer",
        ZH: "向管理員回報上一則答案的問題",
    },
}
# Sent as commands that stand for themselves in every language: until 1.29 a text cannot be translated.
_STARTERS = (
    ({EN: "What can you do?", ZH: "你可以做什麼？"}, _WHAT_FOR[Command.HELP], "/help"),
    ({EN: "What may I ask about?", ZH: "我可以問什麼？"}, _WHAT_FOR[Command.SOURCES], "/sources"),
)
_SAVE = {EN: "Save to knowledge", ZH: "存成知識"}
_SAVE_WHAT = {EN: "Propose this message as knowledge", ZH: "提議收錄這則訊息"}
_SHORT = {
    EN: "Answers from company documents, with sources",
    ZH: "根據公司文件回答問題，並附上出處",
}
_LONG = {
    EN: "Ask in a channel, in a chat, or in private, in Chinese or English. The answer comes from your "
    "company's own documents, names its sources, and uses only what every reader of that reply may read.",
    ZH: "在頻道、聊天或私下提問，中英文皆可。答案來自公司自己的文件、附上出處，"
    "而且只使用該則回覆的所有讀者都能閱讀的內容。",
}


def manifest(options: ManifestOptions) -> dict[str, Any]:
    """
    In English; `chinese(…)` has the texts in Chinese.

    Raises:
        ManifestInvalid: If Teams would refuse an id, the name, the version or an address.
    """
    _check(options)
    website = options.website or options.public_url
    privacy = options.privacy or website
    asked = [p for p in permissions(options.opt_ins) if p.is_in_manifest]
    return {
        "$schema": _schema(options, "MicrosoftTeams.schema.json"),
        "manifestVersion": options.slash.value,
        "version": options.version,
        "id": options.app_id.lower(),
        "developer": {
            "name": options.company,
            "websiteUrl": website,
            "privacyUrl": privacy,
            "termsOfUseUrl": options.terms or privacy,
        },
        "name": {"short": options.name.strip(), "full": options.name.strip()},
        "description": {"short": _SHORT[EN], "full": _LONG[EN]},
        "icons": {"color": COLOR_ICON, "outline": OUTLINE_ICON},
        "accentColor": "#0F6B5C",
        "localizationInfo": {
            "defaultLanguageTag": "en-us",
            "additionalLanguages": [{"languageTag": "zh-tw", "file": CHINESE_FILE}],
        },
        "defaultInstallScope": "personal",
        "defaultGroupCapability": {"team": "bot", "groupchat": "bot"},
        # Private and shared channels, too.
        "supportsChannelFeatures": "tier1",
        "bots": [
            {
                "botId": options.app_id.lower(),
                "scopes": ["personal", "team", "groupChat"],
                "supportsFiles": True,
                **({"supportsTargetedMessages": True} if _has_slash(options) else {}),
                "commandLists": _command_lists(options, EN),
            }
        ],
        "composeExtensions": [
            {
                "botId": options.app_id.lower(),
                "commands": [
                    {
                        "id": SAVE_COMMAND,
                        "type": "action",
                        "context": ["message"],
                        "title": _SAVE[EN],
                        "description": _SAVE_WHAT[EN],
                        "fetchTask": True,
                    }
                ],
            }
        ],
        "webApplicationInfo": {
            "id": options.app_id.lower(),
            "resource": f"api://botid-{options.app_id.lower()}",
        },
        "authorization": {
            "permissions": {
                "resourceSpecific": [{"name": p.name, "type": "Application"} for p in asked]
            }
        },
    }


def chinese(options: ManifestOptions) -> dict[str, str]:
    """What `manifest` says, in Chinese, by where it stands there."""
    texts = {
        "$schema": _schema(options, "MicrosoftTeams.Localization.schema.json"),
        "name.short": options.name.strip(),
        "name.full": options.name.strip(),
        "description.short": _SHORT[ZH],
        "description.full": _LONG[ZH],
        "composeExtensions[0].commands[0].title": _SAVE[ZH],
        "composeExtensions[0].commands[0].description": _SAVE_WHAT[ZH],
    }
    for i, listed in enumerate(_command_lists(options, ZH)):
        for j, command in enumerate(listed["commands"]):
            place = f"bots[0].commandLists[{i}].commands[{j}]"
            texts[f"{place}.title"] = command["title"]
            texts[f"{place}.description"] = command["description"]
    return texts


def _command_lists(options: ManifestOptions, language: Language) -> list[dict[str, Any]]:
    """One for each place, as Teams wants it."""
    commands = [
        {"title": NAMES[command][language], "description": what[language]}
        for command, what in _WHAT_FOR.items()
    ]
    starters = [
        {"title": title[language], "description": what[language], "type": "prompt", "prompt": text}
        for title, what, text in _STARTERS
    ]
    ask = {"title": ASK[language], "description": _ASK_WHAT[language]}
    # Without the slash a mention is public, and a question needs no word before it.
    shared = [ask, *commands] if _has_slash(options) else commands
    triggers = {"triggers": ["mention", "slash"]} if _has_slash(options) else {}
    return [
        {"scopes": ["personal"], "commands": starters + commands},
        {"scopes": ["team"], **triggers, "commands": shared},
        {"scopes": ["groupChat"], **triggers, "commands": shared},
    ]


def _has_slash(options: ManifestOptions) -> bool:
    return options.slash is not Slash.OFF


def _schema(options: ManifestOptions, file: str) -> str:
    version = options.slash.value
    return f"{_SCHEMAS}v{version[0].upper() + version[1:]}/{file}"


def _check(options: ManifestOptions) -> None:
    if not is_guid(options.app_id.lower()):
        raise ManifestInvalid(
            "The app id is that of the app registration in Entra (SHIFU_TEAMS__APP_ID); for example "
            "--app-id 11111111-2222-3333-4444-555555555555"
        )
    if not 0 < len(options.name.strip()) <= MAX_NAME:
        raise ManifestInvalid(
            f"An app's name has 1 to {MAX_NAME} characters; for example --name Shifu"
        )
    if not 0 < len(options.company.strip()) <= MAX_COMPANY:
        raise ManifestInvalid(
            f"The company's name has 1 to {MAX_COMPANY} characters here; for example --company Qinglan"
        )
    if not _VERSION.fullmatch(options.version):
        raise ManifestInvalid("An app's version is three numbers; for example --app-version 1.0.1")
    for flag, url in (
        ("--public-url", options.public_url),
        ("--website", options.website or options.public_url),
        ("--privacy", options.privacy or options.public_url),
        ("--terms", options.terms or options.public_url),
    ):
        if not re.fullmatch(r"https://[^\s/]+\S*", url):
            raise ManifestInvalid(
                f"{flag} is an https address; for example {flag} https://shifu.example.com"
            )
