"""Tiny random ColQwen2 checkpoints in the three layouts that are published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from tests.tiny_checkpoint import HIDDEN_SIZE, write_tiny_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIMENSION = 128
RANK = 4
ALPHA = 8
ADAPTED = ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj")
VISION = {
    **{
        f"visual.blocks.{block}.{module}": shape
        for block in range(2)
        for module, shape in {
            "attn.qkv": (96, 32),
            "attn.proj": (32, 32),
            "mlp.fc1": (64, 32),
            "mlp.fc2": (32, 64),
        }.items()
    },
    "visual.merger.mlp.0": (128, 128),
    "visual.merger.mlp.2": (HIDDEN_SIZE, 128),
}
"""Matrices of the vision tower, in the names of 2024: rows and columns."""

Projection = tuple[torch.Tensor, torch.Tensor]


def random_projection(seed: int = 5) -> Projection:
    """Weight (128, hidden) and bias (128,)."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(DIMENSION, HIDDEN_SIZE, generator=generator) / HIDDEN_SIZE**0.5
    return weight, 0.1 * torch.randn(DIMENSION, generator=generator)


def write_base(folder: Path, *, seed: int = 0) -> Projection:
    """As vidore/colqwen2-base: Qwen2-VL's tensors with custom_text_proj beside them."""
    write_tiny_checkpoint(folder, seed=seed)
    weight, bias = random_projection()
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors |= {"custom_text_proj.weight": weight, "custom_text_proj.bias": bias}
    save_file(tensors, path, metadata={"format": "pt"})
    return weight, bias


def write_adapter(
    folder: Path,
    *,
    base: str,
    vision: bool = False,
    rank_of: Callable[[str], int] = lambda _: RANK,
    alpha_of: Callable[[str], float] = lambda _: ALPHA,
    named: Callable[[str], str] = str,
    **options: Any,
) -> dict[str, torch.Tensor]:
    """As vidore/colqwen2-v1.0: LoRA pairs and the processor's files, no weights of its own.

    Args:
        folder: Where to.
        base: What the configuration names.
        vision: Adapt the vision tower too.
        rank_of: Rank of a module's pair.
        alpha_of: What its update is scaled by, before the division by the rank or its root.
        named: What the adapter calls a module of the base.
        options: Of the configuration.

    Returns:
        By module: what a merge adds to its weight.
    """
    folder.mkdir()
    generator = torch.Generator().manual_seed(9)
    shapes = {"custom_text_proj": (DIMENSION, HIDDEN_SIZE)}
    for layer in range(2):
        for module in ADAPTED:
            out = HIDDEN_SIZE // 2 if module.endswith("v_proj") else HIDDEN_SIZE
            inner = 96 if module.endswith("down_proj") else HIDDEN_SIZE
            shapes[f"model.layers.{layer}.{module}"] = (out, inner)
    tensors: dict[str, torch.Tensor] = {}
    updates: dict[str, torch.Tensor] = {}
    for module, (out, inner) in {**shapes, **(VISION if vision else {})}.items():
        rank = rank_of(module)
        pair = (
            torch.randn(rank, inner, generator=generator),
            torch.randn(out, rank, generator=generator),
        )
        low, high = pair[0] / 10, pair[1] / 10
        tensors[f"base_model.model.{named(module)}.lora_A.weight"] = low
        tensors[f"base_model.model.{named(module)}.lora_B.weight"] = high
        scale = alpha_of(module) / (rank**0.5 if options.get("use_rslora") else rank)
        updates[module] = scale * high @ low
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": base,
        "r": RANK,
        "lora_alpha": ALPHA,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_dora": False,
        **options,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return updates


def rewrite_adapter(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the weights of an adapter."""
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def copy_processor(source: Path, target: Path) -> None:
    """Tokenizer and image processor of one folder into another."""
    from transformers import AutoTokenizer  # takes seconds, and most tests need only the base

    AutoTokenizer.from_pretrained(source).save_pretrained(target)
    text = (source / "preprocessor_config.json").read_text(encoding="utf-8")
    (target / "preprocessor_config.json").write_text(text, encoding="utf-8")


def write_merged(folder: Path, *, base: Path, updates: dict[str, torch.Tensor]) -> Projection:
    """The base with the updates added to it by hand: what peft's merge gives."""
    write_base(folder)
    path = folder / "model.safetensors"
    tensors = load_file(base / "model.safetensors")
    for module, update in updates.items():
        tensors[f"{module}.weight"] += update
    save_file(tensors, path, metadata={"format": "pt"})
    return tensors["custom_text_proj.weight"], tensors["custom_text_proj.bias"]


def write_hf_port(folder: Path, *, base: Path, projection: Projection) -> None:
    """As vidore/colqwen2-v1.0-hf: transformers' own ColQwen2ForRetrieval."""
    from transformers import ColQwen2Config, ColQwen2ForRetrieval, Qwen2VLForConditionalGeneration

    vlm = Qwen2VLForConditionalGeneration.from_pretrained(base)
    model = ColQwen2ForRetrieval(ColQwen2Config(vlm_config=vlm.config, embedding_dim=DIMENSION))
    backbone = getattr(model.vlm, "model", model.vlm)  # 5.3's vlm has a language-model head
    backbone.load_state_dict(vlm.model.state_dict())
    with torch.no_grad():
        model.embedding_proj_layer.weight.copy_(projection[0])
        model.embedding_proj_layer.bias.copy_(projection[1])
    model.save_pretrained(folder)
    copy_processor(base, folder)
