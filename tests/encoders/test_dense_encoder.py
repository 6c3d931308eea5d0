"""What callers of load_encoder and DenseEncoder may rely on."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from vdr_integrations import DenseEncoder, PageImage, PixelBudget, load_encoder
from vdr_integrations.encoders import Checkpoint
from vdr_integrations.encoders.checkpoints.prompts import VDR_PAGE_PROMPT, VDR_QUERY_PROMPT
from vdr_integrations.errors import InvalidVectorError, OptionError, QueryTooLongError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def encoder(tiny_checkpoint: Path) -> DenseEncoder:
    return DenseEncoder.load(str(tiny_checkpoint), device="cpu")


def page(width: int = 120, height: int = 90, *, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def test_vectors_are_normalised_float32_in_the_order_given(encoder: DenseEncoder) -> None:
    pages = [page(seed=seed, width=60 + 40 * (seed % 3)) for seed in range(20)]
    vectors = encoder.encode_pages(pages)
    assert vectors.dtype == np.float32
    assert vectors.shape == (20, encoder.dimension)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for row in (0, 7, 19):
        assert np.array_equal(vectors[row], encoder.encode_pages([pages[row]])[0])


def test_no_items_give_an_array_of_no_rows(encoder: DenseEncoder) -> None:
    assert encoder.encode_pages([]).shape == (0, encoder.dimension)
    assert encoder.encode_queries([]).shape == (0, encoder.dimension)


async def test_no_items_give_an_array_of_no_rows_asynchronously(encoder: DenseEncoder) -> None:
    assert (await encoder.aencode_pages([])).shape == (0, encoder.dimension)
    assert (await encoder.aencode_queries([])).shape == (0, encoder.dimension)


@pytest.mark.parametrize("batch_visual_tokens", [None, 12, 10_000])
def test_a_pages_vector_does_not_depend_on_its_neighbours(
    tiny_checkpoint: Path, batch_visual_tokens: int | None
) -> None:
    encoder = load_encoder(
        str(tiny_checkpoint), device="cpu", batch_visual_tokens=batch_visual_tokens
    )
    pages = [page(seed=seed, width=56 * (1 + seed % 2), height=84) for seed in range(9)]
    together = encoder.encode_pages(pages)
    alone = np.concatenate([encoder.encode_pages([one]) for one in pages])
    assert np.abs(together - alone).max() < 1e-5
    if batch_visual_tokens is None:
        assert np.array_equal(together, alone)


def test_a_querys_vector_does_not_depend_on_its_neighbours(encoder: DenseEncoder) -> None:
    queries = [f"{'word ' * length}?" for length in range(9)]
    together = encoder.encode_queries(queries)
    alone = np.concatenate([encoder.encode_queries([one]) for one in queries])
    assert np.abs(together - alone).max() < 1e-5


def test_the_dimension_is_cut_before_normalising(tiny_checkpoint: Path) -> None:
    full = DenseEncoder.load(str(tiny_checkpoint), device="cpu")
    cut = DenseEncoder.load(str(tiny_checkpoint), device="cpu", dimension=16)
    expected = full.encode_queries(["a"])[:, :16]
    expected /= np.linalg.norm(expected)
    assert cut.dimension == 16
    assert np.allclose(cut.encode_queries(["a"]), expected, atol=1e-6)


def test_equal_options_share_the_loaded_weights(tiny_checkpoint: Path) -> None:
    first = load_encoder(str(tiny_checkpoint), device="cpu")
    second = load_encoder(str(tiny_checkpoint), device="cpu")
    other_dimension = load_encoder(str(tiny_checkpoint), device="cpu", dimension=8)
    other_dtype = load_encoder(str(tiny_checkpoint), device="cpu", dtype="bfloat16")
    assert first.core is second.core is other_dimension.core
    assert first.core is not other_dtype.core


def test_bfloat16_gives_nearly_the_same_vectors_as_float32(tiny_checkpoint: Path) -> None:
    pages = [page(seed=seed) for seed in range(3)]
    exact = DenseEncoder.load(str(tiny_checkpoint), device="cpu").encode_pages(pages)
    half = DenseEncoder.load(str(tiny_checkpoint), device="cpu", dtype="bfloat16").encode_pages(
        pages
    )
    assert half.dtype == np.float32
    assert (exact * half).sum(axis=1).min() > 0.999


def test_any_object_that_renders_itself_is_a_page(encoder: DenseEncoder) -> None:
    class Drawn:
        asked: PixelBudget | None = None

        def render(self, budget: PixelBudget) -> Image.Image:
            self.asked = budget
            return page(112, 84)

    drawn = Drawn()
    assert np.array_equal(encoder.encode_pages([drawn]), encoder.encode_pages([page(112, 84)]))
    assert drawn.asked == encoder.pixel_budget


def test_a_page_that_renders_to_another_size_is_refused(encoder: DenseEncoder) -> None:
    class Stubborn:
        def render(self, budget: PixelBudget) -> Image.Image:
            return page(100, 100)

    with pytest.raises(OptionError, match=r"RGB of 100 x 100.*multiples of 28"):
        encoder.encode_pages([Stubborn()])


def test_an_image_turned_by_exif_is_encoded_upright(encoder: DenseEncoder, tmp_path: Path) -> None:
    upright = page(84, 168)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    with Image.open(path) as turned:
        assert np.array_equal(encoder.encode_pages([turned]), encoder.encode_pages([upright]))


@pytest.mark.parametrize("wrong", ["page.png", b"\x89PNG", 3, None])
def test_what_is_no_page_is_refused_with_the_way_out(encoder: DenseEncoder, wrong: object) -> None:
    with pytest.raises(OptionError, match="open_image"):
        encoder.encode_pages([wrong])  # pyright: ignore[reportArgumentType]  # the point


def test_one_string_is_not_taken_for_many(encoder: DenseEncoder) -> None:
    with pytest.raises(OptionError, match=r"write \[text\]"):
        encoder.encode_queries("revenue")


def test_a_query_that_is_no_string_is_refused(encoder: DenseEncoder) -> None:
    with pytest.raises(OptionError, match="NoneType"):
        encoder.encode_queries([None])  # pyright: ignore[reportArgumentType]  # the point


def test_a_text_longer_than_the_checkpoint_takes_is_refused_with_both_numbers(
    encoder: DenseEncoder,
) -> None:
    with pytest.raises(QueryTooLongError, match=r"3000 characters has \d+ tokens.*accepts 2048"):
        encoder.encode_queries(["x" * 3000])


@pytest.mark.parametrize(
    "text", ["word " * 60_000, "x" * 300_000, "\u732b" * 300_000, " " * 3_000_000]
)
def test_a_text_that_is_far_too_long_is_refused_by_its_beginning(text: str) -> None:
    encoder = load_encoder("nano", device="cpu")
    with pytest.raises(QueryTooLongError, match=f"of {len(text)} characters has more tokens than"):
        encoder.encode_queries([text])


@pytest.mark.parametrize("dimension", [0, -1, 65])
def test_a_dimension_outside_the_model_is_refused(tiny_checkpoint: Path, dimension: int) -> None:
    with pytest.raises(OptionError, match=r"between 1 and 64"):
        load_encoder(str(tiny_checkpoint), device="cpu", dimension=dimension)


def test_a_pixel_budget_beyond_the_models_positions_is_refused(tiny_checkpoint: Path) -> None:
    with pytest.raises(OptionError, match="2048"):
        load_encoder(str(tiny_checkpoint), device="cpu", max_visual_tokens=2000)


def test_a_model_that_gives_nan_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    broken = tmp_path / "vdr-2b-multi-v1"
    shutil.copytree(tiny_checkpoint, broken)
    weights = load_file(broken / "model.safetensors")
    name = next(name for name in weights if name.endswith("visual.merger.ln_q.weight"))
    weights[name][:] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    encoder = load_encoder(str(broken), device="cpu")
    with pytest.raises(InvalidVectorError, match="NaN or infinity for 1 of 1"):
        encoder.encode_pages([page()])


def test_the_fingerprint_says_whether_vectors_may_be_compared(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    from tests.tiny_checkpoint import write_tiny_checkpoint

    def fingerprint(folder: Path = tiny_checkpoint, **options: int | str) -> str:
        return load_encoder(str(folder), device="cpu", **options).fingerprint  # pyright: ignore[reportCallIssue, reportArgumentType]  # one helper for all options

    same = fingerprint()
    assert fingerprint() == fingerprint(dtype="bfloat16") == same
    assert fingerprint(dimension=64) == same
    others = {
        fingerprint(dimension=32),
        fingerprint(max_visual_tokens=512),
        fingerprint(write_tiny_checkpoint(tmp_path / "vdr-2b-multi-v1", seed=1)),
    }
    assert len(others) == 3
    assert same not in others


def test_progress_is_shown_on_stderr_only_when_asked(
    encoder: DenseEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder.encode_pages([page()])
    assert capsys.readouterr() == ("", "")
    encoder.encode_pages([page(), page()], show_progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Encoding pages" in err
    assert "2/2" in err


def test_pages_are_taken_from_an_iterator_a_few_at_a_time(encoder: DenseEncoder) -> None:
    alive: list[int] = []

    def pages() -> object:
        for seed in range(40):
            alive.append(seed)
            yield PageImage(page(28, 28, seed=seed))

    vectors = encoder.encode_pages(pages())  # pyright: ignore[reportArgumentType]
    assert len(vectors) == len(alive) == 40


def test_an_encoder_pickles_as_the_options_it_was_loaded_with(encoder: DenseEncoder) -> None:
    data = pickle.dumps(encoder)
    assert len(data) < 2_000
    again = pickle.loads(data)
    assert again.core is encoder.core
    assert copy.deepcopy(encoder).core is encoder.core


def test_an_empty_query_behind_a_prompt_that_ends_with_it_has_a_vector_of_its_own(
    tiny_checkpoint: Path,
) -> None:
    prompt = VDR_QUERY_PROMPT.partition("{query}")[0] + "{query}"
    described = Checkpoint(
        model=str(tiny_checkpoint), page_prompt=VDR_PAGE_PROMPT, query_prompt=prompt
    )
    encoder = load_encoder(str(tiny_checkpoint), device="cpu", checkpoint=described)
    alone = np.concatenate([encoder.encode_queries([text]) for text in ("revenue", "", "a b c")])
    together = encoder.encode_queries(["revenue", "", "a b c"])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert together[1] @ together[0] < 1 - 1e-4
