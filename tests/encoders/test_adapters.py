"""Adapters merged as peft merges them, and those that a plain merge would get wrong."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from benchmarks.colqwen2_path import ColQwen2Path
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.tiny_colqwen2 import RANK, write_adapter, write_base, write_merged

from vdr_integrations import MultiVectorEncoder, load_encoder
from vdr_integrations.encoders.adapter import read_base
from vdr_integrations.errors import CheckpointError, CheckpointWeightsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUERIES = ["revenue", "Wie groß ist die Fläche (in m²)?"]
PLACE = "base_model.model."
Q_PROJ = f"{PLACE}model.layers.0.self_attn.q_proj"

# LoraConfig().to_dict() of peft 0.21.2, as it is saved.
PEFT_DEFAULTS: dict[str, Any] = {
    "task_type": None,
    "peft_type": "LORA",
    "auto_mapping": None,
    "peft_version": "0.21.2",
    "revision": None,
    "inference_mode": True,
    "target_modules": None,
    "exclude_modules": None,
    "lora_dropout": 0.0,
    "fan_in_fan_out": False,
    "bias": "none",
    "use_rslora": False,
    "modules_to_save": None,
    "init_lora_weights": True,
    "layers_to_transform": None,
    "layers_pattern": None,
    "rank_pattern": {},
    "alpha_pattern": {},
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "trainable_token_indices": None,
    "loftq_config": {},
    "eva_config": None,
    "corda_config": None,
    "lora_ga_config": None,
    "use_dora": False,
    "velora_config": None,
    "alora_invocation_tokens": None,
    "use_qalora": False,
    "qalora_group_size": 16,
    "monteclora_config": None,
    "layer_replication": None,
    "lora_bias": False,
    "target_parameters": None,
    "use_bdlora": None,
    "arrow_config": None,
    "kasa_config": None,
    "ensure_weight_tying": False,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "colqwen2-base"
    write_base(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "colqwen2-v1.0"


def load(folder: Path) -> MultiVectorEncoder:
    encoder = load_encoder(str(folder), device="cpu")
    assert isinstance(encoder, MultiVectorEncoder)
    return encoder


def page() -> Image.Image:
    coarse = np.random.default_rng(3).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((300, 420), Image.Resampling.BICUBIC)


def least_cosine_to_the_merge(
    folder: Path, *, base: Path, updates: dict[str, torch.Tensor]
) -> float:
    merged = folder.parent / "merged"
    oracle = ColQwen2Path(merged, write_merged(merged, base=base, updates=updates))
    encoder = load(folder)
    ours = [*encoder.encode_pages([page()]), *encoder.encode_queries(QUERIES)]
    theirs = [*oracle.encode_pages([page()]), *oracle.encode_queries(QUERIES)]
    return min(float((a.astype(float) * b).sum(1).min()) for a, b in zip(ours, theirs, strict=True))


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


@pytest.mark.parametrize("use_rslora", [False, True])
@pytest.mark.parametrize(
    ("pattern", "fitting"),
    [
        ("q_proj", r".*\.q_proj"),
        ("self_attn.v_proj", r".*\.v_proj"),
        (r"layers\.1\..*_proj", r"model\.layers\.1\..*"),
        (r"^model\.layers\.0\.mlp\.down_proj", r"model\.layers\.0\.mlp\.down_proj"),
        ("custom_text_proj", "custom_text_proj"),
        ("proj", "none"),
        ("q_proj|v_proj", r".*\.[qv]_proj"),
    ],
)
def test_alphas_of_a_pattern_scale_the_modules_it_fits(
    base: Path, folder: Path, pattern: str, fitting: str, *, use_rslora: bool
) -> None:
    updates = write_adapter(
        folder,
        base=str(base),
        alpha_of=lambda module: 64 if re.fullmatch(fitting, module) else 8,
        alpha_pattern={pattern: 64},
        use_rslora=use_rslora,
    )
    assert least_cosine_to_the_merge(folder, base=base, updates=updates) >= 0.99999


@pytest.mark.parametrize("use_rslora", [False, True])
def test_ranks_of_a_pattern_are_those_of_the_modules_it_fits(
    base: Path, folder: Path, *, use_rslora: bool
) -> None:
    updates = write_adapter(
        folder,
        base=str(base),
        rank_of=lambda module: 2 if module.endswith("q_proj") else RANK,
        alpha_of=lambda module: 24.5 if "layers.0" in module else 8,
        rank_pattern={"q_proj": 2},
        alpha_pattern={r"layers\.0\..*": 24.5},
        use_rslora=use_rslora,
    )
    assert least_cosine_to_the_merge(folder, base=base, updates=updates) >= 0.99999


def test_the_first_of_two_patterns_that_fit_counts(base: Path, folder: Path) -> None:
    updates = write_adapter(
        folder,
        base=str(base),
        alpha_of=lambda module: 32 if module.endswith("q_proj") else 8,
        alpha_pattern={"q_proj": 32, r"layers\.0\.self_attn\.q_proj": 1},
    )
    assert least_cosine_to_the_merge(folder, base=base, updates=updates) >= 0.99999


def in_todays_names(module: str) -> str:
    return re.sub("^visual", "model.visual", module).replace(
        "model.layers", "model.language_model.layers"
    )


def in_todays_bare_names(module: str) -> str:
    return in_todays_names(module).removeprefix("model.")


def in_vlm(module: str) -> str:
    return module if module == "custom_text_proj" else f"vlm.{in_todays_names(module)}"


def bare_in_vlm(module: str) -> str:
    return module if module == "custom_text_proj" else f"vlm.{in_todays_bare_names(module)}"


@pytest.mark.parametrize("named", [str, in_todays_names, in_todays_bare_names, in_vlm, bare_in_vlm])
def test_pairs_of_the_vision_tower_and_the_language_model_are_merged_under_every_name(
    base: Path, folder: Path, named: Callable[[str], str]
) -> None:
    updates = write_adapter(
        folder,
        base=str(base),
        vision=True,
        named=named,
        alpha_of=lambda module: 3 if "attn.qkv" in module else 8,
        alpha_pattern={"attn.qkv": 3},
    )
    assert least_cosine_to_the_merge(folder, base=base, updates=updates) >= 0.99999


def test_a_vision_tower_alone_can_be_adapted(base: Path, folder: Path) -> None:
    updates = write_adapter(folder, base=str(base), vision=True)

    def keep_vision(weights: dict[str, torch.Tensor]) -> None:
        for key in [key for key in weights if "visual" not in key]:
            del weights[key]

    rewrite(folder, keep_vision)
    only = {module: update for module, update in updates.items() if "visual" in module}
    assert least_cosine_to_the_merge(folder, base=base, updates=only) >= 0.99999


@pytest.mark.parametrize(
    "more",
    [
        PEFT_DEFAULTS,
        {"init_lora_weights": "gaussian", "target_modules": "(.*(model).*(q_proj).*$)"},
        {"init_lora_weights": "orthogonal"},
        {"init_lora_weights": False, "lora_dropout": 0.1, "task_type": "FEATURE_EXTRACTION"},
        {"init_lora_weights": "eva", "eva_config": {"rho": 2.0}},
        {"layers_to_transform": [0, 1], "layers_pattern": "layers", "exclude_modules": ["x"]},
        {"rank_pattern": None, "alpha_pattern": None, "use_rslora": None},
        {"a_key_of_tomorrow": None, "another": {}, "a_third": False, "a_fourth": []},
        {"alpha_pattern": {"no_such_module": 5}, "rank_pattern": {"nor_this": 5}},
    ],
    ids=str,
)
def test_keys_that_change_no_merged_weight_are_accepted(
    base: Path, folder: Path, more: dict[str, Any]
) -> None:
    updates = write_adapter(folder, base=str(base), **more)
    assert least_cosine_to_the_merge(folder, base=base, updates=updates) >= 0.99999


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            ("init_lora_weights", start)
            for start in ("pissa", "pissa_niter_16", "olora", "OLoRA", "corda", "loftq", "lora_ga")
        ),
        ("init_lora_weights", "mica"),
        ("init_lora_weights", 1),
        ("lora_bias", True),
        ("bias", "lora_only"),
        ("bias", True),
        ("use_dora", True),
        ("use_dora", "true"),
        ("use_qalora", True),
        ("qalora_group_size", 32),
        ("fan_in_fan_out", True),
        ("layer_replication", [[0, 1], [0, 2]]),
        ("megatron_config", {"tensor_parallel": 2}),
        ("megatron_core", "my.core"),
        ("trainable_token_indices", [1, 2]),
        ("loftq_config", {"loftq_bits": 4}),
        ("eva_config", {"rho": 2.0}),
        ("corda_config", {"corda_method": "ipm"}),
        ("lora_ga_config", {"direction": "ArBr"}),
        ("velora_config", {"rank": 1}),
        ("alora_invocation_tokens", [5, 6]),
        ("monteclora_config", {"num_samples": 4}),
        ("target_parameters", ["experts.down_proj"]),
        ("use_bdlora", {"nblocks": 2}),
        ("arrow_config", {"top_k": 3}),
        ("kasa_config", {"beta": 1e-4}),
        ("ensure_weight_tying", True),
        ("modules_to_save", ["custom_text_proj", "embed_tokens"]),
        ("modules_to_save", "custom_text_proj"),
        ("peft_type", "ADALORA"),
        ("peft_type", 3),
        ("a_key_of_tomorrow", "on"),
        ("a_key_of_tomorrow", 0.5),
    ],
)
@pytest.mark.parametrize("dtype", ["auto", "float32"])
def test_a_key_that_is_not_at_its_default_is_refused_by_name(
    base: Path, folder: Path, key: str, value: Any, dtype: str
) -> None:
    write_adapter(folder, base=str(base), **{key: value})
    with pytest.raises(CheckpointError) as refused:
        load_encoder(str(folder), device="cpu", dtype=dtype)
    said = str(refused.value)
    assert said.startswith(f"{folder} is an adapter with {key}={value!r}; ")
    assert "merge_and_unload" in said


def test_all_keys_that_are_not_understood_are_named_at_once_and_long_values_cut(
    base: Path, folder: Path
) -> None:
    tokens = [*range(10_000)]
    write_adapter(folder, base=str(base), use_qalora=True, alora_invocation_tokens=tokens)
    with pytest.raises(
        CheckpointError, match=r"use_qalora=True, alora_.*=\[0, 1.*\.\.\.;"
    ) as found:
        load(folder)
    assert len(str(found.value)) < 600


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        *(("r", rank, "a whole number from 1") for rank in (0, -4, 4.0, "4", True, None, [4], {})),
        *(
            ("lora_alpha", alpha, "a finite number")
            for alpha in ("8", None, True, float("nan"), float("inf"), 10**400, [8], {})
        ),
        *(
            (key, value, "an object of patterns and numbers")
            for key in ("rank_pattern", "alpha_pattern")
            for value in ([["q_proj", 4]], "q_proj", 4, True)
        ),
        *(
            ("rank_pattern", {"q_proj": rank}, "a whole number from 1")
            for rank in (0, "4", 4.5, None, True)
        ),
        *(
            ("alpha_pattern", {"q_proj": alpha}, "a finite number")
            for alpha in ("64", None, [64], float("nan"), True)
        ),
        ("alpha_pattern", {"(q_proj": 64}, "regular expressions"),
        ("rank_pattern", {"*q_proj": 4}, "regular expressions"),
        *(("use_rslora", value, "true or false") for value in ("false", 1, 0.0, [True])),
        ("revision", 5, "the name of one"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_name(
    base: Path, folder: Path, key: str, value: Any, allowed: str
) -> None:
    write_adapter(folder, base=str(base), **{key: value})
    with pytest.raises(CheckpointError, match=re.escape(allowed)) as refused:
        load(folder)
    said = str(refused.value)
    assert said.startswith(f"{folder}: adapter_config.json has {key}")
    assert "Download the checkpoint again" in said


@pytest.mark.parametrize(
    "options",
    [{"r": 8}, {"rank_pattern": {"q_proj": 8}}, {"rank_pattern": {r"layers\.0\..*": 2}}],
    ids=str,
)
def test_a_pair_of_another_rank_than_the_configuration_says_is_refused(
    base: Path, folder: Path, options: dict[str, Any]
) -> None:
    write_adapter(folder, base=str(base), **options)
    with pytest.raises(CheckpointWeightsError, match=r"pair for .* says rank [28]"):
        load(folder)


def test_a_configuration_without_a_rank_has_pefts(base: Path, folder: Path) -> None:
    updates = write_adapter(folder, base=str(base), rank_of=lambda _: 8)
    facts = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    del facts["r"], facts["lora_alpha"]
    (folder / "adapter_config.json").write_text(json.dumps(facts), encoding="utf-8")
    assert least_cosine_to_the_merge(folder, base=base, updates=updates) >= 0.99999


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

    rewrite(folder, add)
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
    rewrite(folder, lambda weights: weights.update({f"{PLACE}{key}": torch.ones(4)}))
    with pytest.raises(CheckpointWeightsError, match=re.escape(key)):
        load(folder)


@pytest.mark.parametrize("side", ["lora_A", "lora_B"])
def test_half_a_pair_of_the_vision_tower_is_named(base: Path, folder: Path, side: str) -> None:
    write_adapter(folder, base=str(base), vision=True)
    key = f"{PLACE}visual.blocks.0.attn.qkv.{side}.weight"
    rewrite(folder, lambda weights: weights.pop(key))
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

    rewrite(folder, double)
    with pytest.raises(CheckpointWeightsError, match=r"layers\.0\.self_attn\.q_proj under two"):
        load(folder)


def test_the_two_halves_of_a_pair_under_two_names_are_no_pair(base: Path, folder: Path) -> None:
    write_adapter(folder, base=str(base))
    other = Q_PROJ.replace("model.layers", "model.language_model.layers")

    def rename(weights: dict[str, torch.Tensor]) -> None:
        weights[f"{other}.lora_B.weight"] = weights.pop(f"{Q_PROJ}.lora_B.weight")

    rewrite(folder, rename)
    with pytest.raises(CheckpointWeightsError, match=r"lack their other half"):
        load(folder)


def whole_projection(base: Path, *parts: str) -> dict[str, torch.Tensor]:
    weights = load_file(base / "model.safetensors")
    return {f"{PLACE}custom_text_proj.{p}": weights[f"custom_text_proj.{p}"] for p in parts}


def test_a_projection_that_is_both_adapted_and_replaced_is_refused(
    base: Path, folder: Path
) -> None:
    write_adapter(folder, base=str(base))
    rewrite(folder, lambda weights: weights.update(whole_projection(base, "weight", "bias")))
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

    rewrite(folder, replace)
    with pytest.raises(CheckpointWeightsError, match=r"custom_text_proj of its own.*missing"):
        load(folder)


def test_an_adapter_without_weights_is_refused(base: Path, folder: Path) -> None:
    write_adapter(folder, base=str(base))
    rewrite(folder, lambda weights: weights.clear())
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
    rewrite(folder, lambda weights: weights.update(pair))
    with pytest.raises(CheckpointWeightsError, match="does not fit its base"):
        load(folder)


@pytest.mark.parametrize("shape", [(), (0,), (RANK,), (RANK, 64, 1)])
def test_a_pair_that_is_no_pair_of_matrices_is_refused(
    base: Path, folder: Path, shape: tuple[int, ...]
) -> None:
    write_adapter(folder, base=str(base))
    rewrite(folder, lambda weights: weights.update({f"{Q_PROJ}.lora_A.weight": torch.ones(shape)}))
    with pytest.raises(CheckpointWeightsError, match=r"layers\.0\.self_attn\.q_proj"):
        load(folder)


def facts_of(folder: Path, base: Path, **options: Any) -> str:
    write_adapter(folder, base=str(base), **options)
    adapter = read_base(folder / "adapter_config.json", name="mine")
    return json.dumps(adapter.config.facts, sort_keys=True)


def test_what_decides_the_merged_weights_is_told_without_reading_them(
    base: Path, tmp_path: Path
) -> None:
    plain = facts_of(tmp_path / "a", base)
    same = {**PEFT_DEFAULTS, "lora_alpha": 8.0, "init_lora_weights": "gaussian"}
    assert facts_of(tmp_path / "b", base, **same) == plain
    one, other = {"q_proj": 2, "v_proj": 3}, {"v_proj": 3, "q_proj": 2}
    differing: list[dict[str, Any]] = [
        {"r": 5},
        {"lora_alpha": 9},
        {"use_rslora": True},
        *({key: value} for key in ("rank_pattern", "alpha_pattern") for value in (one, other)),
    ]
    told = [facts_of(tmp_path / str(n), base, **options) for n, options in enumerate(differing)]
    assert len({plain, *told}) == 1 + len(differing)
