"""What a test looks at: the messages as people see them, views, statuses and calls."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tests.fakes.slack.delivery import Delivery
from tests.fakes.slack.messages import Message
from tests.fakes.slack.part import Part
from tests.fakes.slack.platform import RecordedCall, Status, View
from tests.fakes.slack.reading import notified_by, text_of
from tests.fakes.slack.world import Channel, Json, User

T = TypeVar("T")

THREAD_STATUS = "assistant.threads.setStatus"
STATUS_LIFE_S = 120.0


class Observing(Part):
    @property
    def deliveries(self) -> list[Delivery]:
        """Everything sent to the app, with every attempt and answer."""
        return self.slack.deliveries.all

    @property
    def views(self) -> list[View]:
        """Modals that are open now, oldest first."""
        return [v for v in self.slack.views.values() if v.kind == "modal" and v.is_open]

    @property
    def all_views(self) -> list[View]:
        return list(self.slack.views.values())

    @property
    def statuses(self) -> list[Status]:
        return self.slack.statuses

    @property
    def prompts(self) -> list[Json]:
        return self.slack.prompts

    @property
    def titles(self) -> dict[tuple[str, str | None], str]:
        return self.slack.titles

    def messages(
        self,
        channel: str,
        thread_ts: str | None = None,
        *,
        team: str | None = None,
        by_app: bool = False,
    ) -> list[Message]:
        """All that are not deleted, ephemeral ones too; with *thread_ts* its root and replies."""
        place = self._channel(channel, team)
        found = self.slack.log.in_channel(place)
        if thread_ts is not None:
            found = [m for m in found if thread_ts in (m.ts, m.thread_ts)]
        for message in found:
            self.slack.deliveries.streams.expire(message)
        return [m for m in found if not by_app or self._is_by_app(m)]

    def from_app(
        self, channel: str, thread_ts: str | None = None, *, team: str | None = None
    ) -> list[Message]:
        return self.messages(channel, thread_ts, team=team, by_app=True)

    def visible_to(
        self, user: str | User, channel: str, *, team: str | None = None
    ) -> list[Message]:
        """What *user* can see in *channel* at this moment."""
        place = self._channel(channel, team)
        person = self._member(user, place)
        if person.is_deleted or not _may_read(person, place):
            return []
        return [
            m
            for m in self.messages(place.id, team=place.team)
            if m.ephemeral_to in (None, person.id) and not m.is_unseen
        ]

    def everything_seen_by(self, user: str, *, team: str | None = None) -> str:
        """All texts, in all channels, views and versions, that *user* could ever read: for leak tests."""
        person = self._user(user, team)
        seen: list[str] = []
        for message in self.slack.log.all:
            place = self._channel(message.channel, message.team)
            if message.ephemeral_to not in (None, person.id):
                continue
            if _may_read(person, place):
                seen += [f"{text}\n{blocks}" for text, blocks in message.versions]
                seen.append(f"{message.metadata}\n{message.unfurls}")
        for view in self.slack.views.values():
            if (view.user, view.team) == (person.id, person.team):
                seen.append(str(view.versions))
        return "\n".join(seen)

    def text_of(self, message: Message) -> str:
        """What a person reads in it: blocks flattened, mentions and escapes resolved."""
        return text_of(message, self.slack.world)

    def notified_by(self, message: Message) -> set[str]:
        """Ids of users and user groups, and `channel`, `here`, `everyone`."""
        return notified_by(message, self.slack.world)

    def text_of_view(self, view: View) -> str:
        shown = Message(ts="0", channel="", team=view.team, user="", blocks=view.view["blocks"])
        title = view.view.get("title", {}).get("text", "")
        return f"{title}\n{self.text_of(shown)}".strip()

    def home(self, user: str, *, team: str | None = None) -> View | None:
        """The Home tab that was published for *user*."""
        person = self._user(user, team)
        for view in self.slack.views.values():
            if (view.kind, view.user, view.team) == ("home", person.id, person.team):
                return view
        return None

    def status_of(self, channel: str, thread_ts: str | None) -> str:
        """
        What the thread says the app is doing.

        Nothing once the app has posted there, or after two minutes.
        """
        said = [
            s
            for s in self.slack.statuses
            if (s.channel, s.thread_ts) == (channel, thread_ts) and s.api == THREAD_STATUS
        ]
        if not said or self.slack.clock.now() - said[-1].at > STATUS_LIFE_S:
            return ""
        posted = self.from_app(channel, thread_ts)
        return "" if any(float(m.ts) > said[-1].at for m in posted) else said[-1].status

    def session_of(self, channel: str, thread_ts: str | None) -> str:
        """`processing` as long as the app has not said otherwise; empty without a session."""
        said = [
            s
            for s in self.slack.statuses
            if (s.channel, s.thread_ts) == (channel, thread_ts) and s.api != THREAD_STATUS
        ]
        return said[-1].status if said else ""

    def calls(self, *methods: str) -> list[RecordedCall]:
        """Of these methods, or all; refused ones too."""
        return [c for c in self.slack.calls if not methods or c.method in methods]

    async def until(self, holds: Callable[[], T | None], timeout_s: float = 10.0) -> T:
        """Wait for *holds* to return something true, and return that."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (value := holds()):
                    await asyncio.sleep(0.01)
                return value
        except TimeoutError:
            raise AssertionError(f"never came true; {self.summary()}") from None

    def summary(self) -> str:
        """For a test that fails: the last calls and messages."""
        calls = [f"{c.method}{f' ({c.error})' if c.error else ''}" for c in self.slack.calls[-8:]]
        said = [f"{m.channel} {m.user}: {self.text_of(m)[:80]!r}" for m in self.slack.log.all[-6:]]
        return f"last calls: {calls}; last messages: {said}"

    def _is_by_app(self, message: Message) -> bool:
        return any(message.bot_id == install.bot_id for install in self.slack.world.installs)


def _may_read(person: User, place: Channel) -> bool:
    """Members, and in a public channel everybody who is no guest."""
    is_guest = person.is_guest or person.is_ultra or person.is_stranger
    is_near = place.team in (person.team, *person.teams)
    return person.id in place.members or (place.kind == "public" and not is_guest and is_near)
