"""The halves of vision blocks and the mergers that differ between families, with loaded weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch.nn.functional as fn

if TYPE_CHECKING:
    import torch

    from vdr_integrations.encoders.forward.matrix_products import Products

__all__ = ["GatedMlp", "Merger", "QuickGeluMlp", "TanhGeluMlp", "VisionMlp"]

_QUICK_GELU = 1.702

_Module = Any
"""A module of the tree of weights, or one with 8 bits a weight in its place."""


class VisionMlp(Protocol):
    """The second half of a vision block."""

    def add_(self, x: torch.Tensor, normed: torch.Tensor, products: Products) -> torch.Tensor:
        """Add the MLP of ``normed`` to ``x`` in place; both are (patches, width)."""
        ...


class QuickGeluMlp:
    """Qwen2-VL's."""

    def __init__(self, first: _Module, second: _Module) -> None:
        """Use the weights of two matrices with biases."""
        self._first, self._second = first, second
        # quick GELU is h * sigmoid(1.702 h), that is silu(1.702 h) / 1.702; both factors go into
        # the matrix products around it.
        self._first_bias = first.bias * _QUICK_GELU

    def add_(self, x: torch.Tensor, normed: torch.Tensor, products: Products) -> torch.Tensor:
        """See ``VisionMlp``."""
        hidden = products.scaled_linear(
            normed, self._first, scale=_QUICK_GELU, scaled_bias=self._first_bias
        )
        fn.silu(hidden, inplace=True)
        return products.add_(x, hidden, self._second, scale=1 / _QUICK_GELU)


class GatedMlp:
    """Qwen2.5-VL's."""

    def __init__(self, gate: _Module, up: _Module, down: _Module) -> None:
        """Use the weights of three matrices with biases."""
        self._gate, self._up, self._down = gate, up, down

    def add_(self, x: torch.Tensor, normed: torch.Tensor, products: Products) -> torch.Tensor:
        """See ``VisionMlp``."""
        hidden = fn.silu(products.linear(normed, self._gate), inplace=True)
        return products.add_(x, hidden.mul_(products.linear(normed, self._up)), self._down)


class TanhGeluMlp:
    """Qwen3-VL's: GELU by its approximation with tanh."""

    def __init__(self, first: _Module, second: _Module) -> None:
        """Use the weights of two matrices with biases."""
        self._first, self._second = first, second

    def add_(self, x: torch.Tensor, normed: torch.Tensor, products: Products) -> torch.Tensor:
        """See ``VisionMlp``."""
        hidden = fn.gelu(products.linear(normed, self._first), approximate="tanh")
        return products.add_(x, hidden, self._second)


class Merger:
    """From the patches of a visual token to the token."""

    def __init__(
        self,
        *,
        norm: _Module,
        first: _Module,
        second: _Module,
        merged_width: int,
        norm_after: bool = False,
    ) -> None:
        """Use the weights of a norm and two matrices with biases.

        Args:
            norm: Of patches.
            first: From the patches of a visual token.
            second: To the decoder's width.
            merged_width: Components of those patches, together.
            norm_after: The patches of a visual token are normalised together, not one by one.
        """
        self._norm, self._norm_after = norm, norm_after
        self._first, self._second = first, second
        self._merged_width = merged_width

    def __call__(self, x: torch.Tensor, products: Products) -> torch.Tensor:
        """(patches, width), neighbours together, to (visual tokens, decoder's width)."""
        if self._norm_after:
            merged = self._norm(x.view(-1, self._merged_width))
        else:
            merged = self._norm(x).view(-1, self._merged_width)
        return products.linear(fn.gelu(products.linear(merged, self._first)), self._second)
