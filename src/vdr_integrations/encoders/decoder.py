"""Qwen2-VL's text decoder over loaded weights, for inference alone.

No kept states, in the last layer only the tokens that are read, and no cache but that of a
beginning that many sequences share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as fn

from vdr_integrations.encoders.products import Products, choose_products
from vdr_integrations.encoders.rotary import RotaryTables, rotate_, text_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Decoder", "Prefix"]


_TOKENS_PER_MLP_PASS = 8192
"""Enough to fill a GPU; two hidden states of a batch of 32 pages would be 0.9 GB (2B model)."""


class Prefix(NamedTuple):
    """What later tokens see of the tokens that many sequences begin with.

    Attributes:
        layers: Keys and values of each, (1, heads, tokens, head dimension); None for a layer
            without attention.
        tokens: How many there are.
    """

    layers: Sequence[tuple[torch.Tensor, torch.Tensor] | None]
    tokens: int


class Decoder:
    """From embedded sequences to their last hidden states."""

    def __init__(self, decoder: Any) -> None:  # noqa: ANN401  # transformers' own, loosely typed
        """Take over transformers' ``Qwen2VLTextModel``."""
        config = decoder.config
        products = choose_products(decoder.layers[0].self_attn.o_proj.weight)
        self._layers = [_Layer(layer, products) for layer in decoder.layers]
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
        prefix: Prefix | None = None,
    ) -> torch.Tensor:
        """Hidden states after the last norm.

        Args:
            embedded: (sequences, tokens, hidden size), padded on the left; changed in place.
            positions: int (3, sequences, tokens).
            is_token: bool (sequences, tokens), False for padding; None where there is none.
            last_only: Give the last token's state alone.
            prefix: What stands before every sequence.

        Returns:
            (sequences, tokens or 1, hidden size).
        """
        tables = self._tables(positions)
        mask = _mask(embedded, is_token, prefix)
        seen = [None] * len(self._layers) if prefix is None else prefix.layers
        x = embedded
        for layer, before in zip(self._layers[:-1], seen, strict=False):
            x = layer(x, tables, mask, before=before)
        x = self._layers[-1](x, tables, mask, before=seen[-1], last_only=last_only)
        return self._norm(x)

    def prefix(self, embedded: torch.Tensor, positions: torch.Tensor) -> Prefix:
        """Keys and values of tokens that sequences will begin with.

        Args:
            embedded: (1, tokens, hidden size); changed in place.
            positions: int (3, 1, tokens).
        """
        tables = self._tables(positions)
        found: list[tuple[torch.Tensor, torch.Tensor] | None] = []
        x = embedded
        for layer in self._layers:
            found.append(layer.keys_and_values(x, tables))
            x = layer(x, tables, None)
        return Prefix(found, embedded.shape[1])

    def _tables(self, positions: torch.Tensor) -> RotaryTables:
        return text_tables(
            positions,
            head_dimension=self._head_dimension,
            theta=self._theta,
            sections=self._sections,
        )


class _Layer:
    """Causal attention, then the MLP.

    A half whose last matrix is zero adds nothing and is left out: the bundled checkpoint has two.
    """

    def __init__(self, layer: Any, products: Products) -> None:  # noqa: ANN401
        self._products = products
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
        before: tuple[torch.Tensor, torch.Tensor] | None = None,
        last_only: bool = False,
    ) -> torch.Tensor:
        """(sequences, tokens, width), changed in place; with ``last_only`` its last token."""
        kept = x[:, -1:].contiguous() if last_only else x
        products = self._products.over(x.shape[1])
        if self._attends:
            seen = self._attention(x, tables, mask, products, before=before, last_only=last_only)
            products.add_(kept, seen, self._out)
        if self._computes:
            for part in kept.view(-1, kept.shape[-1]).split(_TOKENS_PER_MLP_PASS):
                normed = self._norms[1](part)
                hidden = fn.silu(products.linear(normed, self._gate), inplace=True)
                products.add_(part, hidden.mul_(products.linear(normed, self._up)), self._down)
        return kept

    def keys_and_values(
        self, x: torch.Tensor, tables: RotaryTables
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """(sequences, heads, tokens, head dimension) of both; None without attention."""
        if not self._attends:
            return None
        return self._pair(self._norms[0](x), tables, self._products.over(x.shape[1]))

    def _attention(
        self,
        x: torch.Tensor,
        tables: RotaryTables,
        mask: torch.Tensor | None,
        products: Products,
        *,
        before: tuple[torch.Tensor, torch.Tensor] | None,
        last_only: bool,
    ) -> torch.Tensor:
        normed = self._norms[0](x)
        asking, turn = normed, tables
        if last_only:
            asking = normed[:, -1:]
            turn = RotaryTables(tables.cos[:, -1:], tables.sin[:, -1:])
            mask = None if mask is None else mask[:, :, -1:]
        query = products.linear(asking, self._projections[0])
        query = rotate_(self._heads(query), turn).transpose(1, 2)
        key, value = self._pair(normed, tables, products)
        if before is not None:
            key, value = (
                torch.cat([known.expand(len(x), -1, -1, -1), part], dim=2)
                for known, part in zip(before, (key, value), strict=True)
            )
        if self._shared > 1:
            key, value = (part.repeat_interleave(self._shared, dim=1) for part in (key, value))
        seen = products.attention(
            query, key, value, mask=mask, is_causal=mask is None and not last_only
        )
        return seen.transpose(1, 2).reshape(*asking.shape[:2], -1)

    def _pair(
        self, normed: torch.Tensor, tables: RotaryTables, products: Products
    ) -> tuple[torch.Tensor, torch.Tensor]:
        key, value = (
            self._heads(products.linear(normed, linear)) for linear in self._projections[1:]
        )
        return rotate_(key, tables).transpose(1, 2), value.transpose(1, 2)

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], -1, self._head_dimension)


def _is_anything(weight: torch.Tensor) -> bool:
    return bool(weight[0].any()) or bool(weight.any())


def _mask(
    embedded: torch.Tensor, is_token: torch.Tensor | None, prefix: Prefix | None
) -> torch.Tensor | None:
    """Who sees whom, bool (sequences or 1, 1, tokens, all tokens); None for plain causality."""
    if prefix is None:
        return None if is_token is None else _causal(is_token)
    if is_token is None:
        is_token = torch.ones(1, embedded.shape[1], dtype=torch.bool, device=embedded.device)
    among = _causal(is_token)
    return torch.cat([among.new_ones(*among.shape[:3], prefix.tokens), among], dim=3)


def _causal(is_token: torch.Tensor) -> torch.Tensor:
    """Who sees whom, bool (sequences, 1, tokens, tokens); padding sees itself, or it were NaN."""
    tokens = is_token.shape[1]
    every = torch.ones(tokens, tokens, dtype=torch.bool, device=is_token.device)
    return (every.tril() & is_token[:, None] | every.tril().triu())[:, None]
