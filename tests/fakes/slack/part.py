"""What the public faces of the double have in common."""

from tests.fakes.slack.platform import Slack
from tests.fakes.slack.world import Channel, Install, User


class Part:
    def __init__(self, slack: Slack) -> None:
        self.slack = slack

    def _channel(self, channel: str | Channel, team: str | None = None) -> Channel:
        if isinstance(channel, Channel):
            return channel
        return self.slack.world.the_channel(channel, team)

    def _user(self, user: str | User, team: str | None = None) -> User:
        if isinstance(user, User):
            return user
        return self.slack.world.the_user(user, team)

    def _member(self, user: str | User, channel: Channel) -> User:
        """The user by that id whom people in *channel* mean."""
        if isinstance(user, User):
            return user
        found = self.slack.world.find_user(user, channel.teams)
        assert found is not None, f"nobody in {channel.id} is called {user}"
        return found

    def _install(self, team: str | None = None) -> Install:
        found = self.slack.world.install_in(team or self.slack.world.first_team)
        assert found is not None, f"the app is not installed in {team}: call api.install()"
        return found
