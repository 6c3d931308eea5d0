"""The format of an index in a folder: the names of its files, and the tables of its database.

The folder of an index holds these files:

``index.sqlite3``
    A SQLite database with the tables of :data:`TABLES`. It is the single commit point: a file or a
    part of a file counts only if the ``manifest`` table names it. ``database.py`` opens it, and
    ``transaction.py`` changes it. Its application id is :data:`APPLICATION_ID`, its user version
    :data:`FORMAT_VERSION`.
``index.sqlite3-journal``
    The rollback journal of SQLite. It exists while a commit is written, and after a writer was
    killed during a commit. The next process that opens the index undoes that commit.
``<12 hexadecimal digits>.tokens`` and ``<12 hexadecimal digits>.dense``
    Vectors of pages, one page after the other; ``vector_bytes.py`` describes the bytes, and
    ``places.PLACE`` says where each page begins. ``writer.py`` appends to the newest file of each
    kind, and starts a new file when that one has reached 1 GiB. Committed bytes never change.
    Bytes behind the last committed one were left by a killed writer; the next writer overwrites
    them.
``<12 hexadecimal digits>.codebook``
    The centroids of the first stage of a search; ``scoring/codebook_bytes.py`` describes the bytes.
    ``first_stage_writer.py`` writes the file once, and it never changes.
``<12 hexadecimal digits>.lists``
    For each centroid, the pages that have it, for a range of rows; ``first_stage_files.py``
    describes the bytes. ``first_stage_writer.py`` writes each file once, and it never changes.
    Codebook and lists are derived from the vectors. They can be made again at any time.
``writer.lock`` and ``writer.json``
    The lock of the one process that writes, and its pid and host as JSON, which error messages
    show to others. ``writer_lock.py`` writes both; ``writer.lock`` may stay when nobody writes.
``unfinished/``
    Pages of documents that are not committed yet, one file each. They are no part of the index:
    readers do not need them, and the writer that commits a document deletes its file. If it was
    killed before, the next writer goes on behind these pages. ``index/unfinished`` writes them, and
    ``unfinished/frames.py`` describes the bytes.

Names are random (:func:`new_file_name`), so a new file never takes the place of one that a reader
uses. A writer deletes files with :data:`FILE_SUFFIXES` that the manifest does not name.
``tidying.py`` copies files that hold many removed pages into new ones. Readers write nothing,
except that SQLite undoes the commit of a killed writer if it may. Pages that wait for their commit
lie in memory or in a temporary file without a name.

All integers and floats are little-endian. Raise :data:`FORMAT_VERSION` when you change anything
that an older release would read wrongly: a table, JSON in a table, ``places.PLACE``, the bytes of a
file, or a digest. An index on a Qdrant server has a format of its own: see ``server/points.py``.
"""

from __future__ import annotations

import secrets
from typing import Literal, TypeAlias, get_args

__all__ = [
    "APPLICATION_ID",
    "DATABASE_NAME",
    "FILE_SUFFIXES",
    "FORMAT_VERSION",
    "HOLDER_NAME",
    "JOURNAL_NAME",
    "LOCK_NAME",
    "PAGE_TABLES",
    "TABLES",
    "UNFINISHED_NAME",
    "UNFINISHED_PREFIXES",
    "FileKind",
    "VectorKind",
    "new_file_name",
]

FORMAT_VERSION = 3
APPLICATION_ID = int.from_bytes(b"vdr1", "big")

DATABASE_NAME = "index.sqlite3"
JOURNAL_NAME = f"{DATABASE_NAME}-journal"
LOCK_NAME = "writer.lock"
HOLDER_NAME = "writer.json"
UNFINISHED_NAME = "unfinished"

UNFINISHED_PREFIXES = (DATABASE_NAME, "writer.")
"""The beginnings of the names of all files that a process leaves if it is killed while it makes a
new index."""

PAGE_TABLES = ("pages", "words", "codes")
"""Tables with a row for each page."""

VectorKind: TypeAlias = Literal["tokens", "dense"]
FileKind: TypeAlias = Literal["tokens", "dense", "codebook", "lists"]
FILE_SUFFIXES = tuple(f".{kind}" for kind in get_args(FileKind))

TABLES = (
    # One row. `settings` is the JSON of `index_settings.Settings`; `layout`, the JSON of
    # `manifest_row.Layout`, names the files of vectors and of the first stage. `generation` grows
    # with every commit. `state` is the sum of the digests of all documents. `digest` covers the
    # row.
    """
    CREATE TABLE manifest (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        index_id TEXT NOT NULL,
        generation INTEGER NOT NULL,
        settings TEXT NOT NULL,
        layout TEXT NOT NULL,
        documents INTEGER NOT NULL,
        state BLOB NOT NULL,
        digest BLOB NOT NULL
    )
    """,
    # At most one row: the vectors of the question bank (`QuestionBank.to_bytes`). Their digest is
    # in `settings`.
    """
    CREATE TABLE question_bank (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        vectors BLOB NOT NULL
    )
    """,
    # One row per document. A document that changes in any way gets a new id, by which readers find
    # what is new. `record` is JSON (`records_json.record_json`); `places` is an array of
    # `places.PLACE`, one entry per page; `digest` is `places.document_digest` of the row.
    """
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        source TEXT NOT NULL,
        record TEXT NOT NULL,
        places BLOB NOT NULL,
        digest BLOB NOT NULL
    )
    """,
    # One row per page. `row` numbers pages in the order in which they were added, and is never used
    # again. `content` is JSON (`records_json.content_json`); its digest is in the page's place.
    """
    CREATE TABLE pages (
        row INTEGER PRIMARY KEY,
        content TEXT NOT NULL
    )
    """,
    # Derived: the words of the text of a page, and how often it has them
    # (`page_words.words_blob`).
    """
    CREATE TABLE words (
        row INTEGER PRIMARY KEY,
        words BLOB NOT NULL
    )
    """,
    # Removed documents, for readers that know an older generation.
    """
    CREATE TABLE removed (
        document_id INTEGER PRIMARY KEY,
        generation INTEGER NOT NULL
    )
    """,
    # Derived: the centroids of the tokens of a page, until the page is in a list file
    # (`first_stage_files.codes_blob`).
    """
    CREATE TABLE codes (
        row INTEGER PRIMARY KEY,
        codes BLOB NOT NULL
    )
    """,
)


def new_file_name(kind: FileKind) -> str:
    """A random name for a new file."""
    return f"{secrets.token_hex(6)}.{kind}"
