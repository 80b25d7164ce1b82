"""Posts activities to the app, with a signed token, and tries again as Teams does."""

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.fakes.teams.platform import Teams
from tests.fakes.teams.world import Json

# Pauses before the tries after the first. An invoke is never tried again: somebody waits for it.
RETRY_PAUSES_S = (1.0, 5.0, 30.0)
_TRIED_AGAIN = {408, 412, 429}


@dataclass(slots=True)
class Attempt:
    """One try: what the app answered, or why there was no answer that counts."""

    status: int | None = None
    body: Any = None
    reason: str | None = None
    took_s: float = 0.0

    @property
    def is_accepted(self) -> bool:
        return self.reason is None


@dataclass(slots=True)
class Delivery:
    activity: Json
    attempts: list[Attempt] = field(default_factory=list)
    first_try: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False

    @property
    def is_accepted(self) -> bool:
        return any(attempt.is_accepted for attempt in self.attempts)

    @property
    def status(self) -> int | None:
        return self.attempts[-1].status if self.attempts else None

    @property
    def answer(self) -> Any:
        """The body that the app answered with at last."""
        return self.attempts[-1].body if self.attempts else None

    @property
    def kind(self) -> str:
        return str(self.activity.get("name") or self.activity.get("type"))


class Deliveries:
    def __init__(self, teams: Teams, *, answer_timeout_s: float, retry_factor: float) -> None:
        self._teams = teams
        self.bot_url: str | None = None
        self.answer_timeout_s = answer_timeout_s
        self.retry_factor = retry_factor
        self.all: list[Delivery] = []
        self._tasks: set[asyncio.Task[object]] = set()
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def send(self, activity: Json, *, token: str | None = None) -> Delivery:
        """Returns after the first attempt; further ones go on behind it."""
        delivery = Delivery(activity)
        self.all.append(delivery)
        self.spawn(self._deliver(delivery, token))
        await delivery.first_try.wait()
        return delivery

    async def resend(self, delivery: Delivery) -> Delivery:
        """The same activity again, as if the first answer had been lost."""
        delivery.attempts.append(await self._attempt(delivery.activity, None))
        return delivery

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Until every further try is over."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, delivery: Delivery, token: str | None) -> None:
        pauses = () if delivery.activity.get("type") == "invoke" else RETRY_PAUSES_S
        for number in range(len(pauses) + 1):
            if number:
                await asyncio.sleep(pauses[number - 1] * self.retry_factor)
            try:
                attempt = await self._attempt(delivery.activity, token)
                delivery.attempts.append(attempt)
            finally:
                delivery.first_try.set()
            status = attempt.status or 0
            is_tried_again = attempt.status is None or status >= 500 or status in _TRIED_AGAIN
            if attempt.is_accepted or not is_tried_again or self.bot_url is None:
                break
        delivery.is_over = True

    async def _attempt(self, activity: Json, token: str | None) -> Attempt:
        if self.bot_url is None:
            return Attempt(reason="nobody listens")
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        service_url = activity.get("serviceUrl", self._teams.service_url)
        signed = self._teams.keys.token(serviceurl=service_url) if token is None else token
        headers = {"Content-Type": "application/json; charset=utf-8"}
        headers |= {"User-Agent": "Microsoft-SkypeBotApi (Microsoft-BotFramework/3.0)"}
        headers |= {"Authorization": f"Bearer {signed}"} if signed else {}
        timeout = aiohttp.ClientTimeout(total=self.answer_timeout_s)
        body = json.dumps(activity, ensure_ascii=False).encode()
        try:
            async with self.session.post(
                self.bot_url, data=body, headers=headers, timeout=timeout
            ) as response:
                answer = await _read(response)
                reason = None if 200 <= response.status < 300 else "http_error"
                return Attempt(response.status, answer, reason, loop.time() - started_at)
        except TimeoutError:
            return Attempt(reason="timeout", took_s=loop.time() - started_at)
        except aiohttp.ClientError:
            return Attempt(reason="connection_failed", took_s=loop.time() - started_at)


async def _read(response: aiohttp.ClientResponse) -> Any:
    text = await response.text()
    if response.content_type == "application/json" and text:
        return json.loads(text)
    return text or None
