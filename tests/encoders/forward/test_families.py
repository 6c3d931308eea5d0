"""Vectors of Qwen2.5-VL and Qwen3-VL beside those of transformers' own modules, in float32."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benchmarks.stock_path import StockPath, Surroundings
from PIL import Image
from tests.encoders.forward.test_parity_with_the_card import SHAPES, noise
from tests.tiny_families import (
    change_tensors,
    random_projection,
    write_tiny_qwen2_5_vl,
    write_tiny_qwen3_vl,
)

from vdr_integrations import DenseEncoder, MultiVectorEncoder
from vdr_integrations.encoders import Checkpoint
from vdr_integrations.encoders.forward import model_sizes, rotary
from vdr_integrations.encoders.forward.decoder import Decoder
from vdr_integrations.encoders.forward.vision_tower import VisionTower
from vdr_integrations.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from vdr_integrations.encoders.forward.matrix_products import Products
    from vdr_integrations.encoders.forward.model_sizes import DecoderSizes, VisionSizes

    Plant = Callable[[pytest.MonkeyPatch], None]

QUERIES = [
    "revenue",
    "What was the revenue of the third quarter?",
    "Wie groß ist die Fläche der Räume im 2. Stock (in m²)?",
    "  two  spaces and a trailing one ",
]
# Visual tokens down and across: windows of 4 x 4 that fit, that are cut on one side, on both, and
# pages that are smaller than a window.
GRIDS = [(4, 4), (8, 12), (5, 4), (4, 7), (9, 13), (3, 17), (1, 5), (2, 2)]
AT_LEAST = 0.99999
PAGE = (
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Describe the image.<|im_end|>"
    "<|endoftext|>"
)
QUERY = "<|im_start|>system\nFind pages.<|im_end|>\n<|im_start|>user\n%s<|im_end|>\n"
WITH_IMAGE = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Query: %s<|im_end|>"


@dataclass(frozen=True)
class Family:
    """A family's tiny checkpoint.

    Attributes:
        folder: It.
        factor: Side of a visual token, in pixels.
    """

    folder: Path
    factor: int

    def around(self, query: str = QUERY) -> Surroundings:
        return Surroundings(page_prompt=PAGE, query_prompt=query, min_tokens=1, factor=self.factor)

    def described(self, query: str = QUERY, **facts: Any) -> Checkpoint:
        prompt = query.replace("%s", "{query}")
        return Checkpoint(model="tiny", page_prompt=PAGE, query_prompt=prompt, **facts)

    def dense(self, **options: Any) -> DenseEncoder:
        options = {"checkpoint": self.described(), "device": "cpu", **options}
        return DenseEncoder.load(str(self.folder), **options)

    def image(self, grid: tuple[int, int]) -> Image.Image:
        return noise(grid[1] * self.factor, grid[0] * self.factor, seed=sum(grid))


FAMILIES = {
    "Qwen2.5-VL": (write_tiny_qwen2_5_vl, 28),
    "Qwen3-VL": (write_tiny_qwen3_vl, 32),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    write, factor = FAMILIES[request.param]
    return Family(write(tmp_path_factory.mktemp("family") / "tiny"), factor)


@pytest.fixture(scope="module")
def stock(family: Family) -> StockPath:
    return StockPath(family.folder, family.around())


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return [noise(width, height, seed) for seed, (width, height) in enumerate(SHAPES)]


@pytest.fixture(scope="module")
def expected(stock: StockPath, images: list[Image.Image]) -> NDArray[np.float32]:
    """Of each page alone."""
    return np.concatenate([stock.pages([image]) for image in images])


def least_cosine(ours: Iterable[NDArray[Any]], theirs: Iterable[NDArray[Any]]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return min(float((a.astype(np.float64) * b).sum(axis=-1).min()) for a, b in pairs)


@pytest.mark.parametrize("batch", [None, 3000], ids=["one page a batch", "mixed batches"])
@pytest.mark.parametrize("attention", [None, "eager"])
def test_pages_of_every_shape_get_stock_vectors(
    family: Family,
    images: list[Image.Image],
    expected: NDArray[np.float32],
    batch: int | None,
    attention: str | None,
) -> None:
    encoder = family.dense(batch_visual_tokens=batch, attn_implementation=attention)
    twice = encoder.encode_pages([*images, *images[::-1]])
    assert least_cosine(twice, [*expected, *expected[::-1]]) >= AT_LEAST


def test_stock_modules_give_the_same_in_a_padded_batch(
    family: Family, stock: StockPath, images: list[Image.Image]
) -> None:
    assert least_cosine(family.dense().encode_pages(images), stock.pages(images)) >= AT_LEAST


@pytest.mark.parametrize("grid", GRIDS)
def test_pages_that_are_no_whole_number_of_windows_get_stock_vectors(
    family: Family, stock: StockPath, grid: tuple[int, int]
) -> None:
    image = family.image(grid)
    encoder = family.dense(batch_visual_tokens=3000)
    (theirs,) = stock.pages([image])
    turned = image.transpose(Image.Transpose.ROTATE_90)
    ours = encoder.encode_pages([image, turned, image])
    assert least_cosine(ours[[0, 2]], [theirs, theirs]) >= AT_LEAST
    assert least_cosine(ours[[1]], stock.pages([turned])) >= AT_LEAST


def test_queries_without_an_image_get_stock_vectors_alone_and_in_a_batch(
    family: Family, stock: StockPath
) -> None:
    encoder = family.dense()
    theirs = stock.queries(QUERIES)
    assert least_cosine(encoder.encode_queries(QUERIES), theirs) >= AT_LEAST
    alone = [encoder.encode_queries([query])[0] for query in QUERIES]
    assert least_cosine(alone, theirs) >= AT_LEAST


@pytest.mark.parametrize("attention", [None, "eager"])
def test_queries_with_an_image_get_stock_vectors(family: Family, attention: str | None) -> None:
    side = 2 * family.factor
    described = family.described(WITH_IMAGE, query_image_side_px=side)
    encoder = family.dense(checkpoint=described, attn_implementation=attention)
    stock = StockPath(family.folder, family.around(WITH_IMAGE))
    theirs = stock.queries([*QUERIES, ""], image=Image.new("RGB", (side, side)))
    assert least_cosine(encoder.encode_queries([*QUERIES, ""]), theirs) >= AT_LEAST


@pytest.mark.parametrize("side", [0, 16, 63, -32])
def test_an_image_of_queries_that_is_no_whole_number_of_tokens_is_refused(
    family: Family, side: int
) -> None:
    described = family.described(WITH_IMAGE, query_image_side_px=side)
    with pytest.raises(OptionError, match=rf"is {side}; it must be a multiple of {family.factor}"):
        family.dense(checkpoint=described)


@pytest.mark.parametrize("attention", [None, "eager"])
def test_every_token_gets_stock_vectors(
    family: Family, images: list[Image.Image], tmp_path: Path, attention: str | None
) -> None:
    weight, bias = with_projection(family.folder, tmp_path / "late")
    encoder = MultiVectorEncoder.load(
        str(tmp_path / "late"),
        checkpoint=family.described(pooling="multi_vector", token_dimension=len(bias)),
        device="cpu",
        batch_visual_tokens=3000,
        attn_implementation=attention,
    )
    stock = StockPath(family.folder, family.around(), projection=(weight, bias))
    assert least_cosine(encoder.encode_pages(images), stock.pages(images)) >= AT_LEAST
    assert least_cosine(encoder.encode_queries(QUERIES), stock.queries(QUERIES)) >= AT_LEAST


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("attention", [None, "eager"])
def test_a_page_prompt_that_ends_with_the_image_gets_stock_vectors(
    family: Family, images: list[Image.Image], tmp_path: Path, layers: int, attention: str | None
) -> None:
    """The last token is a visual one, which deepstack changes in a decoder of few layers."""
    folder = with_fewer_layers(family.folder, tmp_path / "short", layers)
    page = "<|vision_start|><|image_pad|>"
    around = replace(family.around(), page_prompt=page)
    described = replace(family.described(), page_prompt=page)
    encoder = replace(family, folder=folder).dense(
        checkpoint=described, attn_implementation=attention
    )
    stock = StockPath(folder, around)
    theirs = [stock.pages([image])[0] for image in images]
    assert least_cosine(encoder.encode_pages(images), theirs) >= AT_LEAST


def with_fewer_layers(source: Path, target: Path, layers: int) -> Path:
    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    layers = min(layers, config["text_config"]["num_hidden_layers"])
    config["text_config"]["num_hidden_layers"] = layers
    config["text_config"].pop("layer_types", None)
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")
    kept = {f".layers.{n}." for n in range(layers)}
    change_tensors(
        target,
        lambda found: {
            name: tensor
            for name, tensor in found.items()
            if ".layers." not in name or any(one in name for one in kept)
        },
    )
    return target


def test_a_query_without_any_token_is_refused_alone_and_in_a_batch(family: Family) -> None:
    encoder = family.dense(checkpoint=family.described("%s"))
    for queries in ([""], ["", "revenue"]):
        with pytest.raises(OptionError, match="an empty text has no tokens"):
            encoder.encode_queries(queries)


def with_projection(source: Path, target: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Copy a checkpoint with ``custom_text_proj`` beside its weights, as colpali-engine does."""
    shutil.copytree(source, target)
    weight, bias = random_projection(320)
    tensors = {"custom_text_proj.weight": weight, "custom_text_proj.bias": bias}
    change_tensors(target, lambda found: found | tensors)
    return weight, bias


