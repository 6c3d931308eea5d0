"""TIFFs of several pages, in every layout: written by hand, with pixels that PIL encoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, TiffImagePlugin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["PREVIEW", "TiffPage", "colours", "tiff", "write_tiff"]

_SHORT, _LONG, _LONG8 = 3, 4, 16
_LETTERS = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}
_STRIP_PLACES, _STRIP_SIZES = 273, 279
_COPIED = (254, 256, 257, 258, 259, 262, 266, 277, 278, 284, 292, 293, 317, 338)
"""Tags that say how large an image is, and how its pixels are written."""

PREVIEW = {254: 1}


@dataclass(frozen=True)
class TiffPage:
    """A page.

    Attributes:
        image: What it shows.
        compression: A name of PIL; None for none.
        fields: Values of more tags; they override those of the image.
    """

    image: Image.Image
    compression: str | None = None
    fields: Mapping[int, int] = field(default_factory=dict[int, int])


def colours(*names: str) -> list[TiffPage]:
    """A page for each colour."""
    return [TiffPage(Image.new("RGB", (60, 80), name)) for name in names]


def tiff(
    pages: Sequence[TiffPage],
    *,
    order: str = "<",
    is_big: bool = False,
    following: Mapping[int, int] | None = None,
) -> bytes:
    """A TIFF of several pages.

    Args:
        pages: Its pages; their directories are in this order.
        order: Byte order, as ``struct`` names it.
        is_big: Whether it is a BigTIFF.
        following: For some pages, by position: where the next directory is said to be. A
            negative number is the position of another page, from the end.
    """
    letter = "Q" if is_big else "I"
    start = b"II" if order == "<" else b"MM"
    start += struct.pack(order + ("HHH" if is_big else "H"), *((43, 8, 0) if is_big else (42,)))
    file = bytearray(start + bytes(struct.calcsize(letter)))
    places: list[int] = []
    links = [len(start)]
    for page in pages:
        fields = _fields(page, file, is_big=is_big)
        values = {tag: _packed(kind, found, order) for tag, (kind, found) in fields.items()}
        inline = 8 if is_big else 4
        outside: dict[int, int] = {}
        for tag, raw in values.items():
            if len(raw) > inline:
                outside[tag] = len(file)
                file += raw
        places.append(len(file))
        file += struct.pack(order + ("Q" if is_big else "H"), len(fields))
        for tag, (kind, found) in sorted(fields.items()):
            file += struct.pack(order + ("HHQ" if is_big else "HHI"), tag, kind, len(found))
            raw = values[tag]
            if tag in outside:
                raw = struct.pack(order + letter, outside[tag])
            file += raw.ljust(inline, b"\0")
        links.append(len(file))
        file += bytes(struct.calcsize(letter))
    targets = [*places, 0]
    for position, place in (following or {}).items():
        targets[position + 1] = places[place] if place < 0 else place
    for link, target in zip(links, targets, strict=True):
        struct.pack_into(order + letter, file, link, target)
    return bytes(file)


def _fields(
    page: TiffPage, file: bytearray, *, is_big: bool
) -> dict[int, tuple[int, tuple[int, ...]]]:
    """Fields of a page, whose pixels are put into the file."""
    buffer = BytesIO()
    page.image.save(buffer, "TIFF", compression=page.compression)
    data = buffer.getvalue()
    with Image.open(buffer) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        tags = image.tag_v2
        found = {tag: _numbers(tags[tag]) for tag in _COPIED if tag in tags}
        strips = list(zip(_numbers(tags[_STRIP_PLACES]), _numbers(tags[_STRIP_SIZES]), strict=True))
    places: list[int] = []
    for place, size in strips:
        places.append(len(file))
        file += data[place : place + size]
    found |= {tag: (value,) for tag, value in page.fields.items()}
    wide = _LONG8 if is_big else _LONG
    fields = {
        tag: (_SHORT if tag in (258, 259, 262, 266, 277, 284) else _LONG, values)
        for tag, values in found.items()
    }
    fields[_STRIP_PLACES] = (wide, tuple(places))
    fields[_STRIP_SIZES] = (wide, tuple(size for _, size in strips))
    return fields


def _numbers(value: object) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)  # pyright: ignore[reportReturnType, reportUnknownArgumentType, reportUnknownVariableType]  # tags of whole numbers


def _packed(kind: int, values: tuple[int, ...], order: str) -> bytes:
    return struct.pack(f"{order}{len(values)}{_LETTERS[kind]}", *values)


def write_tiff(path: Path, pages: Sequence[TiffPage]) -> Path:
    """A TIFF of these pages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tiff(pages))
    return path
