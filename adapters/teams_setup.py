"""What the settings mean for the Teams app: which opt-ins."""

from adapters.settings import Settings
from adapters.teams.permissions import OptIn


def teams_opt_ins(settings: Settings) -> frozenset[OptIn]:
    teams = settings.teams
    wanted = {
        OptIn.FOLLOW: bool(teams.follow_teams),
        OptIn.INDEX: bool(teams.index_channels),
        OptIn.SHAREPOINT: bool(teams.sharepoint),
        OptIn.NOTIFICATIONS: bool(teams.notifications_url),
    }
    return frozenset(opt_in for opt_in, is_set in wanted.items() if is_set)
