"""PDFs with pictures and fonts that cannot be decoded: a page must not become white in silence."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

from tests.hostile.pdf_by_hand import HandMadePdf

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GARBAGE", "broken_font", "page_of_picture", "picture_beside_text"]


def _noise(count: int) -> bytes:
    return random.Random(count).randbytes(count)


def _jbig2_page(width: int, height: int) -> bytes:
    """A page information segment of an embedded stream, and then garbage."""
    page = struct.pack(">IIIIBH", width, height, 0, 0, 0, 0)
    return struct.pack(">IBBBI", 0, 48, 0, 1, len(page)) + page + _noise(200)


def _marker(code: int, data: bytes) -> bytes:
    return struct.pack(">HH", code, len(data) + 2) + data


def _jpx(side: int) -> bytes:
    """A JPEG 2000 codestream of one tile of three components: headers, and then garbage."""
    size = struct.pack(">HIIIIIIIIH", 0, side, side, 0, 0, side, side, 0, 0, 3) + b"\7\1\1" * 3
    coding, steps = bytes.fromhex("00000001000504040001"), b"\x40" + b"\x40" * 16
    headers = _marker(0xFF51, size) + _marker(0xFF52, coding) + _marker(0xFF5C, steps)
    tile = _marker(0xFF90, struct.pack(">HIBB", 0, 0, 0, 1)) + b"\xff\x93"
    return b"\xff\x4f" + headers + tile + _noise(300) + b"\xff\xd9"


_JPEG_START = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")
_RGB = b"/ColorSpace /DeviceRGB /BitsPerComponent 8 /Width 100 /Height 140"
_BLACK_AND_WHITE = b"/ColorSpace /DeviceGray /BitsPerComponent 1 /Width %d /Height %d"
_PAGE = _BLACK_AND_WHITE % (100, 140)

GARBAGE: dict[str, tuple[bytes, bytes, bytes]] = {
    "JPEG": (b"/DCTDecode", _RGB, _JPEG_START + _noise(900)),
    "JPEG without a byte": (b"/DCTDecode", _RGB, b""),
    "JBIG2": (b"/JBIG2Decode", _PAGE, _noise(900)),
    "JBIG2 of gigabytes": (
        b"/JBIG2Decode",
        _BLACK_AND_WHITE % (120_000, 120_000),
        _jbig2_page(120_000, 120_000),
    ),
    "JBIG2 of huge size": (
        b"/JBIG2Decode",
        _BLACK_AND_WHITE % (2**31 - 1, 2**31 - 1),
        _jbig2_page(2**31 - 1, 2**31 - 1),
    ),
    "JPEG 2000": (b"/JPXDecode", _RGB, _noise(900)),
    "JPEG 2000 of gigabytes": (b"/JPXDecode", _RGB, _jpx(20_000)),
    "JPEG 2000 of huge size": (b"/JPXDecode", _RGB, _jpx(2**31 - 1)),
    "fax": (
        b"/CCITTFaxDecode",
        _PAGE + b" /DecodeParms << /K -1 /Columns 100 /Rows 140 >>",
        _noise(900),
    ),
    "fax that has no line": (
        b"/CCITTFaxDecode",
        _PAGE + b" /DecodeParms << /K -1 /Columns 100 /Rows 140 >>",
        b"\0" * 900,
    ),
    "fax of huge size": (
        b"/CCITTFaxDecode",
        _BLACK_AND_WHITE % (10**9, 10**9) + b" /DecodeParms << /K -1 /Columns 1000000000 >>",
        _noise(900),
    ),
    "Flate": (b"/FlateDecode", _RGB, _noise(900)),
    "unknown filter": (b"/MadeUpDecode", _RGB, b"\0" * 900),
    "unknown filter of noise": (b"/MadeUpDecode", _RGB, _noise(900)),
}
"""By name: filter, other entries and data of a picture that is garbage."""


def page_of_picture(kind: str) -> Callable[[], bytes]:
    """A page with nothing but a picture that cannot be decoded: a scan."""
    return lambda: _with_picture(kind, b"q 200 0 0 280 0 0 cm /I Do Q")


def picture_beside_text(kind: str) -> Callable[[], bytes]:
    """A page with a line of text and such a picture above it."""
    text = b"BT /F0 24 Tf 20 20 Td (text beside it) Tj ET "
    return lambda: _with_picture(kind, text + b"q 160 0 0 200 20 60 cm /I Do Q")


def _with_picture(kind: str, content: bytes) -> bytes:
    filters, entries, data = GARBAGE[kind]
    pdf = HandMadePdf()
    image = pdf.add_stream(data, b"/Type /XObject /Subtype /Image " + entries, filters=filters)
    pdf.page(content, resources=b"/XObject << /I %d 0 R >>" % image)
    return pdf.to_bytes()


def broken_font() -> bytes:
    """Its text can be read and is drawn in another font."""
    pdf = HandMadePdf()
    file = pdf.add_stream(b"\0\1\0\0" + _noise(4000))
    facts = pdf.add(
        b"<< /Type /FontDescriptor /FontName /Broken /Flags 32 /FontBBox [0 0 1000 1000] "
        b"/ItalicAngle 0 /Ascent 900 /Descent -200 /CapHeight 700 /StemV 80 "
        b"/FontFile2 %d 0 R >>" % file
    )
    font = pdf.add(
        b"<< /Type /Font /Subtype /TrueType /BaseFont /Broken /FirstChar 32 /LastChar 126 "
        b"/Widths [%s] /FontDescriptor %d 0 R /Encoding /WinAnsiEncoding >>" % (b"600 " * 95, facts)
    )
    pdf.page(b"BT /F1 24 Tf 20 60 Td (broken) Tj ET", resources=b"/Font << /F1 %d 0 R >>" % font)
    return pdf.to_bytes()
