"""The example company in Teams as processes of the product, beside a lean Teams."""

import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.lean_teams import LeanTeams
from benchmarks.site import PORT, Site, company_people
from tests.fakes.teams.world import Conversation, Json, User

_TENANT = "c0000000-0000-4000-8000-000000000000"
_PEOPLE, _TEAMS, _MEMBERS, _GROUPS = 200, 20, 15, 12


class TeamsSite(Site):
    def __init__(self, folder: Path, teams: LeanTeams) -> None:
        super().__init__(folder)
        self.teams = teams
        world = teams.teams.world
        self._users = list(world.users.values())
        self._channels = [c for c in world.conversations.values() if c.kind == "channel"]
        # One after the other, so that nobody asks again before the answer.
        self._askers, self._places = cycle(self._users), cycle(self._channels)

    def deliver(self, activity: Json) -> Awaitable[float]:
        return self.teams.deliver(f"{self.serve.url}/teams/messages", activity)

    def mention(self) -> Json:
        """A question in a channel."""
        place = next(self._places)
        return self.teams.message(self._member(place), place, self.question(), mention=True)

    def direct(self) -> Json:
        """A question in somebody's own chat with the bot."""
        user = next(self._askers)
        place = self.teams.personal(user)
        return self.teams.message(user, place, self.question(), mention=False)

    def talk(self) -> Json:
        """What people say to each other, in a channel where the bot hears everything."""
        place = self.rng.choice(self._channels)
        return self.teams.message(self._member(place), place, "see you at three", mention=False)

    def _member(self, place: Conversation) -> User:
        return self.rng.choice(self.teams.teams.world.members(place))


@asynccontextmanager
async def a_teams_site(
    home: Path, commands: list[str], *, has_teams: bool = True
) -> AsyncIterator[TeamsSite]:
    """The processes *commands*, as `Site.start` takes them, with nothing known to them yet."""
    people = company_people()
    teams = LeanTeams()
    teams.tenant(_TENANT)
    rng, names, ids = random.Random(3), list(people["users"]), [_guid(n) for n in range(_PEOPLE)]
    for number, id in enumerate(ids):
        groups = [_guid(0xE00 + n) for n in rng.sample(range(_GROUPS), 3)]
        teams.user(id, f"Person {number}", groups=groups, locale="zh-TW", with_app=True)
    for number, name in enumerate(names):
        people["users"][name]["teams"] = [f"{_TENANT}/{id}" for id in ids[number :: len(names)]]
    for number in range(_TEAMS):
        members = rng.sample(ids, _MEMBERS)
        teams.team(f"19:t{number:02}@thread.tacv2", _guid(0xF00 + number), f"T{number}", members)
    await teams.start(PORT)
    with TemporaryDirectory(prefix="shifu-benchmark-") as place:
        site = TeamsSite(Path(place), teams)
        try:
            await site.start(home, people, commands, **(teams.environment if has_teams else {}))
            yield site
        finally:
            await site.stop()
            await teams.stop()


def _guid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"
