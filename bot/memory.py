"""What a turn remembers of a conversation, and that it could not."""

from datetime import UTC, datetime

from bot.answering import Answered
from bot.errors import StateUnavailable
from bot.messages import IncomingMessage, Session, Turn
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

    async def save(
        self, key: str, session: Session, message: IncomingMessage, answered: Answered
    ) -> None:
        turn = Turn(
            question=message.text,
            standalone=answered.standalone,
            answer=answered.answer.text,
            chunk_ids=answered.chunk_ids,
            language=answered.answer.language,
            at=datetime.now(UTC),
        )
        try:
            await self._state.save_session(key, session.with_turn(turn))
        except StateUnavailable:
            self.failed = True
