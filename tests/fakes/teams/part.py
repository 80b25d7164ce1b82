"""What the public faces of the double have in common."""

from tests.fakes.teams.messages import Message
from tests.fakes.teams.platform import Teams
from tests.fakes.teams.world import Conversation, Team, User

PERSONAL = "personal"


class Part:
    def __init__(self, teams: Teams) -> None:
        self.teams = teams

    def _user(self, user: str | User) -> User:
        return user if isinstance(user, User) else self.teams.world.user(user)

    def _place(self, place: str | Conversation, user: User | None = None) -> Conversation:
        """*place* may be `personal`: the chat of *user* with the app."""
        if isinstance(place, Conversation):
            return place
        if place == PERSONAL:
            assert user is not None, "say whose chat"
            return self.teams.personal(user)
        return self.teams.world.conversation(place)

    def _place_of(self, message: Message) -> Conversation:
        return self.teams.world.conversation(message.conversation)

    def _team(self, team: str | Team) -> Team:
        """By its id, or by that of its group."""
        if isinstance(team, Team):
            return team
        found = self.teams.world.teams.get(team) or self.teams.world.team_of_group(team)
        assert found is not None, f"no team {team}"
        return found
