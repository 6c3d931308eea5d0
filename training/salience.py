"""How much a cell counts in the one vector of its page. Headings count more.

What a cell looks like (the merger's hidden units) and what stands to its left and above tell a
heading by its weight, its size and the blank above it. The merger writes `CHANNELS` components
beside a cell's codes; the first layer's attention, which does nothing else, sums up those of cells
near by and writes one more; the key of the last layer reads all of them. So a page stays a weighted
mean of its codes. Of queries only the image in their prompt is weighed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from training.nano import (
    CHANNELS,
    constant_directions,
    salience_directions,
    sign_directions,
    without,
)
from training.near import look_at
from training.pages import A4, Style, make_page
from training.prompts import DUMMY_GRID
from training.readout import HEAD_SIZE, in_cells, normed
from training.text import image_positions, text_positions
from training.vision import CELL, rotate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.nano import Nano
    from training.readout import Readout

# Small enough to leave RMSNorm's scale alone, and large beside what bfloat16 weights add to them.
WRITTEN = 0.12  # deviation of the first weights that write channels
STRENGTH = 2 / 3  # of the last layer's key for these components
BLANK = 2.0  # of a cell's constant, which says how little is printed there
# All but cells look at the first token instead, which shows nothing; above the scores of places.
SINK = 200.0
ROOM = 4.0  # cells do not, as long as their constant is longer than this after RMSNorm
# Where the first layer's heads look: rows up, columns to the left, strength of rows, of columns.
LOOKS = (
    (0.0, 1.0, 8.0, 12.0),
    (0.0, 2.0, 8.0, 12.0),
    (0.0, 4.0, 8.0, 4.0),
    (0.0, 0.0, 8.0, 0.0),
    (0.0, 0.0, 0.0, 0.0),
    (1.0, -3.0, 8.0, 4.0),
    (1.0, 0.0, 8.0, 0.0),
    (2.0, 0.0, 8.0, 0.0),
)
EVERYWHERE = LOOKS.index((0.0, 0.0, 0.0, 0.0))  # the look that takes in all that stands before
FULL = 0.05  # of how full the page is, which is 0 to about 12 (see `Salience.give`)


class SeenPage(NamedTuple):
    """A page as the frozen readout makes it, in half precision."""

    hidden: Tensor  # (n, merger's hidden units)
    tokens: Tensor  # (n, width) after the first layer
    length: Tensor  # (n,) squared, of tokens before the first layer
    size: tuple[int, int]


def look_kernels(model: Nano) -> tuple[Tensor, Tensor]:
    """Constant queries and keys (heads, head_size) that make the first layer's heads look about."""
    kernels = [
        look_at(model.text.config, up=up, left=left, row=row, column=column)
        for up, left, row, column in LOOKS
    ]
    queries, keys = zip(*kernels, strict=True)
    return torch.stack(queries), torch.stack(keys)


