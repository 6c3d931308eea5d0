"""PDFs that are put together object by object, so that any part of them can be wrong."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

__all__ = ["FONT", "HandMadePdf", "one_page", "reference"]

CATALOG, PAGES, FONT = 1, 2, 3
"""Object numbers that each PDF has."""


def reference(number: int) -> bytes:
    """How another object names an object."""
    return b"%d 0 R" % number


@dataclass(slots=True)
class HandMadePdf:
    """Objects and pages of a PDF.

    Attributes:
        catalog: More entries of the catalog.
        trailer: More entries of the trailer.
        page_tree: More entries of the root of the page tree; they come first, so that they win.
        kids: What stands in /Kids of the page tree.
        bodies: The objects, by number.
    """

    catalog: bytes = b""
    trailer: bytes = b""
    page_tree: bytes = b""
    kids: list[bytes] = field(default_factory=list[bytes])
    bodies: dict[int, bytes] = field(default_factory=dict[int, bytes])

    def reserve(self) -> int:
        """The number of an object that is added later."""
        number = max([FONT, *self.bodies]) + 1
        self.bodies[number] = b"null"
        return number

    def add(self, body: bytes, *, number: int | None = None) -> int:
        """Add an object; returns its number."""
        number = self.reserve() if number is None else number
        self.bodies[number] = body
        return number

    def add_stream(
        self,
        data: bytes,
        entries: bytes = b"",
        *,
        filters: bytes | None = None,
        number: int | None = None,
    ) -> int:
        """Add a stream; returns its number.

        Args:
            data: Content. It is compressed, unless ``filters`` says how it already is.
            entries: More entries of its dictionary.
            filters: Value of /Filter; "" for none.
            number: Its number, if it was reserved.
        """
        if filters is None:
            data, filters = zlib.compress(data), b"/FlateDecode"
        named = b"/Filter %s" % filters if filters else b""
        body = b"<< /Length %d %s %s >>\nstream\n%s\nendstream" % (
            len(data),
            named,
            entries,
            data,
        )
        return self.add(body, number=number)

    def page(
        self,
        content: bytes | int = b"",
        *,
        resources: bytes = b"",
        entries: bytes = b"",
        box: bytes = b"[0 0 200 280]",
        number: int | None = None,
    ) -> int:
        """Add a page; returns its number.

        Args:
            content: Its content, or the number of the stream that is its content.
            resources: More entries of /Resources. /F0 is Helvetica.
            entries: More entries of the page.
            box: Its MediaBox.
            number: Its number, if it was reserved.
        """
        stream = content if isinstance(content, int) else self.add_stream(content)
        number = self.add(page_body(stream, resources, entries, box), number=number)
        self.kids.append(reference(number))
        return number

    def to_bytes(self, *, header: bytes = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n") -> bytes:
        """The file."""
        tree = b"<< %s /Type /Pages /Count %d /Kids [%s] >>" % (
            self.page_tree,
            len(self.kids),
            b" ".join(self.kids),
        )
        fixed = {
            CATALOG: b"<< /Type /Catalog /Pages 2 0 R %s >>" % self.catalog,
            PAGES: tree,
            FONT: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        }
        parts, places, length = [header], [b"0000000000 65535 f \n"], len(header)
        bodies = fixed | self.bodies
        for number in sorted(bodies):
            part = b"%d 0 obj\n%s\nendobj\n" % (number, bodies[number])
            places.append(b"%010d 00000 n \n" % length)
            parts.append(part)
            length += len(part)
        size = len(places)
        parts += [b"xref\n0 %d\n" % size, *places]
        parts.append(b"trailer\n<< /Size %d /Root 1 0 R %s >>\n" % (size, self.trailer))
        parts.append(b"startxref\n%d\n%%%%EOF\n" % length)
        return b"".join(parts)


def page_body(content: int, resources: bytes, entries: bytes, box: bytes) -> bytes:
    """The dictionary of a page. It has Helvetica as /F0, unless ``resources`` name fonts."""
    fonts = b"" if b"/Font" in resources else b"/Font << /F0 3 0 R >>"
    return (
        b"<< /Type /Page /Parent 2 0 R /MediaBox %s /Contents %d 0 R /Resources << %s %s >> %s >>"
    ) % (box, content, fonts, resources, entries)


def one_page(content: bytes, *, resources: bytes = b"", entries: bytes = b"") -> bytes:
    """A PDF of one page."""
    pdf = HandMadePdf()
    pdf.page(content, resources=resources, entries=entries)
    return pdf.to_bytes()
