"""From the model's hidden states to the vectors that callers get. Pure arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vdr_integrations.errors import InvalidVectorError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["dense_vectors", "token_vectors"]


def dense_vectors(
    hidden: NDArray[np.float32], *, dimension: int, subject: str
) -> NDArray[np.float32]:
    """Keep leading components (Matryoshka), then normalise: in this order, as the card does.

    Args:
        hidden: float32 (n, hidden size).
        dimension: How many leading components are kept.
        subject: Name of the model in error messages.

    Returns:
        float32 (n, dimension), each row of length 1.

    Raises:
        InvalidVectorError: A row is not finite or all zero.
    """
    cut = hidden[:, :dimension]
    norms = np.linalg.norm(cut, axis=1, keepdims=True)
    wrong = np.flatnonzero(~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0))
    if wrong.size:
        found = "a zero vector" if norms[wrong[0], 0] == 0 else "NaN or infinity"
        raise InvalidVectorError(
            f"{subject} gave {found} for {wrong.size} of {len(hidden)} items "
            f"(first: item {wrong[0]} of its batch). Load it with dtype='float32', or on another "
            f"device; if that does not help, the checkpoint is damaged."
        )
    return cut / norms


def token_vectors(states: NDArray[np.float32], *, subject: str, item: int) -> NDArray[np.float32]:
    """Normalise every row to length 1, in float32.

    Args:
        states: float32 (tokens, dimension), projected hidden states.
        subject: Name of the model in error messages.
        item: Position in the caller's list, for error messages.

    Returns:
        float32 (tokens, dimension), each row of length 1.

    Raises:
        InvalidVectorError: A row is not finite or all zero.
    """
    norms = np.linalg.norm(states, axis=1, keepdims=True)
    wrong = np.flatnonzero(~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0))
    if wrong.size:
        raise InvalidVectorError(
            f"{subject} gave {wrong.size} token vectors of item {item} that are zero or not finite "
            f"(first: token {wrong[0]}). Load it with dtype='float32', or on another device; if "
            f"that does not help, the checkpoint is damaged."
        )
    return states / norms
