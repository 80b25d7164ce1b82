"""Threads that the bot takes part in, where it answers without being mentioned again; and what people have open."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

from bot.redis_client import RedisClient, answered
from bot.versioned_json import VersionedJson

TTL_S = 7 * 86_400
OPEN_TTL_S = 3_600

_json = VersionedJson(1)


@dataclass(frozen=True, slots=True)
class Participation:
    """
    What the bot knows of one conversation that it takes part in.

    Attributes:
        askers: People who have asked the bot here.
        is_interrupted: People talk to each other since the bot was last addressed.
        is_quiet: It was told to stop.
        last_event: Of the latest question, which a Stop button is about.
    """

    askers: frozenset[str] = frozenset()
    is_interrupted: bool = False
    is_quiet: bool = False
    last_event: str = ""

    def addressed(self, user: str, event_id: str) -> Self:
        return replace(
            self,
            askers=self.askers | {user},
            is_interrupted=False,
            is_quiet=False,
            last_event=event_id,
        )

    def takes_up(self, user: str, text: str, *, mentions_somebody: bool) -> bool:
        """Whether *text*, said here by *user* without a mention of the bot, is meant for it."""
        return (
            user in self.askers
            and not self.is_interrupted
            and not self.is_quiet
            and not mentions_somebody
            and not is_small_talk(text)
        )

    def interrupted(self, user: str, *, mentions_somebody: bool) -> Self | None:
        """After words of *user* that were not for the bot; None if they change nothing."""
        # The same person's "thanks" does not end the talk; somebody else's words do.
        others = user not in self.askers or mentions_somebody
        if self.is_quiet or self.is_interrupted or not others:
            return None
        return replace(self, is_interrupted=True)

    def left(self, user: str, event_id: str, *, is_addressed: bool) -> Self | None:
        """
        Saying no more until mentioned; None if there is nothing to say to that.

        Args:
            is_addressed: The bot was mentioned. Else the words are for it only from somebody who has
                asked it here.
        """
        if not is_addressed and user not in self.askers:
            return None
        # One message may come as two events.
        if self.is_quiet and self.last_event == event_id:
            return None
        return replace(self, is_quiet=True, last_event=event_id)


_STOP = re.compile(
    r"(thanks|thank you|thx)?[,.!\s]*(please )?(stop|be quiet|quiet|that'?s all|leave)( now| here| please)?[.!\s]*"
    r"|(謝謝|感謝)?[,，。!！\s]*(請)?(停|停止|停下來|先這樣|安靜|別再回|不用再回|不用了|夠了)(了|囉|喔|答)?[。!！\s]*",
    re.IGNORECASE,
)
_SMALL_TALK = re.compile(
    r"(ok(ay)?|thanks?|thank you( so much| very much)?|thx|great|got it|nice|cool|perfect|lol"
    r"|好|好的|好喔|了解|收到|謝謝(你|您|大家)?|感謝|感恩|太好了|讚|辛苦了|知道了|嗯+|哈+)[\s~～!！。.,，👍🙏😊]*"
    r"|[^\w]*",
    re.IGNORECASE,
)


def is_stop(text: str) -> bool:
    """Tells the bot to say no more: "thanks, stop", 「謝謝，不用了」."""
    return bool(text.strip()) and _STOP.fullmatch(text.strip()) is not None


def is_small_talk(text: str) -> bool:
    """Nothing that wants an answer."""
    return _SMALL_TALK.fullmatch(text.strip()) is not None


class Threads(Protocol):
    """By a conversation's key; forgotten a week after the last word. Raises `StateUnavailable`."""

    async def find(self, key: str) -> Participation | None: ...

    async def keep(self, key: str, participation: Participation) -> None: ...

    async def note_open(self, person: str, looking_at: Sequence[str]) -> None:
        """What *person* has open beside the conversation, for an hour."""
        ...

    async def open_at(self, person: str) -> tuple[str, ...]: ...


class InMemoryThreads:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, Participation]] = {}
        self._open: dict[str, tuple[float, tuple[str, ...]]] = {}

    async def find(self, key: str) -> Participation | None:
        expires_at, participation = self._kept.get(key, (0.0, None))
        return participation if self._clock() < expires_at else None

    async def keep(self, key: str, participation: Participation) -> None:
        self._kept[key] = (self._clock() + TTL_S, participation)

    async def note_open(self, person: str, looking_at: Sequence[str]) -> None:
        self._open[person] = (self._clock() + OPEN_TTL_S, tuple(looking_at))

    async def open_at(self, person: str) -> tuple[str, ...]:
        expires_at, looking_at = self._open.get(person, (0.0, ()))
        return looking_at if self._clock() < expires_at else ()


class RedisThreads:
    def __init__(
        self, redis: RedisClient, *, tenant: str, platform: str, timeout_s: float = 2
    ) -> None:
        self._redis = redis
        self._prefix = f"shifu:{tenant}:{platform}:thread:"
        self._open_prefix = f"shifu:{tenant}:{platform}:open:"
        self._timeout_s = timeout_s

    async def find(self, key: str) -> Participation | None:
        text = await answered(self._redis.get(self._prefix + key), timeout_s=self._timeout_s)
        return _decoded(str(text)) if text else None

    async def keep(self, key: str, participation: Participation) -> None:
        text = _json.encode(
            {
                "askers": sorted(participation.askers),
                "interrupted": participation.is_interrupted,
                "quiet": participation.is_quiet,
                "last": participation.last_event,
            }
        )
        kept = self._redis.set(self._prefix + key, text, ex=TTL_S)
        await answered(kept, timeout_s=self._timeout_s)

    async def note_open(self, person: str, looking_at: Sequence[str]) -> None:
        text = _json.encode({"open": list(looking_at)})
        kept = self._redis.set(self._open_prefix + person, text, ex=OPEN_TTL_S)
        await answered(kept, timeout_s=self._timeout_s)

    async def open_at(self, person: str) -> tuple[str, ...]:
        text = await answered(
            self._redis.get(self._open_prefix + person), timeout_s=self._timeout_s
        )
        try:
            return tuple(_json.decode(str(text))["open"]) if text else ()
        except (ValueError, KeyError, TypeError):
            return ()


def _decoded(text: str) -> Participation | None:
    try:
        values = _json.decode(text)
        return Participation(
            askers=frozenset(values["askers"]),
            is_interrupted=values["interrupted"],
            is_quiet=values["quiet"],
            last_event=values["last"],
        )
    except (ValueError, KeyError, TypeError):
        return None
