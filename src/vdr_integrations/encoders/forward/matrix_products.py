"""Matrix products and attention of a model, in the format in which they are fastest.

GPUs and CPUs with AMX multiply bfloat16 fast. AMD CPUs with AVX512-BF16 do so too, except in
torch's attention, which is computed in blocks there. On any other x86 CPU bfloat16 is slower than
float32. There, one matrix at a time is unpacked to float32, and each sum is rounded to bfloat16
once, at its end: this is faster, and as exact.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as fn

from vdr_integrations.encoders.runtime.cpu_bfloat16 import Bfloat16OnCpu, bfloat16_on_this_cpu

__all__ = ["FlashProducts", "Products", "choose_products"]

_FEWEST_TOKENS = 128
"""Fewest tokens of a sequence for which unpacking is faster at every size of matrix
(benchmarks/products.py); torch multiplies shorter sequences."""

_BLOCK = 512
"""Queries whose scores are computed together, one head per thread, by attention in blocks: the
scores stay in the cache (benchmarks/products.py)."""

_CAUSAL_BLOCK, _CAUSAL_HEADS = 128, 32
"""Queries and heads that are computed together in a decoder. Its sequences are shorter, so more
heads are needed to fill a block."""

_Linear = Any
"""``nn.Linear``, or a module that replaces it."""


class Products:
    """Products in the format of their operands. One thread at a time."""

    def over(self, tokens: int) -> Products:
        """Products for sequences of this length. The number of sequences makes no difference."""
        del tokens
        return self

    def linear(self, x: torch.Tensor, linear: _Linear) -> torch.Tensor:
        """``linear(x)``."""
        return linear(x)

    def scaled_linear(
        self, x: torch.Tensor, linear: _Linear, *, scale: float, scaled_bias: torch.Tensor
    ) -> torch.Tensor:
        """``scale * linear(x)`` of rows; ``scaled_bias`` is the bias multiplied by ``scale``."""
        return torch.addmm(scaled_bias, x, linear.weight.T, alpha=scale)

    def add_(
        self, x: torch.Tensor, y: torch.Tensor, linear: _Linear, *, scale: float = 1.0
    ) -> torch.Tensor:
        """``x += scale * y @ weight.T + bias`` as part of the product; returns ``x``."""
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
        """Scaled dot-product attention.

        Args:
            query: (sequences, heads, tokens, head dimension).
            key: The same shape, or fewer heads, each of them for several heads of ``query``.
            value: The same shape as ``key``.
            mask: Which tokens attend to which.
            is_causal: No token attends to later tokens; only without a mask.
        """
        original = query.dtype
        query, key, value = (self._operand(part) for part in (query, key, value))
        key, value = (_for_all_heads(part, query.shape[1]) for part in (key, value))
        seen = fn.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=is_causal
        )
        return seen.to(original)

    def causal_mask(self, tokens: int, *, known: int, device: torch.device) -> torch.Tensor:
        """Causal mask of tokens that follow others, to which all of them attend.

        Args:
            tokens: Number of tokens.
            known: Number of tokens before them.
            device: Device of the mask.

        Returns:
            A mask for :meth:`attention`.
        """
        seen = torch.ones(tokens, known + tokens, dtype=torch.bool, device=device)
        return seen.tril(known)[None, None]

    def _operand(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` in the format for multiplication."""
        return x


class FlashProducts(Products):
    """Products on a GPU with flash kernels, which need no repeated heads and no causal matrix."""

    def __init__(self) -> None:
        # It imports torch's compiler, which takes as long as torch, so only where it is needed.
        from torch.nn.attention import bias

        self._bias = bias

    def attention(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        mask: torch.Tensor | None = None,
        is_causal: bool = False,
    ) -> torch.Tensor:
        """See ``Products``."""
        if mask is not None and not isinstance(mask, self._bias.CausalBias):
            # Masks need other kernels, which need a key for every head.
            return super().attention(query, key, value, mask=mask, is_causal=is_causal)
        return fn.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            is_causal=is_causal,
            enable_gqa=key.shape[1] != query.shape[1],
        )

    def causal_mask(self, tokens: int, *, known: int, device: torch.device) -> torch.Tensor:
        """See ``Products``."""
        del device  # the mask is not a matrix
        return self._bias.causal_lower_right(tokens, known + tokens)


class _Float32Products(Products):
    """Products in float32 of numbers that are stored in fewer bits."""

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
        """The weight in float32; the next call overwrites it."""
        weight: torch.Tensor = linear.weight
        if self._unpacked.numel() < weight.numel():
            # Allocating memory takes as long as unpacking, so it is kept.
            self._unpacked = torch.empty(weight.numel())
        return self._unpacked[: weight.numel()].view(weight.shape).copy_(weight)


class _AttentionInBlocks(Products):
    """Products in bfloat16, and attention that is computed with them.

    Scores are rounded to bfloat16 before the softmax, as in transformers' eager attention.
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
        key, value = (_for_all_heads(part, heads) for part in (key, value))
        queries = (query * width**-0.5).reshape(-1, tokens, width)
        # A product with transposed keys in place takes twice as long.
        keys = key.transpose(2, 3).contiguous().view(-1, width, key.shape[2])
        values = value.reshape(-1, value.shape[2], width)
        seen = torch.empty_like(queries)
        if is_causal:
            at_once, block = min(_CAUSAL_HEADS, len(queries)), _CAUSAL_BLOCK
        else:
            at_once, block = min(torch.get_num_threads(), len(queries)), _BLOCK
        scratch = queries.new_empty(at_once * block * keys.shape[2])
        later = queries.new_full((block, block), -math.inf).triu_(1) if is_causal else None
        for head in range(0, len(queries), at_once):
            some = slice(head, head + at_once)
            for start in range(0, tokens, block):
                end = min(start + block, tokens)
                # A causal block attends to nothing after itself: half of the scores are skipped.
                known = keys.shape[2] if later is None else end
                part = queries[some, start:end]
                shape = (*part.shape[:2], known)
                scores = scratch[: math.prod(shape)].view(shape)
                torch.bmm(part, keys[some, :, :known], out=scores)
                if later is not None:
                    scores[:, :, start:].add_(later[: end - start, : end - start])
                torch.softmax(scores, dim=-1, out=scores)
                seen[some, start:end] = torch.bmm(scores, values[some, :known])
        return seen.view(sequences, heads, tokens, width)


class _ByLength(Products):
    """Float32 for long sequences; for short ones unpacking would take too long."""

    def __init__(self) -> None:
        self._float32 = _Float32Products()

    def over(self, tokens: int) -> Products:
        return self._float32 if tokens >= _FEWEST_TOKENS else self


def choose_products(weight: torch.Tensor) -> Products:
    """The fastest products for a model with such weights on this machine."""
    if weight.device.type == "cuda" and torch.cuda.is_available():
        has_flash = weight.dtype != torch.float32 and (
            torch.version.hip is None and torch.cuda.get_device_capability(weight.device) >= (8, 0)
        )
        return FlashProducts() if has_flash else Products()
    if weight.device.type != "cpu" or weight.dtype != torch.bfloat16:
        return Products()
    kinds = {
        Bfloat16OnCpu.FASTER_BUT_FOR_ATTENTION: _AttentionInBlocks,
        Bfloat16OnCpu.SLOWER: _ByLength,
    }
    return kinds.get(bfloat16_on_this_cpu(), Products)()


def _for_all_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Keys or values (sequences, heads, tokens, head dimension), repeated to this many heads."""
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], dim=1)


def _rows(x: torch.Tensor) -> torch.Tensor:
    return x.view(-1, x.shape[-1])
