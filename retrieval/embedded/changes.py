"""The change log: which chunks changed since a derived part (word index, vector matrix) last looked."""

import sqlite3

from retrieval.embedded.database import read_meta, write_meta

KEPT_CHANGES = 200_000
"""Older rows are dropped; whoever is further behind starts anew from the tables."""

CHANGED_WORDS = "(SELECT DISTINCT chunk FROM changes WHERE touches_words AND seq > ?)"
CHANGED = (
    "(SELECT chunk, min(touches_words) = 0 AS is_new_vector FROM changes WHERE seq > ?"
    " GROUP BY chunk)"
)


def log_chunk(connection: sqlite3.Connection, chunk: int, *, touches_words: bool) -> None:
    connection.execute(
        "INSERT INTO changes(chunk, touches_words) VALUES(?, ?)", (chunk, touches_words)
    )


def log_document(connection: sqlite3.Connection, document: int) -> None:
    """Every chunk of the document changed or is about to go."""
    connection.execute(
        "INSERT INTO changes(chunk, touches_words) SELECT no, 1 FROM chunks WHERE document = ?",
        (document,),
    )


def last_change(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT max(seq) FROM changes").fetchone()
    return int(row[0] or 0)


def last_word_change(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT max(seq) FROM changes WHERE touches_words").fetchone()
    return int(row[0] or 0)


def is_logged_since(connection: sqlite3.Connection, seq: int, *, words: bool) -> bool:
    """Whether the log still holds all (or all *words*) changes after *seq*."""
    return seq >= int(read_meta(connection, "dropped_words" if words else "dropped") or 0)


def drop_old_changes(connection: sqlite3.Connection) -> None:
    drop_to = last_change(connection) - KEPT_CHANGES
    if drop_to < int(read_meta(connection, "dropped") or 0) + KEPT_CHANGES // 10:
        return
    # The last word change stays, whatever its age: it is what the index is compared with.
    last_word = last_word_change(connection)
    row = connection.execute(
        "SELECT max(seq) FROM changes WHERE touches_words AND seq <= ?", (drop_to,)
    ).fetchone()
    if row[0] is not None:
        write_meta(connection, "dropped_words", str(row[0]))
    write_meta(connection, "dropped", str(drop_to))
    connection.execute("DELETE FROM changes WHERE seq <= ? AND seq <> ?", (drop_to, last_word))
