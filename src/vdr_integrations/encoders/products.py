"""Matrix products of a model, and its attention, in the format in which they are fastest.

GPUs, and CPUs with AMX, multiply bfloat16 fast. So do AMD's with AVX512-BF16, but for torch's
attention, which is done block by block there. Any other x86 CPU takes longer over bfloat16 than
over float32. There, one matrix at a time is unpacked, and a sum is rounded to bfloat16 once, at its
end: faster, and no less exact.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as fn

from vdr_integrations.encoders.cpu import Bfloat16OnCpu, bfloat16_on_this_cpu

__all__ = ["Products", "choose_products"]

_FEWEST_TOKENS = 128
"""Of a sequence, for which unpacking pays at every size of matrix (benchmarks/products.py); shorter
ones are left to torch."""

_BLOCK = 512
"""Queries whose scores are computed together, a head a thread, where attention is done block by
block: they stay in the cache (benchmarks/products.py)."""

_CAUSAL_BLOCK, _CAUSAL_HEADS = 128, 32
"""The same of a decoder, whose sequences are shorter: more heads together, to fill them."""

_Linear = Any
"""``nn.Linear``, or what stands in for it."""


class Products:
    """Products in the format of what is multiplied. One thread at a time."""

    def over(self, tokens: int) -> Products:
        """For sequences of this length, however many there are: nothing depends on a batch."""
        del tokens
        return self

    def linear(self, x: torch.Tensor, linear: _Linear) -> torch.Tensor:
        """``linear(x)``."""
        return linear(x)

    def scaled_linear(
        self, x: torch.Tensor, linear: _Linear, *, scale: float, scaled_bias: torch.Tensor
    ) -> torch.Tensor:
        """``scale * linear(x)`` of rows, whose bias is scaled already."""
        return torch.addmm(scaled_bias, x, linear.weight.T, alpha=scale)

    def add_(
        self, x: torch.Tensor, y: torch.Tensor, linear: _Linear, *, scale: float = 1.0
    ) -> torch.Tensor:
        """``x += scale * y @ weight.T + bias``, without a sum of its own; gives ``x``."""
        if linear.bias is not None:
            x.add_(linear.bias)
        _rows(x).addmm_(_rows(y), linear.weight.T, alpha=scale)
        return x

    def attention(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        mask: torch.Tensor | None = None,
        is_causal: bool = False,
    ) -> torch.Tensor:
        """What queries (sequences, heads, tokens, head dimension) see."""
        operands = (self._operand(part) for part in (query, key, value))
        seen = fn.scaled_dot_product_attention(*operands, attn_mask=mask, is_causal=is_causal)
        return seen.to(query.dtype)

    def _operand(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` in the format that is multiplied."""
        return x


class _Float32Products(Products):
    """Products in float32 of what is kept in fewer bits."""

    def __init__(self) -> None:
        self._unpacked = torch.empty(0)

    def linear(self, x: torch.Tensor, linear: _Linear) -> torch.Tensor:
        bias = None if linear.bias is None else linear.bias.float()
        return fn.linear(x.float(), self._matrix(linear), bias).to(x.dtype)

    def scaled_linear(
        self, x: torch.Tensor, linear: _Linear, *, scale: float, scaled_bias: torch.Tensor
    ) -> torch.Tensor:
        product = torch.addmm(scaled_bias.float(), x.float(), self._matrix(linear).T, alpha=scale)
        return product.to(x.dtype)

    def add_(
        self, x: torch.Tensor, y: torch.Tensor, linear: _Linear, *, scale: float = 1.0
    ) -> torch.Tensor:
        total = x.float()
        if linear.bias is not None:
            total.add_(linear.bias)
        _rows(total).addmm_(_rows(y.float()), self._matrix(linear).T, alpha=scale)
        return x.copy_(total)

    def _operand(self, x: torch.Tensor) -> torch.Tensor:
        return x.float()

    def _matrix(self, linear: _Linear) -> torch.Tensor:
        """The weight in float32, until the next one is asked for."""
        weight: torch.Tensor = linear.weight
        if self._unpacked.numel() < weight.numel():
            # Memory that is new costs as much as the unpacking.
            self._unpacked = torch.empty(weight.numel())
        return self._unpacked[: weight.numel()].view(weight.shape).copy_(weight)


