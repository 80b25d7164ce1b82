"""In which language somebody is spoken to."""

from bot.commands import Command, parse
from bot.errors import StateUnavailable
from bot.messages import IncomingMessage, UserRef
from bot.state import State
from retrieval.analysis import is_chinese_text, language_of
from retrieval.ingest.clean import visible
from retrieval.types import Language


class Languages:
    """As people have chosen; else in that of their question."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def chosen_by(self, user: UserRef) -> Language | None:
        """None for nobody's choice, also while it cannot be looked up."""
        try:
            return (await self._state.preferences(user)).language
        except StateUnavailable:
            return None

    async def of(self, message: IncomingMessage) -> Language:
        return await self.chosen_by(message.user) or language_of_message(message)


def language_of_message(message: IncomingMessage) -> Language:
    """Of what was written; of the person's settings when that says nothing, as an English command."""
    text = visible(message.asked).strip()
    call = parse(text)
    if call is not None and not is_chinese_text(text):
        text = call.argument if call.command is Command.REPORT else ""
    return language_of(text) if text else message.locale or Language.ENGLISH
