"""Forgetting: what is kept of a conversation, or of a person, is removed where and when nobody writes to it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from bot.errors import TryLater, WrittenByAnotherVersion
from bot.inbox import Inbox
from bot.memory import private_key, shared_key
from bot.messages import ConversationKind, IncomingMessage, Preferences, UserRef
from bot.records import Records
from bot.state import State
from bot.state_json import decode_message
from bot.versioned_json import VersionedJson
from bot.worker import Job
from retrieval.errors import ShifuError

FORGET = "forget"
"""The kind of entries that remove one person's turns from one session."""

_json = VersionedJson(1)
_MOST_RECORDS = 10_000
_PAUSE_S = 5.0


class KeptOfPeople(Protocol):
    """What a platform keeps of people beside their conversations."""

    async def forget(self, user: UserRef) -> None:
        """Raises `StateUnavailable` when not everything could be removed."""
        ...


class Forgetting:
    """
    To be called in the turn of the message that asks for it: its own conversation is at hand.

    Other sessions may be in use at this moment, and whoever uses one would write back what was just
    removed. So they are changed by an entry in their own line of the inbox, one after the other.

    Raises `StateUnavailable` when not everything could be removed; done again, the rest is.
    """

    def __init__(
        self, state: State, records: Records, inbox: Inbox, others: Sequence[KeptOfPeople] = ()
    ) -> None:
        self._state = state
        self._records = records
        self._inbox = inbox
        self._others = others

    async def conversation(self, message: IncomingMessage) -> None:
        """
        What is remembered of the message's conversation, for everybody in it, and what is kept of the
        asker's questions there.

        Alone with the asker, it is all that was said alone with them in that place.
        """
        here, user = message.conversation, message.user
        conversations = {here.key: here}
        if here.kind is ConversationKind.DIRECT:
            asked = await self._records.of_user(user, limit=_MOST_RECORDS, place=here)
            own = (record.conversation for record in asked)
            conversations |= {c.key: c for c in own if c.kind is ConversationKind.DIRECT}
            for other in conversations.values():
                await self._soon(message, shared_key(other))
        else:
            await self._soon(message, private_key(here, user))
        await self._state.forget_session(shared_key(here))
        for conversation in conversations.values():
            await self._records.forget(user, conversation=conversation)

    async def person(self, message: IncomingMessage) -> None:
        """
        All that is kept about the asker. What they have offered for review stays: it is to be others'.

        What is being answered meanwhile counts as asked afterwards.
        """
        here, user = message.conversation, message.user
        for key in await self._state.sessions_of(user):
            await self._soon(message, key)
        await self.turns_of(user, shared_key(here))
        for letter in await self._inbox.dead():
            if _asker(letter.entry.body) == user:
                await self._inbox.drop(letter.entry.id)
        for other in self._others:
            await other.forget(user)
        await self._records.forget(user)
        await self._state.forget_feedback(user)
        await self._state.save_preferences(user, Preferences())

    async def turns_of(self, user: UserRef, key: str) -> None:
        """What *user* asked, out of a session that nobody else uses meanwhile."""
        session = await self._state.load_session(key)
        left = session.without_turns_of(user)
        if left != session:
            # Others' later questions may have taken words of those that go.
            turns = tuple(replace(turn, standalone=turn.question) for turn in left.turns)
            left = replace(left, turns=turns)
        if not left.turns:
            await self._state.forget_session(key)
        elif left != session:
            await self._state.save_session(key, left)

    async def _soon(self, message: IncomingMessage, key: str) -> None:
        if key == shared_key(message.conversation):
            return
        user = message.user
        body = _json.encode({"tenant": user.tenant, "user": user.id})
        id = f"{message.event_id}:{FORGET}:{key}"
        await self._inbox.put(id, key, FORGET, body, is_awaited=False)


class ForgetHandler:
    """Removes one person's turns from the session that stands in line with the entry."""

    def __init__(self, forgetting: Forgetting) -> None:
        self._forgetting = forgetting

    async def handle(self, job: Job) -> None:
        try:
            values = _json.decode(job.entry.body)
            user = UserRef(values["tenant"], values["user"])
        except (ValueError, KeyError) as error:
            raise WrittenByAnotherVersion from error
        try:
            await self._forgetting.turns_of(user, job.entry.conversation)
        except ShifuError as error:
            # It was promised: however long it takes.
            raise TryLater(_PAUSE_S) from error

    async def give_up(self, job: Job) -> None:
        return None


def _asker(body: str) -> UserRef | None:
    try:
        message, _ = decode_message(body)
    except ValueError:
        return None
    return message.user
