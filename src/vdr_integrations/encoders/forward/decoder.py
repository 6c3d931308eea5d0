"""The text decoder with loaded weights, for inference only.

It keeps no hidden states, computes only the needed tokens in the last layer, pads for attention
only, and has no cache except for a beginning that many sequences share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as fn

from vdr_integrations.encoders.forward.host_to_device import Staging
from vdr_integrations.encoders.forward.matrix_products import Products, choose_products
from vdr_integrations.encoders.forward.packed_sequences import PackedSequences
from vdr_integrations.encoders.forward.rotary import (
    RotaryTables,
    inverse_frequencies,
    rotate_,
    text_tables,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vdr_integrations.encoders.forward.model_sizes import DecoderSizes

__all__ = ["Decoder", "DecoderLayer", "Deepstack", "Prefix", "is_anything"]


_TOKENS_PER_MLP_PASS = 8192
"""Enough to use a GPU fully. Without this limit two hidden states of a batch of 32 pages would be
0.9 GB (2B model)."""


class Prefix(NamedTuple):
    """Keys and values of the tokens with which many sequences begin.

    Attributes:
        layers: Keys and values in each layer, (1, heads, tokens, head dimension); None for a layer
            without attention.
        tokens: Number of tokens.
    """

    layers: Sequence[tuple[torch.Tensor, torch.Tensor] | None]
    tokens: int


class Deepstack(NamedTuple):
    """What the first layers get of visual tokens, besides what went into the first one.

    Attributes:
        is_visual: bool (sequences, tokens), on the host.
        features: (all visual tokens, layers * hidden size), on the device.
    """

    is_visual: NDArray[np.bool_]
    features: torch.Tensor

    def parts(self, is_token: NDArray[np.bool_] | None, hidden_size: int) -> DeepstackParts:
        """Places among all tokens, or among those of packed sequences, and a part a layer."""
        seen = self.is_visual if is_token is None else self.is_visual[is_token]
        (places,) = Staging(self.features.device).integers(np.flatnonzero(seen))
        return DeepstackParts(places, self.features.split(hidden_size, dim=1))


class DeepstackParts(NamedTuple):
    """The same, ready for the layers.

    Attributes:
        places: int (all visual tokens,), on the device: among all tokens.
        layers: (all visual tokens, hidden size) for each of the first layers.
    """

    places: torch.Tensor
    layers: Sequence[torch.Tensor]

    def add_(self, x: torch.Tensor, layer: int) -> None:
        """Add what comes after a layer to all tokens (..., hidden size), in place."""
        if layer < len(self.layers):
            x.view(-1, x.shape[-1]).index_add_(0, self.places, self.layers[layer])


class Decoder:
    """From embedded sequences to their last hidden states.

    Attributes:
        layers: Its layers, in the order of the computation.
    """

    def __init__(self, decoder: Any, sizes: DecoderSizes) -> None:  # noqa: ANN401  # modules
        """Use the weights of ``ModelTree.language_model``."""
        products = choose_products(decoder.layers[0].self_attn.o_proj.weight)
        self._products = products
        self.layers = [DecoderLayer(layer, sizes, products) for layer in decoder.layers]
        self._norm = decoder.norm
        self._inverse = inverse_frequencies(
            sizes.head_dimension, sizes.rope_theta, self._norm.weight.device
        )
        self._sizes = sizes

    def __call__(
        self,
        embedded: torch.Tensor,
        positions: torch.Tensor,
        *,
        is_token: NDArray[np.bool_] | None,
        last_only: bool,
        prefix: Prefix | None = None,
        deepstack: Deepstack | None = None,
    ) -> torch.Tensor:
        """Hidden states after the last norm.

        Args:
            embedded: (sequences, tokens, hidden size), padded on the left; changed in place.
            positions: int (3, sequences, tokens).
            is_token: bool (sequences, tokens), False for padding, which only attention computes;
                None if there is no padding.
            last_only: Return only the state of the last token.
            prefix: The tokens before every sequence.
            deepstack: What the first layers get of visual tokens.

        Returns:
            (sequences, tokens or 1, hidden size).
        """
        packed = None
        if is_token is not None:
            packed = PackedSequences(is_token, embedded.device)
            embedded = packed.packed(embedded)
            positions = packed.packed(positions.permute(1, 2, 0)).permute(2, 0, 1)
        mask = _mask(embedded, packed, prefix, self._products)
        tables = self._tables(positions)
        seen = [None] * len(self.layers) if prefix is None else prefix.layers
        deep = deepstack and deepstack.parts(is_token, self._sizes.hidden_size)
        last = len(self.layers) - 1
        # With fewer layers than deepstack has, the last one gets visual tokens too.
        cuts = last_only and (deep is None or last >= len(deep.layers))
        x = embedded
        for n, (layer, before) in enumerate(zip(self.layers, seen, strict=True)):
            x = layer(
                x,
                tables,
                mask,
                packed=packed,
                before=before,
                last_only=cuts and n == last,
            )
            if deep is not None and not (cuts and n == last):
                deep.add_(x, n)
        if last_only and not cuts:
            x = _last(x, packed)
        x = self._norm(x)
        if packed is None:
            return x
        return x.transpose(0, 1) if last_only else packed.padded(x)

    def prefix(
        self,
        embedded: torch.Tensor,
        positions: torch.Tensor,
        *,
        deepstack: Deepstack | None = None,
    ) -> Prefix:
        """Compute keys and values of the tokens with which sequences begin.

        Args:
            embedded: (1, tokens, hidden size); changed in place.
            positions: int (3, 1, tokens).
            deepstack: What the first layers get of visual tokens.
        """
        tables = self._tables(positions)
        deep = deepstack and deepstack.parts(None, self._sizes.hidden_size)
        found: list[tuple[torch.Tensor, torch.Tensor] | None] = []
        x = embedded
        for n, layer in enumerate(self.layers):
            found.append(layer.keys_and_values(x, tables))
            x = layer(x, tables, None)
            if deep is not None:
                deep.add_(x, n)
        return Prefix(found, embedded.shape[1])

    def _tables(self, positions: torch.Tensor) -> RotaryTables:
        sizes = self._sizes
        return text_tables(
            positions, self._inverse, sections=sizes.mrope_section, interleaved=sizes.interleaved
        )


class DecoderLayer:
    """Causal attention, then the MLP.

    A half whose last matrix is zero adds nothing and is skipped: the bundled ``nano`` has one.
    """

    def __init__(self, layer: Any, sizes: DecoderSizes, products: Products) -> None:  # noqa: ANN401
        self._products = products
        self._norms: Sequence[Any] = (layer.input_layernorm, layer.post_attention_layernorm)
        attention, mlp = layer.self_attn, layer.mlp
        self._projections: Sequence[Any] = (attention.q_proj, attention.k_proj, attention.v_proj)
        self._out = attention.o_proj
        self._head_norms: Sequence[Any] | None = None
        if sizes.head_norms:
            self._head_norms = (attention.q_norm, attention.k_norm)
        self._head_dimension = sizes.head_dimension
        self._gate, self._up, self._down = mlp.gate_proj, mlp.up_proj, mlp.down_proj
        self._attends = is_anything(self._out.weight)
        self._computes = is_anything(self._down.weight)

    def __call__(
        self,
        x: torch.Tensor,
        tables: RotaryTables,
        mask: torch.Tensor | None,
        *,
        packed: PackedSequences | None = None,
        before: tuple[torch.Tensor, torch.Tensor] | None = None,
        last_only: bool = False,
    ) -> torch.Tensor:
        """Change (sequences, tokens, width) in place; with ``last_only`` return the last token.

        Packed sequences are (1, all tokens, width), their last tokens (1, sequences, width).
        """
        kept = _last(x, packed).contiguous() if last_only else x
        products = self._products.over(x.shape[1] if packed is None else packed.longest)
        if self._attends:
            seen = self._attention(
                x, tables, mask, products, packed=packed, before=before, last_only=last_only
            )
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
        packed: PackedSequences | None,
        before: tuple[torch.Tensor, torch.Tensor] | None,
        last_only: bool,
    ) -> torch.Tensor:
        normed = self._norms[0](x)
        asking, turn = normed, tables
        if last_only:
            asking = _last(normed, packed)
            turn = RotaryTables(_last(tables.cos, packed), _last(tables.sin, packed))
            # The last token attends to all tokens.
            mask = None if mask is None or packed is None else mask[:, :, -1:]
        query = rotate_(self._normed(0, products.linear(asking, self._projections[0])), turn)
        if packed is not None:
            query = query.transpose(0, 1) if last_only else packed.padded(query)
        query = query.transpose(1, 2)
        key, value = self._pair(normed, tables, products, packed)
        if before is not None:
            key, value = (
                torch.cat([known.expand(len(query), -1, -1, -1), part], dim=2)
                for known, part in zip(before, (key, value), strict=True)
            )
        seen = products.attention(
            query, key, value, mask=mask, is_causal=mask is None and not last_only
        )
        seen = seen.transpose(1, 2)
        if packed is not None and not last_only:
            seen = packed.packed(seen)
        return seen.reshape(*asking.shape[:2], -1)

    def _pair(
        self,
        normed: torch.Tensor,
        tables: RotaryTables,
        products: Products,
        packed: PackedSequences | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        key = rotate_(self._normed(1, products.linear(normed, self._projections[1])), tables)
        value = self._heads(products.linear(normed, self._projections[2]))
        if packed is not None:
            key, value = packed.padded(key), packed.padded(value)
        return key.transpose(1, 2), value.transpose(1, 2)

    def _normed(self, which: int, x: torch.Tensor) -> torch.Tensor:
        """The heads of queries (0) or keys (1), normalised where the family does so."""
        heads = self._heads(x)
        return heads if self._head_norms is None else self._head_norms[which](heads)

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], -1, self._head_dimension)


def is_anything(weight: torch.Tensor) -> bool:
    """Whether a weight is not all zeros; a layer whose last weights are zeros adds nothing."""
    return bool(weight[0].any()) or bool(weight.any())


def _last(x: torch.Tensor, packed: PackedSequences | None) -> torch.Tensor:
    """The last token of every sequence."""
    return x[:, -1:] if packed is None else x[:, packed.ends]


def _mask(
    embedded: torch.Tensor,
    packed: PackedSequences | None,
    prefix: Prefix | None,
    products: Products,
) -> torch.Tensor | None:
    """Attention mask, bool (sequences or 1, 1, tokens, all tokens); None if causal is enough."""
    known = 0 if prefix is None else prefix.tokens
    if packed is None:
        if prefix is None:
            return None
        return products.causal_mask(embedded.shape[1], known=known, device=embedded.device)
    tokens = packed.longest
    among = torch.ones(1, tokens, tokens, dtype=torch.bool, device=embedded.device).tril()
    among = packed.masked(among)[:, None]
    if prefix is None:
        return among
    return torch.cat([among.new_ones(*among.shape[:3], known), among], dim=3)
