"""Where the app is installed, and the token it has there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Installation:
    """
    One token of the app, for a workspace or for a whole organisation on Enterprise Grid.

    Attributes:
        enterprise: `E…`; empty outside Enterprise Grid.
        team: `T…`; empty when the app is installed for the whole organisation.
        bot_user: `U…` of the bot.
        installed_at: Seconds since 1970; 0 if unknown.
    """

    enterprise: str
    team: str
    bot_token: str = field(repr=False)
    bot_user: str
    bot_id: str = ""
    scopes: tuple[str, ...] = ()
    name: str = ""
    installed_at: int = 0

    @property
    def home(self) -> str:
        """What its people and channels belong to: the organisation, else the workspace."""
        return self.enterprise or self.team

    @property
    def key(self) -> str:
        """There is one installation for each workspace, and one for an organisation as a whole."""
        return self.team or self.enterprise

    @property
    def is_org_wide(self) -> bool:
        return not self.team


class Installations(Protocol):
    """All methods raise `StateUnavailable` or `ChannelUnavailable` when it cannot be said now."""

    async def find(self, enterprise: str, team: str) -> Installation | None:
        """
        The one of the workspace *team*, else the one of the whole organisation *enterprise*.

        Either may be empty. Without a *team*, and without one of the whole organisation: that of one of
        its workspaces.
        """
        ...

    async def all(self) -> Sequence[Installation]: ...

    async def save(self, installation: Installation) -> None:
        """In place of an earlier one for the same workspace or organisation."""
        ...

    async def remove(self, enterprise: str, team: str) -> None:
        """Forget the token of the workspace; without a *team* that of the whole organisation."""
        ...


class InMemoryInstallations:
    """Lives and dies with the process."""

    def __init__(self, *installations: Installation) -> None:
        self._kept = {installation.key: installation for installation in installations}

    async def find(self, enterprise: str, team: str) -> Installation | None:
        return chosen(self._kept.values(), enterprise, team)

    async def all(self) -> Sequence[Installation]:
        return sorted(self._kept.values(), key=lambda installation: installation.key)

    async def save(self, installation: Installation) -> None:
        self._kept[installation.key] = installation

    async def remove(self, enterprise: str, team: str) -> None:
        self._kept.pop(team or enterprise, None)


def chosen(
    installations: Iterable[Installation], enterprise: str, team: str
) -> Installation | None:
    """What `Installations.find` finds among all *installations*."""
    by_key = {installation.key: installation for installation in installations}
    found = by_key.get(team) or by_key.get(enterprise)
    if found or team or not enterprise:
        return found
    of_enterprise = [key for key, one in by_key.items() if one.enterprise == enterprise]
    return by_key[min(of_enterprise)] if of_enterprise else None
