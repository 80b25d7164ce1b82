"""What a turn remembers of a conversation, under which key, and that it could not."""

from bot.errors import StateUnavailable
from bot.messages import ConversationRef, Session, UserRef
from bot.state import State


def shared_key(conversation: ConversationRef) -> str:
    """What everybody in a conversation has read."""
    return conversation.key


def private_key(conversation: ConversationRef, user: UserRef) -> str:
    """What one person is told in private beside a shared conversation is a conversation of its own."""
    return f"{conversation.key}:private:{user.id}"


class Memory:
    """
    Sessions as far as they can be had; *failed* once they could not.

    Args:
        must_have: Raise `StateUnavailable` instead: the turn can wait until they can be had.
    """

    def __init__(self, state: State, *, must_have: bool) -> None:
        self._state = state
        self._must_have = must_have
        self.failed = False

    async def load(self, key: str) -> Session:
        try:
            return await self._state.load_session(key)
        except StateUnavailable:
            if self._must_have:
                raise
            self.failed = True
            return Session()

    async def save(self, key: str, session: Session) -> None:
        if self.failed:
            # What was there before is not in *session*, and would be lost.
            return
        try:
            await self._state.save_session(key, session)
        except StateUnavailable:
            if self._must_have:
                raise
            self.failed = True
