"""Sentence vectors as bytes: cosines come out as they went in, whatever the lengths."""

import numpy as np
import pytest

from retrieval.packed_vectors import cosines, pack_rows
from retrieval.types import FloatArray


def unit_rows(count: int, *, dim: int = 16) -> FloatArray:
    rows = np.random.default_rng(count).standard_normal((count, dim)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_each_text_gets_the_cosines_of_its_own_sentences() -> None:
    query = unit_rows(1)[0]
    texts = {"three": unit_rows(3), "one": unit_rows(7)[:1]}

    found = cosines({key: pack_rows(rows) for key, rows in texts.items()}, query)

    assert list(found) == ["three", "one"]
    for key, values in found.items():
        assert values == pytest.approx(tuple(texts[key] @ query), abs=0.02)


def test_rows_of_another_length_are_refused_even_where_the_sum_would_fit() -> None:
    packed = pack_rows(unit_rows(1))
    halves = {"one": packed[:10], "other": packed[10:]}

    with pytest.raises(ValueError, match="another length"):
        cosines(halves, unit_rows(1)[0])


def test_nothing_packed_has_no_cosines() -> None:
    assert cosines({}, unit_rows(1)[0]) == {}
