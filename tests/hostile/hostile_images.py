"""Small image files that need gigabytes or minutes, or lie about themselves.

The figures were found with ``python -m tests.hostile.measure``, without the limits of the package.
"""

from __future__ import annotations

import struct
import zlib

from tests.hostile.deflated_copies import deflated_copies

_GRAY, _RGB, _RGBA = 0, 2, 6
_CHANNELS = {_GRAY: 1, _RGB: 3, _RGBA: 4}
_SMALL = (60, 80)


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


def _png(width: int, height: int, colour: int, depth: int, *, before: bytes = b"") -> bytes:
    """A PNG whose rows are all alike.

    Args:
        width: Pixels.
        height: Pixels.
        colour: Its colour type.
        depth: Bits of a channel.
        before: Chunks before the pixels.
    """
    row = b"\0" + b"\x80" * (width * _CHANNELS[colour] * depth // 8)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = deflated_copies(row, height)
    parts = _chunk(b"IHDR", header) + before + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def small_png() -> bytes:
    return _png(*_SMALL, _RGB, 8)


def png_of_huge_size() -> bytes:
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 16, _RGBA, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"") * 2


def png_bomb() -> bytes:
    return _png(30_000, 30_000, _GRAY, 8)


def png_of_16_bits_below_the_limit() -> bytes:
    """1.6 GB."""
    return _png(9_999, 10_000, _RGBA, 16)


def gray_png_of_16_bits_below_the_limit() -> bytes:
    """0.7 GB."""
    return _png(9_999, 10_000, _GRAY, 16)


def png_with_more_pixels_than_it_says() -> bytes:
    """Two gigabytes of rows behind the last one."""
    header = struct.pack(">IIBBBBB", 60, 80, 8, _GRAY, 0, 0, 0)
    pixels = deflated_copies(b"\0" * 2**20, 2000)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", pixels)
        + _chunk(b"IEND", b"")
    )


_BOMB = (b"a" * 2**20, 1800)


def png_with_compressed_text() -> bytes:
    return _png(*_SMALL, _RGB, 8, before=_chunk(b"zTXt", b"Comment\0\0" + deflated_copies(*_BOMB)))


def png_with_compressed_unicode_text() -> bytes:
    text = b"Comment\0\1\0\0\0" + deflated_copies(*_BOMB)
    return _png(*_SMALL, _RGB, 8, before=_chunk(b"iTXt", text))


def png_with_compressed_profile() -> bytes:
    return _png(*_SMALL, _RGB, 8, before=_chunk(b"iCCP", b"profile\0\0" + deflated_copies(*_BOMB)))


def png_with_very_many_texts() -> bytes:
    return _png(*_SMALL, _RGB, 8, before=_chunk(b"tEXt", b"a\0b") * 100_000)


def truncated_png() -> bytes:
    return small_png()[:-40]


def _gif(width: int, height: int, frame: bytes, *, frames: int = 1, before: bytes = b"") -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return b"GIF89a" + screen + before + frame * frames + b";"


def _gif_frame(width: int, height: int, codes: bytes) -> bytes:
    head = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0)
    blocks = b"".join(
        bytes([len(codes[at : at + 255])]) + codes[at : at + 255]
        for at in range(0, len(codes), 255)
    )
    return head + b"\2" + blocks + b"\0"


_GIF_PIXEL = b"\x44\1"
"""Clear, one pixel, end: three codes of three bits."""


def small_gif() -> bytes:
    return _gif(1, 1, _gif_frame(1, 1, _GIF_PIXEL))


def gif_of_huge_size() -> bytes:
    return _gif(65_535, 65_535, _gif_frame(1, 1, _GIF_PIXEL))


def gif_frame_larger_than_its_screen() -> bytes:
    return _gif(60, 80, _gif_frame(65_535, 65_535, _GIF_PIXEL))


