"""The words of a page in the database, from which text searches make their lists.

They are derived from the page's text. Words that are missing, altered or of an older rule are
counted again from the text, so they decide how fast a search is, never what it finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.index.folder.vector_places import strong_digest
from vdr_integrations.index.scoring.words import WORDS_VERSION, WordCounts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from vdr_integrations.index.folder.snapshot import Begin, Snapshot

__all__ = ["read_words", "unsound_words", "words_blob", "words_of_blob"]

_DIGEST_BYTES = 16
_WORD_BYTES = 8 + 2
RULE = WORDS_VERSION.to_bytes(4, "little")
"""Part of every digest: words that an older rule counted are not used."""


def words_blob(content_digest: bytes, words: WordCounts) -> bytes:
    """The bytes that an index stores: a digest, then all keys (uint64), then all counts (uint16).

    Args:
        content_digest: Digest of the page's stored JSON and its place, so that no other page's
            words are taken for these.
        words: Words of the page.
    """
    data = words.keys.astype("<u8").tobytes() + words.counts.astype("<u2").tobytes()
    return strong_digest(RULE, content_digest, data) + data


def read_words(
    connection: sqlite3.Connection, snapshot: Snapshot, indices: NDArray[np.intp]
) -> Iterator[tuple[int, WordCounts]]:
    """The words of pages that are stored as they were written.

    Args:
        connection: A transaction that reads.
        snapshot: The state of the index.
        indices: Pages, as ascending indices of the snapshot.

    Yields:
        The index of a page and its words, ascending.
    """
    if not len(indices):
        return
    index_of = dict(zip(snapshot.rows[indices].tolist(), indices.tolist(), strict=True))
    for row, blob in connection.execute(
        "SELECT row, words FROM words WHERE row BETWEEN ? AND ? ORDER BY row",
        (min(index_of), max(index_of)),
    ):
        index = index_of.get(row)
        if index is None:
            continue
        words = words_of_blob(snapshot.places["content"][index].tobytes(), blob)
        if words is not None:
            yield index, words


def unsound_words(snapshot: Snapshot, begin: Begin) -> list[int]:
    """Indices of the pages whose stored words are missing, altered or of an older rule.

    Args:
        snapshot: The state of the index.
        begin: Begins a transaction that reads.
    """
    indices = np.arange(len(snapshot))
    with begin() as connection:
        sound = {index for index, _ in read_words(connection, snapshot, indices)}
    return [index for index in indices.tolist() if index not in sound]


def words_of_blob(content_digest: bytes, blob: object) -> WordCounts | None:
    """The words of stored bytes; None if they are not what :func:`words_blob` returns today."""
    if not isinstance(blob, bytes) or (len(blob) - _DIGEST_BYTES) % _WORD_BYTES:
        return None
    digest, data = blob[:_DIGEST_BYTES], blob[_DIGEST_BYTES:]
    if strong_digest(RULE, content_digest, data) != digest:
        return None
    count = len(data) // _WORD_BYTES
    return WordCounts(
        np.frombuffer(data, "<u8", count).astype(np.uint64, copy=False),
        np.frombuffer(data, "<u2", count, 8 * count).astype(np.uint16, copy=False),
    )
