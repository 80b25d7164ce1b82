"""A Redis Cluster that loses a server, gets it back, or is none at all."""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from bot.errors import StateUnavailable
from bot.inbox import Hold, Taken
from bot.redis_client import close_redis, open_redis, run_script
from bot.redis_inbox import RedisInbox
from bot.redis_state import RedisState
from tests.builders import TENANT
from tests.redis_servers import PATIENCE_S, Cluster, Server, running, wait_until

CONVERSATIONS = [f"c{n}" for n in range(12)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    # Told to, the servers that are left serve what is theirs.
    with running(Cluster(tmp_path, "--cluster-require-full-coverage", "no")) as cluster:
        yield cluster


def server_of_the_first_partition(cluster: Cluster) -> Server:
    slot_key = f"{{{TENANT}:q0}}"
    for server in cluster.servers:
        with server.client() as client:
            slot = client.execute_command("CLUSTER KEYSLOT", slot_key)
            if client.execute_command("CLUSTER COUNTKEYSINSLOT", slot):
                return server
    raise AssertionError("nothing was put there")


async def test_while_a_server_is_gone_the_others_conversations_go_on(cluster: Cluster) -> None:
    inbox = RedisInbox(open_redis(cluster.url), tenant=TENANT, partitions=8)
    for conversation in CONVERSATIONS:
        await inbox.put(f"first of {conversation}", conversation, "turn", "")
    gone = server_of_the_first_partition(cluster)

    gone.kill()
    taken: dict[str, Taken] = {}
    refused = 0
    async with asyncio.timeout(PATIENCE_S):
        while not refused or not taken:
            try:
                if (loan := await inbox.take(wait_s=0)) is not None:
                    taken[loan.entry.conversation] = loan
            except StateUnavailable:
                refused += 1
    here = next(iter(taken))
    assert await inbox.renew(taken[here]) is Hold.HELD
    assert await inbox.done(taken.pop(here))
    accepted = await inbox.put(f"second of {here}", here, "turn", "")
    assert accepted.is_new

    gone.start()
    async with asyncio.timeout(PATIENCE_S):
        while len(taken) < len(CONVERSATIONS):
            try:
                loan = await inbox.take(wait_s=1)
            except StateUnavailable:
                await asyncio.sleep(0.05)
                continue
            if loan is not None:
                taken[loan.entry.conversation] = loan
    assert set(taken) == set(CONVERSATIONS)
    await inbox.close()


async def test_a_cluster_that_is_not_whole_says_so(tmp_path: Path) -> None:
    with running(Cluster(tmp_path)) as cluster:
        state = RedisState(open_redis(cluster.url), tenant=TENANT)
        await state.check()
        cluster.servers[2].kill()
        wait_until(lambda: cluster.says("fail"))

        said = ""
        async with asyncio.timeout(PATIENCE_S):
            for n in count():
                try:
                    await state.load_session(f"s{n}")
                except StateUnavailable as error:
                    said = str(error)
                if "has no primary now" in said:
                    break
        await state.close()


async def test_a_script_may_be_the_first_command_of_many_at_once(cluster: Cluster) -> None:
    for _ in range(5):
        redis = open_redis(cluster.url, max_connections=3)

        replies = await asyncio.gather(
            *(run_script(redis, "return 1", [f"k{n}"], timeout_s=PATIENCE_S) for n in range(50))
        )

        assert replies == [1] * 50
        await close_redis(redis)


async def test_an_address_of_the_wrong_kind_says_which_one_is_right(
    cluster: Cluster, tmp_path: Path
) -> None:
    with running(Server(tmp_path / "single")) as single:
        of_one = RedisState(open_redis(cluster.servers[0].url), tenant=TENANT)
        of_many = RedisState(open_redis(f"redis+cluster://127.0.0.1:{single.port}"), tenant=TENANT)

        asked = (of_one.load_session(f"s{n}") for n in range(50))
        with pytest.raises(StateUnavailable, match=r"redis\+cluster://"):
            await asyncio.gather(*asked)
        with pytest.raises(StateUnavailable, match="is no Cluster"):
            await of_many.load_session("s")

        await of_one.close()
        await of_many.close()
