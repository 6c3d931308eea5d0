"""A picture's file: one image, or a TIFF whose pages are images."""

from __future__ import annotations

import hashlib
import weakref
from typing import TYPE_CHECKING, Protocol

from vdr_integrations.errors import ImageDecodeError
from vdr_integrations.pages.file_limits import DEFAULT_RENDER_LIMITS
from vdr_integrations.pages.images.decode import decode_image
from vdr_integrations.pages.images.open_tiff import OpenTiff
from vdr_integrations.pages.processes.failures import why_ended
from vdr_integrations.pages.processes.held_file import HeldFile
from vdr_integrations.pages.processes.process_pool import (
    close_document,
    default_lane,
    done_here,
    result_of,
    shared_pool,
)
from vdr_integrations.pages.read_file import whole_file
from vdr_integrations.types.computed_once import computed_once

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from vdr_integrations.pages.file_limits import ImageLimits
    from vdr_integrations.pages.process_limits import ProcessLimits
    from vdr_integrations.pages.processes.child_process import ChildProcess
    from vdr_integrations.pages.processes.messages import Message

__all__ = ["NOT_ENOUGH_MEMORY", "ImageFile", "PictureFile", "TiffFile"]

NOT_ENOUGH_MEMORY = (
    "there was not enough memory to decode it. Close other programs, or leave it out."
)
_MAX_PAGES = DEFAULT_RENDER_LIMITS.max_pages


class PictureFile(Protocol):
    """A file of pictures, which this process decodes, or one with limits.

    Attributes:
        source: Its name in errors.
        content: Its path, or its bytes.
        limits: Largest numbers of pixels and bytes.
        process_limits: Limits of the process that decodes it; None decodes it in this process.
        page_count: Number of its pages.
        key: Its number among the files that processes hold open; None if they do not.
    """

    source: str
    content: Path | bytes
    limits: ImageLimits
    process_limits: ProcessLimits | None
    page_count: int
    key: int | None

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, 64 lower-case hexadecimal digits."""
        ...

    def decoded(self, page_number: int) -> Image.Image:
        """Decode a page in this process: upright, RGB."""
        ...

    def decoded_by(self, child: ChildProcess, page_number: int) -> Message:
        """Let a process decode a page. Its answer says ``width`` and ``height``."""
        ...

    def close(self) -> None:
        """Let processes close it. A second call does nothing."""


class ImageFile:
    """A file of one image; see :class:`PictureFile`. It is opened when it is decoded."""

    def __init__(
        self,
        content: Path | bytes,
        *,
        source: str,
        limits: ImageLimits,
        process_limits: ProcessLimits | None,
    ) -> None:
        """Open nothing yet."""
        self.source = source
        self.content = content
        self.limits = limits
        self.process_limits = process_limits
        self.page_count = 1
        self.key: int | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, which are read for it.

        Raises:
            ImageDecodeError: The file is missing, too large, or cannot be read.
        """
        return hashlib.sha256(self._data()).hexdigest()

    def decoded(self, page_number: int) -> Image.Image:
        """Decode it in this process; see :class:`PictureFile`."""
        del page_number
        return decode_image(self._data(), source=self.source, limits=self.limits)

    def decoded_by(self, child: ChildProcess, page_number: int) -> Message:
        """Let a process decode it; see :class:`PictureFile`."""
        del page_number
        return child.open_file("open_image", self.content, source=self.source, limits=self.limits)

    def close(self) -> None:
        """Do nothing: no process holds it open."""

    def _data(self) -> bytes:
        return _bytes_of(self.content, source=self.source, limits=self.limits)


class TiffFile:
    """A TIFF; see :class:`PictureFile`. Each process that decodes its pages holds it open."""

    def __init__(
        self,
        content: Path | bytes,
        *,
        source: str,
        limits: ImageLimits,
        process_limits: ProcessLimits | None,
    ) -> None:
        """Open it and count its pages.

        Raises:
            ImageDecodeError: It is damaged as a whole, or above the limits.
            ResourceError: This machine cannot open more files, or start a process.
        """
        self.source = source
        self.content = content
        self.limits = limits
        self.process_limits = process_limits
        self._held = HeldFile(
            "open_tiff",
            content,
            source=source,
            limits=limits,
            page_limit=_MAX_PAGES,
            changed=ImageDecodeError,
            max_pages=_MAX_PAGES,
        )
        self.key: int | None = self._held.key
        if process_limits is None:
            shortage = ImageDecodeError(NOT_ENOUGH_MEMORY, source=source)
            opened = done_here(lambda: self._here, shortage=lambda: shortage)
            self.page_count = opened.result().page_count
            return
        lane = default_lane()
        opened = shared_pool(process_limits).submit(
            self._held.first,
            failure=lambda end: ImageDecodeError(
                why_ended(end, process_limits, doing="open it"), source=source
            ),
            lane=lane,
        )
        result_of(opened, lane)
        self.page_count = self._held.page_count
        finalizer = weakref.finalize(self, close_document, self._held.key, process_limits)
        finalizer.atexit = False
        self._close = finalizer

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return self._here.sha256 if self.process_limits is None else self._held.sha256

    def decoded(self, page_number: int) -> Image.Image:
        """Decode a page in this process; see :class:`PictureFile`."""
        return self._here.decoded(page_number)

    def decoded_by(self, child: ChildProcess, page_number: int) -> Message:
        """Let a process decode a page; see :class:`PictureFile`."""
        self._held.ensure(child)
        return child.ask(
            {"do": "tiff_page", "key": self.key, "page_number": page_number}, source=self.source
        )

    def close(self) -> None:
        """Let processes close it. A second call does nothing."""
        if self.process_limits is not None:
            self._close()

    @computed_once
    def _here(self) -> OpenTiff:
        data = _bytes_of(self.content, source=self.source, limits=self.limits)
        return OpenTiff(data, source=self.source, limits=self.limits, max_pages=_MAX_PAGES)


def _bytes_of(content: Path | bytes, *, source: str, limits: ImageLimits) -> bytes:
    if isinstance(content, bytes):
        return content
    return whole_file(
        content,
        source_name=source,
        max_file_bytes=limits.max_file_bytes,
        error=ImageDecodeError,
    )
