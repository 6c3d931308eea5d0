"""A page is computed once in a run, and again if anything that the pass depends on is another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.prepared.seen_pages import FOLDER, remembering
from tests.tiny_checkpoint import write_tiny_checkpoint
from tests.tiny_colqwen2 import write_base

from vdr_integrations import DenseEncoder, MultiVectorEncoder
from vdr_integrations.encoders.forward.backbone import Backbone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from tests.prepared.python import PreparedPython

    from vdr_integrations.encoders.preprocessing.prepared import PreparedPage

LARGE, SMALL = (280, 560), (112, 140)


def noise(size: tuple[int, int] = LARGE, sigma: int = 90) -> Image.Image:
    return Image.effect_noise(size, sigma).convert("RGB")


@pytest.fixture
def computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pages each pass had. What is kept is in a folder of this test."""
    passes: list[int] = []
    original = Backbone.pages

    def compute(backbone: Backbone, pages: Sequence[PreparedPage]) -> Sequence[NDArray[np.float32]]:
        passes.append(len(pages))
        return original(backbone, pages)

    folder = tmp_path / "seen"
    folder.mkdir()
    monkeypatch.setattr(Backbone, "pages", remembering(folder, compute))
    return passes


def test_a_page_is_computed_once_with_the_same_vector(
    computed: list[int], tiny_checkpoint: Path
) -> None:
    first, second = noise(), noise()
    encoder = DenseEncoder.load(str(tiny_checkpoint), device="cpu")
    found = encoder.encode_pages([first])
    both = encoder.encode_pages([second, first])
    assert computed == [1, 1]
    assert (both[1] == found[0]).all()
    assert (encoder.encode_pages([second])[0] == both[0]).all()
    assert computed == [1, 1]
    assert (both[0] != both[1]).any()


def test_late_interaction_too(computed: list[int], tmp_path: Path) -> None:
    write_base(tmp_path / "colqwen2-base")
    encoder = MultiVectorEncoder.load(str(tmp_path / "colqwen2-base"), device="cpu")
    page = noise()
    (first,), (again,) = encoder.encode_pages([page]), encoder.encode_pages([page])
    assert computed == [1]
    assert (first == again).all()


def test_a_small_page_is_computed_each_time(computed: list[int], tiny_checkpoint: Path) -> None:
    encoder = DenseEncoder.load(str(tiny_checkpoint), device="cpu")
    page = noise(SMALL)
    encoder.encode_pages([page])
    encoder.encode_pages([page])
    assert computed == [1, 1]


def test_another_pixel_another_shape_other_weights_prompts_and_formats_are_computed(
    computed: list[int], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    page = noise()
    model = str(tiny_checkpoint)
    encoder = DenseEncoder.load(model, device="cpu", dtype="float32")
    vectors = [encoder.encode_pages([page])]
    altered = page.copy()
    altered.putpixel((5, 5), (1, 2, 3))
    vectors.append(encoder.encode_pages([altered]))
    plain = Image.new("RGB", LARGE, "white")
    vectors.append(encoder.encode_pages([plain]))
    vectors.append(encoder.encode_pages([plain.transpose(Image.Transpose.ROTATE_90)]))
    other = str(write_tiny_checkpoint(tmp_path / "vdr-2b-multi-v1", seed=1))
    vectors.append(DenseEncoder.load(other, device="cpu", dtype="float32").encode_pages([page]))
    vectors.append(DenseEncoder.load(model, device="cpu", dtype="bfloat16").encode_pages([page]))
    said = replace(encoder.checkpoint, page_prompt=encoder.checkpoint.page_prompt + "!")
    vectors.append(
        DenseEncoder.load(model, device="cpu", dtype="float32", checkpoint=said).encode_pages(
            [page]
        )
    )
    assert computed == [1] * len(vectors)
    assert len({one.tobytes() for one in vectors}) == len(vectors)


def test_a_program_of_a_prepared_python_reads_and_keeps_them_if_it_is_asked_to(
    prepared_python: PreparedPython, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    program = (
        "import sys\nfrom PIL import Image\nfrom vdr_integrations import DenseEncoder\n"
        "page = Image.linear_gradient('L').resize((280, 560)).convert('RGB')\n"
        "encoder = DenseEncoder.load(sys.argv[1], device='cpu')\n"
        "print(encoder.encode_pages([page]).tolist())"
    )
    arguments = ("-c", program, str(tiny_checkpoint))
    plain = prepared_python.run(*arguments, env={})
    first = prepared_python.run(*arguments, env={FOLDER: str(tmp_path)})
    (kept,) = tmp_path.glob("*.npy")
    assert plain.stdout == first.stdout != ""
    np.save(kept, np.load(kept)[::-1])
    assert prepared_python.run(*arguments, env={FOLDER: str(tmp_path)}).stdout not in {
        "",
        plain.stdout,
    }
