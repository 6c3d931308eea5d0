"""Stage 5, late: the token head of the ColQwen2 format, in closed form.

A visual token's state is the codes in its cell beside a constant, a piece's is its code beside
another one. 126 of the 128 components are the codes along their main directions, whitened; the
last two hold the constants, so that after normalising a blank cell matches nothing and a stop word
counts little. Marks of the prompt are turned away from both. Once it is known how much a cell
counts (`salience.py`), that takes the place of the least main direction (`heed`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import save_file

from training.labels import PageCodes
from training.nano import (
    constant_directions,
    salience_directions,
    sign_directions,
    without_constants,
    without_signs,
)
from training.pages import A4, Style, make_page
from training.vision import CELL

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from training.codes import CharCodes

DIMENSION = 128
PAGES = 150
BLANK = 0.3  # weight of a visual token's constant
WORDLESS = 0.1  # weight of a text token's constant
MAIN = DIMENSION - 2  # directions of codes; the last one is the least
ASKED = 0.085  # of a text token's constant: how much a query heeds what cells count
USUAL = 0.15  # of a visual token's constant: what a usual cell counts
CROWDED = 1.5  # of how full the page is up to a cell: what that takes off


@torch.no_grad()
def cell_codes(codes: CharCodes, *, pages: int = PAGES, seed: int = 98) -> Tensor:
    """What is printed in the cells of synthetic pages (cells, dimension), blank ones left out."""
    rng = np.random.default_rng(seed)
    cells = []
    for _ in range(pages):
        page = make_page(rng, Style(*A4, (9.5, 14.0), usual=True))
        height, width = page.image.shape[:2]
        shapes, place, value = PageCodes(page).crop(0, 0, height, width)
        per_char = codes(torch.from_numpy(shapes)) * torch.from_numpy(value)[:, None]
        total = per_char.new_zeros(height * width // CELL**2, per_char.shape[1])
        total.index_add_(0, torch.from_numpy(place), per_char)
        cells.append(total[total.abs().sum(1) > 0])
    return without_constants(torch.cat(cells))


def token_head(cells: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (128, width) and bias (128,) of ``custom_text_proj``."""
    directions, spread, _ = torch.linalg.svd(cells.T @ cells / len(cells))
    scale = spread[:MAIN].rsqrt()
    main = (directions[:, :MAIN] * scale / scale.mean()).T
    visual, text = constant_directions(cells.shape[1])
    sink, mark = sign_directions(cells.shape[1])
    words = WORDLESS * (text - 2 * mark - 2 * sink)
    rows = [without_signs(main), BLANK * visual[None], words[None]]
    return torch.cat(rows), torch.zeros(DIMENSION)


def heed(head: Tensor, counts: Tensor) -> Tensor:
    """``head`` (128, width) with how much a cell counts, in place of its least main direction.

    Every piece of a query carries the same there, so a word in a heading is a better match than
    the same word in the text. On a full page every piece finds something that looks like it, so a
    cell counts less the more stands before it. Marks carry nothing.

    Args:
        head: Of `token_head`.
        counts: (width,), what tells how much a cell counts.
    """
    visual, text = constant_directions(head.shape[1])
    sink, mark = sign_directions(head.shape[1])
    head = head.clone()
    full = salience_directions(head.shape[1])[-1]
    asked = ASKED * (text - mark - sink)
    head[MAIN - 1] = counts - USUAL * visual - CROWDED * full + asked
    return head


def fit_token_head(out: Path, codes: CharCodes) -> tuple[Tensor, Tensor]:
    """Fit the head, or load it from ``out/late.pt``."""
    path = out / "late.pt"
    if not path.exists():
        torch.save(token_head(cell_codes(codes)), path)
    return tuple(torch.load(path, weights_only=True))


def export_late(head: tuple[Tensor, Tensor], folder: Path, *, base: str) -> None:
    """Write the head as colpali-engine's checkpoints are: an adapter over ``base``."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("weight", "bias")
    tensors = {
        f"base_model.model.custom_text_proj.{name}": tensor.to(torch.bfloat16).contiguous()
        for name, tensor in zip(names, head, strict=True)
    }
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "FEATURE_EXTRACTION",
        "base_model_name_or_path": base,
        "bias": "none",
        "inference_mode": True,
        "lora_alpha": 1,
        "modules_to_save": ["custom_text_proj"],
        "r": 1,
        "target_modules": [],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
