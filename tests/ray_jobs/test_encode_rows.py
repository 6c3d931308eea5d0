"""Pages in a pipeline of Ray Data."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import ray.data
from PIL import Image

from vdr_integrations import load_encoder
from vdr_integrations.errors import OptionError, PageError
from vdr_integrations.ray_jobs import EncodeRows

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIONS: dict[str, Any] = {"device": "cpu", "max_visual_tokens": 64}
IMAGES = [Image.new("RGB", (140 + 28 * n, 200), (250, 40 * n, 0)) for n in range(4)]


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("model", ["nano", "nano-colqwen2"])
def test_a_pipeline_gives_the_vectors_of_the_encoder(model: str) -> None:
    rows = ray.data.from_items([{"name": n, "image": png(one)} for n, one in enumerate(IMAGES)])
    found: Sequence[dict[str, Any]] = rows.map_batches(
        EncodeRows,
        fn_constructor_kwargs={"model": model, **OPTIONS},
        compute=ray.data.ActorPoolStrategy(size=2),
        batch_size=2,
    ).take_all()
    encoder = load_encoder(model, **OPTIONS)
    assert len(found) == len(IMAGES)
    for row in found:
        wanted = encoder.encode_pages([IMAGES[row["name"]]])[0]
        np.testing.assert_allclose(row["vector"], wanted, atol=1e-5)


def test_arrays_are_images_too_and_other_columns_stay() -> None:
    encode = EncodeRows("nano", column="page", vectors="found", **OPTIONS)
    pixels = np.stack([np.asarray(IMAGES[0]), np.asarray(IMAGES[0])])
    found = encode({"page": pixels, "name": np.array(["a", "b"])})
    assert list(found) == ["page", "name", "found"]
    np.testing.assert_allclose(found["found"], encode.encoder.encode_pages([IMAGES[0]] * 2))


def test_what_is_no_image_is_refused_by_its_row() -> None:
    encode = EncodeRows("nano", **OPTIONS)
    with pytest.raises(OptionError, match="no column 'image'"):
        encode({"picture": np.array([b""], object)})
    with pytest.raises(PageError, match="row 1"):
        encode({"image": np.array([png(IMAGES[0]), b"torn"], object)})
    with pytest.raises(OptionError, match="row 0 has str"):
        encode({"image": np.array(["x"], object)})
