"""What is made of a page's patches, in training: all but the vision tower.

The tower is frozen, so features of pages are computed once and kept. `Readout` does with them what
the model does: the merger and the first layer's MLP make tokens of them (`Nano.coded_tokens`), the
last token sums these up, head by head, and every other token takes over something from those near
it (`Nano.read_pages` set the last layer). `verify` is the proof.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from training.nano import (
    CONSTANT,
    SCALE,
    Nano,
    constant_directions,
    without_constants,
    without_signs,
)
from training.near import NEAR, near_kernel
from training.prompts import QUERY_PROMPT, split_at_image
from training.text import image_positions, text_positions
from training.vision import MERGE, rotate

if TYPE_CHECKING:
    from collections.abc import Sequence

LATE_PAGE = ("<|im_start|>", "<|vision_start|>"), ("<|vision_end|>", "<|im_end|>")
LATE_QUERY = "<|im_start|> {query}<|im_end|>"
HEAD_SIZE = 64


class PageCells(NamedTuple):
    """Cells of a page as the frozen vision tower reads it, or some of them."""

    features: Tensor  # (n, 4 x vision width)
    places: Tensor  # (n,), counted along the rows
    size: tuple[int, int]  # rows and columns of the whole page


class Readout(nn.Module):
    """The trainable part of ``model``: merger, both layers as far as they do something, token head.

    Of the pieces' embeddings the code parts are trained, and how much each weighs. How tokens look
    at their neighbours is not trained; without ``neighbours`` every one keeps what it holds.
    """

    def __init__(self, model: Nano, head: Tensor, *, neighbours: bool = True) -> None:
        super().__init__()
        attention = model.text.layers[-1].self_attn
        self.heads = attention.heads
        self.rotary = model.text.rotary
        self.length_row = model.text.config.slowest  # as `Nano.read_pages`
        keys = attention.k_proj.weight.view(self.heads, HEAD_SIZE, -1)[:, self.length_row]
        self.key = nn.Parameter(keys.detach().clone())
        self.neighbours = neighbours
        near_visual, near_text, near_key = near_kernel(model.text.config)
        self.register_buffer("near_visual", near_visual)
        self.register_buffer("near_text", near_text)
        self.register_buffer("near_key", near_key)
        self.value = nn.Parameter(attention.v_proj.weight.detach().clone())
        self.out = nn.Parameter(attention.o_proj.weight.detach() / NEAR)
        self.head = nn.Parameter(head.clone())
        self.merger = copy.deepcopy(model.visual.merger)
        self.merger.ln_q.requires_grad_(requires_grad=False)
        self.mlp = copy.deepcopy(model.text.layers[0].mlp)
        width = model.text.config.hidden
        self.register_buffer("unsigned", without_signs(torch.eye(width)))
        visual, text = constant_directions(width)
        self.register_buffer("visual", visual)
        self.register_buffer("textual", text)
        self.register_buffer("blank", SCALE * CONSTANT * visual)
        table = model.text.embed_tokens.weight.detach()
        codes = without_constants(table)
        self.register_buffer("codes", codes)
        self.register_buffer("constants", table - codes)
        self.gain = nn.Parameter(torch.zeros(len(table), 1))
        self.change = nn.Parameter(torch.zeros_like(table))
        free = torch.ones(len(table), 1)
        for token in ("<|endoftext|>", "<|im_start|>"):
            free[model.tokenizer.token_to_id(token)] = 0.0
        self.register_buffer("free", free)
        self.point_scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self.dense_scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self.late_scale = nn.Parameter(torch.tensor(math.log(5.0)))
        self.tokenizer = model.tokenizer
        token = model.tokenizer.token_to_id
        self.dense_prompt = [*model.document_ids.before, *model.document_ids.after[:-1]]
        self.late_prompt = [[token(name) for name in part] for part in LATE_PAGE]
        self.query_before = model.query_before.before
        with torch.no_grad():
            black = torch.zeros(1, 56, 56, 3, dtype=torch.uint8)
            self.register_buffer("dummy", in_cells(model.visual(black)[0]))

    def tokens(self, cells: Tensor) -> Tensor:
        """Features of cells (n, 4 x vision width) -> tokens (n, width) after the first layer.

        As `Nano.coded_tokens` with what `Nano.fix_constants` puts into the weights.
        """
        return self.coded(self.merged(cells)[1])

    def merged(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Features of cells -> the merger's hidden units, and tokens before the first layer."""
        norm, (into, _, out) = self.merger.ln_q, self.merger.mlp
        features = norm(cells.view(len(cells), -1, norm.normalized_shape[0])).flatten(1)
        hidden = fn.gelu(into(features))
        tokens = fn.linear(hidden, self.unsigned @ out.weight, self.unsigned @ out.bias)
        return hidden, tokens + self.blank

    def coded(self, tokens: Tensor) -> Tensor:
        """Tokens before the first layer -> after it."""
        unit = normed(tokens)
        inner = fn.silu(self.mlp.gate_proj(unit)) * self.mlp.up_proj(unit)
        return tokens + fn.linear(inner, self.unsigned @ self.mlp.down_proj.weight)

    def pieces(self, ids: Sequence[int]) -> Tensor:
        """Embeddings (n, width)."""
        rows = torch.tensor(ids)
        free = self.free[rows]
        scaled = self.codes[rows] * (self.gain[rows] * free).exp()
        return self.constants[rows] + scaled + without_constants(self.change[rows]) * free

    def pooled(
        self,
        tokens: Tensor,
        mask: Tensor | None = None,
        *,
        more: Tensor | float = 0.0,
        sharpness: Tensor | float = 1.0,
    ) -> Tensor:
        """What the last token becomes (..., width) after normalised ``tokens`` (..., n, width).

        ``more`` (heads, n) is added to the heads' scores, ``sharpness`` multiplies what they were.
        """
        scores = torch.einsum("...td,hd->...ht", tokens, self.key) / HEAD_SIZE**0.5
        scores = scores * sharpness + more
        if mask is not None:
            scores = scores.masked_fill(~mask[..., None, :], -1e9)
        itself = torch.zeros_like(scores[..., :1])  # the last token holds nothing of its own
        share = torch.cat([scores, itself], -1).softmax(-1)[..., :-1]
        seen = torch.einsum("...ht,...td->...hd", share, tokens) @ self.unsigned
        values = torch.einsum("...hd,hed->...he", seen, self.value.view(self.heads, HEAD_SIZE, -1))
        return values.flatten(-2) @ self.out.T

    def near_states(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Normalised last states (..., n, width) of ``tokens`` at ``positions`` (3, n)."""
        unit = normed(tokens)
        if not self.neighbours:
            return unit
        cos, sin = self.rotary(positions)
        lengths = torch.arange(HEAD_SIZE) == self.length_row
        shape = (*tokens.shape[:-1], self.heads, HEAD_SIZE)
        query = (
            (unit @ self.visual)[..., None, None] * self.near_visual
            + (unit @ self.textual)[..., None, None] * self.near_text
            + lengths
        ).expand(shape)
        key = (unit @ self.key.T)[..., None] * lengths + self.near_key
        value = (unit @ self.unsigned @ self.value.T).view(shape)
        batch = (-1, self.heads, tokens.shape[-2], HEAD_SIZE)  # else torch takes a slow way
        looked = fn.scaled_dot_product_attention(
            rotate(query.transpose(-2, -3), cos, sin).reshape(batch),
            rotate(key.transpose(-2, -3), cos, sin).reshape(batch),
            value.transpose(-2, -3).reshape(batch),
            is_causal=True,
        )
        looked = looked.transpose(1, 2).reshape(tokens.shape)
        return normed(tokens + NEAR * looked @ self.out.T)

    def pages(self, pages: Sequence[PageCells]) -> tuple[Tensor, list[Tensor]]:
        """Unit dense vectors of pages, and unit vectors of all their tokens.

        The vectors of a page begin with those of its cells.
        """
        dense_prompt = normed(self.pieces(self.dense_prompt))
        before, after = (self.pieces(part) for part in self.late_prompt)
        dense, late = [], []
        cells = self.tokens(torch.cat([page.features for page in pages]).float())
        for page, tokens in zip(pages, cells.split([len(p.places) for p in pages]), strict=True):
            dense.append(self.pooled(torch.cat([normed(tokens), dense_prompt])))
            start, first = len(before), len(before) + len(tokens)
            positions = torch.cat(
                [
                    text_positions(0, start),
                    image_positions(start, *page.size)[:, page.places],
                    text_positions(start + max(page.size), len(after)),
                ],
                1,
            )
            prompted = torch.cat([before, tokens, after])
            states = self.near_states(prompted, positions)
            last = normed(self.pooled(normed(prompted)))
            states = torch.cat([states[start:first], states[:start], states[first:], last[None]])
            late.append(self.token_vectors(states))
        return fn.normalize(torch.stack(dense), dim=-1), late

    def queries(self, queries: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        """The same of queries."""
        return self.dense_queries(queries), self.late_queries(queries)

    def dense_queries(
        self,
        queries: Sequence[str],
        *,
        dummy: Tensor | float = 0.0,
        sharpness: Tensor | float = 1.0,
    ) -> Tensor:
        """Unit dense vectors of queries; ``dummy`` (heads, 4) is added to their image's scores."""
        before = torch.cat([self.pieces(self.query_before), self.tokens(self.dummy)])
        rows = []
        for query in queries:
            after = split_at_image(self.tokenizer, QUERY_PROMPT % query).after[:-1]
            rows.append(torch.cat([before, self.pieces(after)]))
        padded, mask = in_rows(rows)
        start = len(self.query_before)
        more = padded.new_zeros(self.heads, padded.shape[1])
        more[:, start : len(before)] += dummy
        pooled = self.pooled(normed(padded), mask, more=more, sharpness=sharpness)
        return fn.normalize(pooled, dim=-1)

    def late_queries(self, queries: Sequence[str]) -> list[Tensor]:
        """Unit vectors of queries' tokens."""
        rows = []
        for query in queries:
            ids = self.tokenizer.encode(LATE_QUERY.format(query=query), add_special_tokens=False)
            rows.append(self.pieces(ids.ids))
        padded, mask = in_rows(rows)
        states = self.near_states(padded, text_positions(0, padded.shape[1]))
        last = normed(self.pooled(normed(padded), mask))
        return [
            self.token_vectors(torch.cat([states[i, : len(row)], last[i : i + 1]]))
            for i, row in enumerate(rows)
        ]

    def token_vectors(self, states: Tensor) -> Tensor:
        """Unit vectors (n, 128) of last states."""
        return fn.normalize(states @ self.head.T, dim=-1)

    def words(self, words: Sequence[str]) -> list[Tensor]:
        """Unit vectors (pieces, 128) of words, each of them a query."""
        return [vectors[1:-2] for vectors in self.late_queries(words)]

    @torch.no_grad()
    def give_back(self, model: Nano) -> Tensor:
        """Put what was learned into the model; the weight of the token head."""
        attention = model.text.layers[-1].self_attn
        rows = attention.k_proj.weight.view(self.heads, HEAD_SIZE, -1)
        rows[:, self.length_row] = self.key
        attention.v_proj.weight.copy_(without_signs(self.value))
        attention.o_proj.weight.copy_(NEAR * self.out)
        model.visual.merger.load_state_dict(self.merger.state_dict())
        model.text.layers[0].mlp.load_state_dict(self.mlp.state_dict())
        model.fix_constants()
        table = model.text.embed_tokens.weight
        table.copy_(self.pieces(range(len(table))))
        return self.head.detach().clone()


def normed(x: Tensor) -> Tensor:
    """Root mean square of 1, as the last layer's first norm."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def in_rows(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows (n, width) of different lengths, padded at their ends, and where they are rows."""
    longest = max(map(len, rows))
    padded = torch.stack([fn.pad(row, (0, 0, 0, longest - len(row))) for row in rows])
    return padded, torch.arange(longest) < torch.tensor([len(row) for row in rows])[:, None]


def in_cells(features: Tensor) -> Tensor:
    """Features of patches (4 n, vision width) -> those of cells (n, 4 x vision width)."""
    return features.view(len(features) // MERGE**2, -1)


def late_scores(queries: Sequence[Tensor], pages: Sequence[Tensor]) -> Tensor:
    """MaxSim (queries, pages), divided by the root of the queries' tokens."""
    similar = torch.cat([*queries]) @ torch.cat([*pages]).T
    best = [part.amax(1) for part in similar.split([len(page) for page in pages], 1)]
    sums = [part.sum(0) for part in torch.stack(best, 1).split([len(one) for one in queries])]
    return torch.stack(sums) / torch.tensor([float(len(one)) for one in queries]).sqrt()[:, None]
