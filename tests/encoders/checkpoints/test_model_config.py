"""Configurations in the forms in which they were published, beside transformers' reading."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from transformers import AutoConfig

from vdr_integrations import load_encoder
from vdr_integrations.encoders.checkpoints.known_checkpoints import BUNDLED
from vdr_integrations.encoders.checkpoints.model_config import ModelConfig, parse_model_config
from vdr_integrations.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

Facts = dict[str, Any]

QWEN2_VL = "qwen2_vl"
COLQWEN2 = "colqwen2"

# As Qwen/Qwen2-VL-2B-Instruct and what was trained from it say it.
TEXT: Facts = {
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "max_position_embeddings": 32768,
    "num_attention_heads": 12,
    "num_hidden_layers": 28,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "vocab_size": 151936,
    "hidden_act": "silu",
    "use_sliding_window": False,
    "sliding_window": 32768,
    "max_window_layers": 28,
}
SECTIONS = [16, 24, 24]
OLD_ROPE: Facts = {
    "rope_theta": 500_000.0,
    "rope_scaling": {"type": "mrope", "mrope_section": SECTIONS},
}
REWRITTEN_ROPE: Facts = {
    "rope_theta": 500_000.0,
    "rope_scaling": {"type": "default", "rope_type": "default", "mrope_section": SECTIONS},
}
NEW_ROPE: Facts = {
    "rope_parameters": {"rope_type": "default", "rope_theta": 5e5, "mrope_section": SECTIONS}
}
ALL_OF_VISION: Facts = {
    "depth": 32,
    "embed_dim": 1280,
    "mlp_ratio": 4,
    "num_heads": 16,
    "in_chans": 3,
    "hidden_size": 1536,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "spatial_patch_size": 14,
    "temporal_patch_size": 2,
}
SOME_OF_VISION: Facts = {"hidden_size": 1536, "in_chans": 3, "model_type": "qwen2_vl"}


def flat(**more: Any) -> Facts:
    return {"model_type": QWEN2_VL, **TEXT, **more}


def nested(**more: Any) -> Facts:
    return {"model_type": QWEN2_VL, "text_config": TEXT | more, "vision_config": SOME_OF_VISION}


FORMS: dict[str, Facts] = {
    "of 2024": flat(**OLD_ROPE, vision_config=ALL_OF_VISION, torch_dtype="bfloat16"),
    "saved again": flat(**REWRITTEN_ROPE, vision_config=SOME_OF_VISION, torch_dtype="bfloat16"),
    "nested": nested(**NEW_ROPE),
    "nested, old positions": nested(**OLD_ROPE) | {"dtype": "bfloat16"},
    "beside a null": flat(**OLD_ROPE, text_config=None, vision_config=SOME_OF_VISION),
    "as many keys as heads": nested(**NEW_ROPE, num_key_value_heads=None),
    "no word on positions": nested(),
    "no word on much": {
        "model_type": QWEN2_VL,
        "text_config": {"hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4},
    },
    "transformers' ColQwen2": {
        "model_type": COLQWEN2,
        "embedding_dim": 96,
        "vlm_config": nested(**NEW_ROPE),
        "dtype": "bfloat16",
    },
    "transformers' ColQwen2 over an old model": {
        "model_type": COLQWEN2,
        "vlm_config": flat(**OLD_ROPE, vision_config=ALL_OF_VISION),
    },
    "nano": json.loads((BUNDLED["nano"] / "config.json").read_text(encoding="utf-8")),
}


def read(facts: Facts) -> ModelConfig:
    return parse_model_config(facts, name="mine", may_project=True)


@pytest.mark.parametrize("facts", FORMS.values(), ids=FORMS)
def test_every_form_is_read_as_transformers_reads_it(facts: Facts, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(facts), encoding="utf-8")
    theirs: Any = AutoConfig.from_pretrained(tmp_path)
    model = theirs.vlm_config if theirs.model_type == COLQWEN2 else theirs
    text, vision = model.text_config, model.vision_config
    ours = read(facts)
    decoder, tower = ours.sizes.decoder, ours.sizes.vision
    assert ours.projected == getattr(theirs, "embedding_dim", None)
    assert ours.is_bfloat16 == (str(theirs.dtype) == "torch.bfloat16")
    rope: Facts = text.rope_parameters
    assert {
        "vocab_size": decoder.vocab_size,
        "hidden_size": decoder.hidden_size,
        "intermediate_size": decoder.mlp_width,
        "num_hidden_layers": decoder.num_layers,
        "num_attention_heads": decoder.num_heads,
        "num_key_value_heads": decoder.num_key_value_heads,
        "rms_norm_eps": decoder.norm_epsilon,
        "max_position_embeddings": decoder.max_tokens,
    }.items() <= text.to_dict().items()
    assert decoder.rope_theta == rope["rope_theta"]
    assert list(decoder.mrope_section) == rope.get("mrope_section", SECTIONS)
    assert {
        "depth": tower.depth,
        "embed_dim": tower.embed_dim,
        "num_heads": tower.num_heads,
        "in_channels": tower.in_channels,
        "patch_size": tower.patch_size,
        "temporal_patch_size": tower.temporal_patch_size,
        "spatial_merge_size": tower.spatial_merge_size,
        "hidden_size": decoder.hidden_size,
    }.items() <= vision.to_dict().items()
    assert tower.mlp_width == vision.embed_dim * vision.mlp_ratio


@pytest.mark.parametrize(
    ("part", "key", "value", "allowed"),
    [
        *(
            ("text_config", "num_hidden_layers", value, "a whole number from 1 to 1000")
            for value in (0, -1, "28", 28.0, None, True, [28], {}, 10**9, float("inf"))
        ),
        ("vision_config", "depth", 10**9, "a whole number from 1 to 1000"),
        ("text_config", "hidden_size", 10**12, "a whole number"),
        ("text_config", "hidden_size", 1530, "a multiple of twice 12 heads"),
        ("text_config", "num_key_value_heads", 5, "a divisor of 12 heads"),
        ("text_config", "head_dim", 64, "128"),
        ("text_config", "hidden_act", "gelu", "'silu'"),
        ("text_config", "use_sliding_window", True, "False"),
        ("vision_config", "hidden_act", "gelu", "'quick_gelu'"),
        ("vision_config", "in_channels", 1, "3"),
        ("vision_config", "hidden_size", 1280, "1536, as in the decoder"),
        ("vision_config", "embed_dim", 1290, "a multiple of four times 16 heads"),
        ("vision_config", "patch_size", [14, 14], "a whole number"),
        ("vision_config", "mlp_ratio", 4.0, "a whole number"),
        ("vision_config", "rope_theta", 100.0, "10000.0"),
        *(
            ("text_config", "rms_norm_eps", value, "number")
            for value in ("1e-6", None, 0, -1e-6, float("nan"), float("inf"), True)
        ),
        *(
            ("rope_parameters", "rope_theta", value, "number")
            for value in ("1e6", None, 0, float("nan"))
        ),
        *(
            ("rope_parameters", "mrope_section", value, "whole numbers whose sum is 64")
            for value in (
                [16, 24, 25],
                [16.0, 24, 24],
                "64",
                None,
                64,
                [],
                [True, 31, 32],
                [32, 32],
            )
        ),
        ("rope_parameters", "rope_type", "yarn", "'default' or 'mrope'"),
        ("rope_parameters", "rope_type", None, "'default' or 'mrope'"),
    ],
)
def test_what_means_nothing_or_is_not_computed_here_is_refused_by_name(
    part: str, key: str, value: Any, allowed: str
) -> None:
    facts: Facts = json.loads(json.dumps(nested(**NEW_ROPE)))
    text = facts["text_config"]
    (text[part] if part == "rope_parameters" else facts[part])[key] = value
    with pytest.raises(CheckpointError) as refused:
        read(facts)
    said = str(refused.value)
    assert said.startswith("mine: config.json, ")
    assert f"{part} has {key}={value!r}; it must be " in said
    assert allowed in said


# As Qwen/Qwen2.5-VL-3B-Instruct and Qwen/Qwen3-VL-2B-Instruct say it.
TEXT_2_5: Facts = TEXT | {"hidden_size": 2048, "num_attention_heads": 16, "vocab_size": 152000}
VISION_2_5: Facts = {"hidden_size": 1280, "in_chans": 3, "out_hidden_size": 2048}
SAVED_VISION: Facts = {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "axial"}}
TEXT_3: Facts = {
    "hidden_size": 2048,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 120,
}
ROPE_3: Facts = {"rope_type": "default", "mrope_section": [20, 20, 20], "mrope_interleaved": True}
VISION_3: Facts = {"deepstack_visual_indexes": [5, 11], "depth": 24, "out_hidden_size": 2048}


def of_2_5(text: Facts, vision: Facts = VISION_2_5) -> Facts:
    return {"model_type": "qwen2_5_vl", "text_config": text, "vision_config": vision}


def of_3(text: Facts, vision: Facts = VISION_3) -> Facts:
    return {"model_type": "qwen3_vl", "text_config": text, "vision_config": vision}


NEWER_FORMS: dict[str, Facts] = {
    "2.5, of 2025": {
        "model_type": "qwen2_5_vl",
        "vision_config": VISION_2_5,
        **TEXT_2_5,
        **OLD_ROPE,
    },
    "2.5, of today": of_2_5(TEXT_2_5 | NEW_ROPE, VISION_2_5 | SAVED_VISION),
    "2.5, no word on positions": of_2_5(TEXT_2_5),
    "2.5, both forms": TEXT_2_5 | OLD_ROPE | of_2_5(TEXT_2_5 | NEW_ROPE),
    "2.5, other windows": of_2_5(
        TEXT_2_5, VISION_2_5 | {"window_size": 224, "fullatt_block_indexes": [31, 2, 40]}
    ),
    "2.5 in transformers' ColQwen2": {
        "model_type": COLQWEN2,
        "vlm_config": {"model_type": "qwen2_5_vl", "vision_config": VISION_2_5, **TEXT_2_5},
    },
    "3, of 2025": of_3(TEXT_3 | {"rope_theta": 7e5, "rope_scaling": ROPE_3}),
    "3, of today": of_3(TEXT_3 | {"rope_parameters": ROPE_3 | {"rope_theta": 7e5}}),
    "3, as many keys as heads": of_3(TEXT_3 | {"num_key_value_heads": None, "head_dim": 128}),
    "3, no word on much": of_3({"num_key_value_heads": 8}, {"out_hidden_size": 4096}),
}


@pytest.mark.parametrize("facts", NEWER_FORMS.values(), ids=NEWER_FORMS)
def test_forms_of_newer_families_are_read_as_transformers_reads_them(
    facts: Facts, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(facts), encoding="utf-8")
    theirs: Any = AutoConfig.from_pretrained(tmp_path)
    model = getattr(theirs, "vlm_config", theirs)
    text, vision = model.text_config, model.vision_config
    ours = read(facts)
    decoder, tower = ours.sizes.decoder, ours.sizes.vision
    rope: Facts = text.rope_parameters
    heads = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    assert decoder.head_dimension == heads
    assert decoder.num_key_value_heads == text.num_key_value_heads
    assert (decoder.hidden_size, decoder.mlp_width) == (text.hidden_size, text.intermediate_size)
    assert (decoder.num_layers, decoder.vocab_size) == (text.num_hidden_layers, text.vocab_size)
    assert (decoder.rope_theta, decoder.norm_epsilon) == (rope["rope_theta"], text.rms_norm_eps)
    sections = [24, 20, 20] if model.model_type == "qwen3_vl" else SECTIONS
    assert list(decoder.mrope_section) == rope.get("mrope_section", sections)
    assert (tower.embed_dim, tower.mlp_width) == (vision.hidden_size, vision.intermediate_size)
    assert (tower.depth, tower.num_heads) == (vision.depth, vision.num_heads)
    assert tower.patch_size == vision.patch_size
    if model.model_type == "qwen3_vl":
        assert list(tower.deepstack_blocks) == list(vision.deepstack_visual_indexes)
        assert tower.position_rows**2 == vision.num_position_embeddings
    else:
        assert list(tower.whole_page_blocks) == sorted(vision.fullatt_block_indexes)
        assert tower.window_tokens == vision.window_size // 28


@pytest.mark.parametrize(
    "facts", [of_2_5(TEXT_2_5), of_3(TEXT_3 | {"rope_scaling": ROPE_3}), nested()]
)
@pytest.mark.parametrize("place", ["rope_parameters", "rope_scaling"])
def test_other_positions_of_patches_are_refused(facts: Facts, place: str) -> None:
    facts = json.loads(json.dumps(facts))
    facts["vision_config"][place] = {"rope_theta": 100.0, "rope_type": "axial"}
    with pytest.raises(CheckpointError, match=rf"{place} has rope_theta=100.0; it must be 10000"):
        read(facts)


@pytest.mark.parametrize("name", ["text_config", "vision_config", "rope_scaling"])
@pytest.mark.parametrize("value", ["x", [1], 5])
def test_a_part_that_is_no_object_is_refused(name: str, value: Any) -> None:
    facts = flat(**OLD_ROPE, vision_config=SOME_OF_VISION) | {name: value}
    with pytest.raises(CheckpointError, match=rf"has {name}=.*; it must be an object"):
        read(facts)


@pytest.mark.parametrize("model_type", [None, "bert", "qwen2", ["qwen2_vl"], 3])
def test_another_model_type_is_refused(model_type: Any) -> None:
    allowed = (
        r"it must be 'colqwen2' or 'colqwen3' or 'qwen2_5_vl' or 'qwen2_vl' or 'qwen3_vl'\. Choose"
    )
    with pytest.raises(CheckpointError, match=allowed):
        read(nested() | {"model_type": model_type})


@pytest.mark.parametrize(
    ("model_type", "lacking"),
    [
        ("qwen3_5", "gated delta nets"),
        ("qwen3_vl_moe", "experts"),
        ("qwen3_vl_nemotron_embed", "both directions"),
        ("llama_nemotron_vl", "both directions"),
        ("colmodernvbert", "ModernBERT"),
        ("qwen2_5_omni", "sound"),
    ],
)
def test_a_near_architecture_is_refused_with_what_is_missing(model_type: str, lacking: str) -> None:
    with pytest.raises(CheckpointError, match=rf"'{model_type}'.*does not compute .*{lacking}"):
        read(nested() | {"model_type": model_type})


def test_weights_that_are_stored_in_another_way_are_refused(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "vdr-2b-multi-v1")
    facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    facts["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (folder / "config.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"quantization_config=.*; it must be left out"):
        load_encoder(str(folder), device="cpu")
