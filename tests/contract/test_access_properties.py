"""Generated readers, access lists and documents: no store ever shows more, or less, than the rules allow."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from retrieval.access import (
    PUBLIC,
    AccessScope,
    Acl,
    Level,
    Principal,
    Reader,
    group_principal,
    tenant_principal,
    user_principal,
)
from retrieval.embedded_store import EmbeddedStore
from retrieval.store import CANDIDATES, ChunkStore, InMemoryStore, SearchQuery
from retrieval.types import FloatArray, IndexedDocument
from tests.builders import a_document
from tests.weaviate_server import WeaviateServer

# Names that a tokenizer, a prefix match, case folding or a careless separator would take for each other.
_NAMES = (
    *(
        "eng",
        "ENG",
        "eng-leads",
        "eng leads",
        "leads",
        "eng/leads",
        "en",
        "ｅｎｇ",
        "e\u0301ng",
        "éng",
    ),
    *("工程", "工程部", "工程部 主管", "public", "acme", "*", "'", '"', "%", "\\", ","),
    *("eng-eu", "eng ", " eng", "eng|", "eng_eu"),
)
_T = TypeVar("_T")
_TENANTS = ("acme", "acme-eu", "ACME")
_WORDS = (f"word{n}" for n in itertools.count())

names = st.sampled_from(_NAMES) | st.text(min_size=1, max_size=8).filter(str.isprintable)
tenants = st.sampled_from(_TENANTS)
principals: SearchStrategy[Principal] = st.one_of(
    st.builds(group_principal, st.just("acme"), st.sampled_from(_NAMES)),
    st.builds(group_principal, tenants, names),
    st.builds(user_principal, tenants, names),
    st.builds(tenant_principal, tenants),
    st.just(PUBLIC),
)
levels = st.sampled_from(Level)
acls = st.builds(Acl, st.frozensets(principals, max_size=4), levels)


def scopes_near(access: Sequence[Acl]) -> SearchStrategy[AccessScope]:
    """Scopes of up to five readers who hold some of the principals of *access*, and others like them."""
    held = sorted({principal for acl in access for principal in acl.principals})
    holding = st.frozensets(st.sampled_from(held) | principals if held else principals, max_size=30)
    # Mostly cleared readers: a low level hides so much that the principals would go untested.
    clearances = st.sampled_from([Level.SECRET, Level.SECRET, *Level])
    readers = st.builds(Reader, holding, clearances)
    return st.builds(AccessScope.of, st.lists(readers, max_size=5) | st.lists(readers, max_size=1))


def corpora_with_scopes() -> SearchStrategy[tuple[list[Acl], AccessScope]]:
    access = st.lists(acls, min_size=1, max_size=6)
    return access.flatmap(lambda a: st.tuples(st.just(a), scopes_near(a)))


def random_access(seed: int, size: int) -> list[Acl]:
    """The access lists of a corpus that many scopes are tried on."""
    rng = random.Random(seed)
    kinds: list[Callable[[], Principal]] = [
        lambda: group_principal("acme", rng.choice(_NAMES)),
        lambda: group_principal(rng.choice(_TENANTS), rng.choice(_NAMES)),
        lambda: user_principal(rng.choice(_TENANTS), rng.choice(_NAMES)),
        lambda: tenant_principal(rng.choice(_TENANTS)),
        lambda: PUBLIC,
    ]
    return [
        Acl(
            frozenset(rng.choice(kinds)() for _ in range(rng.randint(0, 4))),
            rng.choice(list(Level)),
        )
        for _ in range(size)
    ]


@dataclass(frozen=True, slots=True)
class Cases:
    """How many cases to generate; each example of a property is one."""

    total: int

    def share(self, part: float) -> settings:
        return settings(
            max_examples=max(1, round(self.total * part)),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """
    A store behind plain calls, since Hypothesis drives functions and not coroutines.

    Whatever is found is checked by the rules before it is returned.
    """

    store: ChunkStore
    runner: asyncio.Runner

    def do(self, work: Coroutine[object, object, _T]) -> _T:
        return self.runner.run(work)

    def search(self, words: str, scope: AccessScope, vector: FloatArray | None = None) -> list[str]:
        query = SearchQuery(tuple(words.split()), vector, 0.5)
        passages = self.do(self.store.search(query, scope, top_k=10 * CANDIDATES))
        assert all(may_be_read(passage.chunk.acl, scope) for passage in passages)
        return sorted(passage.chunk.id for passage in passages)

    def fetch(self, chunk_ids: Sequence[str], scope: AccessScope) -> list[str]:
        return sorted(chunk.id for chunk in self.do(self.store.fetch(chunk_ids, scope)))

    def count(self, scope: AccessScope) -> int:
        return sum(source.documents for source in self.do(self.store.sources(scope)))


def may_be_read(acl: Acl, scope: AccessScope) -> bool:
    """The rules again, in other words than the code's."""
    for reader in scope.clauses:
        if acl.level > reader.clearance:
            return False
        if not [principal for principal in acl.principals if principal in reader.principals]:
            return False
    return len(scope.clauses) > 0


