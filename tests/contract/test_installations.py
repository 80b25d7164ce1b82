"""What every keeper of installations must do, and that Redis never holds a token in clear."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from cryptography.fernet import Fernet
from redis.asyncio import Redis

from adapters.slack.authorize import authorize_from, forget_uninstalled
from adapters.slack.cached_installations import CachedInstallations
from adapters.slack.installations import InMemoryInstallations, Installation, Installations
from adapters.slack.redis_installations import RedisInstallations
from bot.errors import StateUnavailable
from bot.redis_client import close_redis, open_redis

_tenants = count(1)
KEY, OLD_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()

IN_T1 = Installation(
    "", "T1", "xoxb-geheim-1", "UBOT1", "B1", ("chat:write", "users:read"), "青嵐", 1_700_000_000
)
IN_T2 = Installation("E1", "T2", "xoxb-geheim-2", "UBOT2")
IN_T3 = Installation("E1", "T3", "xoxb-geheim-3", "UBOT3")
IN_E2 = Installation("E2", "", "xoxb-geheim-org", "UORG")


class InstallationsContract:
    async def test_nothing_is_installed_at_first(self, installations: Installations) -> None:
        assert await installations.all() == []
        assert await installations.find("E1", "T1") is None
        assert await installations.find("", "") is None

    async def test_an_installation_comes_back_as_it_was_saved(
        self, installations: Installations
    ) -> None:
        await installations.save(IN_T1)
        await installations.save(IN_E2)

        assert await installations.find("", "T1") == IN_T1
        assert await installations.find("E2", "") == IN_E2
        assert await installations.all() == [IN_E2, IN_T1]

    async def test_one_of_the_workspace_comes_before_one_of_the_organisation(
        self, installations: Installations
    ) -> None:
        in_workspace = replace(IN_E2, team="T5", bot_token="xoxb-5")
        for installation in (IN_E2, in_workspace):
            await installations.save(installation)

        assert await installations.find("E2", "T5") == in_workspace
        assert await installations.find("E2", "T6") == IN_E2
        assert await installations.find("E2", "") == IN_E2

    async def test_an_organisation_is_reached_by_any_of_its_workspaces(
        self, installations: Installations
    ) -> None:
        for installation in (IN_T3, IN_T2, IN_T1):
            await installations.save(installation)

        assert await installations.find("E1", "") == IN_T2
        assert await installations.find("E1", "T4") is None
        assert await installations.find("E9", "") is None

    async def test_installing_again_replaces_the_token(self, installations: Installations) -> None:
        await installations.save(IN_T1)

        await installations.save(replace(IN_T1, bot_token="xoxb-new"))

        found = await installations.find("", "T1")
        assert found
        assert found.bot_token == "xoxb-new"
        assert len(await installations.all()) == 1

    async def test_what_is_removed_is_gone_and_nothing_else(
        self, installations: Installations
    ) -> None:
        for installation in (IN_T1, IN_T2, IN_E2):
            await installations.save(installation)

        await installations.remove("", "T1")
        await installations.remove("E2", "")
        await installations.remove("E1", "T9")
        await installations.remove("", "")

        assert await installations.all() == [IN_T2]

    async def test_an_event_is_authorized_by_the_token_of_its_workspace(
        self, installations: Installations
    ) -> None:
        for installation in (IN_T1, IN_E2):
            await installations.save(installation)
        authorize = authorize_from(installations, teams=["T1", "E2"])

        in_workspace, in_organisation = await authorize(None, "T1"), await authorize("E2", "T7")

        assert in_workspace
        assert (in_workspace.bot_token, in_workspace.bot_user_id) == ("xoxb-geheim-1", "UBOT1")
        assert in_organisation
        assert in_organisation.bot_token == "xoxb-geheim-org"
        assert (in_organisation.enterprise_id, in_organisation.team_id) == ("E2", "T7")

    async def test_an_event_of_a_workspace_that_is_not_ours_is_not_authorized(
        self, installations: Installations
    ) -> None:
        for installation in (IN_T1, IN_T2):
            await installations.save(installation)
        authorize = authorize_from(installations, teams=["T1"])

        assert await authorize("E1", "T2") is None
        assert await authorize(None, "T8") is None
        assert await authorize(None, None) is None

    async def test_after_an_uninstallation_no_event_is_authorized(
        self, installations: Installations
    ) -> None:
        for installation in (IN_T1, IN_E2):
            await installations.save(installation)
        authorize = authorize_from(installations)

        await forget_uninstalled(installations, an_event("app_uninstalled", team_id="T1"))
        await forget_uninstalled(
            installations,
            an_event(
                "tokens_revoked",
                tokens={"bot": ["UORG"]},
                enterprise_id="E2",
                team_id="T7",
                authorizations=[{"is_enterprise_install": True}],
            ),
        )

        assert await authorize(None, "T1") is None
        assert await authorize("E2", "T7") is None

    async def test_the_end_of_a_persons_token_or_of_an_earlier_installation_changes_nothing(
        self, installations: Installations
    ) -> None:
        await installations.save(IN_T1)

        await forget_uninstalled(
            installations, an_event("tokens_revoked", tokens={"oauth": ["U1"]}, team_id="T1")
        )
        await forget_uninstalled(
            installations,
            an_event("app_uninstalled", team_id="T1", event_time=IN_T1.installed_at - 300),
        )

        assert await installations.find("", "T1") == IN_T1


def an_event(type: str, *, tokens: dict[str, Any] | None = None, **envelope: Any) -> dict[str, Any]:
    event = {"type": type} | ({"tokens": tokens} if tokens else {})
    return {"type": "event_callback", "event_time": 1_800_000_000, "event": event, **envelope}


class TestInMemoryInstallations(InstallationsContract):
    @pytest.fixture
    def installations(self) -> Installations:
        return InMemoryInstallations()


class TestCachedInstallations(InstallationsContract):
    @pytest.fixture
    def installations(self) -> Installations:
        return CachedInstallations(InMemoryInstallations())

    async def test_they_are_asked_for_anew_when_the_time_is_over(self) -> None:
        now = 0.0
        behind = InMemoryInstallations(IN_T1)
        cached = CachedInstallations(behind, ttl_s=60, clock=lambda: now)
        await cached.find("", "T1")
        await behind.remove("", "T1")

        assert await cached.find("", "T1") == IN_T1
        now = 60.0
        assert await cached.find("", "T1") is None

    async def test_what_is_not_installed_is_not_remembered(self) -> None:
        behind = InMemoryInstallations()
        cached = CachedInstallations(behind)
        await cached.find("", "T1")

        await behind.save(IN_T1)

        assert await cached.find("", "T1") == IN_T1

    async def test_what_was_read_before_a_removal_is_not_remembered_after_it(self) -> None:
        class Slow(InMemoryInstallations):
            async def find(self, enterprise: str, team: str) -> Installation | None:
                found = await super().find(enterprise, team)
                if found:
                    await cached.remove(enterprise, team)
                return found

        cached = CachedInstallations(Slow(IN_T1))

        await cached.find("", "T1")

        assert await cached.find("", "T1") is None


class TestRedisInstallations(InstallationsContract):
    @pytest.fixture
    async def redis(self, redis_url: str) -> AsyncIterator[Redis]:
        client = open_redis(redis_url)
        assert isinstance(client, Redis)
        yield client
        await close_redis(client)

    @pytest.fixture
    def installations(self, redis: Redis) -> RedisInstallations:
        return RedisInstallations(redis, tenant=f"slack{next(_tenants)}", keys=[KEY, OLD_KEY])

    async def test_redis_holds_no_token_in_clear(
        self, redis: Redis, installations: RedisInstallations
    ) -> None:
        await installations.save(IN_T1)

        keys = [str(key) async for key in redis.scan_iter("shifu:slack*:slack:installations")]
        held = "".join([str(await redis.hgetall(key)) for key in keys])

        assert "T1" in held
        assert "geheim" not in held
        assert "xoxb" not in held
        assert "青嵐" not in held

    async def test_a_new_key_takes_over_what_an_old_one_encrypted(self, redis: Redis) -> None:
        tenant = f"slack{next(_tenants)}"
        await RedisInstallations(redis, tenant=tenant, keys=[OLD_KEY]).save(IN_T1)

        both = RedisInstallations(redis, tenant=tenant, keys=[KEY, OLD_KEY])

        assert await both.find("", "T1") == IN_T1
        assert await RedisInstallations(redis, tenant=tenant, keys=[KEY]).all() == [IN_T1]

    async def test_without_its_key_a_workspace_has_to_install_again(self, redis: Redis) -> None:
        tenant = f"slack{next(_tenants)}"
        await RedisInstallations(redis, tenant=tenant, keys=[OLD_KEY]).save(IN_T1)
        installations = RedisInstallations(redis, tenant=tenant, keys=[KEY])

        assert await installations.unreadable() == ["T1"]
        assert await installations.find("", "T1") is None
        await installations.save(IN_T1)
        assert await installations.find("", "T1") == IN_T1
        assert await installations.unreadable() == []

    async def test_a_token_means_nothing_in_the_place_of_another(self, redis: Redis) -> None:
        tenant = f"slack{next(_tenants)}"
        installations = RedisInstallations(redis, tenant=tenant, keys=[KEY])
        await installations.save(IN_T1)
        name = f"shifu:{tenant}:slack:installations"
        moved = str(await redis.hget(name, "T1"))

        await redis.hset(name, "T2", moved)
        await redis.hset("shifu:other:slack:installations", "T1", moved)

        assert await installations.find("", "T2") is None
        assert await RedisInstallations(redis, tenant="other", keys=[KEY]).all() == []

    async def test_every_method_says_that_redis_is_unavailable(self) -> None:
        redis = open_redis("unix:///nowhere/redis.sock")
        installations = RedisInstallations(redis, tenant="nowhere", keys=[KEY])

        for call in (
            installations.find("", "T1"),
            installations.all(),
            installations.save(IN_T1),
            installations.remove("", "T1"),
        ):
            with pytest.raises(StateUnavailable):
                await call
        await close_redis(redis)
