"""The Web API's methods by name, and the call that a method's function gets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.fakes.slack.platform import Slack
from tests.fakes.slack.world import Channel, Install, Json, Refused, User

Item = TypeVar("Item")

# Calls per minute and workspace of Slack's tiers.
TIER_1, TIER_2, TIER_3, TIER_4 = 1, 20, 50, 100
SPECIAL = 60


class Call:
    """One request, authenticated: its arguments, and what they name."""

    def __init__(self, slack: Slack, args: Json, install: Install) -> None:
        self.slack = slack
        self.args = args
        self.install = install
        teams = slack.world.teams_of(install)
        asked = args.get("team_id")
        if install.is_enterprise_install and asked:
            if asked not in teams:
                raise Refused("team_access_not_granted")
            teams = [asked]
        self.teams = teams

    def require(self, name: str) -> Any:
        value = self.args.get(name)
        if value in (None, ""):
            raise Refused("invalid_arguments", messages=[f"[ERROR] missing required field: {name}"])
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.args.get(name, default)
        return value in (True, 1, "1", "true", "True")

    def number(self, name: str, default: int) -> int:
        try:
            return int(self.args.get(name) or default)
        except ValueError:
            raise Refused("invalid_arguments") from None

    def needs_scope(self, *any_of: str) -> None:
        if not set(any_of) & self.install.scopes:
            provided = ",".join(sorted(self.install.scopes))
            raise Refused("missing_scope", needed=any_of[0], provided=provided)

    def needs_team(self) -> None:
        """An org-wide token belongs to no workspace: the call has to name one."""
        if self.install.is_enterprise_install and not self.args.get("team_id"):
            raise Refused("missing_argument", messages=["[ERROR] missing required field: team_id"])

    def channel(self, name: str = "channel", *, is_seen: bool = True) -> Channel:
        """*is_seen*: private ones without the bot do not exist for it."""
        id = self.args.get(name)
        if not id:
            raise Refused("invalid_arguments", messages=[f"[ERROR] missing required field: {name}"])
        found = self.slack.world.find_channel(str(id), self.teams)
        if found is None or (is_seen and found.kind != "public" and not self.is_in(found)):
            raise Refused("channel_not_found")
        return found

    def writable_channel(self, name: str = "channel") -> Channel:
        """Or, for `chat.postMessage` alone, the direct message with a user."""
        found = self.channel(name)
        if found.is_archived:
            raise Refused("is_archived")
        if not self.is_in(found) and "chat:write.public" not in self.install.scopes:
            raise Refused("not_in_channel")
        return found

    def user(self, name: str = "user", error: str = "user_not_found") -> User:
        found = self.slack.world.find_user(str(self.require(name)), self.teams)
        if found is None:
            raise Refused(error)
        return found

    def is_in(self, channel: Channel) -> bool:
        return self.install.bot_user in channel.members

    def page(self, items: Sequence[Item], *, default: int, most: int) -> tuple[list[Item], Json]:
        """The items from the cursor on, and the `response_metadata` that leads to the rest."""
        limit = self.number("limit", default)
        if not 0 < limit <= most:
            raise Refused("invalid_limit")
        cursor = str(self.args.get("cursor") or "")
        if cursor and not cursor.startswith("next:"):
            raise Refused("invalid_cursor")
        start = int(cursor.removeprefix("next:") or 0)
        following = f"next:{start + limit}" if start + limit < len(items) else ""
        return list(items[start : start + limit]), {"response_metadata": {"next_cursor": following}}


Handler = Callable[[Call], Json]


@dataclass(frozen=True, slots=True)
class Method:
    name: str
    handler: Handler
    scopes: tuple[str, ...]
    """Any one of them; none: the function decides."""
    per_minute: int
    takes_json: bool


METHODS: dict[str, Method] = {}


def method(
    name: str, *scopes: str, per_minute: int = TIER_3, takes_json: bool = True
) -> Callable[[Handler], Handler]:
    """*takes_json* False: like Slack, does not see arguments in a JSON body."""

    def added(handler: Handler) -> Handler:
        METHODS[name] = Method(name, handler, scopes, per_minute, takes_json)
        return handler

    return added
