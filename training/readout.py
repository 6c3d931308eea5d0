"""What is made of a page's patches, in training: all but the vision tower.

The tower is frozen, so features of pages are computed once and kept. `Readout` does with them what
the model does: the merger and the first layer's MLP make tokens of them (`Nano.coded_tokens`), the
last token sums these up, head by head, and every other token keeps what it holds
(`Nano.read_pages` set the last layer). `verify` is the proof.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

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
from training.prompts import QUERY_PROMPT, split_at_image
from training.vision import MERGE

if TYPE_CHECKING:
    from collections.abc import Sequence

LATE_PAGE = ("<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|im_end|>")
LATE_QUERY = "<|im_start|> {query}<|im_end|>"
HEAD_SIZE = 64


class Readout(nn.Module):
    """The trainable part of ``model``: merger, both layers as far as they do something, token head.

    Of the pieces' embeddings the code parts are trained, and how much each weighs.
    """

    def __init__(self, model: Nano, head: Tensor) -> None:
        super().__init__()
        attention = model.text.layers[-1].self_attn
        self.heads = attention.heads
        self.length_row = model.text.config.hidden // self.heads // 2 - 1  # as `Nano.read_pages`
        keys = attention.k_proj.weight.view(self.heads, HEAD_SIZE, -1)[:, self.length_row]
        self.key = nn.Parameter(keys.detach().clone())
        self.value = nn.Parameter(attention.v_proj.weight.detach().clone())
        self.out = nn.Parameter(attention.o_proj.weight.detach().clone())
        self.head = nn.Parameter(head.clone())
        self.merger = copy.deepcopy(model.visual.merger)
        self.merger.ln_q.requires_grad_(requires_grad=False)
        self.mlp = copy.deepcopy(model.text.layers[0].mlp)
        width = model.text.config.hidden
        self.register_buffer("unsigned", without_signs(torch.eye(width)))
        self.register_buffer("blank", SCALE * CONSTANT * constant_directions(width)[0])
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
        self.late_prompt = [token(name) for name in LATE_PAGE]
        self.query_before = model.query_before.before
        with torch.no_grad():
            black = torch.zeros(1, 56, 56, 3, dtype=torch.uint8)
            self.register_buffer("dummy", in_cells(model.visual(black)[0]))

    def tokens(self, cells: Tensor) -> Tensor:
        """Features of cells (n, 4 x vision width) -> tokens (n, width) after the first layer.

        As `Nano.coded_tokens` with what `Nano.fix_constants` puts into the weights.
        """
        norm, (into, _, out) = self.merger.ln_q, self.merger.mlp
        features = norm(cells.view(len(cells), -1, norm.normalized_shape[0])).flatten(1)
        hidden = fn.gelu(into(features))
        tokens = fn.linear(hidden, self.unsigned @ out.weight, self.unsigned @ out.bias)
        tokens = tokens + self.blank
        unit = normed(tokens)
        inner = fn.silu(self.mlp.gate_proj(unit)) * self.mlp.up_proj(unit)
        return tokens + fn.linear(inner, self.unsigned @ self.mlp.down_proj.weight)

    def pieces(self, ids: Sequence[int]) -> Tensor:
        """Embeddings (n, width)."""
        rows = torch.tensor(ids)
        free = self.free[rows]
        scaled = self.codes[rows] * (self.gain[rows] * free).exp()
        return self.constants[rows] + scaled + without_constants(self.change[rows]) * free

    def pooled(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """What the last token becomes (..., width) after normalised ``tokens`` (..., n, width)."""
        scores = torch.einsum("...td,hd->...ht", tokens, self.key) / HEAD_SIZE**0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[..., None, :], -1e9)
        itself = torch.zeros_like(scores[..., :1])  # the last token holds nothing of its own
        share = torch.cat([scores, itself], -1).softmax(-1)[..., :-1]
        seen = without_signs(torch.einsum("...ht,...td->...hd", share, tokens))
        values = torch.einsum("...hd,hed->...he", seen, self.value.view(self.heads, HEAD_SIZE, -1))
        return values.flatten(-2) @ self.out.T

    def pages(self, pages: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Features of pages in cells -> unit dense vectors, and unit vectors of all tokens.

        The vectors of a page begin with those of its cells.
        """
        dense_prompt = normed(self.pieces(self.dense_prompt))
        late_prompt = normed(self.pieces(self.late_prompt))
        dense, late = [], []
        states = normed(self.tokens(torch.cat([*pages]).float()))
        for tokens in states.split([len(page) for page in pages]):
            dense.append(self.pooled(torch.cat([tokens, dense_prompt])))
            late.append(self.token_vectors(torch.cat([tokens, late_prompt])))
        return fn.normalize(torch.stack(dense), dim=-1), late

    def queries(self, queries: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        """The same of queries."""
        before = torch.cat([self.pieces(self.query_before), self.tokens(self.dummy)])
        rows = []
        for query in queries:
            after = split_at_image(self.tokenizer, QUERY_PROMPT % query).after[:-1]
            rows.append(torch.cat([before, self.pieces(after)]))
        longest = max(map(len, rows))
        padded = torch.stack([fn.pad(row, (0, 0, 0, longest - len(row))) for row in rows])
        mask = torch.arange(longest) < torch.tensor([len(row) for row in rows])[:, None]
        dense = fn.normalize(self.pooled(normed(padded), mask), dim=-1)
        late = []
        for query in queries:
            ids = self.tokenizer.encode(LATE_QUERY.format(query=query), add_special_tokens=False)
            late.append(self.token_vectors(normed(self.pieces(ids.ids))))
        return dense, late

    def token_vectors(self, tokens: Tensor) -> Tensor:
        """Unit vectors (n + 1, 128) of normalised tokens and of the last one."""
        last = normed(self.pooled(tokens))
        return fn.normalize(torch.cat([tokens, last[None]]) @ self.head.T, dim=-1)

    def word(self, word: str) -> Tensor:
        """Unit vectors (pieces, 128) of a word in a query."""
        ids = self.tokenizer.encode(f" {word}", add_special_tokens=False).ids
        return fn.normalize(normed(self.pieces(ids)) @ self.head.T, dim=-1)

    @torch.no_grad()
    def give_back(self, model: Nano) -> Tensor:
        """Put what was learned into the model; the weight of the token head."""
        attention = model.text.layers[-1].self_attn
        rows = attention.k_proj.weight.view(self.heads, HEAD_SIZE, -1)
        rows[:, self.length_row] = self.key
        attention.v_proj.weight.copy_(without_signs(self.value))
        attention.o_proj.weight.copy_(self.out)
        model.visual.merger.load_state_dict(self.merger.state_dict())
        model.text.layers[0].mlp.load_state_dict(self.mlp.state_dict())
        model.fix_constants()
        table = model.text.embed_tokens.weight
        table.copy_(self.pieces(range(len(table))))
        return self.head.detach().clone()


def normed(x: Tensor) -> Tensor:
    """Root mean square of 1, as the last layer's first norm."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def in_cells(features: Tensor) -> Tensor:
    """Features of patches (4 n, vision width) -> those of cells (n, 4 x vision width)."""
    return features.view(len(features) // MERGE**2, -1)


def late_scores(queries: Sequence[Tensor], pages: Sequence[Tensor]) -> Tensor:
    """MaxSim (queries, pages), divided by the root of the queries' tokens."""
    similar = torch.cat([*queries]) @ torch.cat([*pages]).T
    best = [part.amax(1) for part in similar.split([len(page) for page in pages], 1)]
    sums = [part.sum(0) for part in torch.stack(best, 1).split([len(one) for one in queries])]
    return torch.stack(sums) / torch.tensor([float(len(one)) for one in queries]).sqrt()[:, None]