class Salience(nn.Module):
    """What is trained, beside a frozen ``readout`` of ``model``."""

    def __init__(self, model: Nano, readout: Readout) -> None:
        super().__init__()
        hidden = readout.merger.mlp[2].in_features
        self.write = nn.Linear(hidden, CHANNELS)
        nn.init.normal_(self.write.weight, std=WRITTEN)
        nn.init.zeros_(self.write.bias)
        self.own = nn.Parameter(torch.full((CHANNELS,), 0.045))
        self.looked = nn.Parameter(torch.zeros(len(LOOKS), CHANNELS + 1))
        heads = model.text.config.heads
        self.gain = nn.Parameter(torch.ones(heads))  # how much each head heeds all of that
        self.sharpness = nn.Parameter(torch.ones(heads))
        self.scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self._readout = [readout]  # no part of this module
        self._model = [model]
        self._maps: dict[tuple[int, int], Tensor] = {}
        with torch.no_grad():
            self.prompt = normed(readout.pieces(readout.dense_prompt))
            self.dummy = self.seen(readout.dummy, DUMMY_GRID)

    @torch.no_grad()
    def maps(self, size: tuple[int, int]) -> Tensor:
        """Attention (heads, n, n) of the first layer from cells to cells: a matter of places."""
        if size not in self._maps:
            model = self._model[0]
            start = len(model.document_ids.before)
            positions = torch.cat([text_positions(0, start), image_positions(start, *size)], 1)
            cos, sin = model.text.rotary(positions)
            query, key = (kernel[:, None] for kernel in look_kernels(model))
            scores = rotate(query, cos, sin) @ rotate(key, cos, sin).mT / HEAD_SIZE**0.5
            later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
            share = scores.masked_fill(later, -math.inf).softmax(-1)
            self._maps[size] = share[:, start:, start:].contiguous()
        return self._maps[size]

    @torch.no_grad()
    def see(self, features: Tensor, size: tuple[int, int]) -> SeenPage:
        """A page from what the vision tower makes of its patches."""
        return self.seen(in_cells(features.float()), size)

    @torch.no_grad()
    def seen(self, cells: Tensor, size: tuple[int, int]) -> SeenPage:
        """The same from what it makes of its cells."""
        readout = self._readout[0]
        hidden, written = readout.merged(cells)
        tokens = readout.coded(written)
        return SeenPage(hidden.half(), tokens.half(), written.square().sum(1), size)

    def told(self, seen: SeenPage) -> tuple[Tensor, Tensor]:
        """What is added to the scores of a page's cells (heads, n), and the scale of RMSNorm."""
        readout, width = self._readout[0], seen.tokens.shape[1]
        wrote = self.write(seen.hidden.float())
        more = wrote.square().sum(1)
        first = ((seen.length + more) / width).rsqrt()[:, None]
        blank = torch.full_like(first, BLANK * float(readout.blank.norm()))
        shown = torch.cat([wrote, blank], 1) * first @ self.looked.T
        looked = torch.einsum("hij,jh->i", self.maps(seen.size), shown)
        tokens = seen.tokens.float()
        last = ((tokens.square().sum(1) + more + looked.square()) / width).rsqrt()
        return torch.outer(self.gain, STRENGTH * (wrote @ self.own + looked) * last), last

    def page(self, seen: SeenPage) -> Tensor:
        """The dense vector of a page, not normalised."""
        told, last = self.told(seen)
        unit = torch.cat([seen.tokens.float() * last[:, None], self.prompt])
        more = fn.pad(told, (0, len(self.prompt)))
        return self._readout[0].pooled(unit, more=more, sharpness=self.sharpness[:, None])

    def queries(self, queries: Sequence[str]) -> Tensor:
        """Unit dense vectors: their prompt has an image too."""
        return self._readout[0].dense_queries(
            queries, dummy=self.told(self.dummy)[0], sharpness=self.sharpness[:, None]
        )

    def pages(self, pages: Sequence[SeenPage]) -> Tensor:
        """Unit dense vectors."""
        return fn.normalize(torch.stack([self.page(page) for page in pages]), dim=-1)

    @torch.no_grad()
    def give(self, model: Nano) -> Tensor:
        """Put what was learned into the model, after `Readout.give_back`.

        Returns:
            (width,): what tells how much a cell counts, in the last layer.
        """
        visual, text = constant_directions(model.text.config.hidden)
        sink, mark = sign_directions(model.text.config.hidden)
        directions = salience_directions(model.text.config.hidden)
        table = model.text.embed_tokens.weight
        start = model.tokenizer.token_to_id("<|im_start|>")
        first_token = table[start].clone()
        kept_free = torch.cat([sink[None], directions])
        table.copy_(without(table, kept_free))
        table[start] += (first_token @ sink) * sink
        written, told, full = directions[:-2], directions[-2], directions[-1]
        out = model.visual.merger.mlp[2]
        out.weight.add_(written.T @ self.write.weight)
        out.bias.add_(self.write.bias @ written)
        first, last = (layer.self_attn for layer in model.text.layers)
        for part in (first.q_proj, first.k_proj, first.v_proj, first.o_proj):
            part.weight.zero_()
        queries, keys = look_kernels(model)
        first.q_proj.bias.copy_(queries.flatten())
        first.k_proj.bias.copy_(keys.flatten())
        first.v_proj.bias.zero_()
        slow = model.text.config.slowest
        first.q_proj.bias.view(first.heads, HEAD_SIZE)[:, slow] = SINK / HEAD_SIZE**0.5
        for_cells = -SINK / ROOM / HEAD_SIZE**0.5 * visual
        first.q_proj.weight.view(first.heads, HEAD_SIZE, -1)[:, slow] = for_cells
        to_start = HEAD_SIZE / (normed(table[start]) @ sink) * sink
        first.k_proj.weight.view(first.heads, HEAD_SIZE, -1)[:, slow] = to_start
        heads = torch.arange(len(LOOKS)) * HEAD_SIZE
        first.v_proj.weight[heads] = self.looked @ torch.cat([written, BLANK * visual[None]])
        first.o_proj.weight[:, heads] = told[:, None].expand(-1, len(LOOKS))
        # What a cell's constant lacks after RMSNorm says how much is printed there. Pieces lack
        # nothing of theirs, and marks, whose sign is as long, get it back.
        printed = heads[EVERYWHERE] + 1
        constants = visual + text + (math.sqrt(2) - 1) * (sink + mark)
        first.v_proj.bias[printed] = len(visual) ** 0.5
        first.v_proj.weight[printed] = -constants
        first.o_proj.weight[:, printed] = FULL * full
        rows = last.k_proj.weight.view(last.heads, HEAD_SIZE, -1)[:, slow]
        rows.mul_(self.sharpness[:, None])
        counts = self.own @ written + told
        rows.add_(torch.outer(self.gain, STRENGTH * HEAD_SIZE**0.5 * counts))
        return counts


@torch.no_grad()
def least_agreement(salience: Salience, model: Nano) -> float:
    """Least cosine between what was trained and ``model``, after `Salience.give`."""
    rng = np.random.default_rng(0)
    query = ["Was kostet die Karte?"]
    pairs = [(salience.queries(query)[0], model.encode_queries(query)[0])]
    for paper in (A4, A4[::-1]):
        image = torch.from_numpy(make_page(rng, Style(*paper, (9.5, 14.0), usual=True)).image)[None]
        features, size = model.visual(image), (image.shape[1] // CELL, image.shape[2] // CELL)
        trained = salience.page(salience.see(features[0], size))
        pairs.append((trained, model.documents(model.visual.merger(features), *size)[0]))
    return min(torch.cosine_similarity(a, b, dim=0).item() for a, b in pairs)
