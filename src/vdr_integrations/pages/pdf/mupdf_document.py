"""A PDF that MuPDF holds open in this process: it is unlocked, checked, asked for pages, closed."""

from __future__ import annotations

import hashlib
import re
import weakref
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import (
    DocumentOpenError,
    DocumentPasswordError,
    EmptyDocumentError,
    PageGeometryError,
    PageRenderError,
)
from vdr_integrations.pages.file_kind import FIRST_BYTES, NEITHER, kind_of
from vdr_integrations.pages.pdf.damage import (
    BAD_ANNOTATIONS,
    all_damage,
    damage_in,
    nothing_left,
)
from vdr_integrations.pages.pdf.mupdf import (
    MUPDF_LOCK,
    import_mupdf,
    is_shortage,
    messages_in,
    mupdf,
    says_shortage,
    smooth_lines,
)
from vdr_integrations.pages.pdf.page_box import box_problem
from vdr_integrations.pages.pdf.page_content import OutlineEntry, Pixels, Size
from vdr_integrations.pages.pdf.page_text import PageText, page_text

if TYPE_CHECKING:
    import pymupdf

    from vdr_integrations.pages.file_limits import RenderLimits

__all__ = ["MupdfDocument", "is_closed"]

_LONGEST_LABEL = 100
"""Characters. What is printed on a page is shorter."""
_MOST_ENTRIES = 2_000
_LONGEST_TITLE = 300
"""Entries of an outline, and characters of a title, that are read."""
_A_PICTURE = "it is a picture, and here only PDFs are opened. Open it with open_image(...)."
_OBJECT = re.compile(rb"\b\d+\s+\d+\s+obj\b")


