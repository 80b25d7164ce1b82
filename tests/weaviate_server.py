"""A real Weaviate server for tests: started once, with an API key, on ports of its own; or one that runs already."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from retrieval.weaviate_store import WeaviateStore

NAME_PREFIX = "ShifuTest"
MAXIMUM_RESULTS = 1200

_REPOSITORY = Path(__file__).parents[1]
_START_S = 90.0
# In this order one after the other: nodes on one machine expect it of some of each other's.
_NODE_PORTS = (
    "http",
    "GRPC_PORT",
    "CLUSTER_GOSSIP_BIND_PORT",
    "CLUSTER_DATA_BIND_PORT",
    "RAFT_PORT",
    "RAFT_INTERNAL_RPC_PORT",
)
# The server must end with the tests, also when they are killed.
_LAUNCHER = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit()
os.execv(sys.argv[2], sys.argv[2:])
"""


class WeaviateServer:
    """
    Args:
        binary: None for a server that somebody else has started.
        more: Further variables of its environment.
    """

    def __init__(
        self,
        url: str,
        grpc_url: str,
        api_key: str | None,
        *,
        binary: Path | None,
        folder: Path,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.grpc_url = grpc_url
        self.api_key = api_key
        self._binary = binary
        self._folder = folder
        self._other_ports = _free_ports(4)
        self._more = more or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def can_be_stopped(self) -> bool:
        return self._binary is not None

    async def open_store(
        self,
        *,
        tenant: str | None = None,
        embedder_name: str | None = "test",
        timeout_s: float = 20.0,
        name_prefix: str = NAME_PREFIX,
        api_key: str | None = None,
        replicas: int = 1,
    ) -> "WeaviateStore":
        """A store of a new tenant, unless one is named."""
        # Only here: every test run reads this file, and importing the driver takes a second.
        from retrieval.weaviate_store import WeaviateStore

        return await WeaviateStore.open(
            url=self.url,
            grpc_url=self.grpc_url,
            api_key=api_key or self.api_key,
            tenant=tenant or a_tenant(),
            embedder_name=embedder_name,
            timeout_s=timeout_s,
            name_prefix=name_prefix,
            replicas=replicas,
        )

    def start(self) -> None:
        """Start, with what was stored before, and wait until it is ready."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        assert self._binary is not None
        gossip, data, raft, raft_rpc = self._other_ports
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
            "AUTHENTICATION_APIKEY_ENABLED": "true",
            "AUTHENTICATION_APIKEY_ALLOWED_KEYS": self.api_key or "",
            "AUTHENTICATION_APIKEY_USERS": "shifu",
            "AUTOSCHEMA_ENABLED": "false",
            "DEFAULT_VECTORIZER_MODULE": "none",
            "ENABLE_MODULES": "",
            "API_BASED_MODULES_DISABLED": "true",
            "DISABLE_TELEMETRY": "true",
            "GO_PROFILING_DISABLE": "true",
            # So that what must go on beyond the server's limit can be seen to with fewer rows.
            "QUERY_MAXIMUM_RESULTS": str(MAXIMUM_RESULTS),
            "LOG_LEVEL": "warning",
            "PERSISTENCE_DATA_PATH": str(self._folder / "data"),
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
            "CLUSTER_BIND_ADDR": "127.0.0.1",
            "CLUSTER_GOSSIP_BIND_PORT": str(gossip),
            "CLUSTER_DATA_BIND_PORT": str(data),
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "RAFT_PORT": str(raft),
            "RAFT_INTERNAL_RPC_PORT": str(raft_rpc),
            "GRPC_PORT": self.grpc_url.rpartition(":")[2],
            **self._more,
        }
        port = self.url.rpartition(":")[2]
        command = [self._binary, "--host", "127.0.0.1", "--port", port, "--scheme", "http"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _LAUNCHER, str(os.getpid()), *map(str, command)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End at once, as a machine does that loses power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Alive but silent, as behind a broken network."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    def await_ready(self) -> None:
        assert self._process is not None
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/v1/.well-known/ready", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.stop()
        log = (self._folder / "log").read_text(errors="replace")
        raise RuntimeError(f"Weaviate did not start:\n{log[-2000:]}")


@contextmanager
def a_weaviate_server(folder: Path) -> Iterator[WeaviateServer]:
    """The server of the environment, or one started in *folder*; skips the test if there is none."""
    if url := os.environ.get("SHIFU_TEST_WEAVIATE_URL"):
        grpc_url = os.environ["SHIFU_TEST_WEAVIATE_GRPC_URL"]
        api_key = os.environ.get("SHIFU_TEST_WEAVIATE_API_KEY")
        yield WeaviateServer(url, grpc_url, api_key, binary=None, folder=folder)
        return
    binary = _find_binary()
    if binary is None:
        pytest.skip("no weaviate-server; `deploy/dev/install-weaviate.sh` installs it")
    http, grpc = _free_ports(2)
    server = WeaviateServer(
        f"http://127.0.0.1:{http}",
        f"http://127.0.0.1:{grpc}",
        uuid.uuid4().hex,
        binary=binary,
        folder=folder,
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def a_weaviate_cluster(folder: Path) -> Iterator[list[WeaviateServer]]:
    """Three nodes that keep everything three times."""
    binary = _find_binary()
    if binary is None:
        pytest.skip("no weaviate-server; `deploy/dev/install-weaviate.sh` installs it")
    api_key = uuid.uuid4().hex
    free = iter(_free_ports(3 * len(_NODE_PORTS)))
    ports = [{name: next(free) for name in _NODE_PORTS} for _ in range(3)]
    members = ",".join(f"node{n}:{p['RAFT_PORT']}" for n, p in enumerate(ports, start=1))
    nodes = []
    for number, own in enumerate(ports, start=1):
        (folder / f"node{number}").mkdir()
        more = {
            **{name: str(port) for name, port in own.items() if name.isupper()},
            "CLUSTER_HOSTNAME": f"node{number}",
            "CLUSTER_IN_LOCALHOST": "true",
            "RAFT_BOOTSTRAP_EXPECT": "3",
            "RAFT_JOIN": members,
        }
        if number > 1:
            more["CLUSTER_JOIN"] = f"127.0.0.1:{ports[0]['CLUSTER_GOSSIP_BIND_PORT']}"
        nodes.append(
            WeaviateServer(
                f"http://127.0.0.1:{own['http']}",
                f"http://127.0.0.1:{own['GRPC_PORT']}",
                api_key,
                binary=binary,
                folder=folder / f"node{number}",
                more=more,
            )
        )
    try:
        for node in nodes:
            node.launch()
        try:
            for node in nodes:
                node.await_ready()
        except RuntimeError as error:
            # A node waits for the others: what went wrong may stand in another one's log.
            logs = [f"{log}:\n{log.read_text(errors='replace')}" for log in folder.glob("*/log")]
            raise RuntimeError("\n".join(logs)) from error
        yield nodes
    finally:
        for node in nodes:
            node.stop()


def a_tenant() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


def _find_binary() -> Path | None:
    candidates = [
        os.environ.get("SHIFU_TEST_WEAVIATE_BINARY"),
        shutil.which("weaviate-server"),
        _REPOSITORY / ".weaviate" / "bin" / "weaviate-server",
    ]
    return next((Path(c) for c in candidates if c and os.access(c, os.X_OK)), None)


def _free_ports(count: int) -> list[int]:
    """
    Free for TCP and UDP, one after the other.

    Below those that the system gives to outgoing connections: one of these may take a port before
    the server does, which then ends at once.
    """
    while True:
        first = random.randrange(15_000, 32_000)
        ports = range(first, first + count)
        with ExitStack() as sockets:
            try:
                for port, kind in product(ports, (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
                    held = sockets.enter_context(socket.socket(socket.AF_INET, kind))
                    held.bind(("127.0.0.1", port))
            except OSError:
                continue
        return list(ports)
