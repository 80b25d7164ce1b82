"""What every chunk store promises."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from retrieval.access import AccessScope, Acl, Level
from retrieval.analysis import query_tokens
from retrieval.embedded_store import EmbeddedStore
from retrieval.errors import StoreError
from retrieval.store import (
    CANDIDATES,
    ChunkStore,
    InMemoryStore,
    SearchQuery,
    SourceSummary,
    StoreCounts,
)
from retrieval.types import Chunk, Document, FloatArray, IndexedDocument, Language, Passage
from tests.builders import ENG, SALES, a_document, a_reader, a_scope, an_acl
from tests.weaviate_server import WeaviateServer

ANYBODY = a_scope([])


def words(text: str) -> SearchQuery:
    return SearchQuery(tuple(query_tokens(text)))


def unit(*values: float) -> FloatArray:
    vector = np.array(values, np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def changed(indexed: IndexedDocument, at: datetime | None) -> IndexedDocument:
    document = replace(indexed.document, modified_at=at)
    chunks = tuple(replace(chunk, document=document) for chunk in indexed.chunks)
    return IndexedDocument(document, chunks)


def texts(passages: list[Passage]) -> list[str]:
    return [passage.chunk.text for passage in passages]


class ChunkStoreContract:
    @pytest.fixture
    def store(self) -> ChunkStore:
        raise NotImplementedError

    async def test_a_chunk_is_found_by_a_word_of_its_text(self, store: ChunkStore) -> None:
        await store.write([a_document("The reset button is on the left", "Call the help desk")])

        found = await store.search(words("where is the reset"), ANYBODY, top_k=5)

        assert texts(found)[0] == "The reset button is on the left"
        assert found[0].score == found[0].lexical > 0
        assert found[0].similarity is None

    async def test_a_chunk_is_found_by_title_and_by_heading(self, store: ChunkStore) -> None:
        indexed = a_document("see below", title="Holidays")
        chunk = replace(indexed.chunks[0], heading_path=("Leave", "Parental leave"))
        await store.write([IndexedDocument(indexed.document, (chunk,))])

        by_title = await store.search(words("holiday"), ANYBODY, top_k=5)
        by_heading = await store.search(words("parental"), ANYBODY, top_k=5)

        assert texts(by_title) == texts(by_heading) == ["see below"]

    async def test_traditional_and_simplified_chinese_find_each_other(
        self, store: ChunkStore
    ) -> None:
        await store.write([a_document("請假要先問主管", "預算下個月公布")])

        found = await store.search(words("请假"), ANYBODY, top_k=5)

        assert texts(found) == ["請假要先問主管"]

    async def test_what_has_no_word_of_the_question_is_not_found(self, store: ChunkStore) -> None:
        await store.write([a_document("alpha")])

        assert await store.search(words("beta"), ANYBODY, top_k=5) == []
        assert await store.search(words("..."), ANYBODY, top_k=5) == []

    async def test_more_and_rarer_words_rank_higher(self, store: ChunkStore) -> None:
        await store.write(
            [a_document("common rare", "common thing", "common stuff", "rare", "filler text")]
        )

        found = await store.search(words("common rare"), ANYBODY, top_k=5)

        assert texts(found)[0] == "common rare"
        assert texts(found)[1] == "rare"
        assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)

    async def test_a_repeated_token_counts_as_often_as_it_occurs(self, store: ChunkStore) -> None:
        await store.write([a_document("alpha", "omega", "filler")])

        once = await store.search(SearchQuery(("alpha", "omega")), ANYBODY, top_k=5)
        twice = await store.search(SearchQuery(("alpha", "omega", "omega")), ANYBODY, top_k=5)

        assert {p.chunk.text: p.score for p in once}["omega"] * 2 == pytest.approx(twice[0].score)
        assert texts(twice) == ["omega", "alpha"]

    async def test_no_more_than_top_k_are_returned(self, store: ChunkStore) -> None:
        await store.write([a_document(*(f"word number {n}" for n in range(10)))])

        assert len(await store.search(words("word"), ANYBODY, top_k=3)) == 3
        assert await store.search(words("word"), ANYBODY, top_k=0) == []

    async def test_equal_scores_are_ordered_by_chunk_id(self, store: ChunkStore) -> None:
        await store.write([a_document("same", id=id) for id in ("b", "c", "a")])

        found = await store.search(words("same"), ANYBODY, top_k=5)

        assert [p.chunk.id for p in found] == ["a#0", "b#0", "c#0"]

    async def test_a_passage_carries_all_that_was_written(self, store: ChunkStore) -> None:
        document = Document(
            id="handbook/leave",
            source="wiki",
            title="請假 & leave",
            acl=Acl(frozenset({ENG, SALES}), Level.CONFIDENTIAL),
            content_hash="abc",
            link="https://docs.example/leave?x=1",
            owner="user:acme/ann",
            language=Language.CHINESE,
            version="7",
            modified_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
            review_at=datetime(2027, 1, 1, tzinfo=UTC),
            superseded_by="handbook/leave-2",
        )
        chunk = Chunk("leave#0", document, 3, "# 特休\n*十天*\x00 'quoted' 🦆", ("人事", "假別"))
        await store.write([IndexedDocument(document, (chunk,))])

        (found,) = await store.search(words("特休"), a_scope([ENG]), top_k=5)

        assert found.chunk == chunk
        assert await store.documents() == [document]

    async def test_a_long_document_does_not_crowd_out_what_is_allowed(
        self, store: ChunkStore
    ) -> None:
        hidden = a_document(*["plan plan plan"] * (CANDIDATES + 20), acl=an_acl(SALES))
        await store.write([hidden, a_document("our plan and much else besides", acl=an_acl(ENG))])

        found = await store.search(words("plan"), a_scope([ENG]), top_k=5)

        assert texts(found) == ["our plan and much else besides"]

    async def test_vectors_find_what_words_do_not(self, store: ChunkStore) -> None:
        document = a_document("automobile", "banana")
        await store.write([document])
        await store.write_vectors(
            {document.chunks[0].id: unit(1, 0, 0), document.chunks[1].id: unit(0, 1, 0)}
        )

        found = await store.search(
            SearchQuery(tuple(query_tokens("car")), unit(0.9, 0.1, 0), alpha=0.5), ANYBODY, top_k=1
        )

        assert texts(found) == ["automobile"]
        assert found[0].similarity == pytest.approx(0.9939, abs=2e-3)
        assert found[0].lexical == 0.0

    async def test_both_rankings_are_fused_by_their_scaled_scores(self, store: ChunkStore) -> None:
        document = a_document("apple pie", "apple", "pear", id="d")
        await store.write([document])
        await store.write_vectors({"d#0": unit(1, 0), "d#1": unit(0, 1), "d#2": unit(1, 1)})

        found = await store.search(
            SearchQuery(("appl", "pie"), unit(0, 1), alpha=0.3), ANYBODY, top_k=5
        )

        # Words: d#0 best (1), d#1 worst (0). Vectors: d#1 best (1), d#0 worst (0), d#2 between.
        assert [p.chunk.id for p in found] == ["d#0", "d#1", "d#2"]
        assert [p.score for p in found] == pytest.approx([0.7, 0.3, 0.3 * 0.7071], abs=2e-3)

    async def test_vectors_respect_the_scope(self, store: ChunkStore) -> None:
        await store.write(
            [a_document("a", id="a", acl=an_acl(ENG)), a_document("b", id="b", acl=an_acl(SALES))]
        )
        await store.write_vectors({"a#0": unit(1, 0), "b#0": unit(1, 0)})

        found = await store.search(SearchQuery((), unit(1, 0), 1.0), a_scope([ENG]), top_k=5)

        assert texts(found) == ["a"]

    async def test_chunks_without_a_vector_are_listed_until_they_have_one(
        self, store: ChunkStore
    ) -> None:
        await store.write([a_document("one", "two", "three", id="d")])

        assert len(await store.chunks_without_vector(limit=2)) == 2
        await store.write_vectors({"d#0": unit(1, 0), "d#2": unit(0, 1), "gone": unit(1, 0)})

        assert [c.id for c in await store.chunks_without_vector(limit=9)] == ["d#1"]
        assert await store.counts() == StoreCounts(1, 3, chunks_without_vector=1)

    async def test_a_vector_can_be_replaced(self, store: ChunkStore) -> None:
        await store.write([a_document("one", id="d")])
        await store.write_vectors({"d#0": unit(1, 0)})
        query = SearchQuery((), unit(0, 1), 1.0)
        await store.search(query, ANYBODY, top_k=1)

        await store.write_vectors({"d#0": unit(0, 1)})

        (found,) = await store.search(query, ANYBODY, top_k=1)
        assert found.similarity == pytest.approx(1.0, abs=1e-3)

    async def test_a_vector_stays_only_while_id_and_text_stay(self, store: ChunkStore) -> None:
        await store.write([a_document("one", "two", "three", id="d")])
        await store.write_vectors({f"d#{n}": unit(1, n) for n in range(3)})

        await store.write([a_document("one", "TWO", id="d", title="renamed")])

        assert [c.id for c in await store.chunks_without_vector(limit=9)] == ["d#1"]
        found = await store.search(SearchQuery((), unit(1, 0), 1.0), ANYBODY, top_k=5)
        assert texts(found) == ["one"]

    async def test_shared_answer_needs_every_reader_to_have_access(self, store: ChunkStore) -> None:
        await store.write(
            [a_document("plan", acl=an_acl(ENG)), a_document("plan faq", acl=an_acl(ENG, SALES))]
        )

        found = await store.search(words("plan"), a_scope([ENG], [SALES]), top_k=5)

        assert texts(found) == ["plan faq"]

    async def test_a_reader_needs_the_clearance_too(self, store: ChunkStore) -> None:
        await store.write(
            [
                a_document("secret plan", acl=an_acl(ENG, level=Level.SECRET)),
                a_document("internal plan", acl=an_acl(ENG, level=Level.INTERNAL)),
            ]
        )
        scope = AccessScope.of([a_reader(ENG, clearance=Level.CONFIDENTIAL)])

        assert texts(await store.search(words("plan"), scope, top_k=5)) == ["internal plan"]

    async def test_an_empty_scope_finds_nothing_and_reaches_no_driver(
        self, store: ChunkStore
    ) -> None:
        await store.write([a_document("plan", id="d")])
        await store.close()  # whoever reached for the driver now would fail

        assert await store.search(words("plan"), AccessScope.nothing(), top_k=5) == []
        assert await store.fetch(["d#0"], AccessScope.nothing()) == []

    async def test_a_document_without_principals_is_for_nobody(self, store: ChunkStore) -> None:
        await store.write([a_document("plan", id="d", acl=Acl(frozenset()))])

        assert await store.search(words("plan"), a_scope([ENG]), top_k=5) == []
        assert await store.fetch(["d#0"], a_scope([ENG])) == []

    async def test_fetch_returns_in_the_order_asked_what_exists_and_is_allowed(
        self, store: ChunkStore
    ) -> None:
        await store.write(
            [
                a_document("one", "two", id="mine", acl=an_acl(ENG)),
                a_document("three", id="theirs", acl=an_acl(SALES)),
            ]
        )

        found = await store.fetch(["mine#1", "theirs#0", "gone", "mine#0"], a_scope([ENG]))

        assert [chunk.text for chunk in found] == ["two", "one"]

    async def test_revoked_access_is_gone_from_the_next_search(self, store: ChunkStore) -> None:
        await store.write([a_document("plan", id="d", acl=an_acl(ENG))])
        await store.write_vectors({"d#0": unit(1, 0)})
        query = SearchQuery(("plan",), unit(1, 0), 0.5)
        assert await store.search(query, a_scope([ENG]), top_k=5)

        await store.change_acl("d", an_acl(SALES))

        assert await store.search(query, a_scope([ENG]), top_k=5) == []
        assert await store.fetch(["d#0"], a_scope([ENG])) == []

    async def test_granted_access_is_in_force_for_the_next_search(self, store: ChunkStore) -> None:
        await store.write([a_document("plan", "plan two", id="d", acl=an_acl(ENG))])
        await store.write_vectors({"d#0": unit(1, 0), "d#1": unit(0, 1)})
        query = SearchQuery(("plan",), unit(1, 0), 0.5)
        assert await store.search(query, a_scope([SALES]), top_k=5) == []

        await store.change_acl("d", an_acl(SALES))

        found = await store.search(query, a_scope([SALES]), top_k=5)
        assert sorted(texts(found)) == ["plan", "plan two"]
        assert {p.chunk.acl for p in found} == {an_acl(SALES)}
        assert all(p.similarity is not None and p.lexical > 0 for p in found)

    async def test_access_of_an_unknown_document_changes_nothing(self, store: ChunkStore) -> None:
        await store.write([a_document("plan", id="d", acl=an_acl(ENG))])

        await store.change_acl("other", an_acl(SALES))

        assert [d.acl for d in await store.documents()] == [an_acl(ENG)]

    async def test_a_document_is_replaced_as_a_whole(self, store: ChunkStore) -> None:
        await store.write([a_document("old plan", "old annex", id="d", acl=an_acl(ENG))])

        await store.write([a_document("new plan", id="d", acl=an_acl(SALES))])

        assert await store.search(words("old plan annex"), a_scope([ENG]), top_k=5) == []
        found = await store.search(words("old plan annex"), a_scope([SALES]), top_k=5)
        assert texts(found) == ["new plan"]
        assert await store.counts() == StoreCounts(1, 1, 1)

    async def test_the_last_of_two_versions_in_one_write_counts(self, store: ChunkStore) -> None:
        await store.write([a_document("first plan", id="d"), a_document("second plan", id="d")])

        assert texts(await store.search(words("plan"), ANYBODY, top_k=5)) == ["second plan"]

    async def test_a_document_without_chunks_is_kept(self, store: ChunkStore) -> None:
        await store.write([a_document(id="empty")])

        assert [d.id for d in await store.documents()] == ["empty"]
        assert await store.counts() == StoreCounts(1, 0, 0)

    async def test_writing_nothing_is_fine(self, store: ChunkStore) -> None:
        await store.write([])
        await store.write_vectors({})

        assert await store.delete([]) == 0
        assert await store.counts() == StoreCounts(0, 0, 0)

    async def test_a_deleted_document_is_gone_with_its_chunks(self, store: ChunkStore) -> None:
        await store.write([a_document("plan a", id="a"), a_document("plan b", id="b")])
        await store.write_vectors({"a#0": unit(1, 0), "b#0": unit(1, 0)})

        assert await store.delete(["a", "a", "unknown"]) == 1

        query = SearchQuery(("plan",), unit(1, 0), 0.5)
        assert texts(await store.search(query, ANYBODY, top_k=5)) == ["plan b"]
        assert await store.fetch(["a#0"], ANYBODY) == []
        assert await store.counts() == StoreCounts(1, 1, 0)

    async def test_a_deleted_document_can_come_back(self, store: ChunkStore) -> None:
        await store.write([a_document("plan", id="a")])
        await store.delete(["a"])

        await store.write([a_document("plan again", id="a")])

        assert texts(await store.search(words("plan"), ANYBODY, top_k=5)) == ["plan again"]

    async def test_documents_are_listed_by_source_in_order_of_ids(self, store: ChunkStore) -> None:
        await store.write(
            [
                a_document("x", id="b", source="wiki"),
                a_document("x", id="c", source="drive"),
                a_document("x", id="a", source="wiki"),
            ]
        )

        assert [d.id for d in await store.documents()] == ["a", "b", "c"]
        assert [d.id for d in await store.documents(source="wiki")] == ["a", "b"]
        assert await store.documents(source="none") == []

    async def test_sources_are_summed_up_for_those_who_may_read_all_of_what_counts(
        self, store: ChunkStore
    ) -> None:
        wiki, drive = an_acl(ENG), an_acl(ENG, SALES)
        taipei = timezone(timedelta(hours=8))
        await store.write(
            [
                changed(a_document("x", source="wiki", acl=wiki), datetime(2026, 3, 1, tzinfo=UTC)),
                changed(a_document("x", source="wiki", acl=wiki), None),
                changed(
                    a_document("x", source="drive", acl=drive),
                    datetime(2026, 3, 2, 7, tzinfo=taipei),
                ),
                changed(
                    a_document("x", source="drive", acl=drive), datetime(2026, 3, 2, 0, tzinfo=UTC)
                ),
                changed(a_document("x", source="mail", acl=drive), None),
                a_document("x", source="vault", acl=an_acl(SALES, level=Level.SECRET)),
            ]
        )

        engineer, both = a_scope({ENG}), a_scope({ENG}, {SALES})

        drives = SourceSummary("drive", 2, datetime(2026, 3, 2, tzinfo=UTC))
        mail = SourceSummary("mail", 1, None)
        wikis = SourceSummary("wiki", 2, datetime(2026, 3, 1, tzinfo=UTC))
        assert await store.sources(engineer) == [drives, mail, wikis]
        assert await store.sources(both) == [drives, mail]
        assert await store.sources(a_scope([])) == []
        assert await store.sources(AccessScope.nothing()) == []

    async def test_a_source_loses_at_once_what_may_not_be_read_any_more(
        self, store: ChunkStore
    ) -> None:
        await store.write([a_document("x", id=id, source="wiki", acl=an_acl(ENG)) for id in "abc"])

        await store.change_acl("a", an_acl(SALES))
        await store.delete(["b"])

        assert [s.documents for s in await store.sources(a_scope({ENG}))] == [1]
        assert [s.documents for s in await store.sources(a_scope({SALES}))] == [1]


class TestInMemoryStore(ChunkStoreContract):
    @pytest.fixture
    def store(self) -> ChunkStore:
        return InMemoryStore()


class EngineContract(ChunkStoreContract):
    """What the real engines promise on top."""

    async def test_a_write_that_fails_leaves_everything_as_it_was(self, store: ChunkStore) -> None:
        await store.write([a_document("old plan", id="d")])
        clash = a_document("new plan", id="e")
        twins = IndexedDocument(clash.document, (clash.chunks[0], clash.chunks[0]))

        with pytest.raises(StoreError, match="e#0"):
            await store.write([a_document("newer plan", id="d"), twins])

        assert texts(await store.search(words("plan"), ANYBODY, top_k=5)) == ["old plan"]

    async def test_vectors_of_another_length_are_refused(self, store: ChunkStore) -> None:
        await store.write([a_document("one", "two", id="d")])
        await store.write_vectors({"d#0": unit(1, 0)})

        with pytest.raises(ValueError, match="dimensions"):
            await store.write_vectors({"d#1": unit(1, 0, 0)})
        with pytest.raises(ValueError, match="dimensions"):
            await store.search(SearchQuery((), unit(1, 0, 0), 1.0), ANYBODY, top_k=1)

    async def test_it_ranks_as_the_definition_does(self, store: ChunkStore) -> None:
        definition = InMemoryStore()
        corpus = [
            a_document(
                *(" ".join(f"w{(i * j) % 17}" for j in range(1, 9)) for i in range(n, n + 4))
            )
            for n in range(0, 40, 4)
        ]
        vectors = {
            chunk.id: unit(*np.random.default_rng(n).normal(size=8))
            for n, chunk in enumerate(c for indexed in corpus for c in indexed.chunks)
        }
        for one in (store, definition):
            await one.write(corpus)
            await one.write_vectors(vectors)

        query = SearchQuery(("w3", "w5", "w16"), unit(*np.ones(8)), 0.4)
        expected = await definition.search(query, ANYBODY, top_k=10)
        found = await store.search(query, ANYBODY, top_k=10)

        # Half floats: the last digits of a score differ.
        assert [p.score for p in found] == pytest.approx([p.score for p in expected], abs=5e-3)
        assert [p.lexical for p in found] == pytest.approx([p.lexical for p in expected], rel=0.05)


class TestEmbeddedStore(EngineContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[ChunkStore]:
        store = await EmbeddedStore.open(tmp_path / "store", embedder_name="test")
        yield store
        await store.close()


class TestWeaviateStore(EngineContract):
    @pytest.fixture
    async def store(self, weaviate_server: WeaviateServer) -> AsyncIterator[ChunkStore]:
        store = await weaviate_server.open_store()
        yield store
        await store.close()
