"""Vectors of sentences: never searched, only compared with the question in what was found."""

import json
import sqlite3
from collections.abc import Mapping, Sequence

import numpy as np

from retrieval.embedded.database import BadRow
from retrieval.types import FloatArray

# A coordinate of a unit vector as one byte: half the size of half floats, cosines within 0.01.
_STEPS = 127


def store_sentence_vectors(
    connection: sqlite3.Connection, sentences: Mapping[str, FloatArray]
) -> None:
    """Replace the sentence vectors of chunks that exist; others are ignored."""
    for chunk_id, rows in sentences.items():
        row = connection.execute("SELECT no FROM chunks WHERE id = ?", (chunk_id,)).fetchone()
        if row is not None and len(rows):
            connection.execute(
                "INSERT OR REPLACE INTO sentence_vectors VALUES(?, ?)", (row[0], _packed(rows))
            )


def sentence_similarity(
    connection: sqlite3.Connection, numbers: Sequence[int], query: FloatArray
) -> dict[int, tuple[float, ...]]:
    """Cosines of *query* and each sentence, by chunk number; chunks without sentence vectors are left out."""
    rows = connection.execute(
        "SELECT chunk, vectors FROM sentence_vectors"
        " WHERE chunk IN (SELECT value FROM json_each(?))",
        (json.dumps(list(numbers)),),
    ).fetchall()
    if not rows:
        return {}
    vectors = [_unpacked(blob, dim=len(query)) for _, blob in rows]
    # One product for all: thousands of small ones would cost more than the arithmetic.
    cosines = np.concatenate(vectors) @ query
    ends = np.cumsum([len(v) for v in vectors])
    parts = np.split(cosines, ends[:-1])
    return {number: tuple(part.tolist()) for (number, _), part in zip(rows, parts, strict=True)}


def _packed(rows: FloatArray) -> bytes:
    """Per row a scale as float32, then the coordinates in its steps."""
    scale = np.maximum(np.abs(rows).max(axis=1), 1e-9).astype(np.float32)
    steps = np.rint(rows / scale[:, None] * _STEPS).astype(np.int8)
    return np.concatenate([scale[:, None].view(np.int8), steps], axis=1).tobytes()


def _unpacked(blob: bytes, *, dim: int) -> FloatArray:
    if len(blob) % (dim + 4):
        raise BadRow("sentence vectors have another length than the question's")
    rows = np.frombuffer(blob, np.int8).reshape(-1, dim + 4)
    scale = rows[:, :4].copy().view(np.float32)
    return np.asarray(rows[:, 4:] * (scale / _STEPS), np.float32)
