"""The SQLite database of an index: create it, and begin transactions that read or write.

The database is the single commit point: it holds a document completely or not at all, even if the
writer is killed. It uses a rollback journal and ``synchronous=FULL``, because write-ahead logs do
not work on network file systems or for readers that may not write. Transactions are short, and each
has a connection of its own, so an index can be used from any thread and after a fork.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vdr_integrations.encoders.runtime.forks import uninterrupted
from vdr_integrations.errors import (
    IndexFormatError,
    IndexLockedError,
    IndexStoreError,
)
from vdr_integrations.index.folder.file_format import (
    APPLICATION_ID,
    DATABASE_NAME,
    FORMAT_VERSION,
    JOURNAL_NAME,
    TABLES,
    UNFINISHED_PREFIXES,
)
from vdr_integrations.index.folder.troubles import damaged, not_there, os_trouble, sqlite_trouble

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "create_database",
    "make_again",
    "reading",
    "shrink",
    "writing",
]

_BUSY_TIMEOUT_S = 60.0
"""Readers hold their lock for milliseconds and writers for one commit, so this is long enough."""
_TRIES = 20
_COPIED_AT_ONCE = 1 << 20


_INSERT_MANIFEST = "INSERT INTO manifest VALUES (1, ?, ?, ?, ?, ?, ?, ?)"


def create_database(
    folder: Path, *, manifest: tuple[object, ...], bank: bytes | None = None
) -> None:
    """Make the database of a new index in one transaction.

    Args:
        folder: The folder of the index; it is made if it does not exist. It may hold nothing except
            an unfinished index.
        manifest: The row of the manifest table.
        bank: Vectors of the question bank, if the index has one.

    Raises:
        IndexFormatError: The folder holds other files, or the path is a file.
        IndexStoreError: The folder holds an index already, or the file system refuses.
    """
    if folder.exists() and not folder.is_dir():
        raise IndexFormatError(f"index {folder} is a file; an index needs a folder of its own.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise os_trouble(error, folder) from error
    foreign = [name for name in names if not name.startswith(UNFINISHED_PREFIXES)]
    if foreign and DATABASE_NAME not in names:
        raise IndexFormatError(
            f"folder {folder} is not an index and holds other files ({foreign[0]!r}); "
            f"give a new or empty folder."
        )
    with (
        _typed(folder),
        _connected(folder / DATABASE_NAME, mode="rwc") as connection,
    ):
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("BEGIN IMMEDIATE")
        if not _is_blank(connection):
            raise _is_there(folder)
        for statement in TABLES:
            connection.execute(statement)
        _insert(connection, manifest, bank)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        connection.execute("COMMIT")


def make_again(folder: Path, *, manifest: tuple[object, ...], bank: bytes | None = None) -> None:
    """Give an index without documents another manifest; the caller keeps other writers out.

    Args:
        folder: The folder of the index.
        manifest: The row of the manifest table.
        bank: Vectors of the question bank, if the index has one.

    Raises:
        IndexStoreError: It holds documents by now, or the file system refuses.
    """
    with writing(folder) as connection:
        if connection.execute("SELECT count(*) FROM documents").fetchone()[0]:
            raise _is_there(folder)
        for table in ("manifest", "question_bank", "pages", "words", "codes", "removed"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608  # the names are above
        _insert(connection, manifest, bank)


def _insert(
    connection: sqlite3.Connection, manifest: tuple[object, ...], bank: bytes | None
) -> None:
    connection.execute(_INSERT_MANIFEST, manifest)
    if bank is not None:
        connection.execute("INSERT INTO question_bank VALUES (1, ?)", (bank,))


def _is_there(folder: Path) -> IndexStoreError:
    return IndexStoreError(f"folder {folder} holds an index already; open it instead.")


@contextmanager
def writing(folder: Path) -> Generator[sqlite3.Connection]:
    """A transaction that writes. It is committed at the end, and any exception undoes it.

    Raises:
        IndexNotFoundError: There is no index in the folder.
        IndexFormatError: Not an index, a damaged index, or one of another format.
        IndexStoreError: The database is busy, or the file system refuses.
    """
    path = _existing(folder)
    with _typed(folder), _connected(path, mode="rw") as connection:
        connection.execute("BEGIN IMMEDIATE")
        _check_format(connection, folder, path)
        yield connection
        connection.execute("COMMIT")


def shrink(folder: Path) -> None:
    """Return the space of deleted rows to the file system.

    Raises:
        IndexStoreError: The database is busy, or the file system refuses.
    """
    with _typed(folder), _connected(_existing(folder), mode="rw") as connection:
        # The pragma frees one block per step; execute and fetchall would take only one step.
        connection.executescript("PRAGMA incremental_vacuum")


@contextmanager
def reading(folder: Path) -> Generator[sqlite3.Connection]:
    """A transaction that reads one committed state and writes nothing.

    Raises:
        IndexNotFoundError: There is no index in the folder.
        IndexFormatError: Not an index, a damaged index, or one of another format.
        IndexStoreError: The database is busy, or the file system refuses.
    """
    with _typed(folder), ExitStack() as stack:
        yield _begun(folder, stack)


def _existing(folder: Path) -> Path:
    path = folder / DATABASE_NAME
    try:
        if path.is_file() and path.stat().st_size:
            return path
    except OSError as error:
        raise os_trouble(error, folder) from error
    if folder.is_dir() and (folder / "shard").is_dir():
        raise IndexFormatError(
            f"index {folder} was made by an older vdr-integrations, and this release cannot read "
            f"it; index the documents again into a new folder."
        )
    raise not_there(folder)


def _begun(folder: Path, stack: ExitStack) -> sqlite3.Connection:
    """A connection in a transaction that reads, closed by ``stack``."""
    for tries_left in reversed(range(_TRIES)):
        path = _existing(folder)
        with ExitStack() as own:
            try:
                connection = own.enter_context(_connected(path, mode="ro"))
                connection.execute("BEGIN")
                _check_format(connection, folder, path)
            except sqlite3.OperationalError as error:
                # A killed writer left a journal: a half-written commit that has to be undone first.
                code = error.sqlite_errorcode & 0xFF
                is_journal_there = (folder / JOURNAL_NAME).exists()
                if code == sqlite3.SQLITE_READONLY and tries_left and not is_journal_there:
                    continue  # the journal of a living writer, which has finished its commit
                if code not in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
                    raise
                if not is_journal_there:
                    raise
            else:
                stack.enter_context(own.pop_all())
                return connection
        try:
            return stack.enter_context(_recovered(folder))
        except _UndoneMeanwhileError:
            continue
    raise IndexLockedError(
        f"index {folder} was written to during each of {_TRIES} attempts to open it; try again."
    )


class _UndoneMeanwhileError(Exception):
    """The interrupted commit was undone meanwhile, or another one has begun."""


@contextmanager
def _recovered(folder: Path) -> Generator[sqlite3.Connection]:
    """The database as it was before the interrupted commit.

    If this process may write, SQLite undoes the commit in place; otherwise in a copy.
    """
    path = folder / DATABASE_NAME
    if os.access(folder, os.W_OK) and os.access(path, os.W_OK):
        with _connected(path, mode="rw") as connection:
            connection.execute("BEGIN")
            _check_format(connection, folder, path)
            yield connection
        return
    with tempfile.TemporaryDirectory(prefix="vdr-index-") as place:
        copy = Path(place) / DATABASE_NAME
        _copy_to(copy, folder)
        with _connected(copy, mode="rw") as connection:
            connection.execute("BEGIN")
            _check_format(connection, folder, copy)
            yield connection


def _copy_to(copy: Path, folder: Path) -> None:
    """Copy database and journal; the journal undoes whatever the commit has changed.

    Raises:
        _UndoneMeanwhileError: Another process undid the commit first.
    """
    journal = folder / JOURNAL_NAME
    try:
        before = journal.read_bytes()
        with copy.open("wb") as file:
            file.writelines(_pieces(folder / DATABASE_NAME))
        if journal.read_bytes() != before:
            raise _UndoneMeanwhileError
        (copy.parent / JOURNAL_NAME).write_bytes(before)
    except FileNotFoundError as error:
        raise _UndoneMeanwhileError from error
    except OSError as error:
        raise os_trouble(error, folder) from error


def _pieces(path: Path) -> Generator[bytes]:
    if not hasattr(os, "pread"):  # Windows, where a file that is closed lets go of no locks
        with path.open("rb") as file:
            while data := file.read(_COPIED_AT_ONCE):
                yield data
        return
    descriptor, place = _never_closed(path), 0
    while data := os.pread(descriptor, _COPIED_AT_ONCE, place):
        place += len(data)
        yield data


def _never_closed(path: Path) -> int:
    """A descriptor of the database. To close it would release this process's locks on the file."""
    status = path.stat()
    key = (status.st_dev, status.st_ino)
    if key not in _descriptors:
        _descriptors[key] = os.open(path, os.O_RDONLY)
    return _descriptors[key]


