"""Sends events, commands and clicks to the app, by HTTP or Socket Mode, and tries again as Slack does."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.fakes.slack.messages import Message
from tests.fakes.slack.platform import Slack
from tests.fakes.slack.sockets import Sockets
from tests.fakes.slack.streams import Streams
from tests.fakes.slack.world import Channel, Install, Json

EVENT, COMMAND, INTERACTIVE = "events_api", "slash_commands", "interactive"
# Slack's pauses before the first, second and third retry.
RETRY_PAUSES_S = (0.0, 60.0, 300.0)


@dataclass(slots=True)
class Attempt:
    """One try: what the app answered, or why there was no answer that counts."""

    retry_num: int
    status: int | None = None
    body: Any = None
    reason: str | None = None
    is_final: bool = False
    """The app asked for no further try."""

    @property
    def is_acknowledged(self) -> bool:
        return self.reason is None


@dataclass(slots=True)
class Delivery:
    kind: str
    payload: Json
    attempts: list[Attempt] = field(default_factory=list)
    first_try: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False

    @property
    def is_acknowledged(self) -> bool:
        return any(attempt.is_acknowledged for attempt in self.attempts)

    @property
    def answer(self) -> Any:
        """What the app said at last: a dict, a text, or None."""
        return self.attempts[-1].body if self.attempts else None

    @property
    def event(self) -> Json:
        return dict(self.payload.get("event", {}))


class Deliveries:
    def __init__(self, slack: Slack, *, ack_timeout_s: float, retry_factor: float) -> None:
        self._slack = slack
        self.sockets = Sockets(slack)
        self.streams = Streams(slack)
        self.request_url: str | None = None
        self.ack_timeout_s = ack_timeout_s
        self.retry_factor = retry_factor
        self.all: list[Delivery] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sockets.close()
        if self._session is not None:
            await self._session.close()

    async def send(self, kind: str, payload: Json) -> Delivery:
        """Returns after the first attempt; retries of an event go on behind it."""
        delivery = Delivery(kind, payload)
        self.all.append(delivery)
        self.spawn(self._deliver(delivery))
        await delivery.first_try.wait()
        return delivery

    async def send_event(
        self, event: Json, install: Install, *, team: str, channel: Channel | None = None
    ) -> Delivery:
        return await self.send(EVENT, self.envelope(event, install, team=team, channel=channel))

    async def resend(self, delivery: Delivery, *, reason: str = "http_timeout") -> Delivery:
        """The same delivery again, as if its acknowledgement had been lost."""
        number = delivery.attempts[-1].retry_num + 1
        delivery.attempts.append(await self._attempt(delivery, number, reason))
        return delivery

    async def settled(self) -> None:
        """Until every retry is over."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def own_message(self, message: Message, channel: Channel) -> None:
        """The app's own posts come back to it as events."""
        install = self._slack.world.install_for(channel)
        is_read = channel.kind == "im" or self._slack.sends_channel_messages
        if self._slack.sends_own_messages and install is not None and is_read:
            event = message.json() | {"channel": channel.id, "channel_type": channel.event_type}
            event |= {"event_ts": message.ts, "app_id": install.app_id}
            payload = self.envelope(event, install, team=channel.team, channel=channel)
            delivery = Delivery(EVENT, payload)
            self.all.append(delivery)
            self.spawn(self._deliver(delivery))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def envelope(
        self, event: Json, install: Install, *, team: str, channel: Channel | None = None
    ) -> Json:
        enterprise = self._slack.world.enterprise_of(team)
        is_org_wide = install.is_enterprise_install
        body: Json = {
            "token": "verification-token",
            "team_id": team,
            "context_team_id": team,
            "context_enterprise_id": enterprise,
            "api_app_id": install.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": self._slack.next_id("Ev"),
            "event_time": int(self._slack.clock.now()),
            "authorizations": [
                {
                    "enterprise_id": enterprise,
                    "team_id": None if is_org_wide else install.home,
                    "user_id": install.bot_user,
                    "is_bot": True,
                    "is_enterprise_install": is_org_wide,
                }
            ],
            "is_ext_shared_channel": channel is not None and channel.is_ext_shared,
            "event_context": f"4-{self._slack.next_id('ctx')}",
        }
        return body | ({"enterprise_id": enterprise} if enterprise else {})

    async def _deliver(self, delivery: Delivery) -> None:
        nobody_listens = self.request_url is None and not self.sockets.opened
        retries = RETRY_PAUSES_S if delivery.kind == EVENT and not nobody_listens else ()
        for number in range(len(retries) + 1):
            if number:
                await asyncio.sleep(retries[number - 1] * self.retry_factor)
            reason = delivery.attempts[-1].reason if number else None
            try:
                attempt = await self._attempt(delivery, number, reason)
                delivery.attempts.append(attempt)
            finally:
                delivery.first_try.set()
            if attempt.is_acknowledged or attempt.is_final:
                break
        delivery.is_over = True

    async def _attempt(self, delivery: Delivery, number: int, reason: str | None) -> Attempt:
        if self.request_url is not None:
            return await self._by_http(delivery, self.request_url, number, reason)
        envelope = {
            "envelope_id": self._slack.next_id("env-"),
            "type": delivery.kind,
            "payload": delivery.payload,
            "accepts_response_payload": delivery.kind != EVENT,
        }
        if delivery.kind == EVENT:
            envelope |= {"retry_attempt": number, "retry_reason": reason or ""}
        try:
            async with asyncio.timeout(self.ack_timeout_s):
                return Attempt(number, 200, await self.sockets.ask(envelope))
        except TimeoutError:
            return Attempt(number, reason="timeout")
        except ConnectionError:
            return Attempt(number, reason="connection_failed")

    async def _by_http(
        self, delivery: Delivery, url: str, number: int, reason: str | None
    ) -> Attempt:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        body, content_type = _encoded(delivery)
        headers = self.signed(body) | {"Content-Type": content_type}
        if number:
            headers |= {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason or ""}
        timeout = aiohttp.ClientTimeout(total=self.ack_timeout_s)
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=timeout
            ) as response:
                answer = await _read(response)
                if 200 <= response.status < 300:
                    return Attempt(number, response.status, answer)
                is_final = response.headers.get("X-Slack-No-Retry") == "1"
                return Attempt(number, response.status, answer, "http_error", is_final)
        except TimeoutError:
            return Attempt(number, reason="http_timeout")
        except aiohttp.ClientError:
            return Attempt(number, reason="connection_failed")

    def signed(self, body: str, *, at: float | None = None) -> dict[str, str]:
        """The headers by which the app knows that *body* comes from Slack."""
        timestamp = str(int(time.time() if at is None else at))
        base = f"v0:{timestamp}:{body}".encode()
        digest = hmac.new(self._slack.signing_secret.encode(), base, hashlib.sha256).hexdigest()
        return {
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": f"v0={digest}",
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        }


def _encoded(delivery: Delivery) -> tuple[str, str]:
    form = "application/x-www-form-urlencoded"
    if delivery.kind == EVENT:
        return json.dumps(delivery.payload), "application/json"
    if delivery.kind == COMMAND:
        return urlencode({k: v for k, v in delivery.payload.items() if v is not None}), form
    return urlencode({"payload": json.dumps(delivery.payload)}), form


async def _read(response: aiohttp.ClientResponse) -> Any:
    text = await response.text()
    if response.content_type == "application/json" and text:
        return json.loads(text)
    return text or None
