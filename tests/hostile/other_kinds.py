"""Files of another kind than their name says, and files of two kinds at once."""

from __future__ import annotations

import zipfile
from io import BytesIO

from tests.hostile.hostile_images import small_gif, small_jpeg, small_png
from tests.hostile.hostile_pdf_structure import sound

HTML = b"<!DOCTYPE html><html><body><img src='http://127.0.0.1:9/a.png'><p>text</p></body></html>"
SVG = (
    b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
    b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><text>&a;</text></svg>"
)
POSTSCRIPT = b"%!PS-Adobe-3.0\n(%stdin) (r) file 9 string readstring { } loop\nshowpage\n"
PLAIN_TEXT = b"This is not a PDF. It only mentions PDF-1.7.\n" * 40


def _zip(entries: dict[str, bytes]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


def epub() -> bytes:
    return _zip(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": b"<container><rootfiles><rootfile full-path='a.opf'/>"
            b"</rootfiles></container>",
            "a.opf": b"<package><manifest/></package>",
        }
    )


def xps() -> bytes:
    return _zip(
        {
            "[Content_Types].xml": b"<Types/>",
            "_rels/.rels": b"<Relationships/>",
            "FixedDocSeq.fdseq": b"<FixedDocumentSequence/>",
        }
    )


def pdf() -> bytes:
    return sound().to_bytes()


def pdf_before_zip() -> bytes:
    return pdf() + _zip({"run.sh": b"id"})


def zip_before_pdf() -> bytes:
    """The header of the PDF is within the first 1,024 bytes, where readers look for it."""
    return _zip({"run.sh": b"id"}) + pdf()


def gif_before_pdf() -> bytes:
    """A GIF with a comment that begins like a PDF; the rest of the PDF follows the GIF."""
    gif, whole = small_gif(), pdf()
    comment = b"!\xfe\x09%PDF-1.7\n\0"
    return gif[:19] + comment + gif[19:] + whole


__all__ = [
    "HTML",
    "PLAIN_TEXT",
    "POSTSCRIPT",
    "SVG",
    "epub",
    "gif_before_pdf",
    "pdf",
    "pdf_before_zip",
    "small_gif",
    "small_jpeg",
    "small_png",
    "xps",
    "zip_before_pdf",
]
