"""A Redis of our own: on a unix socket in a private folder, persisted, gone when we are."""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import quote

from bot.errors import StateUnavailable
from bot.redis_server import find_server, server_version, why_it_failed

_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103
_KEPT_LOG_BYTES = 1_000_000
_STOP_S = 15.0
_OWNER_ENDS_S = 0.5

_OPTIONS = [
    *("--port", "0", "--unixsocketperm", "700", "--daemonize", "no", "--logfile", ""),
    # Every write goes to the append-only file; snapshots beside it would only cost.
    *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
    # A full memory must refuse writes, never drop what we were told to keep.
    *("--maxmemory-policy", "noeviction"),
]

_SOCKET_NOTE = "redis.socket-path"

# The kernel sends the signal when the *thread* that started Redis ends, hence the main thread.
# A launcher instead of `preexec_fn`, which may deadlock once there are other threads; and should
# we be gone before it has asked for the signal, nobody would ever send it.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
# Elsewhere a shell waits for the end of a pipe whose other end only we hold.
_WATCHDOG = 'trap "" INT HUP TERM; read -r _; kill -TERM "$1"'


class EmbeddedRedis:
    """
    A Redis that lives in *folder* for as long as the `with` block, or as this process.

    It persists every write (append-only file, synced each second), listens on a unix socket that
    only our user can open, and saves and ends on leaving the block, on Ctrl-C, and when this
    process is killed.

    Args:
        folder: Made if missing, for our user alone. One process at a time can use it.
        server: The binary; searched for when None.
        start_timeout_s: Longest wait until it answers; reading a large file takes a while.
    """

    def __init__(
        self, folder: Path, *, server: Path | None = None, start_timeout_s: float = 30
    ) -> None:
        self._folder = folder.expanduser().absolute()
        self._server = server
        self._start_timeout_s = start_timeout_s
        self._lock: BinaryIO | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._socket = self._folder / "redis.sock"
        self._log_start = 0

    @property
    def url(self) -> str:
        """For `open_redis`; valid while started."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def log_path(self) -> Path:
        return self._folder / "redis.log"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """
        Start unless running, and wait until it answers. Blocks; call it from the main thread.

        Raises:
            RedisNotInstalled: If there is no server.
            StateUnavailable: If it does not start; the text says why and what to do.
        """
        if self.is_running:
            return
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start Redis from the main thread: it ends with its thread")
        self.stop()
        server = self._server or find_server()
        try:
            self._prepare_folder()
            self._take_folder()
            self._refuse_older_server(server)
            self._launch(server)
            self._await_answer()
        except OSError as error:
            self.stop()
            raise StateUnavailable(
                f"Redis cannot be started in {self._folder}: {error.strerror or error}. "
                "Choose another folder with SHIFU_HOME."
            ) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Save and end. Harmless when not running."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None
        if self._socket.parent != self._folder:
            shutil.rmtree(self._socket.parent, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _prepare_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        if self.log_path.exists() and self.log_path.stat().st_size > _KEPT_LOG_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))

    def _take_folder(self) -> None:
        """
        Lock the folder for us *and* the server, which inherits the lock.

        After we are killed the old server still saves; the next start waits here until it is gone.
        """
        lock = (self._folder / "redis.lock").open("a+b")
        began = time.monotonic()
        while not _locked(lock):
            lock.seek(0)
            owner = lock.read(20).decode(errors="replace")
            waited_s = time.monotonic() - began
            if waited_s > (_OWNER_ENDS_S if _is_alive(owner) else _STOP_S):
                lock.close()
                raise StateUnavailable(
                    f"Another shifu process ({owner or 'unknown'}) is using {self._folder}. "
                    "Stop it, or give this one another folder with SHIFU_HOME."
                )
            time.sleep(0.02)
        lock.truncate(0)
        lock.write(str(os.getpid()).encode())
        lock.flush()
        self._lock = lock

    def _refuse_older_server(self, server: Path) -> None:
        # Redis 6.2 does not see what 7 and later wrote, and would start empty without a word.
        if (self._folder / "appendonlydir").exists():
            version = server_version(server)
            if version and version < (7, 0):
                raise StateUnavailable(
                    f"The data in {self._folder} was written by Redis 7 or newer, but {server} is "
                    f"{version[0]}.{version[1]}. Put the newer one on PATH again, or move the "
                    "folder away to start empty."
                )

    def _launch(self, server: Path) -> None:
        assert self._lock is not None
        self._socket = _socket_path(self._folder)
        self._socket.unlink(missing_ok=True)
        # Where it is, for other processes: a long path has it elsewhere.
        (self._folder / _SOCKET_NOTE).write_text(str(self._socket), "utf-8")
        command = [str(server), *_OPTIONS]
        command += ["--unixsocket", str(self._socket), "--dir", str(self._folder)]
        if sys.platform == "linux":
            launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
            command = launcher + command
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._lock.fileno()],
                # Ctrl-C in the terminal is for us: Redis must outlast what we have to finish.
                start_new_session=True,
            )
        if sys.platform != "linux":
            self._watchdog = watch_over(self._process.pid)

    def _await_answer(self) -> None:
        assert self._process is not None
        end = time.monotonic() + self._start_timeout_s
        while not _answers(self._socket):
            if self._process.poll() is not None:
                raise StateUnavailable(
                    f"Redis did not start: {why_it_failed(self._new_log())}. "
                    f"Its log is {self.log_path}."
                )
            if time.monotonic() > end:
                raise StateUnavailable(
                    f"Redis did not answer within {self._start_timeout_s:.0f} s of its start; it "
                    f"may still be reading its data. Its log is {self.log_path}."
                )
            time.sleep(0.005)

    def _new_log(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            return log.read(_KEPT_LOG_BYTES).decode(errors="replace")


def watch_over(pid: int) -> subprocess.Popen[bytes]:
    """A process that ends *pid* as soon as this one is gone."""
    return subprocess.Popen(
        ["/bin/sh", "-c", _WATCHDOG, "shifu-redis-watchdog", str(pid)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def url_of_running(folder: Path) -> str | None:
    """Address of the Redis that another process of ours runs in *folder*, if one answers."""
    try:
        socket_path = Path((folder / _SOCKET_NOTE).read_text("utf-8"))
    except OSError:
        return None
    return f"unix://{quote(str(socket_path))}" if _answers(socket_path) else None


def _socket_path(folder: Path) -> Path:
    """In *folder*, or where the path is shorter: a socket's address has little room."""
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    short = Path(tempfile.mkdtemp(prefix="shifu-"))
    if len(os.fsencode(short / "redis.sock")) > _LONGEST_SOCKET_PATH:
        short.rmdir()
        short = Path(tempfile.mkdtemp(prefix="shifu-", dir="/tmp"))
    return short / "redis.sock"


def _answers(path: Path) -> bool:
    """False while it is starting, or loading its data."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as link:
        link.settimeout(1)
        link.connect(str(path))
        link.sendall(b"PING\r\n")
        return link.recv(16).startswith(b"+PONG")
    return False


def _locked(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(owner: str) -> bool:
    try:
        os.kill(int(owner), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
