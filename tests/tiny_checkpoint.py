"""A Qwen2-VL checkpoint of random weights in the standard format, small enough for any test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from benchmarks.tokenizer import SPECIAL_TOKENS, byte_tokenizer, write_tokenizer
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN_SIZE = 64


def write_tiny_checkpoint(folder: Path, *, seed: int = 0, hidden_size: int = HIDDEN_SIZE) -> Path:
    """Folder with config, safetensors, tokenizer and preprocessor config."""
    tokenizer = byte_tokenizer()
    vocabulary = tokenizer.get_vocab()
    ids = {token: vocabulary[token] for token in SPECIAL_TOKENS}
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": hidden_size,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "bos_token_id": None,
            "eos_token_id": ids["<|endoftext|>"],
            "max_position_embeddings": 2048,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [hidden_size // 8 - 6, 3, 3],
            },
        },
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": hidden_size,
            "num_heads": 2,
            "mlp_ratio": 2,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(config).eval()
    with torch.no_grad():
        # The library's initialisation is so small that every vector would look alike.
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(std=1.0 / weight[0].numel() ** 0.5)
            elif name.endswith("bias"):
                weight.normal_(std=0.1)
        model.tie_weights()
    model.save_pretrained(folder)
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
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    return folder
