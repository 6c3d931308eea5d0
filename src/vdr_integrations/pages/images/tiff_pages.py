"""The pages of a TIFF or BigTIFF, each in a file in which Pillow finds it without the others."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.errors import ImageDecodeError
from vdr_integrations.pages.images.tiff_directories import (
    TiffLayout,
    directory_fields,
    page_places,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TiffPages"]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value, for each type of TIFF 6.0."""
_WIDE = {16: (4, "u"), 17: (9, "i"), 18: (13, "u")}
"""Types of 64 bits, which only BigTIFF has: the type of 32 bits, and its letter in NumPy."""
_INLINE = 4
_MOST_FIELDS = 0xFFFF


class TiffPages:
    """A TIFF or BigTIFF in memory, of which any page can be made the first.

    Pillow and libtiff go through the directories before the one that is asked for. So one damaged
    page would cost all pages behind it, and the last page would cost the time of all. And a BigTIFF
    becomes a TIFF: Pillow reads no BigTIFF whose byte order is "MM".
    """

    def __init__(self, data: bytes, *, source: str, most: int) -> None:
        """Find the pages; see ``page_places``."""
        self._source = source
        self._layout = TiffLayout(data)
        self._places = page_places(data, source=source, most=most)
        self._size = len(data)
        self._file = BytesIO(data)  # copied when the first page is not the one that is asked for

    def __len__(self) -> int:
        """Number of pages."""
        return len(self._places)

    def first(self, page_number: int) -> BytesIO:
        """The file with a page as its first. It is the same object each time.

        Args:
            page_number: 1-based.

        Raises:
            ImageDecodeError: The directory of the page is not in the file, or is damaged.
        """
        place = self._places[page_number - 1]
        if place is None:
            raise ImageDecodeError(
                "the file ends before the directory of this page does: it is cut off or damaged, "
                "and further pages cannot be found. Save it again.",
                source=self._source,
            )
        if self._layout.is_big:
            place = self._narrow(place)
        self._write_header(place)
        self._file.seek(0)
        return self._file

    def _write_header(self, place: int) -> None:
        header = struct.pack(self._layout.order + "HI", 42, place)
        self._file.seek(2)
        if self._file.read(len(header)) != header:
            self._file.seek(2)
            self._file.write(header)

    def _narrow(self, place: int) -> int:
        """Put a directory of a BigTIFF at the end of the file, as one of a TIFF; where that is."""
        with self._file.getbuffer() as file, file[: self._size] as data:
            fields = directory_fields(data, self._layout, place) or b""
            narrow = list(_narrow_fields(data, fields, self._layout, self._source))
        self._file.seek(self._size)
        self._file.truncate()
        self._file.writelines(_directory(narrow, self._layout.order, at=self._size))
        return self._size


def _narrow_fields(
    data: memoryview, fields: bytes, layout: TiffLayout, source: str
) -> Iterator[tuple[int, int, int, bytes]]:
    """Tag, type of 32 bits, number of values, and the values; without fields that are damaged.

    Raises:
        ImageDecodeError: There are more fields than a TIFF can have, or they refer to the same
            bytes again and again.
    """
    left = len(data)
    for number, (tag, kind, count, inline) in enumerate(layout.field.iter_unpack(fields)):
        narrow, letter = _WIDE.get(kind, (kind, ""))
        size = count * (8 if letter else _SIZES.get(kind, 0))
        (start,) = layout.place.unpack(inline)
        raw = inline[:size] if size <= len(inline) else bytes(data[start : start + size])
        if not size or len(raw) != size:
            continue
        left -= size
        if left < 0 or number == _MOST_FIELDS:
            raise ImageDecodeError(
                "the directory of a page is larger than the file: it is damaged, or made to do "
                "harm. Save it again.",
                source=source,
            )
        if letter:
            values = np.frombuffer(raw, f"{layout.order}{letter}8")
            short = values.astype(f"{layout.order}{letter}4")
            if not np.array_equal(short, values):
                continue
            raw = short.tobytes()
        yield tag, narrow, count, raw


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
