"""The whole product in Teams: its own wiring on a real Redis; at the edge a double of Teams, Graph and login."""

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
from adapters.teams_app import taking_in, teams_jobs, teams_schedules
from adapters.teams_ingestion import ingestion_jobs, ingestion_schedules
from retrieval.models import LanguageModel
from retrieval.store import ChunkStore
from retrieval.types import IndexedDocument
from tests import engines
from tests.builders import TENANT
from tests.chat_company import empty, is_final, knowledge_of
from tests.fakes.teams_api import Message, TeamsApi


def guid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


OURS, THEIRS = guid(0xC0), guid(0xC9)
ANN, BEN, SAM, DAN, GUS, XAVER = (guid(n) for n in (0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA9))
ENG_GROUP, SALES_GROUP = guid(0xE1), guid(0xE2)

GENERAL = "19:general@thread.tacv2"
LAB = "19:lab@thread.tacv2"
PARTNERS = "19:partners@thread.tacv2"
CLOSED_TEAM = "19:closed@thread.tacv2"
GROUP_CHAT = "19:lunch@thread.v2"

# Dan is in Entra alone. Gus is a guest, and Xaver of another company.
PEOPLE = {
    "groups": {"eng": ["ann", "ben"], "sales": ["sam"]},
    "users": {
        "ann": {"name": "Ann Lin", "teams": f"{OURS}/{ANN}"},
        "ben": {"name": "Ben Chen", "teams": f"{OURS}/{BEN}"},
        "sam": {"name": "Sam Wu", "teams": f"{OURS}/{SAM}"},
    },
}


def furnish(api: TeamsApi) -> None:
    """A tenant with people, a public and a closed team, and a group chat; the bot is everywhere."""
    api.tenant(OURS)
    api.user(ANN, "Ann Lin", groups=[ENG_GROUP])
    api.user(BEN, "Ben Chen", groups=[ENG_GROUP])
    api.user(SAM, "Sam Wu", groups=[SALES_GROUP])
    api.user(DAN, "Dan Ho")
    api.user(GUS, "Gus", guest=True)
    api.tenant(THEIRS)
    api.user(XAVER, "Xaver", tenant=THEIRS)
    public = api.team(GENERAL, guid(0x71), "Company", [ANN, BEN, SAM, DAN], visibility="Public")
    closed = api.team(CLOSED_TEAM, guid(0x72), "Product", [ANN, BEN, SAM])
    api.channel(LAB, closed, "lab", "private", [ANN, BEN])
    api.channel(PARTNERS, public, "partners", "shared", [ANN, BEN, XAVER])
    api.chat(GROUP_CHAT, [ANN, BEN, SAM])
    for person in (ANN, BEN, SAM, DAN, GUS):
        api.personal(person)


@dataclass(frozen=True, slots=True)
class TeamsCompany:
    api: TeamsApi
    settings: Settings
    store: ChunkStore
    knowledge: Knowledge
    conversations: Conversations

    async def knows(self, *documents: IndexedDocument) -> None:
        await self.store.write(documents)

    async def answered(self, asked: Message) -> Message:
        """What everybody sees in reply to *asked*, once it is finished."""
        return await self.reply(asked.conversation, asked, after=asked.id)

    async def reply(
        self,
        conversation: str,
        thread: Message | None = None,
        *,
        after: str = "",
        to: str | None = None,
    ) -> Message:
        """The first finished message of the bot there; *to*: that this person alone sees."""

        def found() -> Message | None:
            root = thread if thread is not None and self._has_threads(conversation) else None
            for message in self.api.from_app(conversation, root):
                is_new = message.id > after and not message.is_streaming
                if is_new and message.targeted_to == to and is_final(self.text(message)):
                    return message
            return None

        return await self.api.until(found, timeout_s=20)

    def text(self, message: Message, *, seen_by: str | None = None) -> str:
        return self.api.text_of(message, seen_by=seen_by)

    async def settled(self) -> None:
        """Nothing is under way any more, in private either."""
        await self.api.settled()
        while (await self.conversations.inbox.state()).unfinished:
            await asyncio.sleep(0.05)

    def _has_threads(self, conversation: str) -> bool:
        return self.api.teams.world.conversations[conversation].kind == "channel"


@asynccontextmanager
async def a_teams_company(
    folder: Path,
    api: TeamsApi,
    redis_url: str,
    *,
    model: LanguageModel | None = None,
    store: ChunkStore | None = None,
    people: Mapping[str, Any] | None = None,
    tenant: str = TENANT,
    **teams: Any,
) -> AsyncIterator[TeamsCompany]:
    """
    As `shifu serve` runs it.

    Args:
        teams: Further settings of Teams.
    """
    people_file = folder / "people.json"
    people_file.write_text(json.dumps(people or PEOPLE), "utf-8")
    settings = Settings.model_validate(
        {
            "home": folder,
            "tenant": tenant,
            "directory": {"path": people_file},
            "redis": {"url": redis_url},
            "work": {"drain_s": 2},
            "teams": teams_settings(api) | teams,
        }
    )
    store = store or engines.current.store(None)
    knowledge = knowledge_of(store, model)
    await empty(redis_url)
    async with AsyncExitStack() as running:
        conversations = await running.enter_async_context(open_conversations(settings, knowledge))
        opened = conversations.teams
        assert opened is not None
        app = web.Application()
        activities = taking_in(settings, knowledge, conversations, opened, app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        running.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await running.enter_async_context(activities)
        await running.enter_async_context(
            working(
                settings,
                conversations,
                jobs={**teams_jobs(opened), **ingestion_jobs(opened, knowledge, conversations)},
                schedules=[
                    *schedules(settings),
                    *teams_schedules(opened),
                    *ingestion_schedules(opened),
                ],
                idle_wait_s=0.05,
            )
        )
        api.bot_url = f"http://127.0.0.1:{runner.addresses[0][1]}/teams/messages"
        yield TeamsCompany(api, settings, store, knowledge, conversations)


def teams_settings(api: TeamsApi) -> dict[str, Any]:
    """So that everything of Microsoft's is the double."""
    return {
        "app_id": api.app_id,
        "app_password": api.app_password,
        "app_tenant_id": OURS,
        "connector_hosts": ["127.0.0.1"],
        "file_hosts": ["127.0.0.1"],
        "login_url": api.login_url,
        "graph_url": api.graph_url,
        "keys_url": api.keys_url,
        "token_issuer": api.issuer,
    }