def readable(corpus: Iterable[IndexedDocument], scope: AccessScope) -> list[str]:
    return sorted(
        chunk.id
        for indexed in corpus
        for chunk in indexed.chunks
        if may_be_read(indexed.document.acl, scope)
    )


def a_corpus(word: str, access: Sequence[Acl]) -> list[IndexedDocument]:
    """One document for each access list, with one or two chunks, all found by *word*."""
    return [
        a_document(*(f"{word} piece {n}" for n in range(1 + i % 2)), acl=acl)
        for i, acl in enumerate(access)
    ]


def a_vector(seed: int) -> FloatArray:
    vector = np.random.default_rng(seed).normal(size=8)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


class AccessProperties:
    """The shares of the cases add up to one; what writes for each case gets the smaller ones."""

    @pytest.fixture
    def bench(self) -> Bench:
        raise NotImplementedError

    @pytest.fixture
    def cases(self, request: pytest.FixtureRequest) -> Cases:
        return Cases(request.config.getoption("--access-cases") or 1500)

    @pytest.mark.parametrize("seed", range(4))
    def test_a_search_returns_exactly_what_every_reader_may_read(
        self, bench: Bench, cases: Cases, seed: int
    ) -> None:
        access = random_access(seed, 60)
        corpus = a_corpus("plan", access)
        chunk_ids = [chunk.id for indexed in corpus for chunk in indexed.chunks]
        bench.do(bench.store.write(corpus))
        bench.do(bench.store.write_vectors({i: a_vector(n) for n, i in enumerate(chunk_ids)}))

        @cases.share(0.175)
        @given(scopes_near(access), st.none() | st.integers(0, 99))
        def check(scope: AccessScope, seed: int | None) -> None:
            vector = None if seed is None else a_vector(seed)

            assert bench.search("plan", scope, vector) == readable(corpus, scope)
            assert bench.fetch(chunk_ids, scope) == readable(corpus, scope)
            assert bench.count(scope) == sum(may_be_read(i.document.acl, scope) for i in corpus)

        check()

    def test_another_reader_never_adds_a_passage(self, bench: Bench, cases: Cases) -> None:
        access = random_access(4, 60)
        bench.do(bench.store.write(a_corpus("plan", access)))
        scopes = scopes_near(access)

        @cases.share(0.1)
        @given(scopes.filter(lambda scope: not scope.is_empty), scopes)
        def check(scope: AccessScope, more: AccessScope) -> None:
            together = AccessScope.of(scope.clauses | more.clauses)

            assert set(bench.search("plan", together)) <= set(bench.search("plan", scope))

        check()

    def test_a_narrowed_scope_finds_nothing_that_the_full_one_does_not(
        self, bench: Bench, cases: Cases
    ) -> None:
        access = random_access(5, 60)
        bench.do(bench.store.write(a_corpus("plan", access)))

        @cases.share(0.1)
        @given(scopes_near(access), st.integers(1, 3))
        def check(scope: AccessScope, max_clauses: int) -> None:
            narrowed = scope.narrowed(max_clauses=max_clauses)

            assert len(narrowed.clauses) <= max_clauses
            assert set(bench.search("plan", narrowed)) <= set(bench.search("plan", scope))

        check()

    def test_any_documents_are_found_by_their_readers_as_soon_as_they_are_written(
        self, bench: Bench, cases: Cases
    ) -> None:
        @cases.share(0.06)
        @given(corpora_with_scopes())
        def check(case: tuple[list[Acl], AccessScope]) -> None:
            access, scope = case
            word = next(_WORDS)
            corpus = a_corpus(word, access)

            bench.do(bench.store.write(corpus))

            assert bench.search(word, scope) == readable(corpus, scope)
            bench.do(bench.store.delete([indexed.document.id for indexed in corpus]))

        check()

    def test_nothing_stale_is_found_after_access_changes_rewrites_and_deletions(
        self, bench: Bench, cases: Cases
    ) -> None:
        steps = st.lists(
            st.tuples(st.sampled_from(["change_acl", "write", "delete"]), st.integers(0, 3), acls),
            min_size=1,
            max_size=3,
        )

        @cases.share(0.04)
        @given(corpora_with_scopes(), steps)
        def check(case: tuple[list[Acl], AccessScope], steps: list[tuple[str, int, Acl]]) -> None:
            access, scope = case
            word = next(_WORDS)
            known = {indexed.document.id: indexed for indexed in a_corpus(word, access)}
            document_ids = list(known)
            bench.do(bench.store.write(list(known.values())))

            for step, number, acl in steps:
                document_id = document_ids[number % len(document_ids)]
                changed = a_document(f"{word} changed", id=document_id, acl=acl)
                if step == "delete":
                    known.pop(document_id, None)
                    bench.do(bench.store.delete([document_id]))
                elif step == "write":
                    known[document_id] = changed
                    bench.do(bench.store.write([changed]))
                elif document_id in known:
                    texts = [chunk.text for chunk in known[document_id].chunks]
                    known[document_id] = a_document(*texts, id=document_id, acl=acl)
                    bench.do(bench.store.change_acl(document_id, acl))
                assert bench.search(word, scope) == readable(known.values(), scope)

            bench.do(bench.store.delete(document_ids))

        check()

    def test_the_empty_scope_returns_nothing_and_calls_no_driver(self, bench: Bench) -> None:
        corpus = a_corpus("plan", random_access(6, 20))
        chunk_ids = [chunk.id for indexed in corpus for chunk in indexed.chunks]
        bench.do(bench.store.write(corpus))
        bench.do(bench.store.close())  # whoever reached for the driver now would fail

        assert bench.search("plan", AccessScope.nothing(), a_vector(1)) == []
        assert bench.fetch(chunk_ids, AccessScope.of([])) == []
        assert bench.count(AccessScope.nothing()) == 0


class TestInMemoryStore(AccessProperties):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with asyncio.Runner() as runner:
            yield Bench(InMemoryStore(), runner)


class TestEmbeddedStore(AccessProperties):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        with asyncio.Runner() as runner:
            store = runner.run(EmbeddedStore.open(tmp_path / "store", embedder_name="test"))
            yield Bench(store, runner)
            runner.run(store.close())


class TestWeaviateStore(AccessProperties):
    @pytest.fixture
    def bench(self, weaviate_server: WeaviateServer) -> Iterator[Bench]:
        with asyncio.Runner() as runner:
            store = runner.run(weaviate_server.open_store())
            yield Bench(store, runner)
            runner.run(store.close())
