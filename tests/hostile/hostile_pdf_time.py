"""Small PDFs whose pages need minutes of a processor.

The figures were found with ``python -m tests.hostile.measure``, without the limits of the package.
"""

from __future__ import annotations

import random

from tests.hostile.deflated_copies import TWICE, twice_deflated_copies
from tests.hostile.pdf_by_hand import HandMadePdf, one_page, reference

_FORM = b"/Type /XObject /Subtype /Form /BBox [0 0 200 280] "


def forms_that_call_each_other() -> bytes:
    """MuPDF does not enter a form twice."""
    pdf = HandMadePdf()
    first, second = pdf.reserve(), pdf.reserve()
    for number, other in ((first, second), (second, first)):
        resources = b"/Resources << /XObject << /X %d 0 R /Y %d 0 R >> >>" % (other, number)
        pdf.add_stream(b"/X Do /Y Do " * 50, _FORM + resources, number=number)
    pdf.page(b"0 0 9 9 re f " + b"/X Do " * 50, resources=b"/XObject << /X %d 0 R >>" % first)
    return pdf.to_bytes()


def function_that_is_slow() -> bytes:
    """A calculator function of a million steps for each point: 60 s and more."""
    pdf = HandMadePdf()
    steps = b"{ pop " + b"dup sin cos abs sqrt " * 400_000 + b" dup dup }"
    function = pdf.add_stream(steps, b"/FunctionType 4 /Domain [0 1 0 1] /Range [0 1 0 1 0 1]")
    shading = pdf.add(
        b"<< /ShadingType 1 /ColorSpace /DeviceRGB /Domain [0 1 0 1] "
        b"/Matrix [200 0 0 280 0 0] /Function %d 0 R >>" % function
    )
    pdf.page(b"/S sh\n" * 30, resources=b"/Shading << /S %d 0 R >>" % shading)
    return pdf.to_bytes()


def tiles_of_a_hundred_thousandth() -> bytes:
    """60 s and more."""
    pdf = HandMadePdf()
    tile = pdf.add_stream(
        b"1 0 0 rg 0 0 1 1 re f 0 0 m 0.5 1 l S",
        b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 90 90] "
        b"/XStep 0.00001 /YStep 0.00001 /Resources << >>",
    )
    pdf.page(b"/Pattern cs /P scn 0 0 200 280 re f", resources=b"/Pattern << /P %d 0 R >>" % tile)
    return pdf.to_bytes()


def dashes_of_a_millionth() -> bytes:
    """MuPDF draws lines of such dashes whole: 1 s."""
    lines = b"".join(b"0 %d m 200 %d l S\n" % (y, 280 - y) for y in range(280))
    return one_page(b"[0.000001 0.000001] 0 d 1 w\n" + lines * 100)


def clips_without_end() -> bytes:
    """MuPDF refuses so many."""
    pdf = HandMadePdf()
    clip = b"q 1 1 m 199 3 l 180 279 l 4 270 l h W n 0.9999 0 0 0.9999 0 0 cm\n"
    content = pdf.add_stream(twice_deflated_copies(clip, 1_000_000), filters=TWICE)
    pdf.page(content)
    return pdf.to_bytes()


def blend_groups_in_each_other() -> bytes:
    """Ten million groups: 60 s and more."""
    pdf = HandMadePdf()
    group = _FORM + b"/Group << /S /Transparency /I true /K true >> "
    state = b"/ExtGState << /B << /BM /Luminosity /ca 0.5 >> >> "
    inner = pdf.add_stream(b"1 0 0 rg 0 0 200 280 re f", group)
    for _ in range(9):
        resources = b"/Resources << %s /XObject << /X %d 0 R >> >>" % (state, inner)
        inner = pdf.add_stream(
            b"/B gs 0 1 0 rg 5 5 99 99 re f\n" + b"/X Do " * 6, group + resources
        )
    pdf.page(b"/B gs /X Do", resources=state + b"/XObject << /X %d 0 R >>" % inner)
    return pdf.to_bytes()


def mesh_of_a_million_patches() -> bytes:
    """A Coons patch mesh; each patch covers the page: 60 s and more."""
    chance = random.Random(0)
    pdf = HandMadePdf()
    patches = b"".join(b"\0" + chance.randbytes(12 * 2 + 4 * 3) for _ in range(100))
    mesh = pdf.add_stream(
        twice_deflated_copies(patches, 10_000),
        b"/ShadingType 6 /ColorSpace /DeviceRGB /BitsPerCoordinate 8 /BitsPerComponent 8 "
        b"/BitsPerFlag 8 /Decode [0 200 0 280 0 1 0 1 0 1]",
        filters=TWICE,
    )
    pdf.page(b"/S sh", resources=b"/Shading << /S %d 0 R >>" % mesh)
    return pdf.to_bytes()


def optional_layers_in_a_loop() -> bytes:
    pdf = HandMadePdf()
    layer, member, order = pdf.reserve(), pdf.reserve(), pdf.reserve()
    pdf.add(b"<< /Type /OCG /Name (a) >>", number=layer)
    pdf.add(
        b"<< /Type /OCMD /OCGs [%d 0 R %d 0 R] /VE [/And %d 0 R] >>" % (member, layer, order),
        number=member,
    )
    pdf.add(b"[/Not %s]" % reference(order), number=order)
    pdf.catalog = (
        b"/OCProperties << /OCGs [%d 0 R] /D << /Order %d 0 R /BaseState /ON "
        b"/ON [%d 0 R] >> >>" % (layer, order, member)
    )
    pdf.page(
        b"/OC /L BDC BT /F0 24 Tf 20 60 Td (layer) Tj ET EMC 0 0 9 9 re f",
        resources=b"/Properties << /L %d 0 R >>" % member,
    )
    return pdf.to_bytes()
