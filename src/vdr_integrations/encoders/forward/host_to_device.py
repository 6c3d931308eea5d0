"""Send arrays from the host to a device, in as few copies as possible."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Staging"]


class Staging:
    """Sends arrays to a device.

    A copy from ordinary memory makes the host wait for all earlier work of a CUDA device. A copy
    from pinned memory does not: torch keeps the memory until the copy is done, then reuses it.
    """

    def __init__(self, device: torch.device) -> None:
        """Send to this device."""
        self._device = device
        self._pins = device.type == "cuda" and torch.cuda.is_available()

    def rows(self, arrays: Sequence[NDArray[Any]]) -> torch.Tensor:
        """Arrays of one format, one below the other, in one copy."""
        if self._pins:
            shape = (sum(map(len, arrays)), *arrays[0].shape[1:])
            dtype = torch.from_numpy(arrays[0][:0]).dtype
            host = torch.empty(shape, dtype=dtype, pin_memory=True)
            np.concatenate(arrays, out=host.numpy())
            return host.to(self._device, non_blocking=True)
        joined = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        return torch.from_numpy(joined).to(self._device)

    def integers(self, *arrays: NDArray[np.int64]) -> list[torch.Tensor]:
        """Arrays of any shapes, together in one copy."""
        flat = self.rows([np.ascontiguousarray(array).reshape(-1) for array in arrays])
        parts = flat.split([math.prod(array.shape) for array in arrays])
        return [part.view(array.shape) for part, array in zip(parts, arrays, strict=True)]
