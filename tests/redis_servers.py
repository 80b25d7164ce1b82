"""Real Redis servers for tests: alone, as a Cluster, and with a replica and a Sentinel; all gone afterwards."""

import contextlib
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from redis import Redis, RedisError

from bot.embedded_redis import watch_over
from bot.redis_server import find_server

S = TypeVar("S", "Server", "Cluster", "Replicated")
PATIENCE_S = 60
SERVICE = "shifu"
_SLOTS = 16384


class Server:
    """One process on a loopback port; what it writes stays in *folder* for the next start."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._folder = folder / str(self.port)
        self._folder.mkdir(parents=True)
        self._options = options
        self.password: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def client(self) -> Redis:
        return Redis(
            port=self.port,
            password=self.password,
            decode_responses=True,
            protocol=2,
            socket_timeout=PATIENCE_S,
        )

    def start(self) -> None:
        command = [str(find_server()), *self._command()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        # Also when the tests themselves are killed.
        self._watchdog = watch_over(self._process.pid)
        wait_until(self._answers)

    def kill(self) -> None:
        """At once, as a power cut would."""
        for process in (self._process, self._watchdog):
            if process is not None:
                process.kill()
                process.wait()
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        self._process = self._watchdog = None

    def _command(self) -> list[str]:
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        return [*place, "--save", "", *self._options]

    def _answers(self) -> bool:
        with contextlib.suppress(RedisError), self.client() as client:
            return bool(client.ping())
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        return False


class SentinelServer(Server):
    """Watches over *primary*, and gives it up after half a second."""

    def __init__(self, folder: Path, primary: Server, *, password: str | None = None) -> None:
        super().__init__(folder)
        self.password = password
        self._config = self._folder / "sentinel.conf"
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self._folder}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} 1",
            f"sentinel down-after-milliseconds {SERVICE} 500",
            f"sentinel failover-timeout {SERVICE} 3000",
        ]
        if primary.password:
            lines.append(f"sentinel auth-pass {SERVICE} {primary.password}")
        if password:
            lines.append(f"requirepass {password}")
        self._config.write_text("\n".join(lines) + "\n")

    def _command(self) -> list[str]:
        return [str(self._config), "--sentinel"]


class Cluster:
    """Three primaries without replicas."""

    def __init__(self, folder: Path, *options: str) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", *options)
        self.servers = [Server(folder, *options, "--appendonly", "yes") for _ in range(3)]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers)
        return f"redis+cluster://{hosts}"

    def start(self) -> None:
        for server in self.servers:
            server.start()
        share = -(-_SLOTS // len(self.servers))
        first = self.servers[0]
        for n, server in enumerate(self.servers):
            slots = range(n * share, min((n + 1) * share, _SLOTS))
            with server.client() as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", n + 1)
                client.execute_command("CLUSTER ADDSLOTS", *slots)
                if server is not first:
                    client.execute_command("CLUSTER MEET", "127.0.0.1", first.port)
        wait_until(lambda: self.says("ok"))

    def kill(self) -> None:
        for server in self.servers:
            server.kill()

    def says(self, state: str) -> bool:
        """Whether this is how every server that runs sees the Cluster."""
        seen = set()
        for server in self.servers:
            if server.is_running:
                with server.client() as client:
                    told = client.execute_command("CLUSTER INFO")
                seen.add((told["cluster_state"], int(told["cluster_known_nodes"])))
        return seen == {(state, len(self.servers))}


class Replicated:
    """A primary, its replica, and a Sentinel that makes the one the other when need be."""

    def __init__(self, folder: Path) -> None:
        self.primary = Server(folder)
        # Its primary would wait for more replicas before it begins to copy.
        self.primary = Server(folder, "--repl-diskless-sync-delay", "0")
        self.replica = Server(folder, "--replicaof", "127.0.0.1", str(self.primary.port))
        self.sentinel = SentinelServer(folder, self.primary)

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{SERVICE}/0"

    def start(self) -> None:
        self.primary.start()
        self.replica.start()
        wait_until(self._is_in_step)
        self.sentinel.start()
        wait_until(self._is_known)

    def kill(self) -> None:
        for server in (self.sentinel, self.replica, self.primary):
            server.kill()

    def fail_over(self) -> None:
        """Kill the primary once its replica has everything, and wait until the replica is in its place."""
        with self.primary.client() as client:
            # Waits for what other connections wrote, too: replication is one stream.
            client.set("written last", 1)
            assert client.wait(1, PATIENCE_S * 1000) == 1
        self.primary.kill()
        with self.sentinel.client() as client:
            wait_until(lambda: client.sentinel_master(SERVICE)["port"] == self.replica.port)

    def _is_in_step(self) -> bool:
        with self.replica.client() as client:
            return bool(client.info("replication")["master_link_status"] == "up")

    def _is_known(self) -> bool:
        with self.sentinel.client() as client:
            return any(not found["is_sdown"] for found in client.sentinel_slaves(SERVICE))


@contextlib.contextmanager
def running(servers: S) -> Iterator[S]:
    try:
        servers.start()
        yield servers
    finally:
        servers.kill()


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def free_port() -> int:
    """One below those that systems hand out, with room for a Cluster's second one."""
    while True:
        port = random.randrange(11_000, 20_000)
        with contextlib.suppress(OSError):
            for wanted in (port, port + 10_000):
                with socket.socket() as trial:
                    trial.bind(("127.0.0.1", wanted))
            return port
