"""Small PDFs whose pages need gigabytes of memory.

The figures were found with ``python -m tests.hostile.measure``, without the limits of the package.
"""

from __future__ import annotations

import zlib

from tests.hostile.deflated_copies import TWICE, twice_deflated_copies
from tests.hostile.pdf_by_hand import HandMadePdf, one_page, reference


def _page_with(content: bytes, copies: int, *, resources: bytes = b"") -> bytes:
    """A page whose content is repeated very often."""
    pdf = HandMadePdf()
    stream = pdf.add_stream(twice_deflated_copies(content, copies), filters=TWICE)
    pdf.page(stream, resources=resources)
    return pdf.to_bytes()


def _nested_forms(innermost: bytes, *, levels: int, calls: int) -> bytes:
    """Each form calls the next one ``calls`` times, and the last one draws ``innermost``."""
    pdf = HandMadePdf()
    box = b"/Type /XObject /Subtype /Form /BBox [0 0 200 280] "
    inner = pdf.add_stream(innermost, box + b"/Resources << /Font << /F0 3 0 R >> >>")
    for _ in range(levels):
        inner = pdf.add_stream(
            b"/X Do\n" * calls, box + b"/Resources << /XObject << /X %d 0 R >> >>" % inner
        )
    pdf.page(b"/X Do", resources=b"/XObject << /X %d 0 R >>" % inner)
    return pdf.to_bytes()


def text_of_nested_forms() -> bytes:
    """390 million letters: 4 GB and more, 19 s."""
    letters = b"BT /F0 1 Tf 5 5 Td (%s) Tj ET" % (b"a" * 1000)
    return _nested_forms(letters, levels=4, calls=25)


def letters_without_end() -> bytes:
    """200 million letters: 4 GB and more, 21 s."""
    return _page_with(b"BT /F0 1 Tf 5 5 Td (%s) Tj ET\n" % (b"a" * 1000), 200_000)


def stroked_curves_without_end() -> bytes:
    """50 million curves: 4 GB and more, 27 s."""
    curves = b"".join(b"%d 0 m 50 90 150 10 200 280 c S\n" % n for n in range(100))
    return _page_with(curves, 500_000)


def laughing_forms() -> bytes:
    """Each form calls the next one ten times: 4 GB and more, 56 s."""
    return _nested_forms(b"0 0 9 9 re f", levels=12, calls=10)


def laughing_patterns() -> bytes:
    """4 GB and more, 51 s."""
    pdf = HandMadePdf()
    box = b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 9 9] "
    steps = b"/XStep 9.5 /YStep 9.5 "
    inner = pdf.add_stream(b"1 0 0 rg 0 0 5 5 re f", box + steps + b"/Resources << >>")
    for _ in range(12):
        fill = b"/Pattern cs /P scn\n" + b"0 0 9 9 re f\n" * 10
        resources = b"/Resources << /Pattern << /P %d 0 R >> >>" % inner
        inner = pdf.add_stream(fill, box + steps + resources)
    content = b"/Pattern cs /P scn 0 0 200 280 re f"
    pdf.page(content, resources=b"/Pattern << /P %d 0 R >>" % inner)
    return pdf.to_bytes()


def inline_image_of_gigabytes() -> bytes:
    """MuPDF refuses its size."""
    pixels = twice_deflated_copies(b"\0" * 2**20, 2**11)
    image = b"BI /W 46000 /H 46000 /BPC 8 /CS /G /F [/Fl /Fl] ID " + pixels + b"\nEI\n"
    return one_page(b"200 0 0 280 0 0 cm\n" + image)


def _page_with_picture(data: bytes, entries: bytes, filters: bytes) -> bytes:
    pdf = HandMadePdf()
    image = pdf.add_stream(data, b"/Type /XObject /Subtype /Image " + entries, filters=filters)
    pdf.page(b"200 0 0 280 0 0 cm /I Do", resources=b"/XObject << /I %d 0 R >>" % image)
    return pdf.to_bytes()


