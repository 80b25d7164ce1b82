"""Redis behind Sentinels: after a fail-over everything goes on at the new primary."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from bot.errors import StateUnavailable
from bot.inbox import Hold
from bot.messages import Session
from bot.redis_client import open_redis
from bot.redis_inbox import RedisInbox
from bot.redis_state import RedisState
from tests.builders import TENANT
from tests.redis_servers import (
    PATIENCE_S,
    SERVICE,
    Replicated,
    SentinelServer,
    Server,
    running,
    wait_until,
)

T = TypeVar("T")


async def soon(ask: Callable[[], Awaitable[T]]) -> T:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await ask()
            except StateUnavailable:
                await asyncio.sleep(0.05)


async def test_state_and_inbox_go_on_after_a_fail_over(tmp_path: Path) -> None:
    with running(Replicated(tmp_path)) as servers:
        state = RedisState(open_redis(servers.url), tenant=TENANT)
        inbox = RedisInbox(open_redis(servers.url), tenant=TENANT, lease_s=600)
        await state.allow("ann", limit=1, per_s=600)
        await inbox.put("a", "c", "turn", "body")
        await inbox.put("b", "c", "turn", "body")
        taken = await inbox.take(wait_s=0)
        assert taken is not None
        await inbox.record(taken, "m1")
        waiting = asyncio.create_task(soon(lambda: inbox.take(wait_s=PATIENCE_S)))

        await asyncio.to_thread(servers.fail_over)

        assert not await soon(lambda: state.allow("ann", limit=1, per_s=600))
        await soon(lambda: state.save_session("s", Session()))
        assert await soon(lambda: inbox.renew(taken)) is Hold.HELD
        assert not (await inbox.put("a", "c", "turn", "body")).is_new
        assert await inbox.put_back(taken)
        again = await waiting
        assert again is not None
        assert (again.entry.id, again.entry.posted, again.entry.tries) == ("a", "m1", 2)
        assert again.fence > taken.fence
        assert await inbox.done(again)
        await state.close()
        await inbox.close()


async def test_a_password_is_for_redis_and_for_the_sentinels_that_ask_for_one(
    tmp_path: Path,
) -> None:
    secured = Server(tmp_path, "--requirepass", "geheim")
    secured.password = "geheim"
    for asks_too in (False, True):
        sentinel = SentinelServer(tmp_path, secured, password="geheim" if asks_too else None)
        with running(secured), running(sentinel):
            url = f"redis+sentinel://:geheim@127.0.0.1:{sentinel.port}/{SERVICE}"
            state = RedisState(open_redis(url), tenant=TENANT)

            await soon(state.check)
            await state.close()


async def test_what_is_wrong_with_the_sentinels_is_said(tmp_path: Path) -> None:
    primary = Server(tmp_path)
    sentinel = SentinelServer(tmp_path, primary)
    with running(primary), running(sentinel):
        with sentinel.client() as client:
            wait_until(lambda: client.sentinel_master(SERVICE)["is_master"])
        nobody, port = "127.0.0.1:1", sentinel.port
        meant = {
            f"redis+sentinel://127.0.0.1:{port}/other": "names a working primary",
            f"redis+sentinel://{nobody}/{SERVICE}": "names a working primary",
            f"redis+sentinel://127.0.0.1:{primary.port}/{SERVICE}": "names as Sentinels are none",
        }
        for url, sentence in meant.items():
            state = RedisState(open_redis(url, timeout_s=1), tenant=TENANT)
            with pytest.raises(StateUnavailable, match=sentence):
                await state.check()
            await state.close()

        working = RedisState(
            open_redis(f"redis+sentinel://{nobody},127.0.0.1:{port}/{SERVICE}"), tenant=TENANT
        )
        await working.check()
        await working.close()
