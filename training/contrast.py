"""Stage 4, contrast: all but the vision tower learns to find pages of manuals.

A query is a section's title or a few words of a sentence, the right page the one that has them,
among the pages of its own manual and of a few others; and a word on a page points to the cells
where it is printed. Pages go through the vision tower once and their features are kept.
"""

from __future__ import annotations

import math
import re
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pymupdf
import torch
import torch.nn.functional as fn
from torch import Tensor

from training.lexicon import LANGUAGES, split_words, weight
from training.manuals import manuals
from training.queries import wrap
from training.readout import PageCells, Readout, in_cells, late_scores
from training.vision import CELL
from vdr_integrations import open_pdf
from vdr_integrations.types import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from training.manuals import Manual
    from training.nano import Nano

REACH = 14  # words
SHORTEST = 4  # letters of a word that points
TELLING = 0.5  # weight of a word that says something
ELSEWHERE = -1e4  # added to the scores of pages of other manuals


@dataclass(frozen=True)
class DrawingConfig:
    """What a step's pages and queries are, and what is asked of them."""

    titles: int  # of each manual
    sentences: int  # of each
    questions: float  # share of queries that are put as questions
    within: float  # share of the loss among the pages of the title's own manual
    at_once: int = 3  # manuals a step
    decks: int = 2  # slides a step
    same: float = 0.6  # how often these are of the manuals' language


@dataclass(frozen=True)
class ContrastConfig:
    """How long and how to train."""

    manuals: int = 110  # of each language
    steps: int = 430
    drawing: DrawingConfig = DrawingConfig(titles=10, sentences=5, questions=0.5, within=0.25)
    pointed: int = 2  # words of each page that point
    pointing: float = 0.3  # weight of their loss
    unseen: float = 0.15  # share of a page's cells that are left out
    neighbours: bool = False  # whether tokens look at them already: three times as slow
    layer: float = 2e-4  # rate of values and output
    head: float = 1e-3
    keys: float = 3e-3
    gains: float = 1e-2
    pieces: float = 5e-5
    merger: float = 2e-4
    warmup: int = 20
    mean: tuple[tuple[int, float], ...] = ((0, 0.1), (100, 0.3), (280, 0.3), (430, 0.3))
    seed: int = 7


@dataclass
class ReadManual:
    """A manual as the frozen vision tower reads it."""

    features: list[Tensor]  # half precision (patches, width) of each page
    sizes: list[tuple[int, int]]  # cells down and across
    texts: list[str]  # of each page
    words: list[list[tuple[float, float, float, float, str]]]  # x0, y0, x1, y1 in cells
    titles: list[str]
    pages: list[int]
    language: str
    is_deck: bool


class Pointed(NamedTuple):
    """A word and where it is printed."""

    page: int  # of the batch
    word: str
    cells: Tensor  # bool, those of the page that were not left out


class Batch(NamedTuple):
    """What a step learns from."""

    pages: list[PageCells]
    queries: list[str]
    right: Tensor  # page of each query
    elsewhere: Tensor  # (queries, pages), added to scores to look in the query's manual alone
    pointed: list[Pointed]


