"""Stage 4, basis: the first components of a vector say the most (Matryoshka), at no cost.

Inner products do not change when everything that is written to the residual stream, and everything
that reads it, is turned by one orthogonal matrix. So the axes are chosen last: the main directions
of queries, the most telling first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from training.queries import draw_batch

if TYPE_CHECKING:
    from torch import Tensor

    from training.nano import Nano
    from training.readout import Readout

QUERIES = 3000


@torch.no_grad()
def main_directions(readout: Readout, *, seed: int = 5) -> Tensor:
    """Orthogonal (width, width): the directions of queries in its columns, main first."""
    queries, _ = draw_batch(np.random.default_rng(seed), QUERIES)
    vectors, _ = readout.queries(queries)
    return torch.linalg.svd(vectors.T @ vectors)[0]


@torch.no_grad()
def turn(model: Nano, head: tuple[Tensor, Tensor], axes: Tensor) -> tuple[Tensor, Tensor]:
    """Give ``model`` these axes, in place; the token head that goes with it."""
    table = model.text.embed_tokens.weight
    table.copy_(table @ axes)
    out = model.visual.merger.mlp[2]
    out.weight.copy_(axes.T @ out.weight)
    out.bias.copy_(axes.T @ out.bias)
    norms = [model.text.norm]
    for layer in model.text.layers:
        attention, mlp = layer.self_attn, layer.mlp
        norms += [layer.input_layernorm, layer.post_attention_layernorm]
        for reads in (
            attention.q_proj,
            attention.k_proj,
            attention.v_proj,
            mlp.gate_proj,
            mlp.up_proj,
        ):
            reads.weight.copy_(reads.weight @ axes)
        for writes in (attention.o_proj, mlp.down_proj):
            writes.weight.copy_(axes.T @ writes.weight)
    if any(not torch.equal(norm.weight, torch.ones_like(norm.weight)) for norm in norms):
        raise ValueError("a norm weighs components one by one: its axes cannot be turned")
    return head[0] @ axes, head[1]
