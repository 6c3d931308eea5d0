"""PDFs whose objects are damaged, missing, endless, or refer to each other in a loop."""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING

from tests.hostile.pdf_by_hand import HandMadePdf, one_page, page_body, reference

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = b"BT /F0 24 Tf 20 60 Td (some text) Tj ET"


def sound() -> HandMadePdf:
    """Two pages without a fault."""
    pdf = HandMadePdf()
    for text in (b"first", b"second"):
        pdf.page(b"BT /F0 24 Tf 20 60 Td (%s) Tj ET" % text)
    return pdf


def truncated(share: float) -> Callable[[], bytes]:
    """A sound file without its end."""

    def make() -> bytes:
        whole = sound().to_bytes()
        return whole[: int(len(whole) * share)]

    return make


def with_flipped_bits(seed: int) -> Callable[[], bytes]:
    """A sound file, in which 1 of 100 bytes has another bit."""

    def make() -> bytes:
        chance, data = random.Random(seed), bytearray(sound().to_bytes())
        for place in chance.sample(range(20, len(data)), len(data) // 100):
            data[place] ^= 1 << chance.randrange(8)
        return bytes(data)

    return make


def with_null_bytes() -> bytes:
    data = bytearray(sound().to_bytes())
    for place in range(100, len(data), 97):
        data[place] = 0
    return bytes(data)


def table_that_points_to_itself() -> bytes:
    start, _, _ = sound().to_bytes().rpartition(b"trailer")
    place = start.rindex(b"xref\n")
    loop = b"trailer\n<< /Size 8 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
    return start + loop % (place, place)


def start_that_points_to_itself() -> bytes:
    data = sound().to_bytes()
    head, _, _ = data.rpartition(b"startxref")
    return head + b"startxref\n%d\n%%%%EOF\n" % len(head)


def table_stream_of_huge_size() -> bytes:
    body = zlib.compress(b"\1\0\0\0\x10\0" * 10)
    head = b"%PDF-1.7\n"
    table = (
        b"1 0 obj\n<< /Type /XRef /Size 2147483647 /W [1 4 1] /Index [0 2147483647] "
        b"/Root 2 0 R /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\nendobj\n"
    ) % (len(body), body)
    return head + table + b"startxref\n%d\n%%%%EOF\n" % len(head)


def stream_length(length: bytes) -> Callable[[], bytes]:
    """The first page's content says that it has another length."""

    def make() -> bytes:
        pdf = HandMadePdf()
        content = pdf.add(b"<< /Length %s >>\nstream\n%s\nendstream" % (length, TEXT))
        pdf.page(content)
        return pdf.to_bytes()

    return make


def missing_content() -> bytes:
    pdf = HandMadePdf()
    pdf.page(999)
    return pdf.to_bytes()


def missing_resources() -> bytes:
    return one_page(
        TEXT + b" /X Do /G gs /P sh",
        resources=b"/XObject << /X 998 0 R >> /ExtGState << /G 997 0 R >>",
    )


def count_of_two_thousand_million() -> bytes:
    pdf = HandMadePdf(page_tree=b"/Count 2147483647")
    pdf.page(TEXT)
    return pdf.to_bytes().replace(b"/Count 1 ", b"")


def count_of_ninety_thousand() -> bytes:
    pdf = HandMadePdf(page_tree=b"/Count 90000")
    pdf.page(TEXT)
    return pdf.to_bytes().replace(b"/Count 1 ", b"")


def kids_loop() -> bytes:
    pdf = HandMadePdf()
    pdf.page(TEXT)
    pdf.kids.append(reference(2))
    return pdf.to_bytes()


def kids_that_double() -> bytes:
    """Forty levels of nodes that each name the next one twice: a billion pages, if counted."""
    pdf = HandMadePdf()
    leaf = pdf.page(TEXT)
    pdf.kids.clear()
    for _ in range(40):
        leaf = pdf.add(b"<< /Type /Pages /Parent 2 0 R /Kids [%d 0 R %d 0 R] >>" % (leaf, leaf))
    pdf.kids += [reference(leaf)] * 2
    return pdf.to_bytes()


def parent_loop() -> bytes:
    """No page box, and no root of the tree from which one could be inherited."""
    pdf = HandMadePdf()
    first, second = pdf.reserve(), pdf.reserve()
    content = pdf.add_stream(TEXT)
    for number, parent in ((first, second), (second, first)):
        pdf.add(b"<< /Type /Pages /Parent %d 0 R /Kids [] >>" % parent, number=number)
    page = pdf.add(b"<< /Type /Page /Parent %d 0 R /Contents %d 0 R >>" % (first, content))
    pdf.kids.append(reference(page))
    return pdf.to_bytes()


def outline_loop() -> bytes:
    pdf = sound()
    entry = pdf.reserve()
    pdf.add(
        b"<< /Title (a) /Parent %d 0 R /Next %d 0 R /First %d 0 R /Last %d 0 R >>"
        % (entry, entry, entry, entry),
        number=entry,
    )
    pdf.catalog = b"/Outlines %d 0 R /PageMode /UseOutlines" % entry
    return pdf.to_bytes()


def _number_tree_loop(pdf: HandMadePdf) -> int:
    tree = pdf.reserve()
    return pdf.add(b"<< /Kids [%d 0 R %d 0 R] /Limits [0 9] >>" % (tree, tree), number=tree)


def page_label_loop() -> bytes:
    pdf = sound()
    pdf.catalog = b"/PageLabels %d 0 R" % _number_tree_loop(pdf)
    return pdf.to_bytes()


def names_loop() -> bytes:
    pdf = sound()
    tree = _number_tree_loop(pdf)
    pdf.catalog = b"/Names << /Dests %d 0 R /EmbeddedFiles %d 0 R >>" % (tree, tree)
    return pdf.to_bytes()


def page_label_of(number: int) -> Callable[[], bytes]:
    """The second page has a roman number: one letter for each thousand."""

    def make() -> bytes:
        pdf = sound()
        styles = b"0 << /S /a /St %d >> 1 << /S /R /St %d >>" % (number, number)
        pdf.catalog = b"/PageLabels << /Nums [%s] >>" % styles
        return pdf.to_bytes()

    return make


def field_loop(parent: str) -> Callable[[], bytes]:
    """A form field in a loop.

    Args:
        parent: Whose parent it is: "itself", "its kid's kid" (its own grandparent), or "nobody",
            and it is among its own kids.
    """

    def make() -> bytes:
        pdf = HandMadePdf()
        field, widget = pdf.reserve(), pdf.reserve()
        above = {"itself": field, "its kid's kid": widget, "nobody": 999}[parent]
        kids = b"/Kids [%d 0 R %d 0 R]" % (widget, field)
        pdf.add(b"<< /FT /Tx /T (a) /V (b) %s /Parent %d 0 R >>" % (kids, above), number=field)
        pdf.add(
            b"<< /Type /Annot /Subtype /Widget /Rect [9 99 90 120] /Parent %d 0 R %s >>"
            % (field, kids),
            number=widget,
        )
        pdf.catalog = (
            b"/AcroForm << /Fields [%d 0 R] /NeedAppearances true /DA (/F0 9 Tf) >>" % field
        )
        pdf.page(TEXT, entries=b"/Annots [%d 0 R]" % widget)
        return pdf.to_bytes()

    return make


def nested_arrays() -> bytes:
    """Three million arrays in each other."""
    return one_page(TEXT, entries=b"/Deep " + b"[" * 3_000_000 + b"]" * 3_000_000)


def nested_dictionaries() -> bytes:
    return one_page(TEXT, entries=b"/Deep " + b"<</A " * 500_000 + b"1" + b">>" * 500_000)


def nested_arrays_in_content() -> bytes:
    return one_page(TEXT + b" " + b"[" * 3_000_000 + b"] TJ")


def references_in_a_ring() -> bytes:
    """The content is an object that is another object, and so on, back to the first."""
    pdf = HandMadePdf()
    numbers = [pdf.reserve() for _ in range(50)]
    for number, following in zip(numbers, [*numbers[1:], numbers[0]], strict=True):
        pdf.add(reference(following), number=number)
    pdf.page(numbers[0])
    return pdf.to_bytes()


def length_that_is_its_own_stream() -> bytes:
    pdf = HandMadePdf()
    content = pdf.reserve()
    body = b"<< /Length %d 0 R >>\nstream\n%s\nendstream" % (content, TEXT)
    pdf.page(pdf.add(body, number=content))
    return pdf.to_bytes()


def pages_in_the_tree_itself() -> bytes:
    """/Kids holds a page, and not the reference of one."""
    pdf = HandMadePdf()
    content = pdf.add_stream(TEXT)
    pdf.kids.append(page_body(content, b"", b"", b"[0 0 200 280]"))
    return pdf.to_bytes()


def empty_box() -> bytes:
    pdf = HandMadePdf()
    pdf.page(TEXT, box=b"[0 0 0 0]")
    return pdf.to_bytes()


def without_header() -> bytes:
    return sound().to_bytes(header=b"")


def junk_before_header() -> bytes:
    return b"\r\n".join([b"junk"] * 100) + b"\r\n" + sound().to_bytes()


def without_table() -> bytes:
    return sound().to_bytes().partition(b"xref\n")[0]


def without_endobj() -> bytes:
    return sound().to_bytes().replace(b"endobj\n", b"")


def password_needed() -> bytes:
    entry = b"/Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s>" % (b"41" * 32, b"42" * 32)
    pdf = sound()
    pdf.trailer = b"/Encrypt << %s >> /ID [<00> <00>]" % entry
    return pdf.to_bytes()


def unknown_encryption() -> bytes:
    pdf = sound()
    pdf.trailer = b"/Encrypt << /Filter /MadeUp /V 9 /R 9 >> /ID [<00> <00>]"
    return pdf.to_bytes()


def garbage_encryption() -> bytes:
    pdf = sound()
    pdf.trailer = b"/Encrypt [1 2 (three)]"
    return pdf.to_bytes()
