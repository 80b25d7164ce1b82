"""The SQLite file that holds the truth: its schema, connections, transactions, and what its errors mean."""

import contextlib
import sqlite3
import threading
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from retrieval.errors import StoreDamaged, StoreError, StoreUnavailable

BUSY_TIMEOUT_S = 10.0
"""How long a write waits for another one before it gives up."""

_APPLICATION_ID = 0x53484655  # "SHFU": tells our file from any other SQLite file
_SCHEMA_VERSION = 1

# Numbers are never used twice (AUTOINCREMENT): a stale index entry can name a chunk that is gone,
# but not another chunk, and the number of an access list stands for one content forever.
_SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE acl_sets(
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    set_id TEXT NOT NULL UNIQUE,
    level INTEGER NOT NULL,
    principals TEXT NOT NULL
);
CREATE TABLE documents(
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    title TEXT NOT NULL,
    acl_set INTEGER NOT NULL REFERENCES acl_sets(no),
    content_hash TEXT NOT NULL,
    link TEXT, owner TEXT, language TEXT, version TEXT,
    modified_at TEXT, review_at TEXT, superseded_by TEXT
);
CREATE INDEX documents_by_source ON documents(source);
CREATE INDEX documents_by_acl_set ON documents(acl_set);
CREATE TABLE chunks(
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    document INTEGER NOT NULL REFERENCES documents(no) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    text TEXT NOT NULL,
    heading_path TEXT NOT NULL
);
CREATE INDEX chunks_by_document ON chunks(document);
CREATE TABLE vectors(
    chunk INTEGER PRIMARY KEY REFERENCES chunks(no) ON DELETE CASCADE,
    vector BLOB NOT NULL
);
CREATE TABLE sentence_vectors(
    chunk INTEGER PRIMARY KEY REFERENCES chunks(no) ON DELETE CASCADE,
    vectors BLOB NOT NULL
);
CREATE TABLE changes(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    chunk INTEGER NOT NULL,
    touches_words INTEGER NOT NULL
);
CREATE INDEX word_changes ON changes(seq) WHERE touches_words;
"""


class BadRow(sqlite3.DatabaseError):
    """A row's content cannot be what we wrote."""


class Database:
    """
    One SQLite file in WAL mode: readers never wait, one writer at a time, each transaction whole or not at all.

    Connections are pooled, so that every thread and every call gets one of its own.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        self._one_writer = threading.Lock()
        self._is_closed = False

    @classmethod
    def open(cls, folder: Path) -> Self:
        """
        Open the database in *folder*, made if need be.

        Raises:
            StoreDamaged: If what lies there cannot be used; it is left as it is.
            StoreUnavailable: If it is locked, or may not be read or written.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StoreDamaged(f"{folder} is a file; the store needs a folder there") from error
        except OSError as error:
            raise StoreUnavailable(f"{folder} cannot be made: {error.strerror}") from error
        database = cls(folder / "store.db")
        with database.connection() as connection:
            database._prepare(connection)
        return database

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading; each statement sees all that is committed when it begins."""
        if self._is_closed:
            raise StoreUnavailable(f"the store in {self._path.parent} has been closed")
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except sqlite3.Error as error:
            raise self._translated(error) from error
        finally:
            self._idle.append(connection)
            if self._is_closed:
                self._close_idle()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection whose statements all see the same state."""
        with self.connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection for writing: all of it or, on any error, nothing."""
        # A lock of our own is handed over at once, where SQLite's would be polled for.
        if not self._one_writer.acquire(timeout=BUSY_TIMEOUT_S):
            raise StoreUnavailable(f"another write takes longer than {BUSY_TIMEOUT_S:.0f} s")
        try:
            with self.connection() as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    connection.rollback()
                    raise
        finally:
            self._one_writer.release()

    def close(self) -> None:
        """Close every connection; those at work are closed by whoever returns them."""
        self._is_closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self._path,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self._translated(error) from error
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            # FULL, not NORMAL: a revoked right that was confirmed must survive a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA cache_size = -8000")
        except sqlite3.Error as error:
            connection.close()
            raise self._translated(error) from error
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if self._version(connection) == _SCHEMA_VERSION:
            return
        connection.execute("PRAGMA journal_mode = WAL")
        with self.transaction() as writing:
            # Asked again: another process may have been first.
            if self._version(writing) == _SCHEMA_VERSION:
                return
            for statement in _SCHEMA.split(";\n"):
                writing.execute(statement)
            writing.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            writing.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            write_meta(writing, "database", uuid.uuid4().hex)

    def _version(self, connection: sqlite3.Connection) -> int:
        """The schema version, 0 for an empty file."""
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application != _APPLICATION_ID and (application or version or tables):
            raise StoreDamaged(
                f"{self._path} is not a Shifu store; choose another folder for the store"
            )
        if version > _SCHEMA_VERSION:
            raise StoreDamaged(
                f"{self._path} was written by a newer Shifu (schema {version}, this one knows "
                f"{_SCHEMA_VERSION}); install that version, or choose another folder"
            )
        return version

    def _translated(self, error: sqlite3.Error) -> StoreError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreUnavailable(
                f"{self._path} was locked by another process for over {BUSY_TIMEOUT_S:.0f} s"
            )
        if name.startswith("SQLITE_FULL"):
            return StoreUnavailable(f"no space is left for {self._path}; nothing was written")
        if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_IOERR")):
            return StoreUnavailable(
                f"{self._path} cannot be read or written ({error}); check its rights and the disk"
            )
        # SQLITE_ERROR is a missing table or column: our statements are right, so the file is not.
        if isinstance(error, BadRow) or name in ("SQLITE_NOTADB", "SQLITE_ERROR"):
            return damaged(self._path, error)
        if name.startswith("SQLITE_CORRUPT"):
            return damaged(self._path, error)
        return StoreUnavailable(f"{self._path} does not answer ({error})")


def damaged(path: Path, cause: object) -> StoreDamaged:
    return StoreDamaged(
        f"{path} is damaged ({cause}). Nothing was deleted. Stop Shifu and put a backup of the folder "
        f"{path.parent} in its place; or, without one, move the folder aside, start again, and load "
        "the documents anew"
    )


def read_meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def write_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES(?, ?)", (key, value))
