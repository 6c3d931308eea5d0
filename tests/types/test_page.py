from __future__ import annotations

import hashlib

import pytest
from PIL import Image

from vdr_integrations.errors import OptionError, PageGeometryError
from vdr_integrations.types import Page, PageImage, PixelBudget, as_page


def test_the_hash_is_of_the_pixels_and_the_shape() -> None:
    image = Image.new("RGB", (3, 2), (1, 2, 3))
    expected = hashlib.sha256(b"RGB" + b"\0\0\0\x03\0\0\0\x02" + bytes([1, 2, 3]) * 6).hexdigest()
    assert PageImage(image).sha256 == expected
    assert PageImage(image, source="other").ref == PageImage(image.copy()).ref
    assert PageImage(image.resize((2, 3))).sha256 != expected


def test_a_page_image_is_resized_once_and_bicubically() -> None:
    image = Image.effect_noise((1700, 2200), 80).convert("RGB")
    rendered = PageImage(image).render(PixelBudget())
    assert rendered.tobytes() == image.resize((672, 868)).tobytes()  # PIL's default, as the card
    assert PageImage(rendered).render(PixelBudget()) is rendered


def test_a_page_image_that_is_no_page_is_refused_by_name() -> None:
    for size in ((0, 5), (2000, 4)):
        with pytest.raises(PageGeometryError, match=r"^strip\.png: "):
            PageImage(Image.new("RGB", size), source="strip.png").render(PixelBudget())


def test_only_rgb_makes_a_page_image() -> None:
    with pytest.raises(OptionError, match=r"found mode L; use PageImage\.from_pil"):
        PageImage(Image.new("L", (4, 4)))
    assert PageImage.from_pil(Image.new("L", (4, 4))).image.mode == "RGB"


def test_images_and_whatever_renders_are_pages_and_nothing_else_is() -> None:
    image = Image.new("L", (4, 4), 9)
    page = as_page(image)
    assert isinstance(page, Page)
    assert page.render(PixelBudget()).getpixel((0, 0)) == (9, 9, 9)
    assert as_page(page) is page
    with pytest.raises(OptionError, match="found str"):
        as_page("scan.png")  # pyright: ignore[reportArgumentType]  # that is the point
