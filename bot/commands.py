"""The commands: what is one, whatever the platform, and which word stands for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from retrieval.types import Language


class Command(StrEnum):
    HELP = "help"
    SOURCES = "sources"
    WHY = "why"
    STATUS = "status"
    LANGUAGE = "language"
    FORGET = "forget"
    FORGET_ME = "forget me"
    REPORT = "report"
    UNKNOWN = "unknown"
    """Meant for a command, and none: it begins with a slash."""


@dataclass(frozen=True, slots=True)
class CommandCall:
    """*argument*: what was written after the command; for an unknown one, the word itself."""

    command: Command
    argument: str = ""


NAMES: Mapping[Command, Mapping[Language, str]] = {
    command: {Language.ENGLISH: english, Language.CHINESE: chinese}
    for command, english, chinese in (
        (Command.HELP, "help", "說明"),
        (Command.SOURCES, "sources", "來源"),
        (Command.WHY, "why", "為什麼"),
        (Command.STATUS, "status", "狀態"),
        (Command.LANGUAGE, "language", "語言"),
        (Command.FORGET, "forget", "忘記"),
        (Command.FORGET_ME, "forget me", "忘記我"),
        (Command.REPORT, "report", "回報"),
    )
}
"""What people are told to write, in the order they are told it."""

_OTHER_NAMES = {
    "?": Command.HELP,
    "？": Command.HELP,
    "幫助": Command.HELP,
    "使用說明": Command.HELP,
    "資料來源": Command.SOURCES,
    "為何": Command.WHY,
    "forget this": Command.FORGET,
    "忘記 我": Command.FORGET_ME,
    "忘掉": Command.FORGET,
    "清除記憶": Command.FORGET,
    "忘掉我": Command.FORGET_ME,
    "回報問題": Command.REPORT,
}
_BY_NAME = {
    **{name: command for command, names in NAMES.items() for name in names.values()},
    **_OTHER_NAMES,
}
_WITHOUT_SLASH = (Command.HELP, Command.FORGET, Command.FORGET_ME)
"""Alone and in full these are no questions; "why" and "sources" would be."""

# A path such as /etc/hosts goes on behind its first word, and is no command.
_SLASHED = re.compile(r"[/／](?P<name>[\w?？-]+)(?:\s+(?P<argument>.*))?", re.S)

# As it is written where a platform knows us by one command for all of ours.
_WITH_OUR_NAME = re.compile(r"^[/／]shifu\s+[/／]?", re.I)

_LANGUAGES = {
    "zh": Language.CHINESE,
    "zh-tw": Language.CHINESE,
    "chinese": Language.CHINESE,
    "中文": Language.CHINESE,
    "繁體中文": Language.CHINESE,
    "en": Language.ENGLISH,
    "english": Language.ENGLISH,
    "英文": Language.ENGLISH,
    "英語": Language.ENGLISH,
    "auto": None,
    "自動": None,
}


def parse(text: str) -> CommandCall | None:
    """
    The command that *text* is; None for a question.

    A question that merely holds such a word, or begins with it, stays a question.
    """
    text = _WITH_OUR_NAME.sub("/", text.strip())
    slashed = _SLASHED.fullmatch(text)
    if slashed is None:
        bare = _BY_NAME.get(text.lower())
        return CommandCall(bare) if bare in _WITHOUT_SLASH else None
    name, argument = slashed["name"].lower(), (slashed["argument"] or "").strip()
    whole = _BY_NAME.get(" ".join([name, *argument.lower().split()]))
    if whole is not None:
        return CommandCall(whole)
    command = Command.HELP if name == "shifu" else _BY_NAME.get(name)
    if command is None:
        return CommandCall(Command.UNKNOWN, slashed["name"])
    return CommandCall(command, argument)


def language_named(argument: str) -> Language | None:
    """
    The language that *argument* means; None for that of each question.

    Raises:
        ValueError: If it names none.
    """
    try:
        return _LANGUAGES[argument.strip().lower()]
    except KeyError:
        raise ValueError("no language of ours") from None
