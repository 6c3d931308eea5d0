"""An image file, or its bytes, as a page: it is decoded when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdr_integrations.errors import ImageDecodeError
from vdr_integrations.pages.drawing.drawn_page import DrawnPage
from vdr_integrations.pages.images.decode import check_pixels, decode_image
from vdr_integrations.pages.processes.failures import why_ended
from vdr_integrations.pages.processes.process_pool import (
    Lane,
    default_lane,
    done_here,
    result_of,
    shared_pool,
)
from vdr_integrations.pages.read_file import whole_file
from vdr_integrations.types import PageImage

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from PIL import Image

    from vdr_integrations.pages.file_limits import ImageLimits
    from vdr_integrations.pages.process_limits import ProcessLimits
    from vdr_integrations.pages.processes.child_process import ChildProcess
    from vdr_integrations.types import PixelBudget

__all__ = ["Picture"]


class Picture:
    """A picture that is not decoded yet: a thousand photographs fit into memory.

    Pillow works in another process, with limits. What is drawn at the size of a pixel budget is
    made smaller there.

    Attributes:
        source: Name of the picture in errors.
        content: Its path, or its bytes.
    """

    def __init__(
        self,
        content: Path | bytes,
        *,
        source: str,
        limits: ImageLimits,
        process_limits: ProcessLimits | None,
    ) -> None:
        """Open nothing yet.

        Args:
            content: Path of a regular file, or bytes.
            source: Name of the picture in errors.
            limits: Largest numbers of pixels and bytes.
            process_limits: Limits of the process that decodes it. None decodes it in this process,
                without limits.
        """
        self.source = source
        self.content = content
        self._limits = limits
        self._process_limits = process_limits

    def opened(self) -> PageImage:
        """The picture at its own size.

        Raises:
            ImageDecodeError: Missing, damaged, not an image, or a process limit was exceeded.
            ImageTooLargeError: More pixels than ``ImageLimits`` allows.
            ResourceError: This machine cannot open more files, or start a process.
        """
        lane = default_lane()
        return PageImage(result_of(self._begin(None, lane), lane), source=self.source)

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
            PageImage(result_of(future, lane), source=self.source), page_label="1", text=""
        )

    def _begin(self, budget: PixelBudget | None, lane: Lane) -> Future[Image.Image]:
        limits = self._process_limits
        if limits is None:
            return done_here(
                lambda: self._decoded_here(budget),
                shortage=lambda: ImageDecodeError(
                    "there was not enough memory to decode it. Close other programs, or leave it "
                    "out.",
                    source=self.source,
                ),
            )
        return shared_pool(limits).submit(
            lambda child: self._decoded_by(child, budget),
            failure=lambda end: ImageDecodeError(
                why_ended(end, limits, doing="decode it"), source=self.source
            ),
            lane=lane,
        )

    def _decoded_here(self, budget: PixelBudget | None) -> Image.Image:
        data = self.content
        if not isinstance(data, bytes):
            data = whole_file(
                data,
                source_name=self.source,
                max_file_bytes=self._limits.max_file_bytes,
                error=ImageDecodeError,
            )
        image = decode_image(data, source=self.source, limits=self._limits)
        page = PageImage(image, source=self.source)
        return page.image if budget is None else page.render(budget)

    def _decoded_by(self, child: ChildProcess, budget: PixelBudget | None) -> Image.Image:
        reply = child.open_file("open_image", self.content, source=self.source, limits=self._limits)
        with child.believed():
            width, height = int(reply["width"]), int(reply["height"])
        check_pixels(width, height, source=self.source, limits=self._limits)
        if budget is not None:
            height, width = budget.fit(height=height, width=width, source=self.source)
        child.make_room(height=height, width=width)
        reply = child.ask(
            {"do": "image_pixels", "height": height, "width": width}, source=self.source
        )
        return child.image(reply, height=height, width=width)
