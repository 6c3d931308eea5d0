"""The head of late-interaction checkpoints: from hidden states to one short vector a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as fn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TokenProjection"]


class TokenProjection(torch.nn.Module):
    """``custom_text_proj`` of colpali-engine, ``embedding_proj_layer`` of transformers."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Use trained weights: (dimension, hidden size) and (dimension,)."""
        super().__init__()
        self.weight = torch.nn.Parameter(weight, requires_grad=False)
        self.bias = torch.nn.Parameter(bias, requires_grad=False)

    @property
    def dimension(self) -> int:
        """Components of a token's vector."""
        return self.weight.shape[0]

    def leading(self, dimension: int) -> TokenProjection:
        """The projection to the first components only."""
        if dimension == self.dimension:
            return self
        return TokenProjection(self.weight[:dimension].clone(), self.bias[:dimension].clone())

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Hidden states (..., hidden size) to projected states (..., dimension), not normalised."""
        return fn.linear(states, self.weight, self.bias)

    def matrices(self, states: torch.Tensor, lengths: list[int]) -> list[NDArray[np.float32]]:
        """Vectors of the tokens of each sequence.

        Args:
            states: (n, longest, hidden size), padded on the left.
            lengths: Tokens of each sequence.

        Returns:
            float32 (tokens, dimension) for each sequence, without padding, not normalised.
        """
        projected = self(states).float().cpu().numpy()
        return [rows[len(rows) - n :].copy() for rows, n in zip(projected, lengths, strict=True)]
