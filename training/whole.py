"""Stage 2, whole: the vision tower reads a whole page as it reads a strip of one.

It learned to read on crops of 256 patches. A page has 2,944, which share every softmax: what lies
far away drowns the near patches that a character is read from, and a third of what crops say is
lost. So the tower is taught by itself: what it makes of narrow strips of a page, it is to make of
the same cells when it sees all of it. There are no labels, and nothing behind the tower changes.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from training.pages import Style, make_page
from training.read import ReadConfig, rate_at
from training.resume import keep, resume
from training.vision import CELL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from training.nano import Nano

STRIP = 4  # rows of cells that are read together, as in a crop
MARGIN = 1  # rows above and below that are seen too
SHARPENED = 1.4  # about log 2,944 / log 256: keeps near patches' share of a softmax, to start with
SHAPES = {  # pixels: A4, letter, A4 on its side, slide, half a page, a crop; with their shares
    (644, 896): 0.45,
    (672, 868): 0.1,
    (896, 644): 0.1,
    (1008, 588): 0.15,
    (644, 448): 0.1,
    (448, 112): 0.1,
}


@dataclass(frozen=True)
class WholeConfig(ReadConfig):
    """How long and how to train; a step is a page."""

    steps: int = 800
    rate: float = 6e-4
    warmup: int = 30
    decay: float = 0.4
    features: float = 0.5  # weight of the patches' features, beside the cells' tokens
    seed: int = 21


class WholePages(IterableDataset):
    """Images (1, height, width, 3) of synthetic pages of several shapes."""

    def __init__(self, config: WholeConfig, start: int = 0) -> None:
        self.config, self.start = config, start

    def __iter__(self) -> Iterator[Tensor]:
        """One page a step."""
        rng = np.random.default_rng((self.config.seed, self.start))
        for _ in range(self.start, self.config.steps):
            width, height = list(SHAPES)[int(rng.choice(len(SHAPES), p=[*SHAPES.values()]))]
            body, per_block = ((9.5, 13.0), False) if rng.random() < 0.6 else ((10.0, 30.0), True)
            page = make_page(rng, Style(width, height, body, per_block=per_block, usual=True))
            yield torch.from_numpy(page.image)[None]


def strip_features(vision: nn.Module, image: Tensor) -> Tensor:
    """Features (1, patches, width) of an image that is read strip by strip."""
    rows = image.shape[1] // CELL
    seen = min(rows, STRIP + 2 * MARGIN)
    tops = range(0, rows, STRIP)
    first = [min(max(top - MARGIN, 0), rows - seen) for top in tops]
    strips = torch.cat([image[:, CELL * a : CELL * (a + seen)] for a in first])
    found = vision(strips).unflatten(1, (seen, -1))
    kept = [
        strip[top - a : min(top + STRIP, rows) - a]
        for strip, top, a in zip(found, tops, first, strict=True)
    ]
    return torch.cat(kept).flatten(0, 1)[None]


def sharpen(vision: nn.Module, factor: float = SHARPENED) -> None:
    """Let every patch of the tower look more closely."""
    for block in vision.blocks:
        width = block.attn.qkv.in_features
        for parameter in (block.attn.qkv.weight, block.attn.qkv.bias):
            parameter.data[:width] *= factor


def train_whole(out: Path, model: Nano, config: WholeConfig) -> None:
    """Train (or resume, or load) the vision tower; the state lies in ``out/whole.pt``."""
    torch.manual_seed(config.seed)
    student = model.visual
    frozen = copy.deepcopy(model).requires_grad_(requires_grad=False)
    teacher = frozen.visual
    sharpen(student)
    learned = [*student.patch_embed.parameters(), *student.blocks.parameters()]
    optimizer = torch.optim.AdamW(learned, betas=(0.9, 0.95), weight_decay=0.0)
    path = out / "whole.pt"
    start = resume(path, student, optimizer)
    if start >= config.steps:
        return

    pages = WholePages(config, start)
    loader = DataLoader(pages, batch_size=None, num_workers=1, prefetch_factor=8)
    began, log = time.time(), []
    for step, image in enumerate(loader, start):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, config)
        with torch.no_grad():
            by_strips = strip_features(teacher, image)
            wanted = frozen.coded_tokens(by_strips), teacher.merger.ln_q(by_strips)
        features = student(image)
        found = frozen.coded_tokens(features), teacher.merger.ln_q(features)
        token_error, feature_error = (
            (got - want).square().sum() / (want - want.mean(1, keepdim=True)).square().sum()
            for got, want in zip(found, wanted, strict=True)
        )
        optimizer.zero_grad(set_to_none=True)
        (token_error + config.features * feature_error).backward()
        nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        log.append((token_error.item(), feature_error.item()))
        if step % 25 == 24:
            token_error, feature_error = np.mean(log, 0)
            print(
                f"whole {step + 1} tokens {token_error:.3f} features {feature_error:.3f} "
                f"{(time.time() - began) / 60:.1f} min",
                flush=True,
            )
            log = []
        if step % 100 == 99 or step + 1 == config.steps:
            keep(path, student, optimizer, step=step + 1)
