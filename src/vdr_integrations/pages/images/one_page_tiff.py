"""A TIFF in which any page of another TIFF or BigTIFF is the first, as Pillow can read it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.errors import ImageDecodeError
from vdr_integrations.pages.images.tiff_directories import TiffLayout, directory_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["one_page_tiff"]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value, for each type of TIFF 6.0."""
_WIDE = {16: (4, "u"), 17: (9, "i"), 18: (13, "u")}
"""Types of 64 bits, which only BigTIFF has: the type of 32 bits, and its letter in NumPy."""
_INLINE = 4
_MOST_FIELDS = 0xFFFF


def one_page_tiff(data: bytes, place: int, *, source: str) -> bytes:
    """The same file with a header that says that one of its directories is the first.

    Pillow and libtiff go through the directories before the one that is asked for. So one damaged
    page would cost all pages behind it. And a BigTIFF becomes a TIFF: Pillow reads no BigTIFF whose
    byte order is "MM".

    Args:
        data: A TIFF or BigTIFF.
        place: Where the directory is.
        source: Its name in errors.

    Raises:
        ImageDecodeError: The directory is not in the file, or is damaged.
    """
    layout = TiffLayout(data)
    fields = directory_fields(data, layout, place)
    if fields is None:
        raise ImageDecodeError(
            f"byte {place:,} of its {len(data):,} bytes should begin a page, and does not: the "
            f"file is cut off or damaged, and further pages cannot be found. Save it again.",
            source=source,
        )
    if not layout.is_big:
        first = layout.place.pack(place)
        return data if data[4:8] == first else b"".join([data[:4], first, data[8:]])
    narrow = list(_narrow_fields(data, fields, layout))
    if len(narrow) > _MOST_FIELDS or sum(len(raw) for *_, raw in narrow) > len(data):
        raise ImageDecodeError(
            "the directory of a page is larger than the file: it is damaged, or made to do harm. "
            "Save it again.",
            source=source,
        )
    header = data[:2] + struct.pack(layout.order + "HI", 42, len(data))
    return b"".join([header, data[8:], *_directory(narrow, layout.order, at=len(data))])


def _narrow_fields(
    data: bytes, fields: bytes, layout: TiffLayout
) -> Iterator[tuple[int, int, int, bytes]]:
    """Tag, type of 32 bits, number of values, and the values; without fields that are damaged."""
    copied = 0
    for tag, kind, count, inline in layout.field.iter_unpack(fields):
        narrow, letter = _WIDE.get(kind, (kind, ""))
        size = count * (8 if letter else _SIZES.get(kind, 0))
        (start,) = layout.place.unpack(inline)
        raw = inline[:size] if size <= len(inline) else data[start : start + size]
        if not size or len(raw) != size:
            continue
        if letter:
            values = np.frombuffer(raw, f"{layout.order}{letter}8")
            raw = values.astype(f"{layout.order}{letter}4")
            if not np.array_equal(raw, values):
                continue
            raw = raw.tobytes()
        yield tag, narrow, count, raw
        copied += len(raw)
        if copied > len(data):
            return  # the caller refuses it


def _directory(
    fields: list[tuple[int, int, int, bytes]], order: str, *, at: int
) -> Iterator[bytes]:
    """The parts of a TIFF's directory that stands at a place of a file, and what it refers to."""
    field = struct.Struct(order + "HHI4s")
    yield struct.pack(order + "H", len(fields))
    place = at + 2 + field.size * len(fields) + 4
    for tag, kind, count, raw in fields:
        inline = raw if len(raw) <= _INLINE else struct.pack(order + "I", place)
        yield field.pack(tag, kind, count, inline)
        place += 0 if len(raw) <= _INLINE else len(raw)
    yield bytes(4)
    for *_, raw in fields:
        if len(raw) > _INLINE:
            yield raw
