"""Adapters merged as peft merges them, and configurations that a plain merge would get wrong."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benchmarks.colqwen2_path import ColQwen2Path
from PIL import Image
from tests.tiny_colqwen2 import RANK, rewrite_adapter, write_adapter, write_merged

from vdr_integrations import MultiVectorEncoder, load_encoder
from vdr_integrations.encoders.checkpoints.adapter_config import read_adapter_config
from vdr_integrations.errors import CheckpointError, CheckpointWeightsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

QUERIES = ["revenue", "Wie groß ist die Fläche (in m²)?"]

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


def load(folder: Path) -> MultiVectorEncoder:
    return MultiVectorEncoder.load(str(folder), device="cpu")


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

    rewrite_adapter(folder, keep_vision)
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
        ("revision", 5, "the name of a revision"),
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


def facts_of(folder: Path, base: Path, **options: Any) -> str:
    write_adapter(folder, base=str(base), **options)
    config = read_adapter_config(folder / "adapter_config.json", name="mine")
    return json.dumps(config.facts, sort_keys=True)


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
