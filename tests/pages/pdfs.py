"""PDFs made on the spot, and the pixels to look for in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymupdf

if TYPE_CHECKING:
    from PIL import Image

A4 = (595.0, 842.0)
RED = (255, 0, 0)
WHITE = (255, 255, 255)


def make_pdf(
    texts: list[str] | None = None, *, size: tuple[float, float] = A4, **save_options: Any
) -> bytes:
    """One page per text."""
    with pymupdf.open() as document:
        for text in ["one", "two", "three"] if texts is None else texts:
            page = document.new_page(width=size[0], height=size[1])
            page.insert_text((50, 100), text)
        return document.tobytes(**save_options)


def make_locked_pdf(*, user: str, owner: str = "owner") -> bytes:
    """Three pages, encrypted; an empty user password locks nothing but editing."""
    method = pymupdf.PDF_ENCRYPT_AES_256  # pyright: ignore[reportAttributeAccessIssue]  # set at run time
    return make_pdf(encryption=method, user_pw=user, owner_pw=owner)


def make_marked_pdf(
    *, size: tuple[float, float] = (400, 300), rotation: int = 0, keys: dict[str, str] | None = None
) -> bytes:
    """A page with a red quarter in the upper left, as it lies before it is turned.

    Args:
        size: Width and height in points, before turning.
        rotation: Degrees clockwise.
        keys: Entries of the page object, in PDF syntax: ``{"CropBox": "[0 0 10 10]"}``.
    """
    with pymupdf.open() as document:
        page = document.new_page(width=size[0], height=size[1])
        page.draw_rect((0, 0, size[0] / 2, size[1] / 2), color=None, fill=(1, 0, 0))
        page.set_rotation(rotation)
        for key, value in (keys or {}).items():
            document.xref_set_key(page.xref, key, value)
        return document.tobytes()


def make_pdf_with_page_keys(*pages: dict[str, str]) -> bytes:
    """A text page per dict, with these entries set in its page object."""
    with pymupdf.open() as document:
        for number, keys in enumerate(pages, start=1):
            page = document.new_page()
            page.insert_text((50, 100), f"page {number}")
            for key, value in keys.items():
                document.xref_set_key(page.xref, key, value)
        return document.tobytes()


def quarters(image: Image.Image) -> dict[str, tuple[int, ...]]:
    """The colour in the middle of each quarter."""
    width, height = image.size
    return {
        f"{row} {column}": image.getpixel((int(width * x), int(height * y)))  # pyright: ignore[reportReturnType]  # RGB
        for row, y in (("upper", 0.25), ("lower", 0.75))
        for column, x in (("left", 0.25), ("right", 0.75))
    }
