"""How large a WebP is, read from its header without any pixels. Pure.

The layout is that of RFC 9649, and of RFC 6386, 9.1, for the frame header of "VP8 ".
"""

from __future__ import annotations

__all__ = ["webp_size"]

_START_CODE = b"\x9d\x01\x2a"
_SIGNATURE = 0x2F
_SIDE = 2**14 - 1
"""Sides of a frame take 14 bits."""


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of the canvas, on which all frames are; None if it says none.

    PIL makes the canvas when it opens the file, twice and with four bytes a pixel, and before
    version 13 it does not look at the size first.
    """
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return _number(data[24:27]) + 1, _number(data[27:30]) + 1
    if kind == b"VP8L" and len(data) >= 25 and data[20] == _SIGNATURE:
        sides = _number(data[21:25])
        return (sides & _SIDE) + 1, (sides >> 14 & _SIDE) + 1
    if kind == b"VP8 " and len(data) >= 30 and data[23:26] == _START_CODE:
        return _number(data[26:28]) & _SIDE, _number(data[28:30]) & _SIDE
    return None


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
