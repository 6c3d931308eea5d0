"""Names under which the weights of a model were published, and weights that do not fit it."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tiny_checkpoint import write_tiny_checkpoint
from tests.tiny_colqwen2 import random_projection, write_base, write_hf_port

from vdr_integrations import DenseEncoder, MultiVectorEncoder, load_encoder
from vdr_integrations.errors import CheckpointWeightsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


Weights = dict[str, torch.Tensor]
Naming = dict[str, str]

QUERY = "Wie groß ist die Fläche?"
NORM, PATCHES = "language_model.norm.weight", "visual.patch_embed.proj.weight"

NAMINGS: dict[str, Naming] = {
    "of 2024": {"visual": "visual", "language_model": "model"},
    "of today": {"visual": "model.visual", "language_model": "model.language_model"},
    "old vision, new language": {"visual": "visual", "language_model": "model.language_model"},
    "new vision, old language": {"visual": "model.visual", "language_model": "model"},
    "a backbone alone": {"visual": "visual", "language_model": "language_model"},
    "between": {"visual": "model.visual", "language_model": "model.language_model.model"},
}


def named(weights: Weights, naming: Naming) -> Weights:
    """Weights of any naming under another one."""
    return {rename(bare(key), naming): tensor.clone() for key, tensor in weights.items()}


def bare(key: str) -> str:
    """The name in the backbone, which begins with visual or language_model."""
    key = key.removeprefix("vlm.").removeprefix("model.").removeprefix("language_model.")
    is_language = re.match("embed_tokens|layers|norm", key)
    return f"language_model.{key}" if is_language else key


def rename(key: str, naming: Naming) -> str:
    part, _, rest = key.partition(".")
    return f"{naming[part]}.{rest}" if part in naming else key


def rewrite(folder: Path, change: Callable[[Weights], Weights]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


@pytest.fixture
def dense(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "vdr-2b-multi-v1")
    rewrite(folder, lambda weights: named(weights, {"visual": "visual"}))
    return folder


def dense_vector(folder: Path) -> np.ndarray:
    return DenseEncoder.load(str(folder), device="cpu").encode_queries([QUERY])[0]


def matrix(folder: Path) -> np.ndarray:
    return MultiVectorEncoder.load(str(folder), device="cpu").encode_queries([QUERY])[0]


@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS)
def test_a_dense_model_loads_under_every_naming(
    tiny_checkpoint: Path, dense: Path, naming: Naming
) -> None:
    rewrite(dense, lambda weights: named(weights, naming))
    # Not to the last bit: where weights lie in memory decides which kernel some CPUs take.
    assert np.abs(dense_vector(dense) - dense_vector(tiny_checkpoint)).max() < 1e-5


@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS)
def test_a_late_interaction_model_loads_under_every_naming(tmp_path: Path, naming: Naming) -> None:
    folder = tmp_path / "colqwen2-base"
    write_base(folder)
    before = matrix(folder)
    rewrite(folder, lambda weights: named(weights, naming))
    assert (matrix(folder) == before).all()


@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS)
def test_transformers_own_colqwen2_loads_under_every_naming(tmp_path: Path, naming: Naming) -> None:
    base = write_tiny_checkpoint(tmp_path / "base")
    folder = tmp_path / "colqwen2-v1.0-hf"
    write_hf_port(folder, base=base, projection=random_projection())
    before = matrix(folder)
    in_vlm = {part: f"vlm.{name}" for part, name in naming.items()}
    rewrite(folder, lambda weights: named(weights, in_vlm))
    assert (matrix(folder) == before).all()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_both_ways_of_attention_refuse_what_does_not_fit(dense: Path, attention: str) -> None:
    rewrite(dense, lambda weights: {k: v for k, v in weights.items() if "blocks.1.mlp" not in k})
    with pytest.raises(CheckpointWeightsError, match=r"blocks\.1\.mlp\.fc1\.bias.* missing"):
        load_encoder(str(dense), device="cpu", attn_implementation=attention)


def test_a_weight_under_two_names_is_refused(dense: Path) -> None:
    rewrite(dense, lambda weights: weights | {f"model.{PATCHES}": 2 * weights[PATCHES]})
    with pytest.raises(CheckpointWeightsError, match=f"{PATCHES} there under two names"):
        load_encoder(str(dense), device="cpu")


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.uint8, torch.bool])
def test_whole_numbers_are_refused(dense: Path, dtype: torch.dtype) -> None:
    rewrite(dense, lambda weights: weights | {NORM: weights[NORM].to(dtype)})
    with pytest.raises(CheckpointWeightsError, match=f"{NORM} of whole numbers"):
        load_encoder(str(dense), device="cpu")


def test_a_head_and_frequencies_that_older_versions_saved_change_nothing(
    dense: Path, tiny_checkpoint: Path
) -> None:
    older = {
        "lm_head.weight": torch.ones(3, 3),
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
    }
    rewrite(dense, lambda weights: weights | older)
    assert (dense_vector(dense) == dense_vector(tiny_checkpoint)).all()


def test_many_names_are_cut(dense: Path) -> None:
    more = {f"adapter.{n}": torch.ones(1) for n in range(9)}
    rewrite(dense, lambda weights: weights | more)
    with pytest.raises(CheckpointWeightsError, match=r"adapter\.5 and 3 more unexpected"):
        load_encoder(str(dense), device="cpu")


@pytest.mark.parametrize(
    ("weight", "bias"),
    [((128, 32), (128,)), ((128, 64), (64,)), ((128, 64), (1, 128)), ((64,), (64,))],
    ids=str,
)
def test_a_projection_that_does_not_fit_is_refused(
    tmp_path: Path, weight: tuple[int, ...], bias: tuple[int, ...]
) -> None:
    folder = tmp_path / "colqwen2-base"
    write_base(folder)
    shapes = {"custom_text_proj.weight": weight, "custom_text_proj.bias": bias}
    other = {name: torch.ones(shape) for name, shape in shapes.items()}
    rewrite(folder, lambda weights: weights | other)
    with pytest.raises(CheckpointWeightsError, match=r"custom_text_proj of the shapes"):
        load_encoder(str(folder), device="cpu")


def test_weights_are_read_from_all_parts_and_a_part_may_not_lack_any(
    dense: Path, tiny_checkpoint: Path
) -> None:
    weights = load_file(dense / "model.safetensors")
    (dense / "model.safetensors").unlink()
    places: dict[str, Any] = {}
    for n in range(3):
        part = dict(list(weights.items())[n::3])
        save_file(part, dense / f"model-{n}.safetensors", metadata={"format": "pt"})
        places |= dict.fromkeys(part, f"model-{n}.safetensors")
    listed = json.dumps({"metadata": {}, "weight_map": places})
    (dense / "model.safetensors.index.json").write_text(listed, encoding="utf-8")
    assert (dense_vector(dense) == dense_vector(tiny_checkpoint)).all()
    lacking = load_file(dense / "model-1.safetensors")
    name = lacking.popitem()[0]
    save_file(lacking, dense / "model-1.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointWeightsError, match=f"{re.escape(bare(name))} missing"):
        load_encoder(str(dense), device="cpu")
