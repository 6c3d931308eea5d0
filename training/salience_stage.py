"""Stage 5, salience: the frozen model learns which cells count, by finding pages of manuals."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from training.contrast import (
    ContrastConfig,
    DrawingConfig,
    draw_manuals,
    draw_questions,
    elsewhere,
    finding_loss,
    read_manuals,
)
from training.queries import wrap
from training.salience import Salience

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from training.contrast import ReadManual
    from training.nano import Nano
    from training.readout import Readout


DRAWING = DrawingConfig(titles=8, sentences=8, questions=0.4, within=0.5)


@dataclass(frozen=True)
class SalienceConfig:
    """How long and how to train."""

    manuals: int = 30  # of each language, the first ones; 23 MB a manual
    steps: int = 300
    drawing: DrawingConfig = DRAWING
    write: float = 2e-2  # rate of what the merger writes
    looks: float = 1.5e-3  # of how it is read
    rest: float = 1e-2
    warmup: int = 10
    kept: float = 1.0  # of what was learned; without figures in training 1.2 was better
    seed: int = 3


def draw_queries(
    rng: np.random.Generator, chosen: Sequence[ReadManual], config: DrawingConfig
) -> tuple[list[str], Tensor, Tensor]:
    """Titles and words of sentences; the page of each, and what to add to look in its manual."""
    queries, right, query_of, page_of = [], [], [], []
    for number, manual in enumerate(chosen):
        for query, page in draw_questions(rng, manual, config):
            is_question = rng.random() < config.questions
            queries.append(wrap(rng, manual.language, query) if is_question else query)
            right.append(len(page_of) + page)
            query_of.append(number)
        page_of += [number] * len(manual.texts)
    return queries, torch.tensor(right), elsewhere(query_of, page_of)


def train_salience(
    out: Path,
    model: Nano,
    readout: Readout,
    texts: Path,
    config: SalienceConfig,
) -> Salience:
    """Train on what the frozen readout makes of manuals, or load it from ``out/salience.pt``."""
    torch.manual_seed(config.seed)
    salience = Salience(model, readout)
    path = out / "salience.pt"
    if path.exists():
        salience.load_state_dict(torch.load(path, weights_only=True))
        return salience
    read = read_manuals(out, model, texts, ContrastConfig())
    known = {language: manuals[: config.manuals] for language, manuals in read.items()}
    seen = {
        id(manual): [*map(salience.see, manual.features, manual.sizes)]
        for manuals in known.values()
        for manual in manuals
    }
    rest = [salience.gain, salience.sharpness, salience.scale]
    optimizer = torch.optim.Adam(
        [
            {"params": [*salience.write.parameters()], "rate": config.write},
            {"params": [salience.own, salience.looked], "rate": config.looks},
            {"params": rest, "rate": config.rest},
        ]
    )
    rng = np.random.default_rng(config.seed)
    began, log = time.time(), []
    readout.requires_grad_(requires_grad=False)
    for step in range(config.steps):
        share = min(1.0, (step + 1) / config.warmup, 0.05 + 2 * (1 - step / config.steps))
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * share
        chosen = draw_manuals(rng, known, config.drawing)
        queries, right, others = draw_queries(rng, chosen, config.drawing)
        asked = salience.queries(queries)
        pages = salience.pages([page for manual in chosen for page in seen[id(manual)]])
        scores = asked @ pages.T * salience.scale.exp()
        loss = finding_loss(scores, right, others, within=config.drawing.within)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log.append((loss.item(), (scores.argmax(1) == right).float().mean().item()))
        if step % 25 == 24:
            told = "salience {} loss {:.3f} hit {:.3f} {:.1f} min"
            minutes = (time.time() - began) / 60
            print(told.format(step + 1, *np.mean(log, 0), minutes), flush=True)
            log = []
    with torch.no_grad():
        salience.gain.mul_(config.kept)
    torch.save(salience.state_dict(), path)
    return salience
