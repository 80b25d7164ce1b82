"""The example company in Slack as processes of the product, beside a lean Slack."""

import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.lean_slack import APP_TOKEN, BOT, BOT_TOKEN, SIGNING_SECRET, TEAM, Json, LeanSlack
from benchmarks.site import PORT, Site, company_people

_MEMBERS = 15


class SlackSite(Site):
    def __init__(
        self,
        folder: Path,
        slack: LeanSlack,
        users: dict[str, str],
        channels: dict[str, list[str]],
    ) -> None:
        super().__init__(folder)
        self.slack = slack
        self.users = users
        self.channels = channels

    def by_http(self, payload: Json, retry: int = 0) -> Awaitable[float]:
        return self.slack.by_http(f"{self.serve.url}/slack/events", payload, retry=retry)

    def by_socket(self, payload: Json, retry: int = 0) -> Awaitable[float]:
        return self.slack.by_socket(payload, retry=retry)

    def mention(self) -> tuple[str, list[Json]]:
        """Its ts, and the two events by which Slack tells of it."""
        channel = self.rng.choice(list(self.channels))
        user, ts = self.rng.choice(self.channels[channel]), self.slack.next_ts()
        text = f"<@{BOT}> {self.question()}"
        kinds = ("app_mention", "message")
        return ts, [self.slack.event(kind, user, channel, text, ts) for kind in kinds]

    def direct(self) -> tuple[str, list[Json]]:
        user, ts = self.rng.choice(list(self.users)), self.slack.next_ts()
        return ts, [self.slack.event("message", user, f"D{user[1:]}", self.question(), ts)]

    def talk(self) -> Json:
        """What people say to each other: nothing for the bot."""
        channel = self.rng.choice(list(self.channels))
        user = self.rng.choice(self.channels[channel])
        return self.slack.event("message", user, channel, "see you at three", self.slack.next_ts())


@asynccontextmanager
async def a_slack_site(
    home: Path, commands: list[str], *, has_slack: bool = True
) -> AsyncIterator[SlackSite]:
    """The processes *commands*, as `Site.start` takes them, with nothing known to them yet."""
    people = company_people()
    names = list(people["users"])
    users = {f"U{number:03}": names[number % len(names)] for number in range(200)}
    for name, person in people["users"].items():
        person["slack"] = [f"{TEAM}/{id}" for id, owner in users.items() if owner == name]
    rng = random.Random(3)
    channels = {f"C{n:03}": rng.sample(list(users), _MEMBERS) for n in range(20)}
    slack = LeanSlack(users, channels)
    await slack.start(PORT)
    with TemporaryDirectory(prefix="shifu-benchmark-") as place:
        site = SlackSite(Path(place), slack, users, channels)
        settings = {}
        if has_slack:
            settings = {
                "SHIFU_SLACK__BOT_TOKEN": BOT_TOKEN,
                "SHIFU_SLACK__APP_TOKEN": APP_TOKEN,
                "SHIFU_SLACK__SIGNING_SECRET": SIGNING_SECRET,
                "SHIFU_SLACK__API_URL": slack.url,
            }
        try:
            await site.start(home, people, commands, **settings)
            if has_slack:
                await slack.connected()
            yield site
        finally:
            await site.stop()
            await slack.stop()
