"""A picture as a page: an image file, or a page of a TIFF. It is decoded when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import ImageDecodeError, PageError, PageGeometryError, PageLimitError
from vdr_integrations.pages.drawing.drawn_page import DrawnPage
from vdr_integrations.pages.images.decode import check_pixels
from vdr_integrations.pages.images.picture_file import NOT_ENOUGH_MEMORY
from vdr_integrations.pages.processes.failures import why_ended
from vdr_integrations.pages.processes.process_pool import (
    Lane,
    default_lane,
    done_here,
    result_of,
    shared_pool,
)
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from PIL import Image

    from vdr_integrations.pages.images.picture_file import PictureFile
    from vdr_integrations.pages.process_limits import ProcessLimits
    from vdr_integrations.pages.processes.child_process import ChildProcess, ProcessEndedError
    from vdr_integrations.types import PixelBudget

__all__ = ["Picture"]


class Picture:
    """A picture that is not decoded yet: a thousand photographs fit into memory.

    Pillow works in another process, with limits. What is drawn at the size of a pixel budget is
    made smaller there.
    """

    size_pt = None
    """A picture has pixels, and no size in points."""

    def __init__(self, file: PictureFile, page_number: int = 1) -> None:
        """Decode nothing yet.

        Args:
            file: The file that it is in.
            page_number: Its page in the file, 1-based.
        """
        self._file = file
        self._page_number = page_number

    @property
    def source(self) -> str:
        """Name of the file in errors."""
        return self._file.source

    @property
    def content(self) -> Path | bytes:
        """Path of the file, or its bytes."""
        return self._file.content

    @property
    def page_number(self) -> int:
        """Number of the page, 1-based."""
        return self._page_number

    @property
    def total_pages(self) -> int:
        """Number of pages of the file."""
        return self._file.page_count

    def opened(self) -> PageImage:
        """The picture at its own size.

        Raises:
            ImageDecodeError: Missing, damaged, not an image, or a process limit was exceeded.
            ImageTooLargeError: More pixels than ``ImageLimits`` allows.
            PageLimitError: A page of a TIFF exceeded a process limit.
            ResourceError: This machine cannot open more files, or start a process.
        """
        lane = default_lane()
        return PageImage(result_of(self._begin(None, lane), lane), source=str(self))

    def render(self, budget: PixelBudget) -> Image.Image:
        """The picture, resized to what ``budget`` asks for; errors as :meth:`opened`.

        Raises:
            PageGeometryError: It is too elongated for the budget.
        """
        lane = default_lane()
        return result_of(self._begin(budget, lane), lane)

    def begin(self, budget: PixelBudget, *, lane: Lane | None = None) -> Callable[[], DrawnPage]:
        """Begin to draw it.

        Args:
            budget: Size of the image.
            lane: Whose work it is, where other processes do it.

        Returns:
            A function that waits for the page. It raises what :meth:`render` raises.
        """
        lane = default_lane() if lane is None else lane
        future = self._begin(budget, lane)
        return lambda: DrawnPage(
            PageImage(result_of(future, lane), source=str(self)),
            page_label=str(self._page_number),
            text="",
        )

    def __str__(self) -> str:
        """``scan.tiff page 3``; ``photo.jpg`` if the file has one page."""
        return self.source if self._number is None else f"{self.source} page {self._number}"

    @property
    def _number(self) -> int | None:
        """The page number that errors name; None if the file has one page."""
        return None if self.total_pages == 1 else self._page_number

    def _begin(self, budget: PixelBudget | None, lane: Lane) -> Future[Image.Image]:
        limits = self._file.process_limits
        if limits is None:
            return done_here(
                lambda: self._decoded_here(budget),
                shortage=lambda: ImageDecodeError(
                    NOT_ENOUGH_MEMORY, source=self.source, page_number=self._number
                ),
            )
        return shared_pool(limits).submit(
            lambda child: self._decoded_by(child, budget),
            failure=lambda end: self._too_costly(end, limits),
            lane=lane,
            key=self._file.key,
        )

    def _too_costly(self, end: ProcessEndedError, limits: ProcessLimits) -> PageError:
        reason = why_ended(end, limits, doing="decode it")
        if self._number is None:
            return ImageDecodeError(reason, source=self.source)
        return PageLimitError(reason, source=self.source, page_number=self._number)

    def _decoded_here(self, budget: PixelBudget | None) -> Image.Image:
        image = self._file.decoded(self._page_number)
        if budget is None:
            return image
        height, width = self._fit(budget, height=image.height, width=image.width)
        return PageImage(image).resized(height=height, width=width)

    def _decoded_by(self, child: ChildProcess, budget: PixelBudget | None) -> Image.Image:
        reply = self._file.decoded_by(child, self._page_number)
        with child.believed():
            width, height = int(reply["width"]), int(reply["height"])
        check_pixels(width, height, source=self.source, limits=self._file.limits)
        if budget is not None:
            height, width = self._fit(budget, height=height, width=width)
        child.make_room(height=height, width=width)
        reply = child.ask(
            {"do": "image_pixels", "height": height, "width": width}, source=self.source
        )
        return child.image(reply, height=height, width=width)

    def _fit(self, budget: PixelBudget, *, height: int, width: int) -> tuple[int, int]:
        try:
            return budget.fit(height=height, width=width, source=self.source)
        except PageGeometryError as problem:
            raise PageGeometryError(
                problem.reason, source=self.source, page_number=self._number
            ) from None
