"""PDFs that ask their reader to run, open, fetch or keep something. None of it may happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.pdf_by_hand import HandMadePdf, reference

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ACTIONS", "external_content", "external_picture", "file_inside", "with_action"]

_ADDRESS = b"(http://127.0.0.1:9/page)"
_TEXT = b"BT /F0 24 Tf 20 60 Td (some text) Tj ET"

ACTIONS = {
    "JavaScript": b"<< /S /JavaScript /JS (while (true) app.launchURL('http://127.0.0.1:9')) >>",
    "launch": b"<< /S /Launch /F (/bin/sh) /Unix << /F (/bin/sh) /P (-c id) >> >>",
    "address": b"<< /S /URI /URI %s >>" % _ADDRESS,
    "remote page": b"<< /S /GoToR /F (/etc/passwd) /D [0 /Fit] >>",
    "form": b"<< /S /SubmitForm /F << /FS /URL /F %s >> /Fields [] >>" % _ADDRESS,
    "import": b"<< /S /ImportData /F (/etc/passwd) >>",
}
"""What is to happen when a document is opened, when its page is shown, and when it is clicked."""


def with_action(kind: str) -> Callable[[], bytes]:
    def make() -> bytes:
        pdf = HandMadePdf()
        action = pdf.add(ACTIONS[kind])
        note = pdf.add(b"<< /Type /Annot /Subtype /Link /Rect [9 9 99 99] /A %d 0 R >>" % action)
        pdf.catalog = b"/OpenAction %d 0 R /AA << /WC %d 0 R >>" % (action, action)
        pdf.catalog += b"/Names << /JavaScript << /Names [(a) %d 0 R] >> >>" % action
        pdf.page(_TEXT, entries=b"/AA << /O %d 0 R >> /Annots [%s]" % (action, reference(note)))
        return pdf.to_bytes()

    return make


def file_inside() -> bytes:
    pdf = HandMadePdf()
    inside = pdf.add_stream(b"#!/bin/sh\nid\n", b"/Type /EmbeddedFile")
    named = pdf.add(b"<< /Type /Filespec /F (../../run.sh) /EF << /F %d 0 R >> >>" % inside)
    pdf.catalog = b"/Names << /EmbeddedFiles << /Names [(run.sh) %d 0 R] >> >>" % named
    pdf.page(_TEXT)
    return pdf.to_bytes()


def _elsewhere(place: bytes) -> bytes:
    """A stream whose bytes are in another file."""
    return b"/F << /Type /Filespec /F (%s) /UF (%s) >> /FFilter null " % (place, place)


def external_content(place: bytes) -> Callable[[], bytes]:
    """A page with two contents: its own, and one from another file."""

    def make() -> bytes:
        pdf = HandMadePdf()
        first, second = pdf.add_stream(_TEXT), pdf.add_stream(b"", _elsewhere(place), filters=b"")
        pdf.page(pdf.add(b"[%s %s]" % (reference(first), reference(second))))
        return pdf.to_bytes()

    return make


def external_picture(place: bytes) -> Callable[[], bytes]:
    def make() -> bytes:
        pdf = HandMadePdf()
        picture = pdf.add_stream(
            b"",
            b"/Type /XObject /Subtype /Image /Width 9 /Height 9 /BitsPerComponent 8 "
            b"/ColorSpace /DeviceGray " + _elsewhere(place),
            filters=b"",
        )
        pdf.page(
            _TEXT + b" 90 0 0 90 9 99 cm /I Do", resources=b"/XObject << /I %d 0 R >>" % picture
        )
        return pdf.to_bytes()

    return make
