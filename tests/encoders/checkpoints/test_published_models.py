"""What is said of published checkpoints: sizes are counted again, and no known one is left out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import torch
from benchmarks.full_size_families import TEXT, full_size_config, model_config
from tests.documents import ROOT

from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED, KNOWN_CHECKPOINTS
from vdr_integrations.encoders.checkpoints.model_config import parse_model_config
from vdr_integrations.encoders.checkpoints.published_models import PUBLISHED_MODELS
from vdr_integrations.encoders.checkpoints.refused_models import REFUSED_MODELS, RefusedModels
from vdr_integrations.encoders.forward.eight_bit_weights import pack
from vdr_integrations.encoders.forward.projection import TokenProjection
from vdr_integrations.errors import CheckpointError

if TYPE_CHECKING:
    from torch import nn

    from vdr_integrations.encoders.checkpoints.model_config import ModelConfig
    from vdr_integrations.encoders.checkpoints.published_facts import BaseModel, PublishedModel

PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
MODELS = tuple(PUBLISHED_MODELS.values())
BASES = {one.base.name: one.base for one in MODELS}

COUNTED_BY_OTHERS = {
    "Qwen2-VL-2B": 2_208_985_600,
    "Qwen2-VL-7B": 7_746_378_240,
    "Qwen3-VL-2B": 2_127_532_032,
    "Qwen3-VL-8B": 8_144_793_840,
}
"""Parameters that mteb has of both GME and both Qwen3-VL-Embedding, which are whole checkpoints."""


def config_of(base: BaseModel) -> ModelConfig:
    if base.name != "nano":
        return model_config(base.name)
    facts = json.loads((BUNDLED["nano"] / "config.json").read_text(encoding="utf-8"))
    return parse_model_config(facts, name="nano", may_project=False)


def tree_of(base: BaseModel) -> nn.Module:
    """Its weights, without contents."""
    config = config_of(base)
    with torch.device("meta"):
        return config.family.tree(config.sizes).to(torch.bfloat16)


def size_of(tree: nn.Module) -> int:
    return sum(one.nbytes for one in (*tree.parameters(), *tree.buffers()))


def test_each_known_checkpoint_is_described_and_no_other() -> None:
    assert list(PUBLISHED_MODELS) == list(KNOWN_CHECKPOINTS)


@pytest.mark.parametrize("name", BASES)
def test_sizes_of_a_base_are_those_of_its_configuration(name: str) -> None:
    base, config = BASES[name], config_of(BASES[name])
    assert base.family == config.family.title
    assert base.hidden_size == config.sizes.decoder.hidden_size
    assert base.context_tokens == config.sizes.decoder.max_tokens
    vision = config.sizes.vision
    assert base.token_side_px == vision.patch_size * vision.spatial_merge_size


@pytest.mark.parametrize("name", BASES)
def test_parameters_and_bytes_are_counted_again(name: str) -> None:
    base, tree = BASES[name], tree_of(BASES[name])
    assert sum(one.numel() for one in tree.parameters()) == base.parameters
    assert size_of(tree) == 2 * base.parameters
    with torch.device("meta"):
        pack(tree, "int8")
    assert size_of(tree) == base.int8_bytes


@pytest.mark.parametrize("name", COUNTED_BY_OTHERS)
def test_others_count_as_many_parameters(name: str) -> None:
    assert BASES[name].parameters == COUNTED_BY_OTHERS[name]


def test_every_full_size_configuration_is_that_of_a_known_checkpoint() -> None:
    assert set(TEXT) == set(BASES) - {"nano"}


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one.model)
def test_a_model_has_its_projection_beside_its_base(model: PublishedModel) -> None:
    checkpoint = KNOWN_CHECKPOINTS[model.model]
    assert (model.token_dimension is not None) == checkpoint.is_multi_vector
    if model.token_dimension is None:
        assert model.dimension == model.base.hidden_size
        assert (model.parameters, model.int8_bytes) == (
            model.base.parameters,
            model.base.int8_bytes,
        )
        return
    assert model.dimension == model.token_dimension == checkpoint.token_dimension
    weight = torch.empty(model.token_dimension, model.base.hidden_size, device="meta")
    head = TokenProjection(weight, weight[:, 0].clone()).to(torch.bfloat16)
    assert model.bfloat16_bytes - 2 * model.base.parameters == size_of(head)
    assert model.int8_bytes - model.base.int8_bytes == size_of(head)
    assert not model.is_matryoshka


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one.model)
def test_facts_are_possible(model: PublishedModel) -> None:
    assert model.shortest_dimension is None or model.is_matryoshka
    assert 1 <= (model.shortest_dimension or 1) <= model.dimension
    versions = [score.benchmark for score in model.scores]
    assert versions == sorted(set(versions), reverse=True)
    for score in model.scores:
        assert score.benchmark in {"ViDoRe V1", "ViDoRe V2", "ViDoRe V3"}
        assert 0 < score.value < 1
        assert score.source
    over = model.adapter_over
    if over in PUBLISHED_MODELS:
        assert PUBLISHED_MODELS[over].base == model.base


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one.model)
def test_a_base_that_is_not_for_commercial_use_is_said(model: PublishedModel) -> None:
    is_research = model.base.licence == "Qwen Research"
    assert is_research == any("not for commercial use" in note for note in model.notes)


@pytest.mark.parametrize("refused", REFUSED_MODELS, ids=lambda one: one.models)
def test_what_is_listed_as_refused_is_refused_by_each_of_its_signs(refused: RefusedModels) -> None:
    for sign in refused.signs:
        facts = full_size_config("Qwen3-VL-2B")
        facts |= {"model_type": sign} if sign.islower() else {"architectures": [sign]}
        with pytest.raises(CheckpointError, match=re.escape(f"does not compute {refused.why}")):
            parse_model_config(facts, name="mine", may_project=True)


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one.model)
def test_the_page_of_models_says_the_same(model: PublishedModel) -> None:
    (row,) = (
        line for line in PAGE.splitlines() if line.startswith("|") and f"`{model.model}`" in line
    )
    name, vector, size, page, languages, licence, score = map(str.strip, row.strip("|").split("|"))
    assert name.endswith("(adapter)") == (model.adapter_over not in {None, "nano"})
    assert vector.startswith(f"{model.dimension:,}")
    assert ("Matryoshka" in vector) == model.is_matryoshka
    assert ("a token" in vector) == (model.token_dimension is not None)
    billions = f"{model.bfloat16_bytes / 1e9:.1f}"
    assert size == (billions if "/" in model.model else f"{model.bfloat16_bytes / 1e6:.0f} MB")
    assert page == (f"{model.max_visual_tokens:,}" if model.max_visual_tokens else "?")
    assert languages == (model.languages or "not found")
    assert licence == (model.licence or "not found")
    best = next(iter(model.scores), None)
    shown = f"{best.value:.3f} {best.benchmark.removeprefix('ViDoRe ')} (" if best else "-"
    assert score.startswith(shown)
