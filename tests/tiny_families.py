"""Tiny random checkpoints of the families beside Qwen2-VL, in the layouts that are published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.tokenizer import SPECIAL_TOKENS, byte_tokenizer, write_tokenizer
from safetensors.torch import load_file, save_file
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Tensors = dict[str, torch.Tensor]

__all__ = [
    "HIDDEN_SIZE",
    "change_tensors",
    "random_projection",
    "write_tiny_qwen2_5_vl",
    "write_tiny_qwen3_vl",
    "write_tiny_tomoro",
]

HIDDEN_SIZE = 64
CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def write_tiny_qwen2_5_vl(folder: Path, *, seed: int = 0) -> Path:
    """As Qwen/Qwen2.5-VL-3B-Instruct: windows of 56 pixels, one block that sees the whole page."""
    config = Qwen2_5_VLConfig(
        text_config={
            **_text(),
            "num_attention_heads": 4,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [2, 3, 3],
            },
        },
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 52,
            "num_heads": 2,
            "out_hidden_size": HIDDEN_SIZE,
            "fullatt_block_indexes": [1],
        },
        tie_word_embeddings=True,
        **_tokens(),
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    return _written(folder, model, seed=seed, patch_size=14, normalisation=CLIP)


def write_tiny_qwen3_vl(folder: Path, *, seed: int = 0) -> Path:
    """As Qwen/Qwen3-VL-Embedding-2B: heads wider than their share, deepstack of two blocks."""
    config = Qwen3VLConfig(
        text_config={
            **_text(),
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "head_dim": 24,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [4, 4, 4],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 4,
            "hidden_size": 32,
            "intermediate_size": 52,
            "num_heads": 2,
            "out_hidden_size": HIDDEN_SIZE,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 2],
        },
        tie_word_embeddings=True,
        **_tokens(),
    )
    model = Qwen3VLForConditionalGeneration(config)
    return _written(folder, model, seed=seed, patch_size=16, normalisation=HALF)


def write_tiny_tomoro(folder: Path, *, seed: int = 0) -> Path:
    """As TomoroAI/tomoro-colqwen3-embed-4b: Qwen3-VL with a projection to 320 components."""
    write_tiny_qwen3_vl(folder, seed=seed)
    weight, _ = random_projection(320)
    head = {"embedding_proj_layer.weight": weight}
    change_tensors(folder, lambda found: {f"vlm.{k}": v for k, v in found.items()} | head)
    config = folder / "config.json"
    text = config.read_text(encoding="utf-8").replace('"qwen3_vl"', '"colqwen3"', 1)
    config.write_text(text, encoding="utf-8")
    return folder


def random_projection(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (rows, hidden) and bias (rows,)."""
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(rows, HIDDEN_SIZE, generator=generator) / HIDDEN_SIZE**0.5
    return weight, 0.1 * torch.randn(rows, generator=generator)


def change_tensors(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    """Save other tensors in a folder."""
    path = folder / "model.safetensors"
    # Not into the same file: a model that was loaded from it may still read it (transformers 5.3).
    save_file(change(load_file(path)), folder / "other", metadata={"format": "pt"})
    (folder / "other").replace(path)


def _text() -> dict[str, Any]:
    vocabulary = byte_tokenizer().get_vocab()
    return {
        "vocab_size": len(vocabulary),
        "hidden_size": HIDDEN_SIZE,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "bos_token_id": None,
        "eos_token_id": vocabulary["<|endoftext|>"],
        "max_position_embeddings": 2048,
    }


def _tokens() -> dict[str, Any]:
    vocabulary = byte_tokenizer().get_vocab()
    names = dict(zip(("image", "video"), ("<|image_pad|>", "<|video_pad|>"), strict=True))
    assert set(names.values()) <= set(SPECIAL_TOKENS)
    return {
        **{f"{name}_token_id": vocabulary[token] for name, token in names.items()},
        "vision_start_token_id": vocabulary["<|vision_start|>"],
        "vision_end_token_id": vocabulary["<|vision_end|>"],
    }


@torch.no_grad()
def _written(
    folder: Path,
    model: Any,
    *,
    seed: int,
    patch_size: int,
    normalisation: dict[str, list[float]],
) -> Path:
    torch.manual_seed(seed)
    # The library's initialisation is so small that every vector would look alike.
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            weight.normal_(std=1.0 / weight[0].numel() ** 0.5)
        elif name.endswith("bias"):
            weight.normal_(std=0.1)
        else:
            weight.normal_(mean=1.0, std=0.1)
    model.tie_weights()
    model.save_pretrained(folder)
    write_tokenizer(folder, None)
    preprocessor = {
        "image_processor_type": "Qwen2VLImageProcessor",
        **normalisation,
        "patch_size": patch_size,
        "temporal_patch_size": 2,
        "merge_size": 2,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    return folder
