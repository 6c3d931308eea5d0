"""The SQLite file of an index: schema, format version, transactions.

One file is the single commit point: a document is in it whole or not at all, whatever kills the
writer. Rollback journal and ``synchronous=FULL``, because write-ahead logs do not work on network
file systems and an index is written seldom. Connections live for one transaction, so an index
object may be used from any thread and outlives a fork.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from vdr_integrations.errors import (
    IndexFormatError,
    IndexLockedError,
    IndexNotFoundError,
    IndexStoreError,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = [
    "DATABASE_NAME",
    "FORMAT_VERSION",
    "LOCK_NAME",
    "create_database",
    "damaged",
    "transaction",
]

DATABASE_NAME = "index.sqlite3"
LOCK_NAME = "writer.lock"
FORMAT_VERSION = 1

_APPLICATION_ID = int.from_bytes(b"vdr1", "big")
_BUSY_TIMEOUT_S = 30.0
"""Readers hold their lock for one search and writers for one commit, so this is ample."""

_TABLES = (
    """
    CREATE TABLE manifest (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        settings TEXT NOT NULL,
        generation INTEGER NOT NULL
    )
    """,
    # Vectors: float32 little-endian, one row of `dimension` numbers for each row of `pages`, in
    # the order of page_number. They come last so that listing documents does not read them.
    """
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL UNIQUE,
        sha256 TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        checked_ns INTEGER NOT NULL,
        total_pages INTEGER NOT NULL,
        skipped TEXT NOT NULL,
        vectors_sha256 BLOB NOT NULL,
        vectors BLOB NOT NULL
    )
    """,
    """
    CREATE TABLE pages (
        document_id INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
        page_number INTEGER NOT NULL CHECK (page_number >= 1),
        page_label TEXT NOT NULL,
        page_ref TEXT NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (document_id, page_number)
    )
    """,
)


def create_database(folder: Path, *, settings: str) -> None:
    """Make the database of a new index in one transaction.

    Args:
        folder: Made when it does not exist; must hold nothing but an unfinished index.
        settings: The manifest as JSON.

    Raises:
        IndexFormatError: The folder holds other files, or the path is a file.
        IndexStoreError: The folder holds an index already.
    """
    if folder.exists() and not folder.is_dir():
        raise IndexFormatError(f"index {folder} is a file; an index is a folder of its own.")
    folder.mkdir(parents=True, exist_ok=True)
    ours = (DATABASE_NAME, LOCK_NAME)
    foreign = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(ours))
    if foreign:
        raise IndexFormatError(
            f"folder {folder} is not an index and holds other files ({foreign[0]!r}); "
            f"give a new or empty folder."
        )
    with _connect(folder, mode="rwc") as connection:
        connection.execute("BEGIN IMMEDIATE")
        if not _is_blank(connection):
            raise IndexStoreError(f"folder {folder} holds an index already; open it instead.")
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute("INSERT INTO manifest VALUES (1, ?, 0)", (settings,))
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        connection.execute("COMMIT")


@contextmanager
def transaction(folder: Path, *, write: bool = False) -> Generator[sqlite3.Connection]:
    """One transaction on the index in ``folder``: committed at the end, undone by any exception.

    Raises:
        IndexNotFoundError: There is no index in the folder.
        IndexFormatError: Not an index, damaged, or of a newer format.
        IndexLockedError: Another process kept the database busy for 30 seconds.
        IndexStoreError: The file system refused.
    """
    if not (folder / DATABASE_NAME).is_file():
        raise _not_found(folder)
    with _connect(folder, mode="rw") as connection:
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        _check_format(connection, folder)
        yield connection
        if write:
            connection.execute("UPDATE manifest SET generation = generation + 1")
        connection.execute("COMMIT")


@contextmanager
def _connect(folder: Path, *, mode: str) -> Generator[sqlite3.Connection]:
    uri = f"{(folder / DATABASE_NAME).absolute().as_uri()}?mode={mode}"
    try:
        # Closing rolls back whatever was not committed.
        with closing(
            sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
        ) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            yield connection
    except sqlite3.Error as error:
        raise _typed(error, folder) from error


def _typed(error: sqlite3.Error, folder: Path) -> IndexStoreError:
    # Extended codes keep the primary code in the low byte.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return IndexLockedError(
            f"another process keeps index {folder} busy; wait for it to end, then try again."
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}:
        return damaged(folder, str(error))
    return IndexStoreError(
        f"index {folder} cannot be read or written ({error}); check free space and permissions."
    )


def damaged(folder: Path, finding: str) -> IndexFormatError:
    """The error of an index whose content contradicts itself."""
    return IndexFormatError(
        f"index {folder} is damaged or not an index ({finding}); "
        f"delete the folder and index the documents again."
    )


def _not_found(folder: Path) -> IndexNotFoundError:
    return IndexNotFoundError(f"there is no index in {folder}; make one first (vdr index).")


def _is_blank(connection: sqlite3.Connection) -> bool:
    tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return tables == 0


def _check_format(connection: sqlite3.Connection, folder: Path) -> None:
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION_ID:
        # A writer that was killed while it made the index leaves an empty database.
        if _is_blank(connection):
            raise _not_found(folder)
        raise IndexFormatError(
            f"{folder / DATABASE_NAME} is a database of another program, not an index; "
            f"give another folder."
        )
    if version != FORMAT_VERSION:
        raise IndexFormatError(
            f"index {folder} has format version {version}; this release of vdr-integrations "
            f"reads version {FORMAT_VERSION}. Upgrade vdr-integrations, or index the documents "
            f"again into a new folder."
        )
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    page_bytes: int = connection.execute("PRAGMA page_size").fetchone()[0]
    # SQLite reads the missing end of a last page as zeros.
    if (folder / DATABASE_NAME).stat().st_size < pages * page_bytes:
        raise damaged(folder, "the file is too short")
