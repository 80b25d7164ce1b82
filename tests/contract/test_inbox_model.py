"""The inbox on Redis does what its in-memory twin does, whatever is asked of them in whatever order."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.inbox import DeadLetter, Entry, Inbox, InMemoryInbox, Taken
from bot.redis_client import RedisClient, close_redis, open_redis, run_script
from bot.redis_inbox import RedisInbox

T = TypeVar("T")
_tenants = count(1)
STEPS, STEP_S, MOST_WAITED = 30, 10, 10
"""Less than the hour after which an event may be put again."""
LEASE_S, PAUSE_S = 124, 37
"""No two moments fall together: each is seconds from the next, and a run takes less than one."""

# Redis has a clock of its own: instead of that, what it knows is made older.
_AGE = """
for _, name in ipairs({'ready', 'unfinished', 'dead'}) do
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1] .. name, 0, -1)) do
    redis.call('ZINCRBY', KEYS[1] .. name, -ARGV[1], member)
  end
end
"""
conversations = st.sampled_from(["a", "b"])
ids = st.integers(0, 9).map(str)
latest = st.sampled_from([0, 0, 0, 1, 2])
"""Which one, from the end."""


class TwoInboxes(RuleBasedStateMachine):
    """Each rule is carried out on both, and both give the same reply."""

    url: str

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.tenant = f"model{next(_tenants)}"
        self.redis: RedisClient = open_redis(self.url)
        self.ours = RedisInbox(self.redis, tenant=self.tenant, lease_s=LEASE_S)
        self.now = 1e9
        self.twin = InMemoryInbox(lease_s=LEASE_S, clock=lambda: self.now)
        self.loans: list[tuple[Taken, Taken]] = []
        self.buried: list[str] = []

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(close_redis(self.redis))
            self.runner.close()

    @rule(id=ids, conversation=conversations)
    def put(self, id: str, conversation: str) -> None:
        # The same event is always of the same conversation.
        args = (f"{conversation}{id}", conversation, "turn", "")
        ours, twin = self._both(lambda inbox: inbox.put(*args))
        assert (ours.is_new, ours.ahead, ours.waiting) == (twin.is_new, twin.ahead, twin.waiting)

    @rule()
    def take(self) -> None:
        ours, twin = self._both(lambda inbox: inbox.take(wait_s=0))
        assert (ours is None) == (twin is None)
        if ours is not None and twin is not None:
            assert _told(ours.entry) == _told(twin.entry)
            assert all(ours.fence > earlier.fence for earlier, _ in self.loans)
            self.loans.append((ours, twin))
            self._on_loan(0, lambda inbox, loan: inbox.renew(loan))

    @precondition(lambda self: self.loans)
    @rule(n=latest)
    def renew(self, n: int) -> None:
        self._on_loan(n, lambda inbox, loan: inbox.renew(loan))

    @precondition(lambda self: self.loans)
    @rule(n=latest, posted=st.sampled_from(["m1", "m2"]))
    def record(self, n: int, posted: str) -> None:
        self._on_loan(n, lambda inbox, loan: inbox.record(loan, posted))

    @precondition(lambda self: self.loans)
    @rule(n=latest)
    def done(self, n: int) -> None:
        self._on_loan(n, lambda inbox, loan: inbox.done(loan))

    @precondition(lambda self: self.loans)
    @rule(n=latest, after_s=st.sampled_from([0, PAUSE_S]), counts=st.booleans())
    def put_back(self, n: int, after_s: int, counts: bool) -> None:
        self._on_loan(n, lambda inbox, loan: inbox.put_back(loan, after_s=after_s, counts=counts))

    @precondition(lambda self: self.loans)
    @rule(n=latest)
    def bury(self, n: int) -> None:
        self.buried.append(self.loans[-1 - n % len(self.loans)][1].entry.id)
        self._on_loan(n, lambda inbox, loan: inbox.bury(loan, "why"))

    @precondition(lambda self: self.loans)
    @rule(n=latest)
    def stop(self, n: int) -> None:
        self._on_loan(n, lambda inbox, loan: inbox.stop(loan.entry.id, loan.entry.conversation))

    @precondition(lambda self: self.buried)
    @rule(n=latest)
    def revive(self, n: int) -> None:
        self._on_buried(n, lambda inbox, id: inbox.revive(id))

    @precondition(lambda self: self.buried)
    @rule(n=latest)
    def drop(self, n: int) -> None:
        self._on_buried(n, lambda inbox, id: inbox.drop(id))

    @rule(steps=st.integers(1, MOST_WAITED - 1))
    def wait(self, steps: int) -> None:
        self._pass(steps * STEP_S)

    @invariant()
    def the_same_is_unfinished_and_dead(self) -> None:
        if not hasattr(self, "twin"):
            return
        ours, twin = self._both(lambda inbox: inbox.state(), takes_time=False)
        assert (ours.waiting, ours.unfinished, ours.dead) == (
            twin.waiting,
            twin.unfinished,
            twin.dead,
        )
        letters = self._both(lambda inbox: inbox.dead(), takes_time=False)
        assert [_letter(letter) for letter in letters[0]] == [
            _letter(letter) for letter in letters[1]
        ]

    def _on_loan(self, n: int, do: Callable[[Inbox, Taken], Coroutine[Any, Any, T]]) -> None:
        """On one of the latest loans, which may be over."""
        ours, twin = self.loans[-1 - n % len(self.loans)]
        assert self._run(do(self.ours, ours)) == self._run(do(self.twin, twin))
        self._pass(STEP_S)

    def _on_buried(self, n: int, do: Callable[[Inbox, str], Coroutine[Any, Any, bool]]) -> None:
        """On what was buried, if it was, and may have been revived or dropped since."""
        ours, twin = self._both(lambda inbox: do(inbox, self.buried[-1 - n % len(self.buried)]))
        assert ours == twin

    def _both(
        self, do: Callable[[Inbox], Coroutine[Any, Any, T]], *, takes_time: bool = True
    ) -> tuple[T, T]:
        replies = self._run(do(self.ours)), self._run(do(self.twin))
        if takes_time:
            self._pass(STEP_S)
        return replies

    def _pass(self, seconds: int) -> None:
        self.now += seconds
        prefix = f"shifu:{{{self.tenant}:q0}}:"
        self._run(run_script(self.redis, _AGE, [prefix], seconds * 1000, timeout_s=10))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


def _told(entry: Entry) -> tuple[object, ...]:
    return entry.id, entry.conversation, entry.kind, entry.body, entry.tries, entry.posted


def _letter(letter: DeadLetter) -> tuple[object, ...]:
    return *_told(letter.entry), letter.reason


def test_redis_and_the_twin_agree(redis_url: str) -> None:
    class OnThisServer(TwoInboxes):
        url = redis_url

    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=60,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