class _AttentionInBlocks(Products):
    """Products in bfloat16, with attention made of them.

    Scores are rounded to bfloat16 before the softmax, as by transformers' eager attention.
    """

    def attention(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        mask: torch.Tensor | None = None,
        is_causal: bool = False,
    ) -> torch.Tensor:
        sequences, heads, tokens, width = query.shape
        if mask is not None or tokens < _FEWEST_TOKENS:
            return super().attention(query, key, value, mask=mask, is_causal=is_causal)
        queries = (query * width**-0.5).reshape(-1, tokens, width)
        # Read in place, transposed, they would take twice as long.
        keys = key.transpose(2, 3).contiguous().view(-1, width, key.shape[2])
        values = value.reshape(-1, value.shape[2], width)
        attend = _causal_attention if is_causal else _full_attention
        return attend(queries, keys, values).view(sequences, heads, tokens, width)


def _full_attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """What scaled queries (heads, tokens, width) see; keys are (heads, width, tokens)."""
    seen = torch.empty_like(queries)
    at_once = min(torch.get_num_threads(), len(queries))
    scratch = queries.new_empty(at_once * _BLOCK * keys.shape[2])
    for head in range(0, len(queries), at_once):
        some = slice(head, head + at_once)
        for start in range(0, queries.shape[1], _BLOCK):
            rows = slice(start, start + _BLOCK)
            scores = _scores(queries[some, rows], keys[some], scratch)
            torch.softmax(scores, dim=-1, out=scores)
            seen[some, rows] = torch.bmm(scores, values[some])
    return seen


def _causal_attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """The same where nothing sees what stands after it: half of the scores are never computed."""
    seen = torch.empty_like(queries)
    tokens = queries.shape[1]
    scratch = queries.new_empty(min(_CAUSAL_HEADS, len(queries)) * _CAUSAL_BLOCK * tokens)
    later = queries.new_full((_CAUSAL_BLOCK, _CAUSAL_BLOCK), -math.inf).triu_(1)
    for head in range(0, len(queries), _CAUSAL_HEADS):
        some = slice(head, head + _CAUSAL_HEADS)
        for start in range(0, tokens, _CAUSAL_BLOCK):
            end = min(start + _CAUSAL_BLOCK, tokens)
            scores = _scores(queries[some, start:end], keys[some, :, :end], scratch)
            scores[:, :, start:].add_(later[: end - start, : end - start])
            torch.softmax(scores, dim=-1, out=scores)
            seen[some, start:end] = torch.bmm(scores, values[some, :end])
    return seen


def _scores(queries: torch.Tensor, keys: torch.Tensor, scratch: torch.Tensor) -> torch.Tensor:
    """Products (heads, queries, keys), in memory that is used over and over."""
    shape = (*queries.shape[:2], keys.shape[2])
    return torch.bmm(queries, keys, out=scratch[: math.prod(shape)].view(shape))


class _ByLength(Products):
    """Float32 for long sequences; short ones would wait for the unpacking."""

    def __init__(self) -> None:
        self._float32 = _Float32Products()

    def over(self, tokens: int) -> Products:
        return self._float32 if tokens >= _FEWEST_TOKENS else self


def choose_products(weight: torch.Tensor) -> Products:
    """What is fastest for a model with such weights on this machine."""
    if weight.device.type != "cpu" or weight.dtype != torch.bfloat16:
        return Products()
    kinds = {
        Bfloat16OnCpu.FASTER_BUT_FOR_ATTENTION: _AttentionInBlocks,
        Bfloat16OnCpu.SLOWER: _ByLength,
    }
    return kinds.get(bfloat16_on_this_cpu(), Products)()


def _rows(x: torch.Tensor) -> torch.Tensor:
    return x.view(-1, x.shape[-1])
