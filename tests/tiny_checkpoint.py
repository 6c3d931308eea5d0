"""A Qwen2-VL checkpoint of random weights in the standard format, small enough for any test.

It is written without transformers, which takes seconds to import; ``test_tiny_checkpoint.py``
compares it with what transformers writes.
"""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.tokenizer import SPECIAL_TOKENS, byte_tokenizer, write_tokenizer
from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HIDDEN_SIZE = 64
_LAYERS, _TEXT_WIDTH, _KEYS = 2, 96, 2
_DEPTH, _VISION_SIZE, _VISION_WIDTH, _PATCH = 2, 32, 64, (3, 2, 14, 14)
_MERGED = 4 * _VISION_SIZE


def write_tiny_checkpoint(folder: Path, *, seed: int = 0, hidden_size: int = HIDDEN_SIZE) -> Path:
    """Folder with config, safetensors, tokenizer and preprocessor config."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = byte_tokenizer()
    vocabulary = tokenizer.get_vocab()
    config = _config(
        {token: vocabulary[token] for token in SPECIAL_TOKENS},
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden_size,
    )
    weights = _weights(_shapes(tokenizer.get_vocab_size(), hidden_size), seed)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_tokenizer(folder, None)
    preprocessor = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "min_pixels": 28 * 28,
        "max_pixels": 768 * 28 * 28,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
    }
    for name, facts in {"config": config, "preprocessor_config": preprocessor}.items():
        (folder / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return folder


def _config(ids: dict[str, int], *, vocab_size: int, hidden_size: int) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "dtype": "float32",
        "model_type": "qwen2_vl",
        "text_config": {
            "model_type": "qwen2_vl_text",
            "vocab_size": vocab_size,
            "hidden_size": hidden_size,
            "intermediate_size": _TEXT_WIDTH,
            "num_hidden_layers": _LAYERS,
            "num_attention_heads": 2 * _KEYS,
            "num_key_value_heads": _KEYS,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5,
            "bos_token_id": None,
            "eos_token_id": ids["<|endoftext|>"],
            "max_position_embeddings": 2048,
            "use_sliding_window": False,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [hidden_size // 8 - 6, 3, 3],
            },
        },
        "vision_config": {
            "model_type": "qwen2_vl_vision",
            "depth": _DEPTH,
            "embed_dim": _VISION_SIZE,
            "hidden_size": hidden_size,
            "hidden_act": "quick_gelu",
            "num_heads": 2,
            "mlp_ratio": _VISION_WIDTH // _VISION_SIZE,
            "in_channels": 3,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": True,
    }


def _shapes(vocab_size: int, hidden_size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes in the order of transformers' modules, which is that of the draws."""
    yield "visual.patch_embed.proj.weight", (_VISION_SIZE, *_PATCH)
    for n in range(_DEPTH):
        block = f"visual.blocks.{n}"
        yield from _linear(f"{block}.norm1", _VISION_SIZE)
        yield from _linear(f"{block}.norm2", _VISION_SIZE)
        yield from _linear(f"{block}.attn.qkv", 3 * _VISION_SIZE, _VISION_SIZE)
        yield from _linear(f"{block}.attn.proj", _VISION_SIZE, _VISION_SIZE)
        yield from _linear(f"{block}.mlp.fc1", _VISION_WIDTH, _VISION_SIZE)
        yield from _linear(f"{block}.mlp.fc2", _VISION_SIZE, _VISION_WIDTH)
    yield from _linear("visual.merger.ln_q", _VISION_SIZE)
    yield from _linear("visual.merger.mlp.0", _MERGED, _MERGED)
    yield from _linear("visual.merger.mlp.2", hidden_size, _MERGED)
    yield "model.embed_tokens.weight", (vocab_size, hidden_size)
    for n in range(_LAYERS):
        layer = f"model.layers.{n}"
        yield from _linear(f"{layer}.self_attn.q_proj", hidden_size, hidden_size)
        for name in ("k_proj", "v_proj"):
            yield from _linear(f"{layer}.self_attn.{name}", hidden_size // 2, hidden_size)
        yield f"{layer}.self_attn.o_proj.weight", (hidden_size, hidden_size)
        yield f"{layer}.mlp.gate_proj.weight", (_TEXT_WIDTH, hidden_size)
        yield f"{layer}.mlp.up_proj.weight", (_TEXT_WIDTH, hidden_size)
        yield f"{layer}.mlp.down_proj.weight", (hidden_size, _TEXT_WIDTH)
        yield f"{layer}.input_layernorm.weight", (hidden_size,)
        yield f"{layer}.post_attention_layernorm.weight", (hidden_size,)
    yield "model.norm.weight", (hidden_size,)


def _linear(name: str, *shape: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _weights(shapes: Iterator[tuple[str, tuple[int, ...]]], seed: int) -> dict[str, torch.Tensor]:
    """So large that no vectors look alike, as they do with the library's initial weights."""
    named = dict(shapes)
    drawn = torch.Generator().manual_seed(seed)
    torch.rand(_drawn_before(named), generator=drawn)
    found: dict[str, torch.Tensor] = {}
    for name, shape in named.items():
        if len(shape) > 1:
            found[name] = torch.empty(shape).normal_(
                std=1.0 / prod(shape[1:]) ** 0.5, generator=drawn
            )
        elif name.endswith("bias"):
            found[name] = torch.empty(shape).normal_(std=0.1, generator=drawn)
        else:
            found[name] = torch.ones(shape)
    return found


def _drawn_before(shapes: dict[str, tuple[int, ...]]) -> int:
    """Numbers that transformers draws first for its own initial weights: twice for each matrix, and
    for the untied head, and once for the bias of each.
    """
    head = prod(shapes["model.embed_tokens.weight"])
    matrices = [name for name, shape in shapes.items() if len(shape) > 1]
    biases = [f"{name.removesuffix('weight')}bias" for name in matrices]
    return (
        2 * head
        + 2 * sum(prod(shapes[name]) for name in matrices)
        + sum(prod(shapes[name]) for name in biases if name in shapes)
    )