class MupdfDocument:
    """An open PDF, page by page. The page that was asked for last stays loaded.

    Attributes:
        sha256: SHA-256 of the file's bytes.
        page_count: Number of pages.
        is_repaired: Whether it is damaged, and MuPDF has repaired it.
    """

    def __init__(
        self,
        data: bytes,
        *,
        source: str,
        password: str | None,
        limits: RenderLimits,
        is_confined: bool = False,
    ) -> None:
        """Open, unlock and check it; errors as in ``open_pdf``.

        Args:
            data: The file.
            source: Its name in error messages.
            password: Its password, if it needs one.
            limits: Limits of pages, sides and text.
            is_confined: Whether this process does nothing but open files.

        Raises:
            MemoryError: There is too little memory.
        """
        # MuPDF would also open HTML, SVG, EPUB or an image.
        kind = kind_of(data[:FIRST_BYTES])
        if kind == "image" or not (kind == "pdf" or _OBJECT.search(data)):
            raise DocumentOpenError(_A_PICTURE if kind == "image" else NEITHER, source=source)
        with mupdf(DocumentOpenError, source=source, doing="open") as engine:
            document = engine.open(stream=data, filetype="pdf")
            try:
                self.page_count = _check(document, password, source, limits)
                self.is_repaired = bool(document.is_repaired)
            except BaseException:
                document.close()
                raise
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._source = source
        self._limits = limits
        self._is_confined = is_confined
        self._document: pymupdf.Document = document
        self._loaded: tuple[int, pymupdf.Page, tuple[str, ...]] | None = None
        self._close = weakref.finalize(self, _close, document)
        self._close.atexit = False

    def size(self, page_number: int) -> Size:
        """How large a page is, as shown: cropped and turned.

        Raises:
            PageGeometryError: The page box is empty or absurd.
            PageRenderError: MuPDF cannot load the page.
            MemoryError: There is too little memory.
        """
        with self._mupdf(page_number, doing="measure") as engine:
            page, _ = self._page(page_number)
            problem = box_problem(engine, page, max_side_pt=self._limits.max_side_pt)
            shown, rotation = page.rect, page.rotation
        if problem is not None:
            raise PageGeometryError(problem, source=self._source, page_number=page_number)
        return Size(float(shown.width), float(shown.height), int(rotation))

    def label(self, page_number: int) -> str | None:
        """The document's label of a page, "" without one; None if it is damaged or absurd."""
        try:
            with self._mupdf(page_number, doing="read the label of"):
                page, _ = self._page(page_number)
                label = page.get_label() or ""
        except (PageRenderError, MemoryError):  # page 4,000,000,000 in Roman numerals
            return None
        if len(label) > _LONGEST_LABEL:
            return None
        return label.encode("utf-8", "replace").decode("utf-8")

    def text(self, page_number: int) -> PageText:
        """The text layer of a page.

        Raises:
            PageRenderError: MuPDF cannot read the page.
            MemoryError: There is too little memory.
        """
        with self._mupdf(page_number, doing="read the text of") as engine:
            page, _ = self._page(page_number)
            return page_text(
                engine,
                page,
                most_characters=self._limits.max_text_characters,
                stops_early=self._is_confined,
            )

    def outline(self) -> list[OutlineEntry]:
        """The outline, in its order; entries that lead to no page of the document are left out.

        Raises:
            PageRenderError: MuPDF cannot read it.
            MemoryError: There is too little memory.
        """
        with self._mupdf(1, doing="read the outline before"):
            entries = self._document.get_toc()[:_MOST_ENTRIES]
        return [
            OutlineEntry(_one_line(title)[:_LONGEST_TITLE], page_number)
            for _, title, page_number, *_ in entries
            if 1 <= page_number <= self.page_count
        ]

    def draw(self, page_number: int, *, height: int, width: int) -> Pixels:
        """Draw a page on white, with annotations and form fields.

        Raises:
            PageRenderError: MuPDF cannot draw the page, or draws nothing because a picture could
                not be decoded.
            MemoryError: There is too little memory.
        """
        with (
            self._mupdf(page_number, doing="render") as engine,
            smooth_lines(engine),
            messages_in(engine) as said,
        ):
            page, damage = self._page(page_number)
            try:
                pixmap = _drawn(engine, page, height, width, annots=True)
            except Exception as problem:
                if is_shortage(problem):
                    raise
                pixmap = _drawn(engine, page, height, width, annots=False)
                damage = (*damage, BAD_ANNOTATIONS)
        found = (pixmap.width, pixmap.height)
        if found != (width, height):
            raise self._page_error(
                f"MuPDF drew {found[0]} x {found[1]} pixels instead of {width} x {height}.",
                page_number,
            )
        if any(map(says_shortage, said)):
            raise MemoryError("MuPDF had no memory for a part of a page")
        if said:
            # MuPDF keeps pictures and fonts, also damaged ones, and says nothing the next time.
            del page
            with self._mupdf(page_number, doing="render") as engine:
                self._loaded = None
                engine.TOOLS.store_shrink(100)
        damage = all_damage(damage, damage_in(said))
        if damage:
            reason = nothing_left(damage, pixmap.samples_mv, row_bytes=3 * width)
            if reason is not None:
                raise self._page_error(reason, page_number)
        return Pixels(width, height, pixmap.samples_mv, damage, keeps=pixmap)

    def close(self) -> None:
        """Free the memory of the file. A second call does nothing."""
        self._loaded = None
        self._close()

    def _mupdf(self, page_number: int, *, doing: str) -> Any:  # noqa: ANN401  # a context manager
        if not self._close.alive:
            raise is_closed(self._source, page_number)
        return mupdf(PageRenderError, source=self._source, doing=doing, page_number=page_number)

    def _page(self, page_number: int) -> tuple[pymupdf.Page, tuple[str, ...]]:
        """The page, and what is missing of it."""
        if self._loaded is None or self._loaded[0] != page_number:
            self._loaded = None
            with messages_in(import_mupdf()) as said:
                page, damage = _load(self._document, page_number - 1)
            self._loaded = (page_number, page, all_damage(damage, damage_in(said)))
        return self._loaded[1:]

    def _page_error(self, reason: str, page_number: int) -> PageRenderError:
        return PageRenderError(reason, source=self._source, page_number=page_number)


