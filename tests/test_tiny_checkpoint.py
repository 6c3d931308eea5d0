"""The tiny checkpoint, written by hand, is what transformers reads and would have saved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from benchmarks.tokenizer import SPECIAL_TOKENS, byte_tokenizer
from safetensors.torch import load_file
from tests.tiny_checkpoint import HIDDEN_SIZE, write_tiny_checkpoint
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "<|im_start|>user\nWie groß?<|image_pad|><|endoftext|>"


DEFAULTS = {
    *("model_type", "hidden_act", "rms_norm_eps", "use_sliding_window"),
    *("in_channels", "patch_size", "spatial_merge_size", "temporal_patch_size"),
}
OWN = {"architectures", "dtype", "model_type"}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("hidden_size", [HIDDEN_SIZE, 256])
def test_transformers_reads_all_of_it_and_saves_the_same(tmp_path: Path, hidden_size: int) -> None:
    ours = write_tiny_checkpoint(tmp_path / "ours", hidden_size=hidden_size)
    loaded: Any = Qwen2VLForConditionalGeneration.from_pretrained(ours, output_loading_info=True)
    model, info = loaded
    assert not any(info.values())
    model.save_pretrained(tmp_path / "theirs")
    found, expected = (
        load_file(folder / "model.safetensors") for folder in (ours, tmp_path / "theirs")
    )
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name])
    written = read(ours / "config.json")
    facts = {name: fact for name, fact in written.items() if name not in OWN}
    for part in ("text_config", "vision_config"):
        facts[part] = {name: fact for name, fact in facts[part].items() if name not in DEFAULTS}
    theirs, config = Qwen2VLConfig(**facts).to_dict(), read(tmp_path / "theirs" / "config.json")
    for part in ("text_config", "vision_config"):
        del written[part]["model_type"]  # releases of transformers name it differently
        assert written[part] == {name: theirs[part][name] for name in written[part]}
        assert written[part] == {name: config[part][name] for name in written[part]}
    assert all(written[name] == config[name] for name in OWN)


def test_the_tokenizer_is_what_transformers_saves(tmp_path: Path) -> None:
    ours = write_tiny_checkpoint(tmp_path / "ours")
    PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(),
        pad_token=SPECIAL_TOKENS[0],
        eos_token=SPECIAL_TOKENS[0],
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
    ).save_pretrained(tmp_path / "theirs")
    files = [read(folder / "tokenizer.json") for folder in (ours, tmp_path / "theirs")]
    assert files[0] | {"post_processor": None} == files[1] | {"post_processor": None}
    found, expected = (
        AutoTokenizer.from_pretrained(folder) for folder in (ours, tmp_path / "theirs")
    )
    assert found.special_tokens_map == expected.special_tokens_map
    assert set(found.all_special_tokens) == set(SPECIAL_TOKENS)
    assert found.encode(TEXT) == expected.encode(TEXT)
    assert found.decode(found.encode(TEXT)) == TEXT


def test_weights_depend_on_the_seed_alone(tmp_path: Path) -> None:
    first, again, other = (
        write_tiny_checkpoint(tmp_path / str(n), seed=seed) / "model.safetensors"
        for n, seed in enumerate((0, 0, 1))
    )
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
