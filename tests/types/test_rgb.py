from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vdr_integrations.errors import ImageDecodeError
from vdr_integrations.types import to_rgb

MODES = ["1", "L", "P", "LA", "PA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB"]
GREYS = ["HSV", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"]


@pytest.mark.parametrize("mode", MODES + GREYS)
def test_every_mode_of_pil_becomes_rgb(mode: str) -> None:
    converted = to_rgb(Image.new(mode, (7, 5)))
    assert (converted.mode, converted.size) == ("RGB", (7, 5))


def test_an_upright_rgb_image_is_returned_as_it_is() -> None:
    image = Image.new("RGB", (4, 4))
    assert to_rgb(image) is image


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
@pytest.mark.parametrize("value", [0, 200, 256, 0xFFFF])
def test_sixteen_bits_keep_their_high_byte_in_any_byte_order(mode: str, value: int) -> None:
    order = ">u2" if mode == "I;16B" else "<u2"
    image = Image.frombytes(mode, (2, 2), np.full((2, 2), value, order).tobytes())
    assert to_rgb(image).getpixel((0, 0)) == (value >> 8,) * 3


def test_half_transparent_black_is_grey_on_paper() -> None:
    for image in (Image.new("LA", (2, 2), (0, 128)), Image.new("RGBA", (2, 2), (0, 0, 0, 128))):
        assert to_rgb(image).getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.int32, [0, 255], [0, 255]),
        (np.int32, [0, 256], [0, 1]),
        (np.int32, [128, 65535], [0, 255]),
        (np.float32, [0.0, 1.0], [0, 255]),
        (np.float32, [0.5, 1.0], [128, 255]),
        (np.float32, [1.0, 255.0], [1, 255]),
    ],
)
def test_wide_grey_is_scaled_to_its_white(
    dtype: type[np.generic], values: list[float], expected: list[int]
) -> None:
    converted = to_rgb(Image.fromarray(np.array([values], dtype=dtype)))
    assert np.asarray(converted)[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0, 65_536]], np.int32),
        np.array([[-1, 9]], np.int32),
        np.array([[0.0, 256.0]], np.float32),
        np.array([[-0.5, 1.0]], np.float32),
        np.array([[0.0, np.nan]], np.float32),
        np.array([[0.0, np.inf]], np.float32),
    ],
)
def test_grey_without_a_defined_white_is_refused(array: np.ndarray) -> None:
    with pytest.raises(ImageDecodeError, match="has a defined meaning"):
        to_rgb(Image.fromarray(array))
