"""The real 2B configuration with random bf16 weights, as a folder: what no hub is needed for."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator

__all__ = ["checkpoint_folder", "write_full_size_checkpoint"]

# config.json of llamaindex/vdr-2b-multi-v1, which is Qwen/Qwen2-VL-2B-Instruct's.
TEXT: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 1_000_000.0,
        "mrope_section": [16, 24, 24],
    },
}
VISION: dict[str, Any] = {
    "depth": 32,
    "embed_dim": 1280,
    "hidden_size": 1536,
    "num_heads": 16,
    "mlp_ratio": 4,
}


def write_full_size_checkpoint(
    folder: Path, *, tokenizer: Path, layers: int | None = None, seed: int = 0
) -> Path:
    """Write config, weights, tokenizer and preprocessor config.

    Args:
        folder: Created; named as a known checkpoint so that its prompts are known.
        tokenizer: Folder with the real Qwen2 tokenizer.
        layers: Layers of each tower; None for all (4.4 GB).
        seed: Of the random weights.
    """
    text, vision = dict(TEXT), dict(VISION)
    if layers is not None:
        text["num_hidden_layers"] = vision["depth"] = layers
    config = Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True)
    torch.manual_seed(seed)
    torch.set_default_dtype(torch.bfloat16)
    try:
        model = Qwen2VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder / name)
    facts = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


@contextmanager
def checkpoint_folder(options: argparse.Namespace) -> Generator[Path]:
    """The folder given with ``--checkpoint``, or one of random weights for the while."""
    if options.checkpoint:
        yield options.checkpoint
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "vdr-2b-multi-v1"
        yield write_full_size_checkpoint(folder, tokenizer=options.tokenizer, layers=options.layers)