def test_the_random_models_tell_pages_and_queries_apart(
    family: Family, expected: NDArray[np.float32], stock: StockPath
) -> None:
    """Else every test of parity could pass with everything wrong."""
    for vectors in (expected, np.stack(stock.queries(QUERIES))):
        assert (vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)].max() < 0.9995
    assert family.folder.is_dir()


def patches_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_they_are(grid: tuple[int, int], *, merge_size: int, **_: int) -> NDArray[np.intp]:
        del merge_size
        return np.arange(grid[0] * grid[1])

    monkeypatch.setattr(model_sizes, "window_patch_order", as_they_are)


def visual_tokens_in_the_order_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_they_are(_: VisionTower, visual: torch.Tensor, *__: object) -> torch.Tensor:
        return visual

    monkeypatch.setattr(VisionTower, "_line_by_line", as_they_are)


def changed_sizes(**changes: Any) -> Plant:
    """A tower that is built with other sizes."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        original = VisionTower.__init__

        def changed(self: VisionTower, sizes: VisionSizes, **parts: Any) -> None:
            original(self, replace(sizes, **changes), **parts)

        monkeypatch.setattr(VisionTower, "__init__", changed)

    return plant


def deepstack_a_layer_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    from vdr_integrations.encoders.forward import decoder

    original = decoder.DeepstackParts.add_

    def late(self: Any, x: torch.Tensor, layer: int) -> None:
        if layer:
            original(self, x, layer - 1)

    monkeypatch.setattr(decoder.DeepstackParts, "add_", late)


def no_deepstack(monkeypatch: pytest.MonkeyPatch) -> None:
    call = Decoder.__call__

    def without(self: Decoder, *args: Any, **options: Any) -> torch.Tensor:
        return call(self, *args, **{**options, "deepstack": None})

    monkeypatch.setattr(Decoder, "__call__", without)


def axes_that_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from vdr_integrations.encoders.forward import decoder

    def in_sections(*args: Any, interleaved: bool, **options: Any) -> rotary.RotaryTables:
        del interleaved
        return rotary.text_tables(*args, **options)

    monkeypatch.setattr(decoder, "text_tables", in_sections)


def heads_that_are_not_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    from vdr_integrations.encoders.forward.decoder import DecoderLayer

    original = DecoderLayer.__init__

    def without(self: DecoderLayer, layer: Any, sizes: DecoderSizes, products: Products) -> None:
        original(self, layer, replace(sizes, head_norms=False), products)

    monkeypatch.setattr(DecoderLayer, "__init__", without)


def tokens_of_28_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    from vdr_integrations.encoders import page_encoder
    from vdr_integrations.types import PixelBudget

    def of_28(**options: int) -> PixelBudget:
        factor = options["factor"]
        most = options["max_visual_tokens"] * 28**2 // factor**2
        return PixelBudget(**{**options, "max_visual_tokens": most})

    monkeypatch.setattr(page_encoder, "PixelBudget", of_28)


def positions_that_are_not_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    original = VisionTower.__init__

    def without(self: VisionTower, sizes: VisionSizes, **parts: Any) -> None:
        parts["place_"] = None
        original(self, sizes, **parts)

    monkeypatch.setattr(VisionTower, "__init__", without)


MISTAKES: list[tuple[str, Plant]] = [
    ("Qwen2.5-VL", patches_line_by_line),
    ("Qwen2.5-VL", visual_tokens_in_the_order_of_windows),
    ("Qwen2.5-VL", changed_sizes(whole_page_blocks=(0,))),
    ("Qwen2.5-VL", changed_sizes(whole_page_blocks=())),
    ("Qwen2.5-VL", changed_sizes(window_tokens=8)),
    ("Qwen3-VL", deepstack_a_layer_too_late),
    ("Qwen3-VL", changed_sizes(deepstack_blocks=(1, 2))),
    ("Qwen3-VL", no_deepstack),
    ("Qwen3-VL", axes_that_follow_each_other),
    ("Qwen3-VL", heads_that_are_not_normalised),
    ("Qwen3-VL", tokens_of_28_pixels),
    ("Qwen3-VL", positions_that_are_not_learned),
]


@pytest.mark.parametrize(("family", "plant"), MISTAKES, indirect=["family"])
def test_a_mistake_gives_other_vectors(
    family: Family,
    plant: Plant,
    images: list[Image.Image],
    expected: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    # Another prompt for queries, so that no model without the mistake is in memory.
    described = family.described(f"{id(plant)} %s")
    vectors = family.dense(checkpoint=described).encode_pages(images)
    assert least_cosine(vectors, expected) < AT_LEAST
