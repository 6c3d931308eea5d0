"""The text layer of a page, which ends when it is long enough."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from vdr_integrations.pages.pdf.mupdf import is_shortage
from vdr_integrations.pages.processes.child_limits import address_space_bytes

if TYPE_CHECKING:
    from collections.abc import Generator

    import pymupdf

__all__ = ["PageText", "page_text"]

_TEXT_MEMORY_BYTES = 256 * 1024**2
"""MuPDF takes 100 bytes for a letter, so this is enough for 2.5 million."""


class PageText(NamedTuple):
    """A text layer.

    Attributes:
        text: Text that can be stored as UTF-8, without NUL characters.
        is_cut: Whether the page has more text.
    """

    text: str
    is_cut: bool


def page_text(
    engine: Any,  # noqa: ANN401  # PyMuPDF's module
    page: pymupdf.Page,
    *,
    most_characters: int,
    stops_early: bool,
) -> PageText:
    """The text layer of a page, in the order of the file.

    Args:
        engine: The module ``pymupdf``.
        page: A loaded page.
        most_characters: Length at which the text is cut.
        stops_early: Whether to stop where the text is long enough, and not after all of it was
            read. Only in a process of its own: its address space is limited meanwhile.

    Raises:
        MemoryError: There is too little memory.
        Exception: Any error of PyMuPDF.
    """
    text = _all_of(page) if not stops_early else _all_in_little_memory(page)
    is_all = text is not None
    if text is None:
        text = _beginning(engine, page, most_characters)
    text = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return PageText(text[:most_characters], not is_all or len(text) > most_characters)


def _all_of(page: pymupdf.Page) -> str:
    return str(page.get_text("text"))


def _all_in_little_memory(page: pymupdf.Page) -> str | None:
    """All text, or None if there is too much of it."""
    try:
        with _little_memory():
            return _all_of(page)
    except Exception as problem:
        if not is_shortage(problem):
            raise
    return None


@contextmanager
def _little_memory() -> Generator[None]:
    """Let this process have little more address space than it has now, if its system can."""
    used = address_space_bytes()
    if not used:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = used + _TEXT_MEMORY_BYTES
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _beginning(engine: Any, page: pymupdf.Page, most_characters: int) -> str:  # noqa: ANN401
    """The first letters of a page of which MuPDF could not hold all."""
    pdf = engine.mupdf
    stext = pdf.FzStextPage(pdf.fz_bound_page(page.this))  # pyright: ignore[reportAttributeAccessIssue]
    options = pdf.FzStextOptions(engine.TEXTFLAGS_TEXT)
    reader = pdf.fz_new_stext_device(stext, options)
    cookie = pdf.FzCookie()

    class Counter(pdf.FzDevice2):
        """Hands on pieces of text until there are enough."""

        def __init__(self) -> None:
            super().__init__()
            self.use_virtual_fill_text()
            self.use_virtual_stroke_text()
            self.use_virtual_ignore_text()
            self.left = most_characters + 1

        def fill_text(self, _: object, text: Any, matrix: Any, *_style: object) -> None:  # noqa: ANN401
            self._hand_on(text, matrix)

        def stroke_text(
            self,
            _: object,
            text: Any,  # noqa: ANN401
            _pen: object,
            matrix: Any,  # noqa: ANN401
            *_style: object,
        ) -> None:
            self._hand_on(text, matrix)

        def ignore_text(self, _: object, text: Any, matrix: Any) -> None:  # noqa: ANN401
            self._hand_on(text, matrix)

        def _hand_on(self, text: Any, matrix: Any) -> None:  # noqa: ANN401
            span = text.head
            while span is not None:
                self.left -= span.len
                span = span.next
            if self.left <= 0:
                cookie.m_internal.abort = 1
            if self.left > -most_characters:  # else this piece alone is too long
                pdf.ll_fz_ignore_text(reader.m_internal, text, matrix)  # letters without a colour

    counter = Counter()
    pdf.fz_run_page(page.this, counter, pdf.FzMatrix(), cookie)
    pdf.fz_close_device(counter)
    pdf.fz_close_device(reader)
    return str(engine.TextPage(stext).extractText())
