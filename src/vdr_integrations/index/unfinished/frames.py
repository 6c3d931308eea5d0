"""Frames: numbered parts of bytes, one after the other in a file, with checksums. Pure.

A frame is a head and three parts. The head holds, little-endian: four letters, a number, the
lengths of the parts, a digest of the parts, and a digest of the head itself. So it is known where
the next frame begins, even if the parts of this one were altered. Both digests depend on a key: a
frame that was written under another key does not count.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Frame", "frame_bytes", "read_frames"]

_LETTERS = b"vdrU"
_FIELDS = struct.Struct("<4sIIII")
_PARTS_DIGEST, _HEAD_DIGEST = 16, 8
_HEAD = _FIELDS.size + _PARTS_DIGEST + _HEAD_DIGEST


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame whose head is as it was written.

    Attributes:
        number: The number that was given.
        parts: The three parts; None if they were altered, or were not asked for.
        end: Where the next frame begins in the file.
    """

    number: int
    parts: tuple[bytes, bytes, bytes] | None
    end: int


def frame_bytes(number: int, parts: tuple[bytes, bytes, bytes], *, key: bytes) -> bytes:
    """A frame.

    Args:
        number: Any number below 2**32.
        parts: Three parts, each shorter than 4 GiB; they may be empty.
        key: Up to 64 bytes.
    """
    fields = _FIELDS.pack(_LETTERS, number, *map(len, parts))
    head = fields + _parts_digest(fields, parts, key)
    return b"".join((head, _head_digest(head, key), *parts))


def read_frames(
    file: BinaryIO, *, key: bytes, start: int, size: int, with_parts: bool = True
) -> Iterator[Frame]:
    """The frames from ``start`` on, up to the first that is torn off or has an altered head.

    Args:
        file: A file that can seek.
        key: The key with which they were made.
        start: Where the first one begins.
        size: Length of the file.
        with_parts: Read and check the parts too.
    """
    while start + _HEAD <= size:
        file.seek(start)
        head = file.read(_HEAD)
        fields, digest = head[: _FIELDS.size], head[_FIELDS.size : -_HEAD_DIGEST]
        if len(head) < _HEAD or _head_digest(head[:-_HEAD_DIGEST], key) != head[-_HEAD_DIGEST:]:
            return
        _, number, *lengths = _FIELDS.unpack(fields)
        end = start + _HEAD + sum(lengths)
        if end > size:
            return
        parts = None
        if with_parts:
            first, second, third = (file.read(length) for length in lengths)
            if _parts_digest(fields, (first, second, third), key) == digest:
                parts = (first, second, third)
        yield Frame(number, parts, end)
        start = end


def _parts_digest(fields: bytes, parts: tuple[bytes, bytes, bytes], key: bytes) -> bytes:
    found = hashlib.blake2b(fields, digest_size=_PARTS_DIGEST, key=key)
    for part in parts:
        found.update(part)
    return found.digest()


def _head_digest(head: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(head, digest_size=_HEAD_DIGEST, key=key).digest()
