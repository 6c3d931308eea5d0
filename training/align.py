"""Stage 2, aligning: every visual token learns the sum of the codes printed in its cell."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from training.labels import PageCodes, character_slots
from training.nano import SCALE, Nano, without_constants
from training.pages import A4, Style, make_page
from training.read import ReadConfig, Reader, rate_at
from training.resume import keep, resume
from training.vision import CELL, PATCH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from training.codes import CharCodes

DENSITY = 0.8  # scale of the codes in a visual token, beside the constant part


@dataclass(frozen=True)
class AlignConfig(ReadConfig):
    """How long and how to train; the vision tower goes slower than its merger."""

    steps: int = 17_400
    batch: int = 8
    rate: float = 1.2e-3
    warmup: int = 50
    tower: float = 0.7  # the vision tower's share of the rate
    gated: float = 0.15  # the first layer's MLP's: 1,024 units move an output together
    letters: float = 0.4  # weight of the reading loss
    neighbours: float = 0.0
    decay: float = 0.3
    crop: tuple[int, int] = (112, 448)
    whole: float = 0.4  # share of ordinary pages; the others mix sizes and fonts
    large: float = 0.3  # share of pages of headings and slides, 18 to 46 pixels
    seed: int = 7


class Batch(NamedTuple):
    """Equal images with their labels; ``token`` counts visual tokens through the batch."""

    images: Tensor
    slots: Tensor
    windows: Tensor
    token: Tensor
    value: Tensor


class CodedCrops(IterableDataset):
    """Crops of pages with character slots and codes."""

    def __init__(self, config: AlignConfig, start: int = 0) -> None:
        self.config, self.start = config, start

    def _style(self, rng: np.random.Generator) -> Style:
        chance = rng.random()
        if chance < self.config.whole:
            return Style(*A4, (9.5, 13.0), usual=True)
        sizes = (18.0, 46.0) if chance < self.config.whole + self.config.large else (10.0, 25.0)
        return Style(*A4, sizes, per_block=True, usual=True)

    def __iter__(self) -> Iterator[Batch]:
        """One batch a step."""
        rng = np.random.default_rng((self.config.seed, self.start))
        height, width = self.config.crop
        pool: list[tuple] = []
        for _ in range(self.start, self.config.steps):
            while len(pool) < 4 * self.config.batch:
                page = make_page(rng, self._style(rng))
                slots, codes = character_slots(page), PageCodes(page)
                for top in range(0, page.image.shape[0] - height + 1, height):
                    room = page.image.shape[1] - width
                    left = int(rng.integers(room // CELL + 1)) * CELL
                    label = slots[top // PATCH :, left // PATCH :]
                    label = label[: height // PATCH, : width // PATCH]
                    if np.count_nonzero(label) > 20:
                        image = page.image[top : top + height, left : left + width]
                        pool.append((image, label, *codes.crop(top, left, height, width)))
            rng.shuffle(pool)
            batch, pool = pool[: self.config.batch], pool[self.config.batch :]
            yield collate(batch)


def collate(items: list[tuple]) -> Batch:
    """Join crops of one size."""
    images, slots, windows, token, value = zip(*items, strict=True)
    cells = images[0].shape[0] * images[0].shape[1] // CELL**2
    token = [t + i * cells for i, t in enumerate(token)]
    return Batch(
        torch.from_numpy(np.stack(images)),
        torch.from_numpy(np.stack(slots)),
        torch.from_numpy(np.concatenate(windows)),
        torch.from_numpy(np.concatenate(token)),
        torch.from_numpy(np.concatenate(value)),
    )


@torch.no_grad()
def wanted_tokens(batch: Batch, codes: CharCodes) -> Tensor:
    """Sum of codes (B, cells, dimension) for every visual token."""
    count = len(batch.images)
    cells = batch.images.shape[1] * batch.images.shape[2] // CELL**2
    per_char = codes(batch.windows) * batch.value[:, None]
    total = per_char.new_zeros(count * cells, per_char.shape[1])
    return total.index_add(0, batch.token, per_char).view(count, cells, -1)


def align_loss(tokens: Tensor, wanted: Tensor) -> tuple[Tensor, float, float]:
    """Relative squared error and cosine loss of the sums; the error and the mean cosine."""
    codes = without_constants(tokens / SCALE)
    wanted = DENSITY * wanted
    squares = wanted.square().sum(-1)
    share = 1 / (squares.sqrt() + 0.5)  # large print is loud: let it count by its length only
    error = ((codes - wanted).square().sum(-1) * share).sum() / (squares * share).sum()
    cosine = torch.cosine_similarity(codes.sum(1), wanted.sum(1), dim=-1).mean()
    return error + 0.5 * (1 - cosine), error.item(), cosine.item()


def train_aligned(out: Path, model: Nano, codes: CharCodes, config: AlignConfig) -> None:
    """Train (or resume) the vision tower and merger; the state lies in ``out/align.pt``."""
    torch.manual_seed(config.seed)
    reader = Reader(model.visual)
    reader.load_state_dict(torch.load(out / "read.pt", weights_only=True)["model"], strict=False)
    first = model.text.layers[0]
    for linear in (first.mlp.gate_proj, first.mlp.up_proj):
        nn.init.normal_(linear.weight, std=0.04)
    nn.init.zeros_(first.mlp.down_proj.weight)
    learner = nn.ModuleDict(
        {"reader": reader, "norm": first.post_attention_layernorm, "mlp": first.mlp}
    )
    fast = [*model.visual.merger.parameters()]
    gated = [*learner["norm"].parameters(), *learner["mlp"].parameters()]
    slow = [*model.visual.patch_embed.parameters(), *model.visual.blocks.parameters()]
    slow += reader.head.parameters()
    optimizer = torch.optim.AdamW(
        [
            {"params": fast, "share": 1.0},
            {"params": slow, "share": config.tower},
            {"params": gated, "share": config.gated},
        ],
        betas=(0.9, 0.95),
        weight_decay=0.01,
    )
    path = out / "align.pt"
    start = resume(path, learner, optimizer)
    for block in model.visual.blocks:
        block.compile(dynamic=False)
    loader = DataLoader(
        CodedCrops(config, start), batch_size=None, num_workers=1, prefetch_factor=8
    )
    began, log = time.time(), []
    for step, batch in enumerate(loader, start):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, config) * group["share"]
        features = model.visual(batch.images)
        letters, score = reader.loss(features, batch.slots, config)
        wanted = wanted_tokens(batch, codes)
        loss, error, cosine = align_loss(model.coded_tokens(features), wanted)
        optimizer.zero_grad(set_to_none=True)
        (loss + config.letters * letters).backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        log.append((error, cosine, score))
        if step % 25 == 24:
            error, cosine, score = np.mean(log, 0)
            print(
                f"align {step + 1} error {error:.3f} cosine {cosine:.3f} chars {score:.3f} "
                f"{(time.time() - began) / 60:.1f} min",
                flush=True,
            )
            log = []
        if step % 100 == 99 or step + 1 == config.steps:
            keep(path, learner, optimizer, step=step + 1)


def load_aligned(out: Path, model: Nano) -> None:
    """Load what the stage left in ``out``: vision tower, merger and first MLP."""
    state = torch.load(out / "align.pt", weights_only=True)["model"]
    first = model.text.layers[0]
    for module, prefix in (
        (model.visual, "reader.vision."),
        (first.mlp, "mlp."),
        (first.post_attention_layernorm, "norm."),
    ):
        module.load_state_dict(
            {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
        )
    model.fix_constants()
