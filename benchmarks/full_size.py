"""A folder with the real 2B configuration and random bf16 weights, for runs without the hub."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForImageTextToText

from benchmarks.tokenizer import SPECIAL_TOKENS, write_tokenizer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator

__all__ = [
    "checkpoint_folder",
    "write_family_checkpoint",
    "write_full_size_checkpoint",
    "write_random_checkpoint",
]

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


# What all checkpoints of the family say: CLIP's normalisation and Qwen2-VL's patches.
PREPROCESSOR: dict[str, Any] = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
}
INITIAL_STD = 0.02
"""``initializer_range`` of Qwen2-VL's configuration."""


def write_full_size_checkpoint(
    folder: Path,
    *,
    tokenizer: Path | None,
    layers: int | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Path:
    """Write config, weights, tokenizer and preprocessor config.

    Args:
        folder: Created; named as a known checkpoint so that its prompts are known.
        tokenizer: Folder with the real Qwen2 tokenizer; None for one of bytes.
        layers: Layers of each tower; None for all (4.4 GB).
        seed: Seed of the random weights.
        device: Where they are drawn: one thread of a CPU takes a minute for all.
    """
    text, vision = dict(TEXT), dict(VISION)
    if layers is not None:
        text["num_hidden_layers"] = vision["depth"] = layers
    return write_random_checkpoint(
        folder, text=text, vision=vision, tokenizer=tokenizer, seed=seed, device=device
    )


def write_random_checkpoint(
    folder: Path,
    *,
    text: dict[str, Any],
    vision: dict[str, Any],
    tokenizer: Path | None,
    std: float | None = INITIAL_STD,
    dtype: torch.dtype = torch.bfloat16,
    seed: int = 0,
    device: str = "cpu",
) -> Path:
    """Write a folder of any size.

    Args:
        folder: Created.
        text: Configuration of the decoder; without ``vocab_size``, that of the tokenizer is used.
        vision: Configuration of the vision tower.
        tokenizer: Folder with the real Qwen2 tokenizer; None for one of bytes.
        std: Standard deviation of the weights; None derives it from the number of their inputs.
            Without that, all vectors of a small model look alike.
        dtype: Number format of the weights.
        seed: Seed of the random numbers.
        device: Where they are drawn.
    """
    return _write(
        folder,
        {"model_type": "qwen2_vl", "text_config": text, "vision_config": vision},
        PREPROCESSOR,
        tokenizer=tokenizer,
        std=std,
        dtype=dtype,
        seed=seed,
        device=device,
    )


def write_family_checkpoint(
    folder: Path, facts: dict[str, Any], *, layers: int | None, tokenizer: Path | None
) -> Path:
    """Write a folder of any family, with random weights in bfloat16.

    Args:
        folder: Created.
        facts: ``config.json``: ``model_type``, ``text_config``, ``vision_config``.
        layers: Layers of each tower; the blocks of the tower that differ from the others become
            its last ones. None for all.
        tokenizer: Folder with the real Qwen2 tokenizer; None for one of bytes.
    """
    text, vision = dict(facts["text_config"]), dict(facts["vision_config"])
    if layers is not None:
        text["num_hidden_layers"] = vision["depth"] = layers
        for key in {"fullatt_block_indexes", "deepstack_visual_indexes"} & {*vision}:
            vision[key] = list(range(layers))[-len(vision[key]) :]
    side = vision.get("patch_size", PREPROCESSOR["patch_size"])
    return _write(
        folder,
        {**facts, "text_config": text, "vision_config": vision},
        PREPROCESSOR | {"patch_size": side},
        tokenizer=tokenizer,
        std=INITIAL_STD,
        dtype=torch.bfloat16,
        seed=0,
        device="cpu",
    )


def _write(
    folder: Path,
    facts: dict[str, Any],
    preprocessor: dict[str, Any],
    *,
    tokenizer: Path | None,
    std: float | None,
    dtype: torch.dtype,
    seed: int,
    device: str,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, tokenizer)
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = {token: tokens.token_to_id(token) for token in SPECIAL_TOKENS}
    text = {"vocab_size": tokens.get_vocab_size(), **facts["text_config"]}
    config = AutoConfig.for_model(
        facts["model_type"],
        text_config={**text, "bos_token_id": None, "eos_token_id": ids["<|endoftext|>"]},
        vision_config=dict(facts["vision_config"]),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    model = _random_model(config, std=std, dtype=dtype, seed=seed, device=device)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    return folder


@torch.no_grad()
def _random_model(
    config: Any,  # noqa: ANN401  # loosely typed
    *,
    std: float | None,
    dtype: torch.dtype,
    seed: int,
    device: str,
) -> Any:  # noqa: ANN401
    torch.set_default_dtype(dtype)
    try:
        # Without contents: transformers would draw them first, on the CPU.
        with torch.device("meta"):
            model: Any = AutoModelForImageTextToText.from_config(config)
    finally:
        torch.set_default_dtype(torch.float32)
    model.to_empty(device=device)
    model.tie_weights()
    generator = torch.Generator(device).manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            spread = weight[0].numel() ** -0.5 if std is None else std
            weight.normal_(std=spread, generator=generator)
        elif name.endswith("bias"):
            weight.zero_() if std is not None else weight.normal_(std=0.1, generator=generator)
        else:
            weight.fill_(1.0)
    return model


@contextmanager
def checkpoint_folder(options: argparse.Namespace) -> Generator[Path]:
    """The folder given with ``--checkpoint``, or a temporary one with random weights."""
    if options.checkpoint:
        yield options.checkpoint
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "vdr-2b-multi-v1"
        yield write_full_size_checkpoint(folder, tokenizer=options.tokenizer, layers=options.layers)
