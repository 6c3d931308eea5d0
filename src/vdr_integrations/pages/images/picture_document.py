"""Open a picture as a sequence of pages: an image is one page, a TIFF may have more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, overload

from vdr_integrations.errors import ImageDecodeError
from vdr_integrations.pages.file_kind import is_tiff
from vdr_integrations.pages.file_limits import DEFAULT_IMAGE_LIMITS
from vdr_integrations.pages.images.picture import Picture
from vdr_integrations.pages.images.picture_file import ImageFile, TiffFile
from vdr_integrations.pages.read_file import file_content

if TYPE_CHECKING:
    from pathlib import Path

    from vdr_integrations.pages.images.picture_file import PictureFile
    from vdr_integrations.pages.process_limits import ProcessLimits

__all__ = ["PictureDocument", "open_pictures"]


def open_pictures(
    content: Path | bytes,
    *,
    source: str,
    first_bytes: bytes,
    process_limits: ProcessLimits | None,
) -> PictureDocument:
    """The pages of a picture.

    A TIFF is opened, and its pages are counted. Each page is decoded when you ask for it. Any other
    picture is one page and is not opened yet: the page says what is wrong with it.

    Args:
        content: Path of a regular file, or bytes.
        source: Its name in errors.
        first_bytes: What the file begins with.
        process_limits: Limits of the process that decodes it; None decodes it in this process.

    Raises:
        ImageDecodeError: It is too large, or a TIFF that is damaged as a whole or has too many
            pages.
        ResourceError: This machine cannot open more files, or start a process.
    """
    limits = DEFAULT_IMAGE_LIMITS
    content = file_content(
        content, source_name=source, max_file_bytes=limits.max_file_bytes, error=ImageDecodeError
    )
    kind = TiffFile if is_tiff(first_bytes) else ImageFile
    return PictureDocument(
        kind(content, source=source, limits=limits, process_limits=process_limits)
    )


class PictureDocument(Sequence[Picture]):
    """The pages of a picture. Use it in a ``with`` block: then processes close it at its end."""

    def __init__(self, file: PictureFile) -> None:
        """Wrap a file. Use :func:`open_pictures` instead."""
        self._file = file

    @property
    def source(self) -> str:
        """The path as it was given, or the caller's name for it."""
        return self._file.source

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, 64 lower-case hexadecimal digits.

        Raises:
            ImageDecodeError: The file cannot be read.
        """
        return self._file.sha256

    @property
    def is_elsewhere(self) -> bool:
        """Whether other processes decode it."""
        return self._file.process_limits is not None

    def close(self) -> None:
        """Let processes close the file. A second call does nothing."""
        self._file.close()

    def __len__(self) -> int:
        """Number of pages."""
        return self._file.page_count

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> list[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | list[Picture]:
        """Pages by 0-based position, as in any sequence; ``page_number`` is one more."""
        positions = range(len(self))[index]
        if isinstance(positions, range):
            return [Picture(self._file, position + 1) for position in positions]
        return Picture(self._file, positions + 1)

    def __enter__(self) -> Self:
        """The document."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Name and length, never content."""
        return f"PictureDocument({self.source!r}, {len(self)} pages)"
