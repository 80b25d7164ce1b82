"""A Weaviate server to measure: the one that the settings name, or one of our own on ports of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent
_START_S = 300.0
_STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class WeaviateServer:
    """
    Where a server is reached.

    Attributes:
        process_id: None for a server that somebody else has started, whose memory we cannot see.
    """

    url: str
    grpc_url: str
    api_key: str
    process_id: int | None = None

    @property
    def memory_mb(self) -> int | None:
        """What it has allocated, without the pages of its files, which the kernel may drop."""
        return self._status_mb("RssAnon")

    @property
    def resident_mb(self) -> int | None:
        return self._status_mb("VmRSS")

    def _status_mb(self, name: str) -> int | None:
        status = Path(f"/proc/{self.process_id}/status")
        if self.process_id is None or not status.exists():
            return None
        lines = status.read_text(encoding="utf-8").splitlines()
        line = next(line for line in lines if line.startswith(name))
        return round(int(line.split()[1]) / 1000)


@contextmanager
def weaviate_server(folder: Path, *, own: bool = False) -> Iterator[WeaviateServer]:
    """
    The server that SHIFU_WEAVIATE__URL names, or one that keeps its data in *folder* and ends with the block.

    The program is `weaviate-server` on PATH or in `.weaviate/bin`; `deploy/dev/install-weaviate.sh`
    puts it there.

    Args:
        own: Start one whatever the settings say.
    """
    if not own and (url := os.environ.get("SHIFU_WEAVIATE__URL")):
        grpc_url = os.environ["SHIFU_WEAVIATE__GRPC_URL"]
        yield WeaviateServer(url, grpc_url, os.environ.get("SHIFU_WEAVIATE__API_KEY", ""))
        return
    http, grpc, *others = _free_ports(6)
    key = uuid.uuid4().hex
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [_program(), "--host", "127.0.0.1", "--port", str(http), "--scheme", "http"],
            env=_environment(folder / "data", key, grpc, others),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{http}"
    # Whoever ends us with a signal ends the server too.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        _await_ready(process, url, folder / "log")
        yield WeaviateServer(url, f"http://127.0.0.1:{grpc}", key, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
        process.kill()
        process.wait()
        signal.signal(signal.SIGTERM, before)


def _environment(data: Path, key: str, grpc: int, others: list[int]) -> dict[str, str]:
    gossip, gossip_data, raft, raft_rpc = map(str, others)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(data.parent),
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
        "AUTHENTICATION_APIKEY_ENABLED": "true",
        "AUTHENTICATION_APIKEY_ALLOWED_KEYS": key,
        "AUTHENTICATION_APIKEY_USERS": "benchmark",
        "DEFAULT_VECTORIZER_MODULE": "none",
        "ENABLE_MODULES": "",
        "API_BASED_MODULES_DISABLED": "true",
        "DISABLE_TELEMETRY": "true",
        "GO_PROFILING_DISABLE": "true",
        # As deploy/dev/services.sh starts it.
        "GOMEMLIMIT": os.environ.get("GOMEMLIMIT", "2GiB"),
        "LOG_LEVEL": "warning",
        "PERSISTENCE_DATA_PATH": str(data.resolve()),
        "CLUSTER_HOSTNAME": "node1",
        "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
        "CLUSTER_BIND_ADDR": "127.0.0.1",
        "CLUSTER_GOSSIP_BIND_PORT": gossip,
        "CLUSTER_DATA_BIND_PORT": gossip_data,
        "RAFT_BOOTSTRAP_EXPECT": "1",
        "RAFT_PORT": raft,
        "RAFT_INTERNAL_RPC_PORT": raft_rpc,
        "GRPC_PORT": str(grpc),
    }


def _program() -> str:
    found = shutil.which("weaviate-server") or str(_REPOSITORY / ".weaviate/bin/weaviate-server")
    if not os.access(found, os.X_OK):
        raise SystemExit(
            "no weaviate-server; install it with deploy/dev/install-weaviate.sh, "
            "or set SHIFU_WEAVIATE__URL and SHIFU_WEAVIATE__GRPC_URL"
        )
    return found


def _await_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/v1/.well-known/ready", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"Weaviate did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _free_ports(count: int) -> list[int]:
    """All held at once, so that none is given twice."""
    with ExitStack() as sockets:
        held = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