def image_of_a_hundred_thousand_pixels_a_side() -> bytes:
    """MuPDF makes it smaller while it reads it: 13 s."""
    sizes = b"/Width 100000 /Height 100000 /BitsPerComponent 8 /ColorSpace /DeviceGray"
    stripes = b"\x55" * 2_000_000 + b"\xaa" * 2_000_000
    return _page_with_picture(twice_deflated_copies(stripes, 2500), sizes, TWICE)


def picture_of_two_gigabytes() -> bytes:
    """Stripes, which MuPDF makes smaller while it reads them: 3 s."""
    sizes = b"/Width 26000 /Height 26000 /BitsPerComponent 8 /ColorSpace /DeviceRGB"
    stripes = b"\x55\xaa\x11" * 2_600_000 + b"\x11\xaa\x55" * 2_600_000
    return _page_with_picture(twice_deflated_copies(stripes, 130), sizes, TWICE)


def predictor_with_huge_columns() -> bytes:
    """MuPDF refuses its columns, and leaves the page white."""
    entries = (
        b"/Width 100 /Height 100 /BitsPerComponent 8 /ColorSpace /DeviceRGB "
        b"/DecodeParms << /Predictor 12 /Colors 32 /BitsPerComponent 16 /Columns 33000000 >>"
    )
    return _page_with_picture(zlib.compress(b"\2" + b"\x55" * 40_000), entries, b"/FlateDecode")


def shading_with_a_huge_function() -> bytes:
    """MuPDF refuses its function, and leaves the page white."""
    pdf = HandMadePdf()
    function = pdf.add_stream(
        twice_deflated_copies(b"\x10\x80" * 2**19, 1500),
        b"/FunctionType 0 /Domain [0 1 0 1] /Range [0 1 0 1 0 1] /Size [16000 16000] "
        b"/BitsPerSample 16",
        filters=TWICE,
    )
    shading = pdf.add(
        b"<< /ShadingType 1 /ColorSpace /DeviceRGB /Domain [0 1 0 1] "
        b"/Matrix [200 0 0 280 0 0] /Function %d 0 R >>" % function
    )
    pdf.page(b"/S sh", resources=b"/Shading << /S %d 0 R >>" % shading)
    return pdf.to_bytes()


def nested_soft_masks() -> bytes:
    """MuPDF's own stack of errors overflows."""
    pdf = HandMadePdf()
    group = (
        b"/Type /XObject /Subtype /Form /BBox [0 0 200 280] "
        b"/Group << /S /Transparency /CS /DeviceGray >> "
    )
    inner = pdf.add_stream(b"0.5 g 0 0 200 280 re f", group)
    for _ in range(1500):
        mask = b"<< /SMask << /S /Luminosity /G %d 0 R >> >>" % inner
        resources = b"/Resources << /ExtGState << /M %s >> >>" % mask
        inner = pdf.add_stream(b"/M gs 0.5 g 0 0 200 280 re f", group + resources)
    mask = b"<< /SMask << /S /Luminosity /G %d 0 R >> >>" % inner
    pdf.page(b"/M gs 0 g 0 0 200 280 re f", resources=b"/ExtGState << /M %s >>" % mask)
    return pdf.to_bytes()


def type_3_glyphs_of_glyphs() -> bytes:
    """Each glyph shows ten of the next font."""
    pdf = HandMadePdf()
    inner = pdf.add_stream(b"1000 0 d0 0 0 500 500 re f")
    resources = b""
    for _ in range(10):
        font = pdf.add(
            b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1000 1000] "
            b"/FontMatrix [0.001 0 0 0.001 0 0] /FirstChar 97 /LastChar 97 /Widths [1000] "
            b"/Encoding << /Type /Encoding /Differences [97 /a] >> "
            b"/CharProcs << /a %d 0 R >> /Resources << %s >> >>" % (inner, resources)
        )
        resources = b"/Font << /F1 %d 0 R >>" % font
        inner = pdf.add_stream(b"1000 0 d0 BT /F1 100 Tf (aaaaaaaaaa) Tj ET")
    pdf.page(b"BT /F1 10 Tf 10 100 Td (aaaaaaaaaa) Tj ET", resources=resources)
    return pdf.to_bytes()


