"""ColQwen2 checkpoints in every published layout, beside colpali-engine's arithmetic."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from benchmarks.colqwen2_path import ColQwen2Path
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.tiny_checkpoint import write_tiny_checkpoint
from tests.tiny_colqwen2 import (
    copy_processor,
    write_adapter,
    write_base,
    write_hf_port,
    write_merged,
)

from vdr_integrations import DenseEncoder, MultiVectorEncoder, load_encoder
from vdr_integrations.encoders import (
    KNOWN_CHECKPOINTS,
    Checkpoint,
    EncoderOptions,
)
from vdr_integrations.encoders.encoder_on_demand import EncoderOnDemand
from vdr_integrations.encoders.load_options import model_to_load
from vdr_integrations.encoders.runtime.shared_model import ModelOptions
from vdr_integrations.errors import CheckpointError, CheckpointWeightsError, OptionError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

QUERIES = ["revenue", "Wie groß ist die Fläche (in m²)?", "  two  spaces ", ""]
SHAPES = [(595, 842), (842, 595), (100, 100), (28, 28), (13, 900)]


class Layouts(NamedTuple):
    base: Path
    adapter: Path
    hf: Path
    base_oracle: ColQwen2Path
    adapter_oracle: ColQwen2Path
    hf_oracle: ColQwen2Path


def load(folder: Path | str, batch_visual_tokens: int | None = None) -> MultiVectorEncoder:
    return MultiVectorEncoder.load(
        str(folder), device="cpu", batch_visual_tokens=batch_visual_tokens
    )


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> Layouts:
    root = tmp_path_factory.mktemp("colqwen2")
    base, adapter, hf = (root / n for n in ("colqwen2-base", "colqwen2-v1.0", "colqwen2-v1.0-hf"))
    projection = write_base(base)
    updates = write_adapter(adapter, base="../colqwen2-base")
    copy_processor(base, adapter)
    merged = write_merged(root / "merged", base=base, updates=updates)
    plain = write_tiny_checkpoint(root / "plain")
    write_hf_port(hf, base=plain, projection=projection)
    return Layouts(
        base,
        adapter,
        hf,
        ColQwen2Path(plain, projection),
        ColQwen2Path(root / "merged", merged),
        ColQwen2Path(plain, projection, query_end="\n"),
    )


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    def noise(width: int, height: int, seed: int) -> Image.Image:
        coarse = np.random.default_rng(seed).integers(0, 256, (12, 9, 3), dtype=np.uint8)
        return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

    return [noise(width, height, seed) for seed, (width, height) in enumerate(SHAPES)]


def least_cosine(ours: list[NDArray[np.float32]], expected: list[NDArray[np.float32]]) -> float:
    assert [m.shape for m in ours] == [m.shape for m in expected]
    assert all(m.dtype == np.float32 for m in ours)
    return min(
        float((a.astype(float) * b).sum(1).min()) for a, b in zip(ours, expected, strict=True)
    )


@pytest.mark.parametrize("layout", ["base", "adapter", "hf"])
def test_every_token_of_pages_and_queries_is_as_colpali_engine_computes_it(
    layouts: Layouts, images: list[Image.Image], layout: str
) -> None:
    folder, oracle = getattr(layouts, layout), getattr(layouts, f"{layout}_oracle")
    encoder = load(folder)
    alone = [oracle.encode_pages([image])[0] for image in images]
    assert least_cosine(encoder.encode_pages(images), alone) >= 0.99999
    assert least_cosine(encoder.encode_queries(QUERIES), oracle.encode_queries(QUERIES)) >= 0.99999


def test_a_page_has_the_same_matrix_in_a_batch_as_alone(
    layouts: Layouts, images: list[Image.Image]
) -> None:
    batched = load(layouts.base, batch_visual_tokens=3000)
    batch = images + images[::-1]
    alone = [load(layouts.base).encode_pages([image])[0] for image in batch]
    for one, other in zip(batched.encode_pages(batch), alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_query_has_the_same_matrix_in_a_batch_as_alone(layouts: Layouts) -> None:
    encoder = load(layouts.base)
    for query, matrix in zip(QUERIES, encoder.encode_queries(QUERIES), strict=True):
        np.testing.assert_allclose(encoder.encode_queries([query])[0], matrix, atol=1e-5)


def test_an_adapter_changes_what_its_base_says(layouts: Layouts, images: list[Image.Image]) -> None:
    base, adapted = load(layouts.base), load(layouts.adapter)
    assert least_cosine(base.encode_pages(images), adapted.encode_pages(images)) < 0.99
    assert base.fingerprint != adapted.fingerprint


def test_rows_of_the_grid_are_visual_tokens_and_follow_the_picture(layouts: Layouts) -> None:
    encoder = load(layouts.base)
    grey = Image.new("RGB", (28 * 6, 28 * 4), "grey")
    marked = grey.copy()
    marked.paste(Image.effect_noise((28, 28), 90).convert("RGB"), (28 * 2, 28 * 3))
    layout = encoder.page_layout(grey.height, grey.width)
    assert (layout.rows, layout.columns, layout.cells) == (4, 6, 24)
    before, after = encoder.encode_pages([grey, marked])
    behind = len("Describe the image.") + len(["<|vision_end|>", "<|im_end|>", "<|endoftext|>"])
    assert len(before) == layout.first + layout.cells + behind
    change = np.linalg.norm(after - before, axis=1)
    assert change[: layout.first].max() < 1e-6  # causal: nothing before the image can change
    assert change[layout.span].reshape(4, 6)[3, 2] > 0.1


def test_the_tokens_of_a_query_are_named_row_by_row(layouts: Layouts) -> None:
    encoder = load(layouts.base)
    tokens = encoder.query_tokens("hi")
    assert len(tokens) == len(encoder.encode_queries(["hi"])[0])
    assert "".join(tokens) == "Query: hi" + "<|endoftext|>" * 10


def test_special_tokens_in_a_query_are_plain_text(layouts: Layouts) -> None:
    encoder = load(layouts.base)
    tokens = encoder.query_tokens("<|image_pad|>")
    assert "<|image_pad|>" not in tokens
    assert "".join(tokens).startswith("Query: <|image_pad|>")


def test_no_items_give_no_matrices(layouts: Layouts) -> None:
    encoder = load(layouts.base)
    assert encoder.encode_pages([]) == []
    assert encoder.encode_queries([]) == []


async def test_async_methods_give_the_same_and_run_together(
    layouts: Layouts, images: list[Image.Image]
) -> None:
    encoder = load(layouts.base)
    pages, queries = await asyncio.gather(
        encoder.aencode_pages(images), encoder.aencode_queries(QUERIES)
    )
    assert least_cosine(pages, encoder.encode_pages(images)) > 0.99999
    assert least_cosine(queries, encoder.encode_queries(QUERIES)) > 0.99999


def test_equal_options_share_one_model_and_pickles_find_it_again(layouts: Layouts) -> None:
    encoder = load(layouts.base)
    again = pickle.loads(pickle.dumps(encoder))
    assert again.core is encoder.core
    assert again.fingerprint == encoder.fingerprint
    assert repr(encoder).startswith("MultiVectorEncoder(")


def test_the_hub_token_is_in_no_pickle_and_no_repr(tiny_checkpoint: Path) -> None:
    encoder = load_encoder(str(tiny_checkpoint), device="cpu", token="hf_secret")
    assert b"hf_secret" not in pickle.dumps(encoder)
    assert "hf_secret" not in repr(encoder)
    found = model_to_load(str(tiny_checkpoint), token="hf_secret")
    assert "hf_secret" not in repr(found)
    assert isinstance(found.origin, ModelOptions)
    assert found.origin.files.token == "hf_secret"


def test_a_pixel_budget_limits_the_visual_tokens(layouts: Layouts) -> None:
    encoder = MultiVectorEncoder.load(str(layouts.base), device="cpu", max_visual_tokens=20)
    layout = encoder.page_layout(842, 595)
    assert layout.cells <= 20
    assert len(encoder.encode_pages([Image.new("RGB", (595, 842))])[0]) >= layout.cells


def test_token_vectors_cannot_be_shortened(layouts: Layouts) -> None:
    with pytest.raises(OptionError, match="128 components"):
        load_encoder(str(layouts.base), device="cpu", dimension=64)


def test_a_dense_checkpoint_described_as_multi_vector_is_refused(tiny_checkpoint: Path) -> None:
    known = KNOWN_CHECKPOINTS["vidore/colqwen2-base"]
    with pytest.raises(CheckpointWeightsError, match="custom_text_proj"):
        load_encoder(str(tiny_checkpoint), device="cpu", checkpoint=known)


def test_an_adapter_over_another_model_is_refused(layouts: Layouts, tmp_path: Path) -> None:
    folder = tmp_path / "colqwen2-v1.0"
    write_adapter(folder, base=str(layouts.base))
    weights = load_file(folder / "adapter_model.safetensors")
    name = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"
    save_file(
        {**weights, name: weights[name][:, :50].contiguous()}, folder / "adapter_model.safetensors"
    )
    with pytest.raises(CheckpointWeightsError, match="does not fit its base"):
        load(folder)


@pytest.mark.parametrize(
    ("key", "value"), [("use_dora", True), ("peft_type", "IA3"), ("bias", "all")]
)
def test_a_kind_of_adapter_that_would_be_merged_wrongly_is_refused(
    layouts: Layouts, tmp_path: Path, key: str, value: Any
) -> None:
    folder = tmp_path / "colqwen2-v1.0"
    write_adapter(folder, base=str(layouts.base), **{key: value})
    with pytest.raises(CheckpointError, match="only plain LoRA"):
        load(folder)


@pytest.mark.parametrize("dtype", ["auto", "float32"])
@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("{", "not JSON"),
        ("[]", "a list"),
        ("{}", "base_model_name_or_path=None"),
        ('{"base_model_name_or_path": null}', "base_model_name_or_path=None"),
        ('{"base_model_name_or_path": ""}', "base_model_name_or_path=''"),
        ('{"base_model_name_or_path": ["a"]}', "base_model_name_or_path=['a']"),
    ],
)
def test_an_adapter_that_does_not_say_what_it_adapts_is_refused_by_name(
    layouts: Layouts, tmp_path: Path, written: str, found: str, dtype: str
) -> None:
    folder = tmp_path / "colqwen2-v1.0"
    write_adapter(folder, base=str(layouts.base))
    (folder / "adapter_config.json").write_text(written)
    with pytest.raises(CheckpointError, match=re.escape(found)) as refused:
        load_encoder(str(folder), device="cpu", dtype=dtype)
    assert "adapter_config.json" in str(refused.value)
    assert str(folder) in str(refused.value)
    assert "Download" in str(refused.value)


@pytest.mark.parametrize("extra", ["visual.patch_embed.proj.lora_A.weight", "lm_head.weight"])
def test_adapter_weights_that_belong_nowhere_are_named(
    layouts: Layouts, tmp_path: Path, extra: str
) -> None:
    folder = tmp_path / "colqwen2-v1.0"
    write_adapter(folder, base=str(layouts.base))
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    weights[f"base_model.model.{extra}"] = next(iter(weights.values())).clone()
    save_file(weights, path)
    with pytest.raises(CheckpointWeightsError, match=extra.split(".", maxsplit=1)[0]):
        load(folder)


def test_half_a_low_rank_pair_is_refused(layouts: Layouts, tmp_path: Path) -> None:
    folder = tmp_path / "colqwen2-v1.0"
    write_adapter(folder, base=str(layouts.base))
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    del weights["base_model.model.custom_text_proj.lora_B.weight"]
    save_file(weights, path)
    with pytest.raises(CheckpointWeightsError, match="custom_text_proj"):
        load(folder)


def test_rank_stabilised_adapters_are_scaled_by_the_root_of_the_rank(
    layouts: Layouts, tmp_path: Path, images: list[Image.Image]
) -> None:
    folder = tmp_path / "colqwen2-v1.0"
    updates = write_adapter(folder, base=str(layouts.base), use_rslora=True)
    merged = write_merged(tmp_path / "merged", base=layouts.base, updates=updates)
    oracle = ColQwen2Path(tmp_path / "merged", merged)
    assert (
        least_cosine(
            load(folder).encode_pages(images[:2]),
            [oracle.encode_pages([image])[0] for image in images[:2]],
        )
        >= 0.99999
    )


def test_a_projection_trained_whole_takes_the_place_of_the_bases(
    layouts: Layouts, tmp_path: Path
) -> None:
    folder = tmp_path / "colqwen2-v1.0"
    folder.mkdir()
    whole = load_file(layouts.base / "model.safetensors")
    tensors = {
        f"base_model.model.custom_text_proj.{part}": -whole[f"custom_text_proj.{part}"]
        for part in ("weight", "bias")
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    facts = {"base_model_name_or_path": str(layouts.base), "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(facts), encoding="utf-8")
    flipped = [-m for m in load(folder).encode_queries(QUERIES)]
    assert least_cosine(flipped, load(layouts.base).encode_queries(QUERIES)) > 0.99999


def test_prompts_of_multi_vector_checkpoints_are_checked_when_described() -> None:
    with pytest.raises(OptionError, match="never"):
        Checkpoint(model="x", pooling="multi_vector")  # its query prompt holds an image
    with pytest.raises(OptionError, match="token_dimension"):
        Checkpoint(model="x", pooling="multi_vector", query_prompt="{query}", token_dimension=0)


def test_a_checkpoint_whose_vectors_are_read_in_another_way_cannot_be_described() -> None:
    """Else it would get the last token's vectors, which mean nothing there."""
    mean: Any = "mean"
    with pytest.raises(OptionError, match="pooling of x is 'mean'; it must be 'last_token' or"):
        Checkpoint(model="x", query_prompt="{query}", pooling=mean)


def test_encoders_on_demand_are_of_the_kind_that_is_asked_for_and_loaded_once(
    layouts: Layouts, tiny_checkpoint: Path
) -> None:
    on_demand = EncoderOnDemand()
    dense = EncoderOptions(model=str(tiny_checkpoint), device="cpu")
    late = EncoderOptions(model=str(layouts.base), device="cpu")
    assert isinstance(on_demand.dense(dense), DenseEncoder)
    assert isinstance(on_demand.multi_vector(late), MultiVectorEncoder)
    assert on_demand.dense(dense) is on_demand.dense(dense)
    with pytest.raises(OptionError, match="LateInteractionRetriever"):
        on_demand.dense(late)
    with pytest.raises(OptionError, match="one vector a page"):
        on_demand.multi_vector(dense)
