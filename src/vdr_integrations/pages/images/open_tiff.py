"""A TIFF that is open in this process: its pages are counted, and decoded one by one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from vdr_integrations.errors import ImageDecodeError, ImageTooLargeError
from vdr_integrations.pages.images.decode import decode_image
from vdr_integrations.pages.images.tiff_directories import page_places
from vdr_integrations.types.computed_once import computed_once

if TYPE_CHECKING:
    from PIL import Image

    from vdr_integrations.pages.file_limits import ImageLimits

__all__ = ["OpenTiff"]


class OpenTiff:
    """The bytes of a TIFF, and where its pages are."""

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
        self._data = data
        self._source = source
        self._limits = limits
        self._places = page_places(data, source=source, most=max_pages)

    @property
    def page_count(self) -> int:
        """Number of pages."""
        return len(self._places)

    @computed_once
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return hashlib.sha256(self._data).hexdigest()

    def decoded(self, page_number: int) -> Image.Image:
        """A page, upright and RGB. The other pages are not looked at.

        Raises:
            ImageDecodeError: The page is damaged.
            ImageTooLargeError: It has more pixels than the limits allow.
        """
        place = self._places[page_number - 1]
        try:
            return decode_image(self._data, source=self._source, limits=self._limits, place=place)
        except (ImageDecodeError, ImageTooLargeError) as error:
            if self.page_count == 1:
                raise
            raise type(error)(
                error.reason, source=self._source, page_number=page_number
            ) from error.__cause__