_descriptors: dict[tuple[int, int], int] = {}


@contextmanager
def _connected(path: Path, *, mode: str) -> Generator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    # A child forked now would believe for ever that it holds the locks of its parent.
    # Closing rolls back everything that was not committed.
    with (
        uninterrupted(),
        closing(
            sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
        ) as connection,
    ):
        # An altered text must make one row unusable, not all rows that are read with it.
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        connection.execute("PRAGMA synchronous = FULL")
        yield connection


@contextmanager
def _typed(folder: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise sqlite_trouble(error, folder) from error
    except MemoryError as error:
        raise os_trouble(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), folder) from error


def _is_blank(connection: sqlite3.Connection) -> bool:
    tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return tables == 0


def _check_format(connection: sqlite3.Connection, folder: Path, path: Path) -> None:
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        # A writer that was killed while it created the index leaves an empty database.
        if _is_blank(connection):
            raise not_there(folder)
        raise IndexFormatError(
            f"{folder / DATABASE_NAME} is a database of another program, not an index; "
            f"give another folder."
        )
    if version != FORMAT_VERSION:
        upgrade = "Upgrade vdr-integrations, or index" if version > FORMAT_VERSION else "Index"
        raise IndexFormatError(
            f"index {folder} has format version {version}; this release of vdr-integrations "
            f"reads version {FORMAT_VERSION}. {upgrade} the documents again into a new folder."
        )
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    page_bytes: int = connection.execute("PRAGMA page_size").fetchone()[0]
    # SQLite reads the missing end of a last database page as zeros.
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise not_there(folder) from error
    except OSError as error:
        raise os_trouble(error, folder) from error
    if size < pages * page_bytes:
        raise damaged(folder, "the file is too short")