def gif_bomb() -> bytes:
    """Below the limit of pixels; each code stands for a longer run than the last: 0.5 GB."""
    clear, first_free, end_of_codes = 4, 6, 4096
    round_of_codes = [(0, 3)]
    round_of_codes += [(code, code.bit_length()) for code in range(first_free, end_of_codes)]
    codes = [(clear, 3), *[*round_of_codes, (clear, 12)] * 12]
    bits = "".join(f"{code:0{length}b}" for code, length in reversed(codes))
    data = int(bits, 2).to_bytes((len(bits) + 7) // 8, "little")
    return _gif(9_999, 10_000, _gif_frame(9_999, 10_000, data))


def gif_with_very_many_frames() -> bytes:
    return _gif(1, 1, _gif_frame(1, 1, _GIF_PIXEL), frames=100_000)


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def webp_of_one_colour(width: int, height: int) -> bytes:
    """A lossless WebP of any size in 40 bytes: five codes of one symbol, which take no bits."""
    bits = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (0, 1), (0, 3), (0, 1), (0, 1), (0, 1)]
    # Simple code, one symbol, of eight bits: its value.
    bits += [(1, 1), (0, 1), (1, 1), (90, 8)] * 4
    bits += [(1, 1), (0, 1), (0, 1), (0, 1)]  # distances: symbol 0
    value = place = 0
    for part, length in bits:
        value |= part << place
        place += length
    data = value.to_bytes((place + 7) // 8, "little") + b"\0\0"
    data += b"\0" * (len(data) % 2)
    return _riff(b"VP8L" + struct.pack("<I", len(data)) + data)


def webp_of_huge_size() -> bytes:
    return webp_of_one_colour(16_383, 16_383)


def webp_below_the_limit() -> bytes:
    """1.5 GB in 34 bytes."""
    return webp_of_one_colour(16_000, 6_200)


def webp_that_is_truncated() -> bytes:
    return webp_of_one_colour(60, 80)[:30]


def _bmp(width: int, height: int, *, compression: int = 0, data: bytes = b"") -> bytes:
    bits = 24 if compression == 0 else 8
    colours = b"" if compression == 0 else b"\0\0\0\0" * 256
    facts = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    place = 14 + len(facts) + len(colours)
    return b"BM" + struct.pack("<IHHI", place + len(data), 0, 0, place) + facts + colours + data


def bmp_of_huge_size() -> bytes:
    return _bmp(2**31 - 1, 2**31 - 1)


def bmp_of_negative_size() -> bytes:
    return _bmp(-(2**31), -(2**31))


def bmp_of_run_lengths() -> bytes:
    """Below the limit of pixels; 255 pixels in two bytes: 0.5 GB."""
    line = b"\xff\x55" * (9_999 // 255) + bytes([9_999 % 255, 0x55]) + b"\0\0"
    return _bmp(9_999, 10_000, compression=1, data=line * 10_000 + b"\0\1")


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _bits(text: str) -> bytes:
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big")
    return data.replace(b"\xff", b"\xff\0")


def small_jpeg() -> bytes:
    return _progressive_jpeg(side=64, later_scans=0)


def jpeg_of_huge_size() -> bytes:
    frame = _segment(0xC0, struct.pack(">BHHB", 8, 65_535, 65_535, 1) + b"\1\x11\0")
    return b"\xff\xd8" + frame + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\0" * 99 + b"\xff\xd9"


def progressive_jpeg_with_very_many_scans() -> bytes:
    """60 s and more."""
    return _progressive_jpeg(side=9_992, later_scans=8_000)


def _progressive_jpeg(*, side: int, later_scans: int) -> bytes:
    """A gray image, and scans that each say in 90 bytes that a million blocks get nothing new."""
    blocks = (side // 8) ** 2
    frame = struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0"
    # One code of one bit: no difference (DC), and a run of 32,767 blocks or less (AC).
    tables = _segment(0xC4, b"\0\1" + b"\0" * 15 + b"\0")
    tables += _segment(0xC4, b"\x10\1" + b"\0" * 15 + b"\xe0")
    first = _segment(0xDA, b"\1\1\0\0\0\0") + _bits("0" * blocks)
    runs = "0" + "1" * 14
    later = _segment(0xDA, b"\1\1\0\1\x3f\0") + _bits(runs * (blocks // 32_767 + 1))
    start = b"\xff\xd8" + _segment(0xDB, b"\0" + b"\1" * 64) + _segment(0xC2, frame)
    return start + tables + first + later * later_scans + b"\xff\xd9"
