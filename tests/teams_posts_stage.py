"""A team with a channel whose posts are documents, everything of ours that follows it, and who reads what."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from adapters.chat.directory_cache import InMemoryDirectoryCache
from adapters.teams.channel_posts import SWEEP_EVERY_S, ChannelPosts
from adapters.teams.channel_threads import IndexedChannel
from adapters.teams.credentials import BotTokens, Credentials
from adapters.teams.directory import TeamsDirectory, TeamsRules
from adapters.teams.graph import Graph
from adapters.teams.post_progress import InMemoryPostLedger, PostLedger
from bot.directory import CompanyDirectory
from retrieval.access import PUBLIC
from retrieval.analysis import query_tokens
from retrieval.store import ChunkStore, InMemoryStore, SearchQuery
from retrieval.types import Document
from tests.builders import TENANT, a_scope
from tests.fakes.teams.channel_deltas import ChannelDeltas, deltas_of
from tests.fakes.teams_api import TeamsApi
from tests.teams_directory import ENTRA, a_bot, a_directory, a_user, an_id

TEAM, ROOM = "19:team@thread.tacv2", "19:room@thread.tacv2"
GROUP = "30000000-0000-4000-8000-000000000000"
AMY, BEN, CAT, GUS = (an_id(n) for n in range(1, 5))
PEOPLE = (AMY, BEN, CAT, GUS)
"""Amy and Ben are in the team; Gus is a guest of it, whom the company does not know."""


class Posts:
    def __init__(
        self,
        api: TeamsApi,
        graph: Graph,
        directory: TeamsDirectory,
        channel: IndexedChannel,
        *,
        ledger: PostLedger | None = None,
    ) -> None:
        self.api = api
        self.directory = directory
        self.channel = channel
        self.store: ChunkStore = InMemoryStore()
        self.ledger: PostLedger = ledger or InMemoryPostLedger()
        self.now = 1_800_000_000.0
        self.sync_posts = ChannelPosts(
            graph,
            self.ledger,
            self.store,
            None,
            tenant=TENANT,
            patience_s=0.05,
            clock=lambda: self.now,
        )

    @property
    def deltas(self) -> ChannelDeltas:
        return deltas_of(self.api.teams)

    async def sync(self, *, sweep: bool = False) -> None:
        """*sweep*: all threads are looked at again, and not only what Graph tells as changed."""
        self.now += 1
        every_s = 0.0 if sweep else SWEEP_EVERY_S
        await self.sync_posts.sync(self.channel, sweep_every_s=every_s)

    async def documents(self) -> dict[str, Document]:
        """By id of the first message."""
        found = await self.store.documents()
        return {self.channel.root_of(document.id): document for document in found}

    async def found_by(self, person: str, question: str) -> str:
        """All text that *person* finds."""
        known = await self.directory.person(a_user(PEOPLE.index(person) + 1))
        scope = a_scope(known.reader.principals if known else [PUBLIC])
        query = SearchQuery(tuple(query_tokens(question)))
        passages = await self.store.search(query, scope, top_k=100)
        return "\n".join(passage.chunk.text for passage in passages)

    def asked(self, name: str) -> int:
        return sum(call.name == f"graph:{name}" for call in self.api.teams.calls)


@asynccontextmanager
async def a_channel(
    type: str = "standard",
    *,
    members: Sequence[str] = (AMY, BEN),
    company: CompanyDirectory | None = None,
    ledger: PostLedger | None = None,
) -> AsyncIterator[Posts]:
    """*members*: of the channel, where it has its own; else of the team."""
    async with AsyncExitStack() as open_things:
        api = await open_things.enter_async_context(TeamsApi())
        api.tenant(ENTRA)
        for person in PEOPLE:
            api.user(person, f"Person {person[-1]}", guest=person == GUS)
        is_standard = type == "standard"
        team = api.team(TEAM, GROUP, "Team", members if is_standard else PEOPLE)
        api.channel(ROOM, team, "room", type, () if is_standard else members)
        channel = IndexedChannel(ENTRA, GROUP, ROOM)
        directory = await open_things.enter_async_context(
            a_directory(
                api,
                company,
                TeamsRules(frozenset({ENTRA}), index_channels=frozenset({channel})),
                cache=InMemoryDirectoryCache(),
            )
        )
        await open_things.enter_async_context(a_bot(api, directory))
        tokens = BotTokens(
            api.app_id, ENTRA, Credentials(secret=api.app_password), login_url=api.login_url
        )
        open_things.push_async_callback(tokens.close)
        graph = Graph.open(tokens, base_url=api.graph_url)
        open_things.push_async_callback(graph.close)
        yield Posts(api, graph, directory, channel, ledger=ledger)
