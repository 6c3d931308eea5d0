"""Where the pages of a TIFF are: its chain of directories, read without any pixels. Pure."""

from __future__ import annotations

import struct

from vdr_integrations.errors import ImageDecodeError

__all__ = ["TiffLayout", "directory_fields", "page_places"]

_NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 254, 255
_REDUCED_OR_MASK = 0b101
"""Bits of NewSubfileType: a preview of another page, and the transparency of one. No pages."""
_REDUCED = 2
"""The value of the older SubfileType for a preview."""
_VALUES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
"""Types of a field that hold one whole number, and how it is written."""


class TiffLayout:
    """How the numbers of a TIFF are written.

    Attributes:
        order: Byte order, as ``struct`` names it.
        is_big: Whether it is a BigTIFF, which writes places and counts with 64 bits.
        place: A place in the file.
        count: The number of fields, at the start of a directory.
        field: A field of a directory: tag, type, number of values, and the values or their place.
        first: Where the header says where the first directory is.
    """

    def __init__(self, data: bytes) -> None:
        """Read it from the first four bytes of a TIFF."""
        self.order = "<" if data.startswith(b"II") else ">"
        self.is_big = b"+" in data[2:4]
        self.place = struct.Struct(self.order + ("Q" if self.is_big else "I"))
        self.count = struct.Struct(self.order + ("Q" if self.is_big else "H"))
        self.field = struct.Struct(self.order + ("HHQ8s" if self.is_big else "HHI4s"))
        self.first = 8 if self.is_big else 4


def page_places(data: bytes, *, source: str, most: int) -> list[int | None]:
    """Where the directories of the pages are, in their order.

    Previews and masks of other pages are left out, unless there is nothing else. The chain
    ends where it comes back to a directory, and where it leaves the file: None stands for the page
    that should be there, as nobody knows what would follow it.

    Args:
        data: A TIFF or BigTIFF.
        source: Its name in errors.
        most: Most directories that are read, previews among them.

    Raises:
        ImageDecodeError: It has more directories, or its directories overlap, or it has none.
    """
    layout = TiffLayout(data)
    first = place = _number(data, layout.place, layout.first) or 0
    if not place:
        raise ImageDecodeError(
            "it begins as a TIFF, and holds no page. Save it again.", source=source
        )
    pages: list[int | None] = []
    seen: set[int] = set()
    looked_at = 0
    while place and place not in seen:
        if len(seen) == most:
            raise ImageDecodeError(
                f"it is a TIFF with more than {most:,} pages and previews; at most {most:,} are "
                f"read. Split it.",
                source=source,
            )
        seen.add(place)
        fields = directory_fields(data, layout, place)
        if fields is None:
            pages.append(None)
            break
        looked_at += len(fields)
        if looked_at > len(data):
            raise ImageDecodeError(
                "its directories of pages lie over each other: it is damaged, or made to do harm. "
                "Save it again.",
                source=source,
            )
        if not _is_no_page(fields, layout):
            pages.append(place)
        place = _number(data, layout.place, place + layout.count.size + len(fields)) or 0
    return pages or [first]


def _number(data: bytes | memoryview, form: struct.Struct, place: int) -> int | None:
    """A number in the file; None if it is not in the file."""
    return form.unpack_from(data, place)[0] if place + form.size <= len(data) else None


def directory_fields(data: bytes | memoryview, layout: TiffLayout, place: int) -> bytes | None:
    """The fields of a directory; None if they are not in the file."""
    count = _number(data, layout.count, place)
    if not count:
        return None
    start = place + layout.count.size
    end = start + count * layout.field.size
    return bytes(data[start:end]) if end <= len(data) else None


def _is_no_page(fields: bytes, layout: TiffLayout) -> bool:
    """Whether a directory describes a preview or a mask of another page."""
    for tag, kind, _, value in layout.field.iter_unpack(fields):
        if tag == _NEW_SUBFILE_TYPE and kind in _VALUES:
            return bool(_value(value, kind, layout) & _REDUCED_OR_MASK)
        if tag == _SUBFILE_TYPE and kind in _VALUES:
            return _value(value, kind, layout) == _REDUCED
    return False


def _value(value: bytes, kind: int, layout: TiffLayout) -> int:
    form = struct.Struct(layout.order + _VALUES[kind])
    return form.unpack_from(value)[0] if form.size <= len(value) else 0
