"""zlib streams that inflate to gigabytes, made in milliseconds."""

from __future__ import annotations

import zlib

__all__ = ["TWICE", "deflated_copies", "twice_deflated_copies"]

TWICE = b"[/FlateDecode /FlateDecode]"
"""/Filter of what :func:`twice_deflated_copies` makes."""

_MODULUS = 65_521
"""Of Adler-32."""


def deflated_copies(piece: bytes, copies: int) -> bytes:
    """A whole zlib stream of ``piece``, repeated.

    The piece is compressed once, in blocks that refer to nothing before them. So its compressed
    form can be repeated like the piece itself, and only the checksum has to be computed.
    """
    compressor = zlib.compressobj(9, wbits=-15)
    blocks = compressor.compress(piece) + compressor.flush(zlib.Z_FULL_FLUSH)
    ending = zlib.compressobj(9, wbits=-15).flush()
    checksum = _adler32_of_copies(piece, copies)
    return b"\x78\xda" + blocks * copies + ending + checksum.to_bytes(4, "big")


def twice_deflated_copies(piece: bytes, copies: int) -> bytes:
    """The same, compressed once more: gigabytes in kilobytes."""
    return zlib.compress(deflated_copies(piece, copies))


def _adler32_of_copies(piece: bytes, copies: int) -> int:
    both = zlib.adler32(piece)
    low, high = both & 0xFFFF, both >> 16
    step = low - 1  # what a copy adds to the low half
    pairs = copies * (copies - 1) // 2
    total_low = (1 + copies * step) % _MODULUS
    total_high = (copies * high + len(piece) * step * pairs) % _MODULUS
    return total_high << 16 | total_low
