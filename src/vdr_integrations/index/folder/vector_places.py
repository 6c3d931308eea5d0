"""Where the vectors of pages lie, and the digests that protect all data of a page. Pure."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "PLACE",
    "STATE_BYTES",
    "Places",
    "content_digest",
    "document_digest",
    "document_name",
    "id_key",
    "ids_of_keys",
    "ref_key",
    "state_sum",
    "strong_digest",
    "to_json",
    "word_sum",
]

PLACE = np.dtype(
    [
        ("row", "<i8"),
        ("page_number", "<i4"),
        ("tokens", "<i4"),
        ("token_segment", "<i4"),
        ("dense_segment", "<i4"),
        ("token_offset", "<i8"),
        ("dense_offset", "<i8"),
        ("token_sum", "<u8"),
        ("dense_sum", "<u8"),
        ("bias", "<f4"),
        ("page_id", "V16"),
        ("ref_key", "<u8"),
        ("content", "V16"),
        ("vectors", "V16"),
    ]
)
"""A page of a document, as the database stores it and readers hold it in memory (128 bytes).

``row`` is its number in the index; ``tokens`` is the number of rows of its matrix (0: no token
vectors). Segments are numbers of files, offsets are positions in them in bytes. Sums are
:func:`word_sum` of the bytes there, checked when they are scored. ``content`` and ``vectors``
are :func:`strong_digest` of the page's row in the ``pages`` table, and of all bytes of its vectors.
"""

Places = np.ndarray[Any, np.dtype[np.void]]
"""An array of :data:`PLACE`."""

STATE_BYTES = 32
_MODULUS = 1 << (8 * STATE_BYTES)


def word_sum(data: NDArray[np.uint8]) -> int:
    """Sum of the 64-bit words, modulo 2**64: 7 us per page, and any change of one word shows.

    Args:
        data: uint8 (n,), n a multiple of 8.
    """
    return int(data.view("<u8").sum(dtype=np.uint64))


def strong_digest(*parts: bytes | NDArray[np.uint8]) -> bytes:
    """A digest of all parts, 16 bytes."""
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        made.update(len(part).to_bytes(8, "little"))
        made.update(part if isinstance(part, bytes) else part.data)
    return made.digest()


def content_digest(row: int, content: str) -> bytes:
    """The digest of a page's row in the ``pages`` table."""
    return strong_digest(row.to_bytes(8, "little"), content.encode())


def document_digest(document_id: int, source: str, record: str, places: bytes) -> bytes:
    """A digest of a row of the ``documents`` table, 48 bytes: 32 of all columns, 16 of its name."""
    made = hashlib.blake2b(digest_size=STATE_BYTES)
    for part in (_number_bytes(document_id), source.encode(), record.encode(), places):
        made.update(len(part).to_bytes(8, "little"))
        made.update(part)
    return made.digest() + strong_digest(_number_bytes(document_id), source.encode())


def document_name(document_id: int, source: object, digest: object) -> tuple[str, bool]:
    """The name of a document, and whether its digest confirms that name.

    If it does not, another document may have that name; the number in the text distinguishes them.
    """
    if (
        isinstance(source, str)
        and isinstance(digest, bytes)
        and digest[STATE_BYTES:] == strong_digest(_number_bytes(document_id), source.encode())
    ):
        return source, True
    return f"{source} (number {document_id}, its name was altered)", False


def _number_bytes(number: int) -> bytes:
    return number.to_bytes(8, "little", signed=True)


def state_sum(state: bytes, *, added: Sequence[bytes] = (), gone: Sequence[bytes] = ()) -> bytes:
    """The sum of the digests of all documents after some were added and some removed.

    A document that disappears from the database, or comes back, changes the sum.
    """
    total = int.from_bytes(state, "little")
    total += sum(int.from_bytes(digest, "little") for digest in added)
    total -= sum(int.from_bytes(digest, "little") for digest in gone)
    return (total % _MODULUS).to_bytes(STATE_BYTES, "little")


def id_key(page_id: str) -> bytes | None:
    """The 16 bytes of a page id; None for a text that is not a page id."""
    try:
        found = uuid.UUID(page_id)
    except ValueError:
        return None
    return found.bytes if str(found) == page_id else None


def ids_of_keys(keys: bytes) -> list[str]:
    """The page ids of keys that follow each other, see :func:`id_key`."""
    digits = keys.hex()
    return [
        f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-{digits[at + 12 : at + 16]}-"
        f"{digits[at + 16 : at + 20]}-{digits[at + 20 : at + 32]}"
        for at in range(0, len(digits), 32)
    ]


def ref_key(page_ref: str) -> int:
    """A 64-bit digest of a page reference."""
    return int.from_bytes(hashlib.blake2b(page_ref.encode(), digest_size=8).digest(), "little")


def to_json(found: object) -> str:
    """JSON with sorted keys."""
    return json.dumps(found, sort_keys=True, ensure_ascii=False)
