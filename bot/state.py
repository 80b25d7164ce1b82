"""Ports for what a conversation must remember, with in-memory twins that define their behaviour."""

import time
from collections.abc import Callable
from typing import Protocol

from bot.messages import Feedback, Preferences, Session, UserRef


class State(Protocol):
    """
    What outlives a request. Every method raises `StateUnavailable` when the server does not answer.
    """

    async def load_session(self, key: str) -> Session:
        """An empty session for a key that is new, expired or forgotten."""
        ...

    async def save_session(self, key: str, session: Session) -> None:
        """Remember until idle for the time to live."""
        ...

    async def forget_session(self, key: str) -> None: ...

    async def sessions_of(self, user: UserRef) -> list[str]:
        """Keys of the sessions with a turn that *user* asked for; some may be forgotten by now."""
        ...

    async def preferences(self, user: UserRef) -> Preferences: ...

    async def save_preferences(self, user: UserRef, preferences: Preferences) -> None: ...

    async def allow(self, key: str, *, limit: int, per_s: int) -> bool:
        """Count one use of *key*; False, and not counted, when it is more than *limit* within *per_s* seconds."""
        ...

    async def save_feedback(self, feedback: Feedback) -> None:
        """Keep it; a person's later word on the same answer replaces the earlier one."""
        ...

    async def feedback(self) -> list[Feedback]: ...

    async def forget_feedback(self, user: UserRef) -> None:
        """All that *user* has said of answers or reported."""
        ...

    async def check(self) -> None:
        """Nothing, or `StateUnavailable` where it takes no writes."""
        ...

    async def close(self) -> None: ...


class InMemoryState:
    """Lives and dies with the process."""

    def __init__(
        self,
        *,
        session_ttl_s: int = 86_400,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session_ttl_s = session_ttl_s
        self._clock = clock
        self._sessions: dict[str, tuple[float, Session]] = {}
        self._uses: dict[str, list[float]] = {}
        self._feedback: dict[tuple[str, str, str], Feedback] = {}
        self._preferences: dict[UserRef, Preferences] = {}

    async def load_session(self, key: str) -> Session:
        expires_at, session = self._sessions.get(key, (0.0, Session()))
        return session if self._clock() < expires_at else Session()

    async def save_session(self, key: str, session: Session) -> None:
        self._sessions[key] = (self._clock() + self._session_ttl_s, session)

    async def forget_session(self, key: str) -> None:
        self._sessions.pop(key, None)

    async def sessions_of(self, user: UserRef) -> list[str]:
        return [
            key
            for key, (_, session) in self._sessions.items()
            if any(turn.asker == user for turn in session.turns)
        ]

    async def preferences(self, user: UserRef) -> Preferences:
        return self._preferences.get(user, Preferences())

    async def save_preferences(self, user: UserRef, preferences: Preferences) -> None:
        self._preferences[user] = preferences

    async def allow(self, key: str, *, limit: int, per_s: int) -> bool:
        now = self._clock()
        uses = [at for at in self._uses.get(key, []) if now - at < per_s]
        is_allowed = len(uses) < limit
        self._uses[key] = [*uses, now] if is_allowed else uses
        return is_allowed

    async def save_feedback(self, feedback: Feedback) -> None:
        key = (feedback.feedback_id, feedback.user.tenant, feedback.user.id)
        self._feedback[key] = feedback

    async def feedback(self) -> list[Feedback]:
        return sorted(self._feedback.values(), key=lambda f: f.at)

    async def forget_feedback(self, user: UserRef) -> None:
        self._feedback = {k: f for k, f in self._feedback.items() if f.user != user}

    async def check(self) -> None:
        return None

    async def close(self) -> None:
        return None
