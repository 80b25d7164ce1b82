"""The product as processes, for tests that kill them: `shifu serve` and `shifu work` on shared servers."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bot.embedded_redis import watch_over
from tests.redis_servers import free_port

TENANT = "chaos"
_SHIFU = Path(sys.executable).with_name("shifu")
_START_S = 90


@dataclass
class ShifuProcess:
    """One process of the product, which can be killed and started again on the same port."""

    command: str
    folder: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
    _watchdog: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / f"{self.command}-{self.port}.log").read_text(errors="replace")

    def start(self) -> None:
        setting = "SHIFU_WEB__PORT" if self.command == "serve" else "SHIFU_WORK__PORT"
        with (self.folder / f"{self.command}-{self.port}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_SHIFU, self.command],
                cwd=self.folder,
                env={**self.environment, setting: str(self.port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._watchdog = watch_over(self._process.pid)

    def kill(self) -> None:
        """At once, in the middle of whatever it does."""
        for process in (self._process, self._watchdog):
            if process is not None:
                process.kill()
                process.wait()
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        self._process = self._watchdog = None

    def terminate(self) -> int:
        """As a rolling restart does; the exit code."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(60)
        self.kill()
        return code

    async def is_ready(self, client: aiohttp.ClientSession) -> bool:
        try:
            async with client.get(f"{self.url}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            assert self._process is not None
            assert self._process.poll() is None, self.log
            return False

    async def until_ready(self, client: aiohttp.ClientSession) -> None:
        async with asyncio.timeout(_START_S):
            while not await self.is_ready(client):
                await asyncio.sleep(0.1)


def an_environment(redis_url: str, folder: Path, **more: str) -> dict[str, str]:
    """Of the product, with nothing of the machine's own settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SHIFU_", "OPENAI_"))}
    return {
        **kept,
        "SHIFU_HOME": str(folder / "home"),
        "SHIFU_TENANT": TENANT,
        "SHIFU_REDIS__URL": redis_url,
        "SHIFU_DIRECTORY__PATH": str(folder / "people.yaml"),
        "SHIFU_EMBEDDINGS__PROVIDER": "none",
        "SHIFU_QUESTIONS_PER_MINUTE": "100000",
        "NO_PROXY": "127.0.0.1",
        **more,
    }


@dataclass
class WebPerson:
    """Somebody at the page of any of several processes: a request that fails is sent again."""

    client: aiohttp.ClientSession
    urls: list[str]
    user: str
    retries: int = 0

    async def direct(self) -> str:
        return str((await self._post("/api/conversations", {}))["id"])

    async def ask(self, conversation: str, text: str, client_id: str, *, url: int = 0) -> None:
        body = {"conversation": conversation, "text": text, "client_id": client_id}
        await self._post("/api/messages", body, url=url)

    async def messages(self, conversation: str) -> list[dict[str, Any]]:
        """What the page shows of the conversation now."""
        query = {"as": self.user, "conversation": conversation}
        while True:
            try:
                async with self.client.get(f"{self.urls[0]}/api/events", params=query) as response:
                    async for line in response.content:
                        if line.startswith(b"data:"):
                            return list(json.loads(line[5:])["messages"])
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.1)

    async def _post(self, path: str, body: dict[str, str], *, url: int = 0) -> dict[str, Any]:
        while True:
            base = self.urls[url % len(self.urls)]
            headers = {"Origin": base}
            try:
                async with self.client.post(
                    base + path, json=body, params={"as": self.user}, headers=headers
                ) as response:
                    if response.status < 300:
                        return dict(await response.json())
                    assert response.status == 503, await response.text()
            except (aiohttp.ClientError, TimeoutError):
                pass
            self.retries += 1
            url += 1
            await asyncio.sleep(0.05)
