"""Draw pages in other processes, before they are needed.

MuPDF works in one thread at a time, so one process draws one page at a time, and a fast GPU would
have to wait. Other processes have a second advantage: if MuPDF crashes or hangs on a page, only one
of them ends, and the page is reported like any other bad page.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from vdr_integrations.errors import OptionError, PageError, PageRenderError
from vdr_integrations.pages.drawing.drawn_page import (
    DrawnPage,
    PageAddress,
    be_ready,
    draw_elsewhere,
    draw_in_time,
    drawn_page,
)
from vdr_integrations.pages.drawing.processes import Processes
from vdr_integrations.pages.drawing.time_limit import LONGEST_LIMIT_S
from vdr_integrations.pages.pdf.pdf_page import PdfPage
from vdr_integrations.types import PageImage, as_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vdr_integrations.types import PageInput, PixelBudget

__all__ = ["PAGE_TIMEOUT_S", "PagePrinter", "look_ahead", "render_ahead"]

Item = TypeVar("Item")

_AHEAD_OF_EACH = 4
"""Pages begun ahead for each process. One takes 1.8 MB at 768 visual tokens."""
PAGE_TIMEOUT_S = 60.0
"""Ten thousand times as long as a simple page takes."""


def render_ahead(
    pages: Iterable[PageInput],
    *,
    budget: PixelBudget,
    workers: int,
    page_timeout_s: float | None = None,
) -> Iterator[PageImage]:
    """Draw pages at their final size in other processes, while you use the pages before them.

        with open_pdf("report.pdf") as document:
            pages = render_ahead(document, budget=encoder.pixel_budget, workers=4)
            vectors = encoder.encode_pages(pages)

    These pages are drawn in your process: pages that are not from a PDF, pages of a PDF that was
    opened from bytes, and pages of an encrypted PDF.

    Args:
        pages: Any number of pages; a few are read ahead.
        budget: The encoder's ``pixel_budget``.
        workers: Number of processes. 0 draws all pages in your process, each when it is needed.
        page_timeout_s: Seconds after which a process gives up a page; None uses 60. Pages that are
            drawn in your process have no limit.

    Yields:
        The drawn pages, in the order of ``pages``.

    Raises:
        PageError: A page cannot be drawn.
        OptionError: ``workers`` is negative; ``page_timeout_s`` is not above 0 and at most a day,
            or is given without workers.
        ResourceError: The processes cannot be started.
        MissingExtraError: loky is not installed (extra ``pdf``).
    """
    with PagePrinter(workers=workers, page_timeout_s=page_timeout_s) as printer:
        waiting = (_submitted(printer, page, budget) for page in pages)
        for image in look_ahead(waiting, printer.ahead):
            yield image()


class PagePrinter:
    """A number of processes that draw pages.

    Use it in a ``with`` block; the end of the block ends the processes.
    """

    def __init__(
        self,
        *,
        workers: int,
        page_timeout_s: float | None = None,
        draw: Callable[[PageAddress, PixelBudget], DrawnPage] = draw_elsewhere,
    ) -> None:
        """Start no process yet.

        Args:
            workers: Number of processes. 0 draws pages in this process, at once and without a
                limit of time.
            page_timeout_s: Seconds after which a page ends its process; None uses 60. Then the page
                gets the same time once more, alone in a process, before it is reported as bad.
            draw: The function that the processes call.
        """
        if workers < 0:
            raise OptionError(f"workers={workers}; it must be at least 0.")
        if page_timeout_s is None:
            page_timeout_s = PAGE_TIMEOUT_S
        elif not workers:
            raise OptionError(
                f"page_timeout_s={page_timeout_s:g}, but pages are drawn in this process, where "
                f"there is no limit of time. Draw them in another process: workers=1 (sync_index: "
                f"render_workers=1; vdr index: --workers 1)."
            )
        if not 0 < page_timeout_s <= LONGEST_LIMIT_S:
            raise OptionError(
                f"page_timeout_s={page_timeout_s} (vdr index: --page-timeout); it must be above 0 "
                f"and at most {LONGEST_LIMIT_S:,} seconds."
            )
        self.ahead = _AHEAD_OF_EACH * workers
        self._workers = workers
        self._draw = partial(draw_in_time, draw, page_timeout_s)
        self._page_timeout_s = page_timeout_s
        self._processes = Processes(workers)

    def submit(self, page: PdfPage, budget: PixelBudget) -> Callable[[], DrawnPage]:
        """Begin to draw a page.

        Returns:
            A function that waits for the drawn page. It raises PageError for a bad page, and
            ResourceError if no process can be started to draw it once more.

        Raises:
            ResourceError: The processes cannot be started.
            MissingExtraError: loky is not installed (extra ``pdf``).
        """
        file = page.file
        if not self._workers or file.path is None:
            drawn = _tried(page, budget)
            return drawn.result
        address = PageAddress(file.path, file.sha256, file.source, file.limits, page.page_number)
        future = self._processes.submit(self._draw, address, budget)
        return lambda: self._result(future, address, budget)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        self._processes.end()

    def _result(
        self, future: Future[DrawnPage], address: PageAddress, budget: PixelBudget
    ) -> DrawnPage:
        try:
            return future.result()
        except BrokenProcessPool:
            return self._alone(address, budget)

    def _alone(self, address: PageAddress, budget: PixelBudget) -> DrawnPage:
        # Any of the pages that were being drawn may have ended the process. So each gets a process
        # of its own now.
        spared = Processes(1)
        try:
            spared.start(be_ready)
            began = time.monotonic()
            try:
                return spared.submit(self._draw, address, budget).result()
            except BrokenProcessPool as problem:
                raise PageRenderError(
                    self._why(took_s=time.monotonic() - began),
                    source=address.source,
                    page_number=address.page_number,
                ) from problem
        finally:
            spared.end()

    def _why(self, *, took_s: float) -> str:
        if took_s < self._page_timeout_s:
            return (
                "MuPDF ended its process while drawing it; it is damaged, or made to do harm. "
                "Leave the page out."
            )
        return (
            f"MuPDF had not drawn it after {self._page_timeout_s:g} s; it has too much content, or "
            f"is made to do harm. Leave the page out, raise page_timeout_s (vdr index: "
            f"--page-timeout), or draw it without a limit of time (workers=0)."
        )


def look_ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """Yield each item when ``count`` more items have been made, or when there are no more."""
    ready: deque[Item] = deque()
    for item in items:
        ready.append(item)
        if len(ready) > count:
            yield ready.popleft()
    yield from ready


def _submitted(
    printer: PagePrinter, page: PageInput, budget: PixelBudget
) -> Callable[[], PageImage]:
    if isinstance(page, PdfPage):
        drawn = printer.submit(page, budget)
        return lambda: drawn().image
    image = as_page(page)
    name = image.source if isinstance(image, PageImage) else "page"
    return lambda: PageImage(image.render(budget), source=name)


def _tried(page: PdfPage, budget: PixelBudget) -> Future[DrawnPage]:
    future: Future[DrawnPage] = Future()
    try:
        future.set_result(drawn_page(page, budget))
    except PageError as error:
        future.set_exception(error)
    return future
