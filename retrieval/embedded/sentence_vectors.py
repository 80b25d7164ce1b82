"""Vectors of sentences as rows: never searched, only compared with the question in what was found."""

import json
import sqlite3
from collections.abc import Mapping, Sequence

from retrieval.embedded.database import BadRow
from retrieval.packed_vectors import cosines, pack_rows
from retrieval.types import FloatArray


def store_sentence_vectors(
    connection: sqlite3.Connection, sentences: Mapping[str, FloatArray]
) -> None:
    """Replace the sentence vectors of chunks that exist; others are ignored."""
    for chunk_id, rows in sentences.items():
        row = connection.execute("SELECT no FROM chunks WHERE id = ?", (chunk_id,)).fetchone()
        if row is not None and len(rows):
            connection.execute(
                "INSERT OR REPLACE INTO sentence_vectors VALUES(?, ?)", (row[0], pack_rows(rows))
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
    try:
        return cosines(dict(rows), query)
    except ValueError as error:
        raise BadRow(str(error)) from error
