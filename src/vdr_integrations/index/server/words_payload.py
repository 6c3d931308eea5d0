"""The words of a page as a field of its point. Pure."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import TYPE_CHECKING

from vdr_integrations.index.folder.page_words import words_blob, words_of_blob
from vdr_integrations.index.scoring.words import count_words

if TYPE_CHECKING:
    from vdr_integrations.index.scoring.words import WordCounts
    from vdr_integrations.index.server.collection import Point

__all__ = ["encoded_words", "stored_words"]


def encoded_words(point_id: str, sha256: str, text: str) -> str:
    """What the point of a page stores of its words.

    Args:
        point_id: Id of the point.
        sha256: Digest of the page's record.
        text: Text of the page.
    """
    data = words_blob(_bound_to(point_id, sha256), count_words(text))
    return base64.b64encode(data).decode()


def stored_words(point: Point) -> WordCounts | None:
    """The words of the point of a page; None if they are not what a writer of today writes."""
    words, sha256 = point.payload.get("words"), point.payload.get("sha256")
    if isinstance(words, str) and isinstance(sha256, str):
        with suppress(ValueError):
            data = base64.b64decode(words, validate=True)
            return words_of_blob(_bound_to(point.id, sha256), data)
    return None


def _bound_to(point_id: str, sha256: str) -> bytes:
    return f"{point_id}\n{sha256}".encode()
