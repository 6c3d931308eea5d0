"""A TIFF that is open in this process: its pages are counted, and decoded one by one."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from vdr_integrations.errors import ImageDecodeError, ImageTooLargeError
from vdr_integrations.pages.images.decode import decode_tiff_page
from vdr_integrations.pages.images.tiff_pages import TiffPages

if TYPE_CHECKING:
    from PIL import Image

    from vdr_integrations.pages.file_limits import ImageLimits

__all__ = ["OpenTiff"]


class OpenTiff:
    """A TIFF, page by page. Several threads may use it; they take turns.

    Attributes:
        sha256: SHA-256 of the file's bytes.
        page_count: Number of pages.
    """

    def __init__(self, data: bytes, *, source: str, limits: ImageLimits, max_pages: int) -> None:
        """Find its pages; nothing is decoded.

        Args:
            data: The file.
            source: Its name in errors.
            limits: Largest number of pixels of a page.
            max_pages: Most pages, with their previews.

        Raises:
            ImageDecodeError: It has more pages, or it cannot be said where they are.
        """
        self._source = source
        self._limits = limits
        self._pages = TiffPages(data, source=source, most=max_pages)
        self._lock = threading.Lock()
        self.page_count = len(self._pages)
        self.sha256 = hashlib.sha256(data).hexdigest()

    def decoded(self, page_number: int) -> Image.Image:
        """A page, upright and RGB. The other pages are not looked at.

        Raises:
            ImageDecodeError: The page is damaged.
            ImageTooLargeError: It has more pixels than the limits allow.
        """
        try:
            with self._lock:
                return decode_tiff_page(
                    self._pages, page_number, source=self._source, limits=self._limits
                )
        except (ImageDecodeError, ImageTooLargeError) as error:
            if self.page_count == 1:
                raise
            raise type(error)(
                error.reason, source=self._source, page_number=page_number
            ) from error.__cause__
