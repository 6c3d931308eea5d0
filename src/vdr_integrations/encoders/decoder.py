"""Qwen2-VL's text decoder over loaded weights, for inference alone.

No cache, no kept states, and in the last layer only the tokens that are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as fn

from vdr_integrations.encoders.rotary import RotaryTables, rotate_, text_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Decoder"]


class Decoder:
    """From embedded sequences to their last hidden states."""

    def __init__(self, decoder: Any) -> None:  # noqa: ANN401  # transformers' own, loosely typed
        """Take over transformers' ``Qwen2VLTextModel``."""
        config = decoder.config
        self._layers = [_Layer(layer) for layer in decoder.layers]
        self._norm = decoder.norm
        self._head_dimension: int = config.hidden_size // config.num_attention_heads
        self._theta: float = config.rope_parameters["rope_theta"]
        self._sections: Sequence[int] = config.rope_parameters["mrope_section"]

    def __call__(
        self,
        embedded: torch.Tensor,
        positions: torch.Tensor,
        *,
        is_token: torch.Tensor | None,
        last_only: bool,
    ) -> torch.Tensor:
        """Hidden states after the last norm.

        Args:
            embedded: (sequences, tokens, hidden size), padded on the left; changed in place.
            positions: int (3, sequences, tokens).
            is_token: bool (sequences, tokens), False for padding; None where there is none.
            last_only: Give the last token's state alone.

        Returns:
            (sequences, tokens or 1, hidden size).
        """
        tables = text_tables(
            positions,
            head_dimension=self._head_dimension,
            theta=self._theta,
            sections=self._sections,
        )
        mask = None if is_token is None else _causal(is_token)
        x = embedded
        for layer in self._layers[:-1]:
            x = layer(x, tables, mask)
        x = self._layers[-1](x, tables, mask, last_only=last_only)
        return self._norm(x)


class _Layer:
    """Causal attention, then the MLP.

    A half whose last matrix is zero adds nothing and is left out: the bundled checkpoint has two.
    """

    def __init__(self, layer: Any) -> None:  # noqa: ANN401
        self._norms: Sequence[Any] = (layer.input_layernorm, layer.post_attention_layernorm)
        attention, mlp = layer.self_attn, layer.mlp
        self._projections: Sequence[Any] = (attention.q_proj, attention.k_proj, attention.v_proj)
        self._out = attention.o_proj
        self._head_dimension: int = attention.head_dim
        self._shared: int = attention.num_key_value_groups
        self._gate, self._up, self._down = mlp.gate_proj, mlp.up_proj, mlp.down_proj
        self._attends = _is_anything(self._out.weight)
        self._computes = _is_anything(self._down.weight)

    def __call__(
        self,
        x: torch.Tensor,
        tables: RotaryTables,
        mask: torch.Tensor | None,
        *,
        last_only: bool = False,
    ) -> torch.Tensor:
        """(sequences, tokens, width), changed in place; with ``last_only`` its last token."""
        kept = x[:, -1:].contiguous() if last_only else x
        if self._attends:
            _add_product_(kept, self._attention(x, tables, mask, last_only=last_only), self._out)
        if self._computes:
            normed = self._norms[1](kept)
            hidden = fn.silu(self._gate(normed), inplace=True).mul_(self._up(normed))
            _add_product_(kept, hidden, self._down)
        return kept

    def _attention(
        self, x: torch.Tensor, tables: RotaryTables, mask: torch.Tensor | None, *, last_only: bool
    ) -> torch.Tensor:
        normed = self._norms[0](x)
        asking, turn = normed, tables
        if last_only:
            asking = normed[:, -1:]
            turn = RotaryTables(tables.cos[:, -1:], tables.sin[:, -1:])
            mask = None if mask is None else mask[:, :, -1:]
        project_query, project_key, project_value = self._projections
        query = rotate_(self._heads(project_query(asking)), turn)
        key = rotate_(self._heads(project_key(normed)), tables)
        value = self._heads(project_value(normed))
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        if self._shared > 1:
            key, value = (part.repeat_interleave(self._shared, dim=1) for part in (key, value))
        seen = fn.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None and not last_only
        )
        return seen.transpose(1, 2).reshape(*asking.shape[:2], -1)

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], -1, self._head_dimension)


def _add_product_(x: torch.Tensor, y: torch.Tensor, linear: Any) -> None:  # noqa: ANN401
    """``x += linear(y)`` without a sum of its own; the linear has no bias."""
    x.view(-1, x.shape[-1]).addmm_(y.view(-1, y.shape[-1]), linear.weight.T)


def _is_anything(weight: torch.Tensor) -> bool:
    return bool(weight[0].any()) or bool(weight.any())


def _causal(is_token: torch.Tensor) -> torch.Tensor:
    """Who sees whom, bool (sequences, 1, tokens, tokens); padding sees itself, or it were NaN."""
    tokens = is_token.shape[1]
    every = torch.ones(tokens, tokens, dtype=torch.bool, device=is_token.device)
    return (every.tril() & is_token[:, None] | every.tril().triu())[:, None]
