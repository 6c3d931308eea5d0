"""The input of encoders: a page that renders itself inside a pixel budget."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from PIL import Image

from vdr_integrations.errors import OptionError
from vdr_integrations.types.computed_once import computed_once
from vdr_integrations.types.page_ref import PageRef
from vdr_integrations.types.rgb import to_rgb

if TYPE_CHECKING:
    from vdr_integrations.types.pixel_budget import PixelBudget

__all__ = ["Page", "PageImage", "PageInput", "as_page"]


@runtime_checkable
class Page(Protocol):
    """One page, drawn on demand: a PDF page, a photograph, an array."""

    def render(self, budget: PixelBudget) -> Image.Image:
        """RGB image with exactly the size that ``budget`` gives."""
        ...


@dataclass(frozen=True, eq=False)
class PageImage:
    """A page as pixels.

    Attributes:
        image: Upright, mode RGB.
        source: Name of the page in error messages: a path or a label, never content.
    """

    image: Image.Image
    source: str = "image"

    @classmethod
    def from_pil(cls, image: Image.Image, *, source: str = "image") -> PageImage:
        """Page of a PIL image in any mode; see :func:`to_rgb`."""
        return cls(to_rgb(image), source=source)

    def __post_init__(self) -> None:
        """Refuse modes other than RGB, which would be encoded wrongly."""
        if self.image.mode != "RGB":
            raise OptionError(
                f"PageImage needs an RGB image, found mode {self.image.mode}; "
                f"use PageImage.from_pil."
            )

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.image.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.image.height

    @computed_once
    def sha256(self) -> str:
        """SHA-256 of the pixels: ``b"RGB"``, width and height as 4-byte big-endian, then rows.

        It does not depend on the file format or on the program that wrote the file.
        """
        digest = hashlib.sha256(b"RGB")
        digest.update(self.width.to_bytes(4, "big") + self.height.to_bytes(4, "big"))
        digest.update(self.image.tobytes())
        return digest.hexdigest()

    @property
    def ref(self) -> PageRef:
        """The reference of this image in a page store."""
        return PageRef(self.sha256)

    def render(self, budget: PixelBudget) -> Image.Image:
        """The image, resized once (bicubic, as the card does) to the size that ``budget`` gives."""
        height, width = budget.fit(height=self.height, width=self.width, source=self.source)
        return self.resized(height=height, width=width)

    def resized(self, *, height: int, width: int) -> Image.Image:
        """The image at this size, in pixels; resized once (bicubic), or the same object."""
        if (height, width) == (self.height, self.width):
            return self.image
        return self.image.resize((width, height), Image.Resampling.BICUBIC)

    def __repr__(self) -> str:
        """Name and size, never pixels."""
        return f"PageImage({self.source!r}, {self.width} x {self.height})"


PageInput = Page | Image.Image
"""The input of ``encode_pages``. ``vdr_integrations.pages.open_image`` opens anything else."""


def as_page(page: PageInput) -> Page:
    """Make a page of a page or PIL image.

    Raises:
        OptionError: It is something else. Open paths and bytes with ``pages.open_image`` first.
    """
    if isinstance(page, Image.Image):
        return PageImage.from_pil(page)
    if isinstance(page, Page):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
        return page
    raise OptionError(
        f"a page is a PIL image or an object with render(budget), found {type(page).__name__}; "
        f"open paths, bytes and arrays with vdr_integrations.open_image(...)."
    )
