"""Stage 4, contrast: the last layer, the token head and the pieces learn to find pages of manuals.

Everything below is frozen: what the tower reads stays as it is, with its mistakes. A query is a
section's title or a few words of a sentence, the right page the one that has them, among the pages
of its own manual and of a few others. Pages are read once and their tokens kept, so a step takes a
second and a half on two cores.
"""

from __future__ import annotations

import re
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as fn
from torch import Tensor

from training.lexicon import LANGUAGES, split_words, weight
from training.manuals import manuals
from training.queries import wrap
from training.readout import Readout, first_layer, late_scores
from vdr_integrations import open_pdf
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from training.manuals import Manual
    from training.nano import Nano

REACH = 14  # words
TELLING = 0.5  # weight of a word that says something
# How far to go from the start to where training ended: all the way is best on manuals like those
# that were trained on, less on others, on slides, and for heat maps.
KEPT = (
    ("value", 0.55), ("out", 0.55), ("key", 0.25), ("gain", 0.8), ("change", 0.8), ("head", 0.25),
)  # fmt: skip
ELSEWHERE = -1e4  # added to the scores of pages of other manuals


@dataclass(frozen=True)
class ContrastConfig:
    """How long and how to train."""

    manuals: int = 80  # of each language
    steps: int = 450
    at_once: int = 3  # manuals a step
    decks: int = 2  # slides a step
    same: float = 0.6  # how often these are of the manuals' language
    titles: int = 10  # of each
    sentences: int = 5  # of each
    unseen: float = 0.15  # share of a page's tokens that are left out
    within: float = 0.25  # share of the loss among the pages of the title's own manual
    questions: float = 0.5  # share of queries that are put as questions
    layer: float = 2e-4  # rate of values and output
    head: float = 1e-3
    keys: float = 3e-3
    gains: float = 1e-2
    pieces: float = 5e-5
    warmup: int = 20
    kept: tuple[tuple[str, float], ...] = KEPT
    seed: int = 7


@dataclass
class ReadManual:
    """A manual as the frozen tower reads it."""

    tokens: list[Tensor]  # half precision (visual tokens, width) of each page
    texts: list[str]  # of each page
    titles: list[str]
    pages: list[int]
    language: str
    is_deck: bool


@torch.no_grad()
def read_manual(model: Nano, manual: Manual) -> ReadManual:
    """Render a manual as the package does, and keep its tokens after the first layer."""
    tokens, texts = [], []
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(manual.pdf)
        file.flush()
        with open_pdf(file.name) as document:
            for page in document:
                image = np.asarray(page.render(PixelBudget(max_visual_tokens=768))).copy()
                visual = model.visual_tokens(torch.from_numpy(image)[None])
                tokens.append(first_layer(model, visual)[0].half())
                texts.append(page.text)
    return ReadManual(tokens, texts, manual.titles, manual.pages, manual.language, manual.is_deck)


def read_manuals(
    out: Path, model: Nano, texts: Path, config: ContrastConfig
) -> dict[str, list[ReadManual]]:
    """Manuals of every language, kept in ``out/manuals``."""
    folder = out / "manuals"
    folder.mkdir(exist_ok=True)
    found: dict[str, list[ReadManual]] = {}
    for language in LANGUAGES:
        drawn = manuals(texts, language, seed=config.seed, count=config.manuals)
        for number in range(config.manuals):
            path = folder / f"{language}-{number:03}.pt"
            manual = next(drawn)
            if path.exists():
                read = ReadManual(**torch.load(path, weights_only=True))
            else:
                read = read_manual(model, manual)
                torch.save(vars(read), path)
            found.setdefault(language, []).append(read)
    return found


def draw_manuals(
    rng: np.random.Generator, known: dict[str, list[ReadManual]], config: ContrastConfig
) -> list[ReadManual]:
    """Manuals of a language, and slides, of the same or another one."""
    language, other = (LANGUAGES[int(i)] for i in rng.integers(len(LANGUAGES), size=2))
    other = language if rng.random() < config.same else other
    found: list[ReadManual] = []
    for of, is_deck, count in ((language, False, config.at_once), (other, True, config.decks)):
        those = [one for one in known[of] if one.is_deck == is_deck]
        found += [those[i] for i in rng.permutation(len(those))[:count]]
    return found


