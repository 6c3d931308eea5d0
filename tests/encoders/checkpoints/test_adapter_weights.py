"""Weights of adapters that belong nowhere, come twice or are of another form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny_colqwen2 import RANK, rewrite_adapter, write_adapter

from vdr_integrations import load_encoder
from vdr_integrations.errors import CheckpointWeightsError

if TYPE_CHECKING:
    from pathlib import Path

PLACE = "base_model.model."
Q_PROJ = f"{PLACE}model.layers.0.self_attn.q_proj"


def load(folder: Path) -> None:
    load_encoder(str(folder), device="cpu")


@pytest.mark.parametrize(
    "owner",
    [
        "visual.patch_embed.proj",
        "model.visual.patch_embed.proj",
        "visual.layers.0.self_attn.q_proj",
        "draft.layers.0.self_attn.q_proj",
        "model.draft.layers.0.self_attn.q_proj",
        "my_model.layers.0.self_attn.q_proj",
        "model.layers.0.self_attn.q_proj.inner",
        "model.layers.0.self_attn.qkv_proj",
        "model.layers.0.mlp.fc1",
        "model.layers.0.input_layernorm",
        "model.layers.one.self_attn.q_proj",
        "audio.visual.blocks.0.attn.qkv",
        "visual.blocks.0.attn.q_proj",
        "visual.blocks.0.norm1",
        "visual.merger.mlp.1",
        "visual.merger.ln_q",
        "model.embed_tokens",
        "lm_head",
        "model.custom_text_proj",
        "custom_text_proj_2",
    ],
)
def test_pairs_of_modules_that_no_retriever_has_are_named(
    base: Path, folder: Path, owner: str
) -> None:
    write_adapter(folder, base=str(base))

    def add(weights: dict[str, torch.Tensor]) -> None:
        for side in ("lora_A", "lora_B"):
            weights[f"{PLACE}{owner}.{side}.weight"] = weights[f"{Q_PROJ}.{side}.weight"].clone()

    rewrite_adapter(folder, add)
    with pytest.raises(CheckpointWeightsError, match=re.escape(f"{owner}.lora_A.weight")):
        load(folder)


@pytest.mark.parametrize(
    "key",
    [
        "model.embed_tokens.lora_embedding_A",
        "model.embed_tokens.token_adapter.trainable_tokens_delta",
        "model.layers.0.self_attn.q_proj.lora_magnitude_vector",
        "model.layers.0.self_attn.q_proj.lora_B.bias",
        "model.layers.0.self_attn.q_proj.base_layer.bias",
        "model.layers.0.self_attn.q_proj.lora_A.default.weight",
    ],
)
def test_weights_that_are_no_low_rank_pairs_are_named(base: Path, folder: Path, key: str) -> None:
    write_adapter(folder, base=str(base))
    rewrite_adapter(folder, lambda weights: weights.update({f"{PLACE}{key}": torch.ones(4)}))
    with pytest.raises(CheckpointWeightsError, match=re.escape(key)):
        load(folder)


@pytest.mark.parametrize("side", ["lora_A", "lora_B"])
def test_half_a_pair_of_the_vision_tower_is_named(base: Path, folder: Path, side: str) -> None:
    write_adapter(folder, base=str(base), vision=True)
    key = f"{PLACE}visual.blocks.0.attn.qkv.{side}.weight"
    rewrite_adapter(folder, lambda weights: weights.pop(key))
    with pytest.raises(CheckpointWeightsError, match=r"visual\.blocks\.0\.attn\.qkv"):
        load(folder)


@pytest.mark.parametrize(
    "other",
    [
        "model.language_model.layers.0.self_attn.q_proj",
        "vlm.model.layers.0.self_attn.q_proj",
        "layers.0.self_attn.q_proj",
    ],
)
def test_two_pairs_for_one_module_are_refused(base: Path, folder: Path, other: str) -> None:
    write_adapter(folder, base=str(base))

    def double(weights: dict[str, torch.Tensor]) -> None:
        for side in ("lora_A", "lora_B"):
            weights[f"{PLACE}{other}.{side}.weight"] = weights[f"{Q_PROJ}.{side}.weight"].clone()

    rewrite_adapter(folder, double)
    with pytest.raises(CheckpointWeightsError, match=r"layers\.0\.self_attn\.q_proj under two"):
        load(folder)


def test_the_two_halves_of_a_pair_under_two_names_are_no_pair(base: Path, folder: Path) -> None:
    write_adapter(folder, base=str(base))
    other = Q_PROJ.replace("model.layers", "model.language_model.layers")

    def rename(weights: dict[str, torch.Tensor]) -> None:
        weights[f"{other}.lora_B.weight"] = weights.pop(f"{Q_PROJ}.lora_B.weight")

    rewrite_adapter(folder, rename)
    with pytest.raises(CheckpointWeightsError, match=r"the other half of their pair is missing"):
        load(folder)


def whole_projection(base: Path, *parts: str) -> dict[str, torch.Tensor]:
    weights = load_file(base / "model.safetensors")
    return {f"{PLACE}custom_text_proj.{p}": weights[f"custom_text_proj.{p}"] for p in parts}


def test_a_projection_that_is_both_adapted_and_replaced_is_refused(
    base: Path, folder: Path
) -> None:
    write_adapter(folder, base=str(base))
    rewrite_adapter(
        folder, lambda weights: weights.update(whole_projection(base, "weight", "bias"))
    )
    with pytest.raises(CheckpointWeightsError, match="custom_text_proj under two names"):
        load(folder)


@pytest.mark.parametrize("parts", [(), ("weight",), ("bias",)])
def test_a_projection_saved_in_part_is_refused(
    base: Path, folder: Path, parts: tuple[str, ...]
) -> None:
    write_adapter(folder, base=str(base), modules_to_save=["custom_text_proj"])

    def replace(weights: dict[str, torch.Tensor]) -> None:
        for side in ("lora_A", "lora_B"):
            del weights[f"{PLACE}custom_text_proj.{side}.weight"]
        weights.update(whole_projection(base, *parts))

    rewrite_adapter(folder, replace)
    with pytest.raises(CheckpointWeightsError, match=r"custom_text_proj of its own.*missing"):
        load(folder)


def test_an_adapter_without_weights_is_refused(base: Path, folder: Path) -> None:
    write_adapter(folder, base=str(base))
    rewrite_adapter(folder, lambda weights: weights.clear())
    with pytest.raises(CheckpointWeightsError, match="no weights"):
        load(folder)


@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        # As many numbers as the base's, in another form.
        ("model.layers.0.mlp.down_proj", ((RANK, 64), (96, RANK))),
        ("visual.blocks.0.mlp.fc1", ((RANK, 64), (32, RANK))),
        ("model.layers.99.self_attn.q_proj", ((RANK, 64), (64, RANK))),
        ("visual.blocks.99.attn.proj", ((RANK, 32), (32, RANK))),
    ],
)
def test_an_update_of_another_shape_than_the_weight_is_refused(
    base: Path, folder: Path, module: str, shapes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    write_adapter(folder, base=str(base), vision=True)
    pair = {
        f"{PLACE}{module}.{side}.weight": torch.ones(shape)
        for side, shape in zip(("lora_A", "lora_B"), shapes, strict=True)
    }
    rewrite_adapter(folder, lambda weights: weights.update(pair))
    with pytest.raises(CheckpointWeightsError, match="does not fit its base"):
        load(folder)


@pytest.mark.parametrize("shape", [(), (0,), (RANK,), (RANK, 64, 1)])
def test_a_pair_that_is_no_pair_of_matrices_is_refused(
    base: Path, folder: Path, shape: tuple[int, ...]
) -> None:
    write_adapter(folder, base=str(base))
    rewrite_adapter(
        folder, lambda weights: weights.update({f"{Q_PROJ}.lora_A.weight": torch.ones(shape)})
    )
    with pytest.raises(CheckpointWeightsError, match=r"layers\.0\.self_attn\.q_proj"):
        load(folder)
