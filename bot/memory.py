"""What a turn remembers of a conversation, and that it could not."""

from bot.errors import StateUnavailable
from bot.messages import Session
from bot.state import State


class Memory:
    """Sessions as far as they can be had; *failed* once they could not."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.failed = False

    async def load(self, key: str) -> Session:
        try:
            return await self._state.load_session(key)
        except StateUnavailable:
            self.failed = True
            return Session()

    async def save(self, key: str, session: Session) -> None:
        try:
            await self._state.save_session(key, session)
        except StateUnavailable:
            self.failed = True
