"""Limits above which a file is refused. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, fields

from vdr_integrations.errors import OptionError

__all__ = ["DEFAULT_IMAGE_LIMITS", "DEFAULT_RENDER_LIMITS", "ImageLimits", "RenderLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """Limits of an image, checked with its header before any pixel is decoded.

    Attributes:
        max_pixels: Width times height. 100 million is an A2 sheet scanned at 600 dpi.
        max_file_bytes: Size of the encoded image.
    """

    max_pixels: int = 100_000_000
    max_file_bytes: int = 256 * 1024**2

    def __post_init__(self) -> None:
        """Refuse limits that no image could meet."""
        _check_positive(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderLimits:
    """Limits of a document.

    Attributes:
        max_file_bytes: Size of the file. It is kept in memory while the document is open.
        max_pages: Number of pages of the document; for a TIFF, with its previews.
        max_side_pt: Longest side of a page box, in PDF user space units. 14,400 is the limit
            of the PDF specification (ISO 32000-1, annex C.2).
        max_text_characters: A longer text layer is cut to this length, and the cut is logged.
    """

    max_file_bytes: int = 1024**3
    max_pages: int = 100_000
    max_side_pt: float = 14_400
    max_text_characters: int = 200_000

    def __post_init__(self) -> None:
        """Refuse limits that no document could meet."""
        _check_positive(self)


def _check_positive(limits: ImageLimits | RenderLimits) -> None:
    for field in fields(limits):
        value = getattr(limits, field.name)
        if not value > 0:
            raise OptionError(
                f"{type(limits).__name__}.{field.name} must be positive, found {value}."
            )


DEFAULT_IMAGE_LIMITS = ImageLimits()
DEFAULT_RENDER_LIMITS = RenderLimits()
