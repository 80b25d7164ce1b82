"""Makes Slack fail on request, and its connections and clock misbehave."""

from tests.fakes.slack.delivery import Delivery
from tests.fakes.slack.faults import Fault
from tests.fakes.slack.methods import METHODS
from tests.fakes.slack.part import Part
from tests.fakes.slack.server import Server


class Failing(Part):
    _server: Server

    def fail(
        self,
        method: str,
        *,
        times: int = 1,
        status: int | None = None,
        error: str | None = None,
        delay_s: float = 0.0,
        drops_answer: bool = False,
        retry_after_s: int | None = None,
        late_s: float = 0.0,
    ) -> None:
        """
        The next *times* calls of *method* (`*`: of any; `response_url`: of those).

        Args:
            status: Answered instead of doing anything; 429 with `Retry-After`.
            error: Refused with this.
            delay_s: Done, but later.
            late_s: Done at once; the answer, with what was true then, comes later.
            drops_answer: Done, and the connection breaks before the answer.
        """
        fault = Fault(times, status, error, delay_s, late_s, drops_answer, retry_after_s)
        self.slack.faults.queue(method, fault)

    def without(self, *methods: str) -> None:
        """As in a workspace that does not have them: `unknown_method`."""
        self.slack.faults.missing |= set(methods)

    def rate_limit(self, method: str, *, per_minute: int, retry_after_s: int | None = None) -> None:
        """Per workspace; *retry_after_s* instead of the true wait, which may be a minute."""
        self.slack.faults.limit(method, per_minute, retry_after_s)

    def rate_limit_as_slack(self, *, retry_after_s: int | None = None) -> None:
        """Every method by its own tier."""
        for method in METHODS.values():
            self.rate_limit(method.name, per_minute=method.per_minute, retry_after_s=retry_after_s)

    def limit_history(self) -> None:
        """As for apps sold outside the Marketplace: one call a minute and 15 messages."""
        self.slack.faults.has_tight_history = True
        for method in ("conversations.history", "conversations.replies"):
            self.rate_limit(method, per_minute=1)

    def heal(self) -> None:
        """No fault and no limit any more."""
        self.slack.faults.clear()

    def revoke_scope(self, scope: str, *, team: str | None = None) -> None:
        install = self._install(team)
        install.scopes = install.scopes - {scope}

    async def down(self, *, refuses_connections: bool = False) -> None:
        """503 everywhere, or nobody listening at all; open sockets are cut."""
        self.slack.faults.is_down = True
        await self.slack.deliveries.sockets.drop()
        if refuses_connections:
            await self._server.stop_listening()

    async def up(self) -> None:
        self.slack.faults.is_down = False
        await self._server.listen_again()

    def advance(self, seconds: float) -> None:
        """Push Slack's clock: triggers, response URLs, streams and rate limits grow old."""
        self.slack.clock.advance(seconds)

    async def connected(self, count: int = 1) -> None:
        """Wait for *count* Socket Mode connections."""
        await self.slack.deliveries.sockets.connected(count)

    @property
    def socket_count(self) -> int:
        return self.slack.deliveries.sockets.count

    async def refresh_sockets(self) -> None:
        """Slack asks for new connections, as it does every few hours, and closes the old ones."""
        await self.slack.deliveries.sockets.refresh()

    async def drop_sockets(self) -> None:
        await self.slack.deliveries.sockets.drop()

    async def resend(self, delivery: Delivery) -> Delivery:
        """Deliver once more what was delivered already."""
        return await self.slack.deliveries.resend(delivery)

    async def settled(self) -> None:
        """Wait until every redelivery is over."""
        await self.slack.deliveries.settled()

    def signed(self, body: str, *, at: float | None = None) -> dict[str, str]:
        """Headers with which the app takes *body* for Slack's."""
        return self.slack.deliveries.signed(body, at=at)
