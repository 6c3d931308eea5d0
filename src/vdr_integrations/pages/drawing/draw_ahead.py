"""Draw pages in other processes, before they are needed."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from vdr_integrations.errors import OptionError
from vdr_integrations.pages.processes.process_pool import Lane, end_work
from vdr_integrations.types import PageImage, as_page

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from vdr_integrations.pages.drawing.drawn_page import DrawnPage
    from vdr_integrations.types import PageInput, PixelBudget

__all__ = ["Drawable", "ahead", "look_ahead", "own_lane", "render_ahead"]

Item = TypeVar("Item")

_AHEAD_OF_EACH = 4
"""Pages begun ahead for each process. One takes 1.8 MB at 768 visual tokens."""


@runtime_checkable
class Drawable(Protocol):
    """A page that other processes can draw: of a PDF, or a picture."""

    def begin(self, budget: PixelBudget, *, lane: Lane | None = None) -> Callable[[], DrawnPage]:
        """Begin to draw it; the function waits for the drawn page."""
        ...


def render_ahead(
    pages: Iterable[PageInput], *, budget: PixelBudget, workers: int
) -> Iterator[PageImage]:
    """Draw pages at their final size in other processes, while you use the pages before them.

        with open_pdf("report.pdf") as document:
            pages = render_ahead(document, budget=encoder.pixel_budget, workers=4)
            vectors = encoder.encode_pages(pages)

    Pages of a PDF that was opened with ``process_limits=None`` and pages that are images already
    are drawn in your process.

    Args:
        pages: Any number of pages; a few are read ahead.
        budget: The encoder's ``pixel_budget``.
        workers: Number of processes that draw at a time. 0 draws each page when it is needed, by
            the process that opened it.

    Yields:
        The drawn pages, in the order of ``pages``.

    Raises:
        PageError: A page cannot be drawn.
        OptionError: ``workers`` is negative.
        ResourceError: A process cannot be started.
    """
    if workers < 0:
        raise OptionError(f"workers={workers}; it must be at least 0.")
    with own_lane(max(workers, 1)) as lane:
        waiting = (_begun(page, budget, lane) for page in pages)
        for image in look_ahead(waiting, ahead(workers)):
            yield image()


def ahead(workers: int) -> int:
    """How many pages are begun before they are needed, for this number of processes."""
    return _AHEAD_OF_EACH * workers


@contextmanager
def own_lane(processes: int) -> Generator[Lane]:
    """A lane whose work ends with the block; an interrupt ends the processes at work."""
    lane = Lane(processes)
    try:
        yield lane
    except BaseException as error:
        # An interrupt must not wait for a page; after an error a page may end in peace.
        end_work(lane, at_once=not isinstance(error, Exception | GeneratorExit))
        raise


def look_ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """Yield each item when ``count`` more items have been made, or when there are no more."""
    ready: deque[Item] = deque()
    for item in items:
        ready.append(item)
        if len(ready) > count:
            yield ready.popleft()
    yield from ready


def _begun(page: PageInput, budget: PixelBudget, lane: Lane) -> Callable[[], PageImage]:
    if isinstance(page, Drawable):
        drawn = page.begin(budget, lane=lane)
        return lambda: drawn().image
    image = as_page(page)
    name = image.source if isinstance(image, PageImage) else "page"
    return lambda: PageImage(image.render(budget), source=name)
