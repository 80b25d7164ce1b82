"""The whole product in Slack: its own wiring on a real Redis, with a double of Slack at the edge."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.app import Conversations, Knowledge, open_conversations, working
from adapters.jobs import schedules
from adapters.settings import Settings
from adapters.slack_app import slack_jobs, taking_in
from retrieval.models import LanguageModel
from retrieval.store import ChunkStore
from retrieval.types import IndexedDocument
from tests import engines
from tests.builders import TENANT
from tests.chat_company import empty, is_final, knowledge_of
from tests.fakes.slack_api import Message, SlackApi

# U1 is Ann and U2 Ben, both engineers; U3 is Sam of sales; UG is a guest and UX of another company.
PEOPLE = {
    "groups": {"eng": ["ann", "ben"], "sales": ["sam"]},
    "users": {
        "ann": {"name": "Ann Lin", "slack": "T1/U1"},
        "ben": {"name": "Ben Chen", "slack": "T1/U2"},
        "sam": {"name": "Sam Wu", "slack": "T1/U3"},
    },
}


def furnish(api: SlackApi) -> None:
    """A workspace with people and channels; the bot is in all of these."""
    api.workspace("T1")
    api.install("T1", bot_user="UBOT", token="xoxb-1")
    for id, name in (("U1", "Ann Lin"), ("U2", "Ben Chen"), ("U3", "Sam Wu")):
        api.user(id, name)
    api.user("UG", "Gus", guest=True)
    api.workspace("T9")
    api.user("UX", "Xaver", team="T9", stranger=True)
    api.channel("CENG", "eng", "private", ["U1", "U2"])
    api.channel("CDEAL", "deal", "private", ["U1", "U3"])
    api.channel("CGEN", "general", "public", ["U1", "U2", "U3"])


@dataclass(frozen=True, slots=True)
class SlackCompany:
    api: SlackApi
    settings: Settings
    store: ChunkStore
    knowledge: Knowledge
    conversations: Conversations

    async def knows(self, *documents: IndexedDocument) -> None:
        await self.store.write(documents)

    async def answered(self, asked: Message) -> Message:
        """The app's reply in the thread that *asked* is in, once it is finished."""
        return await self.reply(asked.channel, asked.thread_ts or asked.ts, after=asked.ts)

    async def reply(
        self, channel: str, thread_ts: str | None = None, *, after: str = "", to: str | None = None
    ) -> Message:
        """The first finished message of the app there; *to*: that this person alone sees."""

        def found() -> Message | None:
            for message in self.api.from_app(channel, thread_ts):
                is_new = message.ts > after and not message.is_streaming
                if is_new and message.ephemeral_to == to and is_final(self.text(message)):
                    return message
            return None

        reply = await self.api.until(found, timeout_s=20)
        assert reply is not None
        return reply

    def text(self, message: Message) -> str:
        return self.api.text_of(message)

    async def settled(self) -> None:
        """Nothing is under way any more, in private either."""

        await self.api.settled()
        while (await self.conversations.inbox.state()).unfinished:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def a_slack_company(
    folder: Path,
    api: SlackApi,
    redis_url: str,
    *,
    model: LanguageModel | None = None,
    store: ChunkStore | None = None,
    people: Mapping[str, Any] | None = None,
    http: bool = False,
    tenant: str = TENANT,
    **slack: Any,
) -> AsyncIterator[SlackCompany]:
    """
    As `shifu serve` runs it.

    Args:
        http: Events come by HTTP, not over Socket Mode.
        slack: Further settings of Slack.
    """
    people_file = folder / "people.json"
    people_file.write_text(json.dumps(people or PEOPLE), "utf-8")
    way = {"signing_secret": api.signing_secret} if http else {"app_token": api.app_token}
    settings = Settings.model_validate(
        {
            "home": folder,
            "tenant": tenant,
            "directory": {"path": people_file},
            "redis": {"url": redis_url},
            "work": {"drain_s": 2},
            "slack": {"bot_token": "xoxb-1", "api_url": api.url, **way, **slack},
        }
    )
    store = store or engines.current.store(None)
    knowledge = knowledge_of(store, model)
    await empty(redis_url)
    async with AsyncExitStack() as running:
        conversations = await running.enter_async_context(open_conversations(settings, knowledge))
        assert conversations.slack is not None
        app = web.Application()
        events = taking_in(settings, knowledge, conversations, conversations.slack, app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        running.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        await running.enter_async_context(events)
        jobs = slack_jobs(settings, knowledge, conversations, conversations.slack)
        await running.enter_async_context(
            working(
                settings,
                conversations,
                jobs=jobs,
                schedules=schedules(settings),
                idle_wait_s=0.05,
            )
        )
        if http:
            port = runner.addresses[0][1]
            api.request_url = f"http://127.0.0.1:{port}/slack/events"
        else:
            await api.connected()
        yield SlackCompany(api, settings, store, knowledge, conversations)
