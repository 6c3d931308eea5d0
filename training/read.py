"""Stage 1, reading: every patch learns to name the characters printed in it and beside it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as fn
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from training.canvas import NUM_CLASSES
from training.labels import HALVES, SLOTS, character_slots
from training.pages import Style, make_page
from training.resume import keep, resume
from training.vision import Vision, cell_order

if TYPE_CHECKING:
    from collections.abc import Iterator

CROP = (112, 448)  # height, width: 16 x 4 visual tokens
SHEET = 896  # crops are cut from square pages


@dataclass(frozen=True)
class ReadConfig:
    """How long and how to train."""

    steps: int = 1500
    batch: int = 16
    rate: float = 1.2e-3
    warmup: int = 100
    decay: float = 0.3  # the last share of the steps goes down to a tenth of the rate
    neighbours: float = 0.3  # weight of the neighbours' characters
    blank: float = 0.06  # weight of blank slots
    easy: float = 0.35  # share of the steps with few fonts and large print
    seed: int = 1


class Crops(IterableDataset):
    """Crops of synthetic pages with their character slots, from easy to hard."""

    def __init__(self, config: ReadConfig, start: int = 0) -> None:
        self.config, self.start = config, start

    def style(self, step: int) -> Style:
        """What pages look like at ``step``."""
        progress = step / (self.config.easy * self.config.steps)
        if progress < 1:
            fonts, low, high = 3 + int(9 * progress), 15 - 4 * progress, 22.0
            return Style(SHEET, SHEET, (low, high), True, fonts, plain=progress < 0.5)
        return Style(SHEET, SHEET, (8.5, 22.0), True)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """One batch of images and slots a step."""
        rng = np.random.default_rng((self.config.seed, self.start))
        height, width = CROP
        pool: list[tuple[np.ndarray, np.ndarray]] = []
        for step in range(self.start, self.config.steps):
            while len(pool) < 4 * self.config.batch:
                page = make_page(rng, self.style(step))
                slots = character_slots(page)
                for y in range(0, SHEET, height):
                    for x in range(0, SHEET, width):
                        label = slots[y // 14 : (y + height) // 14, x // 14 : (x + width) // 14]
                        if np.count_nonzero(label) > 40:
                            pool.append((page.image[y : y + height, x : x + width], label))
            rng.shuffle(pool)
            batch, pool = pool[: self.config.batch], pool[self.config.batch :]
            yield np.stack([i for i, _ in batch]), np.stack([s for _, s in batch])


class Reader(nn.Module):
    """The vision tower with a linear reading head, which is thrown away after training."""

    def __init__(self, vision: Vision) -> None:
        super().__init__()
        self.vision = vision
        self.slots = HALVES * SLOTS
        self.head = nn.Linear(vision.config.width, 3 * self.slots * NUM_CLASSES)
        weight = torch.ones(NUM_CLASSES)
        self.register_buffer("weight", weight, persistent=False)

    def loss(self, features: Tensor, slots: Tensor, config: ReadConfig) -> tuple[Tensor, float]:
        """Cross entropy of own and neighbours' characters; accuracy over printed slots."""
        self.weight[0] = config.blank
        grid = slots.long()
        left, right = torch.zeros_like(grid), torch.zeros_like(grid)
        left[:, :, 1:], right[:, :, :-1] = grid[:, :, :-1], grid[:, :, 1:]
        targets = [cell_order(g) for g in (grid, left, right)]
        if not config.neighbours:
            targets = targets[:1]
        outputs = len(targets) * self.slots * NUM_CLASSES
        logits = fn.linear(features, self.head.weight[:outputs], self.head.bias[:outputs])
        logits = logits.unflatten(-1, (len(targets), self.slots, NUM_CLASSES))
        losses = [
            fn.cross_entropy(logits[:, :, i].flatten(0, 2), t.flatten(), weight=self.weight)
            for i, t in enumerate(targets)
        ]
        printed = targets[0] > 0
        right_ones = (logits[:, :, 0].argmax(-1) == targets[0])[printed].float().mean().item()
        return losses[0] + config.neighbours * sum(losses[1:]), right_ones


def rate_at(step: int, config: ReadConfig) -> float:
    """Learning rate: warm-up, plateau, linear decay to a tenth."""
    left = (config.steps - step) / (config.decay * config.steps)
    return config.rate * min(1.0, (step + 1) / config.warmup, max(0.1, left))


def train_reader(out: Path, config: ReadConfig) -> Vision:
    """Train (or resume) the reader; the state lies in ``out/read.pt``."""
    torch.manual_seed(config.seed)
    reader = Reader(Vision())
    optimizer = torch.optim.AdamW(
        reader.parameters(), lr=config.rate, betas=(0.9, 0.95), weight_decay=0.01
    )
    path = out / "read.pt"
    start = resume(path, reader, optimizer)
    for block in reader.vision.blocks:
        block.compile(dynamic=False)
    loader = DataLoader(Crops(config, start), batch_size=None, num_workers=1, prefetch_factor=8)
    began, losses, scores = time.time(), [], []
    for step, (images, slots) in enumerate(loader, start):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, config)
        loss, score = reader.loss(reader.vision(images), slots, config)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        scores.append(score)
        if step % 25 == 24:
            print(
                f"read {step + 1} loss {np.mean(losses):.3f} chars {np.mean(scores):.3f} "
                f"{(time.time() - began) / 60:.1f} min",
                flush=True,
            )
            losses, scores = [], []
        if step % 200 == 199 or step + 1 == config.steps:
            keep(path, reader, optimizer, step=step + 1)
    return reader.vision


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=ReadConfig.steps)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    train_reader(arguments.out, ReadConfig(steps=arguments.steps))
