"""Places, names and kinds of files that are not what a reader expects, and their outcomes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.hostile import hostile_places as places
from tests.hostile import other_kinds as kinds
from tests.hostile.hostile_case import (
    FILE_REFUSED,
    INDEXED,
    HostileCase,
    Outcome,
    of_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["PLACE_CASES"]

_NO_FILE = "folder or a device"


def _place(
    name: str,
    write: Callable[[Path], None],
    outcomes: frozenset[Outcome],
    reason: str = "",
    *,
    is_named: bool = False,
) -> HostileCase:
    return HostileCase(name=name, write=write, outcomes=outcomes, reason=reason, is_named=is_named)


_PLACES = (
    _place("named pipe", places.named_pipe, FILE_REFUSED, _NO_FILE),
    _place("named pipe, given itself", places.named_pipe, FILE_REFUSED, _NO_FILE, is_named=True),
    _place("link to a named pipe", places.link_to_pipe, FILE_REFUSED, _NO_FILE),
    _place("socket", places.listening_socket, FILE_REFUSED, _NO_FILE),
    _place("link to zeros without end", places.link_to("/dev/zero"), FILE_REFUSED, _NO_FILE),
    _place("link to a full device", places.link_to("/dev/full"), FILE_REFUSED, _NO_FILE),
    _place("link to random bytes", places.link_to("/dev/urandom"), FILE_REFUSED, _NO_FILE),
    _place("link to an empty device", places.link_to("/dev/null"), FILE_REFUSED, _NO_FILE),
    _place("link to memory that fails", places.link_to("/proc/self/mem"), FILE_REFUSED),
    _place("link to itself", places.link_to_itself, FILE_REFUSED),
    _place("link to nothing", places.link_to("nothing.pdf"), FILE_REFUSED),
    _place("folder called .pdf", places.folder_with_a_document, INDEXED),
    _place("folder that links to itself", places.folder_that_links_to_itself, INDEXED),
    _place("sparse file of two gigabytes", places.sparse_file, FILE_REFUSED, "bytes"),
    _place(
        "file that may not be read",
        places.unreadable_file,
        INDEXED if hasattr(os, "geteuid") and os.geteuid() == 0 else FILE_REFUSED,
    ),
)


def _named(name: str, file_name: str, *, is_named: bool = False) -> HostileCase:
    return HostileCase(
        name=name,
        write=of_bytes(kinds.pdf),
        outcomes=INDEXED,
        file_name=file_name,
        is_named=is_named,
    )


_NAMES = (
    HostileCase(
        name="name that is not UTF-8",
        write=of_bytes(kinds.pdf),
        outcomes=INDEXED | FILE_REFUSED,
        reason="UTF-8",
        file_name=os.fsdecode(b"\xff\xfe.pdf"),
    ),
    _named("name of 255 bytes", "n" * 251 + ".pdf"),
    _named("name of two lines", "two\nlines.pdf"),
    _named("name with an escape sequence", "\x1b[31mred\x1b[2J.pdf"),
    _named("name that turns the direction of writing", "\u202efdp.exe.pdf"),
    _named("name that looks like an option", "-x.pdf"),
    _named("name that looks like a format", "%s%n{0}.pdf"),
    _named("name that looks like a pattern", "[*]?.pdf", is_named=True),
    _named("name that looks like an address", "http:x.pdf"),
    _named("name in quotation marks", "'; rm -rf $HOME; \".pdf"),
)


def _kind(
    name: str,
    make: Callable[[], bytes],
    outcomes: frozenset[Outcome],
    *,
    file_name: str = "hostile.pdf",
    is_named: bool = False,
) -> HostileCase:
    return HostileCase(
        name=name,
        write=of_bytes(make),
        outcomes=outcomes,
        file_name=file_name,
        is_named=is_named,
    )


_KINDS = (
    _kind("HTML called .pdf", lambda: kinds.HTML, FILE_REFUSED),
    _kind("SVG called .pdf", lambda: kinds.SVG, FILE_REFUSED),
    _kind("SVG called .png", lambda: kinds.SVG, FILE_REFUSED, file_name="hostile.png"),
    _kind("EPUB called .pdf", kinds.epub, FILE_REFUSED),
    _kind("XPS called .pdf", kinds.xps, FILE_REFUSED),
    _kind("PostScript called .pdf", lambda: kinds.POSTSCRIPT, FILE_REFUSED),
    _kind("PostScript called .jpg", lambda: kinds.POSTSCRIPT, FILE_REFUSED, file_name="h.jpg"),
    _kind("text called .pdf", lambda: kinds.PLAIN_TEXT, FILE_REFUSED),
    _kind("empty file", lambda: b"", FILE_REFUSED),
    _kind("empty picture", lambda: b"", FILE_REFUSED, file_name="hostile.png"),
    _kind("one byte", lambda: b"%", FILE_REFUSED),
    _kind("zeros", lambda: b"\0" * 2**20, FILE_REFUSED),
    _kind("PNG called .pdf", kinds.small_png, INDEXED),
    _kind("JPEG called .pdf", kinds.small_jpeg, INDEXED),
    _kind("GIF called .jpg", kinds.small_gif, INDEXED, file_name="hostile.jpg"),
    _kind("PDF called .png", kinds.pdf, INDEXED, file_name="hostile.png"),
    _kind("PNG without a suffix", kinds.small_png, INDEXED, file_name="scan", is_named=True),
    _kind("PDF without a suffix", kinds.pdf, INDEXED, file_name="paper", is_named=True),
    _kind("JPEG called .jfif", kinds.small_jpeg, INDEXED, file_name="x.jfif", is_named=True),
    _kind("PDF before a ZIP", kinds.pdf_before_zip, INDEXED),
    _kind("ZIP before a PDF", kinds.zip_before_pdf, INDEXED),
    _kind("GIF before a PDF", kinds.gif_before_pdf, INDEXED),
    _kind("GIF before a PDF, called .gif", kinds.gif_before_pdf, INDEXED, file_name="h.gif"),
)

PLACE_CASES: tuple[HostileCase, ...] = (*_PLACES, *_NAMES, *_KINDS)
