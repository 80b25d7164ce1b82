"""Makes Teams and Graph fail on request, and their clock and settings change."""

from collections.abc import Iterable

from tests.fakes.teams.faults import Fault
from tests.fakes.teams.part import Part
from tests.fakes.teams.server import Server
from tests.fakes.teams.world import Conversation, Team

AREAS = ("connector", "graph", "login", "keys", "downloads")
SEND_LIMITS = ((7, 1.0), (8, 2.0), (60, 30.0), (1_800, 3_600.0))


class Failing(Part):
    _server: Server

    def fail(
        self,
        name: str,
        *,
        times: int = 1,
        status: int | None = None,
        code: str = "",
        message: str = "",
        raw: str | None = None,
        retry_after_s: float | None = None,
        delay_s: float = 0.0,
        late_s: float = 0.0,
        drops_answer: bool = False,
        after: int = 0,
    ) -> None:
        """
        The next *times* calls of *name*.

        Args:
            name: As in `calls`: `send`, `typing`, `stream`, `send_targeted`, `update`, `delete`,
                `create`, `members`, `member`, `team`, `channels`, `attachment`, `download`, `keys`,
                `login`, `graph:/users/{id}`; or a whole area (`connector`, `graph`); or `*`.
            status: Answered instead of doing anything, with *code* and *message*, or with *raw* text.
            delay_s: Done, but later.
            late_s: Done at once; the answer, with what was true then, comes later.
            drops_answer: Done, and the connection breaks before the answer.
            after: So many calls go well first.
        """
        fault = Fault(
            times,
            status,
            code,
            message,
            raw,
            retry_after_s,
            delay_s,
            late_s,
            drops_answer,
            after,
        )
        self.teams.faults.queue(name, fault)

    def rate_limit(
        self, name: str, *windows: tuple[int, float], retry_after_s: float | None = None
    ) -> None:
        """So many calls in so many seconds, per thread; *retry_after_s* instead of the true wait."""
        self.teams.faults.limit(name, windows, retry_after_s)

    def rate_limit_as_teams(self, *, retry_after_s: float | None = None) -> None:
        self.rate_limit("send", *SEND_LIMITS, retry_after_s=retry_after_s)
        self.rate_limit("create", (7, 1.0), retry_after_s=retry_after_s)
        self.rate_limit("members", (14, 1.0), retry_after_s=retry_after_s)

    def heal(self) -> None:
        """No fault and no limit any more."""
        self.teams.faults.clear()

    async def down(self, *areas: str, refuses_connections: bool = False) -> None:
        """503 from *areas* (`connector`, `graph`, `login`, `keys`, `downloads`; all), or nobody there."""
        assert set(areas) <= set(AREAS), areas
        self.teams.faults.down |= set(areas or AREAS)
        if refuses_connections:
            await self._server.stop_listening()

    async def up(self) -> None:
        self.teams.faults.down.clear()
        await self._server.listen_again()

    def advance(self, seconds: float) -> None:
        """Push the clock: tokens, streams, downloads, targeted messages and limits grow old."""
        self.teams.clock.advance(seconds)

    def permit(self, *permissions: str, of: str | Team | Conversation | None = None) -> None:
        """In the app's own tenant, or *of* one team or chat alone."""
        self._permissions(of).update(permissions)

    def forbid(
        self, *permissions: str, of: str | Team | Conversation | None = None, tenant: str = ""
    ) -> None:
        """As if an admin had never agreed to these; without any, to none at all."""
        home = self.teams.world.tenants.get(tenant)
        granted = home.permissions if home else self._permissions(of)
        granted.difference_update(permissions or set(granted))

    def permissions(self, permissions: Iterable[str], *, tenant: str = "") -> None:
        """These and no others."""
        home = tenant or self.teams.world.first_tenant
        self.teams.world.tenants[home].permissions = set(permissions)

    def targeted(self, on: bool, *, tenant: str = "") -> None:
        """Whether *tenant* takes messages that one person alone sees."""
        home = tenant or self.teams.world.first_tenant
        self.teams.world.tenants[home].takes_targeted = on

    def roll_keys(self, *, keep_old: bool = True) -> None:
        """Teams signs with a new key from now on."""
        self.teams.keys.roll(keep_old=keep_old)

    def expire_tokens(self) -> None:
        """All that were handed out to the app."""
        self.teams.grants.clear()

    def _permissions(self, of: str | Team | Conversation | None) -> set[str]:
        world = self.teams.world
        if of is None:
            return world.tenants[world.first_tenant].permissions
        if isinstance(of, str):
            of = self._team(of) if of in world.teams else self._place(of)
        return of.permissions
