"""Graph tells of people and groups that change: what is asked for, and what is believed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from adapters.chat.directory_cache import DirectoryCache, Found, InMemoryDirectoryCache
from adapters.teams.credentials import BotTokens, Credentials
from adapters.teams.directory import TeamsDirectory, TeamsRules
from adapters.teams.graph import Graph
from adapters.teams.ids import entra_group_principal
from adapters.teams.notifications import (
    NotificationRoutes,
    Subscriptions,
    SubscriptionsHandler,
)
from bot.errors import StateUnavailable, TryLater
from bot.messages import ConversationKind
from bot.worker import Job
from tests.builders import TENANT
from tests.fakes.teams.subscriptions import Subscription
from tests.fakes.teams_api import TeamsApi
from tests.teams_directory import (
    ENTRA,
    FABRIKAM,
    a_bot,
    a_directory,
    a_place,
    a_user,
    an_id,
)

TEAM = "19:team@thread.tacv2"
NO_JOB: Job = None  # type: ignore[assignment]


@dataclass
class Told:
    """Where Graph tells us."""

    api: TeamsApi
    directory: TeamsDirectory
    cache: DirectoryCache
    subscriptions: Subscriptions
    url: str
    time: datetime
    lapses: list[str] = field(default_factory=list)

    def open(self) -> list[Subscription]:
        return list(self.api.teams.subscriptions.open.values())

    def of(self, resource: str) -> Subscription:
        [found] = [one for one in self.open() if one.resource == resource]
        return found

    async def tell(self, resource: str, **more: Any) -> int | None:
        """As Graph does, or as somebody else would; the status that it is answered with."""
        about = resource.partition("/")[0]
        change = "" if "lifecycleEvent" in more else "updated"
        told = await self.api.teams.subscriptions.tell(
            self.of(about), resource, change, {"id": resource.partition("/")[2]}, **more
        )
        return told.status

    async def knows(self, number: int) -> bool:
        return await self.directory.person(a_user(number)) is not None


@asynccontextmanager
async def being_told(
    cache: DirectoryCache | None = None, tenants: tuple[str, ...] = (ENTRA,)
) -> AsyncIterator[Told]:
    async with TeamsApi() as api:
        for tenant in tenants:
            api.tenant(tenant)
        cache = cache or InMemoryDirectoryCache()
        rules = TeamsRules(frozenset(tenants))
        tokens = BotTokens(
            api.app_id, ENTRA, Credentials(secret=api.app_password), login_url=api.login_url
        )
        graph = Graph.open(tokens, base_url=api.graph_url)
        async with a_directory(api, rules=rules, cache=cache) as directory:
            told: Told

            async def lapsed() -> None:
                told.lapses.append("lapsed")

            early = Subscriptions(graph, cache, url="", tenants=tenants)
            async with a_bot(api, directory, NotificationRoutes(early, directory, lapsed)) as bot:
                url = f"{bot}/teams/notifications"
                subscriptions = Subscriptions(
                    graph, cache, url=url, tenants=tenants, clock=lambda: told.time
                )
                told = Told(api, directory, cache, subscriptions, url, datetime.now(UTC))
                await subscriptions.keep_up()
                try:
                    yield told
                finally:
                    await graph.close()
                    await tokens.close()


class TestWhatIsTold:
    async def test_somebody_who_is_blocked_is_nobody_at_once(self) -> None:
        async with being_told() as told:
            told.api.user(an_id(1))
            assert await told.knows(1)

            await told.api.disable(an_id(1))
            await told.api.settled()

            assert not await told.knows(1)

    async def test_a_guest_who_becomes_a_member_and_the_other_way_round(self) -> None:
        async with being_told() as told:
            told.api.user(an_id(1), guest=True)
            assert not await told.knows(1)

            await told.api.promote(an_id(1))
            await told.api.settled()
            assert await told.knows(1)

            await told.api.demote(an_id(1))
            await told.api.settled()
            assert not await told.knows(1)

    async def test_who_leaves_a_group_leaves_those_around_it(self) -> None:
        async with being_told() as told:
            told.api.user(an_id(1), groups=[an_id(501)])
            told.api.group(an_id(502), "around", [an_id(501)])
            person = await told.directory.person(a_user(1))
            around = entra_group_principal(TENANT, an_id(502))
            assert person is not None
            assert around in person.reader.principals

            await told.api.remove_from_group(an_id(501), an_id(502))
            await told.api.settled()

            person = await told.directory.person(a_user(1))
            assert person is not None
            assert around not in person.reader.principals

    async def test_a_team_that_is_opened_is_open(self) -> None:
        async with being_told() as told:
            told.api.team(TEAM, an_id(900), "Team", [told.api.user(an_id(1)).id])
            room = await told.directory.room(a_place(TEAM))
            assert room is not None
            assert room.kind is ConversationKind.PRIVATE

            await told.api.open_team(TEAM)
            await told.api.settled()

            room = await told.directory.room(a_place(TEAM))
            assert room is not None
            assert room.kind is ConversationKind.PUBLIC

    async def test_others_stay_known(self) -> None:
        async with being_told() as told:
            for n in (1, 2):
                told.api.user(an_id(n))
                await told.knows(n)
            asked = len(told.api.calls("graph:/$batch"))

            await told.tell(f"users/{an_id(1)}")

            await told.knows(2)
            assert len(told.api.calls("graph:/$batch")) == asked
            await told.knows(1)
            assert len(told.api.calls("graph:/$batch")) == asked + 1


class TestWhatIsBelieved:
    @pytest.mark.parametrize(
        "forged",
        [
            {"client_state": "guessed"},
            {"client_state": ""},
            {"tenantId": FABRIKAM},
            {"clientState": None},
            {"clientState": ["?"]},
        ],
    )
    async def test_only_who_knows_the_secret_tells_us_anything(
        self, forged: dict[str, Any]
    ) -> None:
        async with being_told() as told:
            told.api.user(an_id(1))
            await told.knows(1)
            asked = len(told.api.calls("graph:/$batch"))

            # Whoever asks does not learn from the answer whether they guessed right.
            assert await told.tell(f"users/{an_id(1)}", **forged) == 202

            await told.knows(1)
            assert len(told.api.calls("graph:/$batch")) == asked

    async def test_secrets_of_one_tenant_do_not_speak_for_another(self) -> None:
        async with being_told(tenants=(ENTRA, FABRIKAM)) as told:
            states = {(one.tenant, one.resource): one.client_state for one in told.open()}

            assert len(set(states.values())) == len(states) == 4
            assert all(len(state) > 30 for state in states.values())

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ("{", 400),
            ("[]", 202),
            ("{}", 202),
            ('{"value": {"a": 1}}', 202),
            ('{"value": [7, null, {}]}', 202),
            ('{"value": [{"clientState": "\\ud800", "resource": "users/1"}]}', 202),
        ],
    )
    async def test_whatever_else_comes_does_no_harm(self, body: str, status: int) -> None:
        headers = {"Content-Type": "application/json"}
        async with being_told() as told, aiohttp.ClientSession() as http:
            response = await http.post(told.url, data=body, headers=headers)

            assert response.status == status

    async def test_the_handshake_is_plain_text_whatever_it_says(self) -> None:
        async with being_told() as told, aiohttp.ClientSession() as http:
            token = "<script>alert(1)</script> 中文"
            async with http.post(told.url, params={"validationToken": token}) as response:
                assert (response.status, await response.text()) == (200, token)
                assert response.content_type == "text/plain"
                assert response.headers["X-Content-Type-Options"] == "nosniff"

    async def test_what_cannot_be_forgotten_now_is_told_again(self) -> None:
        cache = _Failing()
        async with being_told(cache) as told:
            cache.is_down = True

            assert await told.tell(f"users/{an_id(1)}") == 503


class TestKeepingUp:
    async def test_what_is_there_is_not_asked_for_again(self) -> None:
        async with being_told() as told:
            before = {one.id for one in told.open()}

            await told.subscriptions.keep_up()

            assert {one.id for one in told.open()} == before
            assert {one.resource for one in told.open()} == {"users", "groups"}

    async def test_it_is_renewed_in_time_and_asked_for_anew_when_it_was_too_late(self) -> None:
        async with being_told() as told:
            first = told.of("users")
            told.api.advance(3 * 86_400)
            told.time += timedelta(days=3)
            await told.subscriptions.keep_up()
            assert told.of("users") is first
            assert first.expires_at > told.time.timestamp() + 6 * 86_400

            told.api.teams.subscriptions.open.clear()
            await told.subscriptions.keep_up()

            assert told.of("users").id != first.id
            assert await told.tell(f"users/{an_id(1)}") == 202

    async def test_secrets_that_were_lost_are_agreed_on_anew(self) -> None:
        cache = _Failing()
        async with being_told(cache) as told:
            told.api.user(an_id(1))
            old = {one.client_state for one in told.open()}
            cache.forget_everything()

            await told.subscriptions.keep_up()

            assert len(told.open()) == 2
            assert old.isdisjoint(one.client_state for one in told.open())
            await told.knows(1)
            await told.api.disable(an_id(1))
            await told.api.settled()
            assert not await told.knows(1)

    async def test_those_of_other_apps_and_addresses_are_left_alone(self) -> None:
        async with being_told() as told:
            other = told.of("users")
            other.notification_url = f"{told.url}/of-another-deployment"

            await told.subscriptions.keep_up()

            assert len([one for one in told.open() if one.resource == "users"]) == 2
            assert other in told.open()

    @pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved"])
    async def test_it_is_kept_up_as_soon_as_graph_says_so(self, event: str) -> None:
        async with being_told() as told:
            assert await told.tell("users", lifecycleEvent=event) == 202
            assert await told.tell("users", lifecycleEvent=event, client_state="guessed") == 202

            assert told.lapses == ["lapsed"]

    async def test_after_what_was_missed_everybody_is_looked_up_anew(self) -> None:
        async with being_told() as told:
            told.api.user(an_id(1))
            await told.knows(1)
            told.api.teams.world.users[an_id(1)].is_disabled = True
            assert await told.knows(1)

            await told.tell("users", lifecycleEvent="missed")

            assert not await told.knows(1)

    async def test_the_job_waits_for_what_will_pass_and_leaves_what_will_not(self) -> None:
        async with being_told() as told:
            job = SubscriptionsHandler(told.subscriptions)
            told.api.teams.subscriptions.open.clear()
            told.api.forbid("User.Read.All")
            await job.handle(NO_JOB)
            assert [one.resource for one in told.open()] == ["groups"]
            told.api.fail("graph:/subscriptions", status=503, retry_after_s=60)

            with pytest.raises(TryLater) as raised:
                await job.handle(NO_JOB)

            assert raised.value.after_s == 60


class _Failing(InMemoryDirectoryCache):
    """A Redis that can be away, and lose what it knew."""

    is_down = False

    def forget_everything(self) -> None:
        self._kept.clear()

    async def find(self, keys: Any) -> Found:
        self._check()
        return await super().find(keys)

    async def keep(self, texts: Mapping[str, str], *, ttl_s: int, as_of: int) -> frozenset[str]:
        self._check()
        return await super().keep(texts, ttl_s=ttl_s, as_of=as_of)

    async def drop(self, keys: Any) -> None:
        self._check()
        await super().drop(keys)

    def _check(self) -> None:
        if self.is_down:
            raise StateUnavailable("away")
