"""The queue as an operator sees it: how much waits, what was given up, and what becomes of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.app import open_inbox
from adapters.settings import ConfigurationError, Settings
from bot.inbox import DeadLetter, Inbox, QueueState


@dataclass(frozen=True, slots=True)
class Queue:
    state: QueueState
    dead: list[DeadLetter]


async def look(settings: Settings) -> Queue:
    async with open_inbox(settings) as inbox:
        return Queue(await inbox.state(), await inbox.dead())


async def retry(settings: Settings, id: str | None) -> int:
    """
    Put the dead letter *id*, or all of them, back; how many there were.

    Raises:
        ConfigurationError: If there is no such dead letter.
    """
    async with open_inbox(settings) as inbox:
        ids = await _named(inbox, id)
        # Oldest first, so that a conversation keeps its order.
        return sum([await inbox.revive(found) for found in reversed(ids)])


async def drop(settings: Settings, id: str) -> None:
    """Raises as `retry` does."""
    async with open_inbox(settings) as inbox:
        for found in await _named(inbox, id):
            await inbox.drop(found)


def state_json(state: QueueState) -> dict[str, Any]:
    return {
        "waiting": state.waiting,
        "oldest_age_s": round(state.oldest_age_s, 1),
        "unfinished": state.unfinished,
        "dead": state.dead,
    }


def queue_json(queue: Queue) -> dict[str, Any]:
    """Ids and numbers only: what people wrote is not for operators to read."""
    return {
        **state_json(queue.state),
        "dead_letters": [
            {
                "id": letter.entry.id,
                "kind": letter.entry.kind,
                "conversation": letter.entry.conversation,
                "accepted_at": _time(letter.entry.accepted_at),
                "given_up_at": _time(letter.buried_at),
                "tries": letter.entry.tries,
                "reason": letter.reason,
            }
            for letter in queue.dead
        ],
    }


async def _named(inbox: Inbox, id: str | None) -> list[str]:
    known = [letter.entry.id for letter in await inbox.dead()]
    if id is None:
        return known
    if id not in known:
        raise ConfigurationError(f"{id}: there is no such dead letter; list them with: shifu queue")
    return [id]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
