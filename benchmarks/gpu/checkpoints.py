"""Folders of weights: drawn on the device, or given; and the same ones for late interaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from benchmarks.full_size import write_full_size_checkpoint, write_random_checkpoint
from benchmarks.gpu.sizes import TINY_TEXT, TINY_VISION

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

__all__ = ["Projection", "write_dense", "write_late"]

Projection = tuple[torch.Tensor, torch.Tensor]
"""Weight and bias of the head that makes token vectors."""

_TOKEN_DIMENSION = 128  # of ColQwen2
_INDEX = "model.safetensors.index.json"
_WHOLE = "model.safetensors"
_HEAD = "projection.safetensors"


def write_dense(
    scratch: Path, options: argparse.Namespace, *, dtype: torch.dtype, tokenizer: Path | None
) -> Path:
    """Random weights under the name of the checkpoint whose prompts they get."""
    folder = scratch / "vdr-2b-multi-v1"
    if not options.tiny:
        return write_full_size_checkpoint(folder, tokenizer=tokenizer, device=options.device)
    return write_random_checkpoint(
        folder,
        text=TINY_TEXT,
        vision=TINY_VISION,
        tokenizer=tokenizer,
        std=None,
        dtype=dtype,
        device=options.device,
    )


def write_late(scratch: Path, dense: Path, *, hidden_size: int, dtype: torch.dtype) -> Projection:
    """The dense checkpoint's weights with a random projection, as vidore/colqwen2-base has one.

    The large files are not copied: the folder holds links to them.

    Returns:
        The projection.
    """
    folder = scratch / "colqwen2-base"
    folder.mkdir()
    for path in dense.iterdir():
        if path.name != _INDEX:
            (folder / path.name).symlink_to(path.resolve())
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(_TOKEN_DIMENSION, hidden_size, generator=generator) / hidden_size**0.5
    bias = 0.1 * torch.randn(_TOKEN_DIMENSION, generator=generator)
    head = {"custom_text_proj.weight": weight.to(dtype), "custom_text_proj.bias": bias.to(dtype)}
    save_file(head, folder / _HEAD, metadata={"format": "pt"})
    index = _index(dense)
    index["weight_map"] |= dict.fromkeys(head, _HEAD)
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")
    # A whole file would be taken instead of the index.
    if (folder / _WHOLE).is_symlink():
        (folder / _WHOLE).rename(folder / "weights.safetensors")
    return head["custom_text_proj.weight"], head["custom_text_proj.bias"]


def _index(dense: Path) -> dict[str, Any]:
    if (dense / _INDEX).is_file():
        return json.loads((dense / _INDEX).read_text(encoding="utf-8"))
    with safe_open(dense / _WHOLE, framework="pt") as file:
        names = list(file.keys())
    return {"metadata": {}, "weight_map": dict.fromkeys(names, "weights.safetensors")}
