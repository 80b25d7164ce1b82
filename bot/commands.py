"""The words that are commands and no questions, the same on every platform."""

from enum import StrEnum


class Command(StrEnum):
    HELP = "help"
    FORGET = "forget"


_WORDS = {
    "help": Command.HELP,
    "?": Command.HELP,
    "？": Command.HELP,
    "說明": Command.HELP,
    "幫助": Command.HELP,
    "使用說明": Command.HELP,
    "forget": Command.FORGET,
    "forget this": Command.FORGET,
    "忘記": Command.FORGET,
    "忘掉": Command.FORGET,
    "清除記憶": Command.FORGET,
}


def command_in(text: str) -> Command | None:
    """The command that *text* is, alone and in full; a question that holds such a word stays a question."""
    return _WORDS.get(text.strip().lower().removeprefix("/"))