def saved_states_without_end() -> bytes:
    """MuPDF refuses so many."""
    return _page_with(b"q " * 2**19, 200)


def content_that_inflates_to_gigabytes() -> bytes:
    """One string without an end: 4 GB and more, 9 s."""
    pdf = HandMadePdf()
    content = pdf.add_stream(
        zlib.compress(twice_deflated_copies(b"(" + b"a" * 2**20, 8000)),
        filters=b"[/FlateDecode /FlateDecode /FlateDecode]",
    )
    pdf.page(content)
    return pdf.to_bytes()


def object_stream_of_gigabytes() -> bytes:
    """The font is a string of gigabytes in a stream of objects: 4 GB and more, 8 s."""
    pdf = HandMadePdf()
    stream = pdf.reserve()
    pdf.add_stream(
        twice_deflated_copies(b"7 0 (" + b"a" * 2**20, 4000),
        b"/Type /ObjStm /N 1 /First 4",
        filters=TWICE,
        number=stream,
    )
    pdf.page(b"BT /F1 24 Tf 20 60 Td (text) Tj ET", resources=b"/Font << /F1 7 0 R >>")
    return _with_object_in_stream(pdf, wanted=7, stream=stream)


def _with_object_in_stream(pdf: HandMadePdf, *, wanted: int, stream: int) -> bytes:
    """The file with a table of objects (a stream) that says that one is in an object stream."""
    old = pdf.to_bytes()
    start = len(old)
    previous = int(old.split(b"startxref\n")[1].split()[0])
    data = zlib.compress(b"\2" + stream.to_bytes(4, "big") + b"\0")
    table = (
        b"%d 0 obj\n<< /Type /XRef /Size %d /W [1 4 1] /Index [%d 1] /Root 1 0 R /Prev %d "
        b"/Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\nendobj\n"
    ) % (wanted + 90, wanted + 91, wanted, previous, len(data), data)
    return old + table + b"startxref\n%d\n%%%%EOF\n" % start


def cmap_that_makes_texts_of_letters() -> bytes:
    """Each letter means 250 others, and there are 2,500,000: 4 GB and more, 4 s."""
    pdf = HandMadePdf()
    texts = b"0061" * 250
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def\n"
        b"1 begincodespacerange <00> <FF> endcodespacerange\n"
        b"1 beginbfchar <61> <%s> endbfchar endcmap end end" % texts
    )
    unicode = pdf.add_stream(cmap)
    font = pdf.add(
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode %d 0 R >>" % unicode
    )
    content = pdf.add_stream(
        twice_deflated_copies(b"BT /F1 1 Tf 5 5 Td (%s) Tj ET\n" % (b"a" * 1000), 2500),
        filters=TWICE,
    )
    pdf.page(content, resources=b"/Font << /F1 %d 0 R >>" % font)
    return pdf.to_bytes()


def annotation_repeated_very_often() -> bytes:
    """300,000 times: 6 s."""
    pdf = HandMadePdf()
    look = pdf.add_stream(
        b"1 0 0 rg 0 0 9 9 re f", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9]"
    )
    note = pdf.add(
        b"<< /Type /Annot /Subtype /Stamp /Rect [9 9 99 99] /AP << /N %d 0 R >> >>" % look
    )
    notes = pdf.add(b"[%s]" % ((reference(note) + b" ") * 300_000))
    pdf.page(b"0 g 9 9 50 50 re f", entries=b"/Annots %d 0 R" % notes)
    return pdf.to_bytes()
