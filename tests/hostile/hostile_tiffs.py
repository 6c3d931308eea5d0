"""Small TIFFs that need gigabytes or minutes, or lie about themselves and their pages."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image
from tests.hostile.deflated_copies import deflated_copies
from tests.tiffs import TiffPage, colours, tiff

if TYPE_CHECKING:
    from collections.abc import Mapping

_SMALL = (60, 80)
_Tags: TypeAlias = "Mapping[int, tuple[int, int, int]]"
"""Of a TIFF: tag -> type, number of values, and the value or its place."""

_SHORT, _LONG = 3, 4


def _directory(tags: _Tags, *, following: int) -> bytes:
    """An image file directory."""
    entries = b"".join(
        struct.pack("<HHII", tag, kind, count, value)
        for tag, (kind, count, value) in sorted(tags.items())
    )
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)


def _tags(width: int, height: int, *, place: int, count: int) -> _Tags:
    """A gray image of one strip."""
    return {
        256: (_LONG, 1, width),
        257: (_LONG, 1, height),
        258: (_SHORT, 1, 8),
        259: (_SHORT, 1, 1),
        262: (_SHORT, 1, 1),
        273: (_LONG, 1, place),
        277: (_SHORT, 1, 1),
        278: (_LONG, 1, height),
        279: (_LONG, 1, count),
    }


_PREVIEW = {254: (_LONG, 1, 1)}
_START = b"II*\0" + struct.pack("<I", 8)
_PIXELS = b"\x80" * (60 * 80)


def _tiff(extra: _Tags, *, following: int = 0) -> bytes:
    """A small TIFF; ``extra`` overrides its tags."""
    length = 8 + 2 + 12 * len({**_tags(*_SMALL, place=0, count=0), **extra}) + 4
    tags = {**_tags(*_SMALL, place=length, count=len(_PIXELS)), **extra}
    return _START + _directory(tags, following=following) + _PIXELS


def tiff_of_huge_size() -> bytes:
    return _tiff({256: (_LONG, 1, 2**31 - 1), 257: (_LONG, 1, 2**31 - 1)})


def tiff_bomb() -> bytes:
    """99 million pixels of 4 channels in a deflated strip: 0.8 GB."""
    row = b"\x80" * (9_999 * 4)
    strip = deflated_copies(row, 10_000)
    tags = {
        256: (_LONG, 1, 9_999),
        257: (_LONG, 1, 10_000),
        258: (_SHORT, 1, 8),
        259: (_SHORT, 1, 8),
        262: (_SHORT, 1, 5),
        273: (_LONG, 1, 8),
        277: (_SHORT, 1, 4),
        278: (_LONG, 1, 10_000),
        279: (_LONG, 1, len(strip)),
    }
    # One value stands for all four channels: PIL repeats it.
    start = b"II*\0" + struct.pack("<I", 8 + len(strip))
    return start + strip + _directory(tags, following=0)


def tiff_with_absurd_counts() -> bytes:
    absurd: dict[int, tuple[int, int, int]] = dict.fromkeys(
        (258, 270, 273, 279, 320, 700, 34675), (_LONG, 2**32 - 1, 16)
    )
    return _tiff(absurd)


def tiff_with_sixty_thousand_tags() -> bytes:
    tags = dict.fromkeys(range(1000, 60000), (_LONG, 2**28, 0))
    return _tiff(tags)


def tiff_directory_loop() -> bytes:
    return _tiff(_PREVIEW, following=8)


def tiff_with_a_ring_of_previews() -> bytes:
    first = _tiff({}, following=0)
    place = len(first)
    first = _tiff({}, following=place)
    tags = {**_tags(*_SMALL, place=150, count=len(_PIXELS)), **_PREVIEW}
    size = 2 + 12 * len(tags) + 4
    return first + _directory(tags, following=place + size) + _directory(tags, following=place)


def tiff_with_previews_without_end() -> bytes:
    """50,000 small previews. PIL looks for each among all that it knows: 24 s."""
    return _chain(_PREVIEW | dict.fromkeys((256, 257, 262, 273, 279), (_SHORT, 1, 1)), 50_000)


def _chain(tags: _Tags, count: int) -> bytes:
    """A small TIFF, and ``count`` directories after its own."""
    place = len(_tiff({}))
    size = 2 + 12 * len(tags) + 4
    same = _directory(tags, following=0)[:-4]
    ends = [place + size * number for number in range(1, count)]
    directories = b"".join(same + following.to_bytes(4, "little") for following in [*ends, 0])
    return _tiff({}, following=place) + directories


def tiff_with_very_many_pages() -> bytes:
    """400,000 directories."""
    return _chain({256: (_SHORT, 1, 1)}, 400_000)


def tiff_with_very_many_previews() -> bytes:
    """400,000 previews of one page."""
    return _chain(_PREVIEW, 400_000)


def tiff_with_thousands_of_broken_pages() -> bytes:
    return _chain({256: (_SHORT, 1, 1)}, 3_000)


def tiff_with_directories_over_each_other() -> bytes:
    """5,000 directories of 20,480 fields each, in 0.6 MB."""
    fields, step, count = 20_480, 64, 5_000
    length = 2 + 12 * fields
    data = bytearray(_START + bytes(step * count + length + 4))
    for number in range(count):
        place = 8 + step * number
        struct.pack_into("<H", data, place, fields)
        struct.pack_into("<I", data, place + length, place + step)
    return bytes(data)


def tiff_with_a_loop_of_pages() -> bytes:
    return tiff(colours("red", "lime", "blue"), following={2: -3})


def big_tiff_with_a_loop_of_pages() -> bytes:
    return tiff(colours("red", "lime", "blue"), order=">", is_big=True, following={2: -2})


def tiff_with_a_damaged_page() -> bytes:
    return _in_the_middle({259: 9999})


def tiff_with_a_bomb_in_a_page() -> bytes:
    return _in_the_middle({256: 2**31 - 1, 257: 2**31 - 1})


def tiff_with_a_page_that_needs_memory() -> bytes:
    """81 million pixels, 0.3 GB, in a page of black and white."""
    pages = colours("red", "lime", "blue")
    pages[1] = TiffPage(Image.new("1", (9_000, 9_000)), "group4")
    return tiff(pages)


def tiff_that_is_cut_off() -> bytes:
    return tiff(colours("red", "lime", "blue"))[:-300]


def big_tiff_with_absurd_counts() -> bytes:
    data = bytearray(tiff(colours("red", "lime"), is_big=True))
    (place,) = struct.unpack_from("<Q", data, 8)
    (count,) = struct.unpack_from("<Q", data, place)
    for number in range(count):
        struct.pack_into("<Q", data, place + 8 + 20 * number + 4, 2**61)
    return bytes(data)


def big_tiff_that_repeats_itself() -> bytes:
    """A directory of 60,000 fields that all refer to the whole file."""
    fields = 60_000
    length = 16 + 8 + 20 * fields + 8
    header = b"II" + struct.pack("<HHHQ", 43, 8, 0, 16)
    one = struct.pack("<HQQ", 16, length // 8, 0)
    entries = b"".join(struct.pack("<H", 1000 + number) + one for number in range(fields))
    return header + struct.pack("<Q", fields) + entries + bytes(8)


def _in_the_middle(spoiled: Mapping[int, int]) -> bytes:
    pages = colours("red", "lime", "blue")
    pages[1] = TiffPage(pages[1].image, fields=spoiled)
    return tiff(pages)
