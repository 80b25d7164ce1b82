"""Three Weaviate nodes with three copies of everything: rights are the same on all, and one node may be lost."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from retrieval.analysis import query_tokens
from retrieval.errors import StoreUnavailable
from retrieval.store import ChunkStore, SearchQuery
from tests.builders import ENG, SALES, a_document, a_scope, an_acl
from tests.weaviate_server import WeaviateServer, a_tenant, a_weaviate_cluster

PLAN = SearchQuery(tuple(query_tokens("plan")))


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[list[WeaviateServer]]:
    with a_weaviate_cluster(tmp_path) as nodes:
        yield nodes


async def found(store: ChunkStore, *principals: str) -> set[str]:
    passages = await store.search(PLAN, a_scope(list(principals)), top_k=5)  # type: ignore[arg-type]
    return {passage.chunk.document.id for passage in passages}


async def test_rights_hold_on_every_node_at_once_and_with_one_node_lost(
    cluster: list[WeaviateServer],
) -> None:
    tenant = a_tenant()
    async with AsyncExitStack() as open_things:
        first, *others = [await node.open_store(tenant=tenant, replicas=3) for node in cluster]
        for store in (first, *others):
            open_things.push_async_callback(store.close)
        await first.write(
            [
                a_document("the secret plan", id="secret", acl=an_acl(ENG)),
                a_document("the public plan", id="public"),
            ]
        )
        for store in others:
            assert await found(store, ENG) == {"secret", "public"}

        await first.change_acl("secret", an_acl(SALES))

        for store in others:
            assert await found(store, ENG) == {"public"}
            assert await found(store, SALES) == {"secret", "public"}

        cluster[2].stop()

        for store in (first, others[0]):
            assert await found(store, ENG) == {"public"}
            assert await found(store, SALES) == {"secret", "public"}
        # A right that only some copies know of would be no right.
        with pytest.raises(StoreUnavailable):
            await first.change_acl("public", an_acl(SALES))
        assert "secret" not in await found(others[0], ENG)