def some_words(rng: np.random.Generator, text: str) -> str | None:
    """One to four words that say something, from one place of a page, in their order."""
    words = re.findall(r"[^\W_][\w'\u2019.-]*[^\W_]|[^\W_]", text)
    start = int(rng.integers(max(1, len(words) - REACH)))
    near = words[start : start + REACH]
    told = [w for w in near if any(weight(part) > TELLING for part in split_words(w))]
    if len(told) < 2:
        return None
    count = int(rng.integers(1, min(4, len(told)) + 1))
    return " ".join(told[i] for i in sorted(rng.permutation(len(told))[:count]))


def draw_batch(
    rng: np.random.Generator, chosen: Sequence[ReadManual], config: ContrastConfig
) -> tuple[list[Tensor], list[str], Tensor, Tensor]:
    """Pages, queries, the right page of each query, and what to add to the scores of others."""
    pages, queries, right, page_of, query_of = [], [], [], [], []
    for number, manual in enumerate(chosen):
        for i in rng.permutation(len(manual.titles))[: config.titles]:
            queries.append(manual.titles[i])
            right.append(len(pages) + manual.pages[i])
            query_of.append(number)
        for i in rng.integers(len(manual.texts), size=config.sentences):
            query = some_words(rng, manual.texts[i])
            if query is not None:
                queries.append(query)
                right.append(len(pages) + int(i))
                query_of.append(number)
        for page in manual.tokens:
            seen = rng.random(len(page)) >= config.unseen
            pages.append(page[torch.from_numpy(seen)])
        page_of += [number] * len(manual.tokens)
    for i in np.flatnonzero(rng.random(len(queries)) < config.questions):
        queries[i] = wrap(rng, chosen[query_of[i]].language, queries[i])
    elsewhere = torch.tensor(query_of)[:, None] != torch.tensor(page_of)
    return pages, queries, torch.tensor(right), elsewhere * ELSEWHERE


def train_readout(
    out: Path, model: Nano, head: Tensor, texts: Path, config: ContrastConfig
) -> Readout:
    """Train the readout of ``model``, or load it from ``out/contrast.pt``."""
    torch.manual_seed(config.seed)
    readout = Readout(model, head)
    path = out / "contrast.pt"
    if path.exists():
        readout.load_state_dict(torch.load(path, weights_only=True))
        return readout
    start = {name: value.detach().clone() for name, value in readout.named_parameters()}
    known = read_manuals(out, model, texts, config)
    groups = [
        {"params": [readout.value, readout.out], "rate": config.layer},
        {"params": [readout.head], "rate": config.head},
        {"params": [readout.key], "rate": config.keys},
        {"params": [readout.gain], "rate": config.gains},
        {"params": [readout.change], "rate": config.pieces},
        {"params": [readout.dense_scale, readout.late_scale], "rate": 1e-2},
    ]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
    rng = np.random.default_rng(config.seed)
    began, log = time.time(), []
    for step in range(config.steps):
        share = min(1.0, (step + 1) / config.warmup, max(0.03, 2 * (1 - step / config.steps)))
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * share
        chosen = draw_manuals(rng, known, config)
        pages, queries, right, elsewhere = draw_batch(rng, chosen, config)
        dense_pages, late_pages = readout.pages(pages)
        dense_queries, late_queries = readout.queries(queries)
        losses, hits = [], []
        for scores, scale in (
            (dense_queries @ dense_pages.T, readout.dense_scale),
            (late_scores(late_queries, late_pages), readout.late_scale),
        ):
            scaled = scores * scale.exp()
            among_all = fn.cross_entropy(scaled, right)
            among_own = fn.cross_entropy(scaled + elsewhere, right)
            losses.append((1 - config.within) * among_all + config.within * among_own)
            hits.append((scores.argmax(1) == right).float().mean().item())
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
        log.append([*(loss.item() for loss in losses), *hits])
        if step % 25 == 24:
            dense, late, dense_hit, late_hit = np.mean(log, 0)
            print(
                f"contrast {step + 1} dense {dense:.3f} hit {dense_hit:.3f} late {late:.3f} hit "
                f"{late_hit:.3f} {(time.time() - began) / 60:.1f} min",
                flush=True,
            )
            log = []
    with torch.no_grad():
        for name, share in config.kept:
            parameter = getattr(readout, name)
            parameter.copy_(torch.lerp(start[name], parameter, share))
    torch.save(readout.state_dict(), path)
    return readout