def is_closed(source: str, page_number: int) -> DocumentOpenError:
    """The error of a page whose document was closed."""
    return DocumentOpenError(
        "the document is closed; use its pages before closing it.",
        source=source,
        page_number=page_number,
    )


def _one_line(title: str) -> str:
    return " ".join(title.encode("utf-8", "replace").decode("utf-8").split())


def _load(document: pymupdf.Document, position: int) -> tuple[pymupdf.Page, tuple[str, ...]]:
    try:
        return document.load_page(position), ()
    except Exception as problem:
        if is_shortage(problem) or not _drop_annotations(document, position):
            raise
    return document.load_page(position), (BAD_ANNOTATIONS,)


def _drop_annotations(document: pymupdf.Document, position: int) -> bool:
    """Take annotations off a page, in memory; False if it has none, or there is no such page."""
    from pymupdf import mupdf as pdf

    try:
        entry = pdf.pdf_lookup_page_obj(pdf.pdf_document_from_fz_document(document.this), position)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue, reportUnknownVariableType]
        key = pdf.pdf_new_name("Annots")
        if not pdf.pdf_is_array(pdf.pdf_dict_get(entry, key)):
            return False
        pdf.pdf_dict_del(entry, key)
    except Exception as problem:  # MuPDF raises many types; see mupdf.py
        if is_shortage(problem):
            raise
        return False
    return True


def _drawn(
    engine: Any,  # noqa: ANN401  # PyMuPDF's module
    page: pymupdf.Page,
    height: int,
    width: int,
    *,
    annots: bool,
) -> pymupdf.Pixmap:
    shown = page.rect
    return page.get_pixmap(
        matrix=engine.Matrix(width / shown.width, height / shown.height),
        colorspace=engine.csRGB,
        alpha=False,
        annots=annots,
    )


def _check(
    document: pymupdf.Document, password: str | None, source: str, limits: RenderLimits
) -> int:
    """Unlock the document and return its number of pages."""
    if not document.is_pdf:
        raise DocumentOpenError(NEITHER, source=source)
    if document.needs_pass:
        _unlock(document, password, source)
    page_count = document.page_count
    if page_count < 1:
        raise EmptyDocumentError("it has no pages; leave it out.", source=source)
    if page_count > limits.max_pages:
        raise DocumentOpenError(
            f"it has {page_count:,} pages; at most {limits.max_pages:,} are read. Split it, or "
            f"pass limits=RenderLimits(max_pages=...).",
            source=source,
        )
    # One bad page is the error of that page. If neither the first nor the last page can be loaded,
    # the page tree is broken.
    if not any(_loads(document, position) for position in {0, page_count - 1}):
        raise DocumentOpenError(
            "its page tree is broken: neither the first nor the last page can be found. "
            "Repair it, for instance by printing it to a new PDF.",
            source=source,
        )
    return page_count


def _unlock(document: pymupdf.Document, password: str | None, source: str) -> None:
    if password is None:
        raise DocumentPasswordError(
            "it is encrypted, and no password was given; pass password=...", source=source
        )
    try:
        unlocked = document.authenticate(password)
    except (TypeError, ValueError):  # a text that cannot be a C string is not the password
        unlocked = False
    if not unlocked:
        raise DocumentPasswordError(
            "it is encrypted, and the password does not open it.", source=source
        )


def _loads(document: pymupdf.Document, position: int) -> bool:
    try:
        _load(document, position)
    except Exception as problem:  # MuPDF raises many types; see mupdf.py
        if is_shortage(problem):
            raise
        return False
    return True


def _close(document: pymupdf.Document) -> None:
    with MUPDF_LOCK:
        document.close()
