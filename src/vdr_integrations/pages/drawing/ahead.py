"""Drawing pages in processes of their own, ahead of whoever needs them.

MuPDF works in one thread at a time, so one process draws no more than one page at a time: a fast
GPU would wait for it. It also means that a page on which MuPDF crashes or hangs ends a process that
can be spared, and is reported like any other bad page.
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
"""Pages in hand of every process: 1.8 MB each at 768 visual tokens."""
PAGE_TIMEOUT_S = 60.0
"""Ten thousand times what a light page takes."""


def render_ahead(
    pages: Iterable[PageInput],
    *,
    budget: PixelBudget,
    workers: int,
    page_timeout_s: float | None = None,
) -> Iterator[PageImage]:
    """Pages as pictures at their final size, drawn by other processes while you use those before.

        with open_pdf("report.pdf") as document:
            pages = render_ahead(document, budget=encoder.pixel_budget, workers=4)
            vectors = encoder.encode_pages(pages)

    Pages that are no PDF's, PDFs that were opened from bytes and encrypted ones are drawn here.

    Args:
        pages: In any number; read a few ahead.
        budget: The encoder's ``pixel_budget``.
        workers: Processes; 0 draws everything here, when its turn comes.
        page_timeout_s: Seconds after which a process gives a page up; None: a minute. Pages that
            are drawn here have no limit.

    Yields:
        Pages in their order.

    Raises:
        PageError: A page cannot be drawn.
        OptionError: ``workers`` is negative, or ``page_timeout_s`` not above 0 and up to a day, or
            given without workers.
        ResourceError: The processes cannot be started.
        MissingExtraError: loky is not installed (extra ``pdf``).
    """
    with PagePrinter(workers=workers, page_timeout_s=page_timeout_s) as printer:
        waiting = (_submitted(printer, page, budget) for page in pages)
        for image in look_ahead(waiting, printer.ahead):
            yield image()


class PagePrinter:
    """A number of processes that draw pages.

    A context manager; its end ends the processes.
    """

    def __init__(
        self,
        *,
        workers: int,
        page_timeout_s: float | None = None,
        draw: Callable[[PageAddress, PixelBudget], DrawnPage] = draw_elsewhere,
    ) -> None:
        """Start nothing yet.

        Args:
            workers: Processes; none draws pages in this one, at once and without a limit.
            page_timeout_s: Seconds after which a page ends its process; None: a minute. It is given
                the same time once more, alone, before it is called a bad one.
            draw: What they do.
        """
        if workers < 0:
            raise OptionError(f"workers={workers}; it must be at least 0.")
        if page_timeout_s is None:
            page_timeout_s = PAGE_TIMEOUT_S
        elif not workers:
            raise OptionError(
                f"page_timeout_s={page_timeout_s:g}, but pages are drawn in this process, without "
                f"a limit. Ask for others: workers=1 (sync_index: render_workers=1; vdr index: "
                f"--workers 1)."
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
        """Begin to draw a page; calling the result waits for it, PageError if it is a bad one.

        Raises:
            ResourceError: The processes cannot be started; so does calling the result.
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
        # Any page that was being drawn may have ended the process: each has one to itself now.
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
                "Leave it out."
            )
        return (
            f"MuPDF had not drawn it after {self._page_timeout_s:g} s; it is very full, or made to "
            f"do harm. Leave it out, raise page_timeout_s (vdr index: --page-timeout), or draw it "
            f"without a limit (workers=0)."
        )


def look_ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """The items, each when ``count`` more have been made, or all."""
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
