"""Sequences of different lengths in one pass: padded for attention, and nowhere else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from vdr_integrations.encoders.forward.host_to_device import Staging

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PackedSequences"]


class PackedSequences:
    """Places of the tokens of sequences, packed one after the other and padded on the left.

    Everything but attention treats tokens one by one, so multiplying padding would be useless.

    Attributes:
        ends: int (sequences,): index of the last token of each sequence in the packed tokens.
        longest: Number of tokens of the longest sequence.
    """

    def __init__(self, is_token: NDArray[np.bool_], device: torch.device) -> None:
        """Read bool (sequences, longest), on the host, False for padding."""
        self._shape = is_token.shape
        self.longest: int = is_token.shape[1]
        self._places, self.ends, numbered = Staging(device).integers(
            np.flatnonzero(is_token), is_token.sum(axis=1).cumsum() - 1, is_token.astype(np.int64)
        )
        self._is_token = numbered.bool()

    def packed(self, x: torch.Tensor) -> torch.Tensor:
        """(sequences, longest, ...) to (1, all tokens, ...)."""
        return x.flatten(0, 1)[self._places][None]

    def padded(self, x: torch.Tensor) -> torch.Tensor:
        """(1, all tokens, ...) to (sequences, longest, ...), zero where there is no token."""
        rows = x.new_zeros(math.prod(self._shape), *x.shape[2:])
        rows[self._places] = x[0]
        return rows.view(*self._shape, *x.shape[2:])

    def masked(self, causal: torch.Tensor) -> torch.Tensor:
        """Attention mask, bool (sequences, longest, longest): ``causal`` without the padding.

        Padding attends to itself; otherwise softmax gives NaN.
        """
        itself = torch.eye(self.longest, dtype=torch.bool, device=causal.device)
        return (causal & self._is_token[:, None]) | itself