@torch.no_grad()
def read_manual(model: Nano, manual: Manual) -> ReadManual:
    """Render a manual as the package does, and keep what the vision tower makes of its pages."""
    features, sizes, texts = [], [], []
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(manual.pdf)
        file.flush()
        with open_pdf(file.name) as document:
            for page in document:
                image = np.asarray(page.render(PixelBudget(max_visual_tokens=768))).copy()
                features.append(model.visual(torch.from_numpy(image)[None])[0].half())
                sizes.append((image.shape[0] // CELL, image.shape[1] // CELL))
                texts.append(page.text)
    words = printed_words(manual.pdf, sizes)
    told = manual.titles, manual.pages, manual.language, manual.is_deck
    return ReadManual(features, sizes, texts, words, *told)


def printed_words(
    pdf: bytes, sizes: Sequence[tuple[int, int]]
) -> list[list[tuple[float, float, float, float, str]]]:
    """Words of every page and where they stand, in cells."""
    found = []
    with pymupdf.open("pdf", pdf) as document:
        for page, (rows, columns) in zip(document, sizes, strict=True):
            across, down = columns / page.rect.width, rows / page.rect.height
            found.append(
                [
                    (x0 * across, y0 * down, x1 * across, y1 * down, word)
                    for x0, y0, x1, y1, word, *_ in page.get_text("words")
                ]
            )
    return found


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
    rng: np.random.Generator, known: dict[str, list[ReadManual]], config: DrawingConfig
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


def draw_questions(
    rng: np.random.Generator, manual: ReadManual, config: DrawingConfig
) -> Iterator[tuple[str, int]]:
    """Some titles of a manual and words of its sentences, with the page of each."""
    for i in rng.permutation(len(manual.titles))[: config.titles]:
        yield manual.titles[i], manual.pages[i]
    for i in rng.integers(len(manual.texts), size=config.sentences):
        query = some_words(rng, manual.texts[i])
        if query is not None:
            yield query, int(i)


def elsewhere(query_of: Sequence[int], page_of: Sequence[int]) -> Tensor:
    """What to add to scores (queries, pages) to look for a query in its own manual alone."""
    return (torch.tensor(query_of)[:, None] != torch.tensor(page_of)) * ELSEWHERE


def draw_batch(
    rng: np.random.Generator, chosen: Sequence[ReadManual], config: ContrastConfig
) -> Batch:
    """Titles, words of sentences and single words of manuals, and all of their pages."""
    pages, queries, right, page_of, query_of, pointed = [], [], [], [], [], []
    for number, manual in enumerate(chosen):
        for query, page in draw_questions(rng, manual, config.drawing):
            queries.append(query)
            right.append(len(pages) + page)
            query_of.append(number)
        for size, features, words in zip(manual.sizes, manual.features, manual.words, strict=True):
            seen = torch.from_numpy(rng.random(math.prod(size)) >= config.unseen)
            for word, cells in printed_cells(rng, words, size, config.pointed):
                if cells[seen].any():
                    pointed.append(Pointed(len(pages), word, cells[seen]))
            pages.append(PageCells(in_cells(features)[seen], seen.nonzero()[:, 0], size))
        page_of += [number] * len(manual.features)
    for i in np.flatnonzero(rng.random(len(queries)) < config.drawing.questions):
        queries[i] = wrap(rng, chosen[query_of[i]].language, queries[i])
    return Batch(pages, queries, torch.tensor(right), elsewhere(query_of, page_of), pointed)


def printed_cells(
    rng: np.random.Generator,
    words: Sequence[tuple[float, float, float, float, str]],
    size: tuple[int, int],
    count: int,
) -> Iterator[tuple[str, Tensor]]:
    """Some words of a page that say something, and in which of its cells each is printed."""
    places: dict[str, list[tuple[float, float, float, float]]] = {}
    for x0, y0, x1, y1, printed in words:
        word = printed.strip(".,;:!?()[]\u00ab\u00bb\"'")
        if len(word) >= SHORTEST and any(weight(part) > TELLING for part in split_words(word)):
            places.setdefault(word.casefold(), []).append((x0, y0, x1, y1))
    rows, columns = size
    for i in rng.permutation(len(places))[:count]:
        word = list(places)[i]
        cells = torch.zeros(size, dtype=torch.bool)
        for x0, y0, x1, y1 in places[word]:
            # where its letters are, not the space between lines
            top, bottom = y0 + 0.3 * (y1 - y0), y0 + 0.75 * (y1 - y0)
            across = slice(max(0, int(x0)), min(columns, math.ceil(x1)))
            cells[max(0, int(top)) : min(rows, math.ceil(bottom)), across] = True
        yield word, cells.flatten()


def pointing_loss(
    readout: Readout, late_pages: Sequence[Tensor], pointed: Sequence[Pointed]
) -> Tensor:
    """Of a word among the cells of its page: how unsure it is of those where it is printed."""
    losses = []
    words = readout.words([one.word for one in pointed])
    for (page, _, cells), word in zip(pointed, words, strict=True):
        alike = late_pages[page][: len(cells)] @ word.T
        scores = alike.mean(1) * readout.point_scale.exp()
        losses.append(scores.logsumexp(0) - scores[cells].logsumexp(0))
    return torch.stack(losses).mean()


def parameter_groups(readout: Readout, config: ContrastConfig) -> list[dict]:
    """What is trained, at its rate."""
    return [
        {"params": [readout.value, readout.out], "rate": config.layer},
        {"params": [readout.head], "rate": config.head},
        {"params": [readout.key], "rate": config.keys},
        {"params": [readout.gain], "rate": config.gains},
        {"params": [readout.change], "rate": config.pieces},
        {"params": [*readout.merger.mlp.parameters()], "rate": config.merger},
        {"params": [*readout.mlp.parameters()], "rate": config.merger},
        {"params": [readout.dense_scale, readout.late_scale, readout.point_scale], "rate": 1e-2},
    ]


def finding_loss(scores: Tensor, right: Tensor, elsewhere: Tensor, *, within: float) -> Tensor:
    """How unsure queries are of their pages, among all and (``within``) among their manual's."""
    among_all = fn.cross_entropy(scores, right)
    among_own = fn.cross_entropy(scores + elsewhere, right)
    return (1 - within) * among_all + within * among_own


def batch_loss(
    readout: Readout, batch: Batch, config: ContrastConfig
) -> tuple[Tensor, tuple[float, ...]]:
    """The loss of a batch; of dense vectors and late interaction loss and hits, and of pointing."""
    dense_pages, late_pages = readout.pages(batch.pages)
    dense_queries, late_queries = readout.queries(batch.queries)
    losses, hits = [], []
    for scores, scale in (
        (dense_queries @ dense_pages.T, readout.dense_scale),
        (late_scores(late_queries, late_pages), readout.late_scale),
    ):
        scaled = scores * scale.exp()
        within = config.drawing.within
        losses.append(finding_loss(scaled, batch.right, batch.elsewhere, within=within))
        hits.append((scores.argmax(1) == batch.right).float().mean().item())
    pointing = pointing_loss(readout, late_pages, batch.pointed)
    total = losses[0] + losses[1] + config.pointing * pointing
    return total, (*(loss.item() for loss in losses), *hits, pointing.item())


class Mean:
    """The weighted mean of parameters at some steps: better on all manuals than the last ones."""

    def __init__(self, readout: Readout, shares: dict[int, float]) -> None:
        self.shares = shares
        self.parts = {n: torch.zeros_like(p) for n, p in readout.named_parameters()}

    @torch.no_grad()
    def take(self, readout: Readout, step: int) -> None:
        """Add what the parameters are after ``step``, if it is one of those."""
        for name, parameter in readout.named_parameters():
            self.parts[name].add_(parameter, alpha=self.shares.get(step, 0.0))

    @torch.no_grad()
    def put(self, readout: Readout) -> None:
        """Set the parameters."""
        for name, parameter in readout.named_parameters():
            parameter.copy_(self.parts[name] / sum(self.shares.values()))


def train_readout(
    out: Path, model: Nano, head: Tensor, texts: Path, config: ContrastConfig
) -> Readout:
    """Train the readout of ``model``, or load it from ``out/contrast.pt``."""
    torch.manual_seed(config.seed)
    readout = Readout(model, head, neighbours=config.neighbours)
    path = out / "contrast.pt"
    if path.exists():
        readout.load_state_dict(torch.load(path, weights_only=True))
        return readout
    mean = Mean(readout, dict(config.mean))
    mean.take(readout, 0)
    known = read_manuals(out, model, texts, config)
    optimizer = torch.optim.Adam(parameter_groups(readout, config), betas=(0.9, 0.98))
    rng = np.random.default_rng(config.seed)
    began, first, log = time.time(), 0, []
    halfway = out / "contrast-state.pt"
    if halfway.exists():
        state = torch.load(halfway, weights_only=True)
        readout.load_state_dict(state["readout"])
        optimizer.load_state_dict(state["optimizer"])
        rng.bit_generator.state = state["rng"]
        first, mean.parts = state["step"], state["mean"]
    for step in range(first, config.steps):
        share = min(1.0, (step + 1) / config.warmup, max(0.03, 2 * (1 - step / config.steps)))
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * share
        batch = draw_batch(rng, draw_manuals(rng, known, config.drawing), config)
        loss, figures = batch_loss(readout, batch, config)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean.take(readout, step + 1)
        log.append(figures)
        if step % 25 == 24:
            dense, late, dense_hit, late_hit, point = np.mean(log, 0)
            print(
                f"contrast {step + 1} dense {dense:.3f} hit {dense_hit:.3f} late {late:.3f} hit "
                f"{late_hit:.3f} pointing {point:.3f} {(time.time() - began) / 60:.1f} min",
                flush=True,
            )
            log = []
            state = {
                "readout": readout.state_dict(),
                "optimizer": optimizer.state_dict(),
                "rng": rng.bit_generator.state,
                "step": step + 1,
                "mean": mean.parts,
            }
            torch.save(state, halfway)
    mean.put(readout)
    with torch.no_grad():
        # Trained along it helps the rest; kept, it would point to what stands around a word.
        readout.head.copy_(head)
    torch.save(readout.state_dict(), path)
    return readout
